"""``heatprop reproduce``: the options of the command line; extra ``cli`` (Typer, Rich, Pillow)."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from heatprop.cli import eval_options as use
from heatprop.cli.terminal import make_console, progress, reporting
from heatprop.evaluation.columns import GroundTruth
from heatprop.evaluation.matching import RuleLike
from heatprop.formats.bad_rows import Skipped
from heatprop.formats.imagenet import read_vid
from heatprop.formats.imagenet_lists import FrameList, list_frames, read_frame_list
from heatprop.formats.whole_files import sweep
from heatprop.reproducing.moments import draw_moments
from heatprop.reproducing.plan import (
    Plan,
    Video,
    check_stamp,
    checkpoint_digest,
    make_plan,
    parse_shard,
    read_stamp,
    write_stamp,
)
from heatprop.reproducing.results import ReproducedResults, gather
from heatprop.reproducing.tables import paper_tables
from heatprop.reproducing.writing import draw_figures, report_document, write_report

if TYPE_CHECKING:
    from heatprop.reproducing.detecting import Network
    from heatprop.reproducing.running import ReadingOptions


def reproduce(
    data: Annotated[Path, typer.Option(metavar="DIR", help="The ILSVRC2015 folder, or data laid out like it.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where maps, detections and the report are kept.")],
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weights; not needed if every video is finished.")
    ] = None,
    frames: Annotated[Path | None, typer.Option(metavar="LIST", help="List of frames; default: all, by name.")] = None,
    split: Annotated[str, typer.Option(help="Folder below Data/VID, without --frames.")] = "val",
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Only every N-th video (0/N to N-1/N), without a report.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(metavar="NAMES", help="The detector's classes, in order; default: the checkpoint's.")
    ] = None,
    backbone: Annotated[
        str | None, typer.Option(metavar="NAME", help="resnet18 to 152, dla34, timm:NAME; default: the checkpoint's.")
    ] = None,
    head_channels: Annotated[
        int | None, typer.Option(min=1, metavar="COUNT", help="Channels inside the heads; default: the checkpoint's.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(metavar="PIXELS", help="Side of the network's input; default: the checkpoint's.")
    ] = None,
    device: Annotated[str, typer.Option(metavar="NAME", help="Where the network runs: cpu, cuda, cuda:1 ...")] = "cpu",
    batch: Annotated[int, typer.Option(min=1, help="Pictures at a time.")] = 8,
    workers: Annotated[int, typer.Option(min=1, help="Threads that read pictures.")] = 4,
    rule: use.RuleOption = use.RuleName.vid,
    clip: Annotated[bool, typer.Option("--clip", help="Clip boxes to the pictures; CenterNet does not.")] = False,
    quantize: use.Quantize = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Skip and count pictures and annotations that cannot be read.")
    ] = False,
) -> None:
    """Run the paper's whole protocol: detect, propagate in every way, print Tables 1 to 5, draw Figs. 4 and 5.

    Started again with the same --out, it continues where it was. Several machines or GPUs take a --shard each, all
    with the same --out, or copy their folders together; a last run without --shard makes the report.
    """
    from heatprop.reproducing.networks import describe_weights, load_network  # they need torchvision
    from heatprop.reproducing.running import ReadingOptions

    with reporting("reproduce", resume=f"--out {out}"):
        sweep(out, deep=True)
        skipped = Skipped() if skip_bad else None
        listed = list_frames(data, split) if frames is None else read_frame_list(frames, skipped=skipped)
        if checkpoint is None:
            plan, load = _known_plan(data, out, listed), _refuse
        else:
            weights = describe_weights(
                checkpoint, classes=classes, size=size, backbone=backbone, head_channels=head_channels
            )
            digest = checkpoint_digest(checkpoint)
            plan = make_plan(data, out, listed, classes=weights.classes, size=weights.size, checkpoint=digest)
            load = partial(load_network, weights, device)
        check_stamp(plan)
        videos = plan.videos(parse_shard(shard) if shard else (0, 1))
        truth = _read_truth(plan, videos, skipped)
        _process(plan, videos, truth, partial(_load_and_stamp, load, plan), ReadingOptions(batch, workers, skip_bad))
        if shard is None:
            _report(plan, truth, rule.of_subsets, clip, quantize, skipped)
        elif skipped:
            typer.echo(str(skipped), err=True)


def _known_plan(data: Path, out: Path, listed: FrameList) -> Plan:
    """Without weights: what the files there are made from."""
    made = read_stamp(out)
    return make_plan(data, out, listed, classes=made["classes"], size=made["size"], checkpoint=made["checkpoint"])


def _refuse() -> "Network":
    raise ValueError("videos are missing, which need the network: give --checkpoint")


def _load_and_stamp(load: "Callable[[], Network]", plan: Plan) -> "Network":
    """The stamp comes when the weights have proved to fit."""
    network = load()
    write_stamp(plan)
    return network


def _read_truth(plan: Plan, videos: list[Video], skipped: Skipped | None) -> GroundTruth:
    """The objects of these videos; ``video`` is the place in the whole list."""
    wanted = np.isin(plan.frames.video, [video.place for video in videos])
    part = FrameList(plan.frames.videos, *(column[wanted] for column in plan.frames[1:]))
    return read_vid(plan.data, part, classes=plan.classes, skipped=skipped)


def _process(
    plan: Plan, videos: list[Video], truth: GroundTruth, load: "Callable[[], Network]", reading: "ReadingOptions"
) -> None:
    from heatprop.reproducing.running import process_videos

    done, total = 0, sum(len(video.numbers) for video in videos)
    with progress("frames", total) as show:

        def tell(more: int) -> None:
            nonlocal done
            done += more
            show(done, total)

        found = process_videos(
            plan,
            videos,
            truth,
            load,
            reading=reading,
            on_frames=tell,
        )
    typer.echo(f"{plan.out}: {len(videos)} videos, {found} of them finished before", err=True)


def _report(
    plan: Plan, truth: GroundTruth, rule: RuleLike, clip: bool, quantize: bool, skipped: Skipped | None
) -> None:
    with progress("settings") as show:
        results = gather(plan, truth, rule=rule, clip=clip, quantize=quantize, on_run=show)
    names = dict(enumerate(plan.class_names(), start=1))
    tables = paper_tables(results, names)
    made_from = {
        **read_stamp(plan.out),
        "rule": "fgfa" if rule == "fgfa" else list(rule),
        "clip": clip,
        "quantize": quantize,
    }
    heading = _heading(plan, results)
    paths = write_report(plan.out, report_document(results, names, made_from), tables, heading)
    paths += [*draw_figures(plan, results), *draw_moments(plan, results.truth, results.hits)]
    unread = f"pictures that could not be read: {len(results.unread)}, listed in report.json" if results.unread else ""
    for message in (unread, str(skipped or "")):
        if message:
            typer.echo(message, err=True)
    make_console().print(heading, *tables, *(str(path) for path in paths), sep="\n\n", markup=False)


def _heading(plan: Plan, results: ReproducedResults) -> str:
    return (
        f"{len(plan.frames.videos)} videos, {results.frames} frames, {len(plan.classes)} classes, "
        f"network input {plan.size} x {plan.size}"
    )
