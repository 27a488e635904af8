"""The row of Kitchen in the table of tasks."""

from dp_bench.task import Column, DemoSource, MotionColumns, Task

SHARES = "at least n elements done"  # p1 to p4

TASK = Task(
    name="kitchen",
    env_id="dp_bench/Kitchen-v0",
    entry_point="dp_bench.envs.kitchen.env:Kitchen",
    about="do any four of seven things in a kitchen, in any order",
    max_steps=280,
    score="dp_bench.envs.scores:elements_done",
    obs_kinds=("qpos", "full"),
    obs_dims={"qpos": 30, "full": 59},
    controls=("velocity", "position"),
    actions_as={"position": "dp_bench.envs.kitchen.demos:targets"},
    sources={
        "scripted": DemoSource(
            about="566 scripted episodes in 24 orders, generated in two minutes",
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
            ("partial", "human episodes in many orders, through Minari"),
            ("mixed", "human episodes in many orders, with other rewards"),
        )
    },
    columns=(
        *(Column(f"p{k}", f"p{k}", curve=True, about=SHARES) for k in range(1, 5)),
        Column("elements", "elements done"),
        Column("order", "order entropy", statistic="entropy"),
    ),
    features="dp_bench.envs.kitchen.features:features",
    obs_noise="dp_bench.envs.kitchen.observations:obs_noise",
    motions=dict.fromkeys(("qpos", "full"), MotionColumns(((0, 9),), actions=(0, 9))),
    positions=30,
    fixed_start="FrankaKitchen always begins in the same state; seeds move the noise",
)
