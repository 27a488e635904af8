"""MuJoCo's warnings are shown, and leave no file in the working folder."""

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
