"""Offline: propagate a finished video forward and backward, and merge what both directions find."""

import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from heatprop.checks import check_maps, check_number
from heatprop.offline.backward_motion import reverse_shift
from heatprop.offline.frame_store import FrameStore
from heatprop.offline.merged_identities import Identities
from heatprop.offline.merging import Combine, merge_directions
from heatprop.offline.packing import pack, pad_objects, unpack
from heatprop.propagator import HeatmapPropagator
from heatprop.structures import Detections, HeadMaps, Tracklets


def two_pass(
    maps: Sequence[HeadMaps] | HeadMaps,
    propagator: HeatmapPropagator,
    *,
    cuts: Collection[int] = (),
    shifts: Sequence[Tensor] | None = None,
    combine: Combine = "mean",
    match_iou: float = 0.5,
) -> Iterator[Detections]:
    """Detect in a finished video with a memory of the past and one of the future.

    An object is then covered before its first detection as well, and a gap is bridged from both of its ends. Each
    direction is the propagator with its options, from a fresh start; what both find in a frame is merged by
    `heatprop.offline.merging.merge_directions`. An object has one identity in the whole video, no two
    in a frame share one, and a new scene begins with new ones. Motion from the network (the option ``motion``) goes
    forward in time; the backward pass measures velocities instead.

    Frames are read one by one, first from the last to the first, then in their order. One frame at a time is in memory,
    with the compressed detections of the backward pass, up to 64 MiB; above that they wait in a nameless temporary
    file. So memory is bounded if the sequence reads its frames from a disk.

    Args:
        maps: The frames of one video, anything with a length and ``[number]`` that gives maps ``(1, C, H, W)``, all of
            one shape; or one `HeadMaps` of ``(T, C, H, W)``.
        propagator: The memory with its options; its state is neither used nor changed.
        cuts: Frames with which a new scene starts: no memory crosses them, in either direction.
        shifts: How the picture moved to each frame from the one before, in cells: the ``shift`` of
            `HeatmapPropagator.forward` as a translation ``(1, 2)`` or an affine map ``(1, 2, 3)``. That of the first
            frame is not used; backward, the others are reversed.
        combine: Which score an object gets that both directions find: the ``"mean"`` or the ``"maximum"`` of the two.
        match_iou: Overlap above which two boxes of a class, one of each direction, are one object, in [0, 1].

    Returns:
        An iterator of the detections of each frame, ``(1, K)``, in their order. ``ages`` is the larger age of both
        directions; ``carried`` means that the network's own score is below the threshold.

    Raises:
        TypeError: If ``maps`` or ``propagator`` is something else.
        ValueError: If an option is out of its range, or there is not one shift per frame; while iterating, if the
            shape changes between frames.

    Examples:
        An object is first seen in the third frame. One pass knows it from there on, two passes from the beginning:

        >>> import torch
        >>> from heatprop import HeadMaps, HeatmapPropagator, two_pass
        >>> heatmap = torch.zeros(5, 1, 16, 16)
        >>> heatmap[:, 0, 8, 8] = torch.tensor([0.04, 0.04, 0.9, 0.9, 0.9])
        >>> video = HeadMaps(heatmap, size=torch.full((5, 2, 16, 16), 4.0))
        >>> frames = [frame.unpad()[0] for frame in two_pass(video, HeatmapPropagator())]
        >>> [f"{frame['scores'][0]:.2f}" for frame in frames]
        ['0.67', '0.76', '0.90', '0.90', '0.90']
        >>> [frame["carried"].tolist() for frame in frames]
        [[True], [True], [False], [False], [False]]
        >>> {frame["track_ids"].item() for frame in frames}
        {0}
    """
    if not isinstance(propagator, HeatmapPropagator):
        raise TypeError(f"propagator must be a HeatmapPropagator, got {type(propagator).__name__}")
    check_number("match_iou", match_iou, low=0, high=1)
    if combine not in get_args(Combine):
        raise ValueError(f'combine must be "mean" or "maximum", got {combine!r}')
    frames = _frames(maps)
    if shifts is not None and len(shifts) != len(frames):
        raise ValueError(f"shifts must hold one for each of the {len(frames)} frames, got {len(shifts)}")

    def both_ways() -> Iterator[Detections]:
        with FrameStore() as found:
            for _ in backward_pass(frames, propagator, found, cuts=cuts, shifts=shifts):
                pass
            yield from merged_pass(
                frames, propagator, found, cuts=cuts, shifts=shifts, combine=combine, match_iou=match_iou
            )

    return both_ways()


