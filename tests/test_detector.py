"""VideoDetector: detector, adapter and memory in one module."""

import copy

import pytest
import torch
import toy
from comparing import at
from torch import Tensor, nn

from heatprop import adapters
from heatprop.detector import VideoDetector
from heatprop.propagator import HeatmapPropagator
from heatprop.structures import Detections, HeadMaps

STREAMS, FRAMES, SIDE = 2, 5, 32


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(11)


class TinyCenterNet(nn.Module):
    """One convolution per head, as a CenterNet of no depth; counts its calls and remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({"hm": self._head(3), "wh": self._head(2), "reg": self._head(2)})
        self.seen: list[torch.Size] = []

    @staticmethod
    def _head(channels: int) -> nn.Module:
        return nn.Conv2d(3, channels, kernel_size=4, stride=4)

    def forward(self, frames: Tensor) -> list[dict[str, Tensor]]:
        self.seen.append(frames.shape)
        return [{name: head(frames) for name, head in self.heads.items()}]


def clip() -> Tensor:
    return torch.randn(STREAMS, FRAMES, 3, SIDE, SIDE)


def propagator() -> HeatmapPropagator:
    return HeatmapPropagator(top_k=9)


def assert_equal(ours: Detections, theirs: Detections) -> None:
    for name, value in ours._asdict().items():
        if name != "extras":
            assert torch.equal(value, getattr(theirs, name)), name
    assert ours.extras.keys() == theirs.extras.keys()
    assert all(torch.equal(value, theirs.extras[name]) for name, value in ours.extras.items())


def test_a_frame_gives_what_detector_adapter_and_propagator_give_in_turn():
    network, memory, frames = TinyCenterNet(), propagator(), clip()
    video = VideoDetector(network, propagator())
    for index in range(FRAMES):
        maps = adapters.centernet(network(frames[:, index]))
        assert_equal(video(frames[:, index]), memory(maps.heatmap, maps.offset, maps.size).detections)


def test_a_chunk_equals_its_frames_one_by_one():
    network, frames = TinyCenterNet(), clip()
    chunk = VideoDetector(network, propagator())(frames)
    assert chunk.boxes.shape == (STREAMS, FRAMES, 9, 4)
    for index, single in enumerate(toy.one_by_one(VideoDetector(network, propagator()), frames)):
        torch.testing.assert_close(at(chunk, index).boxes, single.boxes, atol=1e-4, rtol=0)
        torch.testing.assert_close(at(chunk, index).scores, single.scores, atol=1e-6, rtol=0)
        assert torch.equal(at(chunk, index).track_ids, single.track_ids)
        assert torch.equal(at(chunk, index).ages, single.ages)


def test_a_chunk_leaves_the_state_that_its_frames_leave():
    network, frames = TinyCenterNet(), clip()
    chunked, single = VideoDetector(network, propagator()), VideoDetector(network, propagator())
    chunked(frames)
    toy.one_by_one(single, frames)
    assert torch.equal(chunked.state.length, single.state.length)
    assert torch.equal(chunked.state.track_id, single.state.track_id)


def test_the_detector_runs_once_on_all_frames_of_a_chunk():
    network = TinyCenterNet()
    VideoDetector(network)(clip())
    assert network.seen == [(STREAMS * FRAMES, 3, SIDE, SIDE)]


def test_the_detector_sees_streams_and_frames_in_order():
    frames, seen = clip(), []

    def detector(batch: Tensor) -> Tensor:
        seen.append(batch)
        return batch

    VideoDetector(detector, adapter=lambda batch: HeadMaps(batch.sigmoid()))(frames)
    assert torch.equal(seen[0], torch.cat([frames[stream] for stream in range(STREAMS)]))


def test_a_plain_function_with_an_adapter_of_ones_own_is_a_detector():
    video = VideoDetector(
        lambda frames: frames[:, :1, ::4, ::4],
        adapter=lambda scores: HeadMaps(scores, None, torch.full_like(scores, 2).expand(-1, 2, -1, -1)),
    )
    frames = torch.zeros(1, 3, SIDE, SIDE)
    frames[0, :, 8, 12] = 0.75
    detections = video(frames)
    assert detections.valid.sum() == 1
    assert detections.scores[0, 0] == 0.75
    assert detections.boxes[0, 0].tolist() == [(3.5 - 1) * 4, (2.5 - 1) * 4, (3.5 + 1) * 4, (2.5 + 1) * 4]


def test_the_memory_bridges_a_frame_that_the_detector_misses():
    video = VideoDetector(
        lambda frames: frames[:, :1, ::4, ::4],
        adapter=lambda scores: HeadMaps(scores, None, torch.full_like(scores, 2).expand(-1, 2, -1, -1)),
    )
    frames = torch.zeros(1, 3, 3, SIDE, SIDE)
    frames[0, 0, :, 8, 12] = 0.9
    detections = video(frames)
    assert detections.valid[0, :, 0].all()
    assert detections.carried[0, :, 0].tolist() == [False, True, True]


def test_the_output_of_mmdetections_head_passes_through():
    def detector(frames: Tensor) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        cells = frames[..., ::4, ::4]
        return [cells.sigmoid()], [cells[:, :2].abs() * 5], [cells[:, 1:].sigmoid()]

    video = VideoDetector(detector, propagator(), adapter=adapters.mmdet)
    frames = clip()
    assert_equal(at(video(frames), 0), VideoDetector(detector, propagator(), adapter=adapters.mmdet)(frames[:, 0]))


def test_extras_come_out_at_the_peaks_with_and_without_time():
    def adapter(frames: Tensor) -> HeadMaps:
        return HeadMaps(frames[:, :1].sigmoid(), extras={"pixel": frames})

    frames = clip()
    chunk = VideoDetector(lambda frames: frames, propagator(), adapter=adapter)(frames)
    single = VideoDetector(lambda frames: frames, propagator(), adapter=adapter)(frames[:, 0])
    assert chunk.extras["pixel"].shape == (STREAMS, FRAMES, 9, 3)
    assert torch.equal(chunk.extras["pixel"][:, 0], single.extras["pixel"])
    x, y = single.cells[1, 0].tolist()
    assert torch.equal(single.extras["pixel"][1, 0], frames[1, 0, :, y, x])


def test_a_module_is_a_submodule_and_the_memory_stays_out_of_the_checkpoint():
    network = TinyCenterNet()
    video = VideoDetector(network)
    video(clip())
    assert list(video.state_dict()) == [f"detector.{name}" for name in network.state_dict()]
    assert not video.eval().detector.training
    assert video.double().detector.heads["hm"].weight.dtype == torch.float64


def test_the_propagator_of_the_papers_options_is_the_default():
    assert repr(VideoDetector(TinyCenterNet()).propagator) == repr(HeatmapPropagator())


def test_a_reset_mask_lets_streams_start_anew():
    video, frames = VideoDetector(TinyCenterNet(), propagator()), clip()
    video(frames[:, 0])
    detections = video(frames[:, 1], reset=torch.tensor([False, True]))
    assert detections.ages[0].max() == 2
    assert detections.ages[1].max() == 1


def test_a_chunks_reset_mask_is_per_frame():
    frames = clip()
    reset = torch.zeros(STREAMS, FRAMES, dtype=torch.bool)
    reset[0, 2] = reset[1, 4] = True
    network = TinyCenterNet()
    chunk = VideoDetector(network, propagator())(frames, reset=reset)
    singles = toy.one_by_one(VideoDetector(network, propagator()), frames, reset=reset)
    for index, single in enumerate(singles):
        assert torch.equal(at(chunk, index).ages, single.ages)
    assert chunk.ages[0, 2].max() == chunk.ages[1, 4].max() == 1
    assert chunk.ages[1, 2].max() == 3


def test_reset_forgets_all_streams_or_the_one_named():
    video, frames = VideoDetector(TinyCenterNet(), propagator()), clip()
    first = video(frames[:, 0])
    video.reset()
    assert_equal(video(frames[:, 0]), first)
    video.reset(1)
    ages = video(frames[:, 1]).ages
    assert (ages[0].max(), ages[1].max()) == (2, 1)


def test_the_state_goes_out_and_back_in():
    network, frames = TinyCenterNet(), clip()
    video, other = VideoDetector(network, propagator()), VideoDetector(network, propagator())
    assert video.state is None
    video(frames[:, :3])
    other.state = video.state
    assert_equal(other(frames[:, 3]), video(frames[:, 3]))
    other.state = None
    assert other.state is None


def test_a_deep_copy_goes_on_where_the_original_stands():
    video, frames = VideoDetector(TinyCenterNet(), propagator(), adapter=adapters.centertrack), clip()
    video(frames[:, 0])
    twin = copy.deepcopy(video)
    assert_equal(twin(frames[:, 1]), video(frames[:, 1]))


def test_it_runs_under_inference_mode_and_goes_on_after_it():
    network, frames = TinyCenterNet().eval(), clip()
    video, other = VideoDetector(network, propagator()), VideoDetector(network, propagator())
    with torch.inference_mode():
        detections = video(frames[:, 0])
    assert detections.boxes.is_inference()
    other(frames[:, 0])
    with torch.no_grad():
        assert_equal(video(frames[:, 1]), other(frames[:, 1]))


def test_frames_need_not_be_contiguous():
    network, frames = TinyCenterNet(), clip()
    swapped = frames.transpose(0, 1).contiguous().transpose(0, 1)
    assert_equal(VideoDetector(network)(swapped), VideoDetector(network)(frames))


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 1, 1, 3, 32, 32)])
def test_frames_of_another_rank_are_refused(shape):
    with pytest.raises(ValueError, match=r"frames must have shape \(B, 3, H, W\) or \(B, T, 3, H, W\), got"):
        VideoDetector(TinyCenterNet())(torch.zeros(shape))


def test_frames_that_are_no_tensor_are_refused():
    with pytest.raises(TypeError, match="frames must be a tensor, got list"):
        VideoDetector(TinyCenterNet())([[0]])


@pytest.mark.parametrize("name", ["detector", "adapter"])
def test_what_cannot_be_called_is_refused_at_once(name):
    with pytest.raises(TypeError, match=f"{name} must be a module or a function, got str"):
        VideoDetector(**{"detector": TinyCenterNet(), name: "centernet"})


def test_a_wrong_output_names_the_expected_heads_and_what_came():
    video = VideoDetector(lambda frames: {"boxes": frames})
    with pytest.raises(ValueError, match=r"'hm' \(B, C, H, W\).*got \{'boxes': Tensor \(1, 3, 32, 32\)\}.*adapter="):
        video(torch.zeros(1, 3, SIDE, SIDE))


def test_an_adapter_must_return_head_maps():
    video = VideoDetector(TinyCenterNet(), adapter=lambda raw: raw[-1])
    with pytest.raises(TypeError, match=r"must return heatprop\.HeadMaps, got dict; return HeadMaps\(heatmap"):
        video(torch.zeros(1, 3, SIDE, SIDE))


@pytest.mark.parametrize("shape", [(2, 3, 3, SIDE, SIDE), (6, 3, SIDE, SIDE)])
def test_a_detector_must_give_maps_for_every_frame(shape):
    video = VideoDetector(lambda frames: frames[:1], adapter=lambda frames: HeadMaps(frames))
    with pytest.raises(ValueError, match=r"one set of maps per frame, 6 in all, got a map of shape \(1, 3, 32, 32\)"):
        video(torch.zeros(shape))


def test_an_extra_with_too_few_frames_is_refused_too():
    video = VideoDetector(lambda frames: frames, adapter=lambda raw: HeadMaps(raw, extras={"depth": raw[:1]}))
    with pytest.raises(ValueError, match="one set of maps per frame, 2 in all"):
        video(torch.zeros(2, 3, SIDE, SIDE))
