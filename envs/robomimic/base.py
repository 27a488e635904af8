"""The environment that all tasks of Robomimic share, on robosuite."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from gymnasium import spaces

from dp_bench.errors import BadInput

from ..base import RENDER_MODES, Observation
from ..copies import ReplayedCopies
from .camera import Cameras
from .controllers import (
    ACTION_SIZES,
    CONTROLS,
    controller_action,
    controllers_of,
    hand_poses,
    position_actions,
    set_up_controllers,
)
from .observations import (
    LIMIT,
    OBS_KINDS,
    arm_vectors,
    image_space,
    number_space,
    state_observation,
)
from .suite import CONTROL_RATE, PART, make_suite, quietly

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from dp_bench.util.types import Info

WIDTH, HEIGHT = 480, 480  # of rendered images [px]


class Robomimic(ReplayedCopies[Any]):  # observes an array, or a dictionary of them
    """Panda arms at a table. The five tasks are in `env.py`.

    Scenes, robots, controllers and success criteria are robosuite's, set up as in the
    published demonstrations.

    ## Action
    float32. For each arm:

    `control="velocity"`: 7 numbers in [-1, 1]. Three move the target away from the
    hand, x, y, z in units of 0.05 m. Three turn it, a rotation vector in units of 0.5
    rad, in axes of the world. The last one opens the gripper below 0 and closes it
    above 0, a little in each step.

    `control="position"`: 10 numbers. The target itself, x, y, z [m]; the first two rows
    of its rotation matrix; the gripper. The rows need not be orthonormal: the first
    gives a direction, and of the second only the part at right angles to the first
    counts. If the rows do not give two directions, because they are zero say, the hand
    keeps its rotation.

    ## Observation
    `obs="state"`, float32: robosuite's `object`, and for each arm the hand's position
    (3) [m] and quaternion (4), and the positions of two fingers (2) [m].

    `obs="image"`, a dictionary: a uint8 image `<camera>_image` for each camera, and the
    numbers of each arm as `robot<i>_eef_pos`, `_eef_quat` and `_gripper_qpos`, float32.

    ## Reward
    1 in the step that solves the task, else 0.

    ## Start, end
    `reset(seed=s)` draws a start. It is the same in every process and after any other
    episode. `reset(options={"state": state})` starts from a given state; with
    `{"model": xml, "state": state}` in another model, such as that of a recording.
    `reset(seed=s, options={"state": state})` first takes the model of the start that
    `s` draws. The episode terminates when the task is solved; registration truncates
    it.

    `info` holds `success`, and `state`, float64: time, positions and velocities, in the
    layout of robomimic's files, and for each gripper the last command, -1 (open) to 1
    (closed). Files do not hold these last numbers; without them the command is 0.

    ## Arguments
    - `obs`: "state" or "image".
    - `control`: "velocity" or "position".
    - `render_mode`: None, "rgb_array" (480 x 480; needs OpenGL) or "human" (a window;
      needs OpenGL and pygame).

    ## Differences from robosuite
    - A start depends on the seed only; robosuite draws all starts from one generator.
      The environment builds a new model only if starts differ in their models.
    - MuJoCo's solver starts each step without a warm start, and arms are pulled towards
      the centre of the start postures, not towards the posture that was drawn. So equal
      states continue equally.
    - Images show the joint positions of `info["state"]`; robosuite's show those of one
      physics step (2 ms) earlier.
    - A reset also observes the objects relative to the hand; robosuite shows zeros
      there. After a step they are relative to the hand before the last physics step,
      as in robosuite.

    ## Versions
    v0: first version.
    """

    metadata = {  # noqa: RUF012 (Gymnasium wants a dictionary)
        "render_modes": RENDER_MODES,
        "render_fps": CONTROL_RATE,
    }
    offered_obs = OBS_KINDS
    offered_controls = CONTROLS
    reset_options = ("state", "model")
    suite_name: ClassVar[str]  # robosuite's name of the task
    arms: ClassVar[int] = 1
    cameras: ClassVar[tuple[str, ...]] = ("agentview", "robot0_eye_in_hand")
    camera_size: ClassVar[int] = 84  # height and width of observed images [px]
    view: ClassVar[str] = "agentview"  # camera of rendered images
    model_varies: ClassVar[bool] = False  # whether starts differ in sizes of objects

    _observed: Mapping[str, np.ndarray]  # robosuite's latest observations

    def __init__(
        self,
        obs: str = "state",
        control: str = "velocity",
        render_mode: str | None = None,
    ) -> None:
        super().__init__(obs, control, render_mode)
        self.action_holds = f"{ACTION_SIZES[control]} numbers an arm"
        self.suite = make_suite(self.suite_name, self.arms)
        self._model_was_given = False
        self._keep_xml()
        self._cameras = Cameras(self._name)
        self._draw_start(0)
        self.action_space = _action_space(control, self.arms)
        if obs == "state":
            self.observation_space = number_space(len(self._state_observation()))
        else:
            self.observation_space = image_space(
                self.cameras, self.camera_size, self.arms
            )

    def reset(
        self, *, seed: int | None = None, options: Info | None = None
    ) -> tuple[Observation, Info]:
        """Starts an episode from a start that is drawn, or from a given state.

        Args:
            seed: Seed of the start; None to continue the generator.
            options: `{"state": (S,)}` for a given state, and `"model"`, MuJoCo's XML,
                for the model that the state belongs to.

        Raises:
            BadInput: When the seed, the state or the model is not valid.
        """
        options = self._begin_episode(seed, options)
        if seed is None:
            seed = int(self.np_random.integers(2**32))
        self._draw_start(seed)
        if "model" in options:
            self._load_model(options["model"])
        if "state" in options:
            self._set_state(self._checked_state(options["state"]))
        self._show()
        return self._observation(), self._info(self._solved())

    def step(self, action: ArrayLike) -> tuple[Observation, float, bool, bool, Info]:
        """Moves the arms for 0.05 s.

        Raises:
            BadInput: When the action has another shape, or is not finite.
        """
        values = self._checked_action(action)
        if self.control == "position":
            values = controller_action(self.suite, values)
        else:
            values = np.clip(values, -1.0, 1.0)
        # so that equal states continue equally
        self.suite.sim.data.qacc_warmstart[:] = 0
        self._observed, *_ = self.suite.step(values)
        solved = self._solved()
        self._show()
        return self._observation(), float(solved), solved, False, self._info(solved)

    def target(self, velocity: np.ndarray) -> np.ndarray:
        """Converts a velocity action to the position action that does the same now.

        Args:
            velocity: Action of velocity control, `(7 * arms,)`.

        Returns:
            `(10 * arms,)`, float64.
        """
        moves = np.asarray(velocity, np.float64).reshape(self.arms, 7)
        return position_actions(*hand_poses(self.suite), moves).ravel()

    def observe(self, state: ArrayLike) -> tuple[np.ndarray, bool]:
        """Goes to a state within an episode, as recordings of robosuite need it.

        Returns:
            The observation `obs="state"` there, and whether the task is solved.
        """
        self._set_state(self._checked_state(state))
        return self._state_observation(), self._solved()

    def model(self) -> str:
        """Returns the model as MuJoCo's XML, which `reset` takes as `"model"`."""
        return self._xml

    @property
    def state_size(self) -> int:
        """How many numbers a state has."""
        return len(self._state())

    def _draw_start(self, seed: int) -> None:
        """Draws the start of a seed."""
        suite = self.suite
        # robosuite's samplers hold the generator itself, so it cannot be replaced
        suite.rng.bit_generator.state = np.random.default_rng(seed).bit_generator.state
        suite.hard_reset = self.model_varies or self._model_was_given
        with quietly():
            suite.reset()
        if suite.hard_reset:
            self._cameras.close()
            self._keep_xml()
        self._model_was_given = False
        set_up_controllers(suite, self.control)
        self._observe()

    def _load_model(self, xml: str) -> None:
        suite = self.suite
        self._model_was_given = True  # even if it fails, the next start builds its own
        self._cameras.close()
        try:
            with quietly():
                suite.reset_from_xml_string(suite.edit_model_xml(xml))
        except Exception as error:  # parser, MuJoCo and robosuite raise their own
            reason = " ".join(str(error).split())[:200]
            raise BadInput(f"model is not one of {self._name}: {reason}") from error
        finally:
            suite.deterministic_reset = False
        self._keep_xml()
        set_up_controllers(suite, self.control)
        self._observe()

    def _keep_xml(self) -> None:
        """Writes the model at once: MuJoCo writes only the one that it loaded last."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # robosuite's open file
            self._xml = str(self.suite.sim.model.get_xml())

    def _set_state(self, state: np.ndarray) -> None:
        suite = self.suite
        suite.sim.set_state_from_flattened(state)
        suite.sim.forward()
        commands = state[len(state) - self.arms :]
        for robot, command in zip(suite.robots, commands, strict=True):
            robot.gripper[PART].current_action = command * np.array([-1.0, 1.0])
        set_up_controllers(suite, self.control)
        self._observe()

    def _observe(self) -> None:
        """Observes twice: objects are relative to the hand of the call before."""
        for _ in range(2):
            self._observed = self.suite._get_observations(force_update=True)

    def _state_observation(self) -> np.ndarray:
        return state_observation(self._observed, self.arms)

    def _observation(self) -> Observation:
        numbers = self._state_observation()
        if self.obs_kind == "state":
            return numbers
        if self.draws_images:
            images = self._images(None)
        else:
            shape = (self.camera_size, self.camera_size, 3)
            images = {f"{c}_image": np.zeros(shape, np.uint8) for c in self.cameras}
        return {**images, **arm_vectors(numbers, self.arms)}

    def images(self, state: ArrayLike) -> dict[str, np.ndarray]:
        """Draws the observed images of a state of this episode; the episode stays.

        Args:
            state: As `info["state"]` or files hold it, for the model of this episode.

        Returns:
            An image for each camera, uint8, as `obs="image"` holds it.

        Raises:
            BadInput: When the state is not one of this task, or there is no OpenGL.
        """
        positions = self._checked_state(state)[1 : 1 + self.suite.sim.model._model.nq]
        return self._images(positions)

    def _images(self, qpos: np.ndarray | None) -> dict[str, np.ndarray]:
        """Draws the image of each camera, at these joint positions or at those now."""
        sim, side = self.suite.sim, self.camera_size
        return {
            f"{camera}_image": self._cameras.image(sim, camera, side, side, qpos)
            for camera in self.cameras
        }

    def _solved(self) -> bool:
        return bool(self.suite._check_success())

    def _info(self, solved: bool) -> Info:
        return {"success": solved, "state": self._state()}

    def _state(self) -> np.ndarray:
        commands = [
            np.ravel(robot.gripper[PART].current_action)[-1]
            for robot in self.suite.robots
        ]
        return np.concatenate([self.suite.sim.get_state().flatten(), commands])

    def _render_scene(self) -> np.ndarray:
        return self._cameras.image(self.suite.sim, self.view, HEIGHT, WIDTH)

    def tip_in_image(self) -> np.ndarray:
        """Tells where the first arm's gripper is; see `TaskEnv`."""
        site = controllers_of(self.suite)[0].ref_name
        return self._cameras.in_image(
            self.suite.sim.data._data.site(site).xpos, HEIGHT, WIDTH
        )

    def close(self) -> None:
        """Closes the viewer, the cameras and robosuite."""
        self._cameras.close()
        super().close()
        self.suite.close()

    def _checked_state(self, state: ArrayLike) -> np.ndarray:
        """Returns a state as float64, with the grippers' commands.

        Raises:
            BadInput: When its shape is another one, or a number is not finite.
        """
        values = np.asarray(state, np.float64)
        size = self.state_size
        if values.shape == (size - self.arms,):
            values = np.concatenate([values, np.zeros(self.arms)])
        if values.shape != (size,) or not np.isfinite(values).all():
            raise BadInput(
                f"state of {self._name} must be the {size} finite numbers of "
                f"info['state'], or all but the last {self.arms}; it has shape "
                f"{np.shape(state)}"
            )
        return values


def _action_space(control: str, arms: int) -> spaces.Box:
    limit = LIMIT if control == "position" else 1.0
    return spaces.Box(-limit, limit, (ACTION_SIZES[control] * arms,), np.float32)