def backward_pass(
    maps: Sequence[HeadMaps],
    propagator: HeatmapPropagator,
    found: FrameStore,
    *,
    cuts: Collection[int] = (),
    shifts: Sequence[Tensor] | None = None,
) -> Iterator[int]:
    """Propagate a video from its last frame to its first: the first half of `two_pass`.

    Args:
        maps: The frames.
        propagator: The memory with its options.
        found: Empty; gets the detections of each frame, the last frame first.
        cuts: Frames with which a new scene starts.
        shifts: How the picture moved to each frame from the one before, in cells.

    Yields:
        After each frame, how many are done.

    Raises:
        ValueError: If the shape changes between frames.
    """
    state: Tracklets | None = None
    shape: tuple[int, ...] | None = None
    propagator = _measuring(propagator)
    for number in range(len(maps) - 1, -1, -1):
        if number + 1 in cuts:
            state = None
        one = maps[number]
        shape = check_video_shape(one, shape)
        back = None if shifts is None or state is None else reverse_shift(shifts[number + 1])
        state, detections = _step(propagator, state, one, back)
        found.append(pack(detections))
        yield len(found)


def merged_pass(
    maps: Sequence[HeadMaps],
    propagator: HeatmapPropagator,
    found: FrameStore,
    *,
    cuts: Collection[int] = (),
    shifts: Sequence[Tensor] | None = None,
    combine: Combine = "mean",
    match_iou: float = 0.5,
) -> Iterator[Detections]:
    """Propagate a video forward and merge what the backward pass found: the second half of `two_pass`.

    Args:
        maps: The frames.
        propagator: The memory with its options.
        found: What `backward_pass` filled.
        cuts: Frames with which a new scene starts.
        shifts: How the picture moved to each frame from the one before, in cells.
        combine: ``"mean"`` or ``"maximum"``.
        match_iou: Overlap above which two boxes are one object.

    Yields:
        The detections of each frame, ``(1, K)``.
    """
    state: Tracklets | None = None
    identities = Identities()
    for number, packed in enumerate(found[len(maps) - 1 - number] for number in range(len(maps))):
        if number in cuts:
            state = None
            identities.forget()
        one = maps[number]
        shift = None if shifts is None or state is None else shifts[number]
        state, detections = _step(propagator, state, one, shift)
        forward = unpack(pack(detections), detections, backward=False)
        backward = unpack(packed, detections, backward=True)
        merged = merge_directions(
            forward,
            backward,
            combine=combine,
            match_iou=match_iou,
            nms_threshold=None if one.size is None else propagator.nms_threshold,
            reach=propagator.radius,
        )
        merged = merged.select(np.arange(min(len(merged.scores), propagator.top_k)))
        track_ids = identities.name(merged, forward.forward_ids, backward.backward_ids)
        yield pad_objects(merged, track_ids, like=detections, score_threshold=propagator.score_threshold)


def check_video_shape(one: HeadMaps, expected: tuple[int, ...] | None) -> tuple[int, ...]:
    """Check that a frame's maps are those of one stream and have the shape of the frames before.

    Args:
        one: The maps.
        expected: Shape of the other heatmaps; ``None`` for the first.

    Returns:
        The shape of the heatmap.

    Raises:
        TypeError: If they are no maps.
        ValueError: If it is another one, or the maps do not fit together.
    """
    if not isinstance(one, HeadMaps):
        raise TypeError(f"maps must hold HeadMaps, one for each frame, got {type(one).__name__}")
    check_maps(one)
    if one.heatmap.is_meta:
        raise ValueError("maps must have values, got a heatmap on meta")
    shape = tuple(one.heatmap.shape)
    if shape[0] != 1 or expected not in (None, shape):
        raise ValueError(
            "the heatmaps of a video must all have one shape (1, C, H, W), got "
            + (f"{shape}; pass one stream at a time" if shape[0] != 1 else f"{shape} beside {expected}")
        )
    return shape


@torch.inference_mode()
def _step(
    propagator: HeatmapPropagator, state: Tracklets | None, one: HeadMaps, shift: Tensor | None
) -> tuple[Tracklets, Detections]:
    heatmap, offset, size, extras = one
    state, output = propagator.step(state, heatmap, offset, size, extras=extras, shift=shift)
    return state, output.detections


def _measuring(propagator: HeatmapPropagator) -> HeatmapPropagator:
    """For the way back: the network's motion goes forward, so velocities are measured."""
    if propagator.motion is None:
        return propagator
    measuring = copy.copy(propagator)
    measuring.options = replace(propagator.options, motion=None, velocity=True)
    return measuring


def _frames(maps: Sequence[HeadMaps] | HeadMaps) -> Sequence[HeadMaps]:
    if isinstance(maps, HeadMaps):
        return _Stacked(maps)
    if isinstance(maps, Mapping) or not (hasattr(maps, "__len__") and hasattr(maps, "__getitem__")):
        raise TypeError(
            f"maps must be a sequence of HeadMaps, which is read in both directions, got {type(maps).__name__}; "
            "make a list of it, or keep its frames on a disk"
        )
    return maps


class _Stacked(Sequence[HeadMaps]):
    """The frames of maps (T, C, H, W), each as a batch of one."""

    def __init__(self, maps: HeadMaps) -> None:
        check_maps(maps)
        self._maps = maps

    def __len__(self) -> int:
        return len(self._maps.heatmap)

    def __getitem__(self, number: Any) -> Any:
        return self._maps.stream(number)
