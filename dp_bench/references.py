"""References to code as text, `"module:attribute"`, which import only when loaded."""

from __future__ import annotations

import functools
import importlib
from typing import Any


# Any: the type of an attribute that text names is not known before the import.
def load(reference: str) -> Any:
    """Imports the object that `"module:attribute"` names; attributes may have dots."""
    module, _, attribute = reference.partition(":")
    return functools.reduce(
        getattr, attribute.split("."), importlib.import_module(module)
    )
