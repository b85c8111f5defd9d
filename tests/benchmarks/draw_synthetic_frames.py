"""Draw docs/images/synthetic-frames.png: frames of the synthetic benchmark with their boxes.

Run from the repository root::

    PYTHONPATH=src python tests/benchmarks/draw_synthetic_frames.py
"""

from pathlib import Path

from PIL import Image, ImageDraw

from heatprop.synthetic import Scene, SceneOptions, annotate_frame, make_scene, render_frame

SIDE, FRAMES = 192, (6, 16, 26, 36, 46)
FAST = SceneOptions(speed=(9, 14), objects=(3, 3), shutter=(0.9, 0.9), occluders=1)
SCENES = ((SceneOptions(), 2, "train"), (SceneOptions(), 1, "val"), (FAST, 8, "val"))
OUT = Path("docs/images/synthetic-frames.png")


def draw_frame(scene: Scene, frame: int) -> Image.Image:
    """One frame; occluded objects in red, the others in green."""
    picture = Image.fromarray(render_frame(scene, frame))
    pen = ImageDraw.Draw(picture)
    for one in annotate_frame(scene, frame).objects:
        pen.rectangle(one.box, outline=(255, 40, 40) if one.occluded else (40, 255, 40))
    return picture


def main() -> None:
    """A row per scene, time to the right."""
    sheet = Image.new("RGB", (SIDE * len(FRAMES), SIDE * len(SCENES)))
    for row, (options, seed, split) in enumerate(SCENES):
        scene = make_scene(options, (0, seed), split=split)
        for column, frame in enumerate(FRAMES):
            sheet.paste(draw_frame(scene, frame), (column * SIDE, row * SIDE))
    sheet = sheet.resize((sheet.width * 7 // 8, sheet.height * 7 // 8), Image.Resampling.LANCZOS)
    sheet.quantize(256, dither=Image.Dither.NONE).save(OUT, optimize=True)
    print(OUT, OUT.stat().st_size)


if __name__ == "__main__":
    main()
