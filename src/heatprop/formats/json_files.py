"""JSON read with the place of what is wrong."""

import json
from os import PathLike
from typing import Any

from heatprop.formats.bad_rows import shorten


def load_json(path: str | PathLike[str]) -> Any:
    """Read a JSON file as a whole.

    Args:
        path: File, UTF-8.

    Returns:
        What it holds.

    Raises:
        ValueError: If it is not JSON; says line and column.
    """
    with open(path, encoding="utf-8-sig") as file:
        try:
            return json.load(file)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}, line {error.lineno}, column {error.colno}: must be JSON, {error.msg}") from None
        except RecursionError:
            raise ValueError(f"{path}: must be JSON of a few levels, got too many brackets inside each other") from None
        except ValueError as error:  # bytes that are no UTF-8, numbers of thousands of digits
            raise ValueError(f"{path}: must be JSON, got {error}") from None


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
        raise ValueError(f"must be an object with {name!r}, got {show_json(table)}")
    if name not in table:
        raise ValueError(f"must have {name!r}, got only {', '.join(map(repr, list(table)[:20])) or 'nothing'}")
    return table[name]


def show_json(value: Any) -> str:
    """Show what JSON held in an error, in at most 60 characters, however deep or long it is."""
    try:
        return json.dumps(value)[:60]
    except (ValueError, RecursionError):  # numbers of thousands of digits, brackets inside each other
        return shorten(value)
