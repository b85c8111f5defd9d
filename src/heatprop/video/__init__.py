"""Video files in and out, frame by frame, scene cuts, the motion of the camera; extra ``video`` (PyAV, PySceneDetect).

>>> from heatprop.video import VideoReader, VideoWriter
>>> def blank(source, target):
...     with VideoReader(source) as video:
...         size = {"width": video.width, "height": video.height, "rate": video.rate}
...         with VideoWriter(target, source=source, **size) as out:  # source: its audio is copied
...             for frame in video:
...                 out.write(frame.image * 0, time=frame.time)
"""

from typing import TYPE_CHECKING, Any

from heatprop.video.camera_motion import CameraMotion, cell_motion
from heatprop.video.decoding import VideoError
from heatprop.video.reader import Frame, VideoReader
from heatprop.video.writer import VideoWriter

if TYPE_CHECKING:
    from heatprop.video.scenes import SceneCuts

__all__ = ["CameraMotion", "Frame", "SceneCuts", "VideoError", "VideoReader", "VideoWriter", "cell_motion"]


def __getattr__(name: str) -> Any:
    """Load `SceneCuts` only when it is used: it needs OpenCV, which does not load everywhere."""
    if name == "SceneCuts":
        from heatprop.video.scenes import SceneCuts

        return SceneCuts
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
