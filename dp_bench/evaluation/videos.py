"""Videos of runs that play the same starts side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.evaluation.films import refuse_without_imageio
from dp_bench.evaluation.playing import FrameWriter, Player
from dp_bench.runs.folder import RunFolder
from dp_bench.util import progress
from dp_bench.util.files import atomic_write

COLUMNS = 3  # largest number of panels in a row
CAPTION = 44  # height of the caption above each panel [px]
MARGIN = 6  # between panels [px]
INK, GREY, PAPER = (30, 30, 30), (110, 110, 110), (255, 255, 255)
HOLD = 1.5  # how long the last frame stays [s]


class _EpisodePanel:
    """One run playing one episode, and the captioned image of its latest state.

    Args:
        player: The run.
    """

    def __init__(self, player: Player) -> None:
        self.player = player
        self.title = registry.title_of(player.info.method)
        self.note = f"{player.info.preset}, train seed {player.info.train_seed}"

    def reset(self, env_seed: int) -> None:
        self.start = f"{self.player.task.name}, start {env_seed}"
        self.player.reset(env_seed)
        self._draw()

    def step(self) -> None:
        """Plays one step, unless the episode is over."""
        if not self.player.over:
            self.player.step()
            self._draw()

    def _draw(self) -> None:
        """Draws the environment under its captions, `(H, W, 3)`."""
        from PIL import Image, ImageDraw, ImageFont

        image = Image.fromarray(self.player.image())
        panel = Image.new("RGB", (image.width, image.height + CAPTION), PAPER)
        panel.paste(image, (0, CAPTION))
        draw = ImageDraw.Draw(panel)
        draw.text((4, 3), self.title, INK, ImageFont.load_default(16))
        notes = [self.start, self.note, f"step {self.player.length}"]
        if outcome := self.player.outcome():
            notes.append(f"score {outcome.score:.2f}")
            notes += ["solved"] * outcome.success
        draw.text((4, 24), ", ".join(notes), GREY, ImageFont.load_default(13))
        self.image = np.asarray(panel)


def film(
    folders: Sequence[RunFolder],
    env_seeds: Sequence[int],
    out: Path,
    *,
    variant: str | None = None,
    changes: Mapping[str, str] | None = None,
) -> list[Path]:
    """Plays runs from the same starts and writes one MP4 per start.

    Args:
        folders: Runs of one task, one panel each.
        env_seeds: Seeds of the starts, one video each.
        out: Folder of the videos, `<task>-<variant>-<env seed>.mp4`.
        variant: Variant of the environment; None for the task's first.
        changes: Settings of the sampler to change.

    Returns:
        The paths of the videos.

    Raises:
        BadInput: When the runs are of several tasks, or imageio is not installed.
    """
    refuse_without_imageio()
    from imageio.v2 import get_writer

    names = sorted({folder.info().task for folder in folders})
    if len(names) > 1:
        raise BadInput(
            f"a video shows runs of one task, got runs of {', '.join(names)}"
        )
    players = [Player(folder, variant, changes) for folder in folders]
    panels = [_EpisodePanel(player) for player in players]
    task, max_steps = players[0].task, max(player.max_steps for player in players)
    variant = variant or next(iter(task.variants))
    rate = players[0].rate
    videos = []
    try:
        with progress.bar("Filming [steps]", max_steps * len(env_seeds)) as bar:
            for env_seed in env_seeds:
                path = Path(out) / f"{task.name}-{variant}-{env_seed}.mp4"
                with (
                    atomic_write(path) as aside,
                    get_writer(
                        aside, fps=rate, codec="libx264", macro_block_size=2
                    ) as writer,
                ):
                    frames = cast(FrameWriter, writer)
                    steps = _film_episode(frames, panels, env_seed, rate, bar)
                bar.advance(max_steps - steps)
                videos.append(path)
    finally:
        for player in players:
            player.close()
    return videos


def _film_episode(
    writer: FrameWriter,
    panels: Sequence[_EpisodePanel],
    env_seed: int,
    rate: int,
    bar: progress.Bar,
) -> int:
    """Plays one episode per panel until all are over, and returns the steps.

    Args:
        writer: Receives the frames.
        panels: The runs.
        env_seed: Seed of the start.
        rate: Frames per second.
        bar: Advanced by each step.
    """
    for panel in panels:
        panel.reset(env_seed)
    writer.append_data(_tiled(panels))
    steps = 0
    while not all(panel.player.over for panel in panels):
        for panel in panels:
            panel.step()
        writer.append_data(_tiled(panels))
        steps += 1
        bar.advance(1)
    for _ in range(int(HOLD * rate)):
        writer.append_data(_tiled(panels))
    return steps


def _tiled(panels: Sequence[_EpisodePanel]) -> np.ndarray:
    """Arranges the images of the panels in rows, `(H, W, 3)`."""
    height, width = panels[0].image.shape[:2]
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    shape = (rows * (height + MARGIN), columns * (width + MARGIN), 3)
    frame = np.full(shape, 255, np.uint8)
    for i, panel in enumerate(panels):
        top, left = i // columns * (height + MARGIN), i % columns * (width + MARGIN)
        frame[top : top + height, left : left + width] = panel.image
    return frame
