"""Random calls of the public core, in episodes that share a propagator or a detector."""

from collections.abc import Callable, Iterator
from dataclasses import fields
from random import Random
from typing import Any, NamedTuple, get_args

import fuzz_laws as laws
import fuzz_values as fuzz
import torch

from heatprop import Detections, HeadMaps, HeatmapPropagator, PropagatorOptions, VideoDetector


def _accept(result: object) -> None:
    """No law beyond that of every call."""


class Call(NamedTuple):
    """A call that is to be made.

    Attributes:
        name: What is called.
        run: Makes it.
        law: Looks at what it returns.
        state: What a refused call must leave as it is.
    """

    name: str
    run: Callable[[], Any]
    law: Callable[[Any], None] = _accept
    state: Callable[[], Any] = lambda: None


def options_of(random: Random, *, odd: float) -> dict[str, object]:
    """Options of the propagator, each given in a third of the cases."""
    good = {
        "radius": lambda: random.randint(0, 4),
        "alpha": lambda: random.choice((0, 0.5, 0.98, 1)),
        "beta": lambda: random.choice((0, 2.0, 1e30, float("inf"))),
        "top_k": lambda: random.choice((1, 3, 20, 320)),
        "score_threshold": lambda: random.choice((0, 0.05, 0.5, 1)),
        "nms_threshold": lambda: random.choice((0, 0.3, 1)),
        "peak_kernel": lambda: random.choice((None, 1, 3, 7)),
        "stride": lambda: random.choice((1, 4, 0.5, 1e-3, 1e4)),
        "max_length": lambda: random.choice((None, 1, 9, 2**31 - 1)),
        "max_unseen": lambda: random.choice((None, 0, 3)),
        "border": lambda: random.choice((0, 0.5, 1)),
        "radius_per_size": lambda: random.choice((0, 0.1, 5.0)),
        "max_radius": lambda: random.randint(4, 6),
        "motion": lambda: None if fuzz.chance(random, 0.9) else "depth",
        "remember": lambda: random.choice((None, {}, {"depth": ("blend", 1)}, {"x": ("last", 2), "y": ("angle", 2)})),
    }
    chosen = {}
    for field in fields(PropagatorOptions):
        if fuzz.chance(random, 0.35):
            words = get_args(field.type) or (True, False)
            plain = good.get(field.name, lambda words=words: random.choice(words))
            chosen[field.name] = fuzz.number(random, 0, 3, odd=1) if fuzz.chance(random, odd) else plain()
    return chosen


def propagator_episode(random: Random) -> Iterator[Call]:
    """One propagator: made, called, coasted, reset, its state set and its options changed, in any order."""
    made: list[HeatmapPropagator] = []
    chosen = options_of(random, odd=0.03)
    yield Call("HeatmapPropagator", lambda: made.append(HeatmapPropagator(**chosen)))
    if not made:
        return
    (propagator,) = made
    states = []
    shape = fuzz.shape_of_maps(random)
    for _ in range(random.randint(4, 14)):
        if fuzz.chance(random, 0.08):
            shape = fuzz.shape_of_maps(random)
        make = random.choices((_forward, _chunk, _step, _coast, _reset, _set_state, _set_option), (8, 3, 4, 3, 1, 3, 1))
        yield make[0](random, propagator, shape, states)
        states.append(propagator.state)


def _forward(random: Random, propagator: HeatmapPropagator, shape: tuple[int, ...], states: list) -> Call:
    given = fuzz.maps_of(random, shape[:1], shape[1:])
    return Call("forward", lambda: propagator(**given), _propagated(propagator, given), lambda: propagator.state)


def _chunk(random: Random, propagator: HeatmapPropagator, shape: tuple[int, ...], states: list) -> Call:
    given = fuzz.maps_of(random, (shape[0], random.randint(1, 4)), shape[1:])
    law = _propagated(propagator, given)
    return Call("forward_chunk", lambda: propagator.forward_chunk(**given), law, lambda: propagator.state)


def _step(random: Random, propagator: HeatmapPropagator, shape: tuple[int, ...], states: list) -> Call:
    given = fuzz.maps_of(random, shape[:1], shape[1:])
    state = random.choice((None, propagator.state, *states))
    if fuzz.chance(random, 0.05):
        state = random.choice(fuzz.STRANGERS)
    law = _propagated(propagator, given)
    return Call("step", lambda: propagator.step(state, **given), lambda pair: law(pair[1]), lambda: propagator.state)


def _coast(random: Random, propagator: HeatmapPropagator, shape: tuple[int, ...], states: list) -> Call:
    frames = fuzz.number(random, 1, 3, whole=True, odd=0) if fuzz.chance(random, 0.9) else random.choice((0, 1.5, "2"))
    form = (shape[0], *random.choice(((2,), (2, 3))))
    shift = fuzz.maybe(random, fuzz.tensor_of(random, form, top=2.0), 0.4)
    known = propagator._shape  # which only the module knows: a state can be set

    def law(found: Detections) -> None:
        laws.check_detections(found, known[1:], (known[0], found.valid.shape[1]))

    return Call("coast", lambda: propagator.coast(frames, shift=shift), law, _state(propagator))


def _state(propagator: HeatmapPropagator) -> Callable[[], Any]:
    return lambda: propagator.state


