"""Drawing with MuJoCo: warnings leave no file, and cameras leave each other alone."""

import ctypes.util
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import run_python

from dp_bench import registry

NEEDS = {"kitchen": "gymnasium_robotics", "lift": "robosuite"}


@pytest.mark.parametrize("name", ["blockpush", "kitchen", "lift"])
def test_a_warning_of_mujoco_leaves_no_file(name, tmp_path, monkeypatch, capsys):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    registry.task(name).make_env().close()
    import mujoco

    monkeypatch.chdir(tmp_path)
    model = mujoco.MjModel.from_xml_string(
        "<mujoco><worldbody><body><freejoint/><geom size='.1'/></body></worldbody>"
        "</mujoco>"
    )
    data = mujoco.MjData(model)
    data.qvel[:] = np.nan
    mujoco.mj_step(model, data)
    assert "MuJoCo: Nan, Inf or huge value in QVEL" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_camera_that_closes_leaves_the_others_alone():
    import mujoco

    from dp_bench.envs import opengl

    if not opengl.opengl_works():
        pytest.skip("OpenGL does not work here (apt-get install libosmesa6)")
    model = mujoco.MjModel.from_xml_string(
        "<mujoco><asset><texture name='t' type='2d' builtin='checker' rgb1='1 0 0' "
        "rgb2='0 1 0' width='64' height='64'/><material name='m' texture='t'/></asset>"
        "<worldbody><light pos='0 0 3'/><camera name='above' pos='0 0 2'/>"
        "<geom type='ellipsoid' size='.5 .4 .3' material='m'/></worldbody></mujoco>"
    )
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    closed, dropped, kept = (opengl.Camera("made-up", model, 32, 32) for _ in range(3))
    first = [camera.image(data, "above") for camera in (closed, dropped, kept)]
    assert len(np.unique(first[0])) > 10
    closed.close()
    np.testing.assert_array_equal(kept.image(data, "above"), first[0])
    del dropped
    np.testing.assert_array_equal(kept.image(data, "above"), first[0])
    kept.close()


NO_DISPLAY = {"DISPLAY": None, "WAYLAND_DISPLAY": None, "MUJOCO_GL": None}


@pytest.mark.parametrize(
    ("environment", "library", "gpu", "expected"),
    [
        ({}, "libOSMesa.so.8", False, True),
        ({"DISPLAY": ":0"}, "libOSMesa.so.8", False, False),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "libOSMesa.so.8", False, False),
        ({"MUJOCO_GL": "egl"}, "libOSMesa.so.8", False, False),
        ({}, None, False, False),
        ({}, "libOSMesa.so.8", True, False),
    ],
    ids=["headless", "x11", "wayland", "chosen_by_user", "without_osmesa", "gpu"],
)
def test_osmesa_is_taken_where_nothing_else_can_draw(
    environment, library, gpu, expected, monkeypatch, tmp_path
):
    from dp_bench.envs import opengl

    for name, value in {**NO_DISPLAY, **environment}.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(opengl.ctypes.util, "find_library", lambda name: library)
    monkeypatch.setattr(opengl, "NVIDIA", tmp_path if gpu else tmp_path / "none")
    assert opengl._only_osmesa_can_draw() is expected


def test_a_machine_with_osmesa_alone_draws_without_settings(tmp_path):
    if not ctypes.util.find_library("OSMesa"):
        pytest.skip("needs OSMesa: apt-get install libosmesa6")
    if Path("/dev/nvidiactl").exists():
        pytest.skip("a machine with a GPU is left to choose")
    done = run_python(
        "from dp_bench.envs.block_push.env import BlockPush\n"
        "env = BlockPush(render_mode='rgb_array')\n"
        "env.reset(seed=0)\n"
        "print(env.render().shape)\n",
        tmp_path,
    )
    assert done.stdout.split("\n")[0] == "(448, 640, 3)"
