"""The search for settings with Optuna, in a file from which an interrupted search resumes; extra ``tune``."""

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from heatprop.evaluation.matching import Rule
from heatprop.maps.detecting import HP, PER_FRAME, Setting
from heatprop.tuning.clips import Clips
from heatprop.tuning.measuring import SettingMeasures, measure_setting, summarize
from heatprop.tuning.space import ALPHAS, BETAS, NMS_THRESHOLDS, RADII, first_settings, from_parameters, to_parameters

try:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.trial import TrialState
except ImportError as error:
    raise ImportError(
        f"heatprop.tuning.search needs optuna ({error}): pip install 'heatprop[tune]'", name=error.name
    ) from error

_JOURNAL = "study.journal"


class Outcome(NamedTuple):
    """The result of a search.

    Attributes:
        results: Setting -> video -> measures of the setting on the video.
        baseline: Video -> measures of the detector alone on the video.
    """

    results: dict[Setting, dict[str, SettingMeasures]]
    baseline: dict[str, SettingMeasures]


def search(
    clips: Clips,
    out: Path,
    *,
    trials: int,
    rule: Rule,
    base: Setting = HP,
    search_nms: bool = False,
    seed: int = 0,
    on_trial: Callable[[int], None] = lambda done: None,
) -> Outcome:
    """Try settings on all videos: first the paper's ablations, then what looks promising.

    Each setting is saved in ``out/study.journal`` as soon as it was tried, and counts when the search is restarted.

    Args:
        clips: The videos.
        out: Folder of the journal; only one search may use it at a time.
        trials: Total number of settings to try, including those in the journal.
        rule: When a detection counts.
        base: Values of the options that are not searched.
        search_nms: Search ``nms_threshold`` too.
        seed: Random seed of the search.
        on_trial: Called with the number of settings tried so far.

    Returns:
        The measures of every setting on every video.

    Raises:
        ValueError: If the journal belongs to other videos or options.
    """
    study = _open(out, _identity(clips, rule, base, search_nms))
    outcome = Outcome(_read_results(study, base), _read_baseline(study, clips, base, rule))
    _prepare(study, set(outcome.results), base, search_nms)
    done = _count(study)
    study.sampler = optuna.samplers.TPESampler(seed=seed + done)
    while done < trials:
        on_trial(done)
        trial = study.ask()
        setting = from_parameters(_suggest(trial, search_nms), base)
        if setting not in outcome.results:
            outcome.results[setting] = {maps.name: measure_setting(maps, setting, rule) for maps in clips}
        measures = outcome.results[setting]
        trial.set_user_attr("measures", _pack(measures))
        study.tell(trial, summarize(list(measures.values())).precision)
        done += 1
    on_trial(done)
    return outcome


def _open(out: Path, identity: dict[str, Any]) -> optuna.Study:
    out.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would report every trial
    _mend(out / _JOURNAL)
    storage = JournalStorage(JournalFileBackend(str(out / _JOURNAL)))
    study = optuna.create_study(storage=storage, study_name="heatprop", direction="maximize", load_if_exists=True)
    known = study.user_attrs.get("identity", identity)
    if known != identity:
        different = ", ".join(sorted(key for key in identity if known.get(key) != identity[key]))
        raise ValueError(
            f"{out / _JOURNAL} must be from the same videos and options, got other {different}; choose another --out"
        )
    study.set_user_attr("identity", identity)
    return study


def _mend(journal: Path) -> None:
    """Cut off an incomplete last line: Optuna would append to it and then read neither line."""
    if journal.exists():
        whole = journal.read_bytes().rfind(b"\n") + 1
        with open(journal, "r+b") as file:
            file.truncate(whole)


def _identity(clips: Clips, rule: Rule, base: Setting, search_nms: bool) -> dict[str, Any]:
    options = {name: "inf" if value == math.inf else value for name, value in asdict(base).items()}
    return {"videos": clips.fingerprint, "rule": list(rule), "options": options, "search_nms": search_nms}


def _prepare(study: optuna.Study, tried: set[Setting], base: Setting, search_nms: bool) -> None:
    """Close trials that an interrupted search left open, and queue settings that the paper's tables still lack."""
    waiting = set[Setting]()
    for trial in study.get_trials(deepcopy=False):
        if trial.state == TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
        elif trial.state == TrialState.WAITING:
            waiting.add(from_parameters(trial.system_attrs["fixed_params"], base))
    for setting in first_settings(base):
        if setting not in tried | waiting:
            parameters = to_parameters(setting)
            if not search_nms:
                del parameters["nms_threshold"]
            study.enqueue_trial(parameters)


def _suggest(trial: optuna.Trial, search_nms: bool) -> dict[str, Any]:
    low, high = (round(math.log10(beta), 6) for beta in (BETAS[0], BETAS[-1]))
    parameters: dict[str, Any] = {
        "radius": trial.suggest_int("radius", RADII[0], RADII[-1]),
        "alpha": round(trial.suggest_float("alpha", ALPHAS[0], ALPHAS[-1], step=0.01), 2),
        "log_beta": trial.suggest_float("log_beta", low, high),
    }
    if search_nms:
        parameters["nms_threshold"] = trial.suggest_categorical("nms_threshold", NMS_THRESHOLDS)
    return parameters


def _read_results(study: optuna.Study, base: Setting) -> dict[Setting, dict[str, SettingMeasures]]:
    results = {}
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        parameters = {**trial.params, "alpha": round(trial.params["alpha"], 2)}
        results[from_parameters(parameters, base)] = _unpack(trial.user_attrs["measures"])
    return results


def _read_baseline(study: optuna.Study, clips: Clips, base: Setting, rule: Rule) -> dict[str, SettingMeasures]:
    if "baseline" not in study.user_attrs:
        alone = replace(
            PER_FRAME, nms_threshold=base.nms_threshold, score_threshold=base.score_threshold, top_k=base.top_k
        )
        study.set_user_attr("baseline", _pack({maps.name: measure_setting(maps, alone, rule) for maps in clips}))
    return _unpack(study.user_attrs["baseline"])


def _count(study: optuna.Study) -> int:
    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


def _pack(measures: dict[str, SettingMeasures]) -> dict[str, list[float | None]]:
    """Convert measures for JSON, which has no NaN."""
    return {name: [None if math.isnan(value) else value for value in one] for name, one in measures.items()}


def _unpack(packed: dict[str, list[Any]]) -> dict[str, SettingMeasures]:
    return {
        name: SettingMeasures._make(math.nan if value is None else value for value in one)
        for name, one in packed.items()
    }
