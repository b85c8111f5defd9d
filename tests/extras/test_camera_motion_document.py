"""The python block of the page on a moving camera runs; it needs OpenCV."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "camera-motion.md"


def test_the_block_of_the_page_runs():
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    names = {"__name__": "__main__"}
    exec(compile(block, "<block>", "exec"), names)
    assert names["shift"].shape == (1, 2, 3)
