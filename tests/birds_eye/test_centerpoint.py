"""CenterPoint's heads against `CenterHead.predict`, written down again in plain numpy, for nuScenes' six tasks."""

import math

import numpy as np
import pytest
import torch

from heatprop import HeatmapPropagator, adapters
from heatprop.birds_eye import (
    BirdsEyeGrid,
    CircleSuppression,
    GroupedPropagator,
    RotatedSuppression,
    ego_shift,
    metric_boxes,
    rotated_iou,
)

TASKS = (1, 2, 2, 1, 2, 2)
MIN_RADIUS = (4, 12, 10, 1, 0.85, 0.175)
ROWS, COLUMNS = 24, 32
GRID = BirdsEyeGrid(voxel_size=(0.2, 0.2), start=(-12.8, -9.6), voxels_per_cell=4)
LIMITS = (-11.0, -8.0, -2.0, 11.0, 8.0, 2.0)
THRESHOLD = 0.1


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(5)


def random_heads(batch=2, *, velocity=True):
    heads = []
    for classes in TASKS:
        task = {
            "reg": torch.rand(batch, 2, ROWS, COLUMNS),
            "height": torch.randn(batch, 1, ROWS, COLUMNS),
            "dim": torch.randn(batch, 3, ROWS, COLUMNS) * 0.4 + 0.5,
            "rot": torch.randn(batch, 2, ROWS, COLUMNS),
            "hm": torch.randn(batch, classes, ROWS, COLUMNS) * 1.5 - 3.5,
        }
        if velocity:
            task["vel"] = torch.randn(batch, 2, ROWS, COLUMNS)
        heads.append(task)
    return heads


# --- the original, in loops -------------------------------------------------------------------------------------------


def corners(box):
    """Of (x, y, dim 0, dim 1, yaw): pcdet's box has dim 1 along its heading, which is -yaw - pi / 2."""
    x, y, width, length, yaw = box
    heading = -yaw - math.pi / 2
    along, across = np.array([math.cos(heading), math.sin(heading)]), np.array([-math.sin(heading), math.cos(heading)])
    signs = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    return [np.array([x, y]) + i * along * length / 2 + j * across * width / 2 for i, j in signs]


def area(polygon):
    return 0.5 * sum(
        first[0] * second[1] - first[1] * second[0]
        for first, second in zip(polygon, polygon[1:] + polygon[:1], strict=True)
    )


def clip(polygon, start, end):
    """Sutherland and Hodgman: what lies left of a line."""
    result = []
    for first, second in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        edge = end - start
        sides = [edge[0] * (p - start)[1] - edge[1] * (p - start)[0] for p in (first, second)]
        if sides[0] >= 0:
            result.append(first)
        if sides[0] * sides[1] < 0:
            result.append(first + (second - first) * sides[0] / (sides[0] - sides[1]))
    return result


def iou(one, other):
    common, clipper = corners(one), corners(other)
    for start, end in zip(clipper, clipper[1:] + clipper[:1], strict=True):
        common = clip(common, start, end) if common else []
    inter = area(common) if len(common) > 2 else 0.0
    return inter / (one[2] * one[3] + other[2] * other[3] - inter)


def iou_above(one, other, threshold):
    return iou(one, other) > threshold


