"""Kitchen: seven elements, any four of them in any order, on FrankaKitchen."""

from __future__ import annotations

import contextlib
import functools
import io
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from dp_bench.data.demos import Demos
from dp_bench.errors import BadInput
from dp_bench.task import ObsNoise

from .. import opengl
from ..checks import check_choice, check_reset
from ..scores import ELEMENTS, ENOUGH, sequence
from ..viewer import Window, check_render_mode, rendered

with (
    opengl.loading("Kitchen", "gymnasium-robotics", "'dp-bench[kitchen]'"),
    contextlib.redirect_stderr(io.StringIO()),  # it has news about other environments
):
    import mujoco
    from gymnasium_robotics.envs.franka_kitchen.franka_env import DEFAULT_CAMERA_CONFIG
    from gymnasium_robotics.envs.franka_kitchen.kitchen_env import (
        BONUS_THRESH,
        OBS_ELEMENT_GOALS,
        OBS_ELEMENT_INDICES,
        KitchenEnv,
    )

CONTROL_RATE = 12.5  # policy steps per second [Hz]
NUM_JOINTS = 9  # of the robot: seven of the arm, two fingers
NUM_Q, NUM_DQ = 30, 29  # positions and velocities of robot and objects
STATE_SIZE = NUM_Q + NUM_DQ + NUM_JOINTS + len(ELEMENTS)
Q, DQ = slice(0, 30), slice(30, 59)  # of the state
SEEN, ORDER = slice(59, 68), slice(68, 75)
ROBOT_Q, ROBOT_DQ = slice(0, 9), slice(9, 18)  # of what is seen
OBJECT_Q, OBJECT_DQ = slice(18, 39), slice(39, 59)
NOISE = 0.1  # of the published protocol: a ratio, of robot and objects
# Minari's recordings were made in FrankaKitchen with its own noise and one seed.
ROBOT_NOISE, OBJECT_NOISE, RECORDING_SEED = 0.01, 0.0005, 123
FARTHEST, FASTEST = 10.0, 100.0  # limits of observations [rad, m], [rad/s, m/s]

OBS_KINDS = ("qpos", "full")
CONTROLS = ("velocity", "position")
PUBLISHED_OBS = 60  # numbers: 30 positions, and 30 of a goal that are always 0
WIDTH, HEIGHT = 640, 480  # of pictures [px]

# The numbers of the positions that each element is judged by, end to end.
_PARTS = np.concatenate([OBS_ELEMENT_INDICES[name] for name in ELEMENTS])
_GOALS = np.concatenate([OBS_ELEMENT_GOALS[name] for name in ELEMENTS])
_FIRST = np.cumsum([0, *(len(OBS_ELEMENT_GOALS[name]) for name in ELEMENTS[:-1])])


