"""Every python block of the README and the docs runs; tests/extras runs those that need an extra."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
NEED_EXTRAS = {  # run by tests/extras/test_*_document.py
    ROOT / "docs/camera-motion.md",
    ROOT / "docs/export.md",
    ROOT / "docs/supervision.md",
    ROOT / "docs/synthetic.md",
    ROOT / "docs/training-data.md",
}
NOTEBOOKS = set((ROOT / "docs/examples").glob("*.md"))  # written by `nox -s docs`, executed by `nox -s examples`
PAGES = [ROOT / "README.md", *sorted(set((ROOT / "docs").rglob("*.md")) - NEED_EXTRAS - NOTEBOOKS)]
BLOCKS = [
    pytest.param(block, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, block in enumerate(BLOCK.findall(page.read_text()), 1)
    if "heatprop.faces" not in block  # tests/extras/test_readme_document.py
]


@pytest.mark.parametrize("block", BLOCKS)
def test_a_python_block_of_the_documents_runs(block, capsys):
    exec(compile(block, "<block>", "exec"), {"__name__": "__main__"})
    assert "Traceback" not in capsys.readouterr().err


def test_the_readme_and_the_guide_have_blocks():
    assert {"README.md-2", "docs/using.md-1"} <= {block.id for block in BLOCKS}


def test_every_test_that_the_documents_name_is_there():
    named = {
        (page.name, path)
        for page in [*PAGES, *NEED_EXTRAS, ROOT / "CONTRIBUTING.md"]
        for path in re.findall(r"tests/[\w/]+\.py", page.read_text())
    }
    assert len(named) > 20
    assert not {(page, path) for page, path in named if not (ROOT / path).is_file()}


def test_the_sessions_that_the_promises_name_are_there():
    named = set(re.findall(r"nox -s (\w+)", (ROOT / "docs/promises.md").read_text()))
    there = set(re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(), re.MULTILINE))
    assert {"fuzz", "lowest", "tests"} <= named <= there
