"""Parsing JSON that somebody else may have written."""

from __future__ import annotations

import json

from dp_bench.util.types import JsonObject

MOST_DEPTH = 50  # levels of objects and lists; ours have at most five


def parsed(text: str | bytes) -> object:
    """Parses JSON.

    Raises:
        ValueError: When it is no JSON, or nested so deeply that whoever walks through
            it would exhaust the stack.
    """
    try:
        data = json.loads(text)
    except RecursionError:
        raise _too_deep() from None
    level = [data]
    for _ in range(MOST_DEPTH):
        level = [inner for item in level for inner in _members(item)]
        if not level:
            return data
    raise _too_deep()


def parsed_object(text: str | bytes) -> JsonObject:
    """Parses JSON that must be an object.

    Raises:
        ValueError: When it is another value, and as `parsed` does.
    """
    data = parsed(text)
    if not isinstance(data, dict):
        raise ValueError("it must be a JSON object {...}")
    return data


def _members(item: object) -> list[object]:
    if isinstance(item, dict):
        return list(item.values())
    return item if isinstance(item, list) else []


def _too_deep() -> ValueError:
    return ValueError(f"it is nested more than {MOST_DEPTH} levels deep")
