"""What every test stands on: fixed seeds, one thread, Hypothesis without clocks or chance."""

import numpy as np
import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)  # toy maps gain nothing from two, and on a busy machine two wait for each other for seconds
settings.register_profile("core", deadline=None, derandomize=True, max_examples=25, database=None)
settings.load_profile("core")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)
    np.random.seed(0)
