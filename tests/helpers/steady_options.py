"""The preset of `HeatmapPropagator.steady` as keywords, to change and to pass on."""

from heatprop.options import STEADY as RECORD

STEADY = RECORD.as_keywords()
