"""A task: an environment id, its demonstrations and its score, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from dp_bench.errors import BadInput

if TYPE_CHECKING:
    import gymnasium as gym
    import numpy as np

TEST_STARTS = range(100_000, 100_050)  # env seeds of the published protocol
IMAGE = "image"  # kind of observation that holds pictures
VALIDATION_STARTS = range(50_000, 50_200)  # env seeds that settings are chosen on


class Outcome(NamedTuple):
    """What one episode was worth.

    Attributes:
        score: In [0, 1].
        success: Whether the task was solved.
        sub_scores: Further numbers by name, the columns of the task's table.
    """

    score: float
    success: bool
    sub_scores: dict[str, float]


class Column(NamedTuple):
    """One more number in a task's table.

    Attributes:
        key: Of `sub_scores`.
        title: Heading of the column.
        statistic: What the table shows of the episodes' numbers: their "mean", or, of
            numbers that name a choice, the "entropy" of the choices [bits]; NaN is for
            episodes in which nothing was chosen.
        curve: Whether it has a learning curve of its own, `learning_<key>.png`.
        options: Of an entropy, how many choices there are; None if that is not known.
    """

    key: str
    title: str
    statistic: Literal["mean", "entropy"] = "mean"
    curve: bool = False
    options: int | None = None

    @property
    def averaged(self) -> bool:
        """Whether episodes have numbers with a mean, rather than names of a choice."""
        return self.statistic == "mean"


class ObsNoise(NamedTuple):
    """How far what is seen in tests is off, and how actions must change with it.

    Attributes:
        noise: Largest noise of each observed number, `(Do,)`, in units of the
            environment; it is uniform.
        follows: By how much an action must change for each unit by which an observed
            number is off, so that it leads to the same place, `(Da, Do)`. Not 0 where
            an action is counted from what was seen.
    """

    noise: np.ndarray
    follows: np.ndarray


class Layout(NamedTuple):
    """How a file of demonstrations is laid out, so that robomimic can open it.

    Attributes:
        env_args: What robomimic makes the environment of: `env_name`, `type`,
            `env_kwargs`.
        keys: Of a kind of observation, the datasets that its numbers are split into
            from the first on, with how many each has. Other kinds are one dataset.
    """

    env_args: Mapping[str, Any]
    keys: Mapping[str, Mapping[str, int]] = {}


@dataclass(frozen=True)
class Fork:
    """A start from which two ways are equally good, left and right of an obstacle.

    Attributes:
        start: Taken by the environment's `reset(options={"state": start})`, `(S,)`.
        steps: How many steps are played from there.
        judge: `"module:function"`, `(positions (L, 2), start) -> (side, committed)`:
            -1 for left, 1 for right, 0 for neither; and whether it kept to that side.
        scene: `"module:function"`, `start -> {"table": [...], "goal": [...], "block":
            [...]}`: closed outlines `(P, 2)` that the picture shows.
        position: Which two numbers of `info["state"]` are the position.
        unit: Of positions.
        downwards: Whether the second number grows downwards in pictures.
    """

    start: tuple[float, ...]
    steps: int
    judge: str
    scene: str
    position: tuple[int, int] = (0, 1)
    unit: str = "m"
    downwards: bool = False


@dataclass(frozen=True)
class DemoSource:
    """Where demonstrations of a task come from.

    Attributes:
        about: One line for a person: who made them, how many, how large.
        url: Address of the published file; None where there is none to download.
        minari: Id of the dataset, where they are published through Minari.
        hub: Repository and file of a dataset on the Hugging Face hub.
        digest: Content digest of the demonstrations once imported; None if unknown.
        convert: `"module:function"` with signature
            `(arrays: dict[str, ndarray (N, ...)], episode_ends (E,)) -> Demos`: gives
            foreign arrays the observation names of the environment.
        arrays: Names that a foreign file must hold; only these are read.
        images: Names of images that the reader takes, too, if a robomimic file holds
            them.
        script: `"module:function"` with signature `(env_seed: int) -> Demonstration`
            or None where it fails: plays one episode, for demonstrations that are made
            and not fetched.
        env_seeds: Starts that the script plays.
        most: How many successes are kept, those of the first starts; None for all.
        max_steps: Steps after which an episode of policies that learned from them is
            cut off; None for the task's.
    """

    about: str
    url: str | None = None
    minari: str | None = None
    hub: tuple[str, str] | None = None
    digest: str | None = None
    convert: str | None = None
    arrays: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    script: str | None = None
    env_seeds: Sequence[int] = ()
    most: int | None = None
    max_steps: int | None = None


@dataclass(frozen=True)
class Task:
    """Everything the benchmark knows about a task.

    Attributes:
        name: Short name, as typed on the command line.
        env_id: Gymnasium id; its version rises whenever scores could change.
        entry_point: `"module:Class"` of the environment.
        about: One line for a person.
        max_steps: Steps after which an episode is cut off.
        score: `"module:function"`, `(rewards (L,), infos [L]) -> Outcome`.
        obs_kinds: Values of the environment's `obs` argument; the first is the default.
        controls: Values of `control`; the first is the default, and what the actions of
            demonstrations are unless their `env_kwargs` name another.
        actions_as: By control mode, `"module:function"` with signature
            `(demos: Demos) -> actions (N, Da)`: turns actions of the first mode into
            actions of this one, with no more rounding than float64 has.
        variants: Named keyword arguments of the environment under which every policy
            is evaluated; the first is what the table leads with.
        sources: Demonstrations by name; the first is the default.
        columns: Sub-scores that the table shows.
        train_episodes: How many demonstrations policies are trained on; None for all.
        validation_share: Share of the episodes held back for validation.
        lanes: Episodes rolled out side by side with one policy.
        fork: Where `dp-bench modes` lets policies choose; None where there is no such
            start.
        features: `"module:function"`, `demos -> [Feature]`: what two sets of demos
            are compared by, beside the lengths of their episodes.
        obs_noise: `"module:function"`, `(obs_kind, control) -> ObsNoise`: the noise of
            what is seen in tests; None where there is none, or it is not known.
        positions: How many numbers of a state, from its first, are positions: a replay
            is compared with the recording in these; None for all.
        layout: `"module:function"`, `demos -> Layout`: how their file is laid out;
            None for a dataset for each kind of observation.
        group: Name of the tasks that this one is tabulated with; "" for none.
    """

    name: str
    env_id: str
    entry_point: str
    about: str
    max_steps: int
    score: str
    obs_kinds: tuple[str, ...] = ("state",)
    controls: tuple[str, ...] = ("position",)
    actions_as: Mapping[str, str] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, Any]] = field(
        default_factory=lambda: {"default": {}}
    )
    sources: Mapping[str, DemoSource] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    train_episodes: int | None = None
    validation_share: float = 0.02
    lanes: int = 25
    fork: Fork | None = None
    features: str | None = None
    obs_noise: str | None = None
    positions: int | None = None
    layout: str | None = None
    group: str = ""

    def check(
        self,
        *,
        obs_kind: str | None = None,
        control: str | None = None,
        variant: str | None = None,
        source: str | None = None,
    ) -> None:
        """Refuses a name that this task does not have.

        Raises:
            BadInput: With the name, and those there are.
        """
        for what, value, choices in (
            ("observation", obs_kind, self.obs_kinds),
            ("control mode", control, self.controls),
            ("variant", variant, tuple(self.variants)),
            ("demonstration source", source, tuple(self.sources)),
        ):
            if value is not None and value not in choices:
                raise BadInput(
                    f"task {self.name!r} has no {what} {value!r}; "
                    f"it has {', '.join(choices) or 'none'}"
                )

    @property
    def default_source(self) -> str:
        """Name of the first source of demonstrations; "" for a task without any."""
        return next(iter(self.sources), "")

    def source_named(self, name: str | None) -> DemoSource:
        """Looks a source of demonstrations up by name.

        Args:
            name: None for the default source.

        Raises:
            BadInput: When the task has no source of this name, or no source at all.
        """
        self.check(source=name)
        if not self.sources:
            raise BadInput(f"task {self.name!r} has no demonstrations")
        return self.sources[name or self.default_source]

    def obs_noise_of(self, obs_kind: str, control: str) -> ObsNoise | None:
        """The noise of what is seen in tests; None where it is not known."""
        from dp_bench import references

        if self.obs_noise is None:
            return None
        obs_noise: ObsNoise = references.load(self.obs_noise)(obs_kind, control)
        return obs_noise

    def make_env(
        self,
        *,
        obs_kind: str | None = None,
        control: str | None = None,
        variant: str | None = None,
        source: str | None = None,
        **kwargs: Any,
    ) -> gym.Env:
        """Makes the environment, with its time limit and without Gymnasium's checks.

        Args:
            obs_kind: Which observation; None for the default.
            control: What an action means; None for the default.
            variant: Name of a variant; None for the first.
            source: Demonstrations that a policy learned from, where they go with a time
                limit of their own.
            **kwargs: Passed to the environment, `render_mode` say.
        """
        import gymnasium as gym

        self.check(obs_kind=obs_kind, control=control, variant=variant)
        options: dict[str, Any] = dict(
            self.variants[variant or next(iter(self.variants))]
        )
        options["obs"] = obs_kind or self.obs_kinds[0]
        if len(self.controls) > 1:
            options["control"] = control or self.controls[0]
        options.update(kwargs)
        if self.env_id not in gym.registry:  # a task of another package
            gym.register(
                id=self.env_id,
                entry_point=self.entry_point,
                max_episode_steps=self.max_steps,
            )
        steps = self.max_steps_of(source)
        if steps != self.max_steps:  # else as registered
            options["max_episode_steps"] = steps
        return gym.make(self.env_id, disable_env_checker=True, **options)

    def max_steps_of(self, source: str | None) -> int:
        """Steps after which an episode is cut off, of policies that learned from it."""
        known = self.sources.get(source) if source else None
        return (known and known.max_steps) or self.max_steps
