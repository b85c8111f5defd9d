"""Greedy assignment of rows to columns, with static shapes: the best pair first, then the best of what is left."""

import torch
from torch import Tensor

ROUNDS = 16
"""Most rounds of mutual choice; crowds take up to 5. What is left after the last stays without a partner."""
STEPS = 2**20
"""Scores that agree to one of these steps per unit are equal."""


def match_greedily(scores: Tensor, allowed: Tensor, rank: Tensor) -> Tensor:
    """Pair rows and columns: in each round those that choose each other are paired, and leave.

    That is what picking the best pair again and again gives. Of equal scores the row of lower rank comes first, then
    the lower column.

    Args:
        scores: How well a row goes with a column, shape ``(B, K, M)``, above -4.
        allowed: Which pairs may be, shape ``(B, K, M)``, ``bool``.
        rank: Order of the rows, all different, in [0, K), shape ``(B, K)``, ``int64``.

    Returns:
        Column of each row, shape ``(B, K)``, ``int64``; M where there is none.
    """
    keys = rank_pairs(scores, allowed, rank)
    partner = torch.full_like(rank, scores.shape[2])
    if torch.compiler.is_compiling():
        return _match_while(keys, partner)
    waits = keys.device.type == "cpu" and type(keys) is Tensor  # a fake tensor has no values to stop early by
    for _ in range(ROUNDS):
        partner, pairs, going_on = choose(keys, partner)
        if waits and not going_on.any():
            break
        keys = remove(keys, pairs)
    return partner


def rank_pairs(scores: Tensor, allowed: Tensor, rank: Tensor) -> Tensor:
    """Turn scores into whole numbers above 0 of the same order, all different; 0 where no pair may be."""
    K, M = scores.shape[1:]
    tie = (K - 1 - rank).unsqueeze(2) * M + torch.arange(M - 1, -1, -1, device=scores.device)  # modulo M the column
    return ((scores + 4) * STEPS).long().mul_(K * M).add_(tie).mul_(allowed)


def choose(keys: Tensor, partner: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pair rows and columns that choose each other: all partners, the new ones, and which rows go on choosing."""
    M = keys.shape[2]
    best = keys.amax(2)
    column, wants = M - 1 - best % M, best > 0
    mutual = wants & (keys.amax(1).gather(1, column) == best)
    pairs = torch.where(mutual, column, M)
    return torch.minimum(partner, pairs), pairs, wants & ~mutual


def remove(keys: Tensor, pairs: Tensor) -> Tensor:
    """Take paired rows and columns out."""
    B, _, M = keys.shape
    left = torch.ones(B, M + 1, dtype=keys.dtype, device=keys.device).scatter_(1, pairs, 0)[:, :M]
    return keys * (pairs == M).long().unsqueeze(2) * left.unsqueeze(1)


def _match_unrolled(keys: Tensor, partner: Tensor) -> Tensor:
    for _ in range(ROUNDS):
        partner, pairs, _ = choose(keys, partner)
        keys = remove(keys, pairs)
    return partner


def _match_while(keys: Tensor, partner: Tensor) -> Tensor:
    """Loop inside the graph, for compilers and exporters; all rounds where torch has no such loop."""
    try:
        from torch._higher_order_ops import while_loop  # private: it may move
    except ImportError:
        return _match_unrolled(keys, partner)
    number = torch.zeros((), dtype=torch.int64, device=keys.device)

    def going_on(keys: Tensor, partner: Tensor, number: Tensor) -> Tensor:
        return keys.any() & (number < ROUNDS)

    def body(keys: Tensor, partner: Tensor, number: Tensor) -> "tuple[Tensor, Tensor, Tensor]":
        partner, pairs, _ = choose(keys, partner)
        return remove(keys, pairs), partner, number + 1

    found: Tensor = while_loop(going_on, body, (keys, partner, number))[1]  # type: ignore[no-untyped-call]  # untyped in torch
    return found
