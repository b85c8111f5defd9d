"""Operations of torch that its exporter cannot say in ONNX, or says in a way that ONNX Runtime cannot run."""

from collections.abc import Callable
from typing import Any

import torch

from heatprop.export.packages import need

need("onnxscript")

from onnxscript import ir, opset18  # noqa: E402  # after the check, which says what to install

op: Any = opset18  # its types are those of single dtypes, not of what is being traced


def translations() -> dict[Any, Callable[..., Any]]:
    """Give the table for ``torch.onnx.export(custom_translation_table=)``."""
    aten = torch.ops.aten
    return {
        aten.sort.stable: _sort,
        aten.masked_fill.Scalar: _fill,
        aten.masked_fill.Tensor: _fill,
        aten.where.self: _where,
        aten.where.ScalarOther: _where,
        aten.where.ScalarSelf: _where,
    }


def _sort(values: Any, stable: bool = True, dim: int = -1, descending: bool = False) -> Any:
    """Sort by a TopK of full length, then bring equals into the order of their places.

    ONNX asks TopK itself to put the lower place first among equals; ONNX Runtime does, OpenVINO 2026.4 does not.
    """
    narrow = values.dtype in (ir.DataType.UINT8, ir.DataType.INT8, ir.DataType.BOOL)
    keys = op.Cast(values, to=ir.DataType.INT32) if narrow else values
    length = op.Shape(values, start=dim, end=None if dim == -1 else dim + 1)
    best, place = op.TopK(keys, length, axis=dim, largest=int(descending), sorted=1)
    behind = op.GatherElements(best, op.Max(op.Sub(_places(place, dim), 1), 0), axis=dim)
    group = op.CumSum(op.Cast(op.Not(op.Equal(best, behind)), to=ir.DataType.INT64), dim)
    order, _ = op.TopK(op.Add(op.Mul(group, length), place), length, axis=dim, largest=0, sorted=1)
    return (op.Cast(best, to=values.dtype) if narrow else best), op.Mod(order, length)


def _places(like: Any, dim: int) -> Any:
    """Count 0, 1, 2 ... along a dimension of something."""
    ones = op.Expand(op.Constant(value_int=1), op.Shape(like))
    return op.Sub(op.CumSum(ones, dim), 1)


def _fill(values: Any, mask: Any, value: Any) -> Any:
    return _where(mask, op.CastLike(value, values), values)


def _where(mask: Any, chosen: Any, other: Any) -> Any:
    """ONNX Runtime has no Where on truth values."""
    if getattr(other, "dtype", None) == ir.DataType.BOOL:
        return op.Or(op.And(mask, chosen), op.And(op.Not(mask), other))
    return op.Where(mask, chosen, other)
