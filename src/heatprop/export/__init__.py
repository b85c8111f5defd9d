"""Write the memory, alone or with its detector, as one file that runs without torch, and run it; extra ``onnx``."""

from heatprop.export.onnx_files import export_onnx
from heatprop.export.parity import Parity, compare
from heatprop.export.programs import export_program
from heatprop.export.sessions import OnnxOutput, OnnxPropagator, OnnxVideoDetector

__all__ = [
    "OnnxOutput",
    "OnnxPropagator",
    "OnnxVideoDetector",
    "Parity",
    "compare",
    "export_onnx",
    "export_program",
]
