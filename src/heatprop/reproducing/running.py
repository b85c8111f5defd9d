"""Process the missing videos one by one; finished files stay, so an interrupted run continues where it stopped."""

from collections.abc import Callable
from typing import NamedTuple

from heatprop.evaluation.columns import GroundTruth
from heatprop.reproducing.detecting import Network, save_video_maps, warm_up
from heatprop.reproducing.plan import Plan, Video
from heatprop.reproducing.propagating import save_video_detections


class ReadingOptions(NamedTuple):
    """How pictures are read.

    Attributes:
        batch: How many pictures the network gets at a time.
        workers: How many threads read pictures.
        skip_bad: Skip and count pictures that cannot be read, instead of stopping.
    """

    batch: int = 8
    workers: int = 4
    skip_bad: bool = False


def process_videos(
    plan: Plan,
    videos: list[Video],
    truth: GroundTruth,
    load: Callable[[], Network],
    *,
    reading: ReadingOptions = ReadingOptions(),  # noqa: B008 # immutable
    on_frames: Callable[[int], None] = lambda count: None,
) -> int:
    """Detect and propagate the videos whose files do not exist yet.

    A video's maps are written first, then its detections; each file appears once it is complete. When the detections
    of a video exist, its maps are no longer needed and may be deleted.

    Args:
        plan: The plan, which says where everything is.
        videos: The videos.
        truth: All objects of these videos, in pixels of the pictures.
        load: Loads the network; called when it is first needed.
        reading: How pictures are read.
        on_frames: Called with the number of frames detected, or found finished, since the last call.

    Returns:
        How many videos were already finished.
    """
    network, found = None, 0
    for video in videos:
        if plan.detections_file(video).exists():
            found += 1
            on_frames(len(video.numbers))
            continue
        if plan.maps_file(video).exists():
            on_frames(len(video.numbers))
        else:
            if network is None:
                network = load()
                warm_up(network, plan.size)
            here = truth.select(truth.video == video.place)
            save_video_maps(plan, video, network, here, **reading._asdict(), on_frames=on_frames)
        save_video_detections(plan, video)
    return found
