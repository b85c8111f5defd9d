"""What Hypothesis draws for the laws: seeds of maps, options, motions."""

import torch
import toy
from hypothesis import settings
from hypothesis import strategies as st

few_examples = settings(max_examples=8)  # for laws of whole sequences, which take a second for 25

SEEDS = st.integers(0, 10_000)
OPTIONS = st.fixed_dictionaries(
    {
        "radius": st.integers(0, 3),
        "alpha": st.floats(0, 1),
        "beta": st.floats(0, 1000),
        "top_k": st.integers(1, 40),
        "carry": st.sampled_from(["balanced", "network"]),
        "average": st.sampled_from(["arithmetic", "geometric"]),
        "claim_once": st.booleans(),
        "max_length": st.one_of(st.none(), st.integers(1, 4)),
        "evidence": st.booleans(),
        "max_unseen": st.one_of(st.none(), st.integers(0, 3)),
        "border": st.floats(0, 1),
        "velocity": st.booleans(),
        "radius_per_size": st.floats(0, 1),
    }
).map(lambda options: options | {"max_radius": max(options["radius"], 2)})


def shifts(seed, *shape):
    return 2 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def video(seed, **options):
    return toy.crowd(seed, shape=(2, 8, 9), density=0.4, dtype=torch.float32, **options)
