"""Options of the adapters for CenterNet and CenterTrack, sizes that are no sizes, and heatmaps that are no scores."""

import logging
import pickle

import numpy as np
import pytest
import torch

from heatprop import HeatmapPropagator, VideoDetector, adapters
from heatprop.structures import HeadMaps


def heads(classes=3):
    torch.manual_seed(1)
    return {
        "hm": torch.randn(1, classes, 9, 13),
        "wh": torch.rand(1, 2, 9, 13) * 6,
        "reg": torch.rand(1, 2, 9, 13),
        "dep": torch.randn(1, 1, 9, 13),
        "ltrb": torch.cat([-5 * torch.rand(1, 2, 9, 13), 5 * torch.rand(1, 2, 9, 13)], dim=1),
        "ltrb_amodal": torch.cat([-9 * torch.rand(1, 2, 9, 13), 9 * torch.rand(1, 2, 9, 13)], dim=1),
    }


def after_centertracks_own_sigmoid(raw):
    """`_sigmoid_output`, which changes the dict in place before `generic_decode`."""
    return raw | {"hm": raw["hm"].sigmoid(), "dep": 1 / (raw["dep"].sigmoid() + 1e-6) - 1}


@pytest.mark.parametrize("adapter", [adapters.centernet, adapters.centertrack])
def test_without_logits_a_dict_after_the_sigmoid_gives_the_same_maps(adapter):
    raw = heads()
    expected, maps = adapter(raw), adapter(after_centertracks_own_sigmoid(raw), logits=False)
    for ours, theirs in zip(maps[:3], expected[:3], strict=True):
        assert torch.equal(ours, theirs)
    if expected.extras:
        torch.testing.assert_close(maps.extras["dep"], expected.extras["dep"], rtol=0, atol=0)


def test_one_object_after_the_sigmoid_is_one_detection():
    """A second sigmoid lifts the quiet background to 0.5, and every cell of it is a peak."""
    scores = torch.full((1, 1, 32, 32), 0.01)
    scores[0, 0, 12, 20] = 0.9
    raw = {"hm": scores, "wh": torch.full((1, 2, 32, 32), 3.0)}
    frames = torch.zeros(1, 3, 128, 128)
    assert VideoDetector(lambda frames: raw, adapter=adapters.centernet)(frames).valid.sum() > 50
    assert VideoDetector(lambda frames: raw, adapter=adapters.centernet(logits=False))(frames).valid.sum() == 1


@pytest.mark.parametrize(
    "adapter", [adapters.centernet(logits=False), adapters.centertrack(logits=False, box="ltrb_amodal")]
)
def test_an_adapter_with_options_is_an_adapter_that_pickles(adapter):
    raw = heads()
    maps, again = adapter(raw), pickle.loads(pickle.dumps(adapter))(raw)
    assert maps.heatmap is raw["hm"]
    assert torch.equal(again.size, maps.size)


def test_none_is_an_output_and_not_a_request_for_an_adapter():
    with pytest.raises(TypeError, match="got NoneType"):
        adapters.centernet(None)


# --- the box that CenterTrack reports ---------------------------------------------------------------------------------


@pytest.mark.parametrize("box", ["ltrb", "ltrb_amodal"])
def test_centertrack_gives_the_box_that_generic_decode_reports(box):
    """There: the cell's own column and row plus the four distances, without ``reg``."""
    raw = heads()
    propagator = HeatmapPropagator(top_k=12, score_threshold=0.0, nms_threshold=1.0, peak_kernel=3, radius=1)
    maps = adapters.centertrack(raw, box=box)
    found = propagator(maps.heatmap, maps.offset, maps.size, extras=maps.extras).detections
    assert found.valid.all()
    for (x, y), ours in zip(found.cells[0].tolist(), found.boxes[0].tolist(), strict=True):
        sides = raw[box][0, :, y, x].double().numpy()
        np.testing.assert_allclose(ours, 4 * (np.array([x, y, x, y]) + sides), atol=1e-3)


def test_the_head_that_gives_the_box_is_no_extra_and_the_others_are():
    assert set(adapters.centertrack(heads(), box="ltrb_amodal").extras) == {"dep", "ltrb"}
    assert set(adapters.centertrack(heads()).extras) == {"dep", "ltrb", "ltrb_amodal"}


