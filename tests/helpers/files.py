"""What is in a folder, and in a file of JSON Lines."""

import json


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]
