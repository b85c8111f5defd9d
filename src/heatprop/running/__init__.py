"""What ``heatprop run`` does: run a detector and a memory over videos and write files; extras ``cli``, ``video``."""

from heatprop.running.detectors import ADAPTERS, Detector, DetectorError, load_detector
from heatprop.running.frame_results import Found, FrameResult, NetworkMaps
from heatprop.running.maps import MapWriter
from heatprop.running.outputs import Outputs, Wanted
from heatprop.running.records import RecordWriter, records
from heatprop.running.results import FrameDetector
from heatprop.running.summary import Summary
from heatprop.running.two_pass import TwoPassDetector
from heatprop.running.videos import distinct_stems, run_video

__all__ = [
    "ADAPTERS",
    "Detector",
    "DetectorError",
    "Found",
    "FrameDetector",
    "FrameResult",
    "MapWriter",
    "NetworkMaps",
    "Outputs",
    "RecordWriter",
    "Summary",
    "TwoPassDetector",
    "Wanted",
    "distinct_stems",
    "load_detector",
    "records",
    "run_video",
]
