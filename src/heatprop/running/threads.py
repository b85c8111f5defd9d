"""How many threads torch uses: a pool costs more than it gives on maps of a few thousand cells."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use so many CPU threads in a block, and as many as before after it.

    Args:
        count: At least 1.
    """
    before = torch.get_num_threads()
    if before == count:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
