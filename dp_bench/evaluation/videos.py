"""Videos of runs: the same start for all, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dp_bench import references, registry
from dp_bench.errors import BadInput
from dp_bench.evaluation.evaluate import changed
from dp_bench.policies.agent import Agent
from dp_bench.runs.folder import RunFolder
from dp_bench.util import progress
from dp_bench.util.files import atomic_write

COLUMNS = 3  # panels in a row
CAPTION = 44  # height above each panel [px]
MARGIN = 6  # between panels [px]
INK, GREY, PAPER = (30, 30, 30), (110, 110, 110), (255, 255, 255)
HOLD = 1.5  # how long the last picture stays [s]


class _Panel:
    """One run that plays one episode, and what it looks like."""

    def __init__(
        self, folder: RunFolder, variant: str | None, changes: Mapping[str, str]
    ) -> None:
        info = changed(folder.info(), changes)
        self.task = registry.task(info.task)
        self.title = registry.title_of(info.method)
        self.note = f"seed {info.train_seed}"
        self.agent = Agent(folder.load_policy(None, "cpu", info))
        self.env = self.task.make_env(
            obs_kind=info.obs_kind,
            control=info.control,
            variant=variant,
            source=info.demos_source,
            render_mode="rgb_array",
        )
        self.max_steps = self.task.max_steps_of(info.demos_source)
        self.score = references.load(self.task.score)

    def reset(self, env_seed: int) -> None:
        self.obs, _ = self.env.reset(seed=env_seed)
        self.agent.reset(env_seed)
        self.rewards: list[float] = []
        self.infos: list[dict[str, Any]] = []
        self.over, self.solved = False, False
        self._look()

    def step(self) -> None:
        if self.over:
            return
        self.obs, reward, ended, cut, info = self.env.step(self.agent.act(self.obs))
        self.rewards.append(float(reward))
        self.infos.append(info)
        self.over = ended or cut
        self._look()

    def _look(self) -> None:
        """Draws the environment with its captions, `(H, W, 3)`."""
        from PIL import Image, ImageDraw, ImageFont

        picture = Image.fromarray(np.asarray(self.env.render()))
        panel = Image.new("RGB", (picture.width, picture.height + CAPTION), PAPER)
        panel.paste(picture, (0, CAPTION))
        draw = ImageDraw.Draw(panel)
        draw.text((4, 3), self.title, INK, ImageFont.load_default(16))
        told = [self.note, f"step {len(self.rewards)}"]
        if self.rewards:
            outcome = self.score(np.asarray(self.rewards), self.infos)
            told.append(f"score {outcome.score:.2f}")
            told += ["solved"] * outcome.success
        draw.text((4, 24), ", ".join(told), GREY, ImageFont.load_default(13))
        self.picture = np.asarray(panel)


def film(
    folders: Sequence[RunFolder],
    env_seeds: Sequence[int],
    out: Path,
    *,
    variant: str | None = None,
    changes: Mapping[str, str] | None = None,
) -> list[Path]:
    """Plays runs from the same starts and writes an MP4 of each start.

    Args:
        folders: Runs of one task, a panel each.
        env_seeds: Seeds of the starts, a video each.
        out: Folder of the videos, `<task>-<variant>-<env seed>.mp4`.
        variant: Of the environment; None for the task's first.
        changes: Settings of the sampler to change.

    Returns:
        The files.

    Raises:
        BadInput: When the runs are of several tasks, or imageio is not installed.
    """
    try:
        from imageio.v2 import get_writer
    except ImportError:
        raise BadInput("videos need imageio: pip install 'dp-bench[video]'") from None
    names = sorted({folder.info().task for folder in folders})
    if len(names) > 1:
        raise BadInput(f"a video shows one task, these runs are of {', '.join(names)}")
    panels = [_Panel(folder, variant, changes or {}) for folder in folders]
    task, most = panels[0].task, max(panel.max_steps for panel in panels)
    variant = variant or next(iter(task.variants))
    rate = int(panels[0].env.metadata["render_fps"])
    written = []
    writer: Any  # imageio does not say that it can append
    try:
        with progress.bar("Filming [steps]", most * len(env_seeds)) as bar:
            for env_seed in env_seeds:
                path = Path(out) / f"{task.name}-{variant}-{env_seed}.mp4"
                with (
                    atomic_write(path) as aside,
                    get_writer(
                        aside, fps=rate, codec="libx264", macro_block_size=2
                    ) as writer,
                ):
                    for panel in panels:
                        panel.reset(env_seed)
                    writer.append_data(_together(panels))
                    steps = 0
                    while not all(panel.over for panel in panels):
                        for panel in panels:
                            panel.step()
                        writer.append_data(_together(panels))
                        steps += 1
                        bar.advance(1)
                    for _ in range(int(HOLD * rate)):
                        writer.append_data(_together(panels))
                bar.advance(most - steps)
                written.append(path)
    finally:
        for panel in panels:
            panel.env.close()
    return written


def _together(panels: Sequence[_Panel]) -> np.ndarray:
    """The panels in rows, `(H, W, 3)`."""
    height, width = panels[0].picture.shape[:2]
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    whole_picture = np.full(
        (rows * (height + MARGIN), columns * (width + MARGIN), 3), 255, np.uint8
    )
    for i, panel in enumerate(panels):
        top, left = i // columns * (height + MARGIN), i % columns * (width + MARGIN)
        whole_picture[top : top + height, left : left + width] = panel.picture
    return whole_picture
