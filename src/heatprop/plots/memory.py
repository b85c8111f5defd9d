"""Pictures of what the memory does, like the paper's Figs. 2 and 4; extra ``plots`` (matplotlib).

Both functions return a figure of their own and leave pyplot and its settings alone:
``score_timeline(...).savefig("scores.png")``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from heatprop.output import PropagatorOutput

try:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
except ImportError as error:
    raise ImportError(
        f"heatprop.plots needs matplotlib ({error}): pip install 'heatprop[plots]'", name=error.name
    ) from error

Image = NDArray[np.uint8]

# Okabe and Ito's colours, which stay apart for colour-blind eyes; each line has a shape of its own as well.
_ALONE = "#4d4d4d"
_MEMORY = "#0072b2"
_CARRIED = "#e69f00"
_DEGRADED = "#e3e3e3"
_HEAT = "inferno"
_DPI = 150
_OPAQUE_FROM = 0.4  # score from which on a heatmap hides the picture under it


def score_timeline(
    per_frame: ArrayLike,
    with_memory: ArrayLike,
    *,
    carried: Sequence[int] = (),
    degraded: Sequence[int] = (),
    threshold: float | None = 0.5,
    title: str = "",
) -> Figure:
    """Draw one object's score over the frames of a video, with and without memory (the paper's Fig. 4).

    Args:
        per_frame: Score in each frame by the detector alone, shape ``(T,)``, in [0, 1]; 0 where it found
            nothing, NaN leaves a hole.
        with_memory: Score in each frame with memory, same shape.
        carried: Numbers of the frames in which the memory kept what the detector alone lost; marked by
            orange dots.
        degraded: Numbers of the frames that were made worse on purpose; marked by grey bands.
        threshold: Score from which on the object counts as found, drawn as a dotted line; ``None`` for no line.
        title: What to write above the picture.

    Returns:
        A figure, 8 x 3 inches, with a line named ``per frame`` and one named ``with memory``.

    Raises:
        ValueError: If the scores differ in shape, or a frame's number is none of theirs.

    Examples:
        >>> from heatprop.plots import score_timeline
        >>> figure = score_timeline([0.9, 0.1, 0.9], [0.9, 0.7, 0.8], carried=[1], degraded=[1])
        >>> [line.get_label() for line in figure.axes[0].lines[:2]]
        ['per frame', 'with memory']
    """
    alone, memory = np.asarray(per_frame, dtype=float), np.asarray(with_memory, dtype=float)
    if alone.ndim != 1 or alone.shape != memory.shape:
        raise ValueError(f"per_frame and with_memory must share one shape (T,), got {alone.shape} and {memory.shape}")
    for name, frames in (("carried", carried), ("degraded", degraded)):
        if not all(0 <= frame < len(alone) for frame in frames):
            raise ValueError(f"{name} must hold frame numbers from 0 to {len(alone) - 1}, got {list(frames)}")
    figure = Figure(figsize=(8, 3), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    _draw_scores(axes, alone, memory, list(carried))
    _draw_marks(axes, degraded, threshold)
    axes.set(xlim=(-0.5, len(alone) - 0.5), ylim=(-0.03, 1), xlabel="frame", ylabel="score")
    if title:
        axes.set_title(title, loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    _legend(axes, any_degraded=len(degraded) > 0)
    return figure


def heatmap_strip(
    before: PropagatorOutput,
    now: PropagatorOutput,
    *,
    stream: int = 0,
    label: int = 0,
    images: tuple[Image, Image] | None = None,
    crop: tuple[int, int, int, int] | None = None,
) -> Figure:
    """Draw how one frame's detections reach the next one's heatmap (the paper's Fig. 2).

    Four heatmaps in one scale of colours, each with its highest score: the network's of frame t, what is
    propagated from it (Eq. 2), the network's of frame t + 1, and the balanced one (Eqs. 5 and 6).

    Args:
        before: What the propagator returned for frame t.
        now: What it returned for frame t + 1.
        stream: Which of the B streams.
        label: Which of the C classes.
        images: The pictures of both frames as the network saw them, to lie under the heatmaps, shape
            ``(H', W', 3)``, ``uint8``.
        crop: The part to show, ``(x1, y1, x2, y2)``, in cells; everything if none is given.

    Returns:
        A figure, 8 inches wide, with four pictures side by side and a colour bar.

    Raises:
        ValueError: If the outputs differ in shape, or have time (``forward_chunk``), or ``crop`` is empty.

    Examples:
        >>> import torch
        >>> from heatprop import HeatmapPropagator
        >>> from heatprop.plots import heatmap_strip
        >>> propagator, heatmap = HeatmapPropagator(), torch.zeros(1, 1, 16, 16)
        >>> heatmap[0, 0, 8, 8] = 0.8
        >>> figure = heatmap_strip(propagator(heatmap), propagator(heatmap / 10))
        >>> [axes.get_title().splitlines()[1] for axes in figure.axes[:4]]
        ['network 0.80', 'from t 0.80', 'network 0.08', 'balanced 0.55']
    """
    shape = tuple(now.heatmap.shape)
    if len(shape) != 4 or tuple(before.heatmap.shape) != shape:
        raise ValueError(
            "before and now must be two frames of one shape (B, C, H, W), got "
            f"{tuple(before.heatmap.shape)} and {shape}"
        )
    x1, y1, x2, y2 = (0, 0, shape[3], shape[2]) if crop is None else crop
    if not (0 <= x1 < x2 <= shape[3] and 0 <= y1 < y2 <= shape[2]):
        raise ValueError(f"crop must be (x1, y1, x2, y2) within {shape[3]} x {shape[2]} cells, got {crop}")
    propagated = now.prior_score()
    panels = {
        "frame t:\nnetwork": before.network_heatmap,
        "propagated\nfrom t": propagated,
        "frame t + 1:\nnetwork": now.network_heatmap,
        "frame t + 1:\nbalanced": now.heatmap,
    }
    figure = Figure(figsize=(8, 0.55 + 1.8 * (y2 - y1) / (x2 - x1)), dpi=_DPI, layout="constrained")
    all_axes = figure.subplots(1, len(panels))
    for index, (axes, (name, heatmap)) in enumerate(zip(all_axes, panels.items(), strict=True)):
        _draw_heatmap(axes, heatmap[stream, label], None if images is None else images[index // 2])
        axes.set(xlim=(x1 - 0.5, x2 - 0.5), ylim=(y2 - 0.5, y1 - 0.5), xticks=[], yticks=[])
        axes.set_title(f"{name} {_scores(heatmap[stream, label]).max():.2f}", fontsize=10)
    scale = ScalarMappable(Normalize(0, 1), _HEAT)
    figure.colorbar(scale, ax=all_axes, fraction=0.02, pad=0.01, label="score", ticks=[0, 0.5, 1])
    return figure


def _draw_scores(axes: Axes, alone: NDArray[np.float64], memory: NDArray[np.float64], carried: list[int]) -> None:
    axes.plot(alone, color=_ALONE, linewidth=1.2, label="per frame", zorder=3)
    axes.plot(memory, color=_MEMORY, linewidth=2, label="with memory", zorder=4)
    if carried:
        style: dict[str, Any] = {"markersize": 5, "markeredgecolor": "black", "markeredgewidth": 0.6}
        axes.plot(carried, memory[carried], "o", color=_CARRIED, label="kept by the memory", zorder=5, **style)


def _draw_marks(axes: Axes, degraded: Sequence[int], threshold: float | None) -> None:
    for frame in degraded:
        axes.axvspan(frame - 0.5, frame + 0.5, color=_DEGRADED, linewidth=0, zorder=1)
    if threshold is not None:
        axes.axhline(threshold, color="black", linewidth=0.8, linestyle=":", zorder=2)
        place: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "ha": "left", "va": "center"}
        axes.text(1.01, threshold, "\u2191 found\n\u2193 lost", fontsize=8, **place)


def _legend(axes: Axes, *, any_degraded: bool) -> None:
    handles, _ = axes.get_legend_handles_labels()
    if any_degraded:
        handles = [*handles, Patch(color=_DEGRADED, label="degraded frame")]
    place: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": len(handles)}
    axes.legend(handles=handles, frameon=False, fontsize=9, **place)


def _draw_heatmap(axes: Axes, heatmap: Tensor, image: Image | None) -> None:
    scores = _scores(heatmap)
    H, W = scores.shape
    opacity: NDArray[np.float64] | None = None
    if image is not None:
        grey = np.asarray(image).mean(axis=2)
        axes.imshow(
            grey, cmap="gray", vmin=0, vmax=255, extent=(-0.5, W - 0.5, H - 0.5, -0.5), interpolation="bilinear"
        )
        opacity = np.clip(scores / _OPAQUE_FROM, 0, 1)
    axes.imshow(scores, cmap=_HEAT, vmin=0, vmax=1, alpha=opacity, interpolation="nearest")


def _scores(heatmap: Tensor) -> NDArray[np.float64]:
    return np.asarray(heatmap.detach().double().nan_to_num(0, 0, 0).cpu().numpy())
