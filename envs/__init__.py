"""The table of all tasks. Environments are named by strings and imported when made."""

import math
from dataclasses import replace

from dp_bench.task import Column, DemoSource, Fork, Task

PEOPLE = "300 episodes of six people, of mixed quality"
PAIRS = "300 episodes of pairs of people, of mixed quality"


def _robomimic(
    name: str, cls: str, about: str, steps: int, mh: str | None, arms: int = 1
) -> Task:
    """One of the five tasks of Robomimic.

    Args:
        name: Of the task, here and in the published files.
        cls: Of the environment.
        about: One line for a person.
        steps: Limit of an episode.
        mh: Which people showed it whose demonstrations are of mixed quality; None
            where there are none.
        arms: How many there are.
    """
    where = "dp_bench.envs.robomimic"
    seen = ("eef_pos", "eef_quat", "gripper_qpos")
    sources = {
        "scripted": DemoSource(
            about="200 starts played by a script, made here in minutes",
            script=f"dp_bench.envs.{name}_script:demonstrate",
            env_seeds=range(400),
            most=200,
        ),
        "ph": DemoSource(about="200 episodes of one practised person"),
        "mh": DemoSource(about=f"{mh}", max_steps=500 if steps == 400 else None),
    }
    if mh is None:
        del sources["mh"]
    published = {
        key: replace(
            source,
            hub=(
                "robomimic/robomimic_datasets",
                f"v1.5/{name}/{key}/low_dim_v15.hdf5",
            ),
            convert=f"{where}:{cls}.demos_from_robomimic",
            arrays=(
                "states",
                "actions",
                "rewards",
                "obs/object",
                *(f"obs/robot{i}_{part}" for i in range(arms) for part in seen),
                "model_file",
                "env_args",
            ),
        )
        for key, source in sources.items()
        if not source.script
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
        sources=sources | published,
        layout=f"{where}:{cls}.layout",
        group="robomimic",
    )


TASKS = {
    task.name: task
    for task in (
        Task(
            name="blockpush",
            env_id="dp_bench/BlockPush-v0",
            entry_point="dp_bench.envs.block_push:BlockPush",
            about="push two blocks into two targets, in any order",
            max_steps=350,
            score="dp_bench.envs.scores:different_rewards",
            controls=("velocity", "position"),
            actions_as={"position": "dp_bench.envs.block_push:targets"},
            sources={
                "scripted": DemoSource(
                    about="1000 starts played by a script, made here in a minute",
                    script="dp_bench.envs.block_push_script:demonstrate",
                    env_seeds=range(1000),
                ),
                "published": DemoSource(
                    about="1000 episodes of the published simulator, as .npz",
                    convert="dp_bench.envs.block_push:demos_from_published",
                    arrays=("obs", "action"),
                ),
            },
            columns=(
                Column("p1", "p1", curve=True),
                Column("p2", "p2", curve=True),
                Column("order", "order entropy", statistic="entropy", options=4),
            ),
            traits="dp_bench.envs.block_push_traits:traits",
        ),
        Task(
            name="kitchen",
            env_id="dp_bench/Kitchen-v0",
            entry_point="dp_bench.envs.kitchen:Kitchen",
            about="do any four of seven things in a kitchen, in any order",
            max_steps=280,
            score="dp_bench.envs.scores:elements_done",
            obs_kinds=("qpos", "full"),
            controls=("velocity", "position"),
            actions_as={"position": "dp_bench.envs.kitchen:targets"},
            sources={
                "scripted": DemoSource(
                    about="566 episodes in 24 orders, made here in two minutes",
                    script="dp_bench.envs.kitchen_script:demonstrate",
                    env_seeds=range(566),
                ),
            }
            | {
                f"{name}-v2": DemoSource(
                    about=about,
                    minari=f"D4RL/kitchen/{name}-v2",
                    convert="dp_bench.envs.kitchen:demos_from_arrays",
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
            traits="dp_bench.envs.kitchen_traits:traits",
            sensors="dp_bench.envs.kitchen:sensors",
            positions=30,
        ),
        Task(
            name="pusht",
            env_id="dp_bench/PushT-v0",
            entry_point="dp_bench.envs.push_t:PushT",
            about="push a T-shaped block onto its outline",
            max_steps=300,
            score="dp_bench.envs.scores:best_reward",
            obs_kinds=("keypoints", "state", "image"),
            controls=("position", "velocity"),
            actions_as={"velocity": "dp_bench.envs.push_t:displacements"},
            variants={
                "default": {"legacy": False},
                "legacy": {"legacy": True},
            },
            sources={
                "human": DemoSource(
                    about="206 human episodes, 25,650 steps (31 MB, MIT licence)",
                    url="https://diffusion-policy.cs.columbia.edu/data/training/pusht.zip",
                    digest="07d28df33db0c6bbbad3dd2e37278962b301e6311f6f91b4266711d0472a9a62",
                    convert="dp_bench.envs.push_t:demos_from_replay",
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
                judge="dp_bench.envs.push_t:way_round",
                scene="dp_bench.envs.push_t:outlines",
                unit="px",
                downwards=True,
            ),
        ),
        *(
            _robomimic(*args)
            for args in (
                ("lift", "Lift", "lift a cube", 400, PEOPLE),
                ("can", "Can", "put a can from a bin into its place", 400, PEOPLE),
                ("square", "Square", "put a square nut over a peg", 400, PEOPLE),
                (
                    "transport",
                    "Transport",
                    "two arms hand a hammer over, and clear a bin",
                    700,
                    PAIRS,
                    2,
                ),
                ("tool_hang", "ToolHang", "set up a frame, hang a tool", 700, None),
            )
        ),
    )
}
