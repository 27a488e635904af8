"""The table of all tasks. Environments are named by strings and imported when made."""

import math
from collections.abc import Mapping, Sequence

from dp_bench.task import Column, DemoSource, Fork, Task

PROFICIENT = {"ph": "200 human episodes of practised people, from the hub"}
MIXED = PROFICIENT | {"mh": "300 human episodes of mixed quality, from the hub"}
TRANSPORT_CAMERAS = (
    "shouldercamera0",
    "robot0_eye_in_hand",
    "shouldercamera1",
    "robot1_eye_in_hand",
)


def _robomimic(
    name: str,
    cls: str,
    about: str,
    *,
    positions: int,
    steps: int = 400,
    human: Mapping[str, str] = MIXED,
    arms: int = 1,
    cameras: Sequence[str] = ("agentview", "robot0_eye_in_hand"),
) -> Task:
    """One of the five tasks of Robomimic.

    Args:
        name: Of the task, here and in the published files.
        cls: Of the environment.
        about: One line for a person.
        positions: How many numbers of a state are time and positions.
        steps: Limit of an episode.
        human: Published demonstrations by name, with a line about each.
        arms: How many there are.
        cameras: Those whose pictures files may hold.
    """
    where = "dp_bench.envs.robomimic.env"
    parts = ("eef_pos", "eef_quat", "gripper_qpos")
    seen = ["object", *(f"robot{i}_{part}" for i in range(arms) for part in parts)]
    rows = ("states", "actions", "rewards", *(f"obs/{key}" for key in seen))
    sources = {
        "scripted": DemoSource(
            about="200 episodes of a script, made here in minutes",
            script=f"dp_bench.envs.robomimic.{name}:demonstrate",
            env_seeds=range(400),
            max_episodes=200,
        )
    } | {
        key: DemoSource(
            about=line,
            hub=(
                "robomimic/robomimic_datasets",
                f"v1.5/{name}/{key}/low_dim_v15.hdf5",
            ),
            convert=f"{where}:{cls}.demos_from_robomimic",
            arrays=(*rows, "model_file", "env_args"),
            images=tuple(f"obs/{camera}_image" for camera in cameras),
            # as in Chi et al. (2023): Transport and ToolHang have 700 for all
            max_steps=500 if (key, steps) == ("mh", 400) else None,
        )
        for key, line in human.items()
    }
    return Task(
        name=name,
        env_id=f"dp_bench/{cls}-v0",
        entry_point=f"{where}:{cls}",
        about=about,
        max_steps=steps,
        score="dp_bench.envs.scores:solved",
        obs_kinds=("state", "image"),
        controls=("velocity", "position"),
        sources=sources,
        positions=positions,
        layout=f"{where}:{cls}.layout",
        group="robomimic",
    )


TASKS = {
    task.name: task
    for task in (
        Task(
            name="blockpush",
            env_id="dp_bench/BlockPush-v0",
            entry_point="dp_bench.envs.block_push.env:BlockPush",
            about="push two blocks into two targets, in any order",
            max_steps=350,
            score="dp_bench.envs.scores:different_rewards",
            controls=("velocity", "position"),
            actions_as={"position": "dp_bench.envs.block_push.demos:targets"},
            sources={
                "scripted": DemoSource(
                    about="1000 starts played by a script, made here in a minute",
                    script="dp_bench.envs.block_push.script:demonstrate",
                    env_seeds=range(1000),
                ),
                "published": DemoSource(
                    about="1000 episodes of the published simulator, as .npz",
                    convert="dp_bench.envs.block_push.demos:demos_from_published",
                    arrays=("obs", "action"),
                ),
            },
            columns=(
                Column("p1", "p1", curve=True),
                Column("p2", "p2", curve=True),
                Column("order", "order entropy", statistic="entropy", options=4),
            ),
            features="dp_bench.envs.block_push.features:features",
        ),
        Task(
            name="kitchen",
            env_id="dp_bench/Kitchen-v0",
            entry_point="dp_bench.envs.kitchen.env:Kitchen",
            about="do any four of seven things in a kitchen, in any order",
            max_steps=280,
            score="dp_bench.envs.scores:elements_done",
            obs_kinds=("qpos", "full"),
            controls=("velocity", "position"),
            actions_as={"position": "dp_bench.envs.kitchen.demos:targets"},
            sources={
                "scripted": DemoSource(
                    about="566 episodes in 24 orders, made here in two minutes",
                    script="dp_bench.envs.kitchen.script:demonstrate",
                    env_seeds=range(566),
                ),
            }
            | {
                f"{name}-v2": DemoSource(
                    about=about,
                    minari=f"D4RL/kitchen/{name}-v2",
                    convert="dp_bench.envs.kitchen.demos:demos_from_arrays",
                    arrays=("state", "action"),
                )
                for name, about in (
                    ("complete", "19 human episodes, always the same four elements"),
                    ("partial", "human episodes of many orders, through Minari"),
                    ("mixed", "human episodes of many orders, under other rewards"),
                )
            },
            columns=(
                *(Column(f"p{k}", f"p{k}", curve=True) for k in range(1, 5)),
                Column("elements", "elements done"),
                Column("order", "order entropy", statistic="entropy"),
            ),
            features="dp_bench.envs.kitchen.features:features",
            obs_noise="dp_bench.envs.kitchen.observations:obs_noise",
            positions=30,
        ),
        Task(
            name="pusht",
            env_id="dp_bench/PushT-v0",
            entry_point="dp_bench.envs.push_t.env:PushT",
            about="push a T-shaped block onto its outline",
            max_steps=300,
            score="dp_bench.envs.scores:best_reward",
            obs_kinds=("keypoints", "state", "image"),
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
                ),
            },
            columns=(Column("final_iou", "final IoU"),),
            train_episodes=90,
            # Mirrored in x + y = 512, all of this is itself: the table; the outline;
            # the block, turned like its outline and 90 px from it along their common
            # axis; and the finger on that axis, at the end of the stem. The bar must be
            # pushed from its far side, and both ways there are equally long. People
            # who came to be there took the one as often as the other.
            fork=Fork(
                start=(178.0, 334.0, 320.0, 192.0, math.pi / 4),
                steps=40,
                judge="dp_bench.envs.push_t.fork:way_round",
                scene="dp_bench.envs.push_t.fork:outlines",
                unit="px",
                downwards=True,
            ),
        ),
        _robomimic("lift", "Lift", "lift a cube", positions=17),
        _robomimic("can", "Can", "put a can into its place", positions=38),
        _robomimic("square", "Square", "put a square nut over a peg", positions=24),
        _robomimic(
            "transport",
            "Transport",
            "two arms hand a hammer over, and clear a bin",
            positions=61,
            steps=700,
            arms=2,
            cameras=TRANSPORT_CAMERAS,
        ),
        _robomimic(
            "tool_hang",
            "ToolHang",
            "set up a frame, and hang a tool on it",
            positions=31,
            steps=700,
            human=PROFICIENT,
            cameras=("sideview", "robot0_eye_in_hand"),
        ),
    )
}
