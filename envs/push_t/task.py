"""The row of PushT in the table of tasks."""

import math

from dp_bench.task import Column, DemoSource, Fork, MotionColumns, ObsColumns, Task

TASK = Task(
    name="pusht",
    env_id="dp_bench/PushT-v0",
    entry_point="dp_bench.envs.push_t.env:PushT",
    about="push a T-shaped block onto its outline",
    max_steps=300,
    score="dp_bench.envs.scores:best_reward",
    obs_kinds=("keypoints", "state", "image"),
    obs_keys={"image": ("image", "agent_pos")},
    obs_columns={"agent_pos": ObsColumns("keypoints", 18, 20)},
    obs_dims={"keypoints": 20, "state": 5},
    controls=("position", "velocity"),
    actions_as={"velocity": "dp_bench.envs.push_t.demos:displacements"},
    variants={
        "default": {"legacy": False},
        "legacy": {"legacy": True},
    },
    sources={
        "human": DemoSource(
            about="206 human episodes, 25,650 steps (31 MB, MIT licence)",
            url="https://diffusion-policy.cs.columbia.edu/data/training/pusht.zip",
            digest="07d28df33db0c6bbbad3dd2e37278962b301e6311f6f91b4266711d0472a9a62",
            convert="dp_bench.envs.push_t.demos:demos_from_replay",
            arrays=("action", "state", "keypoint"),
            recorded_images={"img": "image"},
        ),
    },
    columns=(Column("final_iou", "final IoU"),),
    train_episodes=90,
    motions={
        kind: MotionColumns((columns,), actions=(0, 2))
        for kind, columns in {
            "keypoints": (18, 20),
            "state": (0, 2),
            "image": (0, 2),
        }.items()
    },
    # This start is symmetric about the line x + y = 512, and so are table and outline.
    # The block is turned like its outline and 90 px from it along their common axis.
    # The finger is on this axis, at the end of the stem. It must push the bar from its
    # far side, and both ways round the block are equally long. People who came to this
    # state took either way equally often.
    fork=Fork(
        start=(178.0, 334.0, 320.0, 192.0, math.pi / 4),
        steps=40,
        judge="dp_bench.envs.push_t.fork:way_round",
        scene="dp_bench.envs.push_t.fork:outlines",
        passages="dp_bench.envs.push_t.fork:passages",
        unit="px",
        downwards=True,
    ),
)
