"""Small films of single episodes, for the page of a table, and their index.

<folder>/films/films.jsonl   a line for each film
<folder>/films/*.mp4, *.jpg  the films, and an image of each start
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsFloat, cast

import gymnasium as gym
import numpy as np

from dp_bench import references, registry
from dp_bench.errors import BadInput
from dp_bench.runs.folder import RunFolder
from dp_bench.util import jsonl, progress, workers
from dp_bench.util.files import atomic_write, locked_to_write
from dp_bench.util.threads import cores, torch_threads

if TYPE_CHECKING:
    from dp_bench.evaluation.playing import FrameWriter
    from dp_bench.evaluation.rollout import Episode
    from dp_bench.util.types import Env, Info

FOLDER, INDEX = "films", "films.jsonl"
WIDTH = 256  # of a film [px]
CRF = 34  # quality of H.264: 23 is its usual value, larger is smaller
LANES = 6  # scenes that are played side by side
RATE = 10  # frames of a film in a second of the episode [Hz]
HOLD = 1.0  # how long the last frame stays [s]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """An episode to film.

    Attributes:
        run: Name of the run.
        weights: Digest of its weights; "" if unknown.
        step: Updates that made them.
        variant: Variant of the environment.
        env_seed: Seed of the start.
        train_seed: Seed of the training.
    """

    run: str
    weights: str
    step: int
    variant: str
    env_seed: int
    train_seed: int

    @property
    def name(self) -> str:
        """Name of its files, without an ending."""
        weights = f"-{self.weights}" if self.weights else ""
        return f"{self.run}-{self.step}{weights}-{self.variant}-{self.env_seed}"


@dataclass(frozen=True, kw_only=True)
class Film(Scene):
    """A filmed episode.

    Attributes:
        film: Name of the film, in the folder of the index.
        poster: Name of an image of the start.
        path: Where the robot's tip was in each image, in widths and heights from the
            upper left corner; `(L, 2)`, empty where the environment does not tell.
        score: Of the filmed episode. It is played beside other starts than the
            recorded one, so rounding can make it differ.
        success: Whether it was solved.
        length: Number of steps.
    """

    film: str
    poster: str
    path: tuple[tuple[float, ...], ...]
    score: float
    success: bool
    length: int

    @property
    def scene(self) -> Scene:
        """What was filmed."""
        names = [field.name for field in dataclasses.fields(Scene)]
        return Scene(**{name: getattr(self, name) for name in names})


def read(folder: Path) -> list[Film]:
    """Reads the index of the films of a folder of results, without lost films.

    Raises:
        BadInput: When a line is not a film; the message names the file and the line.
    """
    index = folder / FOLDER / INDEX
    remedy = "delete it, and make the films again with --films"
    latest = {film.scene: film for film in jsonl.read_or_advise(index, Film, remedy)}
    return [
        film
        for film in latest.values()
        if all((index.parent / name).is_file() for name in (film.film, film.poster))
    ]


def make(folder: Path, scenes: Sequence[Scene], runs: Mapping[str, Path]) -> list[Film]:
    """Films scenes of one folder of results; see `make_all`.

    Returns:
        All films of the folder.
    """
    make_all({folder: scenes}, runs)
    return read(folder)


def make_all(
    scenes: Mapping[Path, Sequence[Scene]],
    runs: Mapping[str, Path],
    on_played: Callable[[Sequence[Scene], Sequence[Episode]], None] | None = None,
) -> None:
    """Films scenes that have no film yet, in as many processes as there are cores.

    Args:
        scenes: What to film, by folder of results; each keeps its films in `films/`.
        runs: Run folders, by name.
        on_played: Called with the scenes of a run that were played side by side, and
            their episodes.

    Raises:
        BadInput: When imageio is missing, a run cannot be played, or another process
            films in one of the folders.
    """
    refuse_without_imageio()
    with contextlib.ExitStack() as locks:
        for folder in scenes:
            lock, needed = folder / FOLDER / ".lock", bool(_missing(folder, scenes))
            locks.enter_context(locked_to_write(lock, needed=needed))
        # Another process may have made some meanwhile.
        missing = {folder: _missing(folder, scenes) for folder in scenes}
        number = sum(map(len, missing.values()))
        jobs = [
            (folder / FOLDER, group, runs[group[0].run])
            for folder, of_folder in missing.items()
            for group in _groups_of(of_folder, runs, -(-number // cores()))
        ]
        with (
            progress.bar("Filming", number) as bar,
            contextlib.closing(
                workers.in_order(_Films, _Films.film, jobs, on_progress=bar.advance)
            ) as made,
        ):
            for (place, _, _), (films, episodes) in zip(jobs, made, strict=True):
                if on_played is not None:
                    on_played([film.scene for film in films], episodes)
                jsonl.append(place / INDEX, films)


def _groups_of(
    scenes: Sequence[Scene], runs: Mapping[str, Path], most: int
) -> list[list[Scene]]:
    """Groups scenes of the same weights and variant, to play them side by side.

    Args:
        scenes: What to film.
        runs: Run folders, by name.
        most: Largest size of a group, so that no core is without work.
    """
    groups = []
    for (run, *_), same in itertools.groupby(sorted(scenes, key=_who), key=_who):
        task = registry.task(RunFolder(runs[run]).info().task)
        size, rest = max(1, min(LANES, task.lanes, most)), list(same)
        groups += [rest[k : k + size] for k in range(0, len(rest), size)]
    return groups


def _who(scene: Scene) -> tuple[str, str, int, str]:
    """Names what plays a scene, and where: run, weights, updates and variant."""
    return scene.run, scene.weights, scene.step, scene.variant


def _missing(folder: Path, scenes: Mapping[Path, Sequence[Scene]]) -> list[Scene]:
    done = {film.scene for film in read(folder)}
    return [scene for scene in dict.fromkeys(scenes[folder]) if scene not in done]


class _Films:
    """Plays and films groups of scenes in one process; one run is loaded at a time."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] = ()
        self._envs: list[_FilmedEnv] = []

    def film(
        self, job: tuple[Path, Sequence[Scene], Path], tick: Callable[[], None]
    ) -> tuple[list[Film], list[Episode]]:
        """Plays scenes of the same weights and variant, and films them into a folder.

        Args:
            job: Folder of the films, scenes, and the run folder with the weights.
            tick: Called after each episode.
        """
        from dp_bench.evaluation.rollout import play_group

        place, scenes, run = job
        self._load(scenes[0], run)
        while len(self._envs) < len(scenes):
            self._envs.append(_FilmedEnv(self._make_env()))
        envs = self._envs[: len(scenes)]
        with contextlib.ExitStack() as shots, torch_threads(1):
            for env, scene in zip(envs, scenes, strict=True):
                shots.enter_context(env.filming(place, scene))
            env_seeds = [scene.env_seed for scene in scenes]
            episodes = play_group(self._actor, envs, env_seeds, self._score, tick)
        films = [
            Film(
                **dataclasses.asdict(scene),
                film=f"{scene.name}.mp4",
                poster=f"{scene.name}.jpg",
                path=tuple(tip for tip in env.path if tip),
                score=round(episode.outcome.score, 4),
                success=episode.outcome.success,
                length=episode.length,
            )
            for env, scene, episode in zip(envs, scenes, episodes, strict=True)
        ]
        return films, episodes

    def _load(self, scene: Scene, run: Path) -> None:
        """Loads the weights of a scene, unless they are those of the last one."""
        key = (run, *_who(scene))
        if key == self._key:
            return
        self.close()
        folder = RunFolder(run)
        info = folder.info()
        step = scene.step if folder.kept(scene.step).is_file() else None
        if step is None and folder.last_step() != scene.step:
            raise BadInput(
                f"{run} has no weights of update {scene.step:,}, which were "
                "evaluated; train the run again, or move its folder away"
            )
        _refuse_others(folder, step, scene)
        task = registry.task(info.task)
        self._actor = folder.load_policy(step, "cpu", info)
        self._score = references.load(task.score)
        self._make_env = functools.partial(
            task.make_env,
            **info.env_choices,
            variant=scene.variant,
            render_mode="rgb_array",
        )
        self._key = key

    def close(self) -> None:
        for env in self._envs:
            env.close()
        self._envs.clear()