class Kitchen(gym.Env[np.ndarray, np.ndarray]):
    """A Franka arm does any four of seven things in a kitchen.

    The scene, the robot and what counts as done are those of `FrankaKitchen-v1` of
    gymnasium-robotics. The elements, in the order of all arrays and digits here: bottom
    burner, top burner, light switch, slide cabinet, hinge cabinet, microwave, kettle.

    ## Action
    float32 `(9,)`: seven joints of the arm, two fingers.

    `control="velocity"`: in [-1, 1], velocities in units of 2 rad/s, and 2 m/s for the
    fingers. The target of a joint is where it was seen last, and from there as far as
    this velocity brings it in a step, 0.08 s. (What was seen has noise, and so have the
    targets, as published.)

    `control="position"`: the targets themselves [rad, m].

    Either way targets are moved to the limits of the joints, and position actuators
    pull the joints towards them for a step.

    ## Observation
    float32. `obs="qpos"`: the first 30 numbers of `info["state"]`; `obs="full"`: 59
    numbers, those of D4RL's files.

    | qpos   | full   | meaning                                             | unit     |
    |--------|--------|-----------------------------------------------------|----------|
    | 0-8    | 0-8    | position of the robot's joints                      | rad, m   |
    |        | 9-17   | their velocity                                      | rad/s,   |
    |        |        |                                                     | m/s      |
    | 9-16   | 18-25  | four knobs, each with its burner                    | rad, m   |
    | 17, 18 | 26, 27 | light switch, light                                 | rad, m   |
    | 19     | 28     | slide cabinet                                       | m        |
    | 20, 21 | 29, 30 | left and right door of the hinge cabinet            | rad      |
    | 22     | 31     | microwave                                           | rad      |
    | 23-29  | 32-38  | kettle: x, y, z, quaternion                         | m        |
    |        | 39-58  | velocity of all objects, the kettle's in six        | rad/s,   |
    |        |        | numbers                                             | m/s      |

    Every number has uniform noise: `noise` times an amplitude that the robot's
    configuration names, 0.1 for the robot's joints. Positions are in [-10, 10],
    velocities in [-100, 100]; what is beyond is moved there.

    ## Reward
    How many elements were done in the step for the first time. An element is done when
    the joint values it is judged by are nearer to their goal than 0.3; done stays done.
    The score of an episode is the number of elements done, divided by four, at most 1;
    four make a success.

    ## Start, end
    The scene always starts in the same state: seeds of `reset` move the noise only, of
    what is seen first and of what comes later. Resets without a seed go on drawing from
    the environment's own generator. `reset(options={"state": state})` goes on from a
    state, `(75,)`.

    The episode terminates when all seven elements are done; registration cuts it off
    after 280 steps.

    `info` holds
    - `done`: whether each element was done, `(7,)`, bool;
    - `order`: 1 for the element that was done first, and so on; 0 for those not done,
      `(7,)`, int64. Those done in one step count in the order of the elements;
    - `success`: whether four elements were done;
    - `state`: what the rest of the episode depends on, noise aside, float64 `(75,)`:
      30 positions and 29 velocities without noise, robot first; the 9 positions of the
      robot's joints that were seen last; `order`.

    ## Arguments
    - `obs`: "qpos" or "full".
    - `control`: "velocity" or "position".
    - `noise`: Noise ratio, 0.1 as published; 0 for none.
    - `render_mode`: None, "rgb_array" (640 x 480; needs OpenGL) or "human" (a window;
      needs OpenGL and pygame).

    ## Demonstrations
    `complete-v2`, `partial-v2` and `mixed-v2` are the human ones of D4RL in the form
    that Minari publishes; an .npz with `state` `(N, 59)`, `action` `(N, 9)` and
    `episode_ends` is taken as well. The logs of Gupta et al. (2019) in which people's
    movements were first recorded (.mjl) are not read: their format is not documented.

    ## Differences from the environment of Gupta et al. (2019)
    Those of `FrankaKitchen-v1`: a newer MuJoCo, and 59 instead of 60 numbers, as the
    goal is left out; `to_published` and `from_published` convert. And those of this
    class from `FrankaKitchen-v1`:

    - One noise ratio is for robot and objects, 0.1, as published; there they are 0.01
      and 0.0005.
    - MuJoCo's solver starts each step afresh, so that equal states go on equally.
    - Position control.
    - Observations are one float32 array; NaN and infinity in actions are refused.

    ## Versions
    v0: first version.
    """

    metadata = {  # noqa: RUF012 (Gymnasium wants a dictionary)
        "render_modes": ["rgb_array", "human"],
        "render_fps": CONTROL_RATE,
    }

    _seen: np.ndarray  # positions of the robot's joints, with noise, (9,)
    _order: np.ndarray  # 1 for the element done first, ...; 0 for others, (7,)

    def __init__(
        self,
        obs: str = "qpos",
        control: str = "velocity",
        noise: float = NOISE,
        render_mode: str | None = None,
    ) -> None:
        check_choice("Kitchen", "observation", obs, OBS_KINDS)
        check_choice("Kitchen", "control mode", control, CONTROLS)
        if not 0 <= noise < np.inf:
            raise BadInput(f"noise {noise} must be a ratio of at least 0")
        check_render_mode("Kitchen", render_mode, self.metadata["render_modes"])
        self.obs, self.control, self.noise = obs, control, noise
        self.render_mode = render_mode
        kitchen = franka_kitchen()
        self._robot, self._model = kitchen.robot_env, kitchen.model
        self._data = mujoco.MjData(self._model)
        self._amplitudes = amplitudes(noise, noise)
        self.action_space = _action_space(control)
        self.observation_space = _observation_space(obs)
        self._camera: Camera | None = None
        self._window = Window("Kitchen", round(CONTROL_RATE))
        self._take(_start())

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode from the one start there is, or from a given state.

        Args:
            seed: Of the noise; None to go on drawing.
            options: `{"state": (75,)}` for a given state.

        Raises:
            BadInput: When the seed or the state cannot be used.
        """
        check_reset("Kitchen", seed, options)
        super().reset(seed=seed)
        given = (options or {}).get("state")
        self._take(_start() if given is None else _checked_state(given))
        seen = self._look()
        if given is not None:
            seen[ROBOT_Q] = self._seen
        self._seen = seen[ROBOT_Q]
        if self.render_mode == "human":
            self._window.show(self._picture())
        return self._observe(seen), self._info()

    def step(
        self, action: np.ndarray
    ) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Pulls the joints towards their targets for 0.08 s.

        Raises:
            BadInput: When the action is not nine finite numbers.
        """
        values = _checked_action(action)
        if self.control == "velocity":
            values = joint_targets(self._seen, values)
        else:
            values = _within_limits(values)
        data = self._data
        data.ctrl[:] = values
        data.qacc_warmstart[:] = 0  # else equal states would not go on equally
        mujoco.mj_step(self._model, data, self._robot.frame_skip)
        before = np.count_nonzero(self._order)
        self._order = counted(self._order, at_goal(data.qpos))
        done = np.count_nonzero(self._order)
        seen = self._look()
        self._seen = seen[ROBOT_Q]
        if self.render_mode == "human":
            self._window.show(self._picture())
        return (
            self._observe(seen),
            float(done - before),
            done == len(ELEMENTS),
            False,
            self._info(),
        )

    def _take(self, state: np.ndarray) -> None:
        mujoco.mj_resetData(self._model, self._data)
        self._data.qpos[:] = state[Q]
        self._data.qvel[:] = state[DQ]
        self._seen = state[SEEN].copy()
        self._order = state[ORDER].astype(np.int64)

    def _look(self) -> np.ndarray:
        """What is seen with noise: robot q, dq, object q, dq, float64 `(59,)`."""
        q, dq, n = self._data.qpos, self._data.qvel, NUM_JOINTS
        seen: np.ndarray = np.concatenate([q[:n], dq[:n], q[n:], dq[n:]])
        return seen + self._amplitudes * self.np_random.uniform(-1, 1, len(seen))

    def _observe(self, seen: np.ndarray) -> np.ndarray:
        numbers = positions(seen) if self.obs == "qpos" else seen
        space = self.observation_space
        assert isinstance(space, spaces.Box)
        return np.clip(numbers.astype(np.float32), space.low, space.high)

    def _info(self) -> dict[str, Any]:
        data, order = self._data, self._order
        return {
            "done": order > 0,
            "order": order.copy(),
            "success": bool(np.count_nonzero(order) >= ENOUGH),
            "state": np.concatenate([data.qpos, data.qvel, self._seen, order]),
        }

    def render(self) -> np.ndarray | None:  # type: ignore[override]
        """Draws the kitchen, uint8 `(480, 640, 3)`; nothing is returned by a window.

        Raises:
            BadInput: When there is no OpenGL, or no display for a window.
        """
        return rendered(self.render_mode, self._window, self._picture)

    def _picture(self) -> np.ndarray:
        if self._camera is None:
            self._camera = Camera()
        return self._camera.picture(self._data.qpos)

    def close(self) -> None:
        """Closes the window and the camera, if there are any."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None
        self._window.close()


class Camera:
    """Draws positions from where FrankaKitchen draws them; keeps its OpenGL context.

    Raises:
        BadInput: When there is no OpenGL.
    """

    def __init__(self) -> None:
        self._model = franka_kitchen().model
        self._renderer = opengl.renderer("Kitchen", self._model, HEIGHT, WIDTH)
        self._data = mujoco.MjData(self._model)
        self._view = mujoco.MjvCamera()
        for name, value in DEFAULT_CAMERA_CONFIG.items():
            setattr(self._view, name, value)

    def picture(self, q: np.ndarray) -> np.ndarray:
        """Draws positions of robot and objects, `(30,)`: uint8 `(480, 640, 3)`."""
        self._data.qpos[:] = q
        mujoco.mj_forward(self._model, self._data)
        self._renderer.update_scene(self._data, camera=self._view)
        return np.array(self._renderer.render())

    def close(self) -> None:
        """Gives the OpenGL context back."""
        self._renderer.close()


def at_goal(q: np.ndarray) -> np.ndarray:
    """Whether elements are where they shall be, bool `(..., 7)`.

    Args:
        q: Positions of robot and objects, `(..., 30)`.
    """
    off = q[..., _PARTS] - _GOALS
    squared = np.add.reduceat(off * off, _FIRST, axis=-1)
    near: np.ndarray = np.sqrt(squared) < BONUS_THRESH
    return near


def counted(order: np.ndarray, near: np.ndarray) -> np.ndarray:
    """The order of elements, after a look at which of them are at their goal.

    Args:
        order: 1 for what was done first, and so on; 0 for what was not, `(7,)`.
        near: Whether each is at its goal, `(7,)`.
    """
    new = near & (order == 0)
    if not new.any():
        return order
    later = order.copy()
    later[new] = np.count_nonzero(order) + np.arange(1, np.count_nonzero(new) + 1)
    return later


def joint_targets(seen: np.ndarray, velocities: np.ndarray) -> np.ndarray:
    """Where velocity actions put the targets of the joints, `(..., 9)` [rad, m].

    Args:
        seen: Positions of the robot's joints as seen before, `(..., 9)`.
        velocities: Actions, `(..., 9)`.
    """
    robot = franka_kitchen().robot_env
    wanted = robot.act_mid + np.clip(velocities, -1.0, 1.0) * robot.act_rng
    slowest, fastest = robot.robot_vel_bound[:NUM_JOINTS].T
    return _within_limits(seen + np.clip(wanted, slowest, fastest) * robot.dt)


def targets(demos: Demos) -> np.ndarray:
    """Actions of demonstrations for position control: where targets were [rad, m].

    Every target is counted from the posture in which its action was recorded. Nothing
    is replayed, so nothing has drifted.

    Returns:
        `(N, 9)`, float64.
    """
    return joint_targets(demos.states[:, SEEN], demos.actions.astype(np.float64))


def obs_noise(obs_kind: str, control: str) -> ObsNoise:
    """The noise of what is seen in tests, and what velocities must make up for.

    Args:
        obs_kind: "qpos" or "full".
        control: "velocity", which is counted from where joints are seen, or "position".

    Returns:
        `noise`, `(30,)` or `(59,)` [rad, m; and these per second], by the amplitudes of
        the robot's configuration; `follows`, `(9, 30)` or `(9, 59)`.
    """
    robot = franka_kitchen().robot_env
    noise = amplitudes(NOISE, NOISE)
    if obs_kind == "qpos":
        noise = positions(noise)
    follows = np.zeros((NUM_JOINTS, len(noise)))
    if control == "velocity":  # a joint seen too far ahead has less far to go
        follows[:, ROBOT_Q] = -np.diag(1 / (robot.act_rng * robot.dt))
    return ObsNoise(noise, follows)


def positions(full: np.ndarray) -> np.ndarray:
    """The 30 numbers of `obs="qpos"` among the 59 of `obs="full"`, `(..., 30)`."""
    return np.concatenate([full[..., ROBOT_Q], full[..., OBJECT_Q]], axis=-1)


def to_published(q: np.ndarray) -> np.ndarray:
    """The observation of published checkpoints, `(..., 60)`: a goal of zeros is added.

    Args:
        q: Observations of `obs="qpos"`, `(..., 30)`.

    Raises:
        BadInput: When they have another number of numbers.
    """
    _check_width("obs='qpos'", q, NUM_Q)
    goal = np.zeros_like(q, shape=(*q.shape[:-1], PUBLISHED_OBS - NUM_Q))
    return np.concatenate([q, goal], axis=-1)


def from_published(obs: np.ndarray) -> np.ndarray:
    """Published observations, `(..., 60)`, without their goal: `(..., 30)`.

    Raises:
        BadInput: When they have another number of numbers.
    """
    _check_width("published observations", obs, PUBLISHED_OBS)
    return obs[..., :NUM_Q].copy()


def demos_from_arrays(arrays: dict[str, np.ndarray], episode_ends: np.ndarray) -> Demos:
    """Demonstrations from what was seen and done in D4RL's Kitchen.

    States are what was seen, without the noise where it can be told: then a replay
    meets the same noise, which moves targets. An element is done from the first row on
    in which it is at its goal; what the last action of an episode led to is not known.

    Args:
        arrays: `state`, `(N, 59)` as of `obs="full"`, and `action`, `(N, 9)`, of
            velocity control.
        episode_ends: `(E,)`.

    Returns:
        Demonstrations with the notes `elements`, how many were done; `sequence`, which,
        in which order; and `env_seed`, of the noise, where it can be told.

    Raises:
        BadInput: When an array has another shape.
    """
    rows = int(episode_ends[-1])
    for name, width in (("state", NUM_Q + NUM_DQ), ("action", NUM_JOINTS)):
        if arrays[name].shape != (rows, width):
            raise BadInput(
                f"array {name!r} of Kitchen demonstrations has shape "
                f"{arrays[name].shape}, and must have {(rows, width)}"
            )
    seen = np.asarray(arrays["state"], np.float32)
    noise = _recorded_noise(seen, episode_ends)
    true = seen if noise is None else seen - noise
    q = positions(true)
    states = np.zeros((rows, STATE_SIZE))
    states[:, Q], states[:, SEEN] = q, seen[:, ROBOT_Q]
    states[:, DQ] = np.concatenate([true[:, ROBOT_DQ], true[:, OBJECT_DQ]], axis=1)
    rewards = np.zeros(rows, np.float32)
    near = at_goal(q)
    elements, sequences = [], []
    for begin, end in zip([0, *episode_ends[:-1]], episode_ends, strict=True):
        order = np.zeros(len(ELEMENTS), np.int64)
        for row in range(begin, end):
            before, order = order, counted(order, near[row])
            states[row, ORDER] = order
            if row > begin:
                rewards[row - 1] = np.count_nonzero(order) - np.count_nonzero(before)
        elements.append(np.count_nonzero(order))
        sequences.append(sequence(order))
    notes = {"elements": np.array(elements), "sequence": np.array(sequences)}
    if noise is not None:
        notes["env_seed"] = np.full(len(episode_ends), RECORDING_SEED)
    return Demos(
        task="kitchen",
        source="complete-v2",
        obs={"qpos": positions(seen), "full": seen},
        actions=np.asarray(arrays["action"], np.float32),
        states=states,
        rewards=rewards,
        scores=np.minimum(np.array(elements) / ENOUGH, 1.0),
        episode_ends=np.asarray(episode_ends, np.int64),
        env_kwargs={
            "obs": "qpos",
            "control": "velocity",
            "noise": 0.0 if noise is None else ROBOT_NOISE,
        },
        notes=notes,
    )


@functools.cache
def franka_kitchen() -> Any:
    """The FrankaKitchen of this process: its model and constants; nobody steps it."""
    return KitchenEnv(width=WIDTH, height=HEIGHT)


def amplitudes(robot: float, objects: float) -> np.ndarray:
    """Largest noise of what is seen, `(59,)`, from the ratios of robot and objects."""
    of_q, of_dq = (
        franka_kitchen().robot_env.robot_pos_noise_amp,
        franka_kitchen().robot_env.robot_vel_noise_amp,
    )
    # As FrankaKitchen has it, the first object has the amplitude of a finger.
    return np.concatenate(
        [
            robot * of_q[:NUM_JOINTS],
            robot * of_dq[:NUM_JOINTS],
            objects * of_q[NUM_JOINTS - 1 :],
            objects * of_dq[NUM_JOINTS:],
        ]
    )


def _recorded_noise(seen: np.ndarray, episode_ends: np.ndarray) -> np.ndarray | None:
    """The noise in Minari's recordings, `(N, 59)`; None where it is not that noise.

    It can be drawn again, as their seed is known. Whether it is the same is seen in the
    first row of each episode, in which the robot is where it always starts.
    """
    begins = np.array([0, *episode_ends[:-1]])
    rng, _ = gym.utils.seeding.np_random(RECORDING_SEED)
    longest = int((episode_ends - begins).max())
    drawn = rng.uniform(-1, 1, (longest, NUM_Q + NUM_DQ))
    noise = drawn * amplitudes(ROBOT_NOISE, OBJECT_NOISE)
    start = _start()[:NUM_JOINTS] + noise[0, ROBOT_Q]
    if np.abs(seen[begins, ROBOT_Q] - start).max() > 1e-5:
        return None
    rows = np.arange(len(seen)) - np.repeat(begins, episode_ends - begins)
    return noise[rows]


def _start() -> np.ndarray:
    """The state in which an episode starts, `(75,)`."""
    state = np.zeros(STATE_SIZE)
    state[Q] = franka_kitchen().robot_env.init_qpos
    state[SEEN] = state[:NUM_JOINTS]
    return state


def _within_limits(values: np.ndarray) -> np.ndarray:
    low, high = franka_kitchen().robot_env.robot_pos_bound[:NUM_JOINTS].T
    return np.clip(values, low, high)


def _action_space(control: str) -> spaces.Box:
    if control == "velocity":
        return spaces.Box(-1.0, 1.0, (NUM_JOINTS,), np.float32)
    limits = franka_kitchen().robot_env.robot_pos_bound[:NUM_JOINTS]
    low, high = limits.T.astype(np.float32)
    return spaces.Box(low, high, dtype=np.float32)


def _observation_space(obs: str) -> spaces.Box:
    limits = np.full(NUM_Q + NUM_DQ, FARTHEST, np.float32)
    limits[ROBOT_DQ] = limits[OBJECT_DQ] = FASTEST
    if obs == "qpos":
        limits = positions(limits)
    return spaces.Box(-limits, limits, dtype=np.float32)


def _check_width(what: str, array: np.ndarray, width: int) -> None:
    if array.shape[-1:] != (width,):
        raise BadInput(
            f"{what} of Kitchen must have {width} numbers a row, not shape "
            f"{array.shape}"
        )


def _checked_action(action: Any) -> np.ndarray:
    values = np.asarray(action, np.float64)
    if values.shape != (NUM_JOINTS,):
        raise BadInput(
            f"action {action!r} must hold a number for each joint: shape "
            f"({NUM_JOINTS},), not {values.shape}"
        )
    if not np.isfinite(values).all():
        raise BadInput(f"action {values.tolist()} must be finite")
    return values


def _checked_state(state: Any) -> np.ndarray:
    values = np.asarray(state, np.float64)
    if values.shape != (STATE_SIZE,):
        raise BadInput(
            f"state must hold the {STATE_SIZE} numbers that info['state'] holds: "
            f"shape ({STATE_SIZE},), not {values.shape}"
        )
    order = values[ORDER]
    ranks = np.sort(order)[np.count_nonzero(order == 0) :]
    if not np.isfinite(values).all() or (ranks != np.arange(1, len(ranks) + 1)).any():
        raise BadInput(
            f"state {values.tolist()} must be finite, and its last {len(ELEMENTS)} "
            "numbers 1, 2, ... for elements in the order in which they were done and 0 "
            "for others"
        )
    return values
