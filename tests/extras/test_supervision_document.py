"""The blocks of docs/supervision.md run with the packages that they are about."""

import re
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs/supervision.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.filterwarnings("ignore")  # of packages that are not ours
def test_a_block_runs(block):
    exec(compile(block, "<block>", "exec"), {"__name__": "__main__"})


@pytest.mark.filterwarnings("ignore")
def test_supervision_gets_the_object_that_the_detector_lost():
    names = {"__name__": "__main__"}
    exec(compile(BLOCKS[0].replace("score in (0.9, 0.04, 0.9)", "score in (0.9, 0.04)"), "<block>", "exec"), names)
    found = names["detections"]
    np.testing.assert_allclose(found.xyxy, [[106, 66, 138, 98]])  # (30.5, 20.5) cells and 8 cells, times 4 pixels
    assert found.tracker_id.tolist() == [0]
    assert found.data["carried"].tolist() == [True]
