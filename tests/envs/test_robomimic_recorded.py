"""Robomimic: the meaning of recorded actions, as a file's env_args describes it."""

import copy
import json
import re

import h5py
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dp_bench import registry
from dp_bench.data import hdf5, readers
from dp_bench.data.actions import actions_of
from dp_bench.errors import BadInput

pytest.importorskip("robosuite", reason="needs robosuite: 'dp-bench[robomimic]'")
from dp_bench.envs.robomimic.controllers import base_poses, controllers_of
from dp_bench.envs.robomimic.recorded import parsed
from dp_bench.envs.robomimic.suite import suite_arguments
from robomimic_envs import env_of, recorded_moves, some_actions, write_as_robomimic


@pytest.fixture(scope="module")
def moves():
    return recorded_moves()


@pytest.fixture
def robomimic_file(moves, tmp_path):
    return write_as_robomimic(moves, tmp_path / "robomimic_file.hdf5")


def arm_of(args):
    return args["env_kwargs"]["controller_configs"]["body_parts"]["right"]


def old_form(args):
    """Rewrites env_args in the form of robosuite 1.4."""
    part = arm_of(args)
    delta = part.pop("input_type") == "delta"
    for name in ("input_ref_frame", "gripper"):
        del part[name]
    args["env_kwargs"]["controller_configs"] = part | {"control_delta": delta}
    args["env_version"] = "1.4.1"


def edit(path, change_args, change_actions=None):
    with h5py.File(path, "r+") as file:
        data = file["data"]
        args = json.loads(data.attrs["env_args"])
        change_args(args)
        data.attrs["env_args"] = json.dumps(args)
        for k, demo in enumerate(data.values()):
            if change_actions:
                actions = change_actions(demo["actions"][:], k)
                del demo["actions"]
                demo["actions"] = actions


def poses(targets):
    """Writes position actions as robosuite's absolute ones: rotation vectors."""
    first, second = targets[:, 3:6], targets[:, 6:9]
    matrices = np.stack([first, second, np.cross(first, second)], axis=1)
    turns = Rotation.from_matrix(matrices).as_rotvec()
    return np.concatenate([targets[:, :3], turns, targets[:, 9:]], axis=1)


def absolute(args):
    arm_of(args)["input_type"] = "absolute"


def absolute_of_old(args):
    absolute(args)
    old_form(args)


@pytest.mark.parametrize("change", [absolute, absolute_of_old])
def test_absolute_actions_become_position_actions(moves, robomimic_file, change):
    targets = moves.actions_as["position"].astype(np.float64)
    edit(robomimic_file, change, lambda _, k: poses(targets[6 * k : 6 * k + 6]))
    task = registry.task("lift")
    demos = readers.read(robomimic_file, task, "ph")
    np.testing.assert_allclose(demos.actions, targets, atol=1e-6)
    np.testing.assert_allclose(demos.states, moves.states, atol=1e-12)
    np.testing.assert_array_equal(actions_of(task, demos, "position"), demos.actions)
    with pytest.raises(BadInput, match="train with `--control position`"):
        actions_of(task, demos, "velocity")


def test_a_file_with_position_actions_does_not_call_them_moves(
    moves, robomimic_file, tmp_path
):
    targets = moves.actions_as["position"]
    edit(robomimic_file, absolute, lambda _, k: poses(targets[6 * k : 6 * k + 6]))
    task, own = registry.task("lift"), tmp_path / "own.hdf5"
    demos = readers.read(robomimic_file, task, "ph")
    hdf5.save(demos, own)
    assert readers.read(own, task).digest == demos.digest
    with h5py.File(own) as file:
        args = json.loads(file["data"].attrs["env_args"])
    assert arm_of(args)["input_type"] == "absolute"


def test_moves_of_another_scale_are_converted(moves, robomimic_file):
    half = np.array([0.5] * 6 + [1])

    def scale(args):
        arm_of(args).update(
            output_max=[0.1] * 3 + [1] * 3, output_min=[-0.1] * 3 + [-1] * 3
        )

    edit(robomimic_file, scale, lambda actions, k: actions * half)
    demos = readers.read(robomimic_file, registry.task("lift"), "ph")
    np.testing.assert_allclose(demos.actions, moves.actions, atol=1e-6)
    edit(robomimic_file, lambda args: None, lambda actions, k: actions / half)
    with pytest.raises(BadInput, match=r"outside -1 to 1 .* output_max \[0\.1, 0\.1"):
        readers.read(robomimic_file, registry.task("lift"), "ph")


