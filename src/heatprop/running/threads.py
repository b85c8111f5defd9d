"""How many threads torch uses: on maps of a few thousand cells, a thread pool costs more than it saves."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use a number of CPU threads in a block, and the former number after it.

    Args:
        count: Number of threads, at least 1.
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
