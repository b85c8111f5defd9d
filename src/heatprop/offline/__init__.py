"""Finished videos: two passes, Seq-NMS, and their pieces."""
