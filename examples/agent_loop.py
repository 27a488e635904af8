"""Plays one episode with a trained policy: python agent_loop.py pusht/dp_c."""

import sys

import dp_bench

agent = dp_bench.load_agent(sys.argv[1])
env = agent.make_env()  # the task, observation and control of the run
obs, _ = env.reset(seed=7)
agent.reset(7)
best, done = 0.0, False
while not done:
    obs, reward, terminated, truncated, _ = env.step(agent.act(obs))
    best, done = max(best, float(reward)), terminated or truncated
print(f"{agent}: best reward {best:.2f}")
