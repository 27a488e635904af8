"""Draws the first frame of every task: python task_gallery.py tasks.png."""

import sys

from matplotlib.figure import Figure

from dp_bench import registry

TASKS = ("pusht", "blockpush", "kitchen", "lift", "can", "square", "transport")
TASKS = (*TASKS, "tool_hang")

figure = Figure(figsize=(9, 4.9), layout="constrained")
for ax, name in zip(figure.subplots(2, 4).flat, TASKS, strict=True):
    env = registry.task(name).make_env(render_mode="rgb_array")
    env.reset(seed=3)
    ax.imshow(env.render())
    env.close()
    ax.set_title(name, fontsize=10)
    ax.set_axis_off()
figure.savefig(sys.argv[1], dpi=100)
