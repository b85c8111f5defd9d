"""The preset of `HeatmapPropagator.steady` as keywords, to change and to pass on; identities as in the paper."""

from heatprop.options import STEADY as RECORD

STEADY = RECORD.as_keywords() | {"identity": "square"}
