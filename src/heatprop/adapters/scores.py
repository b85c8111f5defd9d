"""Is a heatmap one of scores? What an adapter with the wrong option makes is not."""

import logging

import torch

from heatprop.structures import HeadMaps

_LOG = logging.getLogger("heatprop")


def warn_about_scores(maps: HeadMaps) -> None:
    """Log a warning where the heatmap cannot be one of scores after exactly one sigmoid.

    Scores that are all 0.5 or more come from a sigmoid of scores: no logit was negative. Scores below 0 or above 1 come
    from no sigmoid at all. It waits for the device: call it for the first frame of a video, not for each.

    Args:
        maps: What an adapter returned. Cells that are not finite are passed over.

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
