"""The python blocks of the page on training data run; one needs the extras ``train`` and ``benchmark``."""

import re
from pathlib import Path

import pytest

from heatprop.formats.imagenet_xml import AnnotatedObject, Annotation, write_annotation

pytest.importorskip("skimage", reason="needs heatprop[benchmark]")
Image = pytest.importorskip("PIL.Image", reason="needs heatprop[train]")

PAGE = Path(__file__).parents[2] / "docs" / "training-data.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def run(block):
    names = {"__name__": "__main__"}
    exec(compile(block, "<block>", "exec"), names)
    return names


def test_the_block_on_imagenet_runs_on_a_folder_like_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"VID": ["train/a/v/000000", "train/a/v/000001", "val/w/000000"], "DET": ["train/b/c"]}
    for kind, pictures in names.items():
        for name in pictures:
            for folder, ending in (("Data", "JPEG"), ("Annotations", "xml")):
                (tmp_path / "ILSVRC2015" / folder / kind / name).parent.mkdir(parents=True, exist_ok=True)
                path = tmp_path / "ILSVRC2015" / folder / kind / f"{name}.{ending}"
                if ending == "xml":
                    write_annotation(path, Annotation(20, 10, [AnnotatedObject("n02084071", (2, 2, 12, 8), 0)]))
                else:
                    Image.new("RGB", (20, 10)).save(path)
    (tmp_path / "DET_train_30classes.txt").write_text("train/b/c 1\n")
    made = run(BLOCKS[0])
    assert [sample["name"] for sample in made["data"]] == [
        "VID/train/a/v/000000",
        "VID/train/a/v/000001",
        "DET/train/b/c",
    ]
    assert [sample["name"] for sample in made["val"]] == ["VID/val/w/000000"]


@pytest.mark.parametrize(("number", "says"), [(1, "20 pictures, 0 skipped, (4, 30, 16, 16)"), (2, "'offset': 0.0")])
def test_a_block_of_the_page_runs(number, says, capsys):
    assert len(BLOCKS) == 3
    run(BLOCKS[number])
    assert says in capsys.readouterr().out


def test_the_radii_of_the_page_are_those_of_the_oracle():
    from centernet_oracles import oracle_radius

    rows = re.findall(r"^\| (\d+) x (\d+) \| (\d+) \| (\d+) \|", PAGE.read_text(), re.MULTILINE)
    assert len(rows) == 3
    for w, h, original, corrected in (map(int, row) for row in rows):
        assert oracle_radius(w, h, 0.7, "original") == original
        assert oracle_radius(w, h, 0.7, "corrected") == corrected