def squared_distance_within(one, other, threshold):
    return (one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2 <= threshold


def greedy(boxes, threshold, suppresses):
    """The places that are kept, of boxes by falling score."""
    kept = []
    for place, box in enumerate(boxes):
        if not any(suppresses(boxes[better], box, threshold) for better in kept):
            kept.append(place)
    return kept


def predict(heads, stream, nms, *, before_nms=False):
    """`predict` and `post_processing`: [(score, label, box of 9)] by task, each by falling score."""
    result, flag = [], 0
    for number, task in enumerate(heads):
        maps = {name: value[stream].double().numpy() for name, value in task.items()}
        found, all_scores = [], 1 / (1 + np.exp(-maps["hm"]))
        for y in range(ROWS):
            for x in range(COLUMNS):
                scores = all_scores[:, y, x]
                label = int(scores.argmax())
                if scores[label] <= THRESHOLD:
                    continue
                metres_x = (x + maps["reg"][0, y, x]) * 4 * 0.2 - 12.8
                metres_y = (y + maps["reg"][1, y, x]) * 4 * 0.2 - 9.6
                yaw = math.atan2(maps["rot"][0, y, x], maps["rot"][1, y, x])
                velocity = list(maps["vel"][:, y, x]) if "vel" in maps else []
                size = list(np.exp(maps["dim"][:, y, x]))
                box = [metres_x, metres_y, maps["height"][0, y, x], *size, *velocity, yaw]
                inside = all(
                    low <= value <= high for low, value, high in zip(LIMITS[:3], box, LIMITS[3:], strict=False)
                )
                if inside:
                    found.append((scores[label], label + flag, box, (number, x, y)))
        found.sort(key=lambda one: -one[0])
        flag += len(maps["hm"])
        if before_nms:
            result.append(found)
            continue
        if nms == "circle":
            kept = greedy([one[2][:2] for one in found], MIN_RADIUS[number], squared_distance_within)[:83]
        else:
            found = found[:60]
            kept = greedy([(*one[2][:2], *one[2][3:5], one[2][-1]) for one in found], 0.2, iou_above)[:10]
        result.append([found[place] for place in kept])
    return result


def grouped(nms, *, top_k=ROWS * COLUMNS, **options):
    settings = {"top_k": top_k, "score_threshold": THRESHOLD, "nms_threshold": 1.0, "peak_kernel": 1, "stride": 4}
    propagators = [HeatmapPropagator(**(settings | options)) for _ in TASKS]
    suppressions = {
        "circle": [CircleSuppression(GRID, radius, limit=83) for radius in MIN_RADIUS],
        "rotated": [RotatedSuppression(GRID, 0.2, limit=10)] * len(TASKS),
        None: None,
    }[nms]
    return GroupedPropagator(propagators, classes=TASKS, suppressions=suppressions)


# --- the comparison ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nms", "top_k", "velocity"),
    [("circle", ROWS * COLUMNS, True), ("circle", ROWS * COLUMNS, False), ("rotated", 60, True)],
)
def test_the_first_frame_gives_the_set_of_predict(nms, top_k, velocity):
    """``nms_pre_max_size`` is ``top_k``; circle NMS has none. Beyond 60 boxes a task the rotated one is cut."""
    heads = random_heads(velocity=velocity)
    adapter = adapters.centerpoint(tasks=TASKS, grid=GRID, limits=LIMITS, best_class=True)
    found = grouped(nms, top_k=top_k)(adapter((heads, "features"))).detections
    boxes = metric_boxes(found, GRID)
    for stream in range(2):
        expected = sorted((one for task in predict(heads, stream, nms) for one in task), key=lambda one: -one[0])
        count = int(found.valid[stream].sum())
        assert count == len(expected)
        assert count > 30
        assert stream or count < sum(map(len, predict(heads, stream, nms, before_nms=True))), "NMS takes some"
        assert found.valid[stream, :count].all()
        assert found.labels[stream, :count].tolist() == [label for _, label, _, _ in expected]
        np.testing.assert_allclose(found.scores[stream, :count], [score for score, *_ in expected], atol=1e-6)
        np.testing.assert_allclose(boxes[stream, :count], [box for _, _, box, _ in expected], atol=1e-4)


def test_more_cells_than_top_k_are_there():
    """Else the comparison above would say nothing about the cut."""
    counts = [len(task) for task in predict(random_heads(), 0, None, before_nms=True)]
    assert max(counts) > 60


def test_our_defaults_give_a_subset_of_its_cells_before_nms():
    heads = random_heads()
    adapter = adapters.centerpoint(tasks=TASKS, grid=GRID, limits=LIMITS)
    output = grouped(None, top_k=100, nms_threshold=0.3, peak_kernel=None)(adapter(heads))
    for stream in range(2):
        cells = [{one[3] for one in task} for task in predict(heads, stream, None, before_nms=True)]
        for number, group in enumerate(output.groups):
            found = group.detections.stream(stream)
            ours = {(number, x, y) for x, y in found.cells[0][found.valid[0]].tolist()}
            assert ours
            assert ours <= cells[number]
            assert len(ours) < len(cells[number])


# --- turned boxes -----------------------------------------------------------------------------------------------------


def random_boxes(count, spread):
    place, sides = (torch.rand(count, 2) - 0.5) * spread, torch.rand(count, 2) * 4 + 0.1
    return torch.cat([place + 40, sides, (torch.rand(count, 1) - 0.5) * 20], dim=1)


@pytest.mark.parametrize("spread", [1.0, 6.0, 40.0])
def test_rotated_iou_equals_clipped_polygons(spread):
    boxes = random_boxes(30, spread)
    expected = [[iou(one, other) for other in boxes.double().tolist()] for one in boxes.double().tolist()]
    np.testing.assert_allclose(rotated_iou(boxes[None])[0].numpy(), expected, atol=2e-4)


