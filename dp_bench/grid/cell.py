"""One cell of the grid task x method x train seed, by name and resolved."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dp_bench import registry
from dp_bench.data import store
from dp_bench.errors import BadInput
from dp_bench.policies.obs_spec import ObsSpec
from dp_bench.task import IMAGE
from dp_bench.util import progress

if TYPE_CHECKING:
    from dp_bench.data.demos import Demos
    from dp_bench.method import Method
    from dp_bench.presets import Preset
    from dp_bench.task import Task


@dataclass(frozen=True)
class Cell:
    """Names one training and its evaluation; another process can read it as JSON.

    Attributes:
        task: Name of the task.
        method: Name of the method.
        train_seed: Seed of the training.
        preset: Tier of the settings.
        obs_kind: Kind of observation; None for the task's default.
        control: Control mode of the actions; None for the preset's choice.
        demos: File with demonstrations; None for those in the data folder.
        source: Source of the demonstrations; None for the task's default. A smoke test
            takes the first episodes only of those that a script makes.
        changes: Settings that differ from the preset, `(name, text)`.
        episodes: Number of starts; None for the preset's choice.
        decision_starts: Number of further starts, which no other train seed meets, of
            the task's first variant; 0 for none.
        runs: Folder that holds the run folders.
        device: Device to train on: "auto", "cpu", "cuda", "cuda:1", ...
        starts: Kind of starts: "test", in all variants of the task, or "validation", in
            its first variant only, where settings are chosen.
        until: Update at which the training pauses and is evaluated; 0 for its end.
        log: Where to follow it while it runs, "tensorboard" or "wandb"; "" for nowhere.
        label: Names it for a person among cells of one method; "" where the seed does.
    """

    task: str
    method: str
    train_seed: int
    preset: str = "laptop"
    obs_kind: str | None = None
    control: str | None = None
    demos: str | None = None
    source: str | None = None
    changes: tuple[tuple[str, str], ...] = ()
    episodes: int | None = None
    decision_starts: int = 0
    runs: str = "runs"
    device: str = "auto"
    starts: str = "test"
    log: str = ""
    label: str = ""
    until: int = 0

    @property
    def title(self) -> str:
        """Names the cell for a person."""
        words = [self.task, self.method, self.label, f"seed {self.train_seed}"]
        return " ".join(filter(None, words))

    @property
    def changes_results(self) -> bool:
        """Tells whether a changed setting can change weights or scores.

        Threads change the last digits only, as another processor does.
        """
        from dp_bench.runs.info import SAME_NUMBERS

        names = {name.removeprefix("training.") for name, _ in self.changes}
        return not names <= {*SAME_NUMBERS, "threads"}

    def to_json(self) -> str:
        """Writes the cell as one line of JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Cell:
        """Reads what `to_json` wrote."""
        fields = json.loads(text)
        fields["changes"] = tuple(map(tuple, fields["changes"]))
        return cls(**fields)


@dataclass(frozen=True)
class ChosenDemos:
    """The demonstrations that some cells learn from, read at most once.

    Attributes:
        task: Their task.
        source: Name of their source; None for the task's default, or for the source
            that the file names.
        path: File to read instead of the data folder.
        obs_kind: Kind of observation whose images are needed, too; None for none.
    """

    task: Task
    source: str | None = None
    path: str | None = None
    obs_kind: str | None = None

    @functools.cached_property
    def loaded(self) -> Demos:
        """Reads the demonstrations and keeps them in memory, except for images."""
        demos = self.without_images
        return store.with_images(self.task, demos, self._images, self.path)

    @functools.cached_property
    def without_images(self) -> Demos:
        """Reads the demonstrations without images that lie apart from them."""
        return store.load_demos(self.task, self.source, self.path)

    def forget(self) -> None:
        """Keeps what was read no longer; the next use reads it again."""
        for name in ("loaded", "without_images"):
            vars(self).pop(name, None)

    @property
    def _images(self) -> tuple[str, ...]:
        return self.task.image_keys_of(self.obs_kind) if self.obs_kind else ()

    @functools.cached_property
    def shown(self) -> ObsSpec | None:
        """What the environment shows; None for observations that are one array.

        Raises:
            BadInput: When a key is missing, or is neither an image nor a vector.
        """
        kind = self.obs_kind
        if kind is None or kind not in self.task.obs_keys:
            return None
        env = self.task.make_env(obs_kind=kind)
        where = f"{kind!r} observations of {self.task.name}"
        try:
            keys = self.task.obs_keys[kind]
            return ObsSpec.of_space(env.observation_space, keys, where)
        finally:
            env.close()

    @functools.cached_property
    def source_name(self) -> str:
        """Names the source; a file is read for it, and is not kept in memory.

        A file that differs from what the publisher of its source gave is used with a
        note: recordings of one's own come in the same formats.
        """
        if self.path is None:
            return self.source or self.task.default_source
        if "loaded" in vars(self):
            return self.loaded.source
        demos = store.load_demos(self.task, self.source, self.path)
        fault = store.difference(demos, self.task, Path(self.path))
        if fault:
            progress.note(
                f"{self.path} is used as it is, but {fault}; demonstrations of your "
                f"own should have a source of their own"
            )
        return demos.source

    @property
    def file_is_there(self) -> bool:
        """Tells whether there is a file of demonstrations, with or without images."""
        return store.find(self.task, self.source, self.path) is not None

    @property
    def is_on_disk(self) -> bool:
        """Tells whether nothing must be fetched, made or drawn."""
        if not self.file_is_there:
            return False
        given = self.task, self.without_images, self._images, self.path
        return not self._images or store.has_images(*given)

    @property
    def is_scripted(self) -> bool:
        """Tells whether a script makes them, rather than a download."""
        known = self.task.sources.get(self.source or self.task.default_source)
        return self.path is None and known is not None and known.script is not None

    def check(self) -> None:
        """Refuses an unknown source and an unusable file before any work begins."""
        if self.source and store.find(self.task, self.source) is None:
            self.task.check(source=self.source)
        if self.path is not None:
            _ = self.source_name

    def obtain(self) -> None:
        """Fetches or makes demonstrations and images unless they are on disk."""
        if self.path is None:
            store.obtain(self.task, self.source, images=self._images)
        if self.path is None or self._images:  # refuses a damaged file
            store.load_demos(self.task, self.source, self.path, images=self._images)


