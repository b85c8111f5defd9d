"""Frame by frame through detector and memory: what is found, in pixels of the video."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from heatprop.output import PropagatorOutput
from heatprop.propagator import HeatmapPropagator
from heatprop.running.detectors import Detector, DetectorError
from heatprop.running.picture import Picture, fit
from heatprop.structures import Detections, HeadMaps
from heatprop.video import Frame

Cuts = Callable[[NDArray[np.uint8]], bool]


class Found(NamedTuple):
    """The n objects of a frame that reach the score, by falling score.

    Attributes:
        boxes: ``(x1, y1, x2, y2)``, shape ``(n, 4)``, in pixels of the video; not clipped at its border.
        scores: Balanced scores, shape ``(n,)``, in [0, 1].
        network_scores: The network's own, shape ``(n,)``, in [0, 1].
        ages: How many frames the memory knows each object, shape ``(n,)``.
        ids: Identity, unique in the video across its scene cuts, shape ``(n,)``.
        carried: Where the network's own score is below the one that is asked for: without the memory
            the object would be missing, shape ``(n,)``.
        labels: Class index, shape ``(n,)``.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    network_scores: NDArray[np.float64]
    ages: NDArray[np.int64]
    ids: NDArray[np.int64]
    carried: NDArray[np.bool_]
    labels: NDArray[np.int64]


class NetworkMaps(NamedTuple):
    """What the detector gives for a frame, before the memory, without padding.

    Attributes:
        maps: Shapes ``(1, C, H, W)`` and ``(1, 2, H, W)``.
        reached: Cells that the memory propagates to, shape ``(1, 1, H, W)``, ``bool``.
        stride: Pixels of the detector's picture per cell.
        input_wh: Width and height of what of that picture shows the frame, in pixels.
    """

    maps: HeadMaps
    reached: torch.Tensor
    stride: float
    input_wh: tuple[int, int]


class FrameResult(NamedTuple):
    """What one frame gives.

    Attributes:
        frame: The frame.
        found: Its objects, with the memory.
        without: Its objects on the same maps without any memory; ``None`` if nobody asked.
        cut: Whether a new scene starts with it.
        points: Whether the detector gives points without size.
        classes: How many classes the detector has.
        network: The detector's maps; ``None`` if nobody asked.
    """

    frame: Frame
    found: Found
    without: Found | None
    cut: bool
    points: bool
    classes: int
    network: NetworkMaps | None = None


class FrameDetector:
    """The detector of a run with its memory, for one video after the other.

    Args:
        detector: The detector.
        propagator: The memory with its options.
        score: Lowest score of what is returned, in [0, 1]. The memory keeps its own threshold.
        longer_side: Longer side of the picture that the detector sees, in pixels; ``None`` keeps the video's.
        compare: Whether to detect without memory as well.
        keep_maps: Whether the results hold the detector's maps.
    """

    def __init__(
        self,
        detector: Detector,
        propagator: HeatmapPropagator,
        *,
        score: float = 0.2,
        longer_side: int | None = None,
        compare: bool = False,
        keep_maps: bool = False,
    ) -> None:
        self._detector = detector
        self._propagator = propagator
        self._score = score
        self._longer_side = longer_side
        self._memoryless = _without_memory(propagator) if compare else None
        self._keep_maps = keep_maps
        self._first_id = 0  # of the scene

    def results(self, frames: Iterable[Frame], *, cuts: Cuts | None = None) -> Iterator[FrameResult]:
        """Detect in the frames of one video, in their order.

        Args:
            frames: The frames.
            cuts: Tells whether a scene starts with an image; ``None`` for one scene.

        Yields:
            One result per frame.

        Raises:
            DetectorError: If the detector fails, or its maps do not fit the picture.
        """
        self._propagator.reset()
        self._first_id = 0
        for frame in frames:
            yield self._result(frame, cut=cuts is not None and cuts(frame.image))

    @torch.inference_mode()
    def _result(self, frame: Frame, *, cut: bool) -> FrameResult:
        picture = fit(frame.image, longer_side=self._longer_side)
        try:
            maps = picture.cut(self._detector(picture.pixels), stride=self._propagator.stride)
            output = self._with_memory(maps, cut=cut)
        except (TypeError, ValueError) as error:  # maps that do not fit the picture, or each other
            raise DetectorError(f"{self._detector.name}: {error}") from error
        found, without = self._found(picture, output.detections, first_id=self._first_id), None
        if self._memoryless is not None:
            _, alone = self._memoryless.step(None, maps.heatmap, maps.offset, maps.size)
            without = self._found(picture, alone.detections, first_id=0)
        network = None
        if self._keep_maps:
            reached = (output.prior_score() > 0).any(1, keepdim=True)  # elsewhere the network alone finds something
            network = NetworkMaps(maps, reached, self._propagator.stride, (picture.width, picture.height))
        return FrameResult(frame, found, without, cut, maps.size is None, maps.heatmap.shape[1], network)

    def _with_memory(self, maps: HeadMaps, *, cut: bool) -> PropagatorOutput:
        state = self._propagator.state
        if cut and state is not None:
            self._first_id += int(state.next_id[0])
        reset = torch.tensor([cut], device=maps.heatmap.device)
        output: PropagatorOutput = self._propagator(maps.heatmap, maps.offset, maps.size, reset=reset)
        return output

    def _found(self, picture: Picture, detections: Detections, *, first_id: int) -> Found:
        (found,) = detections.unpad()
        shown = found["scores"] >= self._score
        arrays = {name: value[shown].cpu().numpy() for name, value in found.items() if name != "extras"}
        network_scores = arrays["network_scores"].astype(np.float64)
        return Found(
            boxes=picture.video_boxes(arrays["boxes"].astype(np.float64)),
            scores=arrays["scores"].astype(np.float64),
            network_scores=network_scores,
            ages=arrays["ages"].astype(np.int64),
            ids=arrays["track_ids"] + first_id,
            carried=network_scores < self._score,
            labels=arrays["labels"],
        )


def _without_memory(propagator: HeatmapPropagator) -> HeatmapPropagator:
    """Make the per-frame baseline: CenterNet's own peaks, the same threshold and NMS, no past."""
    return HeatmapPropagator(
        peak_kernel=3,
        top_k=propagator.top_k,
        score_threshold=propagator.score_threshold,
        nms_threshold=propagator.nms_threshold,
        stride=propagator.stride,
    )
