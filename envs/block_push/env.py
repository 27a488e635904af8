"""BlockPush: push two blocks into two targets, in any order."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np
from gymnasium import spaces

from dp_bench.errors import BadInput

from .. import opengl
from ..base import ASSETS, RENDER_MODES, TaskEnv, finite_vector
from .geometry import (
    AIM,
    BLOCK,
    CONTROL_RATE,
    ENTERED,
    HISTORY,
    PLACES,
    POSE,
    PUSHER,
    PUSHER_RADIUS,
    PUSHER_START,
    SOLVED,
    SPEED,
    STATE_SIZE,
    X_LIMITS,
    Y_LIMITS,
    distance_to_way,
    in_target,
    share_of_way,
    start,
)

with opengl.loading("BlockPush", "MuJoCo", "'mujoco>=3.3,<3.9'"):
    import mujoco

    from .camera import BlockPushCamera

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from dp_bench.util.types import Info

PHYSICS_RATE = 150  # simulation steps per second [Hz]
LARGEST_DISPLACEMENT = 0.1  # of the pusher's target, in one step and direction [m]
SPIN = 1.2  # speed of the pusher about its own axis, fitted as LAG is [rad/s]
TOUCH = BLOCK / math.sqrt(2) + PUSHER_RADIUS  # no contact beyond this distance [m]
AT_REST = 1e-5  # a block slower than this stops [m/s, rad/s]
STRAY = 1.0  # no block is pushed further than this, in x or y [m]

CONTROLS = ("velocity", "position")


class BlockPush(TaskEnv[np.ndarray]):
    """A thin vertical pusher brings two blocks on a table into two targets.

    Any block may go into any target, and either block may go first: four orders are
    equally good, and demonstrations contain them all.

    ## Action
    `control="velocity"`, float32 `(2,)`:

    | index  | meaning                           | range                            |
    |--------|-----------------------------------|----------------------------------|
    | 0, 1   | displacement of the target x, y   | [-0.1, 0.1] m                    |

    `control="position"`, float32 `(2,)`:

    | index  | meaning                           | range                            |
    |--------|-----------------------------------|----------------------------------|
    | 0, 1   | target of the pusher x, y         | x [0.15, 0.7], y [-0.5, 0.5] m   |

    The environment moves targets outside these ranges to the edge of the workspace. In
    the 0.1 s of a step the pusher moves towards its target at constant speed. It starts
    at a distance d and stops 3.1 d^2 [m] short: 3 mm if it had 30 mm to go. From 0.16 m
    on it moves at its highest speed, 0.8 m/s.

    ## Observation
    float32 `(16,)`:

    | index  | meaning              | range                            |
    |--------|----------------------|----------------------------------|
    | 0, 1   | block x, y           | [-1, 1] m                        |
    | 2      | block yaw            | [0, pi] rad                      |
    | 3, 4   | second block x, y    | [-1, 1] m                        |
    | 5      | second block yaw     | [0, pi] rad                      |
    | 6, 7   | pusher x, y          | x [0.15, 0.7], y [-0.5, 0.5] m   |
    | 8, 9   | pusher's target x, y | x [0.15, 0.7], y [-0.5, 0.5] m   |
    | 10, 11 | target x, y          | x [0.15, 0.7], y [-0.5, 0.5] m   |
    | 12     | target yaw           | [0, pi] rad                      |
    | 13, 14 | second target x, y   | x [0.15, 0.7], y [-0.5, 0.5] m   |
    | 15     | second target yaw    | [0, pi] rad                      |

    A block looks the same after half a turn, so yaws are modulo pi.

    ## Reward
    0.49 for each block that enters a target for the first time; 0.51 instead as soon as
    the blocks are in different targets. A block is in a target if its centre is closer
    than 0.05 m. The score of an episode is the sum of its different rewards, at most 1:
    0.49 for one block, 1 for both.

    ## Start, end
    `reset(seed=s)` draws the start that the published simulator draws for seed s. In
    999 of its 1000 demonstrations the start is the same; the simulator drew the other
    one again. The pusher is at (0.3, -0.4). Blocks have x in [0.3, 0.5], at least 0.1
    apart, y in [-0.35, -0.05] and yaw in [1, pi]. The targets are near (0.28, 0.2) and
    (0.52, 0.2), in random order. `reset()` draws the next start from the environment's
    own generator. `reset(options={"state": state})` starts from a state, `(26,)`.

    The episode terminates when the blocks are in different targets. Registration cuts
    it off after 350 steps.

    `info` holds
    - `in_target`: whether block i is in target j, `(2, 2)`, bool;
    - `entered`: whether it has been there since the start, `(2, 2)`, bool;
    - `success`: whether the blocks are in different targets;
    - `state`: float64 `(26,)`, all that the rest of the episode depends on: the 16
      numbers of the observation; x, y and yaw velocity of each block [m/s, rad/s];
      `entered`, row by row, as 0 and 1.

    ## Arguments
    - `obs`: "state".
    - `control`: "velocity" or "position".
    - `render_mode`: None, "rgb_array" (640 x 448; needs OpenGL) or "human" (a window;
      needs OpenGL and pygame).

    ## Differences from the environment of Florence et al. (2021) and Chi et al. (2023)
    The simulator is MuJoCo instead of PyBullet, so scores do not compare with published
    ones.

    - The pusher is not the tip of an arm. It lags behind its target as far as the tip
      of their xArm does on average. There the lag also depends on the posture, by 1 mm.
    - The pusher turns about its own axis, at a speed fitted to their demonstrations.
      There, blocks slip along the tip and turn clockwise by 0.02 rad a step, whichever
      way they are pushed. A demonstrator therefore has to turn a block again now and
      then.
    - Blocks slide and turn on the table and do not tip. Friction with the table acts at
      one point below the centre, as a force and as a torque with a fitted lever arm.
    - A block comes to rest exactly as soon as nothing moves it.
    - Observations are one float32 array instead of a dictionary of float64 arrays.
    - The environment refuses NaN and infinity in actions.

    ## Versions
    v0: first version.
    """

    metadata = {  # noqa: RUF012 (Gymnasium wants a dictionary)
        "render_modes": RENDER_MODES,
        "render_fps": CONTROL_RATE,
    }
    offered_controls = CONTROLS
    action_holds = "x, y"

    _blocks: tuple[float, ...]  # x, y, yaw of each [m, rad]
    _speeds: tuple[float, ...]  # x, y and yaw velocity of each [m/s, rad/s]
    _pusher: tuple[float, ...]  # x, y [m]
    _aim: tuple[float, ...]  # the pusher's target, x, y [m]
    _places: tuple[float, ...]  # x, y, yaw of each target [m, rad]

    def __init__(
        self,
        obs: str = "state",
        control: str = "velocity",
        render_mode: str | None = None,
    ) -> None:
        super().__init__(obs, control, render_mode)
        self.action_space = _action_space(control)
        self.observation_space = _observation_space()
        self._model, self._height = physics()
        self._data = mujoco.MjData(self._model)
        self._camera = BlockPushCamera()
        self._set_state(start(np.random.RandomState(0)))

    def reset(
        self, *, seed: int | None = None, options: Info | None = None
    ) -> tuple[np.ndarray, Info]:
        """Starts an episode from a drawn or a given state.

        Args:
            seed: Seed of the start; None draws the next one.
            options: `{"state": (26,)}` for a given state.

        Raises:
            BadInput: When the seed or the state cannot be used.
        """
        given = self._begin_episode(seed, options).get("state")
        if given is not None:
            state = _checked_state(given)
        elif seed is not None:
            state = start(np.random.RandomState(seed))  # the generator of the reference
        else:
            state = start(self.np_random)
        self._set_state(state)
        self._show()
        return self._observe(), self._info()

    def step(self, action: ArrayLike) -> tuple[np.ndarray, float, bool, bool, Info]:
        """Moves the pusher towards its target for a tenth of a second.

        Raises:
            BadInput: When the action is not two finite numbers.
        """
        self._aim = self._target(action)
        self._move_pusher()
        self._in_target = in_target(self._blocks, self._places)
        earned = 0.0
        for k, inside in enumerate(self._in_target):
            if inside and not self._entered[k]:
                self._entered[k] = True
                earned += ENTERED
        solved = self._solved()
        self._show()
        reward = SOLVED if solved else earned
        return self._observe(), reward, solved, False, self._info()

    def close(self) -> None:
        """Closes the viewer and the camera. The next image opens them again."""
        super().close()
        self._camera.close()

    def _target(self, action: ArrayLike) -> tuple[float, float]:
        """Returns the target in the workspace that an action means [m]."""
        x, y = self._checked_action(action).tolist()
        if self.control == "velocity":
            x, y = self._aim[0] + x, self._aim[1] + y
        (left, right), (near, far) = X_LIMITS, Y_LIMITS
        return min(max(x, left), right), min(max(y, near), far)

    def _move_pusher(self) -> None:
        """Moves the pusher and all that it pushes. Skips physics that moves nothing."""
        x, y = self._pusher
        dx, dy = self._aim[0] - x, self._aim[1] - y
        share = share_of_way(math.hypot(dx, dy))
        dx, dy = share * dx, share * dy
        x1, y1, yaw1, x2, y2, yaw2 = self._blocks
        if (
            any(self._speeds)
            or distance_to_way(x1, y1, x, y, dx, dy) < TOUCH
            or distance_to_way(x2, y2, x, y, dx, dy) < TOUCH
        ):
            vx1, vy1, turn1, vx2, vy2, turn2 = self._speeds
            data, z = self._data, self._height
            # This is all that the physics remembers, so equal states go on equally.
            data.qpos[:] = x, y, 0, x1, y1, z, yaw1, x2, y2, z, yaw2
            vx, vy = dx * CONTROL_RATE, dy * CONTROL_RATE
            data.qvel[:] = vx, vy, SPIN, vx1, vy1, 0, turn1, vx2, vy2, 0, turn2
            data.qacc_warmstart[:] = 0
            mujoco.mj_step(self._model, data, PHYSICS_RATE // CONTROL_RATE)
            _, _, _, x1, y1, _, yaw1, x2, y2, _, yaw2 = data.qpos.tolist()
            _, _, _, vx1, vy1, _, turn1, vx2, vy2, _, turn2 = data.qvel.tolist()
            self._blocks = x1, y1, yaw1 % math.pi, x2, y2, yaw2 % math.pi
            self._speeds = (
                *_stopped(vx1, vy1, turn1),
                *_stopped(vx2, vy2, turn2),
            )
        self._pusher = x + dx, y + dy

    def _set_state(self, state: np.ndarray) -> None:
        numbers = state.tolist()
        self._blocks = tuple(numbers[POSE])
        self._pusher = tuple(numbers[PUSHER])
        self._aim = tuple(numbers[AIM])
        self._places = tuple(numbers[PLACES])
        self._speeds = tuple(numbers[SPEED])
        self._entered = [number > 0.5 for number in numbers[HISTORY]]
        self._in_target = in_target(self._blocks, self._places)

    def _solved(self) -> bool:
        a_in_a, a_in_b, b_in_a, b_in_b = self._in_target
        return (a_in_a and b_in_b) or (a_in_b and b_in_a)

    def _observation(self) -> tuple[float, ...]:
        return *self._blocks, *self._pusher, *self._aim, *self._places

    def _observe(self) -> np.ndarray:
        return np.array(self._observation(), np.float32)

    def _info(self) -> Info:
        return {
            "in_target": np.array(self._in_target).reshape(2, 2),
            "entered": np.array(self._entered).reshape(2, 2),
            "success": self._solved(),
            "state": np.array((*self._observation(), *self._speeds, *self._entered)),
        }

    def _render_scene(self) -> np.ndarray:
        observation = np.array(self._observation())
        return self._camera.image(observation, self.draws_small)

    def tip_in_image(self) -> np.ndarray:
        """Tells where the pusher is; see `TaskEnv`."""
        return self._camera.tip()


@functools.cache
def physics() -> tuple[mujoco.MjModel, float]:
    """Returns the simulated table, and the height of a resting block [m]."""
    model = mujoco.MjModel.from_xml_path(str(ASSETS / "block_push.xml"))
    data = mujoco.MjData(model)
    x, y = PUSHER_START
    data.qpos[:] = x, y, 0, x + 0.2, y, 0, 0, x + 0.2, y + 0.2, 0, 0
    mujoco.mj_step(model, data, PHYSICS_RATE)
    return model, float(data.qpos[5])


def _stopped(vx: float, vy: float, turn: float) -> tuple[float, float, float]:
    """Returns the velocities of a block, or zeros if it hardly moves."""
    if max(abs(vx), abs(vy), abs(turn)) < AT_REST:
        return 0.0, 0.0, 0.0
    return vx, vy, turn


def _action_space(control: str) -> spaces.Box:
    if control == "velocity":
        most = LARGEST_DISPLACEMENT
        return spaces.Box(-most, most, (2,), np.float32)
    low, high = np.transpose([X_LIMITS, Y_LIMITS]).astype(np.float32)
    return spaces.Box(low, high, dtype=np.float32)


def _observation_space() -> spaces.Box:
    x, y = X_LIMITS, Y_LIMITS
    stray, yaw = (-STRAY, STRAY), (0.0, math.pi)
    block, place = (stray, stray, yaw), (x, y, yaw)
    limits = np.array([*block, *block, x, y, x, y, *place, *place], np.float32)
    return spaces.Box(limits[:, 0], limits[:, 1], dtype=np.float32)


def _checked_state(state: ArrayLike) -> np.ndarray:
    holds = f"the {STATE_SIZE} numbers of info['state']"
    values = finite_vector("state", state, STATE_SIZE, holds)
    space = _observation_space()
    low = space.low.astype(np.float64) - 1e-6
    high = space.high.astype(np.float64) + 1e-6
    seen = values[: len(low)]
    if not ((seen >= low) & (seen <= high)).all():
        raise BadInput(
            f"state {values.tolist()} must have its first {len(low)} numbers in the "
            "ranges of the observation"
        )
    return values
