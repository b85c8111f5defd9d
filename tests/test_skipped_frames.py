"""VideoDetector(every=n): the detector looks at every n-th frame, the memory fills the others; and its `shift`."""

import copy
import io
import pickle

import pytest
import torch
import toy
from comparing import at
from torch import Tensor, nn
from torch.testing import assert_close

from heatprop.detector import VideoDetector
from heatprop.propagator import HeatmapPropagator
from heatprop.structures import Detections, HeadMaps

STREAMS, FRAMES, SIDE = 2, 8, 32
CELLS = SIDE // 4


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(5)


class Pooling(nn.Module):
    """A detector without weights: brightness is the score; it remembers the frames that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, frames: Tensor) -> Tensor:
        self.seen.append(frames)
        return nn.functional.avg_pool2d(frames, 4)


def read(cells: Tensor) -> HeadMaps:
    """Maps of 4 channels of brightness: score, width, height, and the score as an extra."""
    size = 1 + 2 * cells[:, 1:3]
    return HeadMaps(cells[:, :1], None, size, {"twice": 2 * cells[:, :1], "whole": (9 * cells[:, 1:]).long()})


def clip(frames: int = FRAMES) -> Tensor:
    return torch.rand(STREAMS, frames, 3, SIDE, SIDE).pow(3)


def video(every: int = 1, **options) -> VideoDetector:
    memory = HeatmapPropagator(top_k=9, **({"nms_threshold": 0.4} | options))
    return VideoDetector(Pooling(), memory, adapter=read, every=every)


def by_hand(frames: Tensor, looks: list[bool], *, reset=None, shift=None, **options) -> tuple[list[Detections], object]:
    """What the memory gives when somebody tells it frame by frame what to do."""
    memory, found = HeatmapPropagator(top_k=9, **({"nms_threshold": 0.4} | options)), []
    for t, look in enumerate(looks):
        moved = None if shift is None else shift[:, t]
        if look:
            maps = read(Pooling()(frames[:, t]))
            anew = None if reset is None else reset[:, t]
            found.append(
                memory(maps.heatmap, maps.offset, maps.size, extras=maps.extras, reset=anew, shift=moved).detections
            )
        else:
            nothing = {name: torch.zeros_like(value) for name, value in found[0].extras.items()}
            found.append(memory.coast(shift=moved)._replace(extras=nothing))
    return found, memory.state


def assert_same(ours: Detections, theirs: Detections) -> None:
    for name, value in ours._asdict().items():
        if name != "extras":
            assert value.dtype == getattr(theirs, name).dtype, name
            torch.testing.assert_close(value, getattr(theirs, name), msg=name)
    assert ours.extras.keys() == theirs.extras.keys()
    for name, value in ours.extras.items():
        torch.testing.assert_close(value, theirs.extras[name])


def masks(*places: tuple[int, int]) -> Tensor:
    reset = torch.zeros(STREAMS, FRAMES, dtype=torch.bool)
    for stream, frame in places:
        reset[stream, frame] = True
    return reset


def walks(kind: str) -> Tensor:
    """A motion of the picture for each frame, of each of the three kinds."""
    if kind == "translation":
        return torch.randn(STREAMS, FRAMES, 2)
    if kind == "affine":
        return torch.eye(2, 3).expand(STREAMS, FRAMES, 2, 3) + 0.1 * torch.randn(STREAMS, FRAMES, 2, 3)
    return torch.randn(STREAMS, FRAMES, 2, CELLS, CELLS)


PLANS = [
    (1, [], [1] * 8),
    (2, [], [1, 0] * 4),
    (3, [], [1, 0, 0, 1, 0, 0, 1, 0]),
    (20, [], [1] + [0] * 7),
    (3, [(0, 2)], [1, 0, 1, 0, 0, 1, 0, 0]),
    (3, [(0, 0), (1, 4), (0, 5)], [1, 0, 0, 1, 1, 1, 0, 0]),
    (4, [(1, 1), (0, 1), (1, 7)], [1, 1, 0, 0, 0, 1, 0, 1]),
]


# --- which frames it looks at -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("every", "resets", "looks"), PLANS)
@pytest.mark.parametrize("options", [{}, {"velocity": True, "claim_once": True}], ids=["paper", "velocity"])
def test_frames_give_what_propagating_and_coasting_by_hand_gives(every, resets, looks, options):
    frames, reset = clip(), masks(*resets) if resets else None
    expected, state = by_hand(frames, looks, reset=reset, **options)
    detector = video(every, **options)
    for ours, theirs in zip(toy.one_by_one(detector, frames, reset=reset), expected, strict=True):
        assert_same(ours, theirs)
    assert [tuple(one.shape) for one in detector.detector.seen] == [(STREAMS, 3, SIDE, SIDE)] * sum(looks)
    for ours, theirs in zip(detector.state, state, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    ("every", "resets", "looks", "shift"),
    [(*plan, None) for plan in PLANS] + [(*PLANS[5], kind) for kind in ("translation", "affine", "flow")],
)
def test_a_chunk_equals_its_frames_and_calls_the_detector_once_on_those_it_looks_at(every, resets, looks, shift):
    frames, reset = clip(), masks(*resets) if resets else None
    moved = None if shift is None else walks(shift)
    expected, state = by_hand(frames, looks, reset=reset, shift=moved)
    detector = video(every)
    chunk = detector(frames, reset=reset, shift=moved)
    for t, theirs in enumerate(expected):
        assert_same(at(chunk, t), theirs)
    (seen,) = detector.detector.seen
    looked = [t for t, look in enumerate(looks) if look]
    assert torch.equal(seen, torch.cat([frames[stream, looked] for stream in range(STREAMS)]))
    torch.testing.assert_close(detector.state.position, state.position)


@pytest.mark.parametrize("cuts", [(3, 4, 8), (1, 8), (1, 2, 3, 7, 8), (5, 6, 8)])
def test_the_count_goes_on_from_chunk_to_chunk_and_from_frame_to_chunk(cuts):
    frames = clip()
    whole, parts = video(3)(frames), video(3)
    for start, end in zip((0, *cuts[:-1]), cuts, strict=True):
        if end - start == 1:  # a frame
            assert_same(parts(frames[:, start]), at(whole, start))
            continue
        chunk = parts(frames[:, start:end])
        for t in range(start, end):
            assert_same(at(chunk, t - start), at(whole, t))
    assert sum(len(one) for one in parts.detector.seen) == STREAMS * 3


def test_a_chunk_that_is_coasted_through_does_not_call_the_detector():
    detector, frames = video(6), clip()
    detector(frames[:, 0])
    chunk = detector(frames[:, 1:4])
    assert len(detector.detector.seen) == 1
    assert chunk.valid.any()
    assert chunk.carried[chunk.valid].all()


def test_coasted_objects_stay_are_carried_and_do_not_age():
    detector, frames = video(3), clip()
    seen = detector(frames[:, 0])
    for t in (1, 2):
        found = detector(frames[:, t])
        for name in ("boxes", "labels", "ages", "track_ids", "valid"):
            assert torch.equal(getattr(found, name), getattr(seen, name)), name
        assert_close(found.scores, seen.scores * 0.98**t)
        assert torch.equal(found.carried, found.valid)
        assert not found.network_scores.any()
        assert (detector.state.unseen[seen.valid] == t).all()
    assert detector(frames[:, 3]).ages.max() == 2


def test_extras_of_coasted_frames_are_zeros_of_the_same_kind():
    frames = clip()
    detector = video(2)
    seen, coasted = toy.one_by_one(detector, frames[:, :2])
    assert seen.extras["twice"].any()
    for name, value in coasted.extras.items():
        assert value.shape == seen.extras[name].shape
        assert value.dtype == seen.extras[name].dtype
        assert not value.any()
    chunk = video(2)(frames)
    assert chunk.extras["whole"].shape == (STREAMS, FRAMES, 9, 2)
    assert chunk.extras["twice"][:, ::2].any()
    assert not chunk.extras["twice"][:, 1::2].any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_precisions_coast_too(dtype):
    detector = VideoDetector(lambda frames: frames[:, :1, ::4, ::4], adapter=HeadMaps, every=2)
    chunk = detector(clip().to(dtype))
    assert chunk.valid[:, 1].any()
    assert chunk.scores.dtype == torch.promote_types(dtype, torch.float32)


# --- when the count starts anew ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("streams", [None, 1, [0], torch.tensor([False, True])])
def test_after_reset_the_detector_looks_at_the_next_frame(streams):
    detector, frames = video(4), clip()
    toy.one_by_one(detector, frames[:, :2])
    detector.reset(streams)
    found = toy.one_by_one(detector, frames[:, 2:])
    assert [not one.carried[one.valid].all() for one in found] == [True, False, False, False, True, False]
    anew = slice(None) if streams is None else torch.tensor([streams == [0], streams != [0]])
    assert found[0].ages[anew].max() == 1


@pytest.mark.parametrize("streams", [[], torch.tensor([False, False])])
def test_a_reset_of_no_stream_starts_nothing_anew(streams):
    detector, frames = video(4), clip()
    detector(frames[:, 0])
    detector.reset(streams)
    detector(frames[:, 1], reset=torch.tensor([False, False]))
    assert len(detector.detector.seen) == 1


def test_a_reset_of_the_propagator_itself_is_noticed():
    detector, frames = video(4), clip()
    detector(frames[:, 0])
    detector.propagator.reset()
    assert detector(frames[:, 1]).ages.max() == 1
    assert len(detector.detector.seen) == 2


def test_a_state_that_is_set_is_looked_on_from():
    """Which frame comes next is not part of the state, so the detector looks."""
    one, other, frames = video(3), video(3), clip()
    toy.one_by_one(one, frames[:, :2])
    other.state = one.state
    assert other(frames[:, 2]).ages.max() == 2
    assert len(other.detector.seen) == 1


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_goes_on_in_the_middle_of_the_count(copied):
    detector, frames = video(3), clip()
    toy.one_by_one(detector, frames[:, :2])
    twin = copied(detector)
    for ours, theirs in zip(toy.one_by_one(twin, frames[:, 2:]), toy.one_by_one(detector, frames[:, 2:]), strict=True):
        assert_same(ours, theirs)


def test_the_count_stays_out_of_the_checkpoint():
    detector = video(3)
    detector(clip())
    file = io.BytesIO()
    torch.save(detector.state_dict(), file)
    assert not detector.state_dict()


def test_a_frame_that_fails_does_not_count():
    detector, frames = video(2), clip()
    with pytest.raises(ValueError, match="reset must have shape"):
        detector(frames[:, 0], reset=torch.tensor([True]))
    assert not toy.one_by_one(detector, frames[:, :1])[0].carried.any()


# --- shift ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["translation", "affine", "flow"])
def test_a_shift_is_handed_to_the_memory(kind):
    frames, shift = clip(), walks(kind)
    expected, _ = by_hand(frames, [True] * FRAMES, shift=shift)
    for ours, theirs in zip(toy.one_by_one(video(), frames, shift=shift), expected, strict=True):
        assert_same(ours, theirs)
    still = toy.one_by_one(video(), frames)
    assert not torch.equal(still[-1].scores, expected[-1].scores), "it matters"


def test_coasted_boxes_move_with_the_shift():
    frames = torch.zeros(1, 3, 3, SIDE, SIDE)
    frames[0, 0, :, 8:12, 8:12] = 0.9
    chunk = video(3)(frames, shift=torch.tensor([[[9.0, 9.0], [1.0, 0.5], [0.25, 0.0]]]))
    left, top = chunk.boxes[0, :, 0, 0], chunk.boxes[0, :, 0, 1]
    torch.testing.assert_close(left - left[0], torch.tensor([0, 4.0, 5.0]))
    torch.testing.assert_close(top - top[0], torch.tensor([0, 2.0, 2.0]))


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("every", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError)])
def test_every_must_be_a_count(every, error):
    with pytest.raises(error, match="every must be"):
        VideoDetector(Pooling(), every=every)


def test_it_is_shown():
    assert "every=3" in repr(video(3))


@pytest.mark.parametrize("shape", [(STREAMS, 3, SIDE, 2 * SIDE), (1, 3, SIDE, SIDE)])
def test_frames_of_another_shape_are_refused_even_when_nobody_looks_at_them(shape):
    detector = video(2)
    detector(clip()[:, 0])
    with pytest.raises(ValueError, match=r"frames changed shape, from \(2, 3, 32, 32\) to .*call reset\(\) before it"):
        detector(torch.zeros(shape))
    detector.reset()
    detector(torch.zeros(shape))


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("shape", [(STREAMS, 2), (STREAMS, FRAMES + 1, 2), (1, FRAMES, 2)])
def test_a_chunk_needs_a_shift_for_each_frame(every, shape):
    with pytest.raises(ValueError, match=r"shift must have shape \(B, T, 2\).* with \(B, T\) = \(2, 8\), got"):
        video(every)(clip(), shift=torch.zeros(shape))


def test_a_shift_that_is_no_tensor_is_refused():
    with pytest.raises(TypeError, match=r"shift must be a torch\.Tensor, got list"):
        video()(clip(), shift=[[0.0, 0.0]])
    with pytest.raises(TypeError, match=r"shift must be a torch\.Tensor, got list"):
        video()(clip()[:, 0], shift=[[0.0, 0.0]])


@pytest.mark.parametrize("every", [1, 2])
def test_a_reset_mask_of_the_wrong_kind_is_refused(every):
    with pytest.raises(TypeError, match="reset must be a bool tensor"):
        video(every)(clip(), reset=torch.zeros(STREAMS, FRAMES))
    with pytest.raises(TypeError, match="reset must be a bool tensor"):
        video(every)(clip(), reset=[True])


def test_a_refused_chunk_with_skipped_frames_changes_nothing():
    def detector(frames):
        scores = frames[:, :1, ::4, ::4]
        return HeadMaps(scores, None, torch.full((len(frames), 2, *scores.shape[2:]), 4.0))

    frames = torch.zeros(1, 3, 3, 48, 64)
    frames[:, :, :, 20, 28] = 0.9
    video = VideoDetector(detector, adapter=lambda maps: maps, every=2)
    video(frames[:, 0])
    before = video.state
    wrong = torch.zeros(1, 3, 2, 99, 99)  # a flow for maps of another size; frame 1 coasts, frame 2 refuses it
    with pytest.raises(ValueError, match="shift must have shape"):
        video(frames, shift=wrong)
    assert_close(video.state, before, rtol=0, atol=0)
    again = video(frames[:, 1])
    assert again.carried[0, 0], "the turn of the detector did not advance either"


def test_a_detector_that_breaks_in_a_chunk_leaves_the_memory_as_it_was():
    calls = []

    def detector(frames):
        calls.append(len(frames))
        side = 12 if len(calls) < 2 else 13  # maps of another size, which the propagator refuses
        return HeadMaps(torch.zeros(len(frames), 1, side, 16), None, None)

    video = VideoDetector(detector, adapter=lambda maps: maps, every=2)
    video(torch.zeros(1, 3, 48, 64))
    before = video.state
    with pytest.raises(ValueError, match="changed shape"):
        video(torch.zeros(1, 2, 3, 48, 64))  # frame 0 coasts, frame 1 is looked at
    assert_close(video.state, before, rtol=0, atol=0)


def test_scores_after_a_second_sigmoid_are_said_once_a_video(caplog):
    video = VideoDetector(lambda frames: {"hm": torch.rand(1, 1, 12, 16), "wh": torch.ones(1, 2, 12, 16)})
    for _ in range(3):
        video(torch.zeros(1, 3, 48, 64))
    assert [record.message for record in caplog.records if "second sigmoid" in record.message] != []
    assert len(caplog.records) == 1
    video.reset()
    video(torch.zeros(1, 3, 48, 64))
    assert len(caplog.records) == 2


def test_skipped_frames_have_the_extras_that_are_remembered_and_0_for_the_others():
    frames, apart = clip(4), video(2, remember={"twice": ("last", 1)})
    whole = video(2, remember={"twice": ("last", 1)})(frames)
    for time in range(4):
        found = apart(frames[:, time])
        for name, value in whole.extras.items():
            assert torch.equal(found.extras[name], value[:, time]), name
    looked, skipped = at(whole, 0), at(whole, 1)
    assert torch.equal(looked.extras["twice"], skipped.extras["twice"])
    assert skipped.extras["twice"].any()
    assert looked.extras["whole"].any()
    assert not skipped.extras["whole"].any()
