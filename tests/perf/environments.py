"""Speed of environments: steps per second on one core, and resets."""

import statistics
import time

import numpy as np

from dp_bench import references, registry
from measure import in_turn


def environment():
    """Steps of PushT and BlockPush per second, with rewards and infos, on one core."""
    return {
        "pusht": {**_steps_per_second("pusht", _around_the_t), "goal": 12_000},
        "blockpush": {
            **_steps_per_second("blockpush", _towards_a_block), "goal": 5_000,
        },
    }  # fmt: skip


def _around_the_t(state, target, rng):
    """Moves the target around the block, and now and then into it."""
    pull = 0.2 * (state[2:4] - target)
    return np.clip(target + pull + rng.normal(0, 30, 2), 0, 512)


def _towards_a_block(state, displacement, rng):
    """Moves towards one of the blocks, usually the nearer one."""
    blocks = state[[0, 1, 3, 4]].reshape(2, 2)
    ways = blocks - state[8:10]
    nearer = np.argmin(np.linalg.norm(ways, axis=1))
    pull = ways[nearer if rng.random() < 0.9 else 1 - nearer]
    return np.clip(0.2 * pull + rng.normal(0, 0.01, 2), -0.1, 0.1)


def _steps_per_second(task, next_action):
    env = registry.task(task).make_env(obs_kind="state").unwrapped
    rng = np.random.default_rng(0)
    rates = []
    for repeat in range(5):
        steps, seconds = 0, 0.0
        for episode in range(20):
            _, info = env.reset(seed=1000 * repeat + episode)
            action = info["state"][:2]
            for _ in range(150):
                action = next_action(info["state"], action, rng)
                began = time.perf_counter()
                _, _, done, _, info = env.step(action)
                seconds += time.perf_counter() - began
                steps += 1
                if done:
                    break
        rates.append(steps / seconds)
    return {"state_steps_per_s_one_core": statistics.median(rates)}


def robomimic():
    """Steps and resets of each Robomimic task, compared with plain robosuite."""
    names = [t.name for t in registry.tasks().values() if t.group == "robomimic"]
    return {name: _robomimic(name) for name in names}


def _robomimic(name):
    import robosuite

    from dp_bench.envs.robomimic.suite import suite_arguments

    env = references.load(registry.task(name).entry_point)()
    arguments = suite_arguments(env.suite_name, env.arms)
    plain = robosuite.make(**arguments)
    hard = robosuite.make(**arguments | {"hard_reset": True})
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(40)]

    def play(env):
        for action in actions:
            env.step(action)

    env.reset(seed=0)
    plain.reset()
    ours, theirs = in_turn([lambda: play(env), lambda: play(plain)], repeats=9, warm=1)
    seeds = iter(range(10**6))
    reset, hard_reset = in_turn(
        [lambda: env.reset(seed=next(seeds)), hard.reset], repeats=7, warm=1
    )
    return {
        "steps_per_s_one_core": len(actions) / ours,
        "of_plain_robosuite": theirs / ours,
        "reset_s": reset,
        "faster_than_hard_reset": hard_reset / reset,
        "model_varies": env.model_varies,
    }
