import pytest

from dp_bench.errors import BadInput
from dp_bench.task import DemoSource, Task


def task(*sources):
    return Task(
        name="slide",
        env_id="dp_bench/Slide-v0",
        entry_point="slide:Slide",
        about="",
        max_steps=10,
        score="slide:score",
        sources={name: DemoSource(about=name) for name in sources},
    )


def test_the_first_source_is_the_default():
    assert task("human", "scripted").default_source == "human"
    assert task("human", "scripted").source_named(None).about == "human"
    assert task("human", "scripted").source_named("scripted").about == "scripted"


def test_a_task_without_demonstrations_has_no_source():
    assert task().default_source == ""
    with pytest.raises(BadInput, match="'slide' has no demonstrations"):
        task().source_named(None)


def test_a_source_of_another_name_is_refused_with_the_names_that_there_are():
    with pytest.raises(BadInput, match="no demonstration source 'robot'; it has human"):
        task("human").source_named("robot")
