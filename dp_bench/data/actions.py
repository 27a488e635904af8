"""The actions of demonstrations under a control mode."""

from __future__ import annotations

import numpy as np

from dp_bench import references
from dp_bench.data.demos import Demos
from dp_bench.errors import BadInput
from dp_bench.task import Task


def actions_of(task: Task, demos: Demos, control: str | None = None) -> np.ndarray:
    """Returns the actions of demonstrations under a control mode, `(N, Da)`.

    Actions that were recorded for this mode go before converted actions.

    Args:
        task: The task of the demonstrations.
        demos: The demonstrations.
        control: The control mode; None for the mode in which they were recorded.

    Raises:
        BadInput: When the task has no such mode, or cannot convert the recorded actions
            to it.
    """
    task.check(control=control)
    recorded = demos.env_kwargs.get("control", task.controls[0])
    if control is None or control == recorded:
        return demos.actions
    if control in demos.actions_as:
        return demos.actions_as[control]
    if recorded != task.controls[0]:
        raise BadInput(
            f"task {task.name!r} cannot turn {recorded} actions into {control} "
            f"actions, and these demonstrations hold {recorded} actions: train with "
            f"`--control {recorded}`"
        )
    if control not in task.actions_as:
        raise BadInput(
            f"task {task.name!r} cannot turn {recorded} actions into {control} "
            f"actions; it can turn {task.controls[0]} actions into "
            f"{', '.join(task.actions_as) or 'no others'}"
        )
    actions: np.ndarray = references.load(task.actions_as[control])(demos)
    return actions
