"""What is counted while a video runs."""

from dataclasses import dataclass, field
from pathlib import Path

from heatprop.options import PropagatorOptions
from heatprop.running.frame_results import FrameResult

_NOISE = PropagatorOptions().score_threshold  # nothing below it is ever detected


@dataclass
class Summary:
    """The figures of one video, and what became of it.

    Attributes:
        path: The video.
        frames: Frames that went through.
        detections: Objects found in them, all frames together.
        carried: How many of these the network alone would not have shown.
        gaps_closed: Runs of carried frames of one object that end with the network seeing it again; frames that the
            detector did not look at make no such run.
        cuts: Scene cuts.
        coasted: Frames that the detector did not look at.
        masked_only: Boxes that only the masks hold, all frames together: the detector's own that the memory misses.
        unreadable: Frames whose maps have cells that count and cannot be read.
        outside: Frames whose maps have scores outside [0, 1].
        best: The detector's highest score in any frame.
        seconds: How long it took.
        files: What was written.
        notes: Which audio was left out and why.
        problem: What went wrong; empty if nothing did.
        interrupted: Number of the signal that ended it: Ctrl-C, or another one to end; 0 if none did.
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
        """How fast it went; 0 before the first frame."""
        return self.frames / self.seconds if self.seconds else 0.0

    @property
    def warning(self) -> str:
        """What makes the results useless although nothing went wrong; empty if nothing does."""
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
