"""Pictures: what they show is read back from the figure, as data."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from heatprop import HeatmapPropagator
from heatprop.plots import heatmap_strip, score_timeline

PER_FRAME = [0.9, 0.1, 0.9, 0.0, 0.8]
WITH_MEMORY = [0.9, 0.8, 0.85, 0.6, 0.7]


def series(figure):
    """The lines of a figure's first axes by name, as (x, y)."""
    return {line.get_label(): line.get_data() for line in figure.axes[0].lines}


def names(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def bands(figure):
    """First and last x of each grey band."""
    return [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in figure.axes[0].patches]


def png(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def two_frames(radius=2, **options):
    """An object at row 5, column 8, seen with 0.8 and lost on the second frame, where something is at (12, 2)."""
    propagator = HeatmapPropagator(radius=radius, **options)
    seen, lost = torch.zeros(2, 1, 2, 16, 20).unbind()
    seen[0, 1, 5, 8], lost[0, 1, 5, 8], lost[0, 1, 12, 2] = 0.8, 0.02, 0.3
    return propagator(seen), propagator(lost)


def drawn(figure):
    """The heatmap on each of the four panels: the last picture on its axes."""
    return [np.ma.filled(axes.images[-1].get_array(), np.nan) for axes in figure.axes[:4]]


# --- the score over time ----------------------------------------------------------------------------------------------


def test_the_timeline_draws_both_scores_over_the_frames():
    figure = score_timeline(PER_FRAME, WITH_MEMORY)
    assert isinstance(figure, Figure)
    for name, expected in (("per frame", PER_FRAME), ("with memory", WITH_MEMORY)):
        frames, scores = series(figure)[name]
        np.testing.assert_array_equal(frames, range(5))
        np.testing.assert_array_equal(scores, expected)
    assert names(figure) == ["per frame", "with memory"]


def test_carried_frames_are_dots_on_the_line_with_memory():
    frames, scores = series(score_timeline(PER_FRAME, WITH_MEMORY, carried=[1, 3]))["kept by the memory"]
    np.testing.assert_array_equal(frames, [1, 3])
    np.testing.assert_array_equal(scores, [0.8, 0.6])


def test_degraded_frames_are_bands_of_one_frame_each():
    figure = score_timeline(PER_FRAME, WITH_MEMORY, degraded=[1, 3])
    assert bands(figure) == [(0.5, 1.5), (2.5, 3.5)]
    assert names(figure) == ["per frame", "with memory", "degraded frame"]


def test_the_threshold_is_a_level_line_with_a_word():
    figure = score_timeline(PER_FRAME, WITH_MEMORY, threshold=0.4)
    heights = [list(line.get_ydata()) for line in figure.axes[0].lines]
    assert [0.4, 0.4] in heights
    assert [(text.get_position()[1], text.get_text()) for text in figure.axes[0].texts] == [
        (0.4, "\u2191 found\n\u2193 lost")
    ]
    assert not score_timeline(PER_FRAME, WITH_MEMORY, threshold=None).axes[0].texts


def test_nan_leaves_a_hole_and_the_title_is_written():
    figure = score_timeline([0.9, np.nan, 0.8], np.array([0.9, 0.8, 0.8]), title="a face")
    assert np.isnan(series(figure)["per frame"][1][1])
    assert figure.axes[0].get_title(loc="left") == "a face"


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([0.1], [0.1, 0.2]), {}, r"must share one shape \(T,\), got \(1,\) and \(2,\)"),
        (([[0.1]], [[0.1]]), {}, r"must share one shape \(T,\)"),
        (([0.1, 0.2], [0.1, 0.2]), {"carried": [2]}, r"carried must hold frame numbers from 0 to 1, got \[2\]"),
        (([0.1, 0.2], [0.1, 0.2]), {"degraded": [-1]}, r"degraded must hold frame numbers from 0 to 1, got \[-1\]"),
    ],
)
def test_a_timeline_of_what_does_not_fit_together_is_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        score_timeline(*arguments, **options)


# --- the strip of heatmaps --------------------------------------------------------------------------------------------


def test_the_strip_draws_network_propagated_network_balanced():
    before, now = two_frames()
    propagated = np.zeros((16, 20))
    for y in range(16):
        for x in range(20):
            if abs(y - 5) <= 2 and abs(x - 8) <= 2:
                propagated[y, x] = np.float32(0.8)
    expected = [before.network_heatmap[0, 1], propagated, now.network_heatmap[0, 1], now.heatmap[0, 1]]
    figure = heatmap_strip(before, now, label=1)
    assert isinstance(figure, Figure)
    for panel, heatmap in zip(drawn(figure), expected, strict=True):
        np.testing.assert_array_equal(panel, heatmap)
    assert {axes.images[0].get_clim() for axes in figure.axes[:4]} == {(0, 1)}


