"""`dp-bench watch`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from dp_bench.cli.options import Settings, hint, name_and_value
from dp_bench.errors import BadInput
from dp_bench.evaluation.starts import TEST_STARTS

if TYPE_CHECKING:
    from dp_bench.evaluation.playing import Player


@dataclass(frozen=True)
class Watch:
    """Show a trained policy in a window, one episode after the other.

    It needs a display, and pygame (the extra human).

    Close the window, or press Ctrl-C, to end. The episodes are not recorded.

    Examples:
      dp-bench watch runs/pusht/dp_c-*-seed0
      dp-bench watch RUN --start 100007 --episodes 1
    """

    run_folder: Positional[
        Annotated[Path | None, arg(metavar="RUN", help_behavior_hint=hint("required"))]
    ] = None
    """Run folder that `dp-bench train` or `dp-bench compare` wrote."""
    start: int = TEST_STARTS.start
    """Env seed of the first episode; the next ones count up from it."""
    episodes: Annotated[
        int | None, arg(metavar="N", help_behavior_hint=hint("default: until you end"))
    ] = None
    """Number of episodes."""
    variant: Annotated[
        str | None,
        arg(metavar="VARIANT", help_behavior_hint=hint("default: the task's first")),
    ] = None
    """Variant of the environment."""
    set: Settings = ()
    """Settings of the policy's sampler to change."""

    def run(self) -> None:
        """Plays episodes, and prints how each of them ended."""
        from dp_bench.evaluation.playing import Player
        from dp_bench.runs import shipped
        from dp_bench.runs.folder import RunFolder

        if self.run_folder is None:
            raise BadInput("name a run folder: `dp-bench watch runs/TASK/RUN`")
        if self.start < 0:
            raise BadInput(f"--start must be at least 0, got {self.start}")
        if self.episodes is not None and self.episodes < 1:
            raise BadInput(f"--episodes must be at least 1, got {self.episodes}")
        changes = dict(map(name_and_value, self.set))
        folder = RunFolder(shipped.folder_of(self.run_folder))
        player = Player(folder, self.variant, changes, render_mode="human")
        name = folder.path.name
        print(f"{name}: close the window or press Ctrl-C to end", flush=True)
        try:
            played = 0
            while played != self.episodes and _episode(player, self.start + played):
                played += 1
        except KeyboardInterrupt:
            print()
        finally:
            player.close()


def _episode(player: Player, env_seed: int) -> bool:
    """Plays an episode; tells whether the window is still open."""
    player.reset(env_seed)
    while not player.over:
        if player.window_closed:
            return False
        player.step()
    outcome = player.outcome()
    assert outcome is not None
    solved = ", solved" if outcome.success else ""
    print(
        f"start {env_seed}: score {outcome.score:.2f}{solved} after {player.length} "
        "steps",
        flush=True,
    )
    return True
