"""What the folders of the package export: it exists, has a page, and nothing that nobody uses is left."""

import ast
import functools
import importlib
import inspect
import re
from collections import Counter
from pathlib import Path

import pytest

import heatprop

PACKAGE = Path(heatprop.__file__).parent
ROOT = PACKAGE.parents[1]
FOLDERS = ["evaluation", "export", "formats", "maps", "offline", "reports", "streams"]

# What evaluation exported before the readers got a folder of their own; it must stay.
EVALUATION = [
    "COCO",
    "VID",
    "AveragePrecision",
    "BoxJitter",
    "Curve",
    "DetectionDelay",
    "Gaps",
    "GhostAge",
    "GhostRate",
    "GroundTruth",
    "Matches",
    "Predictions",
    "Reading",
    "Rule",
    "TrackHits",
    "area_under_curve",
    "average_precision",
    "box_jitter",
    "detection_delay",
    "displacement",
    "displacement_subsets",
    "find_ghosts",
    "gaps",
    "ghost_age",
    "ghost_rate",
    "iou",
    "iou_thresholds",
    "join",
    "match",
    "motion_iou",
    "motion_iou_subsets",
    "nearest_object",
    "read_at_recall",
    "score_jitter",
    "subset_average_precision",
    "subset_curves",
    "suggest_radius",
    "track_hits",
    "tracked_displacement",
    "uncovered_pairs",
]


def folder(name):
    return importlib.import_module(f"heatprop.{name}")


def exported():
    return [(name, member) for name in FOLDERS for member in folder(name).__all__]


@pytest.mark.parametrize("name", FOLDERS)
def test_exports_are_listed_once_and_in_order(name):
    listed = folder(name).__all__
    assert len(set(listed)) == len(listed)
    kinds = [
        [one for one in listed if one.isupper()],
        [one for one in listed if one[0].isupper() and not one.isupper()],
    ]
    kinds.append([one for one in listed if one[0].islower()])
    assert [one for kind in kinds for one in sorted(kind)] == listed


@pytest.mark.parametrize("name", FOLDERS)
def test_every_export_exists_and_says_what_it_is(name):
    for member in folder(name).__all__:
        value = getattr(folder(name), member)
        assert not inspect.ismodule(value), member
        if inspect.isclass(value) or inspect.isfunction(value):
            assert (value.__doc__ or "").strip(), member
            assert not value.__doc__.startswith(f"{member}("), "a NamedTuple's generated docstring"


def test_what_evaluation_exported_is_still_there():
    assert set(folder("evaluation").__all__) >= set(EVALUATION)


def test_every_exported_function_has_an_api_page():
    pages = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "api").glob("*.md"))
    for name, member in exported():
        value = getattr(folder(name), member)
        if inspect.isfunction(value) or inspect.isclass(value):
            shown = re.search(
                rf"^::: {re.escape(value.__module__)}\n(    options:\n      members: \[(.*)\])?", pages, re.MULTILINE
            )
            assert shown, f"{value.__module__} is on no page"
            assert shown[2] is None or member in shown[2].split(", "), f"{member} is left out of {value.__module__}"


@functools.cache
def definitions(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]


def test_nothing_is_defined_that_nobody_uses():
    """A name of a function or class stands somewhere else: in src, or in what a folder exports."""
    words = Counter[str]()
    for path in PACKAGE.rglob("*.py"):
        words.update(re.findall(r"\w+", path.read_text(encoding="utf-8")))
    unused = [
        f"{path.relative_to(PACKAGE)}: {node.name}"
        for path in PACKAGE.rglob("*.py")
        for node in definitions(path)
        if words[node.name] == 1 and not node.decorator_list and node.name != "__getattr__"
    ]
    assert unused == []


# The names that stood for several things. Each stands for one now.
ONCE = ["Found", "Measures", "Results", "without_memory", "name_classes", "gaussian_radius", "describe", "measure"]


@pytest.mark.parametrize("name", ONCE)
def test_a_name_stands_for_one_thing(name):
    places = [
        path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") for node in definitions(path) if node.name == name
    ]
    assert len(places) <= 1, places
    assert not list(PACKAGE.rglob("pictures.py"))


def pages():
    return [
        (page.name, name)
        for page in sorted((ROOT / "docs" / "api").glob("*.md"))
        for name in re.findall(r"^::: ([\w.]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
        if name.split(".")[1] in FOLDERS
    ]


@pytest.mark.parametrize(("page", "name"), pages())
def test_what_an_api_page_shows_exists(page, name):
    assert importlib.import_module(name).__doc__