class _FilmedEnv(gym.Wrapper[Any, Any, Any, Any]):
    """An environment that films its episodes.

    Attributes:
        path: Where the robot's tip was in each image; () where that is unknown.
    """

    def __init__(self, env: Env) -> None:
        super().__init__(env)
        if hasattr(env.unwrapped, "draws_small"):
            env.unwrapped.draws_small = True  # images of a film are smaller still
        self._rate = int(self.env.metadata["render_fps"])
        self._stride = max(1, round(self._rate / RATE))

    @contextlib.contextmanager
    def filming(self, place: Path, scene: Scene) -> Iterator[None]:
        """Films the episode that is played meanwhile; the film is whole or not there.

        Args:
            place: Folder of the films.
            scene: What is played.
        """
        from imageio.v2 import get_writer, imwrite

        self.path: list[tuple[float, ...]] = []
        self._length = 0
        quality = ["-preset", "veryfast", "-crf", str(CRF), "-movflags", "+faststart"]
        with (
            atomic_write(place / f"{scene.name}.mp4") as aside,
            atomic_write(place / f"{scene.name}.jpg") as still,
            get_writer(
                aside,
                fps=self._rate / self._stride,
                codec="libx264",
                quality=None,
                macro_block_size=2,
                output_params=quality,
                ffmpeg_log_level="error",
            ) as writer,
        ):
            self._film = cast("FrameWriter", writer)
            self._keep_poster = lambda image: imwrite(still, image, quality=85)
            yield
            for _ in range(int(HOLD * self._rate / self._stride)):
                self._film.append_data(self._image)

    def reset(
        self, *, seed: int | None = None, options: Info | None = None
    ) -> tuple[Any, Info]:
        start = super().reset(seed=seed, options=options)
        self._see()
        self._keep_poster(self._image)
        return start

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, Info]:
        obs, reward, terminated, truncated, info = super().step(action)
        self._length += 1
        if self._length % self._stride == 0 or terminated or truncated:
            self._see()
        return obs, reward, terminated, truncated, info

    def _see(self) -> None:
        """Adds an image to the film."""
        self._image = _small(np.asarray(self.render()))
        self._film.append_data(self._image)
        self.path.append(_tip_in(self))


