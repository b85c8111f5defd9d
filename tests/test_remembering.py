"""Extras that are remembered: against a loop oracle, and what the memory of them is for."""

import math
import pickle
from collections import Counter

import comparing
import numpy as np
import pytest
import torch
import toy
from devices import devices, on
from hypothesis import given
from hypothesis import strategies as st
from laws import OPTIONS, SEEDS, few_examples
from steady_options import STEADY

from heatprop import HeatmapPropagator

REMEMBER = {"depth": ("blend", 1), "sides": ("points", 4), "turn": ("angle", 4), "look": ("last", 3)}
DEPTHS = {"sides": 4, "turn": 4, "look": 3}

# --- against the oracle -----------------------------------------------------------------------------------------------


def crowd(seed, **options):
    """A crowd with an extra for each rule, and one that nobody remembers."""
    return toy.with_extras(toy.crowd(seed, **options), seed, **DEPTHS, other=2)


@pytest.mark.parametrize("identity", ["square", "memory"])
@pytest.mark.parametrize("seed", range(4))
def test_extras_of_the_papers_options_equal_the_oracle(identity, seed):
    maps = crowd(seed, shape=(2, 8, 9), density=0.3)
    carry = ["balanced", "network"][seed % 2]
    comparing.assert_steady_equals(maps, carry=carry, coast=True, identity=identity, remember=REMEMBER)


