"""Settings: from and to JSON, and from text, each checked against its annotation."""

import math
import re

import pytest

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.policies.diffusion.config import UnetDiffusionConfig
from dp_bench.presets import Preset, preset
from dp_bench.training.config import Training
from dp_bench.util import settings

PRESET = Preset(UnetDiffusionConfig(), Training())


@pytest.mark.parametrize("tier", ["smoke", "laptop", "paper"])
@pytest.mark.parametrize("task", registry.tasks())
@pytest.mark.parametrize("method", registry.methods())
def test_every_preset_survives_json_and_text(method, task, tier):
    row = preset(registry.method(method), task, tier)
    for part in (row.policy, row.training):
        assert settings.from_json(type(part), settings.to_json(part)) == part
    for name, value in settings.names(row).items():
        if name.startswith(("policy.", "training.")):
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            text = "none" if value == () else text
            assert settings.override(row, name, text) == row, name


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("training.lr", "1e-4", 1e-4),
        ("training.lr", "1", 1.0),
        ("training.updates", "2e3", 2000),
        ("training.ema", "False", False),
        ("training.grad_clip", "none", None),
        ("training.grad_clip", "2", 2.0),
        ("training.betas", "0.8,0.9", (0.8, 0.9)),
        ("policy.channels", "64,128", (64, 128)),
        ("policy.hidden_obs", "3", (3,)),
        ("policy.hidden_obs", "none", ()),
        ("policy.hidden_obs", "[]", ()),
        ("policy.channels", "[64, 128]", (64, 128)),
        ("policy.channels", "(64, 128)", (64, 128)),
        ("policy.channels", "(64,)", (64,)),
        ("policy.channels", "64", (64,)),
        ("policy.sampler", "ddpm", "ddpm"),
        ("policy.horizons.action", "4", 4),
        ("policy.sample-steps", "8", 8),
    ],
)
def test_text_becomes_a_value_of_the_right_type(name, text, value):
    changed = settings.override(PRESET, name, text)
    parsed = settings.names(changed)[name.replace("-", "_")]
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("training.updtes", "3", "did you mean 'updates'?"),
        ("trainin.updates", "3", "did you mean 'training'?"),
        ("training.updates", "many", "a whole number, got 'many'"),
        ("training.updates", "2.5", "a whole number, got '2.5'"),
        ("training.updates", "true", "a whole number, got 'true'"),
        ("training.updates", "inf", "a whole number, got 'inf'"),
        ("training.updates", "0", "at least 1, got 0"),
        ("training.lr", "nan", "a finite number, got 'nan'"),
        ("training.lr", "1e999", "a finite number, got '1e999'"),
        ("training.lr", "", "a number, got ''"),
        ("training.betas", "0.9", "takes 2 values, got '0.9'"),
        ("training.schedule", "linear", "one of cosine, constant; got 'linear'"),
        ("training.ema", "2", "true or false, got '2'"),
        ("training.lr.x", "2", "has no 'x'"),
        ("policy.sampler", "plms", "no sampler 'plms'; there are ddim, ddpm"),
        ("policy.horizons", "2", "set one of policy.horizons.obs"),
        ("policy.horizons.action", "40", "obs - 1 + action must be at most"),
        ("policy.channels", "a,b", "a whole number, got 'a,b'"),
        ("policy.channels", "", "a list of numbers, got ''"),
        ("policy.channels", "[]", "at least 1"),
        ("policy.channels", "0,8", "at least 1"),
        ("policy.channels", "12,24", "multiples of groups 8"),
        ("policy.groups", "0", "at least 1"),
        ("policy.kernel_size", "4", "odd, got 4"),
        ("policy.step_dim", "7", "even and at least 4, got 7"),
        ("policy.train_steps", "0", "train_steps"),
        ("policy.sample_steps", "101", "got 101"),
        ("policy.horizons.prediction", "18", "multiple of 4, got 18"),
    ],
)
def test_a_wrong_name_or_value_is_refused_with_the_rule(name, text, message):
    with pytest.raises(BadInput, match=re.escape(message)) as caught:
        settings.override(PRESET, name, text)
    assert "\n" not in str(caught.value)


def test_json_of_the_wrong_type_is_refused():
    for data in ([], None, {"lr": "high"}, {"lr": math.nan}, {"betas": [1]}):
        with pytest.raises(BadInput):
            settings.from_json(Training, data)