@pytest.mark.parametrize("yaw", [0.0, 0.3, math.pi / 2, -2.0])
def test_rotated_iou_of_boxes_that_share_edges(yaw):
    """Equal, half of it along an edge, side by side, within with one edge in common."""
    turn = torch.tensor([[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]])
    rows = [(0.0, 0, 4, 2), (0.0, 0, 4, 2), (1.0, 0, 2, 2), (4.0, 0, 4, 2), (1.0, 0.5, 2, 1), (0.0, 0, 4, 2)]
    boxes = torch.tensor([(*(torch.tensor([x, y]) @ turn).tolist(), w, h, yaw) for x, y, w, h in rows])
    boxes[5, 4] += math.pi  # the same rectangle
    ious = rotated_iou(boxes[None])[0]
    np.testing.assert_allclose(ious[0], [1, 1, 0.5, 0, 0.25, 1], atol=2e-4)
    np.testing.assert_allclose(ious, ious.T, atol=2e-4)


def test_rotated_iou_of_boxes_without_area_suppresses_nothing():
    ious = rotated_iou(torch.tensor([[[0.0, 0, 0, 0, 0], [0, 0, 2, 2, 0]]]))
    assert not (ious[0, 0] > 0.1).any()


# --- the adapter ------------------------------------------------------------------------------------------------------


def test_the_upright_box_holds_the_corners_of_the_turned_one():
    heads = random_heads(1)
    maps = adapters.centerpoint(tasks=TASKS, grid=GRID)(heads)[1]
    for y, x in ((3, 5), (20, 30), (11, 0)):
        sides = heads[1]["dim"][0, :2, y, x].double().exp().tolist()
        yaw = math.atan2(*heads[1]["rot"][0, :, y, x].tolist())
        points = np.array(corners((0, 0, *sides, yaw)))
        np.testing.assert_allclose(maps.size[0, :, y, x], (points.max(0) - points.min(0)) / 0.8, atol=1e-4)


def test_without_logits_the_scores_stay():
    heads = random_heads(1)
    after = [task | {"hm": task["hm"].sigmoid()} for task in heads]
    expected = adapters.centerpoint(tasks=TASKS)(heads)
    ours = adapters.centerpoint(tasks=TASKS, logits=False)(after)
    assert all(torch.equal(one.heatmap, other.heatmap) for one, other in zip(ours, expected, strict=True))


def test_a_turn_that_is_not_finite_leaves_a_cell_unseen():
    heads = random_heads(1)
    heads[0]["rot"][0, 0, 4, 4] = torch.nan
    heads[0]["dim"][0, 0, 5, 5] = 200  # exp overflows
    maps = adapters.centerpoint(tasks=TASKS)(heads)[0]
    assert not maps.size[0, :, 4, 4].isfinite().any()
    assert not maps.size[0, :, 5, 5].isfinite().all()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (None, "got NoneType"),
        ([torch.zeros(1, 2, 4, 4)], "got list of 1"),
        (random_heads(1)[:5], r"expects tasks of \(1, 2, 2, 1, 2, 2\) classes, got \(1, 2, 2, 1, 2\); set tasks="),
        ([{"hm": torch.zeros(1, n, 4, 4)} for n in TASKS], r"'reg' \(B, 2, H, W\).*'vel' \(B, 2, H, W\) if any"),
    ],
)
def test_other_outputs_are_refused(raw, message):
    with pytest.raises((TypeError, ValueError), match=rf"^adapters\.centerpoint expects.*{message}|{message}"):
        adapters.centerpoint(tasks=TASKS)(raw)


@pytest.mark.parametrize("options", [{"tasks": ()}, {"tasks": (1, 0)}, {"tasks": (1,), "limits": (0, 1)}])
def test_options_that_mean_nothing_are_refused(options):
    with pytest.raises(ValueError, match="must"):
        adapters.centerpoint(**options)


# --- the car's motion -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [3, 4])
def test_ego_shift_takes_cells_where_points_go_in_metres(size):
    grid = BirdsEyeGrid(voxel_size=(0.1, 0.25), start=(-30.0, -20.0), voxels_per_cell=8)
    angle, move = 0.2, np.array([1.5, -0.7])
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    motion = np.eye(size)
    motion[:2, :2], motion[:2, -1] = turn, move
    shift = ego_shift(torch.from_numpy(motion)[None], grid)[0].numpy()
    for point in np.array([[0.0, 0.0], [12.0, -7.0], [-30.0, 18.0]]):
        before, after = (
            (where - np.array([-30.0, -20.0])) / np.array([0.8, 2.0]) for where in (point, turn @ point + move)
        )
        np.testing.assert_allclose(shift @ np.append(before, 1), after, atol=1e-9)


def test_ego_shift_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"motion must have shape \(B, 4, 4\) or \(B, 3, 3\), got \(4, 4\)"):
        ego_shift(torch.eye(4), GRID)
