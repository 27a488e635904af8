"""Small films of single episodes, for the page of a table, and their index.

<folder>/films/films.jsonl   a line for each film
<folder>/films/*.mp4, *.jpg  the films, and an image of each start
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from dp_bench.errors import BadInput
from dp_bench.util import jsonl, progress, workers
from dp_bench.util.files import atomic_write, locked_to_write

if TYPE_CHECKING:
    from dp_bench.evaluation.playing import FrameWriter, Player
    from dp_bench.runs.folder import RunFolder

FOLDER, INDEX = "films", "films.jsonl"
WIDTH = 256  # of a film [px]
CRF = 34  # quality of H.264: 23 is its usual value, larger is smaller
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
        score: Of the filmed episode. It is played alone, so rounding can make it
            differ from the recorded one.
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


def make(folder: Path, scenes: Sequence[Scene], runs: dict[str, Path]) -> list[Film]:
    """Films scenes that have no film yet, in as many processes as there are cores.

    Args:
        folder: Of results; has the films in `films/`.
        scenes: What to film.
        runs: Run folders, by name.

    Returns:
        All films of the folder.

    Raises:
        BadInput: When imageio is missing, or a run cannot be played.
    """
    refuse_without_imageio()
    place = folder / FOLDER
    missing = _missing(folder, scenes)
    with locked_to_write(place / ".lock", needed=bool(missing)):
        missing = _missing(folder, scenes)  # another process may have made some
        # Sorted, so that a process loads the policy of a run once.
        jobs = sorted(((s, runs[s.run]) for s in missing), key=lambda job: job[0].run)
        with (
            progress.bar("Filming", len(jobs)) as bar,
            contextlib.closing(
                workers.in_order(
                    functools.partial(_Films, place),
                    _film,
                    jobs,
                    on_progress=bar.advance,
                )
            ) as made,
        ):
            for film in made:
                jsonl.append(place / INDEX, [film])
    return read(folder)


def _missing(folder: Path, scenes: Sequence[Scene]) -> list[Scene]:
    done = {film.scene for film in read(folder)}
    return [scene for scene in dict.fromkeys(scenes) if scene not in done]


class _Films:
    """The player of one process; one run is loaded at a time."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._key: tuple[object, ...] = ()
        self._player: Player | None = None

    def player(self, scene: Scene, run: Path) -> Player:
        from dp_bench.evaluation.playing import Player
        from dp_bench.runs.folder import RunFolder

        key = (scene.run, scene.step, scene.variant)
        if self._player is None or key != self._key:
            self.close()
            folder = RunFolder(run)
            step = scene.step if folder.kept(scene.step).is_file() else None
            if step is None and folder.last_step() != scene.step:
                raise BadInput(
                    f"{run} has no weights of update {scene.step:,}, which were "
                    "evaluated; train the run again, or move its folder away"
                )
            _refuse_others(folder, step, scene)
            self._player, self._key = Player(folder, scene.variant, None, step), key
        return self._player

    def close(self) -> None:
        if self._player is not None:
            self._player.close()
            self._player = None


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


def _film(films: _Films, job: tuple[Scene, Path], tick: Callable[[], None]) -> Film:
    """Plays and films one episode."""
    from imageio.v2 import get_writer, imwrite

    scene, run = job
    player = films.player(scene, run)
    player.reset(scene.env_seed)
    film, poster = f"{scene.name}.mp4", f"{scene.name}.jpg"
    path = []
    stride = max(1, round(player.rate / RATE))
    quality = ["-crf", str(CRF), "-movflags", "+faststart"]
    with (
        atomic_write(films.place / film) as aside,
        get_writer(
            aside,
            fps=player.rate / stride,
            codec="libx264",
            quality=None,
            macro_block_size=2,
            output_params=quality,
            ffmpeg_log_level="error",
        ) as writer,
    ):
        frames = cast("FrameWriter", writer)
        while True:
            if player.length % stride == 0 or player.over:
                image = _small(player.image())
                frames.append_data(image)
                path.append(player.tip())
            if player.length == 0:
                with atomic_write(films.place / poster) as still:
                    imwrite(still, image, quality=85)
            if player.over:
                break
            player.step()
        for _ in range(int(HOLD * player.rate / stride)):
            frames.append_data(image)
    outcome = player.outcome()
    assert outcome is not None
    tick()
    return Film(
        **dataclasses.asdict(scene),
        film=film,
        poster=poster,
        path=tuple(place for place in path if place),
        score=round(outcome.score, 4),
        success=outcome.success,
        length=player.length,
    )


def _small(image: np.ndarray) -> np.ndarray:
    """Shrinks an image to the width of films; its height becomes even."""
    from PIL import Image

    height = 2 * round(image.shape[0] * WIDTH / image.shape[1] / 2)
    return np.asarray(Image.fromarray(image).resize((WIDTH, height)))


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
