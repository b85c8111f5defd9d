"""Streams that come and go in one batch: cameras, clients, files."""

from heatprop.streams.pool import StreamPool

__all__ = ["StreamPool"]
