"""Boxes of a frame: the extents of what is to be seen of each object."""

import numpy as np

from heatprop.formats.imagenet_xml import AnnotatedObject, Annotation
from heatprop.synthetic.rendering import COVERED, Mask, cover, render_thing
from heatprop.synthetic.scenes import Scene

_LEAST_SHARE = 0.25
"""An object has no box where less of it can be seen."""
_LEAST_SIDE = 4
"""Nor where its box would be narrower or lower, in pixels."""
_HIDDEN_SHARE = 0.1
"""An object is occluded where more of its part in the picture lies behind nearer things."""


def annotate_frame(scene: Scene, frame: int) -> Annotation:
    """Box the objects of a frame at the middle of its exposure, without rendering its picture.

    A box spans the pixels that the object covers by one half or more, that are in the picture, and that no nearer
    thing covers; as in ImageNet VID the last pixel is included, so that a box of one pixel has x2 = x1. Motion blur
    and defocus do not widen it.

    No box is given to an object of which less than 25 % can be seen (pixels to be seen, over all its pixels, those
    beyond the border too), or whose box would be less than 4 px wide or high. ``occluded`` is set where more than
    10 % of its pixels inside the picture are hidden by nearer things; being cut by the border alone does not set it.
    ``generated`` is never set.

    Args:
        scene: What is seen.
        frame: From 0.

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
        mask: Shape ``(H, W)``.

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