@pytest.mark.parametrize("kind", ["delta", "absolute"])
@pytest.mark.parametrize("name", ["lift", "transport"])
def test_actions_in_axes_of_the_base_do_what_robosuite_does_with_them(name, kind):
    """Robosuite's own controller computes the goal, in its base frame."""
    env = env_of(name)
    env.reset(seed=3)
    controllers = controllers_of(env.suite)
    arguments = suite_arguments(env.suite_name, env.arms, kind)
    configs = copy.deepcopy(arguments["controller_configs"])
    for config in configs if isinstance(configs, list) else [configs]:
        config["body_parts"]["right"]["input_ref_frame"] = "base"
    args = {"env_kwargs": arguments | {"controller_configs": configs}}
    recorded = parsed(json.dumps(args), env.suite_name, env.arms)
    (action,) = some_actions(env, 1)
    ours = recorded.convert(action[None].astype(np.float64), base_poses(env.suite))[0]
    if kind == "delta":
        ours = env.target(ours)
    for arm, controller in enumerate(controllers):
        controller = copy.copy(controller)
        controller.input_ref_frame, controller.input_type = "base", kind
        controller.set_goal(action[7 * arm : 7 * arm + 6].astype(np.float64))
        base = controller.origin_ori
        place = controller.origin_pos + base @ controller.goal_pos
        rows = (base @ controller.goal_ori)[:2].ravel()
        expected = [*place, *rows, action[7 * arm + 6]]
        np.testing.assert_allclose(ours.reshape(env.arms, 10)[arm], expected, atol=1e-6)


def test_the_form_of_old_robosuite_means_the_same(moves, robomimic_file):
    edit(robomimic_file, old_form)
    demos = readers.read(robomimic_file, registry.task("lift"), "ph")
    np.testing.assert_array_equal(demos.actions, moves.actions)


def arm_with(**changes):
    return lambda args: arm_of(args).update(changes)


def kwargs_with(**changes):
    return lambda args: args["env_kwargs"].update(changes)


def contradiction(args):
    arm_of(args)["control_delta"] = False


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (kwargs_with(control_freq=10), "control_freq 10, but the task needs 20"),
        (kwargs_with(robots=["Sawyer"]), 'robots ["Sawyer"], but the task needs'),
        (kwargs_with(robots=[]), "robots []"),
        (kwargs_with(gripper_types="WipingGripper"), 'gripper_types "WipingGripper"'),
        (kwargs_with(controller_configs=None), "no env_kwargs with controller_configs"),
        (kwargs_with(controller_configs=["x"]), 'controller_configs "x"'),
        (kwargs_with(controller_configs={"body_parts": {}}), "a controller of 'right'"),
        (lambda args: args.pop("env_kwargs"), "the meaning of the actions is unknown"),
        (arm_with(type="JOINT_VELOCITY"), 'type "JOINT_VELOCITY", but the task needs'),
        (arm_with(kp=300), "kp 300, but the task needs 150"),
        (arm_with(impedance_mode="variable"), 'impedance_mode "variable"'),
        (arm_with(interpolation="linear"), 'interpolation "linear"'),
        (arm_with(uncouple_pos_ori=False), "uncouple_pos_ori false"),
        (arm_with(position_limits=[[0] * 3, [1] * 3]), "position_limits [[0, 0, 0]"),
        (arm_with(input_ref_frame="eef"), 'input_ref_frame "eef"'),
        (arm_with(input_type="relative"), 'input_type "relative"'),
        (arm_with(output_max=[1, 2]), "output_max [1, 2], but the task needs one or 6"),
        (arm_with(output_max=-1), "above minima"),
        (contradiction, "contradict each other"),
    ],
)
def test_what_cannot_be_converted_is_refused_by_name_and_value(
    robomimic_file, change, message
):
    edit(robomimic_file, change)
    with pytest.raises(BadInput, match=re.escape(message)):
        readers.read(robomimic_file, registry.task("lift"), "ph")


@pytest.mark.parametrize("column", [0, 5, 6])
def test_moves_beyond_one_are_refused(robomimic_file, column):
    def too_large(actions, k):
        actions[4, column] = 2.85
        return actions

    edit(robomimic_file, lambda args: None, too_large)
    with pytest.raises(BadInput, match=r"row 4 of actions holds 2\.85 in column"):
        readers.read(robomimic_file, registry.task("lift"), "ph")
