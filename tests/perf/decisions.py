"""Speed of decisions and of whole rollouts."""

import dataclasses
import functools
import os
import tempfile
import time

import numpy as np
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler

from dp_bench import registry
from dp_bench.evaluation import rollout
from dp_bench.evaluation.evaluate import load_actor
from dp_bench.policies.base import threads_for
from dp_bench.runs.folder import RunFolder, build_policy
from dp_bench.runs.info import RunInfo
from dp_bench.util.settings import to_json
from dp_bench.util.tensors import save_tensors
from measure import ACTION_DIM, METHOD, OBS_DIM, TASK, fitted_policy, in_turn
from textbook_unet import textbook_copy


def latency():
    """Decisions, compared with a plain loop over the scheduler and the same weights."""
    policy, settings = fitted_policy()
    policy.eval()
    config = settings.policy
    book = textbook_copy(policy.network, 2, config.horizons.obs * OBS_DIM, config)
    decisions = {
        f"DDIM-{steps}, lanes {lanes}": _latency(policy, book, steps, lanes)
        for steps in (10, config.sample_steps)
        for lanes in (1, 50)
    }
    return {**decisions, "goal": {"lanes 1": 2.5}}


def _latency(policy, book, steps, lanes):
    policy.config = config = dataclasses.replace(policy.config, sample_steps=steps)
    obs = torch.randn(lanes, config.horizons.obs, OBS_DIM)
    noise = torch.randn(1, lanes, config.horizons.prediction, ACTION_DIM)
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

    # the textbook network and ours, with one thread and with all; the faster counts
    networks = {"textbook network": book, "our network": policy.network}
    loops = [
        functools.partial(plain, n, k) for n in networks.values() for k in (1, cores)
    ]
    apart = max(float((ours() - loop()).abs().max()) for loop in loops)
    assert apart < 1e-5, f"the actions differ by {apart}"
    seconds, *others = in_turn([ours, *loops], repeats=40 if lanes == 1 else 12)
    numbers = {"decision_ms": 1e3 * seconds, "largest_difference": apart}
    for k, name in enumerate(networks):
        plain_seconds = min(others[2 * k : 2 * k + 2])
        numbers[f"plain loop over {name}, ms"] = 1e3 * plain_seconds
        numbers[f"faster than plain loop over {name}"] = plain_seconds / seconds
    return numbers


def objectives():
    """Decisions of every objective, compared with DDIM-16, for DP-C and DP-T."""
    numbers = {
        f"{base}, lanes {lanes}": _of_objectives(base, lanes)
        for base in ("dp_c", "dp_t")
        for lanes in (1, 50)
    }
    return {**numbers, "goal": {"lanes 1": 1 / 4, "lanes 50": 1 / 3}}


def _of_objectives(base, lanes):
    """Times a decision of each objective, in turn with one of DDIM with 16 steps."""
    obs = np.random.default_rng(0).normal(size=(lanes, 2, OBS_DIM)).astype(np.float32)

    def decision(method):
        policy, _ = fitted_policy(method=method)
        policy.eval().reset(range(lanes))
        if method == base:
            policy.config = dataclasses.replace(policy.config, sample_steps=16)
        return functools.partial(policy.act, obs[:, : policy.horizons.obs])

    names = [base, f"{base}-flow", f"{base}-mip", f"{base}-regression"]
    usual, *others = in_turn(
        [decision(name) for name in names], repeats=40 if lanes == 1 else 12
    )
    ratios = {n: s / usual for n, s in zip(names[1:], others, strict=True)}
    return {"ddim-16, ms": 1e3 * usual, "share of its time": ratios}


def rollouts():
    """50 episodes in one process and one lane, compared with more of both."""
    task = registry.task(TASK)
    env_seeds = list(range(70_000, 70_050))
    cores = os.cpu_count() or 1
    seconds = {}
    with tempfile.TemporaryDirectory() as name:
        spec = _spec(RunFolder(name))
        for title, lanes, processes in (
            ("one process, one lane", 1, 1),
            ("all cores, one lane each", 1, cores),
            ("all cores, lanes", task.lanes, cores),
            ("one process, lanes", task.lanes, 1),
        ):
            groups = rollout.groups_of(env_seeds, lanes)
            began = time.perf_counter()
            rollout.play(spec, groups, processes=processes, title=title)
            seconds[title] = time.perf_counter() - began
    base = seconds["one process, one lane"]
    return {
        "seconds": seconds,
        "faster": {title: base / s for title, s in seconds.items()},
        "goal": {"all cores, one lane each": 1.6, "all cores, lanes": 5.0},
    }


def _spec(folder):
    """Writes a run with an untrained policy, and says how to play it."""
    task = registry.task(TASK)
    _, settings = fitted_policy()
    info = RunInfo(
        task=TASK, obs_kind=task.obs_kinds[0], control="position", method=METHOD,
        preset="laptop", policy=to_json(settings.policy), training={},
        demos_source="none", demos_digest="", split_digest="", train_episodes=0,
        train_seed=0, obs_dim=OBS_DIM, action_dim=ACTION_DIM,
    )  # fmt: skip
    folder.write_info(info)
    policy = build_policy(info)
    rng = np.random.default_rng(0)
    policy.fit(
        torch.as_tensor(rng.uniform(50, 450, (500, OBS_DIM)), dtype=torch.float32),
        torch.as_tensor(rng.uniform(50, 450, (500, ACTION_DIM)), dtype=torch.float32),
        torch.Generator(),
    )
    save_tensors(folder.weights, policy.state_dict(), {"update": 0, "seconds": 0})
    return rollout.RolloutSpec(
        functools.partial(load_actor, folder.path, None, info, "cpu"),
        functools.partial(task.make_env, control="position"),
        task.score,
    )
