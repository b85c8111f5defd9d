"""Figures that are counted while a video is processed."""

from dataclasses import dataclass, field
from pathlib import Path

from heatprop.options import PropagatorOptions
from heatprop.running.frame_results import FrameResult

_NOISE = PropagatorOptions().score_threshold  # nothing below it is ever detected


@dataclass
class Summary:
    """The figures of one video, and how its processing ended.

    Attributes:
        path: The video.
        frames: Number of frames that were processed.
        detections: Number of objects found, in all frames together.
        carried: How many of these detections the network alone would not have shown.
        gaps_closed: Number of runs of carried frames of one object after which the network sees it again; frames that
            the detector did not look at do not count as such runs.
        cuts: Number of scene cuts.
        coasted: Number of frames that the detector did not look at.
        masked_only: Number of boxes in all frames that only the masks cover: the detector's own that the memory misses.
        unreadable: Number of frames whose maps have cells that count but cannot be read.
        outside: Number of frames whose maps have scores outside [0, 1].
        best: The detector's highest score in any frame.
        seconds: How long the video took, in seconds.
        files: Files that were written.
        notes: Which audio was left out and why, and other notes.
        problem: What went wrong; empty if nothing did.
        interrupted: Number of the signal that ended the video, such as that of Ctrl-C; 0 if none did.
    """

    path: Path
    frames: int = 0
    detections: int = 0
    carried: int = 0
    gaps_closed: int = 0
    cuts: int = 0
    coasted: int = 0
    masked_only: int = 0
    unreadable: int = 0
    outside: int = 0
    best: float = 0.0
    seconds: float = 0.0
    files: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problem: str = ""
    interrupted: int = 0
    _in_gap: set[int] = field(
        default_factory=set, repr=False
    )  # objects that only the memory showed when the detector last looked

    @property
    def frames_per_second(self) -> float:
        """Frames processed per second; 0 before the first frame."""
        return self.frames / self.seconds if self.seconds else 0.0

    @property
    def warning(self) -> str:
        """Why the results are useless although nothing went wrong; empty if they are not."""
        if not self.frames or self.best >= _NOISE:
            return ""
        said = "gives no score that can be read" if not self.best else f"never scores above {self.best:.2g}"
        return f"the detector {said}, which is noise: nothing was found in any frame"

    def add(self, result: FrameResult) -> None:
        """Count a frame."""
        found = result.found
        carried = set(found.ids[found.carried].tolist())
        seen = set(found.ids[~found.carried].tolist())
        self.frames += 1
        self.detections += len(found.ids)
        self.carried += len(carried)
        self.cuts += result.cut
        self.coasted += result.coasted
        self.masked_only += len(result.masked_only.boxes)
        self.unreadable += result.unreadable
        self.outside += result.outside
        self.best = max(self.best, result.best)
        if not result.coasted:
            self.gaps_closed += len(self._in_gap & seen)
            self._in_gap = carried
