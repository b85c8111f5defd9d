"""Check that a heatmap holds scores: an adapter with the wrong option gives something else."""

import logging

import torch

from heatprop.structures import HeadMaps

_LOG = logging.getLogger("heatprop")


def warn_about_scores(maps: HeadMaps) -> None:
    """Log a warning if the heatmap cannot be the result of exactly one sigmoid.

    If all scores are 0.5 or more, the heatmap went through two sigmoids, because no logit was negative. If scores are
    below 0 or above 1, it went through none. This waits for the device: call it for the first frame of a video, not for
    every frame.

    Args:
        maps: What an adapter returned. Cells that are not finite are ignored.

    Examples:
        >>> import logging, sys, torch
        >>> from heatprop import HeadMaps, adapters
        >>> handler = logging.StreamHandler(sys.stdout)
        >>> logging.getLogger("heatprop").addHandler(handler)
        >>> adapters.warn_about_scores(HeadMaps(torch.full((1, 1, 4, 4), 7.0)))
        the heatmap should hold scores in [0, 1], but reaches from 7 to 7: it needs a sigmoid (adapters: logits=True)
        >>> logging.getLogger("heatprop").removeHandler(handler)
    """
    if maps.heatmap.is_meta:  # it has no values
        return
    heatmap = maps.heatmap.detach()
    finite = heatmap.isfinite()
    ends = torch.stack([heatmap.where(finite, torch.inf).amin(), heatmap.where(finite, -torch.inf).amax()])
    low, high = ends.tolist()
    if low > high:  # nothing is finite
        return
    if low < 0 or high > 1:
        _LOG.warning(
            "the heatmap should hold scores in [0, 1], but reaches from %g to %g: it needs a sigmoid "
            "(adapters: logits=True)",
            low,
            high,
        )
    elif low >= 0.5:
        _LOG.warning(
            "every score of the heatmap is 0.5 or more, from %g to %g: it went through a second sigmoid, as no logit "
            "was negative; if the network's output is after the sigmoid, read it with logits=False",
            low,
            high,
        )