def _reset(random: Random, propagator: HeatmapPropagator, shape: tuple[int, ...], states: list) -> Call:
    streams = _streams(random, shape[0])
    return Call("reset", lambda: propagator.reset(streams), state=_state(propagator))


def _streams(random: Random, batch: int) -> object:
    return random.choice(
        (
            None,
            0,
            batch - 1,
            [0],
            [],
            torch.rand(batch) < 0.5,
            batch + 3,
            1.5,
            "a",
            torch.rand(batch),
            torch.tensor([0], device="meta"),
            torch.ones(batch, 2, dtype=torch.bool),
            [[0]],
            torch.tensor([0]).to_sparse(),
            2**70,
        )
    )


def _set_state(random: Random, propagator: HeatmapPropagator, shape: tuple[int, ...], states: list) -> Call:
    state = random.choice((None, propagator.state, *states))
    if state is not None and fuzz.chance(random, 0.6):
        name = random.choice(state._fields)
        field = getattr(state, name)
        kind = random.randrange(6)
        changed: object = None
        if kind == 0:
            changed = fuzz.values(random, tuple(field.shape)).to(random.choice((field.dtype, *fuzz.GOOD)))
        elif kind == 1:
            changed = fuzz.tensor_of(random, tuple(field.shape), odd=1)
        elif kind == 2:
            changed = field.to("meta")
        elif kind == 3:
            changed = torch.randint(-2, 400, field.shape).to(field.dtype)
        elif kind == 4:
            changed = torch.full_like(field, random.choice((1, 2**31 - 1))) if field.dtype != torch.bool else ~field
        state = state._replace(**{name: changed})
    elif fuzz.chance(random, 0.1):
        state = random.choice(fuzz.STRANGERS)
    return Call("state", lambda: setattr(propagator, "state", state), state=_state(propagator))


def _set_option(random: Random, propagator: HeatmapPropagator, shape: tuple[int, ...], states: list) -> Call:
    chosen = options_of(random, odd=0.2)
    name = random.choice(tuple(chosen) or ("radius",))
    value = chosen.get(name, 1)
    return Call(f"set {name}", lambda: setattr(propagator, name, value), state=lambda: propagator.state)


def _propagated(propagator: HeatmapPropagator, given: dict) -> Callable[[Any], None]:
    count = propagator.top_k
    return lambda output: laws.check_propagated(output, given["heatmap"], count, given.get("extras"))


def detector_episode(random: Random) -> Iterator[Call]:
    """A `VideoDetector` whose detector returns what it is told to, frame by frame and in chunks."""
    every = fuzz.number(random, 1, 3, whole=True, odd=0) if fuzz.chance(random, 0.95) else random.choice((0, 1.5, "2"))
    batch, *shape = fuzz.shape_of_maps(random)
    given: dict = {}

    def detector(frames: torch.Tensor) -> Any:
        return given["raw"]

    propagator = HeatmapPropagator(**options_of(random, odd=0))
    if fuzz.chance(random, 0.02):
        propagator = random.choice(fuzz.STRANGERS)
    made: list[VideoDetector] = []

    def make() -> None:
        made.append(VideoDetector(detector, propagator, adapter=lambda raw: raw, every=every))

    yield Call("VideoDetector", make)
    if not made:
        return
    (video,) = made
    for _ in range(random.randint(4, 14)):
        if fuzz.chance(random, 0.1):
            streams = _streams(random, batch)
            yield Call("VideoDetector.reset", lambda s=streams: video.reset(s), state=lambda: video.state)
            continue
        yield _frames_call(random, video, given, (batch, *shape))


def _frames_call(random: Random, video: VideoDetector, given: dict, shape: tuple[int, ...]) -> Call:
    batch, *rest = shape
    chunk = (random.randint(1, 4),) if fuzz.chance(random, 0.5) else ()
    count = batch * (chunk[0] if chunk else 1)
    if chunk and video.every > 1:  # how many frames it looks at is its own business: give it as many as it asks for
        count = len([look for look in _looks(video, chunk[0]) if look]) * batch
    maps = fuzz.maps_of(random, (count,) if count else (batch,), tuple(rest), odd=0.03)
    given["raw"] = HeadMaps(maps["heatmap"], maps.get("offset"), maps.get("size"), maps.get("extras"))
    if fuzz.chance(random, 0.03):
        given["raw"] = random.choice(fuzz.STRANGERS)
    frames = (
        torch.zeros(batch, *chunk, 3, 4, 4)
        if fuzz.chance(random, 0.93)
        else fuzz.tensor_of(random, (batch, 3, 4, 4), odd=1)
    )
    shift = fuzz.maybe(random, fuzz.tensor_of(random, (batch, *chunk, 2), top=2.0), 0.2)
    reset = fuzz.maybe(random, fuzz.tensor_of(random, (batch, *chunk), odd=0.6), 0.1)
    places = (batch, video.propagator.top_k)

    def law(found: Detections) -> None:
        one_by_one = [found.frame(t) for t in range(found.valid.shape[1])] if found.valid.dim() == 3 else [found]
        for one in one_by_one:
            laws.check_detections(one, tuple(rest), (len(one.valid), places[1]))

    return Call("VideoDetector.forward", lambda: video(frames, reset=reset, shift=shift), law, lambda: video.state)


def _looks(video: VideoDetector, count: int) -> list[bool]:
    turns, looks = video._turns, []
    for _ in range(count):
        look, turns = turns.take()
        looks.append(look)
    return looks
