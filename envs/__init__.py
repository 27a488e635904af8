"""The table of all tasks. Importing it loads neither a simulator nor torch."""

from .block_push.task import TASK as _BLOCK_PUSH
from .kitchen.task import TASK as _KITCHEN
from .push_t.task import TASK as _PUSH_T
from .robomimic.task import TASKS as _ROBOMIMIC

TASKS = {task.name: task for task in (_BLOCK_PUSH, _KITCHEN, _PUSH_T, *_ROBOMIMIC)}
