"""Devices that hold no values, and a counter of compiled graphs: what a machine without a GPU can prove about one."""

import contextlib

import pytest
import torch
from torch._subclasses import FakeTensorMode

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def can_fake_cuda():
    """The CPU build of torch 2.13.0 makes fake CUDA tensors but refuses to slice them; 2.14.1 does both."""
    try:
        with FakeTensorMode():
            return torch.zeros(2, device="cuda")[:1].device.type == "cuda"
    except (RuntimeError, AssertionError):
        return False


@contextlib.contextmanager
def on(device):
    """Tensors of a device that holds no values: a read would raise."""
    with FakeTensorMode() if device == "cuda" else contextlib.nullcontext():
        yield


devices = pytest.mark.parametrize(
    "device",
    [
        "meta",
        pytest.param(
            "cuda",
            marks=pytest.mark.skipif(
                not can_fake_cuda(), reason="this CPU build of torch cannot slice fake CUDA tensors"
            ),
        ),
    ],
)


class CountingBackend:
    """A torch.compile backend that counts graphs and runs them as they are, or hands them on to another."""

    def __init__(self):
        self.graphs, self.other = 0, None

    def __call__(self, module, inputs):
        self.graphs += 1
        return module.forward if self.other is None else torch._dynamo.lookup_backend(self.other)(module, inputs)