@pytest.mark.parametrize("seed", range(12))
def test_extras_of_steady_and_its_like_equal_the_oracle(seed):
    kind = [None, "translation", "affine", "flow"][seed % 4]
    options = STEADY | {"score_threshold": [0.05, 0.0, 0.3][seed % 3], "identity": ["memory", "square"][seed // 6]}
    maps = crowd(seed, shape=(seed % 3 + 1, 8, 9), density=0.3, largest=[2.0, 5.0, 9.0][seed % 3])
    maps = maps._replace(offset=None if seed == 3 else 3 * maps.offset - 1, size=None if seed == 5 else maps.size)
    maps.heatmap[:, 2, :, ::2, ::3] = [np.nan, np.inf, -np.inf][seed % 3]
    maps.heatmap[:, 4] = 0
    more = {"shift": kind, "coast": seed % 2 == 0, "reset": seed % 5 == 0}
    comparing.assert_steady_equals(maps, **more, **options | {"remember": REMEMBER})


def test_an_extra_that_some_frames_lack_equals_the_oracle():
    names = [(), ("look",), ("sides", "depth"), tuple(REMEMBER), (), ("turn",)]
    for options in ({"identity": "square"}, STEADY):
        maps = crowd(5, shape=(2, 8, 9), density=0.3)
        comparing.assert_steady_equals(maps, without=names.__getitem__, coast=True, **options | {"remember": REMEMBER})


def test_the_sequences_exercise_every_case():
    """The comparisons above would say little about maps on which nothing is remembered."""
    recalls = Counter()
    for seed in range(2):
        maps = crowd(seed, frames=12, shape=(2, 9, 9), density=0.3)
        maps.heatmap[:, 5:7] = 0
        for options in ({"identity": "memory", "radius": 2}, STEADY):
            oracle = comparing.assert_steady_equals(maps, shift="translation", **options | {"remember": REMEMBER})
            recalls += oracle.recalls
    for rule in ("blend", "points", "angle", "last"):
        for case in ("no value, one", "new value, none", "new value, one"):
            assert recalls[f"{rule}: {case} before"] > 5, (rule, case)
    assert min(recalls["another tracklet"], recalls["found again"]) > 5


# --- on paper ---------------------------------------------------------------------------------------------------------


def turn_of(degrees):
    return [math.sin(math.radians(degrees)), math.cos(math.radians(degrees))]


def follow(remember, frames, *, score_threshold=0.05, **options):
    """One object at (4, 3): frames of (score, {name: numbers}); returns the extras of each frame."""
    propagator, found = HeatmapPropagator(remember=remember, score_threshold=score_threshold, **options), []
    for score, extras in frames:
        heatmap = toy.spots((1, 7, 9), {(0, 3, 4): score})
        maps = {name: toy.plane(heatmap, *values) for name, values in extras.items()}
        output = propagator(heatmap, toy.plane(heatmap, 0.0, 0.0), toy.plane(heatmap, 2.0, 2.0), extras=maps)
        found.append(output.detections.unpad()[0]["extras"])
    return propagator, found


def test_a_carried_object_keeps_its_box_beyond_the_picture():
    """Score 0.9, then 0: the memory says 0.7; without it, `ltrb_amodal` jumps to what the network says of nothing."""
    sides = {"ltrb_amodal": [-2.0, -1.0, 4.0, 3.0]}
    frames = [(0.9, sides), (0.0, {"ltrb_amodal": [-80.0, -120.0, 240.0, 200.0]})]
    for rule in ("points", "blend", "last"):
        _, (_, kept) = follow({"ltrb_amodal": (rule, 4)}, frames)
        assert kept["ltrb_amodal"].tolist() == [sides["ltrb_amodal"]]
    _, (_, lost) = follow(None, frames)
    assert lost["ltrb_amodal"].tolist() == [[0.0] * 4]


def test_a_blend_weighs_by_the_scores_as_equation_7_does():
    _, (first, second) = follow({"depth": ("blend", 1)}, [(0.9, {"depth": [10.0]}), (0.3, {"depth": [30.0]})])
    assert first["depth"].item() == 10
    assert second["depth"].item() == pytest.approx((0.3 * 30 + 0.9 * 10) / (0.3 + 0.9))


def test_angles_blend_on_the_circle():
    """350 and 20 degrees, 1 : 1, make 5 degrees, where plain numbers would make 185."""
    past, now = turn_of(350), [3 * value for value in turn_of(20)]
    _, (first, second) = follow({"rot": ("angle", 2)}, [(0.5, {"rot": past}), (0.5, {"rot": now})])
    assert first["rot"][0].tolist() == pytest.approx(past)
    assert second["rot"][0].tolist() == pytest.approx(turn_of(5))


def test_of_opposite_angles_the_networks_counts_and_no_angle_counts_nothing():
    remember, east = {"rot": ("angle", 2)}, turn_of(90)
    _, (*_, turned) = follow(remember, [(0.5, {"rot": turn_of(270)}), (0.5, {"rot": east})])
    assert turned["rot"][0].tolist() == pytest.approx(east, abs=1e-9)
    for frames in (
        [(0.5, {"rot": [0.0, 0.0]}), (0.5, {"rot": east})],
        [(0.5, {"rot": east}), (0.5, {"rot": [0.0, 0.0]})],
    ):
        _, (*_, kept) = follow(remember, frames)
        assert kept["rot"][0].tolist() == pytest.approx(east)


def test_the_last_sighting_is_kept_until_the_next():
    frames = [(0.9, {"look": [1.0, 2.0]}), (0.01, {"look": [9.0, 9.0]}), (0.2, {"look": [3.0, 4.0]}), (0.0, {})]
    _, found = follow({"look": ("last", 2)}, frames)
    assert [one["look"][0].tolist() for one in found] == [[1, 2], [1, 2], [3, 4], [3, 4]]


def test_an_extra_that_cannot_be_read_is_bridged_and_never_enters_the_state():
    frames = [(0.9, {"look": [1.0, 2.0]}), (0.9, {"look": [math.nan, 5.0]}), (0.9, {"look": [3e38, 5.0]})]
    propagator, found = follow({"look": ("blend", 2)}, frames)
    assert [one["look"][0].tolist() for one in found] == [[1, 2]] * 3
    assert propagator.state.extras[0, 0].tolist() == [1, 2]


def test_an_object_without_a_value_shows_0_and_takes_the_first_as_it_is():
    frames = [(0.9, {}), (0.9, {"sides": [math.nan, 1.0]}), (0.9, {"sides": [7.0, 8.0]})]
    _, found = follow({"sides": ("points", 2)}, frames)
    assert [one["sides"][0].tolist() for one in found] == [[0, 0], [0, 0], [7, 8]]


@pytest.mark.parametrize("how", ["network sees nothing", "coast"])
def test_points_move_with_the_box_and_stay_where_they_were_on_the_object(how):
    """An object moves 0.75 cells a frame, from cell to cell; its landmark lies 1.5 cells right of the centre."""
    propagator = HeatmapPropagator.steady(remember={"nose": ("points", 2)})
    for time in range(12):
        x = 3 + 0.75 * time
        heatmap = toy.spots((1, 9, 24), {} if time >= 8 else {(0, 4, int(x)): 0.9})
        offset = toy.plane(heatmap, x - int(x), 0.5)
        nose = toy.plane(heatmap, x - int(x) + 1.5, 0.5 - 0.25)
        if how == "coast" and time >= 8:
            detections = propagator.coast()
        else:
            detections = propagator(heatmap, offset, toy.plane(heatmap, 6.0, 6.0), extras={"nose": nose}).detections
        [found] = detections.unpad()
        centre = (found["boxes"][0, :2] + found["boxes"][0, 2:]) / 8
        assert centre.tolist() == pytest.approx([x, 4.5], abs=1e-6)
        assert (found["cells"] + found["extras"]["nose"])[0].tolist() == pytest.approx([x + 1.5, 4.25], abs=1e-6)


def test_two_who_swap_places_keep_their_own_extras_with_a_memory_of_identities():
    """Two people walk past each other, each with a look of its own; each look stays with the identity that had it."""
    propagator = HeatmapPropagator.steady(remember={"look": ("last", 1)})
    looks = {}
    for time in range(18):
        places = {(0, 3, 4 + time): 0.9, (0, 5, 20 - time): 0.8}
        heatmap = toy.spots((1, 9, 26), places)
        look = torch.zeros_like(heatmap)
        for (_, y, x), value in zip(places, (1.0, 2.0), strict=True):
            look[0, 0, y, x] = value
        output = propagator(heatmap, toy.plane(heatmap, 0.5, 0.5), toy.plane(heatmap, 3.0, 3.0), extras={"look": look})
        [found] = output.detections.unpad()
        for track_id, value in zip(found["track_ids"].tolist(), found["extras"]["look"][:, 0].tolist(), strict=True):
            looks.setdefault(track_id, []).append(value)
    assert sorted(looks.values()) == [[1.0] * 18, [2.0] * 18]


# --- laws -------------------------------------------------------------------------------------------------------------


@few_examples
@given(seed=SEEDS, options=OPTIONS, identity=st.sampled_from(["square", "memory"]))
def test_remembering_changes_nothing_but_the_extras(seed, options, identity):
    maps, options = crowd(seed, shape=(2, 8, 9), density=0.4, dtype=torch.float32), options | {"identity": identity}
    plain, mindful = HeatmapPropagator(**options), HeatmapPropagator(**options, remember=REMEMBER)
    for time in range(5):
        one, other = (toy.feed(propagator, toy.frame(maps, time)) for propagator in (plain, mindful))
        assert torch.equal(one.heatmap, other.heatmap)
        for name, value in one.detections._asdict().items():
            assert name == "extras" or torch.equal(value, getattr(other.detections, name)), name
        assert torch.equal(one.detections.extras["other"].nan_to_num(), other.detections.extras["other"].nan_to_num())
        for name, value in plain.state._asdict().items():
            assert name in ("extras", "has_extras") or torch.equal(value, getattr(mindful.state, name)), name


@few_examples
@given(seed=SEEDS, options=OPTIONS, identity=st.sampled_from(["square", "memory"]))
def test_what_is_remembered_is_finite_blends_lie_between_and_padding_is_0(seed, options, identity):
    maps = crowd(seed, shape=(2, 8, 9), density=0.4, dtype=torch.float32)
    propagator = HeatmapPropagator(**options, identity=identity, remember=REMEMBER)
    for time in range(6):
        found = toy.feed(propagator, toy.frame(maps, time)).detections
        for name in REMEMBER:
            assert found.extras[name].isfinite().all()
            assert not found.extras[name][~found.valid].any()
        assert ((found.extras["depth"] >= 0) & (found.extras["depth"] <= 1)).all()  # as in all maps
        state = propagator.state
        assert state.extras.isfinite().all()
        assert not state.has_extras[~state.valid].any()


@few_examples
@given(seed=SEEDS, options=OPTIONS, identity=st.sampled_from(["square", "memory"]))
def test_a_batch_equals_its_streams_apart_and_a_chunk_its_frames(seed, options, identity):
    maps = crowd(seed, batch=2, shape=(2, 8, 9), density=0.4, dtype=torch.float32)
    options = options | {"identity": identity, "remember": REMEMBER}
    chunk = HeatmapPropagator(**options).forward_chunk(*maps[:3], extras=maps.extras).detections.extras
    for stream in range(2):
        alone = HeatmapPropagator(**options)
        for time in range(6):
            found = toy.feed(alone, toy.frame(maps.stream(stream), time)).detections.extras
            for name, value in found.items():
                assert torch.equal(value[0].nan_to_num(), chunk[name][stream, time].nan_to_num()), name


# --- state, devices, graphs -------------------------------------------------------------------------------------------


def test_reset_forgets_extras_of_a_stream():
    propagator, maps, _ = toy.fed(remember={"depth": ("last", 1)})
    propagator.reset(0)
    assert not propagator.state.extras[0].any()
    assert propagator.state.extras[1].any()
    assert propagator.state.has_extras[1].any()
    dark = maps._replace(heatmap=torch.zeros_like(maps.heatmap))
    assert toy.feed(propagator, dark).detections.extras["depth"][1].any()


def test_a_state_goes_on_elsewhere_with_its_extras_and_without_them():
    propagator, maps, _ = toy.fed(remember={"depth": ("last", 1)})
    dark = maps._replace(heatmap=torch.zeros_like(maps.heatmap), extras=None)
    state = pickle.loads(pickle.dumps(propagator.state))
    expected = toy.feed(propagator, dark).detections
    other = HeatmapPropagator(remember={"depth": ("last", 1)})
    other.state = state
    assert torch.equal(toy.feed(other, dark).detections.extras["depth"], expected.extras["depth"])
    assert expected.extras["depth"].any()
    other.state = type(state)(*state[:9])
    assert not toy.feed(other, dark).detections.extras["depth"].any()


def test_the_state_without_extras_takes_at_most_16_kb_a_stream():
    state = toy.fed(dtype=torch.float32, identity="memory", velocity=True)[0].state
    assert sum(field.numel() * field.element_size() for field in state) / 2 <= 16_384
    assert state.extras.shape == (2, 100, 0)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"extras": torch.zeros(2, 100)}, ValueError, "state.extras must have shape"),
        ({"extras": torch.zeros(2, 99, 1)}, ValueError, r"state.extras must have shape \(2, 100, 1\)"),
        ({"extras": torch.zeros(2, 100, 2)}, ValueError, "state holds 2 numbers of 1 extras"),
        ({"extras": torch.full((2, 100, 1), math.nan)}, ValueError, "state.extras must be finite"),
        ({"extras": torch.full((2, 100, 1), -3e38)}, ValueError, "state.extras must be below 1e38"),
        ({"extras": torch.zeros(2, 100, 1, dtype=torch.int64)}, TypeError, "state.extras must hold floating"),
        ({"has_extras": torch.zeros(2, 100, 1)}, TypeError, "state.has_extras must be a bool tensor"),
        ({"extras": None}, ValueError, "state holds 0 numbers of 1 extras"),
    ],
)
def test_a_state_with_other_extras_is_refused(change, error, message):
    propagator, _, _ = toy.fed(remember={"depth": ("blend", 1)})
    before = propagator.state
    with pytest.raises(error, match=message):
        propagator.state = before._replace(**change)
    assert propagator.state.extras is before.extras


