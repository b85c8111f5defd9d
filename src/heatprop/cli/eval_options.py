"""The options of ``heatprop eval`` and ``heatprop tune``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from heatprop.cli.propagator_options import propagator_option
from heatprop.evaluation.matching import COCO, VID, Rule, RuleLike
from heatprop.maps.table1 import FLAT


class RuleName(StrEnum):
    """How detections are judged."""

    vid = "vid"
    coco = "coco"
    flat = "flat"
    fgfa = "fgfa"

    @property
    def rule(self) -> Rule:
        """The rule of that name."""
        return {"vid": VID, "coco": COCO, "flat": FLAT, "fgfa": VID}[self.value]

    @property
    def of_subsets(self) -> RuleLike:
        """The rule, also for figures of slow, medium and fast objects, which FGFA has another one for."""
        return "fgfa" if self.value == "fgfa" else self.rule


_RULE_HELP = (
    "vid: the ImageNet VID devkit (lower IoU for small boxes, +1, whole area under the curve); "
    "coco: IoU 0.5, no +1, 101 recall points; flat: IoU 0.5, no +1, whole area; "
    "fgfa: vid, and false positives of slow, medium and fast objects as in FGFA's script."
)

RuleOption = Annotated[RuleName, typer.Option("--rule", help=_RULE_HELP)]
Json = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all figures as JSON.")]
Plots = Annotated[
    Path | None, typer.Option("--plots", metavar="DIR", help="Draw the paper's Figs. 4 and 5: scores.png, curves.png.")
]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Leave malformed rows out, count and list them, instead of stopping.")
]
Quantize = Annotated[
    bool, typer.Option("--quantize", help="Round corners to whole cells before displacement is measured.")
]
_TRACKS_HELP = "Lowest score of a box that counts for HOTA, MOTA, IDF1 and switches"
TrackScore = Annotated[
    float | None, typer.Option("--track-score", metavar="FLOAT", help=f"{_TRACKS_HELP}; default: all boxes count.")
]
MapsTrackScore = Annotated[float, typer.Option("--track-score", metavar="FLOAT", help=f"{_TRACKS_HELP}.")]
Maps = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of saved maps, an .npz per video.")]
Steady = Annotated[
    bool, typer.Option("--steady", help="Propagate with the preset steady instead of the paper's options.")
]
Radius = Annotated[int, propagator_option("radius", max=64)]
Alpha = Annotated[float, propagator_option("alpha")]
Beta = Annotated[float, propagator_option("beta")]
NmsThreshold = Annotated[float, propagator_option("nms_threshold")]
ScoreThreshold = Annotated[float, propagator_option("score_threshold")]
