"""Lift, Can, Square, Transport, ToolHang: Robomimic's manipulation, on robosuite."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from scipy.spatial.transform import Rotation

from dp_bench.data.demos import Demos
from dp_bench.data.images import is_images
from dp_bench.errors import BadInput
from dp_bench.task import Layout

from .. import opengl
from ..checks import check_choice, check_reset
from ..viewer import Window, check_render_mode, rendered


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keeps to itself what robosuite has to say about settings that nobody made."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            yield
    finally:
        logging.disable(before)


with (
    opengl.loading("Robomimic", "robosuite", "'dp-bench[robomimic]'"),
    _quietly(),
):
    import mujoco
    import robosuite

CONTROL_RATE = 20  # policy steps per second [Hz]
OBS_KINDS = ("state", "image")
CONTROLS = ("velocity", "position")
PER_ARM = {"velocity": 7, "position": 10}  # numbers of an action
SEEN_WIDTHS = {"eef_pos": 3, "eef_quat": 4, "gripper_qpos": 2}  # of an arm
SEEN_PER_ARM = sum(SEEN_WIDTHS.values())
WIDTH, HEIGHT = 480, 480  # of pictures [px]
FARTHEST = 100.0  # limit of observations
LARGEST_NUMBER = 1e6  # in files
LEAST_AREA = 1e-9  # between two rows of a rotation, below which they have no direction

# Of the published demonstrations in their form for robosuite 1.5: a velocity action
# of 1 puts the target 0.05 m, or 0.5 rad, from where the hand is.
LARGEST = (0.05, 0.05, 0.05, 0.5, 0.5, 0.5)
CONTROLLER = {
    "type": "OSC_POSE",
    "input_max": 1,
    "input_min": -1,
    "output_max": list(LARGEST),
    "output_min": [-largest for largest in LARGEST],
    "kp": 150,
    "damping_ratio": 1,
    "impedance_mode": "fixed",
    "kp_limits": [0, 300],
    "damping_ratio_limits": [0, 10],
    "position_limits": None,
    "orientation_limits": None,
    "uncouple_pos_ori": True,
    "input_type": "delta",
    "input_ref_frame": "world",
    "interpolation": None,
    "ramp_ratio": 0.2,
    "gripper": {"type": "GRIP"},
}
ROBOSUITE_TYPE = 1  # robomimic's number for environments of robosuite
OLDEST = (1, 5)  # version of robosuite whose models can be taken
PART = "right"  # robosuite's name for the arm of a robot that has one


class Robomimic(gym.Env[Any, np.ndarray]):
    """Panda arms at a table: what the five tasks have in common.

    Scenes, robots, controllers, and what counts as solved are robosuite's, set up as
    in the published demonstrations.

    ## Action
    float32, for each arm:

    `control="velocity"`, 7 numbers in [-1, 1]: how far the target of the hand is from
    where the hand is, x, y, z in units of 0.05 m, and how far it is turned, a rotation
    vector in units of 0.5 rad, in axes of the world; the gripper, which opens below 0
    and closes above, a little in each step.

    `control="position"`, 10 numbers: the target itself, x, y, z [m], and the first two
    rows of its rotation matrix; the gripper. The rows need not be orthonormal: the
    first gives a direction, and the second as far as it is at right angles to it. Of
    rows that have no two directions, zeros say, the hand stays as it is turned.

    ## Observation
    `obs="state"`, float32: `object`, which is robosuite's, and for each arm the hand's
    position (3) [m] and quaternion (4), and the positions of two fingers (2) [m].

    `obs="image"`, a dictionary: a uint8 picture for each camera, and `proprioception`,
    the numbers of the arms.

    ## Reward
    1 in a step in which the task is solved, and else 0. The episode ends there.

    ## Start, end
    `reset(seed=s)` draws a start: the same one in any process and whatever was played
    before. `reset(options={"state": state})` goes on from a state; with
    `{"model": xml, "state": state}` in another model, that of a recording.
    `reset(seed=s, options={"state": state})` first takes the model of the start that
    `s` draws. Registration cuts an episode off.

    `info` holds `success`, and `state`, float64: time, positions and velocities, as
    robomimic's files have them, and one number for each gripper: how far it was told
    to close, -1 to 1. Without these last numbers, which no file has, it was told
    nothing yet.

    ## Arguments
    - `obs`: "state" or "image".
    - `control`: "velocity" or "position".
    - `render_mode`: None, "rgb_array" (480 x 480; needs OpenGL) or "human" (a window;
      needs OpenGL and pygame).

    ## Differences from robosuite
    - Starts are functions of the seed alone; robosuite goes on drawing from one
      generator. Models are built anew only where starts differ in them.
    - MuJoCo's solver starts each step afresh, and arms lean towards the posture that
      starts are drawn around, and not towards the one that was drawn, so that equal
      states go on equally.
    - Objects as seen from a hand are right after a reset, too: robosuite begins with
      zeros there. After a step they are seen from where the hand was before its last
      instant, as in robosuite.
    """

    metadata = {  # noqa: RUF012 (Gymnasium wants a dictionary)
        "render_modes": ["rgb_array", "human"],
        "render_fps": CONTROL_RATE,
    }
    suite_name: ClassVar[str]  # robosuite's name of the task
    arms: ClassVar[int] = 1
    cameras: ClassVar[tuple[str, ...]] = ("agentview", "robot0_eye_in_hand")
    camera_size: ClassVar[int] = 84  # [px]
    view: ClassVar[str] = "agentview"  # camera of pictures
    model_varies: ClassVar[bool] = False  # whether starts differ in sizes of objects

    _seen: Mapping[str, np.ndarray]  # what robosuite observed last

    def __init__(
        self,
        obs: str = "state",
        control: str = "velocity",
        render_mode: str | None = None,
    ) -> None:
        self._name = type(self).__name__
        check_choice(self._name, "observation", obs, OBS_KINDS)
        check_choice(self._name, "control mode", control, CONTROLS)
        check_render_mode(self._name, render_mode, self.metadata["render_modes"])
        self.obs, self.control, self.render_mode = obs, control, render_mode
        with _quietly():
            self._suite = robosuite.make(**suite_arguments(self.suite_name, self.arms))
        self._foreign = False  # whether the model is one that was given
        self._remember_model()
        self._renderers: dict[tuple[int, int], Any] = {}
        self._window = Window(self._name, CONTROL_RATE)
        self._draw(0)
        self.action_space = _action_space(control, self.arms)
        self.observation_space = self._observation_space()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts an episode from a start that is drawn, or from a given state.

        Args:
            seed: Of the start; None to go on drawing.
            options: `{"state": (S,)}` for a given state, and `"model"`, MuJoCo's XML,
                for the model it is a state of.

        Raises:
            BadInput: When the seed, the state or the model cannot be used.
        """
        options = options or {}
        check_reset(self._name, seed, options, known=("state", "model"))
        super().reset(seed=seed)
        self._draw(int(self.np_random.integers(2**32)) if seed is None else seed)
        if "model" in options:
            self._take_model(options["model"])
        if "state" in options:
            self._take(self._checked_state(options["state"]))
        if self.render_mode == "human":
            self._window.show(self._picture())
        return self._observe(), self._info(self._solved())

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Moves the arms for 0.05 s.

        Raises:
            BadInput: When the action has another shape, or is not finite.
        """
        values = self._checked_action(action)
        if self.control == "position":
            values = self._as_rotation_vectors(values)
        # else equal states would not go on equally
        self._suite.sim.data.qacc_warmstart[:] = 0
        self._seen, *_ = self._suite.step(values)
        solved = self._solved()
        if self.render_mode == "human":
            self._window.show(self._picture())
        return self._observe(), float(solved), solved, False, self._info(solved)

    def target(self, velocity: np.ndarray) -> np.ndarray:
        """The action for position control that leads where a velocity leads from here.

        Args:
            velocity: Action of velocity control, `(7 * arms,)`.

        Returns:
            `(10 * arms,)`, float64.
        """
        places, turns = [], []
        for controller in self._controllers():
            controller.update(force=True)
            places.append(controller.ref_pos)
            turns.append(controller.ref_ori_mat)
        moves = np.asarray(velocity, np.float64).reshape(self.arms, 7)
        return _targets(np.array(places), np.array(turns), moves).ravel()

    def model(self) -> str:
        """MuJoCo's XML of the model, as `reset(options={"model": ...})` takes it."""
        return self._xml

    @classmethod
    def targets(cls, states: np.ndarray, velocities: np.ndarray) -> np.ndarray:
        """Actions of demonstrations for position control: `target` of each row.

        Nothing is replayed, so nothing has drifted.

        Args:
            states: States of this task, `(N, S)`.
            velocities: Actions from there, `(N, 7 * arms)`.

        Returns:
            `(N, 10 * arms)`, float32.
        """
        env = shared(cls)
        model, data = env._suite.sim.model._model, env._suite.sim.data._data
        sites = [model.site(c.ref_name).id for c in env._controllers()]
        places = np.empty((len(states), cls.arms, 3))
        turns = np.empty((len(states), cls.arms, 9))
        for row, state in enumerate(states):
            data.qpos[:] = state[1 : 1 + model.nq]
            mujoco.mj_kinematics(model, data)
            places[row], turns[row] = data.site_xpos[sites], data.site_xmat[sites]
        found = _targets(
            places.reshape(-1, 3), turns.reshape(-1, 3, 3), velocities.reshape(-1, 7)
        )
        return found.reshape(len(states), -1).astype(np.float32)

    @classmethod
    def layout(cls, demos: Demos) -> Layout:
        """Demonstrations of this task as files of robomimic have them."""
        widths = seen_of_arms(cls.arms)
        state = demos.obs.get("state", np.empty(0))
        whole = state.shape[1] if state.ndim == 2 else 0
        if whole <= sum(widths.values()):
            raise BadInput(
                f"demonstrations of {cls.__name__} must hold 'state' observations, "
                f"more than {sum(widths.values())} numbers a row; they hold "
                f"{ {kind: seen.shape for kind, seen in demos.obs.items()} }"
            )
        arguments = suite_arguments(cls.suite_name, cls.arms)
        name = arguments.pop("env_name")
        pictures = cls._pictures_in(demos.obs, "{}_image")
        if pictures:
            height, width = next(iter(pictures.values())).shape[1:3]
            arguments |= {
                "has_offscreen_renderer": True,
                "use_camera_obs": True,
                "camera_names": list(pictures),
                "camera_heights": height,
                "camera_widths": width,
            }
        return Layout(
            {
                "env_name": name,
                "env_version": robosuite.__version__,
                "type": ROBOSUITE_TYPE,
                "env_kwargs": arguments,
            },
            {"state": {"object": whole - sum(widths.values()), **widths}},
        )

    @classmethod
    def _pictures_in(cls, arrays: Mapping[str, Any], name: str) -> dict[str, Any]:
        """Pictures by camera, all of one size.

        Args:
            arrays: Those and others, by name.
            name: What pictures are called there, with {} for the camera.
        """
        found = {
            camera: arrays[name.format(camera)]
            for camera in cls.cameras
            if name.format(camera) in arrays
        }
        shapes = {seen.shape[1:] for seen in found.values()}
        if len(shapes) > 1 or not all(map(is_images, found.values())):
            said = ", ".join(f"{k} {v.dtype} {v.shape}" for k, v in found.items())
            raise BadInput(
                f"pictures must be uint8 of shape (steps, height, width, 3), of one "
                f"size for all cameras, and are {said}"
            )
        return found

    @classmethod
    def demos_from_robomimic(
        cls, arrays: dict[str, np.ndarray], episode_ends: np.ndarray
    ) -> Demos:
        """Demonstrations from the rows of a file of robomimic.

        Args:
            arrays: `states`, `(N, S)`; `actions` of velocity control, `(N, 7 * arms)`;
                `rewards`, `(N,)`; each observation as "obs/object", "obs/robot0_..." ;
                `model_file`, `(E,)`, "" for none; `env_args`, `()`, JSON; and pictures
                as "obs/<camera>_image", uint8 `(N, height, width, 3)`, if there are.
            episode_ends: `(E,)`.

        Returns:
            Demonstrations with the models that can be taken, those of robosuite 1.5;
            older ones name things otherwise.

        Raises:
            BadInput: When they are of another task, or do not fit it.
        """
        name, version = _environment_of(str(arrays["env_args"]))
        if name not in (None, cls.suite_name):
            raise BadInput(f"they are of {name}, and not of {cls.suite_name}")
        env = shared(cls)
        of_arms = seen_of_arms(cls.arms)
        keys = ["object", *of_arms]
        rows, size = int(episode_ends[-1]), len(env._state())
        whole = len(env._state_of(env._seen))
        widths = {
            "states": (size - cls.arms, size),  # grippers may have been left out
            "actions": (7 * cls.arms,),
            "obs/object": (whole - SEEN_PER_ARM * cls.arms,),
            **{f"obs/{key}": (width,) for key, width in of_arms.items()},
        }
        for what, wide in widths.items():
            _check_numbers(what, arrays[what], [(rows, width) for width in wide])
        _check_numbers("rewards", arrays["rewards"], [(rows,)])
        pictures = cls._pictures_in(arrays, "obs/{}_image")
        obs = np.concatenate([arrays[f"obs/{key}"] for key in keys], axis=1)
        begins = np.array([0, *episode_ends[:-1]])
        states = arrays["states"]
        if states.shape[1] < size:
            states = np.hstack([states, env._told(arrays["actions"], begins)])
        models = tuple(str(text) for text in arrays["model_file"])
        return Demos(
            task=cls.__name__,
            source="ph",
            obs={
                "state": obs.astype(np.float32).clip(-FARTHEST, FARTHEST),
                **{f"{camera}_image": seen for camera, seen in pictures.items()},
            },
            actions=arrays["actions"],
            states=states,
            rewards=arrays["rewards"],
            scores=np.maximum.reduceat(arrays["rewards"], begins).clip(0, 1),
            episode_ends=episode_ends,
            env_kwargs={"obs": "state", "control": "velocity"},
            actions_as={"position": cls.targets(arrays["states"], arrays["actions"])},
            models=models if all(models) and version >= OLDEST else (),
        )

    def _draw(self, seed: int) -> None:
        """Takes the start that a seed means."""
        suite = self._suite
        # samplers of places hold the generator itself, so that it cannot be replaced
        suite.rng.bit_generator.state = np.random.default_rng(seed).bit_generator.state
        suite.hard_reset = self.model_varies or self._foreign
        with _quietly():
            suite.reset()
        if suite.hard_reset:
            self._forget_renderers()
            self._remember_model()
        self._foreign = False
        self._set_up_controllers()
        self._look()

    def _take_model(self, xml: str) -> None:
        suite = self._suite
        self._foreign = True  # whatever comes of it, the next start needs its own
        self._forget_renderers()
        try:
            with _quietly():
                suite.reset_from_xml_string(suite.edit_model_xml(xml))
        except Exception as error:  # of parsers, of MuJoCo, of robosuite
            said = " ".join(str(error).split())[:200]
            raise BadInput(f"model is not one of {self._name}: {said}") from error
        finally:
            suite.deterministic_reset = False
        self._remember_model()
        self._set_up_controllers()
        self._look()

    def _remember_model(self) -> None:
        """MuJoCo can write only what was loaded last in this process: so, at once."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # of a file left open
            self._xml = str(self._suite.sim.model.get_xml())

    def _take(self, state: np.ndarray) -> None:
        suite = self._suite
        suite.sim.set_state_from_flattened(state)
        suite.sim.forward()
        told = state[len(state) - self.arms :]
        for robot, closed in zip(suite.robots, told, strict=True):
            robot.gripper[PART].current_action = closed * np.array([-1.0, 1.0])
        self._set_up_controllers()
        self._look()

    def _look(self) -> None:
        """Observes; a second time, as objects are seen from where hands were before."""
        for _ in range(2):
            self._seen = self._suite._get_observations(force_update=True)

    def _controllers(self) -> list[Any]:
        return [
            robot.composite_controller.part_controllers[PART]
            for robot in self._suite.robots
        ]

    def _set_up_controllers(self) -> None:
        """They are made anew by each reset of robosuite."""
        for robot, controller in zip(
            self._suite.robots, self._controllers(), strict=True
        ):
            controller.input_type = (
                "absolute" if self.control == "position" else "delta"
            )
            controller.update(force=True)
            controller.initial_joint = np.array(robot.init_qpos, np.float64)
            controller.reset_goal()

    def _as_rotation_vectors(self, action: np.ndarray) -> np.ndarray:
        found: list[float] = []
        arms = action.reshape(self.arms, -1)
        for arm, controller in zip(arms, self._controllers(), strict=True):
            turn = rotation_of(arm[3:9])
            if turn is None:
                controller.update(force=True)
                turn = Rotation.from_matrix(controller.ref_ori_mat)
            found += [*arm[:3], *turn.as_rotvec(), arm[9]]
        return np.array(found)

    def _solved(self) -> bool:
        return bool(self._suite._check_success())

    def _state_of(self, seen: Mapping[str, np.ndarray]) -> np.ndarray:
        arms = [seen[name] for name in seen_of_arms(self.arms)]
        whole = np.concatenate([seen["object-state"], *arms]).astype(np.float32)
        return whole.clip(-FARTHEST, FARTHEST)

    def _observe(self) -> Any:
        state = self._state_of(self._seen)
        if self.obs == "state":
            return state
        side = self.camera_size
        pictures = {f"{k}_image": self._drawn(k, side, side) for k in self.cameras}
        return {**pictures, "proprioception": state[-SEEN_PER_ARM * self.arms :]}

    def _observation_space(self) -> spaces.Space[Any]:
        def numbers(count: int) -> spaces.Box:
            return spaces.Box(-FARTHEST, FARTHEST, (count,), np.float32)

        if self.obs == "state":
            return numbers(len(self._state_of(self._seen)))
        side = self.camera_size
        picture = spaces.Box(0, 255, (side, side, 3), np.uint8)
        pictures = {f"{name}_image": picture for name in self.cameras}
        return spaces.Dict(
            {**pictures, "proprioception": numbers(SEEN_PER_ARM * self.arms)}
        )

    def _info(self, solved: bool) -> dict[str, Any]:
        return {"success": solved, "state": self._state()}

    def _state(self) -> np.ndarray:
        told = [
            np.ravel(robot.gripper[PART].current_action)[-1]
            for robot in self._suite.robots
        ]
        return np.concatenate([self._suite.sim.get_state().flatten(), told])

    def render(self) -> np.ndarray | None:  # type: ignore[override]
        """Draws the scene, uint8 `(480, 480, 3)`; nothing is returned by a window.

        Raises:
            BadInput: When there is no OpenGL, or no display for a window.
        """
        return rendered(self.render_mode, self._window, self._picture)

    def _picture(self) -> np.ndarray:
        return self._drawn(self.view, HEIGHT, WIDTH)

    def _drawn(self, camera: str, height: int, width: int) -> np.ndarray:
        sim = self._suite.sim
        if (height, width) not in self._renderers:
            self._renderers[height, width] = opengl.renderer(
                self._name, sim.model._model, height, width
            )
        renderer = self._renderers[height, width]
        options = mujoco.MjvOption()
        options.geomgroup[0] = 0  # shapes that collide, which are not meant to be seen
        renderer.update_scene(sim.data._data, camera=camera, scene_option=options)
        return np.array(renderer.render())

    def _forget_renderers(self) -> None:
        """They draw one model only."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()

    def close(self) -> None:
        """Closes the window, the cameras and robosuite."""
        self._forget_renderers()
        self._window.close()
        self._suite.close()

    def _told(self, actions: np.ndarray, begins: np.ndarray) -> np.ndarray:
        """How far grippers were told to close before each of N rows, `(N, arms)`."""
        speed = self._suite.robots[0].gripper[PART].speed
        ways = speed * np.sign(actions.reshape(len(actions), self.arms, 7)[..., 6])
        told = np.zeros_like(ways)
        first = set(begins.tolist())
        for row in range(1, len(told)):
            if row not in first:
                told[row] = np.clip(told[row - 1] + ways[row - 1], -1, 1)
        return told

    def _checked_state(self, given: Any) -> np.ndarray:
        values = np.asarray(given, np.float64)
        size = len(self._state())
        if values.shape == (size - self.arms,):
            values = np.concatenate([values, np.zeros(self.arms)])
        if values.shape != (size,) or not np.isfinite(values).all():
            raise BadInput(
                f"state of {self._name} must be {size} finite numbers, as "
                f"info['state'] holds, or all but the last {self.arms}; it has shape "
                f"{np.shape(given)}"
            )
        return values

    def _checked_action(self, action: Any) -> np.ndarray:
        values = np.asarray(action, np.float64)
        if values.shape != self.action_space.shape:
            raise BadInput(
                f"action of {self._name} must have shape {self.action_space.shape}, "
                f"{PER_ARM[self.control]} numbers an arm, and not {values.shape}"
            )
        if not np.isfinite(values).all():
            raise BadInput(f"action {values.tolist()} must be finite")
        return np.clip(values, -1.0, 1.0) if self.control == "velocity" else values


