"""Extras that are part of the memory: how each is declared, and how it goes from frame to frame."""
