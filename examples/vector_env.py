"""Plays episodes in four lanes at once: python vector_env.py RUN_FOLDER."""

import sys

import gymnasium as gym

import dp_bench

LANES, EPISODES = 4, 8

agent = dp_bench.load_agent(sys.argv[1])
envs = gym.vector.SyncVectorEnv([agent.make_env] * LANES)
seeds = list(range(LANES))
obs, _ = envs.reset(seed=seeds)
agent.reset(seeds, envs)
finished = 0
while finished < EPISODES:
    obs, rewards, terminated, truncated, _ = envs.step(agent.act(obs))
    for lane in (terminated | truncated).nonzero()[0]:
        finished += 1
        agent.restart(int(lane), LANES + finished)
print(f"{agent}: {finished} episodes played")
