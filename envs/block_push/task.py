"""The row of BlockPush in the table of tasks."""

from dp_bench.task import Column, DemoSource, MotionColumns, Task

SHARES = "at least n blocks in targets"  # p1 and p2

TASK = Task(
    name="blockpush",
    env_id="dp_bench/BlockPush-v0",
    entry_point="dp_bench.envs.block_push.env:BlockPush",
    about="push two blocks into two targets, in any order",
    max_steps=350,
    score="dp_bench.envs.scores:different_rewards",
    obs_dims={"state": 16},
    controls=("velocity", "position"),
    actions_as={"position": "dp_bench.envs.block_push.demos:targets"},
    sources={
        "scripted": DemoSource(
            about="scripted episodes from 1000 starts, generated in a minute",
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
        Column("p1", "p1", curve=True, about=SHARES),
        Column("p2", "p2", curve=True, about=SHARES),
        Column("order", "order entropy", statistic="entropy", options=4),
    ),
    motions={"state": MotionColumns(((8, 10), (6, 8)), actions=(0, 2))},
    features="dp_bench.envs.block_push.features:features",
)
