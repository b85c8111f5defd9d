"""The python block of the page on the synthetic benchmark runs; it needs the extra ``benchmark``."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "synthetic.md"


def test_the_block_of_the_page_runs(capsys):
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    exec(compile(block, "<block>", "exec"), {"__name__": "__main__"})
    assert "ILSVRC2015_val" in capsys.readouterr().out
