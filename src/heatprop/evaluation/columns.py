"""What is evaluated: ground truth and predictions as columns, one row per box, checked when they are made."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heatprop.evaluation.column_checks import (
    BoolArray,
    FloatArray,
    IntArray,
    check_boxes,
    check_column,
    check_finite,
    check_flags,
    check_frames,
    check_names,
    concatenate,
)


class _GroundTruthColumns(NamedTuple):
    video: NDArray[Any]
    frame: IntArray
    track: NDArray[Any]
    label: NDArray[Any]
    box: FloatArray
    ignore: BoolArray


class _PredictionsColumns(NamedTuple):
    video: NDArray[Any]
    frame: IntArray
    label: NDArray[Any]
    score: FloatArray
    box: FloatArray


class GroundTruth(_GroundTruthColumns):
    """Annotated boxes of any number of videos, one row per box, in any order.

    Args:
        video: Which video, whole numbers or text, shape ``(n,)``.
        frame: Frame number inside the video, whole numbers, shape ``(n,)``. Consecutive frames differ by 1.
        track: Which object of the video, whole numbers or text, shape ``(n,)``. ``None``: every box is an object
            of its own (average precision does not read it).
        label: Class, whole numbers or text, shape ``(n,)``.
        box: ``(x1, y1, x2, y2)`` in pixels, shape ``(n, 4)``, taken as written: not clipped, not put in order.
        ignore: Boxes that are neither to be found nor to be punished, ``bool``, shape ``(n,)``; none by default.

    Raises:
        TypeError: If a column holds another kind of value.
        ValueError: If shapes do not fit, or a number is not finite.

    Examples:
        >>> truth = GroundTruth(video=[0, 0], frame=[0, 1], track=[7, 7], label=[2, 2], box=[[0, 0, 9, 9]] * 2)
        >>> truth.box.shape, truth.ignore
        ((2, 4), array([False, False]))
    """

    __slots__ = ()

    def __new__(  # noqa: D102 # the class docstring has the arguments
        cls,
        video: ArrayLike,
        frame: ArrayLike,
        track: ArrayLike | None,
        label: ArrayLike,
        box: ArrayLike,
        ignore: ArrayLike | None = None,
    ) -> Self:
        boxes = check_boxes("GroundTruth.box", box)
        count = len(boxes)
        return super().__new__(
            cls,
            video=check_names("GroundTruth.video", video, count),
            frame=check_frames("GroundTruth.frame", frame, count),
            track=check_names("GroundTruth.track", np.arange(count) if track is None else track, count),
            label=check_names("GroundTruth.label", label, count),
            box=boxes,
            ignore=check_flags("GroundTruth.ignore", np.zeros(count, np.bool_) if ignore is None else ignore, count),
        )

    def select(self, rows: NDArray[Any] | slice) -> Self:
        """Take some rows: a mask ``(n,)``, indices, or a slice."""
        return type(self)._make(column[rows] for column in self)


class Predictions(_PredictionsColumns):
    """Detected boxes of any number of videos, one row per box, in any order (which decides among equal scores).

    Args:
        video: Which video, as in `GroundTruth`, shape ``(n,)``.
        frame: Frame number inside the video, whole numbers, shape ``(n,)``.
        label: Class, as in `GroundTruth`, shape ``(n,)``.
        score: Confidence, any finite number, shape ``(n,)``.
        box: ``(x1, y1, x2, y2)`` in pixels, shape ``(n, 4)``, taken as written.

    Raises:
        TypeError: If a column holds another kind of value.
        ValueError: If shapes do not fit, or a number is not finite.

    Examples:
        >>> found = Predictions(video=["a", "a"], frame=[0, 1], label=[2, 2], score=[0.9, 0.2], box=[[0, 0, 9, 9]] * 2)
        >>> found.select(found.score >= 0.3).frame
        array([0])
    """

    __slots__ = ()

    def __new__(  # noqa: D102 # the class docstring has the arguments
        cls, video: ArrayLike, frame: ArrayLike, label: ArrayLike, score: ArrayLike, box: ArrayLike
    ) -> Self:
        boxes = check_boxes("Predictions.box", box)
        count = len(boxes)
        return super().__new__(
            cls,
            video=check_names("Predictions.video", video, count),
            frame=check_frames("Predictions.frame", frame, count),
            label=check_names("Predictions.label", label, count),
            score=check_finite("Predictions.score", check_column("Predictions.score", score, count)),
            box=boxes,
        )

    def select(self, rows: NDArray[Any] | slice) -> Self:
        """Take some rows: a mask ``(n,)``, indices, or a slice."""
        return type(self)._make(column[rows] for column in self)

    @classmethod
    def of_video(
        cls, video: int | str, frames: Iterable[Mapping[str, ArrayLike]], *, first_frame: int = 0
    ) -> "Predictions":
        """Collect one video's detections, frame after frame, in torchvision's convention.

        Args:
            video: Its number or name.
            frames: For each frame ``boxes`` ``(k, 4)``, ``scores`` ``(k,)`` and ``labels`` ``(k,)``, arrays or CPU
                tensors: what ``Detections.unpad()`` returns. Other keys are ignored.
            first_frame: Number of the first frame.

        Returns:
            All boxes, as rows.

        Examples:
            >>> frames = [dict(boxes=[[0, 0, 9, 9]], scores=[0.9], labels=[1]), dict(boxes=[], scores=[], labels=[])]
            >>> Predictions.of_video("a", frames, first_frame=5).frame
            array([5])
        """
        tables = []
        for number, found in enumerate(frames, start=first_frame):
            boxes = check_boxes("boxes", found["boxes"])
            place = (np.full(len(boxes), video), np.full(len(boxes), number))
            tables.append(cls(*place, label=found["labels"], score=found["scores"], box=boxes))
        return join(tables) if tables else cls([], [], [], [], [])


Table = TypeVar("Table", GroundTruth, Predictions)


def join(tables: Sequence[Table]) -> Table:
    """Put the rows of several tables one after the other, videos of a data set for instance.

    Args:
        tables: `GroundTruth` or `Predictions`, one kind, at least one.

    Returns:
        One table of that kind.

    Raises:
        ValueError: If there is none, or one names videos, tracks or labels by text and another by number.

    Examples:
        >>> one = Predictions(video=["a"], frame=[0], label=[2], score=[0.9], box=[[0, 0, 9, 9]])
        >>> join([one, one._replace(video=np.array(["b"]))]).video
        array(['a', 'b'], dtype='<U1')
    """
    if not tables:
        raise ValueError("tables must hold at least one table, got none")
    full = [table for table in tables if len(table.box)] or [tables[0]]
    kind = type(full[0])
    names = full[0]._fields
    columns = [concatenate(name, [getattr(table, name) for table in full]) for name in names]
    return kind._make(columns)
