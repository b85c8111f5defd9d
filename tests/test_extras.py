"""What pip installs with each extra."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

EXTRAS = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]["optional-dependencies"]
REPLACES_TORCH = {"timm", "torchvision", "torchaudio"}


def packages(extra):
    """Names of all that an extra installs, through the extras that it names."""
    names = set()
    for requirement in map(Requirement, EXTRAS[extra]):
        inner = requirement.extras if requirement.name == "heatprop" else ()
        names |= set().union(*map(packages, inner)) if inner else {requirement.name}
    return names


def test_all_leaves_out_what_brings_a_torch_of_its_own():
    """Torchvision is made for one torch: pip replaces a CPU build by the one of PyPI, with 3 GB of CUDA."""
    assert not packages("all") & REPLACES_TORCH


def test_all_has_every_other_extra():
    assert packages("all") == set().union(*map(packages, EXTRAS)) - REPLACES_TORCH