@devices
def test_remembering_reads_no_value_and_stays_on_the_device(device, monkeypatch):
    """A tensor made from Python numbers is a copy that waits for a GPU; fake devices let it pass."""

    def refuse(*_, **__):
        raise AssertionError("a tensor is made from Python numbers")

    with on(device):
        maps = [torch.empty(2, depth, 12, 10, device=device) for depth in (3, 2, 2)]
        extras = {name: torch.empty(2, depth, 12, 10, device=device) for name, (_, depth) in REMEMBER.items()}
        propagator = HeatmapPropagator.steady(remember=REMEMBER)
        for owner, name in ((torch, "tensor"), (torch, "as_tensor"), (torch.Tensor, "new_tensor")):
            monkeypatch.setattr(owner, name, refuse)
        for given in (extras, extras, {}):
            found = propagator(*maps, extras=given).detections
        for value in (*found.extras.values(), *propagator.coast(2).extras.values(), *propagator.state):
            assert value.device.type == device


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_remembered_extras_have_the_precision_of_the_scores(dtype):
    propagator, _, output = toy.fed(dtype=dtype, remember={"depth": ("blend", 1)})
    wide = torch.promote_types(dtype, torch.float32)
    assert output.detections.extras["depth"].dtype == propagator.state.extras.dtype == wide
    assert propagator.coast().extras["depth"].dtype == wide


def test_gradients_flow_through_what_is_remembered():
    first, second = (torch.rand(1, 2, 7, 9, dtype=torch.float64, requires_grad=True) for _ in range(2))
    heatmap = toy.spots((1, 7, 9), {(0, 3, 4): 0.5})
    propagator = HeatmapPropagator(remember={"rot": ("angle", 2)})
    state, _ = propagator.step(None, heatmap, extras={"rot": first})
    _, output = propagator.step(state, heatmap, extras={"rot": second})
    output.detections.extras["rot"].sum().backward()
    for leaf in (first, second):
        assert leaf.grad.isfinite().all()
        assert leaf.grad[0, :, 3, 4].any()
