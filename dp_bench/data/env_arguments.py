"""Whether an environment takes the arguments that a recording names."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from dp_bench import references
from dp_bench.errors import BadInput
from dp_bench.task import Task
from dp_bench.util.text import shown


def check_arguments(task: Task, arguments: Mapping[str, object]) -> None:
    """Refuses arguments that the environment of a recording cannot have had.

    Raises:
        BadInput: With the name of an argument that the environment does not take, or
            whose value has another type than its default.
    """
    known = inspect.signature(references.load(task.entry_point)).parameters
    if any(p.kind is p.VAR_KEYWORD for p in known.values()):
        return
    for name, value in arguments.items():
        default = known[name].default if name in known else None
        types = (int, float) if type(default) is float else (type(default),)
        open_type = default is None or default is inspect.Parameter.empty
        fits = name in known and (open_type or type(value) in types)
        if not fits or name == "render_mode":  # a window is no part of a recording
            raise BadInput(
                f"demonstrations of {task.name} were recorded with {shown(name)} "
                f"{shown(value)}, which its environment does not take"
            )
