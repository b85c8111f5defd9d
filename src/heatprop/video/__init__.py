"""Video files in and out, frame by frame, and the motion of the camera; extra ``video`` (PyAV, OpenCV).

>>> from heatprop.video import VideoReader, VideoWriter
>>> def blank(source, target):
...     with VideoReader(source) as video:
...         size = {"width": video.width, "height": video.height, "rate": video.rate}
...         with VideoWriter(target, source=source, **size) as out:  # source: its audio is copied
...             for frame in video:
...                 out.write(frame.image * 0, time=frame.time)
"""

from heatprop.video.camera_motion import CameraMotion, cell_motion
from heatprop.video.decoding import VideoError
from heatprop.video.reader import Frame, VideoReader
from heatprop.video.writer import VideoWriter

__all__ = ["CameraMotion", "Frame", "VideoError", "VideoReader", "VideoWriter", "cell_motion"]
