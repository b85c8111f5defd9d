"""What objects look like: one drawing per class, with a skin, light from above and individual colours."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from heatprop.synthetic.photos import cut_texture

CLASSES = {
    "n01503061": "bird",
    "n02924116": "bus",
    "n02958343": "car",
    "n01662784": "turtle",
    "n02062744": "whale",
    "n02391049": "zebra",
}
"""WordNet id -> name of the classes that can be drawn, six of ImageNet VID's 30."""

Colour = tuple[int, int, int]
_Pen = tuple[ImageDraw.ImageDraw, ImageDraw.ImageDraw]
_CANVAS = 320  # side of the drawing, in its own pixels; it is reduced to the size in the picture


def draw_sprite(rng: np.random.Generator, wnid: str, length: float) -> Image.Image:
    """Draw an individual of a class, facing right.

    Args:
        rng: Random generator of colours, proportions and skin.
        wnid: WordNet id of the class, a key of `CLASSES`.
        length: Longer side of the object in the picture, in pixels.

    Returns:
        RGBA, cropped to its outline with a transparent border of 1 px. The colours continue beyond the outline, so
        resampling leaves no fringe.

    Raises:
        ValueError: If there is no such class.
    """
    if wnid not in CLASSES:
        raise ValueError(f"classes must be among {', '.join(CLASSES)}, got {wnid!r}")
    paint, mask = Image.new("RGB", (_CANVAS, _CANVAS)), Image.new("L", (_CANVAS, _CANVAS))
    _DRAWINGS[wnid](rng, (ImageDraw.Draw(paint), ImageDraw.Draw(mask)))
    return _finish_sprite(rng, paint, mask, length)


def _finish_sprite(rng: np.random.Generator, paint: Image.Image, mask: Image.Image, length: float) -> Image.Image:
    """Give a drawing its skin, its light and its size.

    Args:
        rng: Random generator of the skin.
        paint: The colours, RGB.
        mask: The outline, grey levels, of the same size.
        length: Longer side of the outline in the picture, in pixels.

    Returns:
        RGBA with a border of 1 px.
    """
    box = mask.getbbox() or (0, 0, 1, 1)
    paint, mask = paint.crop(box), mask.crop(box)
    colours = np.asarray(paint, np.float32)
    skin = np.asarray(cut_texture(rng, paint.size).convert("L"), np.float32)[..., None]  # (h, w, 1)
    light = np.linspace(1.2, 0.72, paint.height, dtype=np.float32)[:, None, None]
    shaded = colours * light * (1 + rng.uniform(0.15, 0.4) * (skin - skin.mean()) / 128)
    factor = length / max(paint.size)
    size = (max(2, round(paint.width * factor)), max(2, round(paint.height * factor)))
    shrunk = Image.fromarray(shaded.clip(0, 255).astype(np.uint8)).resize(size, Image.Resampling.BOX)
    sprite = Image.new("RGBA", (size[0] + 2, size[1] + 2), (*(int(c) for c in colours.mean((0, 1))), 0))
    shrunk.putalpha(mask.resize(size, Image.Resampling.BOX))
    sprite.paste(shrunk, (1, 1))
    return sprite


