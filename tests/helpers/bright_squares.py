"""Tiny videos in the layout of ImageNet VID, and a detector for them that is right by construction.

Every object is a rectangle of one colour on black: red is a dog, green a car. The detector finds the extent of each
colour; a rectangle at half brightness scores 0.02, so that only a memory finds it.
"""

import numpy as np
import torch
from PIL import Image

from heatprop import HeadMaps
from heatprop.formats.imagenet_xml import AnnotatedObject, Annotation, write_annotation
from heatprop.reproducing.detecting import Network

DOG, CAR = "n02084071", "n02958343"
CLASSES = (DOG, CAR)
FRAMES = 5
DIM = 2
"""The frame in which the dogs are dark."""
VIDEOS = {  # size of the pictures, first box of the dog and of the car
    "val/ILSVRC2015_val_00000000": ((64, 48), (8, 8, 23, 19), (40, 24, 55, 43)),
    "val/ILSVRC2015_val_00000001": ((48, 64), (16, 4, 27, 19), (20, 40, 39, 55)),
    "val/ILSVRC2015_val_00000002": ((56, 56), (4, 28, 23, 43), (28, 4, 43, 15)),
}


def boxes_of(video, frame):
    """The dog moves right by 1 px a frame; the car stands."""
    _, dog, car = VIDEOS[video]
    return tuple(np.add(dog, (frame, 0, frame, 0)).tolist()), car


def write_videos(root):
    for video, (size, *_) in VIDEOS.items():
        for frame in range(FRAMES):
            dog, car = boxes_of(video, frame)
            picture = np.zeros((size[1], size[0], 3), np.uint8)
            picture[dog[1] : dog[3] + 1, dog[0] : dog[2] + 1, 0] = 120 if frame == DIM else 255
            picture[car[1] : car[3] + 1, car[0] : car[2] + 1, 1] = 255
            path = root / "Data" / "VID" / video / f"{frame:06d}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path, "PNG")  # without loss; readers look at the content
            objects = [AnnotatedObject(DOG, dog, track=0), AnnotatedObject(CAR, car, track=1)]
            write_annotation(root / "Annotations" / "VID" / video / f"{frame:06d}.xml", Annotation(*size, objects))
    return root


def find_colours(squares):
    """Maps of stride 4 of pictures (B, 3, S, S)."""
    side = squares.shape[2] // 4
    heatmap, boxes = torch.zeros(len(squares), 2, side, side), torch.zeros(len(squares), 4, side, side)
    for picture, scores, values in zip(squares, heatmap, boxes, strict=True):
        for label in (0, 1):
            y, x = (picture[label] > 60).nonzero().unbind(1)
            if len(x):
                left, top, right, bottom = x.min() / 4, y.min() / 4, (x.max() + 1) / 4, (y.max() + 1) / 4
                column, row = (left + right) / 2, (top + bottom) / 2
                cell = (int(row), int(column))
                scores[(label, *cell)] = 0.9 if picture[label].max() > 200 else 0.02
                near = (slice(max(cell[0] - 2, 0), cell[0] + 3), slice(max(cell[1] - 2, 0), cell[1] + 3))
                values[(slice(None), *near)] = torch.tensor(
                    [column - int(column), row - int(row), right - left, bottom - top]
                )[:, None, None]
    return HeadMaps(heatmap, boxes[:, :2], boxes[:, 2:])


class Counted:
    """The detector, which counts its pictures and can be interrupted."""

    def __init__(self, stop_after=10**9):
        self.pictures, self.stop_after = 0, stop_after

    def __call__(self, squares):
        if squares.any():  # the warm-up is black
            if self.pictures >= self.stop_after:
                raise KeyboardInterrupt
            self.pictures += len(squares)
        return find_colours(squares)

    def load(self):
        return Network(self, torch.device("cpu"))