class Lift(Robomimic):
    """The arm lifts a cube by 4 cm. Cubes differ in size by a millimetre."""

    suite_name = "Lift"
    model_varies = True


class Can(Robomimic):
    """The arm puts a can from one bin into its place in another."""

    suite_name = "PickPlaceCan"


class Square(Robomimic):
    """The arm puts a square nut, by its handle, over a square peg."""

    suite_name = "NutAssemblySquare"


class Transport(Robomimic):
    """Two arms carry a hammer from one bin to another.

    One takes a lid off, takes the hammer out, and hands it over; the other clears the
    bin that it goes into. Hammers differ in size.
    """

    suite_name = "TwoArmTransport"
    arms = 2
    cameras = (
        "shouldercamera0",
        "robot0_eye_in_hand",
        "shouldercamera1",
        "robot1_eye_in_hand",
    )
    model_varies = True


class ToolHang(Robomimic):
    """The arm puts a hooked frame into a stand, and hangs a tool on it."""

    suite_name = "ToolHang"
    cameras = ("sideview", "robot0_eye_in_hand")
    camera_size = 240
    view = "sideview"


def suite_arguments(name: str, arms: int) -> dict[str, Any]:
    """What robosuite makes an environment of, as in the published demonstrations.

    Args:
        name: Robosuite's, of the task.
        arms: How many robots there are.
    """
    controller = {"type": "BASIC", "body_parts": {PART: CONTROLLER}}
    return {
        "env_name": name,
        "robots": ["Panda"] * arms,
        "controller_configs": controller if arms == 1 else [controller] * arms,
        "has_renderer": False,
        "has_offscreen_renderer": False,
        "use_camera_obs": False,
        "use_object_obs": True,
        "ignore_done": True,
        "control_freq": CONTROL_RATE,
        "lite_physics": False,
        "reward_shaping": False,
        "hard_reset": False,
        "renderer": "mujoco",
        "seed": 0,
        **({"env_configuration": "opposed"} if arms == 2 else {}),
    }


