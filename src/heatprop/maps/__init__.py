"""Saved maps of a detector: written, read, detected and followed on."""
