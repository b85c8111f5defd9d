"""All results of the paper, from the pooled detections of all videos; this is also how shards are merged."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from heatprop.evaluation.average_precision import AveragePrecision, average_precision
from heatprop.evaluation.columns import GroundTruth, Predictions, join
from heatprop.evaluation.curves import Curve
from heatprop.evaluation.hits import TrackHits, track_hits
from heatprop.evaluation.matching import VID, RuleLike
from heatprop.evaluation.motion import displacement, uncovered_pairs
from heatprop.evaluation.subsets import displacement_subsets, subset_curves
from heatprop.maps.table1 import Table1Row
from heatprop.reports.report import Report, evaluate
from heatprop.reproducing.plan import STAMP, STRIDE, Plan, Video
from heatprop.reproducing.propagating import VideoRuns, read_video_detections, read_video_runs
from heatprop.reproducing.runs import CURVES, METHODS, RESCORED, run_names
from heatprop.tuning.space import RADII

_LOWEST_SCORE = 0.0
"""Fig. 4 shows every score, and the moments compare them."""


class ReproducedResults(NamedTuple):
    """The paper's tables and figures.

    Attributes:
        methods: Table 1; times in milliseconds per frame, without the network.
        network_milliseconds: Time of the network per frame, in milliseconds.
        reports: Method -> everything that ``heatprop eval`` reports: Table 3, classes, FGFA's split, flicker.
        precision: Run -> mAP50, in [0, 1]: Tables 2, 4 and 5.
        uncovered: Radius -> share of the pairs that move farther: Table 2.
        curves: Run -> motion -> precision against recall: Fig. 5.
        hits: ``per frame`` and ``HP`` -> the scores of each object in ``truth``: Figs. 3 and 4.
        truth: All objects.
        frames: Number of frames of all videos.
        unread: What was wrong with each picture that was skipped.
    """

    methods: list[Table1Row]
    network_milliseconds: float
    reports: dict[str, Report]
    precision: dict[str, float]
    uncovered: dict[float, float]
    curves: dict[str, dict[str, Curve]]
    hits: dict[str, TrackHits]
    truth: GroundTruth
    frames: int
    unread: list[str]


def gather(
    plan: Plan,
    truth: GroundTruth,
    *,
    rule: RuleLike = VID,
    clip: bool = False,
    quantize: bool = False,
    on_run: Callable[[int, int], None] = lambda done, total: None,
) -> ReproducedResults:
    """Compute all results from the files of the videos, with one run in memory at a time.

    Args:
        plan: The plan, which says where everything is.
        truth: All objects in pixels of their pictures, from `heatprop.formats.imagenet.read_vid`.
        rule: When a detection counts.
        clip: Clip boxes to the pictures.
        quantize: Round corners to whole cells before displacement is measured.
        on_run: Called with the number of runs evaluated so far and the total number.

    Returns:
        The results.

    Raises:
        ValueError: If the file of a video is missing or damaged.
    """
    videos = plan.videos()
    files = _find_files(plan, videos)
    sizes = {place: (float(one.picture_wh[0, 0]), float(one.picture_wh[0, 1])) for place, one in files.items()}
    moved = displacement(truth, picture_size=sizes, input_size=plan.size, stride=STRIDE, quantize=quantize)
    subsets = displacement_subsets(moved)
    names = [*run_names(), *(RESCORED.format(method) for method in METHODS)]
    averages, reports, curves, hits = {}, dict[str, Report](), {}, {}
    for done, name in enumerate(names):
        on_run(done, len(names))
        found = _read_run(plan, videos, name, clip)
        averages[name] = average_precision(truth, found, rule=rule)
        if name in METHODS:
            reports[name] = evaluate(truth, found, moved, rule=rule, picture_size=sizes)
        if name in ("per frame", "HP"):
            hits[name] = track_hits(truth, found, score=_LOWEST_SCORE, rule=rule)
        if name in CURVES:
            curves[name] = reports[name].curves if name in reports else subset_curves(truth, found, subsets, rule=rule)
    on_run(len(names), len(names))
    frames = sum(one.frames for one in files.values())
    spent = {name: 1000 * sum(one.seconds[name] for one in files.values()) / frames for name in names}
    return ReproducedResults(
        methods=[_row(method, averages, spent) for method in METHODS],
        network_milliseconds=1000 * sum(one.network_seconds for one in files.values()) / frames,
        reports=reports,
        precision={name: averages[name].mean for name in run_names()},
        uncovered=uncovered_pairs(moved, RADII),
        curves={name: curves[name] for name in CURVES},
        hits=hits,
        truth=truth,
        frames=frames,
        unread=[message for one in files.values() for message in one.unread],
    )


def _find_files(plan: Plan, videos: list[Video]) -> dict[int, VideoRuns]:
    """Read what the file of each video says about all runs together, by the video's index."""
    missing = [video.name for video in videos if not plan.detections_file(video).exists()]
    if missing:
        raise ValueError(
            f"{plan.out / 'detections'} must hold a file for each of {len(videos)} videos, got none for "
            f"{', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''} ({len(missing)}); run the missing shards"
        )
    files = {video.place: read_video_runs(plan.detections_file(video), video) for video in videos}
    for video in videos:
        if files[video.place].checkpoint != plan.checkpoint:
            raise ValueError(
                f"{plan.detections_file(video)} must be made with the checkpoint that {STAMP} names, got one made with "
                "another; delete it and start again"
            )
    return files


def _read_run(plan: Plan, videos: list[Video], name: str, clip: bool) -> Predictions:
    return join(
        [read_video_detections(plan.detections_file(one), one, name, size=plan.size, clip=clip) for one in videos]
    )


def _row(method: str, averages: Mapping[str, AveragePrecision], spent: Mapping[str, float]) -> Table1Row:
    rescored = RESCORED.format(method)
    return Table1Row(method, averages[method], averages[rescored], spent[method], spent[method] + spent[rescored])