@dataclass(frozen=True)
class ResolvedCell:
    """A cell together with everything that its names stand for.

    A process resolves its cells once and passes them on, so that nothing is looked up
    again.

    Attributes:
        names: The cell as it was typed.
        task: Its task.
        method: Its method.
        settings: Its preset with all changes made; the control mode is set.
        obs_kind: The kind of observation its policy sees.
        demos: Its demonstrations; cells of one grid share them.
    """

    names: Cell
    task: Task
    method: Method
    settings: Preset
    obs_kind: str
    demos: ChosenDemos

    @property
    def title(self) -> str:
        """Names the cell for a person."""
        return self.names.title

    @property
    def control(self) -> str:
        """The control mode of the actions."""
        assert self.settings.control is not None
        return self.settings.control

    @functools.cached_property
    def device(self) -> str:
        """The device to train on, "cpu" or "cuda:1" say."""
        from dp_bench.util.devices import available_device

        return available_device(self.names.device)


def resolve(cells: Sequence[Cell], task: Task | None = None) -> list[ResolvedCell]:
    """Looks up what the names of cells stand for.

    Args:
        cells: Cells of one task and one set of demonstrations.
        task: Their task, where the caller has it at hand.

    Raises:
        BadInput: For a name or a value that is not known.
    """
    if not cells:
        return []
    task = task or registry.task(cells[0].task)
    cells = [_with_source(cell, task) for cell in cells]
    methods = {name: registry.method(name) for name in {cell.method for cell in cells}}
    obs_kind = cells[0].obs_kind or task.obs_kinds[0]
    demos = ChosenDemos(task, cells[0].source, cells[0].demos, obs_kind)
    return [_resolve(cell, task, methods[cell.method], demos) for cell in cells]


def _with_source(cell: Cell, task: Task) -> Cell:
    """Gives a smoke test few demonstrations, where a script makes them."""
    if cell.preset != "smoke" or cell.demos is not None:
        return cell
    source = registry.small_source(task, cell.source)
    return dataclasses.replace(cell, source=source)


def _resolve(
    cell: Cell, task: Task, method: Method, demos: ChosenDemos
) -> ResolvedCell:
    from dp_bench.presets import preset

    task.check(obs_kind=cell.obs_kind)
    obs_kind = cell.obs_kind or task.obs_kinds[0]
    usual_settings = preset(method, task.name, cell.preset, obs_kind)
    settings = _changed(usual_settings, cell, method)
    usual = settings.control if settings.control in task.controls else task.controls[0]
    control = cell.control or usual
    task.check(control=control)
    settings = dataclasses.replace(settings, control=control)
    method = _named_by_objective(method, settings)
    return ResolvedCell(cell, task, method, settings, obs_kind, demos)


def _named_by_objective(method: Method, settings: Preset) -> Method:
    """Returns the variant that has the objective of the settings, if there is one.

    Records and tables know a run by the name of its method, so it must say the
    objective however that was chosen.

    Raises:
        BadInput: When the settings undo the objective of a variant.
    """
    objective = getattr(settings.policy, "objective", None)
    variant = f"{method.name}-{objective}"
    if variant in method.all_variants():
        return method.all_variants()[variant]
    wanted = method.changes.get("policy.objective", objective)
    if objective != wanted:
        raise BadInput(
            f"policy.objective={objective} contradicts the method {method.name}, whose "
            f"objective is {wanted}; leave the setting out, or choose another method"
        )
    return method


def _changed(settings: Preset, cell: Cell, method: Method) -> Preset:
    """Applies the changes of a cell to its preset."""
    from dp_bench.util import settings as fields

    changes = dict(cell.changes)
    # An objective needs a sampler that suits it, which the user need not know.
    changes = (
        dict(method.variants.get(changes.get("policy.objective", ""), {})) | changes
    )
    owners = ("policy", "training", *(("vision",) if settings.vision else ()))
    for name, _ in cell.changes:
        if name.startswith("vision.") and settings.vision is None:
            raise BadInput(
                f"{name} is a setting for images, and {cell.task} is learned from "
                f"numbers here; add `--obs {IMAGE}` where the task has it"
            )
        if name.split(".")[0] not in owners:
            known = [n for n in fields.names(settings) if n.startswith(owners)]
            raise BadInput(
                f"no setting {name!r} of {method.name}; there are {', '.join(known)}"
            )
    changed = fields.override_all(settings, changes)
    for name, _ in cell.changes:
        if name.removeprefix("policy.") in getattr(changed.policy, "unused", ()):
            raise BadInput(
                f"{name} changes nothing: the objective "
                f"{getattr(changed.policy, 'objective', '')} does not use it"
            )
    return changed
