"""Window maximum, peaks and the exact top K."""

import numpy as np
import oracles
import pytest
import torch
import toy
from torch.testing import assert_close

from heatprop import find_peaks, top_k, window_maximum

SHAPES = [(1, 1, 1), (2, 1, 9), (2, 9, 1), (1, 2, 2), (3, 8, 13), (1, 16, 16)]
KERNELS = [1, 3, 5, 7, 9, 11, 13]


def heatmaps(shape, levels):
    heatmap = torch.rand(2, *shape, dtype=torch.float64)
    return heatmap if levels is None else (heatmap * levels).round() / levels


@pytest.mark.parametrize("kernel", KERNELS)
def test_window_maximum_equals_the_loop_oracle(kernel):
    for shape in SHAPES:
        heatmap = heatmaps(shape, None)
        expected = np.stack([oracles.window_maximum(stream, kernel) for stream in heatmap.numpy()])
        np.testing.assert_array_equal(window_maximum(heatmap, kernel=kernel).numpy(), expected, err_msg=str(shape))


def test_window_maximum_has_a_kernel_of_3_by_default():
    heatmap = heatmaps((2, 6, 6), None)
    assert torch.equal(window_maximum(heatmap), window_maximum(heatmap, kernel=3))


@pytest.mark.parametrize("levels", [None, 3])
@pytest.mark.parametrize("kernel", KERNELS)
def test_peaks_match_the_loop_oracle(kernel, levels):
    for shape in SHAPES:
        heatmap = heatmaps(shape, levels)
        expected = torch.zeros_like(heatmap)
        for stream in range(2):
            for label, y, x in oracles.find_peaks(heatmap[stream].numpy(), kernel):
                expected[stream, label, y, x] = heatmap[stream, label, y, x]
        assert torch.equal(find_peaks(heatmap, kernel=kernel), expected), shape


def test_cells_of_an_equal_neighbourhood_are_all_peaks():
    heatmap = torch.full((1, 2, 3, 4), 0.5)
    assert torch.equal(find_peaks(heatmap), heatmap)


def test_a_zero_is_no_peak():
    assert find_peaks(torch.zeros(1, 1, 4, 4)).count_nonzero() == 0


def test_classes_do_not_compete_for_a_peak():
    heatmap = toy.spots((2, 4, 4), {(0, 1, 1): 0.9, (1, 1, 1): 0.3, (1, 1, 2): 0.2})
    assert find_peaks(heatmap).nonzero().tolist() == [[0, 0, 1, 1], [0, 1, 1, 1]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_peaks_keep_their_values_and_the_dtype(dtype):
    heatmap = toy.spots((1, 4, 4), {(0, 1, 1): 0.7}, dtype=dtype)
    peaks = find_peaks(heatmap)
    assert peaks.dtype == dtype
    assert torch.equal(peaks, heatmap)


def test_peaks_do_not_write_to_the_heatmap():
    heatmap = heatmaps((2, 6, 6), None)
    before = heatmap.clone()
    find_peaks(heatmap)
    window_maximum(heatmap, kernel=5)
    assert torch.equal(heatmap, before)


@pytest.mark.parametrize("k", [1, 2, 7, 50])
def test_top_k_equals_a_full_sort(k):
    for shape in (*SHAPES, (5, 3, 40), (80, 4, 4), (2, 64, 3)):
        peaks = heatmaps(shape, None)
        scores, index = top_k(peaks, k)
        flat = peaks.flatten(1).numpy()
        count = min(k, flat.shape[1])
        order = flat.argsort(axis=1)[:, ::-1][:, :count]
        np.testing.assert_array_equal(index[:, :count].numpy(), order, err_msg=str(shape))
        np.testing.assert_array_equal(scores[:, :count].numpy(), np.take_along_axis(flat, order, axis=1))


@pytest.mark.parametrize("levels", [1, 3])
def test_top_k_is_exact_among_ties_that_fill_many_rows(levels):
    peaks = heatmaps((4, 12, 7), levels)
    scores, index = top_k(peaks, 60)
    assert_close(scores, peaks.flatten(1).sort(dim=1, descending=True).values[:, :60], rtol=0, atol=0)
    assert_close(peaks.flatten(1).gather(1, index), scores, rtol=0, atol=0)
    assert all(len(set(row)) == 60 for row in index.tolist())


def test_top_k_finds_all_of_its_peaks_in_one_row():
    peaks = toy.spots((3, 40, 40), {(1, 5, x): 0.1 + x / 100 for x in range(40)})
    scores, index = top_k(peaks, 40)
    assert index[0].tolist() == [1600 + 5 * 40 + x for x in reversed(range(40))]
    assert scores[0, 0].item() == pytest.approx(0.49)


def test_top_k_pads_with_score_0_when_there_are_fewer_cells():
    scores, index = top_k(torch.full((2, 1, 2, 2), 0.5), 10)
    assert scores.shape == index.shape == (2, 10)
    assert scores.tolist() == [[0.5] * 4 + [0.0] * 6] * 2
    assert sorted(index[0, :4].tolist()) == [0, 1, 2, 3]
    assert ((index >= 0) & (index < 4)).all()


def test_top_k_indices_are_int64():
    assert top_k(torch.rand(1, 1, 4, 4), 3)[1].dtype == torch.int64


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_top_k_keeps_the_dtype_of_scores(dtype):
    peaks = torch.rand(1, 2, 4, 4).to(dtype)
    scores, _ = top_k(peaks, 3)
    assert scores.dtype == dtype
    assert_close(scores, peaks.flatten(1).sort(dim=1, descending=True).values[:, :3], rtol=0, atol=0)
