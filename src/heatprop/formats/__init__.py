"""Readers and writers: ImageNet VID, MOTChallenge, COCO, JSON Lines, detection files."""