def test_titles_name_the_highest_score():
    titles = [axes.get_title() for axes in heatmap_strip(*two_frames(), label=1).axes[:4]]
    assert [title.split()[-1] for title in titles] == ["0.80", "0.80", "0.30", "0.53"]  # 0.02 + 0.98 * 2 / 3 * 0.78
    assert "propagated" in titles[1]
    assert "balanced" in titles[3]


def test_the_square_has_the_propagators_radius():
    propagated = drawn(heatmap_strip(*two_frames(radius=4), label=1))[1]
    assert (propagated > 0).sum() == 81


def test_stream_and_label_choose_the_map():
    propagator = HeatmapPropagator()
    maps = torch.rand(2, 3, 2, 8, 8).unbind()
    before, now = (propagator(each) for each in maps)
    panels = drawn(heatmap_strip(before, now, stream=2, label=1))
    np.testing.assert_array_equal(panels[0], maps[0][2, 1].double())
    np.testing.assert_array_equal(panels[3], now.heatmap[2, 1].double())


def test_crop_shows_those_cells():
    for axes in heatmap_strip(*two_frames(), label=1, crop=(4, 2, 14, 10)).axes[:4]:
        assert axes.get_xlim() == (3.5, 13.5)
        assert axes.get_ylim() == (9.5, 1.5)


def test_pictures_lie_under_the_heatmaps_and_shine_through_where_the_score_is_low():
    images = np.full((2, 64, 80, 3), [[[[30]]], [[[200]]]], np.uint8)
    figure = heatmap_strip(*two_frames(), label=1, images=(images[0], images[1]))
    for axes, grey in zip(figure.axes[:4], (30, 30, 200, 200), strict=True):
        picture, heatmap = axes.images
        assert np.unique(picture.get_array()) == grey
        assert picture.get_extent() == [-0.5, 19.5, 15.5, -0.5]
        assert heatmap.get_alpha()[0, 0] == 0
    assert figure.axes[3].images[1].get_alpha()[5, 8] == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_type_of_map_and_holes_in_it_can_be_drawn(dtype):
    propagator = HeatmapPropagator()
    heatmap = torch.rand(1, 1, 8, 8, dtype=torch.float64).to(dtype)
    heatmap[0, 0, 3, 3] = torch.nan
    figure = heatmap_strip(propagator(heatmap), propagator(heatmap))
    assert drawn(figure)[0][3, 3] == 0
    assert png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("crop", [(0, 0, 21, 16), (5, 5, 5, 9), (-1, 0, 4, 4)])
def test_a_crop_outside_the_map_or_empty_is_refused(crop):
    with pytest.raises(ValueError, match=r"crop must be \(x1, y1, x2, y2\) within 20 x 16 cells"):
        heatmap_strip(*two_frames(), crop=crop)


def test_frames_of_two_shapes_or_with_time_are_refused():
    propagator, other = HeatmapPropagator(), HeatmapPropagator()
    chunk = propagator.forward_chunk(torch.rand(1, 2, 1, 8, 8))
    with pytest.raises(ValueError, match=r"two frames of one shape \(B, C, H, W\)"):
        heatmap_strip(chunk, chunk)
    with pytest.raises(ValueError, match=r"got \(1, 1, 8, 8\) and \(1, 1, 9, 8\)"):
        heatmap_strip(HeatmapPropagator()(torch.rand(1, 1, 8, 8)), other(torch.rand(1, 1, 9, 8)))


# --- both -------------------------------------------------------------------------------------------------------------


def test_both_figures_become_png_files():
    timeline = score_timeline(PER_FRAME, WITH_MEMORY, carried=[1, 3], degraded=[1, 3])
    for figure in (timeline, heatmap_strip(*two_frames(), label=1)):
        assert png(figure).startswith(b"\x89PNG")


def test_pyplot_and_its_global_state_stay_out():
    code = (
        "import sys, io; from heatprop.plots import score_timeline; "
        "score_timeline([0.5], [0.6]).savefig(io.BytesIO()); print('matplotlib.pyplot' in sys.modules)"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": paths},
    )
    assert result.stdout.strip() == "False", result.stderr
