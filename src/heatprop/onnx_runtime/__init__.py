"""Run networks in ONNX files; extra ``onnx`` or ``faces``."""
