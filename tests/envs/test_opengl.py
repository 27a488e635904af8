"""Drawing with MuJoCo: warnings leave no file, and cameras leave each other alone."""

import numpy as np
import pytest

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
        pytest.skip("OpenGL does not work here (set MUJOCO_GL)")
    model = mujoco.MjModel.from_xml_string(
        "<mujoco><asset><texture name='t' type='2d' builtin='checker' rgb1='1 0 0' "
        "rgb2='0 1 0' width='64' height='64'/><material name='m' texture='t'/></asset>"
        "<worldbody><light pos='0 0 3'/><camera name='above' pos='0 0 2'/>"
        "<geom type='ellipsoid' size='.5 .4 .3' material='m'/></worldbody></mujoco>"
    )
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    closed, dropped, kept = (opengl.Camera("made-up", model, 32, 32) for _ in range(3))
    first = [camera.picture(data, "above") for camera in (closed, dropped, kept)]
    assert len(np.unique(first[0])) > 10
    closed.close()
    np.testing.assert_array_equal(kept.picture(data, "above"), first[0])
    del dropped
    np.testing.assert_array_equal(kept.picture(data, "above"), first[0])
    kept.close()