def seen_of_arms(arms: int) -> dict[str, int]:
    """What `obs="state"` holds behind `object`: names in files, and how many numbers.

    Args:
        arms: How many there are.
    """
    return {
        f"robot{i}_{part}": width
        for i in range(arms)
        for part, width in SEEN_WIDTHS.items()
    }


def rotation_of(rows: np.ndarray) -> Rotation | None:
    """The rotation whose matrix has these first two rows, `(6,)`.

    They need not be orthonormal: the first gives a direction, and the second as far as
    it is at right angles to it (Zhou et al., 2019).

    Returns:
        None when a row is 0, or both have one direction.
    """
    first, second = np.reshape(rows, (2, 3))
    if np.linalg.norm(np.cross(first, second)) < LEAST_AREA:
        return None
    turned, _ = Rotation.align_vectors(
        np.eye(3)[:2], [first, second], weights=[np.inf, 1.0]
    )
    return turned


def first_rows(rotations: Rotation) -> np.ndarray:
    """The first two rows of the matrix of each of N rotations, `(N, 6)`."""
    return rotations.as_matrix()[:, :2].reshape(-1, 6)


_shared: dict[str, Robomimic] = {}


def shared(task: type[Robomimic]) -> Robomimic:
    """One environment of each task for this process: making one takes a second."""
    if task.__name__ not in _shared:
        _shared[task.__name__] = task()
    return _shared[task.__name__]


