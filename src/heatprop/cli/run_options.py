"""The options of ``heatprop run``, in the words of somebody who does it for the first time, each with its unit."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from heatprop.cli.propagator_options import paper_or_steady, propagator_option
from heatprop.options import option_help

_WRITTEN, _DETECTOR, _MEMORY = "What is written", "Detector", "Memory (the defaults are the paper's)"


class AdapterName(StrEnum):
    """The kinds of raw output that are known."""

    centernet = "centernet"
    centertrack = "centertrack"
    mmdet = "mmdet"
    centerface = "centerface"


class HeadName(StrEnum):
    """The kinds of networks in ONNX files that are known."""

    yolo = "yolo"
    yolox = "yolox"
    nanodet = "nanodet"
    fcos = "fcos"
    rtmdet = "rtmdet"
    centernet = "centernet"


class Carry(StrEnum):
    """Which score the memory carries to the next frame."""

    balanced = "balanced"
    network = "network"


class Combine(StrEnum):
    """What of two scores an object gets that both directions of time find."""

    mean = "mean"
    maximum = "maximum"


class Container(StrEnum):
    """What kind of file the videos become."""

    mp4 = "mp4"
    mkv = "mkv"
    mov = "mov"
    webm = "webm"


def _written(*names: str, **details: Any) -> Any:
    return typer.Option(*names, rich_help_panel=_WRITTEN, **details)


def _of_detector(**details: Any) -> Any:
    return typer.Option(rich_help_panel=_DETECTOR, **details)


def _of_memory(*names: str, **details: Any) -> Any:
    return typer.Option(*names, rich_help_panel=_MEMORY, **details)


Videos = Annotated[list[Path], typer.Argument(metavar="VIDEO", help="Video files.", show_default=False)]
OutFolder = Annotated[
    Path, typer.Option(metavar="DIR", help="Folder for the results; made if it is not there.", show_default=False)
]

Annotate = Annotated[
    bool | None,
    _written(
        "--annotate/--no-annotate",
        help="Write the video with boxes: blue where the detector sees the object, orange where only the memory keeps "
        "it. This is what you get without --blur.",
        show_default=False,
    ),
]
Blur = Annotated[bool, _written("--blur", help="Write the video with every face, or object, made unrecognisable.")]
Compare = Annotated[
    bool, _written("--compare", help="Write a video of both, without memory and with it, side by side.")
]
Json = Annotated[bool, _written("--json", help="Write the detections as a text file, one per line (JSON Lines).")]
Mot = Annotated[
    bool,
    _written(
        "--mot", help="Write the detections with their identities as MOTChallenge has them, for heatprop eval mot."
    ),
]
Coco = Annotated[
    bool,
    _written(
        "--coco",
        help="Write the detections with identities as COCO has results, for heatprop eval coco; the first frame is "
        "image 1, the first class category 1.",
    ),
]
SaveMaps = Annotated[
    bool,
    _written(
        "--save-maps", help="Write the detector's own maps of all frames, for heatprop eval maps and heatprop tune."
    ),
]
Score = Annotated[
    float,
    _written(
        metavar="0..1",
        help="How sure it must be before something is drawn, blurred, written or counted. Lower it if faces are "
        "missed, raise it if other things are taken for faces. (The memory itself works from 0.05 on.)",
    ),
]
MaskScale = Annotated[
    float, _written(metavar="TIMES", help="How many times as wide and high as its box a blurred area is.")
]
SkipExisting = Annotated[
    bool,
    _written("--skip-existing", help="Leave out videos whose results are all there: go on where a run was stopped."),
]
ContainerOption = Annotated[Container, _written(metavar="mp4|mkv|mov|webm", help="Kind of the video files written.")]

DetectorName = Annotated[
    str,
    _of_detector(
        metavar="faces|FILE.onnx|FILE.py:CALLABLE",
        help="What finds the objects: the face detector CenterFace, a network in an ONNX file (with --head), or your "
        "own function or torch module, such as mine.py:detect or package.module:detect. It gets a picture as a float "
        "tensor (1, 3, H, W), RGB from 0 to 255, and returns heatprop.HeadMaps.",
    ),
]
Classes = Annotated[
    str | None,
    _of_detector(
        metavar="NAMES",
        help="Draw, blur, write and count only these classes: names with commas between them if your detector has an "
        "attribute class_names, else numbers from 0.",
        show_default="all",
    ),
]
AdapterOption = Annotated[
    AdapterName | None,
    _of_detector(
        metavar="NAME",
        help="How to read the raw output of your own detector if it does not return HeadMaps: "
        f"{', '.join(AdapterName)}.",
    ),
]
HeadOption = Annotated[
    HeadName | None,
    _of_detector(
        metavar="NAME",
        help=f"What kind of network an ONNX file holds, exported without NMS: {', '.join(HeadName)}. Use it with "
        "--steady.",
    ),
]
DetectorSize = Annotated[
    int | None,
    _of_detector(
        metavar="PIXELS",
        min=32,
        max=16384,
        help="Longer side of the picture that the detector sees. Smaller is faster, larger finds smaller faces; the "
        "results keep the size of the video.",
        show_default="that of the video",
    ),
]
Stride = Annotated[
    float | None,
    _of_detector(
        metavar="PIXELS",
        help="Pixels of that picture per cell of your own detector's heatmap.",
        show_default="4, or what --head has",
    ),
]
Every = Annotated[
    int,
    _of_detector(
        metavar="N",
        min=1,
        help="The detector looks at every n-th frame only, and at the first of each scene; the memory fills the "
        "others. 2 is nearly twice as fast; more costs accuracy where things move.",
    ),
]
Device = Annotated[str, _of_detector(metavar="NAME", help="Where the detector runs: cpu, cuda, cuda:1 ...")]


def _of_propagator(name: str, metavar: str) -> Any:
    shown = paper_or_steady(name)
    return propagator_option(name, metavar=metavar, show_default=shown, rich_help_panel=_MEMORY)


Steady = Annotated[
    bool,
    _of_memory(
        "--steady",
        help="Settings for watching and counting instead of the paper's: less flicker, far fewer ghosts, crowds stay "
        "apart. What you set yourself still holds.",
    ),
]
Radius = Annotated[
    str | None,
    _of_memory(
        metavar="CELLS|auto",
        help=f"{option_help('radius')} auto: what covers 95 % of the motions in the first 150 frames of each video.",
        show_default=paper_or_steady("radius"),
    ),
]
Alpha = Annotated[float | None, _of_propagator("alpha", "0..1")]
Beta = Annotated[float | None, _of_propagator("beta", "0..inf")]
TopK = Annotated[
    int | None,
    propagator_option("top_k", metavar="COUNT", rich_help_panel=_MEMORY, show_default="100, or 300 with --head"),
]
NmsThreshold = Annotated[float | None, _of_propagator("nms_threshold", "0..1")]
CarryOption = Annotated[Carry, _of_memory(metavar="balanced|network", help=option_help("carry"))]
SceneCutsOption = Annotated[
    bool, _of_memory("--scene-cuts/--no-scene-cuts", help="Forget everything where a new scene starts.")
]
CameraMotionOption = Annotated[
    bool,
    _of_memory(
        "--camera-motion",
        help="Move the memory with the camera: for handheld, panning and driving cameras. A camera that stands still "
        "is left alone.",
    ),
]
TwoPass = Annotated[
    bool,
    _of_memory(
        "--two-pass",
        help="Look back as well: cover each object before it is first detected, and bridge gaps from both ends. The "
        "video is read twice, and the detector's maps wait in a temporary file in the folder of --out: 0.3 GB an hour "
        "at 176 x 144, 6 GB at 1280 x 720.",
    ),
]
CombineOption = Annotated[
    Combine,
    _of_memory(
        metavar="mean|maximum",
        help="With --two-pass: which of its two scores an object gets that is seen from both sides. The maximum misses "
        "less, the mean is less often wrong.",
    ),
]