def draw_occluder(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Draw a thing that stands still in front of objects: a post, a wall or a bush.

    Args:
        rng: Random generator.
        size: Width and height of the picture, in pixels.

    Returns:
        RGBA with a border of 1 px.
    """
    kind = rng.integers(3)
    width, height = ((0.08, 1.3), (0.35, 0.35), (0.3, 0.28))[kind]
    length = max(width * size[0], height * size[1]) * rng.uniform(0.75, 1.2)
    side = (round(_CANVAS * min(1, width / height)), round(_CANVAS * min(1, height / width)))
    paint, mask = cut_texture(rng, side), Image.new("L", side)
    pen = ImageDraw.Draw(mask)
    if kind < 2:
        pen.rounded_rectangle((0, 0, side[0] - 1, side[1] - 1), radius=side[0] // 12, fill=255)
    else:
        for angle in np.linspace(0, 2 * np.pi, 9):
            x, y = (0.5 + 0.28 * np.array([np.cos(angle), np.sin(angle)])) * side
            reach = rng.uniform(0.14, 0.24) * side[0]
            pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=255)
        pen.ellipse((0.25 * side[0], 0.25 * side[1], 0.75 * side[0], 0.75 * side[1]), fill=255)
    tone = Image.new("RGB", side, _vary(rng, ((120, 95, 70), (150, 120, 105), (70, 110, 55))[kind]))
    return _finish_sprite(rng, Image.blend(paint, tone, 0.55), mask, length)


def _vary(rng: np.random.Generator, colour: Sequence[int], amount: int = 25) -> Colour:
    red, green, blue = (int(np.clip(value + rng.integers(-amount, amount + 1), 0, 255)) for value in colour)
    return red, green, blue


def _put(pen: _Pen, shape: str, place: Any, colour: Colour, **options: Any) -> None:
    """Draw a shape into the colours and into the outline."""
    getattr(pen[0], shape)(place, fill=colour, **options)
    getattr(pen[1], shape)(place, fill=255, **options)


def _bird(rng: np.random.Generator, pen: _Pen) -> None:
    body = _vary(rng, ((200, 60, 50), (60, 110, 200), (235, 190, 50))[rng.integers(3)])
    wing = tuple(value * 2 // 3 for value in body)
    lift = int(rng.integers(10, 60))
    pen[0].rectangle((0, 0, _CANVAS, _CANVAS), fill=body)
    _put(pen, "polygon", [(20, 150), (110, 175), (110, 215), (10, 215), (40, 185)], body)
    _put(pen, "ellipse", (70, 140, 240, 235), body)
    _put(pen, "ellipse", (195, 105, 275, 185), body)
    _put(pen, "polygon", [(265, 130), (312, 148), (265, 162)], (240, 150, 40))
    _put(pen, "polygon", [(120, 180), (205, 175), (150, lift), (75, lift + 10)], (wing[0], wing[1], wing[2]))
    for step in range(4):
        pen[0].line([(128 + 18 * step, 175), (88 + 16 * step, lift + 14)], fill=body, width=4)
    pen[0].ellipse((238, 128, 256, 146), fill=(20, 20, 20))


def _bus(rng: np.random.Generator, pen: _Pen) -> None:
    body = _vary(rng, ((230, 180, 30), (190, 40, 40), (40, 120, 70))[rng.integers(3)])
    pen[0].rectangle((0, 0, _CANVAS, _CANVAS), fill=body)
    _put(pen, "rounded_rectangle", (8, 90, 312, 232), body, radius=14)
    for left in (60, 235):
        _put(pen, "ellipse", (left - 26, 205, left + 26, 257), (25, 25, 28))
        pen[0].ellipse((left - 10, 221, left + 10, 241), fill=(150, 150, 150))
    glass = _vary(rng, (70, 95, 120), 15)
    for left in range(24, 250, 46):
        pen[0].rectangle((left, 106, left + 36, 150), fill=glass)
    pen[0].rectangle((264, 106, 308, 165), fill=glass)
    pen[0].rectangle((8, 168, 312, 178), fill=(240, 240, 235))


def _car(rng: np.random.Generator, pen: _Pen) -> None:
    body = _vary(rng, ((60, 90, 190), (170, 175, 180), (150, 30, 40), (40, 45, 50))[rng.integers(4)])
    roof = int(rng.integers(95, 120))
    pen[0].rectangle((0, 0, _CANVAS, _CANVAS), fill=body)
    _put(pen, "rounded_rectangle", (8, 155, 312, 215), body, radius=22)
    _put(pen, "polygon", [(60, 160), (102, roof), (205, roof), (258, 160)], body)
    glass = (60, 80, 95)
    pen[0].polygon([(78, 158), (110, roof + 9), (146, roof + 9), (146, 158)], fill=glass)
    pen[0].polygon([(156, 158), (156, roof + 9), (200, roof + 9), (238, 158)], fill=glass)
    for left in (75, 245):
        _put(pen, "ellipse", (left - 32, 183, left + 32, 247), (22, 22, 24))
        pen[0].ellipse((left - 15, 200, left + 15, 230), fill=(190, 190, 195))
    pen[0].ellipse((292, 168, 312, 186), fill=(250, 240, 180))
    pen[0].rectangle((8, 170, 22, 184), fill=(200, 30, 30))


def _turtle(rng: np.random.Generator, pen: _Pen) -> None:
    skin, shell = _vary(rng, (95, 130, 60)), _vary(rng, (110, 85, 45), 15)
    pen[0].rectangle((0, 0, _CANVAS, _CANVAS), fill=skin)
    for x, y in ((95, 75), (215, 75), (95, 245), (215, 245)):
        _put(pen, "ellipse", (x - 32, y - 28, x + 32, y + 28), skin)
    _put(pen, "ellipse", (238, 125, 314, 195), skin)
    _put(pen, "polygon", [(40, 145), (8, 160), (40, 175)], skin)
    _put(pen, "ellipse", (30, 70, 260, 250), shell)
    rim = _vary(rng, (215, 190, 110))
    for x, y in ((145, 160), (85, 160), (205, 160), (115, 108), (175, 108), (115, 212), (175, 212)):
        pen[0].regular_polygon((x, y, 33), 6, fill=tuple(value + 25 for value in shell), outline=rim, width=6)
    pen[0].ellipse((290, 140, 302, 152), fill=(10, 10, 10))


def _whale(rng: np.random.Generator, pen: _Pen) -> None:
    back, belly = _vary(rng, (60, 75, 100), 18), _vary(rng, (225, 230, 235), 12)
    pen[0].rectangle((0, 0, _CANVAS, _CANVAS), fill=back)
    _put(pen, "ellipse", (70, 105, 314, 225), back)
    _put(pen, "polygon", [(150, 120), (40, 150), (40, 172), (150, 212)], back)
    _put(pen, "polygon", [(60, 160), (6, 105), (30, 160), (6, 215)], back)
    _put(pen, "polygon", [(170, 115), (140, 70), (215, 110)], back)
    pen[0].chord((90, 115, 306, 224), 15, 150, fill=belly)
    pen[0].ellipse((262, 140, 276, 154), fill=(240, 240, 240))
    _put(pen, "polygon", [(200, 200), (165, 262), (235, 212)], back)
    for step in range(5):
        pen[0].line([(195 + 20 * step, 200), (190 + 20 * step, 216)], fill=back, width=4)


def _zebra(rng: np.random.Generator, pen: _Pen) -> None:
    white, black = _vary(rng, (235, 230, 220), 12), _vary(rng, (35, 30, 30), 12)
    parts = [
        [(60, 120), (215, 115), (225, 195), (60, 200)],
        [(195, 140), (240, 45), (280, 60), (235, 175)],
        [(240, 30), (262, 28), (315, 88), (300, 108), (245, 88)],
        *[[(x, 180), (x + 34, 180), (x + 26, 300), (x + 6, 300)] for x in (62, 100, 160, 192)],
        [(64, 120), (30, 200), (42, 204), (74, 150)],
    ]
    pen[0].rectangle((0, 0, _CANVAS, _CANVAS), fill=white)
    for part in parts:
        pen[1].polygon(part, fill=255)
    gap, slope = int(rng.integers(20, 27)), int(rng.integers(-25, 26))
    for x in range(-40, _CANVAS + 40, gap):
        pen[0].line([(x, 20), (x + slope, 205)], fill=black, width=gap * 9 // 20)
    for y in range(208, 305, gap * 4 // 5):
        pen[0].line([(50, y), (240, y)], fill=black, width=gap * 7 // 20)
    pen[0].polygon([(296, 78), (318, 88), (300, 110), (284, 98)], fill=black)


_DRAWINGS: dict[str, Callable[[np.random.Generator, _Pen], None]] = {
    "n01503061": _bird,
    "n02924116": _bus,
    "n02958343": _car,
    "n01662784": _turtle,
    "n02062744": _whale,
    "n02391049": _zebra,
}
