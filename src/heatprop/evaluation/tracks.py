"""Objects over time: the boxes of each track in order, and which follow which."""

from typing import NamedTuple

import numpy as np

from heatprop.evaluation.column_checks import BoolArray, IntArray
from heatprop.evaluation.columns import GroundTruth
from heatprop.evaluation.keys import joint_codes


class TrackOrder(NamedTuple):
    """The boxes that are not ignored, track by track, by rising frame.

    Attributes:
        rows: Their rows in the ground truth, shape ``(n,)``.
        track: Number of the track (an object of one video), rising, shape ``(n,)``.
        frame: Frame number, shape ``(n,)``.
    """

    rows: IntArray
    track: IntArray
    frame: IntArray


def order_tracks(truth: GroundTruth) -> TrackOrder:
    """Put the boxes in the order of video, track and frame; ignored boxes take no part.

    Args:
        truth: Objects.

    Returns:
        Rows in that order.

    Raises:
        ValueError: If a track has two boxes in one frame.

    Examples:
        >>> box = [[0, 0, 9, 9]] * 3
        >>> truth = GroundTruth(video=[0] * 3, frame=[5, 4, 4], track=[1, 1, 2], label=[3] * 3, box=box)
        >>> order_tracks(truth).rows
        array([1, 0, 2])
    """
    rows = np.flatnonzero(~truth.ignore)
    _, (video,) = joint_codes("video", truth.video[rows])
    values, (name,) = joint_codes("track", truth.track[rows])
    _, (track,) = joint_codes("track", video * len(values) + name)
    order = np.lexsort((truth.frame[rows], track))
    tracks = TrackOrder(rows[order], track[order], truth.frame[rows][order])
    twice = (tracks.track[1:] == tracks.track[:-1]) & (tracks.frame[1:] == tracks.frame[:-1])
    if twice.any():
        row = tracks.rows[1:][twice][0]
        raise ValueError(
            f"a track must have at most one box in a frame, got two of track {truth.track[row]} in frame "
            f"{truth.frame[row]} of video {truth.video[row]}; give each object a track of its own"
        )
    return tracks


def follows(tracks: TrackOrder) -> BoolArray:
    """Mark which boxes have a box of the same track in the frame right before; it is the row above.

    Returns:
        Shape ``(n,)``; never the first box of a track, nor one after a gap in the annotation.
    """
    after = np.zeros(len(tracks.rows), np.bool_)
    after[1:] = (tracks.track[1:] == tracks.track[:-1]) & (tracks.frame[1:] == tracks.frame[:-1] + 1)
    return after


def boxes_at(tracks: TrackOrder, distance: int) -> IntArray:
    """Find for each box the box of the same track so many frames later (or earlier, below 0).

    Args:
        tracks: Ordered boxes.
        distance: In frames.

    Returns:
        Place in the order, -1 where there is none, shape ``(n,)``.
    """
    if len(tracks.rows) == 0:
        return np.zeros(0, np.int64)
    low = tracks.frame.min()
    span = tracks.frame.max() - low + 1 + 2 * abs(distance)  # so that no sum reaches into another track
    key = tracks.track * span + (tracks.frame - low)
    place = np.minimum(np.searchsorted(key, key + distance), len(key) - 1)
    return np.where(key[place] == key + distance, place, -1)
