"""The task and the method that dp-bench finds; neither loads its code."""

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

MEAN_ACTION = Method(
    name="mean_action",
    title="Mean action",
    policy="reach_plugin.mean_action:MeanAction",
    about="predicts the mean action, linear in the observations",
    presets="reach_plugin.mean_action:PRESETS",
)
