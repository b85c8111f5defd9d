"""`heatprop run` works on tiny tensors with one thread of torch, and leaves a user's detector its own."""

import pytest
import torch
from films import make
from toy_detectors import film, spots

from heatprop import HeatmapPropagator
from heatprop.running import Detector, FrameDetector, TwoPassDetector, Wanted, load_detector, run_video
from heatprop.running.threads import torch_threads


@pytest.fixture(autouse=True)
def _three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_a_users_detector_is_loaded_with_torchs_threads():
    assert load_detector("toy_detectors:spots").threads == 3


@pytest.mark.parametrize("two_pass", [False, True])
@pytest.mark.parametrize(("threads", "within"), [(None, 1), (3, 3)], ids=["built in", "a user's"])
def test_one_thread_around_the_memory_and_the_users_own_in_the_detector(tmp_path, threads, within, two_pass):
    inside, outside = [], []

    def network(pixels):
        inside.append(torch.get_num_threads())
        return spots(pixels)

    class Memory(HeatmapPropagator):
        def _propagate(self, *arguments):
            outside.append(torch.get_num_threads())
            return super()._propagate(*arguments)

    detector = FrameDetector(Detector("toy", network, None, torch.device("cpu"), threads=threads), Memory())
    detecting = TwoPassDetector(detector, folder=tmp_path) if two_pass else detector
    source = make(tmp_path / "clip.mp4", film([0.9] * 3))
    summary = run_video(source, detecting, wanted=Wanted(), folder=tmp_path, stem="out")
    assert summary.problem == ""
    assert (set(inside), set(outside)) == ({within}, {1})
    assert torch.get_num_threads() == 3


def test_the_number_is_restored_after_an_error(tmp_path):
    def network(pixels):
        raise ArithmeticError

    detector = FrameDetector(Detector("toy", network, None, torch.device("cpu"), threads=2), HeatmapPropagator())
    summary = run_video(
        make(tmp_path / "clip.mp4", film([0.9])), detector, wanted=Wanted(), folder=tmp_path, stem="out"
    )
    assert "ArithmeticError" in summary.problem
    assert torch.get_num_threads() == 3
    with pytest.raises(KeyError), torch_threads(1):
        raise KeyError
    assert torch.get_num_threads() == 3
