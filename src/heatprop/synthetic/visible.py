"""Boxes of a frame: the extent of the visible part of each object."""

import numpy as np

from heatprop.formats.imagenet_xml import AnnotatedObject, Annotation
from heatprop.synthetic.rendering import COVERED, Mask, cover, render_thing
from heatprop.synthetic.scenes import Scene

_LEAST_SHARE = 0.25
"""An object gets no box if a smaller share of it is visible."""
_LEAST_SIDE = 4
"""An object gets no box that would be narrower or lower than this, in pixels."""
_HIDDEN_SHARE = 0.1
"""An object is occluded if a larger share of its part in the picture lies behind nearer things."""


def annotate_frame(scene: Scene, frame: int) -> Annotation:
    """Box the objects of a frame at the middle of its exposure, without rendering the picture.

    A box spans the pixels that the object covers by one half or more, that lie in the picture, and that no nearer
    thing covers. As in ImageNet VID, the last pixel is included, so a box of one pixel has x2 = x1. Motion blur and
    defocus do not widen it.

    An object gets no box if less than 25 % of it is visible (visible pixels over all its pixels, including those beyond
    the border), or if its box would be less than 4 px wide or high. ``occluded`` is set if nearer things hide more than
    10 % of its pixels inside the picture; being cut off by the border alone does not. ``generated`` is never set.

    Args:
        scene: The scene.
        frame: Number of the frame, from 0.

    Returns:
        Picture size and objects, the farthest first.
    """
    size = scene.options.size
    nearer = np.zeros(size[::-1], np.bool_)
    objects: list[AnnotatedObject] = []
    for thing in reversed(scene.things):
        layer = render_thing(scene, thing, frame)
        if layer is None:
            continue
        inside = cover(layer, size)
        if thing.track >= 0:
            total = sum(layer.picture.getchannel("A").histogram()[COVERED:])
            seen = inside & ~nearer
            box = extents(seen)
            if box is not None and _worth(box, int(seen.sum()), total):
                hidden = (inside & nearer).sum() > _HIDDEN_SHARE * inside.sum()
                objects.append(AnnotatedObject(thing.wnid, box, thing.track, bool(hidden), False))
        nearer |= inside
    return Annotation(*size, objects[::-1])


def extents(mask: Mask) -> tuple[float, float, float, float] | None:
    """Box the pixels of a mask.

    Args:
        mask: The mask, shape ``(H, W)``.

    Returns:
        First and last column and row, ``(x1, y1, x2, y2)``; ``None`` for an empty mask.

    Examples:
        >>> mask = np.zeros((5, 6), bool)
        >>> mask[1:3, 2:6] = True
        >>> extents(mask)
        (2.0, 1.0, 5.0, 2.0)
    """
    columns, rows = (np.flatnonzero(mask.any(axis=axis)) for axis in (0, 1))
    if len(columns) == 0:
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1]), float(rows[-1])


def _worth(box: tuple[float, float, float, float], seen: int, total: int) -> bool:
    x1, y1, x2, y2 = box
    return min(x2 - x1, y2 - y1) + 1 >= _LEAST_SIDE and seen >= _LEAST_SHARE * total
