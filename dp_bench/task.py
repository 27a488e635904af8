"""A task: an environment id, its demonstrations and its score, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from dp_bench.errors import BadInput

if TYPE_CHECKING:
    import numpy as np

    from dp_bench.util.types import Env

TEST_STARTS = range(100_000, 100_050)  # env seeds of the published protocol
MOST_TEST_STARTS = range(100_000, 101_000)  # these first, then further ones on request
VALIDATION_STARTS = range(50_000, 50_200)  # env seeds for choosing settings
DECISION_STARTS = range(1_000_000, 1_001_000)  # of train seed 0; later seeds go on
IMAGE = "image"  # kind of observation that holds images


class Outcome(NamedTuple):
    """The score of one episode.

    Attributes:
        score: In [0, 1].
        success: Whether the task was solved.
        sub_scores: Further numbers by name, for the columns of the task's table.
        success_once: Whether the task was solved at any step; None if unknown.
        success_at_end: Whether it was solved at the last step; None if unknown.
    """

    score: float
    success: bool
    sub_scores: dict[str, float]
    success_once: bool | None = None
    success_at_end: bool | None = None


class ObsColumns(NamedTuple):
    """Where demonstrations hold a vector: columns of another observation.

    Attributes:
        kind: Name of that observation.
        start: First column; counted from the end below 0.
        stop: One past the last column; None for the end.
    """

    kind: str
    start: int
    stop: int | None


class Column(NamedTuple):
    """One more column in a task's table.

    Attributes:
        key: Key of the number in `sub_scores`.
        title: Heading of the column.
        statistic: How the table sums the episodes up: "mean" of their numbers; or
            "entropy" [bits] of numbers that stand for a choice, NaN for no choice.
        curve: Whether the number has a learning curve, `learning_<key>.png`.
        options: For an entropy, the number of possible choices; None if unknown.
        about: What an episode with the value 1 achieved: "at least n blocks in
            targets". Figures say it. Columns that differ only in n share one text.
    """

    key: str
    title: str
    statistic: Literal["mean", "entropy"] = "mean"
    curve: bool = False
    options: int | None = None
    about: str = ""

    @property
    def averaged(self) -> bool:
        """Whether episodes have numbers with a mean, rather than names of a choice."""
        return self.statistic == "mean"


class ObsNoise(NamedTuple):
    """Uniform observation noise that an environment adds in evaluation.

    Attributes:
        noise: Largest noise of each observed number, `(Do,)`, in the units of the
            environment.
        follows: Change of an action for each unit of noise, `(Da, Do)`, with which it
            still leads to the same place. Not 0 where an action is relative to the
            observation.
    """

    noise: np.ndarray
    follows: np.ndarray


class MotionColumns(NamedTuple):
    """The columns of observations and actions that hold the robot's own position.

    Attributes:
        positions: Columns `(start, stop)` of every position that moves with the robot:
            of the array, or of the joined vectors beside images. Absolute targets are
            compared with the first one.
        actions: Columns `(start, stop)` of the action that moves them; the same width.
        absolute: Control modes whose actions are positions, and not displacements.
    """

    positions: tuple[tuple[int, int], ...]
    actions: tuple[int, int]
    absolute: tuple[str, ...] = ("position",)


class Layout(NamedTuple):
    """The layout of a file of demonstrations, with which robomimic can open it.

    Attributes:
        env_args: Arguments from which robomimic makes the environment: `env_name`,
            `type`, `env_kwargs`.
        keys: By kind of observation, the names and widths of the datasets that hold its
            numbers, in order. A kind that is not listed is one dataset.
    """

    env_args: Mapping[str, Any]
    keys: Mapping[str, Mapping[str, int]] = {}


class Way(NamedTuple):
    """The way that one path took from a fork.

    Attributes:
        side: -1 for left, 1 for right, 0 for neither.
        committed: Whether it kept to that side.
        is_round: Whether it got round the obstacle. A path that did not has neither
            taken a side nor committed, whatever the other two say.
    """

    side: int
    committed: bool
    is_round: bool


@dataclass(frozen=True)
class Fork:
    """A start from which two ways are equally good, left and right of an obstacle.

    Attributes:
        start: State for the environment's `reset(options={"state": start})`, `(S,)`.
        steps: Steps of a rollout from there.
        judge: `"module:function"`, `(positions (L, 2), start) -> Way`.
        scene: `"module:function"`, `start -> {"table": [...], "goal": [...], "block":
            [...]}`: closed outlines `(P, 2)` for the figure.
        passages: `"module:function"`, `(states (L, S), start, steps) -> [(M, 2)]`:
            positions of the passages of a demonstration that begin before the same
            choice, moved to where the fork is; None for none.
        position: Indices of the two numbers of `info["state"]` that are the position.
        unit: Unit of positions.
        downwards: Whether the figure draws the second axis downwards.
    """

    start: tuple[float, ...]
    steps: int
    judge: str
    scene: str
    passages: str | None = None
    position: tuple[int, int] = (0, 1)
    unit: str = "m"
    downwards: bool = False


@dataclass(frozen=True)
class DemoSource:
    """Where demonstrations of a task come from: a publisher or a script.

    Attributes:
        about: One line for people: who made them, how many, how large.
        url: Address of the published file, or None.
        minari: Id of the Minari data set that holds them, or None.
        hub: Repository and file on the Hugging Face hub, or None.
        digest: Digest of the imported demonstrations (`Demos.digest`); None if unknown.
        convert: `"module:function"`,
            `(arrays: dict[str, ndarray (N, ...)], episode_ends (E,)) -> Demos`. Gives
            foreign arrays the observation names of the environment.
        arrays: Names of the arrays that the reader takes from a foreign file.
        images: Names of images that the reader also takes from a robomimic file, if it
            holds them.
        recorded_images: Arrays of a replay buffer that hold images in [0, 255], and
            the key of each in the frames file that the import writes from them.
        script: `"module:function"`, `(env_seed: int) -> Demonstration | None`. Plays
            one episode; None for a failure.
        env_seeds: Seeds of the script's episodes.
        max_episodes: Number of successes to keep, in the order of the seeds; None for
            all.
        max_steps: Length of an evaluation episode for policies trained on these
            demonstrations; None for the task's `max_steps`.
    """

    about: str
    url: str | None = None
    minari: str | None = None
    hub: tuple[str, str] | None = None
    digest: str | None = None
    convert: str | None = None
    arrays: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    recorded_images: Mapping[str, str] = field(default_factory=dict)
    script: str | None = None
    env_seeds: Sequence[int] = ()
    max_episodes: int | None = None
    max_steps: int | None = None


@dataclass(frozen=True)
class Task:
    """Everything the benchmark knows about a task.

    Attributes:
        name: Short name, as typed on the command line.
        env_id: Gymnasium id; its version rises with every change of scores.
        entry_point: `"module:Class"` of the environment.
        about: One line for people.
        max_steps: Steps after which the environment truncates an episode.
        score: `"module:function"`, `(rewards (L,), infos [L]) -> Outcome`.
        obs_kinds: Values of the environment's `obs` argument; the first is the default.
        obs_keys: By kind of observation that is a dictionary, the keys that policies
            observe, in order: images `(height, width, 3)` and vectors. A kind that is
            not listed is one array, under its own name in demonstrations.
        obs_columns: Vectors of dictionaries that demonstrations hold as columns of
            another observation, by key.
        image_kinds: Kinds of observation with images, which take the presets for
            images.
        obs_dims: Do of each kind that is one vector, as `dp-bench list` shows it; the
            contract tests compare it with the environment.
        controls: Values of the environment's `control` argument. The first is the
            default, and the mode of demonstrations whose `env_kwargs` name no other.
        actions_as: By control mode, `"module:function"`, `demos -> actions (N, Da)`.
            Converts actions of the first mode to this mode, in float64.
        variants: Arguments of the environment by name of the variant; every policy is
            evaluated in each. The table leads with the first.
        sources: Demonstrations by name; the first is the default.
        columns: Sub-scores that the table shows.
        train_episodes: Number of demonstrations for training; None for all.
        validation_share: Share of the episodes that are held back for validation.
        lanes: Number of episodes in a batched rollout.
        fork: Start from which `dp-bench modes` tests multimodality, or None.
        features: `"module:function"`, `demos -> [Feature]`: features that the
            comparison of demonstrations adds to the length of episodes; or None.
        obs_noise: `"module:function"`, `(obs_kind, control) -> ObsNoise`: noise that
            the environment adds in evaluation; None for none, or for an unknown noise.
        motions: By kind of observation, the columns that hold the robot's position; a
            training measures with them how much a policy copies its last movement.
        positions: Number of leading numbers of a state that are positions; a replay
            compares these. None for all.
        fixed_start: Why every episode starts in the same state; "" if starts differ.
        constant_obs: By observation and index, the meaning of a number that random
            actions leave constant, a flag for a finished part of the task say.
        layout: `"module:function"`, `demos -> Layout`: layout of their file. None for
            one dataset for each kind of observation.
        group: Name of the group whose tasks share tables; "" for none.
    """

    name: str
    env_id: str
    entry_point: str
    about: str
    max_steps: int
    score: str
    obs_kinds: tuple[str, ...] = ("state",)
    obs_keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    obs_columns: Mapping[str, ObsColumns] = field(default_factory=dict)
    image_kinds: tuple[str, ...] = (IMAGE,)
    obs_dims: Mapping[str, int] = field(default_factory=dict)
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
    motions: Mapping[str, MotionColumns] = field(default_factory=dict)
    positions: int | None = None
    fixed_start: str = ""
    constant_obs: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
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
            BadInput: With the name and the valid choices.
        """
        for kind, value, choices in (
            ("observation", obs_kind, self.obs_kinds),
            ("control mode", control, self.controls),
            ("variant", variant, tuple(self.variants)),
            ("demonstration source", source, tuple(self.sources)),
        ):
            if value is not None and value not in choices:
                raise BadInput(
                    f"task {self.name!r} has no {kind} {value!r}; "
                    f"it has {', '.join(choices) or 'none'}"
                )

    def image_keys_of(self, obs_kind: str) -> tuple[str, ...]:
        """Lists the keys of an observation under which demonstrations hold images."""
        if obs_kind not in self.image_kinds:
            return ()
        keys = self.obs_keys.get(obs_kind, ())
        return tuple(key for key in keys if key not in self.obs_columns)

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
        """Returns the observation noise in evaluation; None for none or unknown."""
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
        **kwargs: object,
    ) -> Env:
        """Makes the environment, with its time limit and without Gymnasium's checks.

        Args:
            obs_kind: Kind of observation; None for the default.
            control: Control mode; None for the default.
            variant: Name of the variant; None for the first.
            source: Source of the demonstrations that a policy was trained on, which may
                have a time limit of its own.
            **kwargs: Further arguments of the environment, such as `render_mode`.
        """
        import gymnasium as gym

        self.check(obs_kind=obs_kind, control=control, variant=variant)
        options: dict[str, Any] = dict(
            self.variants[variant or next(iter(self.variants))]
        )
        if len(self.obs_kinds) > 1 or self._takes_obs():
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
        if steps != self.max_steps:  # Gymnasium's registry has `max_steps`
            options["max_episode_steps"] = steps
        return gym.make(self.env_id, disable_env_checker=True, **options)

    def _takes_obs(self) -> bool:
        """Tells whether the environment has an argument `obs`."""
        import inspect

        from dp_bench import references

        parameters = inspect.signature(references.load(self.entry_point)).parameters
        return "obs" in parameters

    def max_steps_of(self, source: str | None) -> int:
        """Returns the time limit for policies trained on a source [steps]."""
        trained_on = self.sources.get(source) if source else None
        return (trained_on and trained_on.max_steps) or self.max_steps