def test_centertrack_needs_only_the_head_of_its_box():
    raw = heads()
    del raw["wh"], raw["reg"]
    assert adapters.centertrack(raw, box="ltrb").size.shape == (1, 2, 9, 13)
    with pytest.raises(ValueError, match=r"'wh' \(B, 2, H, W\), 'reg' .* if any.*; got \{'hm'"):
        adapters.centertrack(raw)
    with pytest.raises(ValueError, match=r"adapters\.centertrack expects .*'ltrb_amodal' \(B, 4, H, W\), 'ltrb'"):
        adapters.centertrack({"hm": raw["hm"]}, box="ltrb_amodal")


def test_another_box_is_refused_before_the_first_frame():
    with pytest.raises(ValueError, match="box must be one of 'wh', 'ltrb', 'ltrb_amodal', got 'amodal'"):
        adapters.centertrack(box="amodal")


# --- sizes that are no sizes ------------------------------------------------------------------------------------------


def test_centertrack_hands_negative_sizes_on():
    """Set to 0 they would count as seen: a box of no area instead of the memory's."""
    raw = heads()
    raw["wh"][0, :, 4, 5] = torch.tensor([-2.0, 3.0])
    assert adapters.centertrack(raw).size[0, :, 4, 5].tolist() == [-2, 3]


def test_sides_in_the_wrong_order_are_a_negative_size():
    raw = heads()
    raw["ltrb_amodal"][0, :, 4, 5] = torch.tensor([1.0, -1.0, -1.0, 1.0])
    assert adapters.centertrack(raw, box="ltrb_amodal").size[0, :, 4, 5].tolist() == [-2, 2]


def test_centerface_in_half_precision_overflows_to_what_is_not_finite():
    """The core takes such a cell as not seen; a largest number instead would be a box over everything."""
    raw = [torch.full((1, channels, 4, 4), 0.5, dtype=torch.float16) for channels in (1, 2, 2, 10)]
    raw[1][0, 0, 2, 3] = 12  # exp(12) cells are above 65,504
    maps = adapters.centerface(raw)
    assert maps.size.dtype == torch.float16
    assert maps.size[0, :, 2, 3].tolist()[1] == torch.inf
    assert maps.size.isfinite().sum() == 31


# --- heatmaps that are no scores --------------------------------------------------------------------------------------


def warnings_about(heatmap, caplog):
    with caplog.at_level(logging.WARNING, logger="heatprop"):
        caplog.clear()
        adapters.warn_about_scores(HeadMaps(heatmap))
    return caplog.messages


def test_a_second_sigmoid_is_said_with_what_to_do(caplog):
    raw = heads()
    once = adapters.centernet(raw)
    twice = adapters.centernet(after_centertracks_own_sigmoid(raw))
    assert warnings_about(once.heatmap, caplog) == []
    [message] = warnings_about(twice.heatmap, caplog)
    assert message.startswith("every score of the heatmap is 0.5 or more, from 0.5")
    assert "second sigmoid" in message
    assert message.endswith("read it with logits=False")


@pytest.mark.parametrize("extreme", [-0.25, 9.69])
def test_scores_out_of_range_are_said(caplog, extreme):
    heatmap = torch.full((1, 1, 4, 4), 0.1)
    heatmap[0, 0, 1, 1] = extreme
    [message] = warnings_about(heatmap, caplog)
    assert f"{extreme:g}" in message
    assert "logits=True" in message


@pytest.mark.parametrize("fill", [torch.nan, torch.inf, -torch.inf])
def test_cells_that_are_not_finite_say_nothing_of_the_others(caplog, fill):
    heatmap = torch.full((1, 1, 4, 4), 0.75)
    heatmap[0, 0, 1, 1] = fill
    assert len(warnings_about(heatmap, caplog)) == 1
    heatmap[0, 0, 2, 2] = 0.1
    assert warnings_about(heatmap, caplog) == []
    assert warnings_about(torch.full_like(heatmap, fill), caplog) == []


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_scores_of_every_precision_are_looked_at(caplog, dtype):
    assert len(warnings_about(torch.full((1, 1, 2, 2), 2.0, dtype=dtype), caplog)) == 1
    assert warnings_about(torch.tensor([0.0, 1.0], dtype=dtype).view(1, 1, 1, 2), caplog) == []
