"""Commands in processes of their own, which several test files run."""

import os
import subprocess
import sys


def run(*words, cwd, without=(), **environment):
    """Runs a command that must succeed, and returns what it printed."""
    inherited = {k: v for k, v in os.environ.items() if k not in without}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=inherited | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_python(code, folder, **environment):
    """Runs code in a new interpreter, which has not chosen an OpenGL yet."""
    inherited = {
        k: v for k, v in os.environ.items() if k not in ("DISPLAY", "MUJOCO_GL")
    }
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=inherited | environment,
        capture_output=True,
        text=True,
    )
