"""A task and a method for dp-bench, declared as data."""

from dp_bench.method import Method
from dp_bench.task import DemoSource, Task

SLIDE = Task(
    name="slide",
    env_id="my_robot/Slide-v0",
    entry_point="my_robot.slide:Slide",
    about="slide a point to the middle",
    max_steps=20,
    score="my_robot.slide:score",
    sources={"scripted": DemoSource(about="20 episodes made by my_robot.slide")},
)
LINEAR = Method(
    name="linear",
    title="Linear",
    policy="my_robot.linear:Linear",
    about="predicts actions as a linear function of observations",
    presets="my_robot.linear:PRESETS",
)
