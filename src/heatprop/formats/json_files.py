"""JSON read with the place of what is wrong."""

import json
from os import PathLike
from typing import Any


def load_json(path: str | PathLike[str]) -> Any:
    """Read a JSON file as a whole.

    Args:
        path: File, UTF-8.

    Returns:
        What it holds.

    Raises:
        ValueError: If it is no JSON; says line and column.
    """
    with open(path, encoding="utf-8-sig") as file:
        try:
            return json.load(file)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}, line {error.lineno}, column {error.colno}: must be JSON, {error.msg}") from None


def require(table: Any, name: str) -> Any:
    """Take a member of a JSON object.

    Args:
        table: The object.
        name: Its key.

    Returns:
        The value.

    Raises:
        ValueError: If it is no object or has no such member.
    """
    if not isinstance(table, dict):
        raise ValueError(f"must be an object with {name!r}, got {json.dumps(table)[:60]}")
    if name not in table:
        raise ValueError(f"must have {name!r}, got only {', '.join(map(repr, table)) or 'nothing'}")
    return table[name]
