"""Street scenes with cuts: what the memory carries across them, and that a reset at each cut ends it."""

from collections.abc import Sequence
from typing import NamedTuple

from heatprop.demo.carphone import FaceDetector
from heatprop.demo.clips import BIKES, BIKES_CUTS, Clip, load_clip
from heatprop.demo.detection import FrameFaces, detect_per_frame, detect_with_memory, found_in, read_maps
from heatprop.demo.measures import GHOST_SCORE, carried_over_mask, ghost_mask
from heatprop.video.scenes import SceneCuts

LOWEST_SCORE = 0.05  # of what the memory holds


class Scenes(NamedTuple):
    """The clip, detected with memory that crosses the cuts and with memory that does not.

    Attributes:
        clip: Its frames.
        first: Number of the first one in the file.
        cuts: Frames with which a scene starts, as one sees it, counted from `first`.
        cuts_found: The same as ``heatprop.video.scenes`` finds them.
        alone: What the detector alone finds in each frame.
        crossing: What is found with memory and no reset.
        resetting: What is found with memory that is reset at the cuts that were found.
    """

    clip: Clip
    first: int
    cuts: tuple[int, ...]
    cuts_found: tuple[int, ...]
    alone: list[FrameFaces]
    crossing: list[FrameFaces]
    resetting: list[FrameFaces]

    def ghosts(self, found: Sequence[FrameFaces], *, score: float = GHOST_SCORE) -> list[int]:
        """Count in each frame the ghosts that come from the scene before."""
        counts = []
        for frame, (each, alone) in enumerate(zip(found, self.alone, strict=True)):
            since_cut = frame - max((cut for cut in self.cuts if cut <= frame), default=0) + 1
            counts.append(int(carried_over_mask(each, alone, since_cut, score=score).sum()))
        return counts

    def ghost_frames(self, found: Sequence[FrameFaces], *, score: float = GHOST_SCORE) -> dict[int, int]:
        """Count the frames with such ghosts after each cut, by the cut's number in the file."""
        ghosts = self.ghosts(found, score=score)
        ends = (*self.cuts[1:], len(ghosts))
        frames = {cut: ghosts[cut:end] for cut, end in zip(self.cuts, ends, strict=True)}
        return {self.first + cut: sum(count > 0 for count in counts) for cut, counts in frames.items()}

    def ghosts_per_frame(self, found: Sequence[FrameFaces]) -> float:
        """Count all boxes where the detector alone sees nothing, of any scene, per frame."""
        pairs = zip(found, self.alone, strict=True)
        return sum(int(ghost_mask(each, alone.boxes).sum()) for each, alone in pairs) / len(found)


def run_bikes(detector: FaceDetector, *, first: int, frame_count: int) -> Scenes:
    """Run the clip with memory, without and with a reset at each cut that ``SceneCuts`` finds.

    Args:
        detector: A :class:`heatprop.faces.CenterFace`.
        first: Number of the first frame.
        frame_count: How many.

    Returns:
        What was found.
    """
    clip = load_clip(BIKES, first=first, count=frame_count)
    is_cut = SceneCuts()
    cuts_found = tuple([frame for frame, image in enumerate(clip.images) if is_cut(image)])
    cuts = tuple(cut - first for cut in BIKES_CUTS if 0 < cut - first < len(clip.images))
    maps = read_maps(detector, clip.images)
    crossing, resetting = (found_in(detect_with_memory(maps, resets=resets)) for resets in ((), cuts_found))
    return Scenes(clip, first, cuts, cuts_found, detect_per_frame(maps), crossing, resetting)