def _targets(places: np.ndarray, turns: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Position actions `(N, 10)` of velocity actions `(N, 7)` from where hands are."""
    moves = np.clip(moves, -1, 1)
    ways, rotations = np.split(moves[:, :6] * LARGEST, 2, axis=1)
    turned = Rotation.from_rotvec(rotations) * Rotation.from_matrix(turns)
    return np.hstack([places + ways, first_rows(turned), moves[:, 6:]])


def _environment_of(env_args: str) -> tuple[str | None, tuple[int, ...]]:
    """Robosuite's name of a file's task, and its version: None and () if not said."""
    try:
        args = json.loads(env_args)
        name, version = args.get("env_name"), str(args.get("env_version") or "")
    except (ValueError, AttributeError) as error:
        raise BadInput("its attribute env_args is no JSON of robomimic") from error
    numbers = re.match(r"([0-9]+)\.([0-9]+)", version)
    return name, tuple(int(number) for number in numbers.groups()) if numbers else ()


def _check_numbers(what: str, array: np.ndarray, shapes: list[tuple[int, ...]]) -> None:
    """Refuses what is no array of finite real numbers of one of these shapes."""
    if array.dtype.kind not in "fiub" or array.shape not in shapes:
        raise BadInput(
            f"{what} must be numbers of shape {' or '.join(map(str, shapes))}, and are "
            f"{array.dtype} {array.shape}"
        )
    bad = ~(np.abs(array.reshape(len(array), -1)) <= LARGEST_NUMBER).all(axis=1)
    if bad.any():
        raise BadInput(
            f"{what} must be finite and no larger than {LARGEST_NUMBER:g}, and are not "
            f"in row {int(bad.argmax())}"
        )


def _action_space(control: str, arms: int) -> spaces.Box:
    largest = FARTHEST if control == "position" else 1.0
    return spaces.Box(-largest, largest, (PER_ARM[control] * arms,), np.float32)
