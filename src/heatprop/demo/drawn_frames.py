"""Draw frames with boxes, captions and a strip that shows what was found so far; uses Pillow."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from heatprop.demo.detection import FrameFaces
from heatprop.video.drawing import CARRIED, SEEN, annotate

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

LOST: Colour = (230, 40, 40)
BACKGROUND: Colour = (24, 24, 27)
_LIGHT: Colour = (245, 245, 245)
_AHEAD: Colour = (70, 70, 75)  # frames that are still to come
_GAP = 8  # pixels around panels
_WIDE_TICK = 5  # a frame wider than this in the strip, in pixels, has a gap to the next


class Tag(NamedTuple):
    """A label at the lower edge of a picture; a red label comes with a red border.

    Attributes:
        text: The text; nothing is drawn if it is empty.
        colour: Colour of the background.
    """

    text: str = ""
    colour: Colour = SEEN


class Panel(NamedTuple):
    """One of several pictures side by side.

    Attributes:
        image: The picture with its boxes, shape ``(H, W, 3)``, ``uint8``.
        title: Title above the picture.
        status: What happens in this frame, above the picture on the right.
        tag: What is wrong in this frame.
        strip: A colour for each frame of the clip, ``None`` for frames still to come; empty for no strip.
    """

    image: Image
    title: str
    status: str = ""
    tag: Tag = Tag()
    strip: Sequence[Colour | None] = ()


def draw_found(image: Image, found: FrameFaces, *, score: float, numbers: bool = True) -> Image:
    """Draw the boxes of at least a score: blue, or orange if the network's own score is lower.

    Args:
        image: RGB picture, shape ``(H, W, 3)``, ``uint8``.
        found: The detections in the picture.
        score: Lowest score of a box to draw.
        numbers: Whether to write the score at each box.

    Returns:
        A new picture of the same shape.
    """
    drawn = found.scores >= score
    carried = [bool(network < score) for network in found.network_scores[drawn]]
    texts = [f"{each:.2f}" if numbers else "" for each in found.scores[drawn]]
    return annotate(image, found.boxes[drawn], texts=texts, carried=carried)


def face_colour(alone: float, shown: float, *, score: float) -> Colour:
    """Choose the strip's colour for a frame: found, kept by the memory, or lost.

    Args:
        alone: The face's score from the detector alone.
        shown: The face's score in this panel.
        score: Lowest score that counts as found.

    Returns:
        RGB.
    """
    if shown < score:
        return LOST
    return SEEN if alone >= score else CARRIED


def compose(panels: Sequence[Panel], caption: str, key: Sequence[tuple[Colour, str]] = ()) -> Image:
    """Put panels side by side, with titles above, strips below, and a caption with a key of colours.

    Args:
        panels: At least one panel; all pictures have the same shape.
        caption: What to write below, on the left.
        key: Colours and their meanings, to write below, on the right.

    Returns:
        A picture with even sides.
    """
    H, W, _ = panels[0].image.shape
    letters = _letter_size(W)
    line, strip = round(1.8 * letters), round(0.7 * letters) if panels[0].strip else 0
    width, height = len(panels) * (W + 2 * _GAP), line + H + strip + _GAP * (strip > 0) + line
    sheet = Pillow.new("RGB", (width + width % 2, height + height % 2), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for column, panel in enumerate(panels):
        x = _GAP + column * (W + 2 * _GAP)
        _draw_panel(sheet, draw, panel, x, line)
        _draw_strip(draw, panel.strip, (x, line + H + _GAP, x + W, line + H + _GAP + strip))
    middle = height - line // 2
    draw.text((_GAP, middle), caption, fill=_LIGHT, font=_font(letters), anchor="lm")
    _draw_key(draw, key, width - _GAP, middle, letters)
    return np.asarray(sheet)


def compose_rows(rows: Mapping[str, Sequence[tuple[Image, Tag]]], captions: Sequence[str]) -> Image:
    """Stack rows of pictures, with a title above each row and a caption below each column.

    Args:
        rows: Title and pictures of each row; all pictures have the same shape.
        captions: What to write under each column.

    Returns:
        A picture.
    """
    H, W, _ = next(iter(rows.values()))[0][0].shape
    letters = round(1.5 * _letter_size(W))
    line = round(1.7 * letters)
    width = _GAP + len(captions) * (W + _GAP)
    sheet = Pillow.new("RGB", (width, len(rows) * (line + H) + line + _GAP // 2), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for row, (title, tiles) in enumerate(rows.items()):
        top = row * (line + H)
        draw.text((_GAP, top + line / 2), title, fill=_LIGHT, font=_font(letters), anchor="lm")
        for column, (image, tag) in enumerate(tiles):
            _paste(sheet, draw, image, _GAP + column * (W + _GAP), top + line, tag)
    for column, caption in enumerate(captions):
        x = _GAP + column * (W + _GAP) + W / 2
        draw.text((x, sheet.height - line / 2 - 2), caption, fill=_LIGHT, font=_font(letters), anchor="mm")
    return np.asarray(sheet)


def _draw_panel(sheet: Pillow.Image, draw: ImageDraw.ImageDraw, panel: Panel, x: int, top: int) -> None:
    width = panel.image.shape[1]
    font = _font(_letter_size(width))
    draw.text((x, top / 2), panel.title, fill=_LIGHT, font=font, anchor="lm")
    draw.text((x + width, top / 2), panel.status, fill=_LIGHT, font=font, anchor="rm")
    _paste(sheet, draw, panel.image, x, top, panel.tag)


def _paste(sheet: Pillow.Image, draw: ImageDraw.ImageDraw, image: Image, x: int, y: int, tag: Tag) -> None:
    sheet.paste(Pillow.fromarray(image), (x, y))
    H, W, _ = image.shape
    if tag.colour == LOST:
        draw.rectangle((x, y, x + W - 1, y + H - 1), outline=LOST, width=4)
    if tag.text:
        font, place = _font(round(1.4 * _letter_size(W))), (x + W / 2, y + H - 1.5 * _GAP)
        x1, y1, x2, y2 = draw.textbbox(place, tag.text, font=font, anchor="ms")
        draw.rectangle((x1 - _GAP, y1 - _GAP, x2 + _GAP, y2 + _GAP), fill=tag.colour)
        draw.text(place, tag.text, fill=_LIGHT if tag.colour == LOST else BACKGROUND, font=font, anchor="ms")


def _draw_strip(draw: ImageDraw.ImageDraw, strip: Sequence[Colour | None], box: tuple[int, int, int, int]) -> None:
    x1, y1, x2, y2 = box
    for frame, colour in enumerate(strip):
        start, end = (x1 + (x2 - x1) * edge // len(strip) for edge in (frame, frame + 1))
        draw.rectangle(
            (start, y1, end - 1 - (end - start > _WIDE_TICK), y2 - 1), fill=_AHEAD if colour is None else colour
        )


def _draw_key(
    draw: ImageDraw.ImageDraw, key: Sequence[tuple[Colour, str]], right: int, middle: int, letters: int
) -> None:
    font = _font(letters)
    for colour, text in reversed(key):
        draw.text((right, middle), text, fill=_LIGHT, font=font, anchor="rm")
        right -= round(draw.textlength(text, font=font)) + letters
        draw.rectangle((right, middle - letters // 3, right + 2 * letters // 3, middle + letters // 3), fill=colour)
        right -= letters


def _letter_size(width: int) -> int:
    return min(22, max(12, width // 22))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
