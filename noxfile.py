"""Everything that is run on this project: `nox -l` lists it, `nox -s NAME` runs one part in its own environment."""

import os
from itertools import chain
from pathlib import Path
from typing import Any

import nox
from packaging.requirements import Requirement
from packaging.version import Version

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "virtualenv"
nox.options.sessions = ["lint", "types", "docs", "core", "tests", "examples"]
nox.options.error_on_missing_interpreters = True

TORCH_OLDEST = ("torch==2.6.0", "numpy==1.26.4", "typing-extensions==4.10.0")  # the lower bounds of pyproject.toml
TORCH_SMALL = "torch==2.13.0"  # what the extra onnx asks for, and a small download
TORCH_NEWEST = ("torch==2.14.1", "torchvision==0.29.1")
TEST_TOOLS = ("pytest>=8", "hypothesis>=6.100", "pytest-cov>=5", "pytest-xdist>=3.6")
TWO_WORKERS = ("-n", "2", "--dist", "worksteal")  # two cores are what a small machine has; `-- -n 0` turns them off
ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # in each of them
GUESTS = ("supervision>=0.31", "trackers>=2.6")  # docs/supervision.md
CORE_TESTS = ("tests", "--ignore=tests/peers", "--ignore=tests/extras")  # those need torchvision or an extra
COMMAND_LINE_TESTS = ("tests/extras/test_cli.py", "tests/extras/test_eval_commands.py", "tests/extras/test_running.py")
NOTEBOOKS = sorted(Path("examples").glob("*.ipynb"))
BENCHMARKS = sorted(Path("tests/benchmarks").glob("bench_*.py"))


@nox.session
def tests(session: nox.Session) -> None:
    """Run every test, with all extras and torchvision, and measure the branch coverage of the core."""
    session.install(*TORCH_NEWEST, *TEST_TOOLS, *GUESTS, "-e", ".[all,timm]")
    session.run("pytest", *TWO_WORKERS, "--cov", "--cov-report=term:skip-covered", *session.posargs, env=ONE_THREAD)


@nox.session
def core(session: nox.Session) -> None:
    """Run the core's tests with only the three packages: proves that nothing else leaks in."""
    session.install(TORCH_SMALL, *TEST_TOOLS, "-e", ".")
    session.run("pytest", *TWO_WORKERS, *CORE_TESTS, *session.posargs, env=ONE_THREAD)


@nox.session
def oldest(session: nox.Session) -> None:
    """Run the core's tests on the lowest versions of the three packages. PyPI's torch 2.6 brings 3 GB of CUDA."""
    session.install(*TORCH_OLDEST, *TEST_TOOLS)
    session.install("--no-deps", "-e", ".")
    session.run("pytest", *TWO_WORKERS, *CORE_TESTS, *session.posargs, env=ONE_THREAD)


@nox.session
def train_quick(session: nox.Session) -> None:
    """Train a small CenterNet for a minute or two: the loss must fall, and the detector beat chance by far."""
    session.install(*TORCH_NEWEST, *TEST_TOOLS, "-e", ".[train,benchmark]")
    session.run("pytest", "tests/sessions/test_train_quick.py", "-s", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Make 10,000 random calls of the core, good and bad. FUZZ_SEED and FUZZ_CALLS choose others, or fewer."""
    session.install(TORCH_SMALL, *TEST_TOOLS, "-e", ".")
    session.run("pytest", "tests/sessions/test_fuzz.py", *session.posargs, env=ONE_THREAD)


@nox.session
def export(session: nox.Session) -> None:
    """Compare exported files with their modules on 500 random frames each and on real clips. EXPORT_FRAMES: fewer."""
    session.install(*TORCH_NEWEST, *TEST_TOOLS, "-e", ".[all]")
    session.run("pytest", "tests/sessions/test_export_parity.py", "-s", *session.posargs)


@nox.session(python="3.11")
def lowest(session: nox.Session) -> None:
    """Run the command line's tests on the lowest versions that pyproject.toml allows, of all extras but timm."""
    pins = _lowest_versions(nox.project.load_toml("pyproject.toml")["project"])
    constraints = Path(session.create_tmp()) / "lowest.txt"
    constraints.write_text("\n".join(f"{name}=={version}" for name, version in pins.items()) + "\n")
    session.install("-c", os.fspath(constraints), *pins, *TEST_TOOLS)
    session.install("--no-deps", "-e", ".")
    session.run("pip", "check")
    old = ("-W", "ignore::DeprecationWarning")  # old versions call what newer ones of others will drop
    session.run("pytest", *old, *COMMAND_LINE_TESTS, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check format and style."""
    session.install("ruff==0.17.6")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    session.install(TORCH_SMALL, "mypy==2.4.1", ".[all]")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error. `nox -s docs -- serve` shows it while writing."""
    session.install("-r", "docs/requirements.txt")
    session.run("python", "docs/make.py", *session.posargs)


@nox.session
def examples(session: nox.Session) -> None:
    """Execute the notebooks of examples/, which are toys, and leave the files as they are."""
    session.install(TORCH_SMALL, "ipykernel==7.4.0", "nbclient==0.11.0", ".[benchmark,plots]")
    session.run("jupyter", "execute", *(os.fspath(path) for path in NOTEBOOKS))


@nox.session
def demo(session: nox.Session) -> None:
    """Run a real face detector over real video, with and without memory. Options: `nox -s demo -- --help`."""
    session.install(TORCH_SMALL, ".[demo]")
    session.run("heatprop", "demo", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure speed and memory as ratios. `nox -s bench -- propagator` runs the benchmarks of that name."""
    session.install(*TORCH_NEWEST, ".[all,timm]")
    wanted = session.posargs or [""]
    for path in BENCHMARKS:
        if any(name in path.name for name in wanted):
            session.run(
                "python", os.fspath(path), env={"PYTHONPATH": "tests/helpers"}
            )  # for the oracles beside the tests


@nox.session
def reproduce_small(session: nox.Session) -> None:
    """Render a benchmark, train on it (half an hour), make the paper's tables; writes docs/reproduce-small.md."""
    session.install(*TORCH_NEWEST, "-e", ".[all,timm]")
    session.run("python", "tests/benchmarks/reproduce_small.py", *session.posargs)


def _lowest_versions(project: dict[str, Any]) -> dict[str, str]:
    """Give the highest of the lower bounds that each package has in the dependencies and the extras but timm."""
    extras = (needed for name, needed in project["optional-dependencies"].items() if name != "timm")
    bounds: dict[str, Version] = {}
    for requirement in map(Requirement, [*project["dependencies"], *chain.from_iterable(extras)]):
        for bound in requirement.specifier:
            if bound.operator == ">=":
                bounds[requirement.name] = max(Version(bound.version), bounds.get(requirement.name, Version("0")))
    return {name: str(version) for name, version in sorted(bounds.items())}
