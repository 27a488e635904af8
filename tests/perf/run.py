"""Speed, as ratios measured in one run; writes results/perf/<what>.json.

Run it on an idle machine: `make perf`, or `python tests/perf/run.py latency` for one.
Every number is the median of repeated measurements, and both sides of a ratio are
measured in turn, so that a change of the machine's mood meets both.
"""

import dataclasses
import functools
import json
import os
import statistics
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import torch
import torch.utils._python_dispatch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler

from dp_bench import references, registry
from dp_bench.evaluation import rollout
from dp_bench.evaluation.evaluate import load_actor, make_env
from dp_bench.policies.base import threads_for
from dp_bench.presets import preset
from dp_bench.runs.folder import RunFolder, build_policy
from dp_bench.runs.info import RunInfo
from dp_bench.runs.provenance import commit, machine, versions
from dp_bench.training.batches import Batches
from dp_bench.training.device import resolve_precision
from dp_bench.training.state import TrainingState
from dp_bench.training.update import Updater
from dp_bench.util.files import atomic_write
from dp_bench.util.settings import to_json
from dp_bench.util.tensors import save_tensors

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from textbook_unet import textbook_copy  # noqa: E402

TASK, METHOD = "pusht", "dp_c"


def in_turn(functions, *, repeats, warm=3, inner=1):
    """Median seconds of each function, measured one after the other in each round."""
    times = [[] for _ in functions]
    for round_ in range(warm + repeats):
        for function, seen in zip(functions, times, strict=True):
            began = time.perf_counter()
            for _ in range(inner):
                function()
            if round_ >= warm:
                seen.append((time.perf_counter() - began) / inner)
    return [statistics.median(seen) for seen in times]


def laptop_policy(tier="laptop", method=METHOD):
    settings = preset(registry.method(method), TASK, tier)
    cls = references.load(registry.method(method).policy)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        policy = cls(settings.policy, obs_dim=20, action_dim=2)
    policy.fit(torch.randn(500, 20), torch.randn(500, 2), torch.Generator())
    return policy, settings


def environment():
    """State steps of each task in one process, with reward and everything in info."""
    return {
        "pusht": {**_environment("pusht", _around_the_t), "goal": 12_000},
        "blockpush": {**_environment("blockpush", _around_the_blocks), "goal": 5_000},
    }


def _around_the_t(state, target, rng):
    """A target that wanders around the block, which is pushed now and then."""
    pull = 0.2 * (state[2:4] - target)
    return np.clip(target + pull + rng.normal(0, 30, 2), 0, 512)


def _around_the_blocks(state, displacement, rng):
    """A displacement towards one of the blocks, the nearer one most often."""
    blocks = state[[0, 1, 3, 4]].reshape(2, 2)
    ways = blocks - state[8:10]
    nearer = np.argmin(np.linalg.norm(ways, axis=1))
    pull = ways[nearer if rng.random() < 0.9 else 1 - nearer]
    return np.clip(0.2 * pull + rng.normal(0, 0.01, 2), -0.1, 0.1)


def _environment(task, wander):
    env = registry.task(task).make_env(obs_kind="state").unwrapped
    rng = np.random.default_rng(0)
    rates = []
    for repeat in range(5):
        steps, seconds = 0, 0.0
        for episode in range(20):
            _, info = env.reset(seed=1000 * repeat + episode)
            action = info["state"][:2]
            for _ in range(150):
                action = wander(info["state"], action, rng)
                began = time.perf_counter()
                _, _, done, _, info = env.step(action)
                seconds += time.perf_counter() - began
                steps += 1
                if done:
                    break
        rates.append(steps / seconds)
    return {"state_steps_per_s_one_core": statistics.median(rates)}


def robomimic():
    """Steps and resets of each task of Robomimic, beside plain robosuite's own."""
    names = [t.name for t in registry.tasks().values() if t.group == "robomimic"]
    return {name: _robomimic(name) for name in names}


def _robomimic(name):
    import robosuite

    from dp_bench.envs.robomimic import env as robomimic

    task = registry.task(name)
    ours = references.load(task.entry_point)()
    arguments = robomimic.suite_arguments(ours.suite_name, ours.arms)
    plain = robosuite.make(**arguments)
    hard = robosuite.make(**arguments | {"hard_reset": True})
    ours.action_space.seed(0)
    actions = [ours.action_space.sample() for _ in range(40)]

    def play(env):
        for action in actions:
            env.step(action)

    ours.reset(seed=0)
    plain.reset()
    mine, theirs = in_turn([lambda: play(ours), lambda: play(plain)], repeats=9, warm=1)
    seeds = iter(range(10**6))
    reset, hard_reset = in_turn(
        [lambda: ours.reset(seed=next(seeds)), hard.reset], repeats=7, warm=1
    )
    return {
        "steps_per_s_one_core": len(actions) / mine,
        "of_plain_robosuite": theirs / mine,
        "reset_s": reset,
        "faster_than_hard_reset": hard_reset / reset,
        "model_varies": ours.model_varies,
    }


