"""Draw detections on pictures, or make the area under them unrecognisable; extra ``cli`` (Pillow).

We use Pillow and not OpenCV because its letters are smooth at any size and it needs no desktop library.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

try:
    from PIL import Image as Pillow
    from PIL import ImageDraw, ImageFont
except ImportError as error:
    raise ImportError(
        f"heatprop.video.drawing needs Pillow ({error}): pip install 'heatprop[cli]'", name=error.name
    ) from error

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]
Place = tuple[int, int, int, int]  # left, top, right, bottom

# Blue and orange stay apart for colour-blind eyes too, and black letters are readable on both.
SEEN: Colour = (86, 180, 233)
CARRIED: Colour = (255, 160, 0)
_DARK: Colour = (0, 0, 0)
_LIGHT: Colour = (255, 255, 255)

_ACROSS = 5  # averages that are left of a box's mean side
_SMALLEST_AVERAGE = 4.0  # side of the area behind each of them, in pixels


def annotate(image: Image, boxes: ArrayLike, *, texts: Sequence[str], carried: Sequence[bool]) -> Image:
    """Draw boxes with labels: blue where the network saw the object, orange where the memory carried it.

    Lines and letters scale with the picture. Labels keep clear of each other where there is room. A box with no area is
    drawn as a small cross.

    Args:
        image: RGB picture, shape ``(H, W, 3)``, ``uint8``.
        boxes: ``(x1, y1, x2, y2)``, shape ``(n, 4)``, in pixels; they may reach over the border.
        texts: What to write at each box; an empty text writes nothing.
        carried: Which boxes are drawn in orange.

    Returns:
        A new picture of the same shape.

    Raises:
        ValueError: If a shape or a length is wrong, or a box is not finite.

    Examples:
        >>> import numpy as np
        >>> from heatprop.video.drawing import annotate
        >>> picture = np.zeros((90, 160, 3), np.uint8)
        >>> drawn = annotate(picture, [[40, 30, 80, 70]], texts=["#0 0.93"], carried=[False])
        >>> drawn[50, 40].tolist(), drawn[50, 60].tolist()
        ([86, 180, 233], [0, 0, 0])
    """
    places = _checked(image, boxes)
    H, W = image.shape[:2]
    if not len(places) == len(texts) == len(carried):
        raise ValueError(
            f"boxes, texts and carried must have one length, got {len(places)}, {len(texts)} and {len(carried)}"
        )
    picture = Pillow.fromarray(image)
    draw = ImageDraw.Draw(picture)
    colours = [CARRIED if flag else SEEN for flag in carried]
    for box, colour in zip(places, colours, strict=True):
        _outline(draw, box, colour, width=_line_width(H, W))
    taken = list[Place]()
    for box, text, colour in zip(places, texts, colours, strict=True):  # above all lines
        _label(draw, box, text, colour, taken, height=H, width=W)
    return np.array(picture)


def blur(image: Image, boxes: ArrayLike, *, scale: float = 1.3) -> Image:
    """Make the contents of boxes unrecognisable.

    Only about 5 x 5 averages of each enlarged box remain, drawn as a smooth blur. Finer detail, such as the eyes and
    mouth of a face of any size, is not in the new picture and cannot be computed back. The whole rectangle is covered.

    Args:
        image: RGB picture, shape ``(H, W, 3)``, ``uint8``.
        boxes: ``(x1, y1, x2, y2)``, shape ``(n, 4)``, in pixels; they may reach over the border.
        scale: Side of the blurred area divided by the box's side, above 0.

    Returns:
        A new picture of the same shape; outside the enlarged boxes, no pixel changes.

    Raises:
        ValueError: If a shape is wrong, a box is not finite, or ``scale`` is not above 0.

    Examples:
        >>> import numpy as np
        >>> from heatprop.video.drawing import blur
        >>> picture = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
        >>> hidden = blur(picture, [[40, 30, 80, 70]])
        >>> bool(picture[30:70, 40:80].std() > 4 * hidden[30:70, 40:80].std())
        True
    """
    places = _checked(image, boxes)
    if not 0 < scale < math.inf:
        raise ValueError(f"scale must be a finite number above 0, got {scale}")
    H, W = image.shape[:2]
    blurred = image.copy()
    for box in places:
        centre, sides = (box[:2] + box[2:]) / 2, scale * (box[2:] - box[:2])
        left, top = np.clip(np.floor(centre - sides / 2), 0, (W, H)).astype(int)
        right, bottom = np.clip(np.ceil(centre + sides / 2), 0, (W, H)).astype(int)
        region = blurred[top:bottom, left:right]
        if region.size:
            region[:] = _averaged(region, max(math.sqrt(sides.prod()) / _ACROSS, _SMALLEST_AVERAGE))
    return blurred


def side_by_side(left: Image, right: Image, *, titles: tuple[str, str]) -> Image:
    """Put two pictures of one size next to each other, each with a title above it.

    Args:
        left: RGB picture, shape ``(H, W, 3)``, ``uint8``.
        right: Another one of the same shape.
        titles: What to write above them.

    Returns:
        A picture of shape ``(H + title_height(H, W), 2 * W, 3)``.

    Raises:
        ValueError: If the shapes differ.
    """
    if left.shape != right.shape:
        raise ValueError(f"the pictures must have one shape, got {left.shape} and {right.shape}")
    H, W = left.shape[:2]
    margin = title_height(H, W)
    picture = Pillow.fromarray(np.pad(np.hstack([left, right]), ((margin, 0), (0, 0), (0, 0))))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(_letter_size(H, W))
    for column, title in enumerate(titles):
        draw.text(((column + 0.5) * W, margin / 2), title, fill=_LIGHT, font=font, anchor="mm")
    return np.array(picture)


def title_height(height: int, width: int) -> int:
    """Return how many rows `side_by_side` adds above pictures of this size."""
    return 2 * math.ceil(0.9 * _letter_size(height, width))


def _checked(image: Image, boxes: ArrayLike) -> NDArray[np.float64]:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image must have shape (H, W, 3) and type uint8, got {image.shape} and {image.dtype}")
    places = np.asarray(boxes, dtype=np.float64)
    if places.size == 0:
        return places.reshape(0, 4)
    if places.ndim != 2 or places.shape[1] != 4 or not np.isfinite(places).all():
        raise ValueError(f"boxes must have shape (n, 4) and be finite, got {places.tolist()}")
    return places


def _outline(draw: ImageDraw.ImageDraw, box: NDArray[np.float64], colour: Colour, *, width: int) -> None:
    x1, y1, x2, y2 = (round(side) for side in box)
    rim = max(1, width // 3)  # keeps the line visible on a background of its own colour
    for ink, line in ((_DARK, width + 2 * rim), (colour, width)):
        if x1 < x2 and y1 < y2:
            draw.rectangle((x1 - line // 2, y1 - line // 2, x2 + line // 2, y2 + line // 2), outline=ink, width=line)
        else:
            arm = 4 * width + line // 2
            draw.line((x1 - arm, y1, x1 + arm, y1), fill=ink, width=line)
            draw.line((x1, y1 - arm, x1, y1 + arm), fill=ink, width=line)


def _label(
    draw: ImageDraw.ImageDraw,
    box: NDArray[np.float64],
    text: str,
    colour: Colour,
    taken: list[Place],
    *,
    height: int,
    width: int,
) -> None:
    """Write at a box, where no other label is if there is such a place; ``taken`` grows by it."""
    x1, y1, x2, y2 = box
    if not text or x1 > width or y1 > height or x2 < 0 or y2 < 0:
        return
    font, line = ImageFont.load_default(_letter_size(height, width)), _line_width(height, width)
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    wide, high = math.ceil(right - left + 2 * line), math.ceil(bottom - top + 2 * line)
    corners = [
        (round(min(max(x, 0), width - wide)), round(min(max(y, 0), height - high)))
        for x, y in _corners(box, wide, high, line)
    ]
    if y1 - line - high < 0:
        corners = [*corners[1:], corners[0]]  # there is no room above
    places = [(x, y, x + wide, y + high) for x, y in corners]
    place = next((one for one in places if not any(_overlap(one, other) for other in taken)), places[0])
    taken.append(place)
    x, y = place[:2]
    draw.rectangle((x, y, x + wide - 1, y + high - 1), fill=colour)
    draw.text((x + line - left, y + line - top), text, fill=_DARK, font=font)


def _corners(box: NDArray[np.float64], wide: int, high: int, line: int) -> list[tuple[float, float]]:
    """Where a label may go, the best place first: above, at the top, below, beside, and further up and down."""
    x1, y1, x2, y2 = box
    near = [(x1 - line, y1 - line - high), (x1 - line, y1 + line), (x1 - line, y2 + line)]
    near += [(x2 + line - wide, y2 + line), (x2 + line, y1 - line), (x1 - line - wide, y1 - line)]
    far = [(x1 - line, y1 - line - high * step) for step in range(2, 7)]
    return [*near, *far, *((x1 - line, y2 + line + high * step) for step in range(1, 6))]


def _overlap(one: Place, other: Place) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _line_width(height: int, width: int) -> int:
    return max(2, round(math.sqrt(height * width) / 320))


def _letter_size(height: int, width: int) -> int:
    return max(10, round(math.sqrt(height * width) / 50))


def _averaged(region: Image, side: float) -> Image:
    """Replace a region with the averages of squares of about that side, with smooth transitions."""
    height, width = region.shape[:2]
    columns, rows = max(1, round(width / side)), max(1, round(height / side))
    few = Pillow.fromarray(region).resize((columns, rows), Pillow.Resampling.BOX)
    return np.asarray(few.resize((width, height), Pillow.Resampling.BILINEAR))
