"""The tasks and the method that dp-bench finds; none loads its code."""

from dp_bench.method import Method
from dp_bench.task import Column, DemoSource, Task

REACH = Task(
    name="reach",
    env_id="reach_plugin/Reach-v0",
    entry_point="reach_plugin.reach:Reach",
    about="move a point onto another",
    max_steps=30,
    score="reach_plugin.reach:score",
    sources={"scripted": DemoSource(about="made by reach_plugin.reach:demonstrate")},
    columns=(Column("final_distance", "final distance"),),
    validation_share=0.1,
)

# An environment without an argument `obs`, whose observation is a dictionary.
LOOK = Task(
    name="look",
    env_id="reach_plugin/Look-v0",
    entry_point="reach_plugin.look:Look",
    about="move to a goal that an image shows",
    max_steps=8,
    score="reach_plugin.look:score",
    obs_kinds=("pixels",),
    obs_keys={"pixels": ("image", "hand")},
    image_kinds=("pixels",),
    variants={"default": {}, "blank": {"blank": True}},
    sources={
        "scripted": DemoSource(
            about="made by reach_plugin.look:demonstrate",
            script="reach_plugin.look:demonstrate",
            env_seeds=range(200),
        )
    },
    validation_share=0.05,
)

MEAN_ACTION = Method(
    name="mean_action",
    title="Mean action",
    policy="reach_plugin.mean_action:MeanAction",
    about="predicts the mean action, linear in the observations",
    presets="reach_plugin.mean_action:PRESETS",
)
