"""Read JSON, with errors that say where something is wrong."""

import json
from os import PathLike
from typing import Any

from heatprop.formats.bad_rows import shorten


def load_json(path: str | PathLike[str]) -> Any:
    """Read a whole JSON file.

    Args:
        path: JSON file in UTF-8.

    Returns:
        The content of the file.

    Raises:
        ValueError: If the file is not JSON; the message gives line and column.
    """
    with open(path, encoding="utf-8-sig") as file:
        try:
            return json.load(file)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}, line {error.lineno}, column {error.colno}: must be JSON, {error.msg}") from None
        except RecursionError:
            raise ValueError(f"{path}: must be JSON with only a few levels, got brackets nested too deeply") from None
        except ValueError as error:  # bytes that are not UTF-8, numbers with thousands of digits
            raise ValueError(f"{path}: must be JSON, got {error}") from None


def require(table: Any, name: str) -> Any:
    """Get a member of a JSON object.

    Args:
        table: The object.
        name: Key of the member.

    Returns:
        The value.

    Raises:
        ValueError: If ``table`` is not an object or has no such member.
    """
    if not isinstance(table, dict):
        raise ValueError(f"must be an object with {name!r}, got {show_json(table)}")
    if name not in table:
        raise ValueError(f"must have {name!r}, got only {', '.join(map(repr, list(table)[:20])) or 'nothing'}")
    return table[name]


def show_json(value: Any) -> str:
    """Show a JSON value for an error in at most 60 characters, however deep or long it is."""
    try:
        return json.dumps(value)[:60]
    except (ValueError, RecursionError):  # numbers with thousands of digits, deeply nested brackets
        return shorten(value)
