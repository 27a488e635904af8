"""Copies of environments that continue as the original does."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import numpy as np

from .base import TaskEnv

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from dp_bench.util.types import Info

ObsT = TypeVar("ObsT")

# What a new environment does not have from its constructor and from replayed actions.
CARRIED = (
    "spec",
    "action_space",
    "observation_space",
    "draws_images",
    "draws_small",
    "_np_random",
    "_np_random_seed",
)


class Begin(NamedTuple):
    """How an episode began.

    Attributes:
        seed: Seed given to `reset`.
        options: Options given to `reset`.
        generator: The environment's own generator before an unseeded `reset`.
    """

    seed: int | None
    options: Info
    generator: np.random.Generator | None


class Recipe(NamedTuple):
    """All that makes a copy: the constructor, the episode, and what it carries over."""

    env: Callable[..., TaskEnv[Any]]
    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    begin: Begin | None
    actions: list[np.ndarray]
    carried: Mapping[str, object]


class ReplayedCopies(TaskEnv[ObsT], Generic[ObsT]):
    """An environment whose copies replay the episode.

    The physics remembers contacts that nothing can copy. A copy, by `copy.copy`,
    `copy.deepcopy` or pickle, is a new environment that has played the same start and
    the same actions, so it continues identically. Making one takes as long as playing
    the episode up to here.
    """

    _args: tuple[object, ...]
    _kwargs: Mapping[str, object]
    _begin: Begin | None
    _actions: list[np.ndarray]

    def __new__(cls, *args: object, **kwargs: object) -> ReplayedCopies[ObsT]:
        """Keeps the arguments of the constructor."""
        self = super().__new__(cls)
        self._args, self._kwargs = args, kwargs
        self._begin, self._actions = None, []
        return self

    def __reduce__(self) -> tuple[object, tuple[Recipe]]:
        """Tells how to copy and to pickle this environment."""
        carried = {name: getattr(self, name) for name in CARRIED}
        recipe = Recipe(
            type(self),
            self._args,
            self._kwargs,
            self._begin,
            list(self._actions),
            carried,
        )
        return _made_again, (recipe,)

    def __copy__(self) -> ReplayedCopies[ObsT]:
        """A shallow copy would share the physics."""
        return copy.deepcopy(self)

    def _begin_episode(self, seed: int | None, options: Info | None) -> Info:
        generator = copy.deepcopy(self.np_random) if seed is None else None
        given = super()._begin_episode(seed, options)
        self._begin, self._actions = Begin(seed, copy.deepcopy(given), generator), []
        return given

    def _checked_action(self, action: ArrayLike) -> np.ndarray:
        checked = super()._checked_action(action)
        self._actions.append(checked.copy())
        return checked


def _made_again(recipe: Recipe) -> TaskEnv[Any]:
    """Makes the environment of a recipe and replays its episode, without showing it."""
    env = recipe.env(*recipe.args, **recipe.kwargs)
    render_mode, env.render_mode = env.render_mode, None
    env.draws_images = False  # nobody looks while it is replayed
    if recipe.begin is not None:
        if recipe.begin.generator is not None:
            env.np_random = copy.deepcopy(recipe.begin.generator)
        env.reset(seed=recipe.begin.seed, options=recipe.begin.options)
    for action in recipe.actions:
        env.step(action)
    env.render_mode = render_mode
    for name, value in recipe.carried.items():
        setattr(env, name, value)
    return env
