"""Which pictures to train on: the paper takes 10 frames of each video and at most 2,000 images of each class."""

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from heatprop.checks import check_count
from heatprop.formats.imagenet_lists import FrameList


def sample_frames(frames: FrameList, per_video: int = 10, *, seed: int | None = None) -> FrameList:
    """Choose frames that are spread over each video.

    The listed frames of a video are cut into ``per_video`` parts whose lengths differ by one frame at most. The middle
    frame of each part is taken, or a random one if there is a seed. A video with fewer frames keeps them all.

    Args:
        frames: All frames, such as those from `heatprop.formats.imagenet_lists.list_frames`.
        per_video: How many frames of each video to take, at least 1.
        seed: Random seed for random frames; ``None`` takes the middle ones.

    Returns:
        The chosen frames, in their order, with the same videos.

    Raises:
        ValueError: If ``per_video`` is below 1.

    Examples:
        >>> frame = np.arange(100)
        >>> sample_frames(FrameList(["a"], np.zeros(100, int), frame, frame + 1), 4).frame.tolist()
        [12, 37, 62, 87]
    """
    check_count("per_video", per_video, low=1)
    rng = None if seed is None else np.random.default_rng(seed)
    order = np.argsort(frames.video, kind="stable")
    chosen = []
    for rows in np.split(order, np.flatnonzero(np.diff(frames.video[order])) + 1):
        count = min(per_video, len(rows))
        edges = np.arange(count + 1) * len(rows) // max(count, 1)
        picks = (edges[:-1] + edges[1:]) // 2 if rng is None else rng.integers(edges[:-1], edges[1:])
        chosen.append(rows[picks])
    kept = np.sort(np.concatenate(chosen))
    return FrameList(frames.videos, frames.video[kept], frames.frame[kept], frames.frame_id[kept])


def sample_images(labels: Mapping[str, Iterable[int]], per_class: int = 2000, *, seed: int = 0) -> list[str]:
    """Choose images such that no class is shown by more than ``per_class`` of them.

    Classes take turns, the rarest first. Each takes the images that show it in random order, as long as no class of
    the image is full. So a class may get fewer images if they also show a class that is full. Images that show no class
    are left out.

    Args:
        labels: The classes that each image shows.
        per_class: Largest number of images of each class, at least 1.
        seed: Random seed, at least 0.

    Returns:
        The chosen images, in the order of ``labels``.

    Raises:
        ValueError: If ``per_class`` is below 1.

    Examples:
        >>> sample_images({"cat": [1], "cat and dog": [1, 2], "nothing": []}, 1)
        ['cat and dog']
    """
    check_count("per_class", per_class, low=1)
    shown = {name: frozenset(some) for name, some in labels.items()}
    names = list(shown)
    shuffled = [names[place] for place in np.random.default_rng(seed).permutation(len(names)).tolist()]
    by_class: dict[int, list[str]] = {}
    for name in shuffled:
        for label in shown[name]:
            by_class.setdefault(label, []).append(name)
    taken: Counter[int] = Counter()
    chosen: set[str] = set()
    for label in sorted(by_class, key=lambda label: (len(by_class[label]), label)):
        for name in by_class[label]:
            if name not in chosen and all(taken[other] < per_class for other in shown[name]):
                chosen.add(name)
                taken.update(shown[name])
    return [name for name in names if name in chosen]
