"""One update: what PyTorch's own optimiser would compute."""

import dataclasses

import torch

from dp_bench.seeds import Purpose, derive
from dp_bench.training.config import ema_decay, lr_factor
from dp_bench.training.loop import prepare
from made_up_training import TRAINING, fresh, walks


def test_flat_parameters_change_only_the_speed_of_an_update():
    """An update equals one that treats each parameter separately."""
    settings = dataclasses.replace(TRAINING, weight_decay=0.3, grad_clip=0.5, lr=1e-2)
    with torch.random.fork_rng(devices=[]):
        ours = prepare(fresh(), walks(), settings, train_seed=0, device="cpu")
        for _ in range(6):
            ours.step()
    state = ours.state
    assert len(state.values) < len(list(state.policy.parameters()))

    policy, batches = fresh(), ours.batches
    policy.fit(*map(torch.as_tensor, walks()[:2]), torch.Generator())
    params = list(policy.train().parameters())
    average = [p.detach().clone() for p in params]
    optimizer = torch.optim.AdamW(
        policy.parameter_groups(0.3), betas=settings.betas, foreach=False
    )
    generator = torch.Generator()
    for update in range(6):
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * lr_factor(update, settings)
        generator.manual_seed(derive(Purpose.LOSS_NOISE, 0, update))
        policy.loss(*batches.at(update), generator).backward()
        norm = torch.nn.utils.clip_grad_norm_(params, 0.5)
        assert norm > 0.5  # clipping is at work
        optimizer.step()
        optimizer.zero_grad()
        for kept, p in zip(average, params, strict=True):
            kept.lerp_(p.detach(), 1 - ema_decay(update + 1))
    for actual, expected in (
        (state.policy.parameters(), params),
        (state.averaged_policy().parameters(), average),
    ):
        for p, q in zip(actual, expected, strict=True):
            torch.testing.assert_close(p.detach(), q.detach(), rtol=1e-3, atol=1e-5)
