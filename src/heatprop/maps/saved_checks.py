"""What the arrays of saved maps must hold before anything is computed with them."""

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heatprop.evaluation.column_checks import LARGEST_FRAME, IntArray, check_names

_NUMBERS = ("heatmap", "offset", "size", "gt_box", "ignore_box", "score", "box", "map_fill", "stride", "input_wh")
_WHOLE = ("map_shape", "score_count", "score_step", "box_count", "box_step")


def check_arrays(path: str | PathLike[str], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Require numbers where numbers belong, and a stride and a picture that exist.

    Args:
        path: The file, for the error.
        arrays: All of it; ``stride`` and ``input_wh`` must be there.

    Raises:
        ValueError: If an array holds text, complex numbers or the like, or a number makes no sense.
    """
    for names, kinds, wanted in ((_NUMBERS, "iuf", "real numbers"), (_WHOLE, "iu", "whole numbers")):
        for name in names:
            if name in arrays and arrays[name].dtype.kind not in kinds:
                raise ValueError(f"{path}: {name} must hold {wanted}, got {arrays[name].dtype}")
    names_of_classes = arrays.get("class_name", np.zeros(0, np.str_))
    if names_of_classes.size and names_of_classes.dtype.kind != "U":
        raise ValueError(f"{path}: class_name must hold text, got {names_of_classes.dtype}")
    stride = arrays["stride"]
    if stride.shape != ():
        raise ValueError(f"{path}: stride must have shape (), got {stride.shape}")
    if not 0 < stride < np.inf:
        raise ValueError(f"{path}: stride must be one number above 0, in pixels per cell, got {stride}")
    sides = arrays["input_wh"]
    if sides.shape != (2,):
        raise ValueError(f"{path}: input_wh must have shape (2,), got {sides.shape}")
    if not ((sides >= 1) & (sides < LARGEST_FRAME) & (sides == np.rint(sides))).all():
        raise ValueError(f"{path}: input_wh must be width and height, whole numbers of 1 or more, got {sides}")


def whole_column(path: str | PathLike[str], name: str, column: NDArray[Any]) -> IntArray:
    """Require a column of whole numbers that ``int64`` holds.

    Args:
        path: The file, for the error.
        name: Of the array.
        column: Shape ``(n,)``.

    Returns:
        The column.

    Raises:
        ValueError: If it holds something else.
    """
    if column.dtype.kind == "U":
        raise ValueError(f"{path}: {name} must hold whole numbers, got text")
    try:
        return check_names(name, column, len(column))
    except (TypeError, ValueError) as problem:
        raise ValueError(f"{path}: {problem}") from None
