"""Settings of a training, and its schedules."""

import numpy as np
import pytest

from dp_bench.errors import BadInput
from dp_bench.training.config import Training, ema_decay, lr_factor


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("updates", 0),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("betas", (0.9, 1.0)),
        ("weight_decay", -1.0),
        ("grad_clip", 0.0),
        ("sensor_noise", -1.0),
        ("keyframe_weight", -1.0),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(BadInput, match=field):
        Training(**{field: value})


def test_the_learning_rate_rises_then_falls_to_zero():
    training = Training(updates=100, warmup=10)
    factors = [lr_factor(u, training) for u in range(101)]
    assert factors[0] == 0
    assert factors[10] == max(factors) == 1
    assert factors[55] == pytest.approx(0.5)
    assert factors[100] == pytest.approx(0)
    assert (np.diff(factors[10:]) < 0).all()


def test_a_constant_learning_rate_stays_after_warm_up():
    training = Training(updates=100, warmup=10, schedule="constant")
    assert [lr_factor(u, training) for u in (5, 10, 99)] == [0.5, 1, 1]


def test_the_memory_of_the_moving_average_grows():
    decays = [ema_decay(n) for n in (1, 2, 10, 1000, 10**7)]
    assert decays[0] == 0  # the first update replaces the average
    assert decays == sorted(decays)
    assert decays[-1] == 0.9999
