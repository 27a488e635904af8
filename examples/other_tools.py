"""Reads exported episodes with robostats, a library for comparing robot policies.

Export first: dp-bench export results/pusht --form csv
Then: python other_tools.py pusht-csv/episodes.csv
"""

import sys

import robostats

episodes = robostats.load_csv(
    sys.argv[1],
    protocol=robostats.Protocol(max_steps=300),
    success_field="success",
    policy_id_field="method",
    task_id_field="task",
    scenario_fields=("train_seed", "env_seed"),
)
print(f"{len(episodes)} episodes")
