"""A synthetic benchmark that anyone can render, and an oracle detector to go with it; extra ``benchmark``."""

from heatprop.synthetic.benchmark import RenderedVideo, fingerprint, make_benchmark, video_name
from heatprop.synthetic.oracle import OracleDetector, OracleMaps
from heatprop.synthetic.oracle_files import write_oracle_maps
from heatprop.synthetic.rendering import render_frame
from heatprop.synthetic.scenes import Scene, SceneOptions, Thing, make_scene
from heatprop.synthetic.sprites import CLASSES
from heatprop.synthetic.truth import class_names, scene_truth
from heatprop.synthetic.visible import annotate_frame

__all__ = [
    "CLASSES",
    "OracleDetector",
    "OracleMaps",
    "RenderedVideo",
    "Scene",
    "SceneOptions",
    "Thing",
    "annotate_frame",
    "class_names",
    "fingerprint",
    "make_benchmark",
    "make_scene",
    "render_frame",
    "scene_truth",
    "video_name",
    "write_oracle_maps",
]
