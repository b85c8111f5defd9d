"""Ten thousand random calls of the public core, good and bad (`nox -s fuzz`): what comes out keeps the laws.

1. Only TypeError, ValueError and RuntimeError come out, each raised by a ``raise`` of heatprop, not by torch or numpy.
2. A refused call changes nothing: the state is, bit for bit, what it was.
3. An accepted call gives finite numbers, scores in [0, 1], different identities, padding of 0, labels and cells inside.
"""

import itertools
import os
import traceback
from collections import Counter
from collections.abc import Iterator
from random import Random

import fuzz_laws as laws
import torch
from fuzz_calls import Call, detector_episode, propagator_episode
from fuzz_functions import adapter_episode, evaluation_episode, function_episode, offline_episode

CALLS = int(os.environ.get("FUZZ_CALLS", "10000"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
EPISODES = {
    propagator_episode: 6,
    detector_episode: 3,
    function_episode: 3,
    offline_episode: 2,
    adapter_episode: 2,
    evaluation_episode: 2,
}


def test_ten_thousand_random_calls_keep_the_laws():
    failures, came = {}, Counter()
    for where, call in itertools.islice(calls(), CALLS):
        before = laws.snapshot(call.state())
        outcome, problem = make(call)
        if outcome == "refused" and not laws.is_same_state(before, call.state()):
            problem = "a refused call changed the state"
        came[f"{call.name}: {outcome}"] += 1
        if problem:
            failures.setdefault(f"{call.name}: {problem.splitlines()[-1][:200]}", f"{where}\n{problem}")
    print("\n".join(f"{count:6d} {name}" for name, count in sorted(came.items())))
    assert not failures, f"{len(failures)} kinds of failures\n" + "\n\n".join(failures.values())


def calls() -> Iterator[tuple[str, Call]]:
    """Calls without end; the seed and the number of an episode make it again."""
    for number in itertools.count():
        seed = f"{SEED} {number}"
        random = Random(seed)
        torch.manual_seed(random.getrandbits(32))
        (episode,) = random.choices(tuple(EPISODES), tuple(EPISODES.values()))
        for place, call in enumerate(episode(random)):
            yield f"seed {SEED}, episode {number}, call {place}: {call.name}", call


def make(call: Call) -> tuple[str, str]:
    """Make a call: what came, and what is wrong with it, if anything."""
    try:
        result = call.run()
    except Exception as error:
        return "refused", "" if laws.refused_in_our_words(error) else "".join(traceback.format_exception(error))
    try:
        call.law(result)
    except Exception as error:
        return "accepted", "".join(traceback.format_exception(error))
    return "accepted", ""
