"""Street scenes with cuts: what the memory carries across cuts, and how a reset at each cut stops it."""

from collections.abc import Sequence
from typing import NamedTuple

from heatprop.demo.carphone import FaceDetector
from heatprop.demo.clips import BIKES, BIKES_CUTS, Clip, load_clip
from heatprop.demo.detection import FrameFaces, detect_per_frame, detect_with_memory, found_in, read_maps
from heatprop.demo.measures import GHOST_SCORE, carried_over_mask, ghost_mask
from heatprop.video.scenes import SceneCuts

LOWEST_SCORE = 0.05  # lowest score that the memory holds


class Scenes(NamedTuple):
    """The clip, detected with memory that crosses the cuts and with memory that is reset there.

    Attributes:
        clip: The frames of the clip.
        first: Number of its first frame in the file.
        cuts: Frames at which a new scene starts, as a viewer sees it, counted from `first`.
        cuts_found: The cuts that ``heatprop.video.scenes`` finds.
        alone: The detections of the detector alone in each frame.
        crossing: The detections with memory and no reset.
        resetting: The detections with memory that is reset at each cut that was found.
    """

    clip: Clip
    first: int
    cuts: tuple[int, ...]
    cuts_found: tuple[int, ...]
    alone: list[FrameFaces]
    crossing: list[FrameFaces]
    resetting: list[FrameFaces]

    def ghosts(self, found: Sequence[FrameFaces], *, score: float = GHOST_SCORE) -> list[int]:
        """Count the ghosts from the scene before in each frame."""
        counts = []
        for frame, (each, alone) in enumerate(zip(found, self.alone, strict=True)):
            since_cut = frame - max((cut for cut in self.cuts if cut <= frame), default=0) + 1
            counts.append(int(carried_over_mask(each, alone, since_cut, score=score).sum()))
        return counts

    def ghost_frames(self, found: Sequence[FrameFaces], *, score: float = GHOST_SCORE) -> dict[int, int]:
        """Count the frames with ghosts from the scene before that follow each cut, by the cut's number in the file."""
        ghosts = self.ghosts(found, score=score)
        ends = (*self.cuts[1:], len(ghosts))
        frames = {cut: ghosts[cut:end] for cut, end in zip(self.cuts, ends, strict=True)}
        return {self.first + cut: sum(count > 0 for count in counts) for cut, counts in frames.items()}

    def ghosts_per_frame(self, found: Sequence[FrameFaces]) -> float:
        """Count the boxes per frame, from any scene, where the detector alone sees nothing."""
        pairs = zip(found, self.alone, strict=True)
        return sum(int(ghost_mask(each, alone.boxes).sum()) for each, alone in pairs) / len(found)


def run_bikes(detector: FaceDetector, *, first: int, frame_count: int) -> Scenes:
    """Run the clip with memory, once without and once with a reset at each cut that ``SceneCuts`` finds.

    Args:
        detector: A :class:`heatprop.faces.CenterFace`.
        first: Number of the first frame.
        frame_count: How many frames to use.

    Returns:
        The clip with its detections.
    """
    clip = load_clip(BIKES, first=first, count=frame_count)
    is_cut = SceneCuts()
    cuts_found = tuple([frame for frame, image in enumerate(clip.images) if is_cut(image)])
    cuts = tuple(cut - first for cut in BIKES_CUTS if 0 < cut - first < len(clip.images))
    maps = read_maps(detector, clip.images)
    crossing, resetting = (found_in(detect_with_memory(maps, resets=resets)) for resets in ((), cuts_found))
    return Scenes(clip, first, cuts, cuts_found, detect_per_frame(maps), crossing, resetting)
