"""The demo: a real face detector on real video, with and without memory; extra ``demo``."""

from heatprop.demo.show import run_demo

__all__ = ["run_demo"]
