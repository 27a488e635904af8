"""Speed of training updates, compared with the bare network and with a usual loop."""

import functools

import numpy as np
import torch
import torch.utils._python_dispatch

from dp_bench import registry
from dp_bench.training.batches import Batches
from dp_bench.training.device import resolve_precision
from dp_bench.training.state import TrainingState
from dp_bench.training.update import Updater
from measure import ACTION_DIM, OBS_DIM, fitted_policy, in_turn
from textbook_unet import textbook_copy


def training():
    """Updates of DP-C, compared with the bare network and with a DataLoader loop."""
    tiers = (("laptop", 60), ("paper", 3))
    updates = {tier: _training(tier, repeats) for tier, repeats in tiers}
    return {**updates, "goal": {"laptop slower_than_bare": 0.05}}


def _updater(policy, training):
    """Prepares a training on random rows, and its batches."""
    rng = np.random.default_rng(0)
    rows = 11_000
    data = (
        rng.normal(size=(rows, OBS_DIM)).astype(np.float32),
        rng.normal(size=(rows, ACTION_DIM)).astype(np.float32),
        np.arange(rows // 100, dtype=np.int64) * 100 + 100,
    )
    device = torch.device("cpu")
    policy.train_dtype = resolve_precision(training.precision, device)
    batches = Batches(
        policy, *data, batch_size=training.batch_size, train_seed=0, device=device
    )
    state = TrainingState(policy.train(), training, device)
    return Updater(state, batches, training, 0), batches


def _training(tier, repeats):
    policy, settings = fitted_policy(tier)
    updater, batches = _updater(policy, settings.training)
    bare, _ = fitted_policy(tier)
    bare.train().train_dtype = policy.train_dtype
    steps = [
        updater.step,
        _bare_step(bare, batches),
        _usual_step(bare, batches, settings),
    ]
    ours, lower, usual = in_turn(steps, repeats=repeats, warm=2)
    size = batches.size
    return {
        "parameters": policy.num_parameters,
        "batch": size,
        "precision": str(policy.train_dtype),
        "samples_per_s": size / ours,
        "update_ms": 1e3 * ours,
        "bare_update_ms": 1e3 * lower,
        "usual_update_ms": 1e3 * usual,
        "slower_than_bare": ours / lower - 1,
        "faster_than_usual_loop": usual / ours,
    }


def _bare_step(policy, batches):
    """Returns an update of the bare network on one prepared batch, same precision."""
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-4, fused=True)
    obs, actions = batches.at(0)
    generator = torch.Generator().manual_seed(0)
    t = torch.randint(100, (len(obs),), generator=generator)
    noise = torch.randn(actions.shape, generator=generator)
    history = obs[:, : policy.horizons.obs].contiguous()

    def step():
        loss = torch.nn.functional.mse_loss(policy.network(noise, t, history), actions)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def _usual_step(policy, batches, settings):
    """Returns an update as people usually write it.

    A DataLoader cuts one window at a time, the network is the textbook's, and a loop
    over the parameters updates their moving average.
    """
    config, horizon = settings.policy, policy.horizons.obs
    network = textbook_copy(policy.network, 2, horizon * OBS_DIM, config).train()
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(batches.index),
        settings.training.batch_size,
        shuffle=True,
        drop_last=True,
        collate_fn=lambda items: (
            torch.stack([batches.obs[i] for (i,) in items]),
            torch.stack([batches.actions[i] for (i,) in items]),
        ),
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, foreach=False)
    average = [p.detach().clone() for p in network.parameters()]

    def endless():
        while True:
            yield from loader

    stream = endless()

    def step():
        obs, actions = next(stream)
        t = torch.randint(100, (len(obs),))
        eps = torch.randn_like(actions)
        share = policy.alphas_bar[t, None, None]
        noisy = share.sqrt() * actions + (1 - share).sqrt() * eps
        out = network(noisy, t, obs[:, :horizon].flatten(1))
        torch.nn.functional.mse_loss(out, eps).backward()
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            for mean, p in zip(average, network.parameters(), strict=True):
                mean.mul_(0.999).add_(p, alpha=0.001)

    return step


# The floating-point work that a batch must cost. The rest of an update is dispatch,
# views, copies, gathers, random draws and Python.
PRODUCTS = {
    "mm", "addmm", "bmm", "baddbmm", "linear", "mkldnn_rnn_layer",
    "mkldnn_rnn_layer_backward", "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_flash_attention_for_cpu_backward",
}  # fmt: skip
OTHER_ARITHMETIC = {
    "add", "add_", "sub", "rsub", "mul", "mul_", "div", "neg", "addcmul", "addcmul_",
    "reciprocal", "reciprocal_", "exp", "exp_", "log", "pow", "sqrt", "sin", "cos",
    "tanh", "tanh_backward", "softplus", "softplus_backward", "mish", "mish_backward",
    "gelu", "gelu_backward", "relu", "threshold_backward", "clamp", "sum", "mean",
    "logsumexp", "_softmax", "_softmax_backward_data", "_log_softmax",
    "_log_softmax_backward_data", "native_group_norm", "native_group_norm_backward",
    "native_layer_norm", "native_layer_norm_backward", "mse_loss", "mse_loss_backward",
    "nll_loss_forward", "nll_loss_backward", "_euclidean_dist", "linalg_vector_norm",
    "_foreach_norm", "_foreach_add_", "_foreach_mul_", "_foreach_lerp_",
    "_fused_adamw_",
}  # fmt: skip


class _ArithmeticRecorder(torch.utils._python_dispatch.TorchDispatchMode):
    """Records every arithmetic operation with its inputs, to repeat it alone."""

    def __init__(self):
        super().__init__()
        self.products, self.others = [], []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name.removeprefix("aten::")
        for calls, names in (
            (self.products, PRODUCTS),
            (self.others, OTHER_ARITHMETIC),
        ):
            if name in names:
                kept = torch.utils._pytree.tree_map_only(
                    torch.Tensor, lambda t: t.detach().clone(), (args, kwargs or {})
                )
                calls.append((func, *kept))
        return func(*args, **(kwargs or {}))


def methods():
    """Updates of every method, compared with their arithmetic, and decisions."""
    by_method = {name: _method(name) for name in registry.methods()}
    return {**by_method, "goal": {"overhead": 0.5}}


def _method(name):
    policy, settings = fitted_policy(method=name)
    updater, batches = _updater(policy, settings.training)
    for _ in range(3):
        updater.step()
    with _ArithmeticRecorder() as recorded:
        updater.step()

    @torch.no_grad()
    def repeat(calls):
        for func, args, kwargs in calls:
            func(*args, **kwargs)

    arithmetic = [
        functools.partial(repeat, x) for x in (recorded.products, recorded.others)
    ]
    update, products, others = in_turn([updater.step, *arithmetic], repeats=15)
    policy.eval().reset([0])
    history = np.zeros((1, policy.horizons.obs, OBS_DIM), np.float32)
    (decision,) = in_turn([lambda: policy.act(history)], repeats=40)
    return {
        "parameters": policy.num_parameters,
        "batch": batches.size,
        "precision": str(policy.train_dtype),
        "updates_per_s": 1 / update,
        "update_ms": 1e3 * update,
        "matrix_products_ms": 1e3 * products,
        "other_arithmetic_ms": 1e3 * others,
        "overhead": max(0.0, 1 - (products + others) / update),
        "beyond_matrix_products": max(0.0, 1 - products / update),
        "decision_ms": 1e3 * decision,
        "decision_ms_per_step": 1e3 * decision / policy.horizons.action,
    }
