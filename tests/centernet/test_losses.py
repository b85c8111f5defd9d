"""Losses against loops over cells, their gradients, and what autocast and empty batches do to them."""

import numpy as np
import pytest
import torch
from centernet_oracles import oracle_focal, oracle_l1
from devices import devices, on
from torch.testing import assert_close

from heatprop import HeadMaps
from heatprop.centernet import (
    CenterNetLoss,
    Counts,
    PenaltyReducedFocalLoss,
    Targets,
    count_targets,
    make_targets,
    masked_l1,
    penalty_reduced_focal_loss,
)


def make_case(seed=0, *, images=2, objects=4, dtype=torch.float64, device="cpu"):
    """Maps as a network gives them in training, and targets; the last place of each image is padding."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-4, 40, (images, objects, 2))
    boxes = torch.from_numpy(np.concatenate([corner, corner + rng.uniform(4, 30, (images, objects, 2))], axis=-1))
    labels = torch.from_numpy(rng.integers(0, 3, (images, objects)))
    valid = torch.arange(objects).expand(images, objects) < objects - 1
    targets = make_targets(boxes, labels, valid, num_classes=3, shape=(10, 12))
    logits, offset, size = (torch.from_numpy(rng.normal(0, 6, (images, D, 10, 12))) for D in (3, 2, 2))
    maps = HeadMaps(logits.sigmoid(), offset, size, {"logits": logits})
    return maps, targets


@pytest.mark.parametrize("seed", range(4))
def test_the_focal_loss_matches_the_loop_oracle(seed):
    maps, targets = make_case(seed)
    expected = oracle_focal(maps.extras["logits"].numpy(), targets.heatmap.numpy())
    actual = PenaltyReducedFocalLoss()(maps.extras["logits"], targets.heatmap)
    assert actual.item() == pytest.approx(expected, rel=1e-9)
    narrow = penalty_reduced_focal_loss(maps.extras["logits"].float(), targets.heatmap.float())
    assert narrow.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_the_l1_matches_the_loop_oracle(seed):
    maps, targets = make_case(seed)
    for field, target in ((maps.size, targets.size), (maps.offset, targets.offset)):
        actual = masked_l1(field, targets.index, target, targets.valid)
        expected = oracle_l1(field.numpy(), targets.index.numpy(), target.numpy(), targets.valid.numpy())
        assert actual.item() == pytest.approx(expected, rel=1e-9)


def test_the_whole_loss_is_the_weighted_sum_of_its_parts():
    maps, targets = make_case()
    losses = CenterNetLoss()(maps, targets)
    parts = [
        oracle_focal(maps.extras["logits"].numpy(), targets.heatmap.numpy()),
        *(
            oracle_l1(field.numpy(), targets.index.numpy(), target.numpy(), targets.valid.numpy())
            for field, target in ((maps.size, targets.size), (maps.offset, targets.offset))
        ),
    ]
    assert [loss.item() for loss in losses[1:]] == pytest.approx(parts, rel=1e-9)
    assert losses.total.item() == pytest.approx(parts[0] + 0.1 * parts[1] + parts[2], rel=1e-9)
    other = CenterNetLoss(heatmap_weight=2, size_weight=0.5, offset_weight=0)(maps, targets)
    assert other.total.item() == pytest.approx(2 * parts[0] + 0.5 * parts[1], rel=1e-9)


@pytest.mark.parametrize("objects", [1, 3])
def test_a_batch_of_background_is_not_divided_and_pulls_on_the_heatmap_alone(objects):
    maps, targets = make_case()
    boxes = torch.zeros(2, objects, 4, dtype=torch.float64)
    none = torch.zeros(2, objects, dtype=torch.bool)
    targets = make_targets(boxes, none.long(), none, num_classes=3, shape=(10, 12))
    leaves = [tensor.clone().requires_grad_() for tensor in (maps.extras["logits"], maps.offset, maps.size)]
    losses = CenterNetLoss()(HeadMaps(leaves[0].sigmoid(), *leaves[1:], {"logits": leaves[0]}), targets)
    p = 1 / (1 + np.exp(-leaves[0].detach().numpy()))
    p = np.clip(p, 1e-4, 1 - 1e-4)
    assert losses.heatmap.item() == pytest.approx(-(p**2 * np.log(1 - p)).sum(), rel=1e-9)
    assert losses.size.item() == losses.offset.item() == 0
    losses.total.backward()
    assert leaves[0].grad.isfinite().all()
    assert leaves[0].grad.any()
    assert not leaves[1].grad.any()
    assert not leaves[2].grad.any()


def test_gradients_are_those_of_differences():
    maps, targets = make_case(images=1)
    logits = (maps.extras["logits"] / 4).requires_grad_()  # inside of the clamp
    offset, size = (field.clone().requires_grad_() for field in (maps.offset, maps.size))

    def total(logits, offset, size):
        return CenterNetLoss()(HeadMaps(logits.sigmoid(), offset, size, {"logits": logits}), targets).total

    assert torch.autograd.gradcheck(total, (logits, offset, size), fast_mode=True)


def test_scores_are_clamped_and_give_no_gradient_there():
    logits = torch.tensor([[[[80.0, -80.0], [80.0, -80.0]]]], requires_grad=True)
    target = torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]]])
    loss = penalty_reduced_focal_loss(logits, target)
    wrong = (1 - 1e-4) ** 2 * np.log(1e-4)
    assert loss.item() == pytest.approx(-wrong, rel=1e-3)  # both wrong ones, divided by two centres
    loss.backward()
    assert not logits.grad.any()


def test_l1_moves_the_centres_only():
    maps, targets = make_case()
    size = maps.size.clone().requires_grad_()
    masked_l1(size, targets.index, targets.size, targets.valid).backward()
    touched = {(image, cell) for image, _, cell in size.grad.flatten(2).nonzero().tolist()}
    wanted = {(image, int(targets.index[image, place])) for image, place in targets.valid.nonzero().tolist()}
    assert touched == wanted


def test_what_is_not_finite_at_padding_does_no_harm():
    field, index = torch.zeros(1, 2, 3, 3), torch.tensor([[4, 0]])
    field[0, :, 0, 0] = float("nan")
    field.requires_grad_()
    target = torch.ones(1, 2, 2)
    loss = masked_l1(field, index, target, torch.tensor([[True, False]]))
    loss.backward()
    assert loss.item() == 1
    assert field.grad.isfinite().all()


def test_halves_with_the_mean_counts_give_the_loss_and_gradient_of_the_whole():
    """What several processes do: each has a part of the batch, gradients are averaged."""
    maps, targets = make_case(images=2)
    targets = targets._replace(valid=targets.valid & torch.tensor([[True], [False]]))  # one half has no objects
    targets.heatmap[1] = targets.heatmap[1].clamp(max=0.9)
    logits = maps.extras["logits"].clone().requires_grad_()

    def loss(rows, counts=None):
        part = HeadMaps(maps.heatmap[rows], maps.offset[rows], maps.size[rows], {"logits": logits[rows]})
        return CenterNetLoss()(part, Targets(*(field[rows] for field in targets)), counts=counts).total

    whole = loss(slice(0, 2))
    (expected,) = torch.autograd.grad(whole, logits)
    counts = Counts(*(count / 2 for count in count_targets(targets)))
    assert 0 < counts.peaks < 2
    halves = (loss(slice(0, 1), counts) + loss(slice(1, 2), counts)) / 2
    (actual,) = torch.autograd.grad(halves, logits)
    assert_close(halves, whole)
    assert_close(actual, expected)


def test_a_mean_count_below_one_divides_too():
    logits, target = torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    full = penalty_reduced_focal_loss(logits, target)
    assert penalty_reduced_focal_loss(logits, target, peaks=torch.tensor(0.25)).item() == 4 * full.item()
    assert penalty_reduced_focal_loss(logits, target, peaks=torch.tensor(0.0)).item() == full.item()


def test_two_objects_in_one_cell_are_one_peak_and_two_objects():
    boxes = torch.tensor([[[0.0, 0.0, 16.0, 16.0]] * 2])
    targets = make_targets(boxes, torch.zeros(1, 2).long(), torch.ones(1, 2).bool(), num_classes=2, shape=(8, 8))
    assert [count.item() for count in count_targets(targets)] == [1, 2]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_maps_are_compared_in_float32(dtype):
    maps, targets = make_case()
    half = HeadMaps(*(field.to(dtype) for field in maps[:3]), {"logits": maps.extras["logits"].to(dtype)})
    same = HeadMaps(*(field.float() for field in half[:3]), {"logits": half.extras["logits"].float()})
    losses = CenterNetLoss()(half, targets)
    assert {loss.dtype for loss in losses} == {torch.float32}
    assert_close(torch.stack(losses), torch.stack(CenterNetLoss()(same, targets)), atol=0, rtol=0)


def test_autocast_changes_nothing():
    maps, targets = make_case()
    maps = HeadMaps(*(field.bfloat16() for field in maps[:3]), {"logits": maps.extras["logits"].bfloat16()})
    expected = CenterNetLoss()(maps, targets)
    with torch.autocast("cpu", torch.bfloat16):
        actual = CenterNetLoss()(maps, targets)
    assert {loss.dtype for loss in actual} == {torch.float32}
    assert torch.equal(torch.stack(actual), torch.stack(expected))


@devices
def test_losses_read_no_value_and_stay_on_the_device(device):
    with on(device):
        heatmap = torch.empty(2, 3, 8, 10, device=device)
        pair = torch.empty(2, 2, 8, 10, device=device)
        box = torch.empty(2, 5, 2, device=device)
        index = torch.empty(2, 5, dtype=torch.int64, device=device)
        targets = Targets(heatmap, index, box, box, index.bool())
        maps = HeadMaps(heatmap, pair, pair, {"logits": heatmap})
        for losses in (CenterNetLoss()(maps, targets), CenterNetLoss()(maps, targets, counts=count_targets(targets))):
            assert {loss.device.type for loss in losses} == {device}
            assert {loss.shape for loss in losses} == {()}


def test_the_loss_compiles_to_one_graph():
    maps, targets = make_case(dtype=torch.float32)
    loss = CenterNetLoss()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    assert_close(torch.stack(compiled(maps, targets)), torch.stack(loss(maps, targets)))


def test_losses_say_what_must_hold():
    maps, targets = make_case()
    for broken in (maps._replace(extras=None), maps._replace(extras={}), maps._replace(size=None)):
        with pytest.raises(ValueError, match=r'maps must have offset, size and extras\["logits"\]'):
            CenterNetLoss()(broken, targets)
    with pytest.raises(ValueError, match=r"logits and heatmap must share one shape, got \(2, 3, 10, 12\) and \(2, 3"):
        penalty_reduced_focal_loss(maps.extras["logits"], targets.heatmap[..., 1:])
    with pytest.raises(ValueError, match=r"needs index and valid \(B, N\) and target \(B, N, D\)"):
        masked_l1(maps.size, targets.index, targets.size[:, 1:], targets.valid)
    with pytest.raises(ValueError, match="size_weight must be at least 0, got -1"):
        CenterNetLoss(size_weight=-1)
