"""Random calls of heatprop's functions: geometry, suppression, what works on finished videos, adapters, evaluation."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import fuzz_laws as laws
import fuzz_values as fuzz
import numpy as np
import torch
from fuzz_calls import Call, options_of

import heatprop
from heatprop import Detections, HeadMaps, HeatmapPropagator, adapters, evaluation


def function_episode(random: Random) -> Iterator[Call]:
    """Calls of functions of one frame."""
    makers = (_peaks, _top_k, _boxes, _iou, _nms)
    for _ in range(random.randint(3, 8)):
        yield random.choice(makers)(random)


def _peaks(random: Random) -> Call:
    heatmap = fuzz.tensor_of(random, fuzz.shape_of_maps(random))
    kernel = (
        random.choice((1, 3, 5, 99)) if fuzz.chance(random, 0.85) else random.choice((0, 2, -1, 1.5, "3", None, True))
    )
    function = random.choice((heatprop.find_peaks, heatprop.window_maximum))

    def law(found: torch.Tensor) -> None:
        assert (found.shape, found.dtype) == (heatmap.shape, heatmap.dtype)

    return Call(function.__name__, lambda: function(heatmap, kernel=kernel), law)


def _top_k(random: Random) -> Call:
    peaks = fuzz.tensor_of(random, fuzz.shape_of_maps(random))
    k = random.choice((1, 5, 1000)) if fuzz.chance(random, 0.85) else random.choice((0, -1, 1.5, "3", None, True))

    def law(found: tuple[torch.Tensor, torch.Tensor]) -> None:
        scores, index = found
        assert tuple(scores.shape) == tuple(index.shape) == (len(peaks), k)
        if not index.is_meta:
            assert bool(((index >= 0) & (index < peaks[0].numel())).all())

    return Call("top_k", lambda: heatprop.top_k(peaks, k), law)


def _boxes(random: Random) -> Call:
    lead = random.choice(((3,), (2, 4), ()))
    cells = torch.randint(9, (*lead, 2)) if fuzz.chance(random, 0.7) else fuzz.tensor_of(random, (*lead, 2), top=9.0)
    offset, size = (fuzz.tensor_of(random, (*lead, 2), top=3.0) for _ in range(2))
    stride = fuzz.number(random, 1, 8)

    def law(boxes: torch.Tensor) -> None:
        assert tuple(boxes.shape) == (*lead, 4)

    return Call("decode_boxes", lambda: heatprop.decode_boxes(cells, offset, size, stride=stride), law)


def _iou(random: Random) -> Call:
    B, K = random.choice((1, 2)), random.choice((0, 1, 5))
    boxes = fuzz.tensor_of(random, (B, K, 4), top=9.0)
    others = fuzz.maybe(random, fuzz.tensor_of(random, (B, random.choice((0, 1, 3)), 4), top=9.0))

    def law(found: torch.Tensor) -> None:
        assert tuple(found.shape) == (*boxes.shape[:2], boxes.shape[1] if others is None else others.shape[1])

    return Call("pairwise_iou", lambda: heatprop.pairwise_iou(boxes, others), law)


def _nms(random: Random) -> Call:
    B, K = random.choice((1, 2)), random.choice((0, 1, 5, 5, 301))
    boxes, scores = fuzz.tensor_of(random, (B, K, 4), top=9.0), fuzz.tensor_of(random, (B, K))
    labels = torch.randint(2, (B, K)) if fuzz.chance(random, 0.9) else fuzz.tensor_of(random, (B, K), odd=0.8)
    valid = fuzz.maybe(random, torch.rand(B, K) < 0.7)
    if fuzz.chance(random, 0.05):
        valid = fuzz.tensor_of(random, (B, K), odd=0.8)
    threshold = fuzz.number(random, 0, 1)

    def law(kept: torch.Tensor) -> None:
        assert (tuple(kept.shape), kept.dtype) == ((B, K), torch.bool)

    return Call("nms", lambda: heatprop.nms(boxes, scores, labels, valid, iou_threshold=threshold), law)


def offline_episode(random: Random) -> Iterator[Call]:
    """Both directions, and Seq-NMS on what a propagator found."""
    _, *shape = fuzz.shape_of_maps(random)
    count = random.randint(1, 5)
    maps = fuzz.maps_of(random, (count,), tuple(shape), odd=0.03)
    whole: Any = HeadMaps(maps["heatmap"], maps.get("offset"), maps.get("size"), maps.get("extras"))
    if fuzz.chance(random, 0.3):
        frames = [fuzz.maps_of(random, (1,), tuple(shape), odd=0.02) for _ in range(count)]
        whole = [HeadMaps(one["heatmap"], one.get("offset"), one.get("size"), one.get("extras")) for one in frames]
    if fuzz.chance(random, 0.04):
        whole = random.choice(fuzz.STRANGERS)
    propagator = HeatmapPropagator(**options_of(random, odd=0))
    keywords: dict[str, Any] = {"cuts": random.choice(((), {1}, [0, 99]))}
    if fuzz.chance(random, 0.2):
        keywords["shifts"] = [fuzz.tensor_of(random, (1, *random.choice(((2,), (2, 3))))) for _ in range(count)]
    if fuzz.chance(random, 0.3):
        keywords |= {"combine": random.choice(("mean", "maximum", "both")), "match_iou": fuzz.number(random, 0, 1)}

    def law(found: list[Detections]) -> None:
        for one in found:
            laws.check_detections(one, tuple(shape), (1, propagator.top_k))

    yield Call("two_pass", lambda: list(heatprop.two_pass(whole, propagator, **keywords)), law)
    yield from _seq_nms(random)


def _seq_nms(random: Random) -> Iterator[Call]:
    B, *shape = fuzz.shape_of_maps(random)
    T = random.randint(1, 5)
    heatmap = fuzz.values(random, (B, T, *shape))
    size = fuzz.values(random, (B, T, 2, *shape[1:]), top=4.0)
    found = HeatmapPropagator(top_k=9).forward_chunk(heatmap, size=size).detections
    on_meta = found.map(lambda field: field.to("meta"))
    if fuzz.chance(random, 0.25):
        name = random.choice([name for name in found._fields if name != "extras"])
        field = getattr(found, name)
        changed = fuzz.tensor_of(random, tuple(field.shape), odd=0.5)
        found = found._replace(**{name: changed})
    given: Any = found
    kind = random.randrange(8)
    if kind == 0:
        given = random.choice((*fuzz.STRANGERS, [], on_meta, [3], [None, None]))
    elif kind == 1 and all(isinstance(field, torch.Tensor) and field.dim() > 1 for field in found[:9]):
        given = found.frame(0)
    elif kind == 2 and all(isinstance(field, torch.Tensor) and field.shape[:2] == (B, T) for field in found[:9]):
        given = [found.frame(t) for t in range(T)]
    keywords = {"link_iou": fuzz.number(random, 0.1, 1), "nms_iou": fuzz.number(random, 0.1, 1)}
    keywords |= {"rescore": random.choice(("average", "maximum"))} if fuzz.chance(random, 0.9) else {"rescore": "sum"}
    yield Call("seq_nms_detections", lambda: heatprop.seq_nms_detections(given, **keywords), _seq_nms_law)


def _seq_nms_law(found: Any) -> None:
    frames = found if isinstance(found, list) else [found.frame(t) for t in range(found.valid.shape[1])]
    for one in frames:
        for ids, valid in zip(one.track_ids, one.valid, strict=True):
            assert len(set(ids[valid].tolist())) == int(valid.sum()), "two detections share an identity"
            assert bool((ids[~valid] == -1).all()), "padding has an identity"
        assert bool(one.scores.isfinite().all()), "a score is not finite"
        assert not bool(one.scores[~one.valid].any()), "padding has a score"


def adapter_episode(random: Random) -> Iterator[Call]:
    """Raw outputs of the detectors that there are adapters for, whole and damaged."""
    for _ in range(random.randint(2, 6)):
        name, make, channels = random.choice(_ADAPTERS)
        B, _, H, W = fuzz.shape_of_maps(random)
        raw: Any = {
            head: fuzz.tensor_of(random, (B, depth or random.choice((1, 3)), H, W), top=4.0, odd=0.04)
            for head, depth in channels.items()
        }
        if fuzz.chance(random, 0.2):
            raw = {head: value.float().detach().numpy() if _is_plain(value) else value for head, value in raw.items()}
        if fuzz.chance(random, 0.1):
            raw.pop(random.choice(tuple(raw)))
        if name in ("mmdet", "centerface", "ltrb"):
            raw = [[value] for value in raw.values()] if name == "mmdet" else tuple(raw.values())
        elif fuzz.chance(random, 0.3):
            raw = random.choice(([raw], [{}, raw], [], (raw, raw)))
        if fuzz.chance(random, 0.05):
            raw = random.choice(fuzz.STRANGERS)
        keywords = make(random)
        adapter = getattr(adapters, name)
        yield Call(f"adapters.{name}", _bound(adapter, raw, keywords), laws.check_maps)


def _bound(adapter: Callable[..., Any], raw: Any, keywords: dict) -> Callable[[], Any]:
    return lambda: (
        adapter(**keywords)(raw) if keywords else (adapter()(raw) if adapter is adapters.ltrb else adapter(raw))
    )


def _is_plain(value: object) -> bool:
    return (
        isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not (value.dtype.is_complex)
    )


def _logits(random: Random) -> dict[str, Any]:
    return {"logits": fuzz.chance(random, 0.5)} if fuzz.chance(random, 0.5) else {}


def _track_box(random: Random) -> dict[str, Any]:
    return _logits(random) | (
        {"box": random.choice(("wh", "ltrb", "ltrb_amodal", "boxes"))} if fuzz.chance(random, 0.5) else {}
    )


_ADAPTERS = (
    ("centernet", _logits, {"hm": None, "wh": 2, "reg": 2}),
    ("centertrack", _track_box, {"hm": None, "wh": 2, "reg": 2, "ltrb": 4, "ltrb_amodal": 4, "dep": 1}),
    ("mmdet", lambda random: {}, {"center_heatmap": None, "wh": 2, "offset": 2}),
    ("centerface", lambda random: {}, {"heatmap": 1, "scale": 2, "offset": 2, "landmarks": 10}),
    ("ltrb", _logits, {"heatmap": None, "distances": 4}),
)


def evaluation_episode(random: Random) -> Iterator[Call]:
    """Columns, good and bad, and what is measured of the good ones."""
    made: list[Any] = []
    count = random.choice((0, 1, 4, 9))
    truth = {name: _column(random, name, count) for name in ("video", "frame", "track", "label", "box")}
    found = {name: _column(random, name, count) for name in ("video", "frame", "label", "score", "box")}
    yield Call("GroundTruth", lambda: made.append(evaluation.GroundTruth(**truth)))
    yield Call("Predictions", lambda: made.append(evaluation.Predictions(**found)))
    frames = [{"boxes": _column(random, "box", 2), "scores": _column(random, "score", 2), "labels": [0, 1]}]
    yield Call("Predictions.of_video", lambda: evaluation.Predictions.of_video("a", frames))
    if len(made) < 2:
        return
    yield Call("average_precision", lambda: evaluation.average_precision(*made), _is_share)
    stride = fuzz.number(random, 1, 8, odd=0.3)
    yield Call("displacement", lambda: evaluation.displacement(made[0], stride=stride))
    yield Call("track_hits", lambda: evaluation.track_hits(*made, recall=fuzz.number(random, 0, 1, odd=0.2)))


def _is_share(result: Any) -> None:
    value = float(result.mean)
    assert np.isnan(value) or 0 <= value <= 1, f"an average precision of {value}"


def _column(random: Random, name: str, count: int) -> Any:
    good = {
        "video": np.zeros(count, np.int64),
        "frame": np.arange(count),
        "track": np.arange(count) % 2,
        "label": np.zeros(count, np.int64),
        "score": np.linspace(0, 1, count),
        "box": np.tile(np.array([0.0, 0, 9, 9]), (count, 1)),
    }[name]
    if fuzz.chance(random, 0.93):
        return good if fuzz.chance(random, 0.7) else good.tolist()
    return random.choice(
        (
            *fuzz.STRANGERS,
            [[1], [1, 2]],
            good.astype(np.float32) + np.nan,
            good.astype(np.complex64),
            good[:-1],
            [2**70] * count,
            [10**400] * count,
            ["a"] * count,
            [None] * count,
            [1e300] * count,
            [[1, "a"]] * count,
            [object()] * count,
            np.array(["2020-01-01"] * count, "M8[D]"),
            torch.zeros(count, device="meta"),
            torch.zeros(count).to_sparse(),
        )
    )
