"""Random arguments, good and bad, for the fuzzing session; every one comes from the generator that it is given."""

from random import Random

import numpy as np
import torch

GOOD = (torch.float32, torch.float32, torch.float64, torch.float16, torch.bfloat16)
ODD = (torch.int64, torch.uint8, torch.bool, torch.complex64, torch.float8_e4m3fn, torch.float8_e5m2)
ODD_NUMBERS = (float("nan"), float("inf"), -float("inf"), -1.0, -0.0, 1e-40, 1e30, 3e38, 1e-12, 2.0, 65504.0)
NO_NUMBERS = (None, True, "2", [1], 1 + 2j, torch.tensor(1.0), torch.ones(2), np.float32(0.5), object, {})
STRANGERS = (None, 3, "maps", [1.0, 2.0], {"heatmap": 1}, np.zeros((1, 1, 2, 2)), object())


def chance(random: Random, share: float) -> bool:
    """True in this share of the calls."""
    return random.random() < share


def shape_of_maps(random: Random) -> tuple[int, int, int, int]:
    """A shape (B, C, H, W), small, often with sides of 1."""
    return (
        random.choice((1, 1, 2, 3)),
        random.choice((1, 1, 2, 4)),
        random.choice((1, 3, 6, 9)),
        random.choice((1, 2, 7, 8)),
    )


def values(random: Random, shape: tuple[int, ...], *, top: float = 1.0) -> torch.Tensor:
    """Numbers from 0 to ``top`` as a network gives them, or worse ones: not finite, negative, huge, all equal."""
    tensor = torch.rand(shape) ** random.choice((1, 4, 12)) * top
    kind = random.randrange(8)
    if kind == 0:
        return torch.full(shape, random.choice((0.0, 0.5, 1.0, *ODD_NUMBERS)))
    if kind == 1:
        tensor = tensor.round()  # ties
    if kind == 2:
        tensor = tensor * random.choice((-1.0, 2.0, 1e4, 1e38))
    if kind in (3, 4):
        odd = torch.tensor(ODD_NUMBERS)[torch.randint(len(ODD_NUMBERS), shape)]
        tensor = torch.where(torch.rand(shape) < random.choice((0.02, 0.5)), odd, tensor)
    return tensor


def tensor_of(random: Random, shape: tuple[int, ...], *, top: float = 1.0, odd: float = 0.08) -> object:
    """A floating tensor of a shape, or, in a share ``odd`` of the cases, something else in its place."""
    if not chance(random, odd):
        return dressed(random, values(random, shape, top=top).to(random.choice(GOOD)))
    kind = random.randrange(6)
    if kind == 0:
        return random.choice(STRANGERS)
    if kind == 1:
        return values(random, shape, top=top).to(random.choice(ODD))
    if kind == 2:
        return values(random, shape, top=top).to_sparse()
    if kind == 3:
        return torch.empty(shape, device="meta")
    return values(random, other_shape(random, shape), top=top)


def dressed(random: Random, tensor: torch.Tensor) -> torch.Tensor:
    """The same values in another form: not contiguous, expanded, with a gradient."""
    kind = random.randrange(8)
    if kind == 0:
        return tensor.requires_grad_()
    if kind == 1 and tensor.dim() > 1:
        return tensor.transpose(0, -1).contiguous().transpose(0, -1)
    if kind == 2 and len(tensor) > 1:
        return tensor[:1].expand_as(tensor)
    return tensor


def other_shape(random: Random, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that is near the one that is wanted."""
    sides = list(shape)
    kind = random.randrange(4)
    at = random.randrange(len(sides)) if sides else 0
    if kind == 0 or not sides:
        sides.insert(at, random.choice((1, 2, 3)))
    elif kind == 1:
        del sides[at]
    elif kind == 2:
        sides[at] = random.choice((0, 1, 2, 5))
    else:
        random.shuffle(sides)
    return tuple(sides)


def number(random: Random, low: float, high: float, *, whole: bool = False, odd: float = 0.06) -> object:
    """A number from low to high, whole or not; in a share ``odd`` one out of range, or none."""
    if chance(random, odd):
        return random.choice((*ODD_NUMBERS, *NO_NUMBERS, 2**40, -3, 10**30))
    return random.randint(int(low), int(high)) if whole else random.uniform(low, high)


def maybe(random: Random, value: object, share: float = 0.5) -> object:
    """The value in this share of the cases, else ``None``."""
    return value if chance(random, share) else None


def maps_of(random: Random, leading: tuple[int, ...], shape: tuple[int, int, int], *, odd: float = 0.05) -> dict:
    """Arguments of `HeatmapPropagator.forward`: maps of one frame, or, with two leading sides, of several."""
    _, height, width = shape
    plane = (*leading, 2, height, width)
    arguments = {"heatmap": tensor_of(random, (*leading, *shape), odd=odd)}
    if chance(random, 0.7):
        arguments["offset"] = tensor_of(random, plane, odd=odd)
    if chance(random, 0.8):
        arguments["size"] = tensor_of(random, plane, top=random.choice((3, 9)), odd=odd)
    if chance(random, 0.3):
        depth = (*leading, random.choice((1, 3)), height, width)
        arguments["extras"] = {"depth": tensor_of(random, depth, odd=2 * odd)}
        if chance(random, 0.1):
            arguments["extras"] = random.choice(STRANGERS)
    if chance(random, 0.2):
        reset = torch.rand(leading) < 0.3
        arguments["reset"] = reset if chance(random, 0.85) else tensor_of(random, leading, odd=0.5)
    if chance(random, 0.2):
        form = random.choice(((2,), (2, 3), (2, height, width)))
        arguments["shift"] = tensor_of(random, (*leading, *form), top=2.0, odd=odd)
    return arguments
