"""Compares a policy of your own with recorded results, start by start.

Run it in the folder that holds `results/`: python own_actor.py
"""

import numpy as np

import dp_bench
from dp_bench import registry
from dp_bench.evaluation import records, rollout
from dp_bench.reports.summary import scores_by_seed_and_start
from dp_bench.statistics.comparisons import paired_difference
from dp_bench.statistics.estimates import estimate_mean
from dp_bench.task import TEST_STARTS


class Follow:
    """Sends the finger to the first keypoint of the block."""

    horizons = dp_bench.Horizons(obs=1, action=4, prediction=4)

    def reset(self, env_seeds):
        """Begins one episode in each lane."""

    def act(self, obs, lanes=None):
        """Observations (B, To, Do), oldest first -> actions (B, Ta, Da)."""
        return np.repeat(obs[:, -1:, :2], self.horizons.action, axis=1)


task = registry.task("pusht")
spec = rollout.RolloutSpec(Follow, task.make_env, task.score)
episodes = rollout.play(spec, rollout.groups_of(TEST_STARTS, task.lanes), processes=1)
scores = {episode.env_seed: episode.outcome.score for episode in episodes}

frame = records.to_frame(records.read("results/pusht/records"))
recorded = frame.query(
    "method == 'dp_c' and preset == 'laptop' and starts == 'test' "
    "and variant == 'default'"
)
recorded = recorded[recorded["step"] == recorded["step"].max()]
theirs = scores_by_seed_and_start(recorded, "score")
mine = np.array([[scores[env_seed] for env_seed in theirs.columns]])
for name, estimate in (
    ("Follow", estimate_mean(mine)),
    ("Follow minus DP-C", paired_difference(mine, theirs.to_numpy())),
):
    print(f"{name}: {estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]")