def training():
    """The training loop against the bare network, and against a DataLoader loop."""
    found = {
        tier: _training(tier, repeats)
        for tier, repeats in (("laptop", 60), ("paper", 3))
    }
    return {**found, "goal": {"laptop slower_than_bare": 0.05}}


def _updater(policy, training):
    """A training of made-up rows that is about to begin, and its batches."""
    rng = np.random.default_rng(0)
    rows = 11_000
    data = (
        rng.normal(size=(rows, 20)).astype(np.float32),
        rng.normal(size=(rows, 2)).astype(np.float32),
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
    policy, settings = laptop_policy(tier)
    training = settings.training
    updater, batches = _updater(policy, training)

    # the bare network: its own copy, one prepared batch, same precision
    bare, _ = laptop_policy(tier)
    bare.train().train_dtype = policy.train_dtype
    optimizer = torch.optim.AdamW(bare.parameters(), lr=1e-4, fused=True)
    obs, actions = batches.at(0)
    generator = torch.Generator().manual_seed(0)
    t = torch.randint(100, (len(obs),), generator=generator)
    noise = torch.randn(actions.shape, generator=generator)
    seen = obs[:, : bare.horizons.obs].contiguous()

    def bare_step():
        loss = torch.nn.functional.mse_loss(bare.network(noise, t, seen), actions)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    # a loop as usually written: DataLoader, per-item windows, textbook network
    config = settings.policy
    book = textbook_copy(bare.network, 2, config.horizons.obs * 20, config).train()
    index = batches.index
    pairs = torch.utils.data.TensorDataset(index)
    loader = torch.utils.data.DataLoader(
        pairs,
        training.batch_size,
        shuffle=True,
        drop_last=True,
        collate_fn=lambda items: (
            torch.stack([batches.obs[i] for (i,) in items]),
            torch.stack([batches.actions[i] for (i,) in items]),
        ),
    )
    book_optimizer = torch.optim.AdamW(book.parameters(), lr=1e-4, foreach=False)
    average = [p.detach().clone() for p in book.parameters()]
    stream = iter(())

    def usual_step():
        nonlocal stream
        try:
            o, a = next(stream)
        except StopIteration:
            stream = iter(loader)
            o, a = next(stream)
        t = torch.randint(100, (len(o),))
        eps = torch.randn_like(a)
        share = bare.alphas_bar[t, None, None]
        noisy = share.sqrt() * a + (1 - share).sqrt() * eps
        out = book(noisy, t, o[:, : bare.horizons.obs].flatten(1))
        torch.nn.functional.mse_loss(out, eps).backward()
        book_optimizer.step()
        book_optimizer.zero_grad()
        with torch.no_grad():
            for kept, p in zip(average, book.parameters(), strict=True):
                kept.mul_(0.999).add_(p, alpha=0.001)

    ours, lower, usual = in_turn(
        [lambda: updater.step(), bare_step, usual_step], repeats=repeats, warm=2
    )
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


# Floating-point work, which is what a batch must cost; the rest of an update is
# dispatch, views, copies, gathers, random draws and Python.
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


class _Recorded(torch.utils._python_dispatch.TorchDispatchMode):
    """Keeps every arithmetic operation with its inputs, to be done again alone."""

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
    """Updates of every method beside their arithmetic alone, and one-lane decisions."""
    found = {name: _method(name) for name in registry.methods()}
    return {**found, "goal": {"overhead": 0.5}}


def _method(name):
    policy, settings = laptop_policy(method=name)
    updater, batches = _updater(policy, settings.training)
    for _ in range(3):
        updater.step()
    with _Recorded() as recorded:
        updater.step()

    @torch.no_grad()
    def again(calls):
        for func, args, kwargs in calls:
            func(*args, **kwargs)

    ways = [functools.partial(again, x) for x in (recorded.products, recorded.others)]
    update, products, others = in_turn([lambda: updater.step(), *ways], repeats=15)
    policy.eval().reset([0])
    history = np.zeros((1, policy.horizons.obs, 20), np.float32)
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


def latency():
    """A decision against a plain loop over the scheduler, in eager, same weights."""
    policy, settings = laptop_policy()
    policy.eval()
    config = settings.policy
    book = textbook_copy(policy.network, 2, config.horizons.obs * 20, config)
    found = {
        f"DDIM-{steps}, lanes {lanes}": _latency(policy, book, steps, lanes)
        for steps in (10, config.sample_steps)
        for lanes in (1, 50)
    }
    return {**found, "goal": {"lanes 1": 2.5}}


def _latency(policy, book, steps, lanes):
    policy.config = config = dataclasses.replace(policy.config, sample_steps=steps)
    obs = torch.randn(lanes, config.horizons.obs, 20)
    noise = torch.randn(1, lanes, config.horizons.prediction, 2)
    cores = torch.get_num_threads()

    @torch.inference_mode()
    def ours():
        with threads_for(lanes, obs.device):
            return policy.sample(obs, noise)

    scheduler = DDIMScheduler(100, beta_schedule="squaredcos_cap_v2")
    scheduler.set_timesteps(steps)

    @torch.no_grad()
    def plain(network, threads):
        torch.set_num_threads(threads)
        x = noise[0]
        for t in scheduler.timesteps:
            eps = network(x, t.expand(len(x)), obs.flatten(1))
            x = scheduler.step(eps, t, x).prev_sample
        torch.set_num_threads(cores)
        return x

    # the textbook network, and ours, each on the number of threads that suits it
    networks = {"textbook network": book, "our network": policy.network}
    ways = [ours]
    ways += [
        functools.partial(plain, n, k) for n in networks.values() for k in (1, cores)
    ]
    apart = max(float((ours() - way()).abs().max()) for way in ways)
    assert apart < 1e-5, f"not the same numbers: {apart}"
    seconds, *others = in_turn(ways, repeats=40 if lanes == 1 else 12)
    found = {"decision_ms": 1e3 * seconds, "largest_difference": apart}
    for k, name in enumerate(networks):
        plain_seconds = min(others[2 * k : 2 * k + 2])
        found[f"plain loop over {name}, ms"] = 1e3 * plain_seconds
        found[f"faster than plain loop over {name}"] = plain_seconds / seconds
    return found


def rollouts():
    """50 episodes: one process and one lane, against two processes, against lanes."""
    _, settings = laptop_policy()
    task = registry.task(TASK)
    seeds = list(range(70_000, 70_050))
    cores = os.cpu_count() or 1
    seconds = {}
    with tempfile.TemporaryDirectory() as name:
        folder = RunFolder(name)
        info = RunInfo(
            task=TASK, obs_kind=task.obs_kinds[0], control="position", method=METHOD,
            preset="laptop", policy=to_json(settings.policy), training={},
            demos_source="none", demos_digest="", split_digest="", train_episodes=0,
            train_seed=0, obs_dim=20, action_dim=2,
        )  # fmt: skip
        folder.write_info(info)
        fitted = build_policy(info)
        rng = np.random.default_rng(0)
        fitted.fit(
            torch.as_tensor(rng.uniform(50, 450, (500, 20)), dtype=torch.float32),
            torch.as_tensor(rng.uniform(50, 450, (500, 2)), dtype=torch.float32),
            torch.Generator(),
        )
        save_tensors(folder.weights, fitted.state_dict(), {"update": 0, "seconds": 0})
        what = rollout.RolloutSpec(
            functools.partial(load_actor, folder.path, None, info, "cpu"),
            functools.partial(make_env, TASK, task.obs_kinds[0], "position", "default"),
            task.score,
        )
        for title, lanes, processes in (
            ("one process, one lane", 1, 1),
            ("all cores, one lane each", 1, cores),
            ("all cores, lanes", task.lanes, cores),
            ("one process, lanes", task.lanes, 1),
        ):
            began = time.perf_counter()
            rollout.play(
                what, rollout.groups_of(seeds, lanes), processes=processes, title=title
            )
            seconds[title] = time.perf_counter() - began
    base = seconds["one process, one lane"]
    return {
        "seconds": seconds,
        "faster": {title: base / s for title, s in seconds.items()},
        "goal": {"all cores, one lane each": 1.6, "all cores, lanes": 5.0},
    }


PARTS = {
    "environment": environment,
    "robomimic": robomimic,
    "training": training,
    "methods": methods,
    "latency": latency,
    "rollouts": rollouts,
}


def main():
    chosen = sys.argv[1:] or list(PARTS)
    unknown = set(chosen) - set(PARTS)
    if unknown:
        raise SystemExit(f"no {', '.join(unknown)}; there are {', '.join(PARTS)}")
    facts = {
        "date": str(date.today()),
        "commit": commit(),
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }
    for name in chosen:
        print(f"\n{name}: {PARTS[name].__doc__.splitlines()[0]}", flush=True)
        found = PARTS[name]()
        print(json.dumps(found, indent=2, default=float))
        target = ROOT / "results" / "perf" / f"{name}.json"
        with atomic_write(target) as aside:
            text = json.dumps({**facts, name: found}, indent=2, default=float)
            aside.write_text(text + "\n")


if __name__ == "__main__":
    main()
