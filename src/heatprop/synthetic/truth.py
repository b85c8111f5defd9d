"""Ground truth of a scene as columns, without a picture or a file."""

from heatprop.evaluation.columns import GroundTruth
from heatprop.synthetic.scenes import Scene
from heatprop.synthetic.sprites import CLASSES
from heatprop.synthetic.visible import annotate_frame


def class_names(scene: Scene) -> tuple[str, ...]:
    """Name the channels of a detector for a scene.

    Args:
        scene: The scene.

    Returns:
        Names of the classes in the scene's options, in the same order.
    """
    return tuple(CLASSES[wnid] for wnid in scene.options.classes)


def scene_truth(scene: Scene, video: str = "video") -> GroundTruth:
    """Box the objects of all frames, as the annotations of a rendered video hold them.

    Args:
        scene: The scene.
        video: Name of the video.

    Returns:
        Boxes; ``label`` is the index of the class in the options, from 0, and ``frame`` counts from 0.
    """
    labels = {wnid: place for place, wnid in enumerate(scene.options.classes)}
    rows = [
        (frame, one.track, labels[one.name], one.box)
        for frame in range(scene.options.frames)
        for one in annotate_frame(scene, frame).objects
    ]
    frames, tracks, names, boxes = zip(*rows, strict=True) if rows else ((), (), (), ())
    return GroundTruth([video] * len(rows), frames, tracks, names, boxes)