def _refuse_others(folder: RunFolder, step: int | None, scene: Scene) -> None:
    """Refuses weights that are not those of the scene."""
    from dp_bench.util.tensors import digest_of, in_full_precision, load_tensors

    file = folder.weights if step is None else folder.kept(step)
    weights = digest_of(in_full_precision(load_tensors(file)[0]))
    if scene.weights and weights != scene.weights:
        raise BadInput(
            f"{file} has weights {weights}, and the results are of {scene.weights}; "
            "evaluate the run again, or move its folder away"
        )


def _tip_in(env: Env) -> tuple[float, ...]:
    """Tells where the robot's tip is in the latest image; () if unknown.

    An environment that knows has a method `tip_in_image`; see `TaskEnv`.
    """
    place = getattr(env.unwrapped, "tip_in_image", lambda: None)()
    return () if place is None else tuple(round(float(x), 4) for x in place)


def _small(image: np.ndarray) -> np.ndarray:
    """Shrinks an image to the width of films; its height becomes even."""
    from PIL import Image

    height = 2 * round(image.shape[0] * WIDTH / image.shape[1] / 2)
    small = Image.fromarray(image).resize((WIDTH, height), reducing_gap=1.0)
    return np.asarray(small)


def refuse_without_imageio() -> None:
    """Refuses to film where imageio or its ffmpeg is missing.

    Raises:
        BadInput: With what to install.
    """
    try:
        import imageio.v2  # noqa: F401
        import imageio_ffmpeg  # noqa: F401
    except ImportError:
        raise BadInput("films need imageio: pip install 'dp-bench[video]'") from None
