"""References to code as text: `"module:attribute"`."""

from __future__ import annotations

import functools
import importlib
from typing import Any


def load(reference: str) -> Any:
    """Imports what `"module:attribute"` or `"module:Class.attribute"` names."""
    module, _, attribute = reference.partition(":")
    found: Any = importlib.import_module(module)
    return functools.reduce(getattr, attribute.split("."), found)
