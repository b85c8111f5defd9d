"""Pictures of what the memory does, and of how well it does it; extra ``plots`` (matplotlib)."""

from heatprop.plots.memory import heatmap_strip, score_timeline

__all__ = ["heatmap_strip", "score_timeline"]
