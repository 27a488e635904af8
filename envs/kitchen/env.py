"""Kitchen: the environment, on the physics of FrankaKitchen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from gymnasium import spaces

from dp_bench.errors import BadInput

from ..base import RENDER_MODES, TaskEnv, finite_vector
from ..scores import ELEMENTS, ENOUGH
from .camera import KitchenCamera
from .franka import (
    CONTROL_RATE,
    DQ,
    NOISY_JOINTS,
    NUM_JOINTS,
    ORDER,
    STATE_SIZE,
    Q,
    franka_kitchen,
    joint_limits,
    joint_targets,
    mujoco,
    start_state,
    within_limits,
)
from .goals import at_goal, updated_order
from .observations import (
    NOISE,
    OBS_KINDS,
    ROBOT_Q,
    full_observation,
    noise_amplitudes,
    observation_space,
    positions,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from dp_bench.util.types import Info

CONTROLS = ("velocity", "position")


class Kitchen(TaskEnv[np.ndarray]):
    """A Franka arm does any four of seven things in a kitchen.

    The scene, the robot and the goals are those of `FrankaKitchen-v1` of
    gymnasium-robotics. Arrays and digits list the seven elements in this order: bottom
    burner, top burner, light switch, slide cabinet, hinge cabinet, microwave, kettle.

    ## Action
    float32 `(9,)`: seven joints of the arm, two fingers.

    `control="velocity"`: in [-1, 1], velocities in units of 2 rad/s, and 2 m/s for the
    fingers. The target of a joint is its last observed position plus the distance that
    this velocity covers in a step of 0.08 s. Observations are noisy, so targets are
    too, as published.

    `control="position"`: the targets themselves [rad, m].

    In both modes the environment clips targets to the limits of the joints, and
    position actuators pull the joints towards them for a step.

    ## Observation
    float32. `obs="qpos"`: the first 30 numbers of `info["state"]`, with noise;
    `obs="full"`: 59 numbers, ordered as in D4RL's files.

    | qpos   | full   | meaning                                             | unit     |
    |--------|--------|-----------------------------------------------------|----------|
    | 0-8    | 0-8    | positions of the robot's joints                     | rad, m   |
    |        | 9-17   | their velocities                                    | rad/s,   |
    |        |        |                                                     | m/s      |
    | 9-16   | 18-25  | four knobs, each with its burner                    | rad, m   |
    | 17, 18 | 26, 27 | light switch, light                                 | rad, m   |
    | 19     | 28     | slide cabinet                                       | m        |
    | 20, 21 | 29, 30 | left and right door of the hinge cabinet            | rad      |
    | 22     | 31     | microwave                                           | rad      |
    | 23-29  | 32-38  | kettle: x, y, z, quaternion                         | m        |
    |        | 39-58  | velocities of all objects; the kettle's are six     | rad/s,   |
    |        |        | numbers                                             | m/s      |

    Every number has uniform noise: `noise` times an amplitude from the robot's
    configuration, which is 0.1 for the robot's joints. The environment clips positions
    to [-10, 10] and velocities to [-100, 100].

    ## Reward
    The number of elements that the step completed. An element is done once its joint
    values are nearer to their goal than 0.3, and it stays done even if it moves away.
    The score of an episode is the number of elements done, divided by four, at most 1.
    Four elements make a success.

    ## Start, end
    The scene always starts in the same state. The seed of `reset` sets the noise only:
    of the first observation and of all later ones. A reset without a seed continues
    the environment's own generator. `reset(options={"state": state})` starts from a
    given state, `(75,)`.

    The episode terminates when all seven elements are done; registration truncates it
    after 280 steps.

    `info` holds
    - `done`: whether each element is done, `(7,)`, bool;
    - `order`: 1 for the element done first, and so on; 0 for elements not done, `(7,)`,
      int64. Elements that one step completes count in the order above;
    - `at_goal`: whether each element is at its goal now, `(7,)`, bool;
    - `success`: whether four elements are done;
    - `state`: everything that the rest of the episode depends on except the noise,
      float64 `(75,)`: 30 positions and 29 velocities without noise, the robot's first;
      the last observed positions of the robot's 9 joints; `order`.

    ## Arguments
    - `obs`: "qpos" or "full".
    - `control`: "velocity" or "position".
    - `noise`: Noise ratio, 0.1 as published; 0 for no noise.
    - `render_mode`: None, "rgb_array" (640 x 480; needs OpenGL) or "human" (a window;
      needs OpenGL and pygame).

    ## Demonstrations
    `complete-v2`, `partial-v2` and `mixed-v2` are D4RL's human demonstrations in
    Minari's form. The reader also takes an .npz with `state` `(N, 59)`, `action`
    `(N, 9)` and `episode_ends`. It does not read the first recordings of Gupta et al.
    (2019), .mjl logs, because their format is not documented.

    ## Differences from the environment of Gupta et al. (2019)
    `FrankaKitchen-v1` itself differs in two ways. It runs on a newer MuJoCo, and it
    leaves out the goal, so an observation has 59 numbers and not 60; `to_published` and
    `from_published` of `demos.py` convert. This class differs from `FrankaKitchen-v1`
    in four ways:

    - Robot and objects share one noise ratio, 0.1, as published; `FrankaKitchen-v1`
      uses 0.01 and 0.0005.
    - MuJoCo's solver starts each step without a warm start, so that equal states
      continue equally.
    - Position control.
    - An observation is one float32 array, and actions must be finite.

    ## Versions
    v0: first version.
    """

    metadata = {  # noqa: RUF012 (Gymnasium wants a dictionary)
        "render_modes": RENDER_MODES,
        "render_fps": CONTROL_RATE,
    }
    offered_obs = OBS_KINDS
    offered_controls = CONTROLS
    action_holds = "a number for each joint"

    _noisy_joints: np.ndarray  # the robot's joint positions as last observed, (9,)
    _order: np.ndarray  # 1 for the element done first, ...; 0 for others, (7,)

    def __init__(
        self,
        obs: str = "qpos",
        control: str = "velocity",
        noise: float = NOISE,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(obs, control, render_mode)
        if not 0 <= noise < np.inf:
            raise BadInput(f"noise {noise} must be a ratio of at least 0")
        self.noise = noise
        kitchen = franka_kitchen()
        self._robot, self._model = kitchen.robot_env, kitchen.model
        self._data = mujoco.MjData(self._model)
        self._amplitudes = noise_amplitudes(noise, noise)
        self.action_space = _action_space(control)
        self.observation_space = self._box = observation_space(obs)
        self._camera: KitchenCamera | None = None
        self._set_state(start_state())

    def reset(
        self, *, seed: int | None = None, options: Info | None = None
    ) -> tuple[np.ndarray, Info]:
        """Starts an episode from the scene's only start, or from a given state.

        Args:
            seed: Seed of the noise; None to continue the generator.
            options: `{"state": (75,)}` for a given state.

        Raises:
            BadInput: When the seed or the state is not valid.
        """
        options = self._begin_episode(seed, options)
        given = options.get("state")
        self._set_state(start_state() if given is None else _checked_state(given))
        observed = self._observe()
        if given is not None:
            observed[ROBOT_Q] = self._noisy_joints
        self._noisy_joints = observed[ROBOT_Q]
        self._show()
        return self._observation(observed), self._info()

    def step(self, action: ArrayLike) -> tuple[np.ndarray, float, bool, bool, Info]:
        """Pulls the joints towards their targets for 0.08 s.

        Raises:
            BadInput: When the action is not nine finite numbers.
        """
        values = self._checked_action(action)
        if self.control == "velocity":
            targets = joint_targets(self._noisy_joints, values)
        else:
            targets = within_limits(values)
        data = self._data
        data.ctrl[:] = targets
        data.qacc_warmstart[:] = 0  # so that equal states continue equally
        mujoco.mj_step(self._model, data, self._robot.frame_skip)
        before = np.count_nonzero(self._order)
        self._order = updated_order(self._order, at_goal(data.qpos))
        done = np.count_nonzero(self._order)
        observed = self._observe()
        self._noisy_joints = observed[ROBOT_Q]
        self._show()
        return (
            self._observation(observed),
            float(done - before),
            done == len(ELEMENTS),
            False,
            self._info(),
        )

    def _set_state(self, state: np.ndarray) -> None:
        mujoco.mj_resetData(self._model, self._data)
        self._data.qpos[:] = state[Q]
        self._data.qvel[:] = state[DQ]
        self._noisy_joints = state[NOISY_JOINTS].copy()
        self._order = state[ORDER].astype(np.int64)

    def _observe(self) -> np.ndarray:
        """Draws noise and adds it to the numbers of `obs="full"`, float64 `(59,)`."""
        true = full_observation(self._data.qpos, self._data.qvel)
        return true + self._amplitudes * self.np_random.uniform(-1, 1, len(true))

    def _observation(self, observed: np.ndarray) -> np.ndarray:
        numbers = positions(observed) if self.obs_kind == "qpos" else observed
        return np.clip(numbers.astype(np.float32), self._box.low, self._box.high)

    def _info(self) -> Info:
        data, order = self._data, self._order
        return {
            "done": order > 0,
            "order": order.copy(),
            "at_goal": at_goal(data.qpos),
            "success": bool(np.count_nonzero(order) >= ENOUGH),
            "state": np.concatenate([data.qpos, data.qvel, self._noisy_joints, order]),
        }

    def _render_scene(self) -> np.ndarray:
        if self._camera is None:
            self._camera = KitchenCamera(self.draws_small)
        return self._camera.image(self._data.qpos)

    def tip_in_image(self) -> np.ndarray:
        """Tells where the hand is; see `TaskEnv`."""
        assert self._camera is not None
        return self._camera.tip()

    def close(self) -> None:
        """Closes the viewer and the camera. The next image opens them again."""
        if self._camera is not None:
            self._camera.close()
        super().close()


def _action_space(control: str) -> spaces.Box:
    if control == "velocity":
        return spaces.Box(-1.0, 1.0, (NUM_JOINTS,), np.float32)
    low, high = joint_limits().astype(np.float32)
    return spaces.Box(low, high, dtype=np.float32)


def _checked_state(state: ArrayLike) -> np.ndarray:
    """Returns a state as float64, `(75,)`.

    Raises:
        BadInput: When its shape, a number or its order is not valid.
    """
    values = finite_vector(
        "state", state, STATE_SIZE, f"the {STATE_SIZE} numbers of info['state']"
    )
    order = values[ORDER]
    ranks = np.sort(order)[np.count_nonzero(order == 0) :]
    if (ranks != np.arange(1, len(ranks) + 1)).any():
        raise BadInput(
            f"state {values.tolist()} must end with {len(ELEMENTS)} numbers: 1, 2, ... "
            "for elements in the order in which they were done, and 0 for others"
        )
    return values
