"""The tables of presets: which row serves a task, and what happens without one."""

import pytest

from dp_bench import references, registry
from dp_bench.errors import BadInput
from dp_bench.method import Method
from dp_bench.policies.diffusion.config import UnetDiffusionConfig
from dp_bench.policies.vision.config import VisionConfig
from dp_bench.presets import Preset, preset
from dp_bench.training.config import Training

TIERS = ("smoke", "laptop", "paper")
SOME = ("gpu",)  # tiers that some methods and tasks have


def row(updates):
    return Preset(UnetDiffusionConfig(), Training(updates=updates))


def method(rows):
    table = {(name, "laptop"): row(updates) for name, updates in rows.items()}
    return Method(name="mine", title="Mine", policy="mine:Mine", presets=table)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("task", registry.tasks())
@pytest.mark.parametrize("name", registry.METHODS)
def test_every_method_has_every_tier_on_every_task(name, task, tier):
    ours = registry.method(name)
    settings = preset(ours, task, tier)
    assert isinstance(settings.policy, references.load(ours.policy).config_class)


@pytest.mark.parametrize("name", registry.METHODS)
def test_every_row_names_a_task_or_a_group_and_a_tier(name):
    known = {"*", *registry.tasks()}
    known |= {task.group for task in registry.tasks().values() if task.group}
    for task, tier, *kind in references.load(registry.method(name).presets):
        assert task in known
        assert tier in (*TIERS, *SOME)
        assert kind in ([], ["image"])


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("task", ["pusht", "can", "unheard_of"])
@pytest.mark.parametrize("name", registry.METHODS)
def test_every_tier_has_settings_for_images(name, task, tier):
    ours = registry.method(name)
    assert preset(ours, task, tier, "image").vision is not None
    assert preset(ours, task, tier).vision is None
    assert preset(ours, task, tier, "state").vision is None


def test_the_row_for_images_wins_over_any_row_for_numbers():
    table = {("pusht", "laptop"): row(1), ("*", "laptop", "image"): row(2)}
    mine = Method(name="mine", title="Mine", policy="mine:Mine", presets=table)
    assert preset(mine, "pusht", "laptop", "image").training.updates == 2
    assert preset(mine, "pusht", "laptop", "keypoints").training.updates == 1


def test_a_method_without_rows_for_images_gets_the_default_encoder():
    settings = preset(method({"*": 3}), "pusht", "laptop", "image")
    assert settings.training.updates == 3
    assert settings.vision == VisionConfig()


@pytest.mark.parametrize(
    ("rows", "updates"),
    [
        ({"can": 1, "robomimic": 2, "*": 3}, 1),
        ({"robomimic": 2, "*": 3}, 2),
        ({"*": 3, "square": 4}, 3),
    ],
)
def test_the_row_of_the_task_wins_then_its_group_then_the_star(rows, updates):
    assert preset(method(rows), "can", "laptop") == row(updates)


def test_a_task_of_another_package_takes_the_star():
    assert preset(method({"pusht": 1, "*": 2}), "unheard_of", "laptop") == row(2)


def test_a_missing_preset_is_refused_with_the_tiers_of_the_task():
    with pytest.raises(BadInput, match=r"no preset 'paper' for mine on can; .* laptop"):
        preset(method({"*": 1}), "can", "paper")
    with pytest.raises(BadInput, match="there is none"):
        preset(method({"pusht": 1}), "can", "laptop")
    table = {("*", "laptop"): row(1), ("*", "gpu", "image"): row(2)}
    mine = Method(name="mine", title="Mine", policy="mine:Mine", presets=table)
    assert preset(mine, "pusht", "gpu", "image").training.updates == 2
    message = "'gpu' for mine on pusht with keypoints observations; there is laptop$"
    with pytest.raises(BadInput, match=message):
        preset(mine, "pusht", "gpu", "keypoints")
