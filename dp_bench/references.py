"""References to code as text, `"module:attribute"`, which import only when loaded."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from dp_bench.errors import BadInput


# Any: the type of an attribute that text names is not known before the import.
def load(reference: str) -> Any:
    """Imports the object that `"module:attribute"` names; attributes may have dots.

    Raises:
        BadInput: When the module or the attribute cannot be imported.
    """
    module, _, attribute = reference.partition(":")
    try:
        return functools.reduce(
            getattr, attribute.split("."), importlib.import_module(module)
        )
    except (ImportError, AttributeError, SyntaxError) as error:
        reason = " ".join(str(error).split())
        raise BadInput(
            f"{reference} cannot be loaded: {reason}; mend the package of "
            f"{module.partition('.')[0]}, or install what it needs"
        ) from error
