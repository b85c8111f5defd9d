"""Offline: the motion of the picture for a memory that goes backward in time."""

import torch
from torch import Tensor

from heatprop.checks import check_tensor


def reverse_shift(shift: Tensor) -> Tensor:
    """Turn the motion from one frame to the next into the one back.

    Args:
        shift: A translation ``(dx, dy)``, shape ``(B, 2)``, or an affine map of ``(x, y, 1)``, shape ``(B, 2, 3)``, in
            any unit.

    Returns:
        The same kind, shape, dtype and unit. A motion that cannot be reversed (a singular map) becomes NaN, which moves
        nothing.

    Raises:
        TypeError: If it is no floating tensor.
        ValueError: If it is another kind: a flow says where a cell went, not where one came from.

    Examples:
        >>> import torch
        >>> reverse_shift(torch.tensor([[2.0, -1.0]]))
        tensor([[-2.,  1.]])
    """
    check_tensor("shifts", shift, floating=True)
    if tuple(shift.shape[1:]) not in ((2,), (2, 3)):
        raise ValueError(f"shifts must be (1, 2) or (1, 2, 3) to be read in both directions, got {tuple(shift.shape)}")
    if shift.dim() == 2:
        return -shift
    turn, failed = torch.linalg.inv_ex(shift[..., :2].double())
    turn = torch.where(failed.view(-1, 1, 1) > 0, torch.nan, turn)
    back = torch.cat([turn, -turn @ shift[..., 2:].double()], dim=-1)
    return (back + 0.0).to(shift.dtype)
