"""Run detector and memory frame by frame: detections in pixels of the video."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray

from heatprop.checks import check_maps
from heatprop.detector import Turns
from heatprop.evidence import clean_scores, seen_cells
from heatprop.output import PropagatorOutput
from heatprop.propagator import HeatmapPropagator
from heatprop.running.clock import Clock
from heatprop.running.completing import complete
from heatprop.running.detectors import Detector, DetectorError
from heatprop.running.frame_results import Found, FrameResult, NetworkMaps, find_shown
from heatprop.running.picture import Picture, fit
from heatprop.running.reading import NO_BOXES, OwnBoxes, Reading, check_values, own_boxes, without_memory
from heatprop.structures import Detections, HeadMaps
from heatprop.video import CameraMotion, Frame, cell_motion

Cuts = Callable[[NDArray[np.uint8]], bool]


class FrameDetector:
    """The detector of a run with its memory, for one video after another.

    Args:
        detector: The detector.
        propagator: The memory with its options.
        score: Lowest score of the detections that are returned, in [0, 1]. The memory keeps its own threshold.
        longer_side: Longer side of the picture that the detector sees, in pixels; ``None`` keeps the video's.
        compare: Whether to detect without memory as well.
        keep_maps: Whether the results hold the detector's maps.
        camera: Tells how the camera moved, so that the memory moves with it; ``None`` for a camera that stands still.
        every: The detector looks at every n-th frame, and at the first of each scene; the memory fills in the others.
        mask_scale: Width and height of a covered area divided by those of its box: the results then hold what the
            detector alone finds outside these areas. ``None`` if nothing is to be covered.
        labels: Classes to return; ``None`` returns all. The memory keeps all classes.
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
        camera: CameraMotion | None = None,
        every: int = 1,
        mask_scale: float | None = None,
        labels: frozenset[int] | None = None,
    ) -> None:
        self._detector = detector
        self._propagator = propagator
        self._set = propagator.options
        self._score = score
        self._longer_side = longer_side
        self._memoryless = without_memory(propagator) if compare else None
        self._keep_maps = keep_maps
        self._camera = camera
        self._turns = Turns(every)
        self._mask_scale = mask_scale
        self._labels = None if labels is None else torch.tensor(sorted(labels))
        self._first_id = 0  # first identity of the scene
        self._shown = set[int]()  # identities so far
        self._looked: tuple[Picture, FrameResult] | None = None  # the last frame that the detector has looked at

    def results(
        self, frames: Iterable[Frame], *, cuts: Cuts | None = None, rate: Fraction | None = None
    ) -> Iterator[FrameResult]:
        """Detect in the frames of one video, in their order.

        Args:
            frames: The frames.
            cuts: Tells whether an image starts a new scene; ``None`` for a single scene.
            rate: Nominal number of frames per second: the memory then goes by the times of the frames. ``None`` counts
                frames.

        Yields:
            One result per frame.

        Raises:
            DetectorError: If the detector fails, or its maps do not fit the picture.
        """
        self.reset()
        clock = Clock(rate)
        for frame in frames:
            dt = clock(frame.time)
            cut = cuts is not None and cuts(frame.image)
            looked = self._looked
            changed = looked is None or looked[1].frame.image.shape != frame.image.shape
            look, self._turns = self._turns.take(anew=cut or changed)
            if look or looked is None:
                yield self._result(frame, dt, cut=cut)
            else:
                yield self._coast(frame, dt, *looked)

    def reset(self) -> None:
        """Forget the last video."""
        self._propagator.reset()
        self._first_id, self._turns, self._shown = 0, Turns(self._turns.every), set()
        if self._camera is not None:
            self._camera.reset()

    def use_radius(self, radius: int | None) -> None:
        """Give the memory a new radius, in cells; ``None`` restores the first one. The memory forgets everything."""
        options = self._set
        if radius is not None:
            options = replace(options, radius=radius, max_radius=max(radius, options.max_radius))
        self._propagator = HeatmapPropagator.from_options(options)

    @property
    def propagator(self) -> HeatmapPropagator:
        """The memory with its options."""
        return self._propagator

    @torch.inference_mode()
    def maps_of(self, frame: Frame) -> tuple[Picture, HeadMaps, Reading]:
        """Run the detector on a frame, without any memory.

        Args:
            frame: The frame.

        Returns:
            What the detector saw, its maps without padding, and what they show without any memory.

        Raises:
            DetectorError: If the detector fails, or its maps do not fit the picture.
        """
        picture = fit(frame.image, longer_side=self._longer_side)
        with _named(self._detector.name):
            maps = picture.cut(self._detector(picture.pixels), stride=self._propagator.stride)
            check_maps(maps)
        return picture, maps, self._read(maps)

    def shift_of(self, frame: Frame, picture: Picture, *, cut: bool) -> torch.Tensor | None:
        """Compute how the picture moved since the previous call.

        Args:
            frame: The frame.
            picture: What the detector sees of it.
            cut: Whether the frame starts a new scene.

        Returns:
            The ``shift`` for the propagator, shape ``(1, 2, 3)``, in cells; ``None`` if the camera is not watched.
        """
        if self._camera is None:
            return None
        if cut:
            self._camera.reset()
        motion = self._camera(frame.image)
        return cell_motion(motion, scale=picture.scale, stride=self._propagator.stride)

    @torch.inference_mode()
    def to_result(
        self,
        frame: Frame,
        picture: Picture,
        maps: HeadMaps,
        detections: Detections,
        *,
        reading: Reading,
        cut: bool,
        propagated: PropagatorOutput | None = None,
        first_id: int = 0,
    ) -> FrameResult:
        """Assemble the result of a frame.

        Args:
            frame: The frame.
            picture: What the detector saw of it.
            maps: The detector's maps.
            detections: The memory's detections, ``(1, K)``.
            reading: What the maps show without any memory.
            cut: Whether the frame starts a new scene.
            propagated: What the propagator returned, if known: saved maps keep the cells that the memory reaches.
            first_id: Identity in the video of the scene's first object.

        Returns:
            The result.
        """
        without = None
        if self._memoryless is not None:
            _, output = self._memoryless.step(None, maps.heatmap, maps.offset, maps.size)
            without = find_shown(output.detections.unpad()[0], picture, score=self._score, labels=self._labels)
        network = None
        if self._keep_maps:
            reached = torch.zeros_like(maps.heatmap[:, :1], dtype=torch.bool)
            if propagated is not None:  # in other cells only the network finds something
                reached = (propagated.prior_score() > 0).any(1, keepdim=True)
            network = NetworkMaps(maps, reached, self._propagator.stride, (picture.width, picture.height))
        (objects,) = detections.unpad()
        objects["track_ids"] = objects["track_ids"] + first_id
        if self._turns.every > 1 and maps.size is not None:  # after skipped frames the detector's own boxes count
            objects = complete(objects, reading.own, score=self._score, known=self._shown)
        found = find_shown(objects, picture, score=self._score, labels=self._labels)
        self._shown.update(found.ids.tolist())
        best = clean_scores(maps.heatmap, seen_cells(maps, stride=self._propagator.stride)).amax().item()
        return FrameResult(
            frame,
            found,
            without,
            cut,
            maps.size is None,
            maps.heatmap.shape[1],
            network,
            best=best,
            class_names=self._detector.class_names,
            masked_only=self._masked_only(picture, reading.own, found),
            unreadable=reading.unreadable,
            outside=reading.outside,
        )

    @torch.inference_mode()
    def _result(self, frame: Frame, dt: float | None, *, cut: bool) -> FrameResult:
        picture, maps, reading = self.maps_of(frame)
        shift = self.shift_of(frame, picture, cut=cut)
        memory = self._propagator.state
        if cut and memory is not None:
            self._first_id += int(memory.next_id[0])
        with _named(self._detector.name):
            reset = torch.tensor([cut], device=maps.heatmap.device)
            shift = None if shift is None else shift.to(maps.heatmap.device)
            output = self._propagator(maps.heatmap, maps.offset, maps.size, reset=reset, shift=shift, dt=dt)
        result = self.to_result(
            frame,
            picture,
            maps,
            output.detections,
            reading=reading,
            cut=cut,
            propagated=output,
            first_id=self._first_id,
        )
        self._looked = picture, result
        return result

    @torch.inference_mode()
    def _coast(self, frame: Frame, dt: float | None, picture: Picture, looked: FrameResult) -> FrameResult:
        """Let the memory stand in for the detector, which last looked at the given picture."""
        shift = self.shift_of(frame, picture, cut=False)
        memory = self._propagator.state
        if shift is not None and memory is not None:
            shift = shift.to(memory.score.device)
        (objects,) = self._propagator.coast(shift=shift, dt=dt).unpad()
        found = find_shown(objects, picture, score=self._score, labels=self._labels)
        found = found._replace(carried=np.ones_like(found.carried), ids=found.ids + self._first_id)
        self._shown.update(found.ids.tolist())
        without = None if looked.without is None else Found._make(field[:0] for field in looked.without)
        return looked._replace(
            frame=frame,
            found=found,
            without=without,
            cut=False,
            network=None,
            coasted=True,
            unreadable=False,
            outside=False,
        )

    def _read(self, maps: HeadMaps) -> Reading:
        options, own = self._propagator.options, NO_BOXES
        if maps.size is not None and (self._mask_scale is not None or self._turns.every > 1):
            own = own_boxes(maps, options, score=max(self._score, options.score_threshold))
        unreadable, outside = check_values(maps, stride=options.stride, score=options.score_threshold)
        return Reading(own, unreadable, outside)

    def _masked_only(self, picture: Picture, own: OwnBoxes, found: Found) -> OwnBoxes:
        """Choose what only the masks cover, in pixels of the video."""
        if self._mask_scale is None:
            return NO_BOXES
        if self._labels is not None:
            own = own.of_classes(self._labels.tolist())
        own = own._replace(boxes=picture.video_boxes(own.boxes))
        return own.outside(found.boxes, scale=max(self._mask_scale, 1.0))


@contextmanager
def _named(detector: str) -> Iterator[None]:
    """Add the detector's name to errors about maps that do not fit the picture or each other."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise DetectorError(f"{detector}: {error}") from error
