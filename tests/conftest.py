"""What every test stands on: fixed seeds, one thread, Hypothesis without clocks or chance."""

import signal

import numpy as np
import pytest
import torch
from devices import CountingBackend
from hypothesis import settings

pytest.register_assert_rewrite("comparing")  # its asserts show values, as those of the tests do
torch.set_num_threads(1)  # toy maps gain nothing from two, and on a busy machine two wait for each other for seconds
settings.register_profile("core", deadline=None, derandomize=True, max_examples=25, database=None)
settings.load_profile("core")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)
    np.random.seed(0)


@pytest.fixture(autouse=True)
def _hears_ctrl_c():
    """Also where the whole run ignores it: under nohup, in the background, in some CI."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def backend():
    torch._dynamo.reset()
    yield CountingBackend()
    torch._dynamo.reset()
