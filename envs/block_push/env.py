"""BlockPush: push two blocks into two targets, in any order."""

from __future__ import annotations

import functools
import math
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from dp_bench.data.demos import Demos
from dp_bench.errors import BadInput

from .. import opengl
from ..checks import check_choice, check_reset
from ..viewer import Window, check_render_mode, rendered

with opengl.loading("BlockPush", "MuJoCo", "'mujoco>=3.3,<3.9'"):
    import mujoco

CONTROL_RATE = 10  # policy steps per second [Hz]
PHYSICS_RATE = 150  # simulation steps per second [Hz]
X_LIMITS = (0.15, 0.7)  # where the pusher's target can be [m]
Y_LIMITS = (-0.5, 0.5)
PUSHER_START = (0.3, -0.4)  # [m]
LARGEST_DISPLACEMENT = 0.1  # of the pusher's target, in one step and direction [m]
BLOCK = 0.04  # edge of a block [m]
BLOCK_MASS = 0.01  # [kg]
GRAVITY = 9.8  # [m/s^2]
FRICTION = 1.0  # of blocks with the table, the pusher and each other
TARGET_RADIUS = 0.05  # a block is in a target when its centre is nearer than this [m]
ENTERED, SOLVED = 0.49, 0.51  # rewards
LARGEST_STEP = 0.01  # how far a pushed block comes in a step, rather more [m]

# Fitted to demonstrations of the published simulator; see the differences below.
PUSHER_RADIUS = 0.006  # [m]
LAG = 3.1  # a pusher at d from its target is LAG d^2 short of it a step later [1/m]
SPIN = 1.2  # how fast the pusher turns about its own axis [rad/s]
TURNING_RADIUS = 0.038  # lever arm of friction with the table against turning [m]

TOUCH = BLOCK / math.sqrt(2) + PUSHER_RADIUS  # no contact beyond this distance [m]
AT_REST = 1e-5  # a block slower than this stops [m/s, rad/s]
SOFTNESS = 2 / PHYSICS_RATE  # time in which contacts part again [s]
STATE_SIZE = 26
POSE, PUSHER, AIM, PLACES = slice(0, 6), slice(6, 8), slice(8, 10), slice(10, 16)
SPEED, HISTORY = slice(16, 22), slice(22, 26)
STRAY = 1.0  # no block is pushed further than this, in x or y [m]

CONTROLS = ("velocity", "position")
WIDTH, HEIGHT = 640, 448  # of pictures [px]


class BlockPush(gym.Env[np.ndarray, np.ndarray]):
    """A thin vertical pusher brings two blocks on a table into two targets.

    Any block may go into any target, and either block may go first: four orders are
    equally good, and demonstrations contain them all.

    ## Action
    `control="velocity"`: how far the pusher's target moves, `(2,)`: x, y in
    [-0.1, 0.1] m.

    `control="position"`: where the pusher's target is, `(2,)`: x in [0.15, 0.7] and y
    in [-0.5, 0.5] m.

    Targets beyond the workspace, x in [0.15, 0.7] and y in [-0.5, 0.5] m, are moved to
    its edge. In the 0.1 s of a step the pusher moves at constant speed. From a target
    at distance d it is then 3.1 d^2 away [m]: 3 mm when it had 30 mm to go. From 0.16 m
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

    Half a turn leaves a block as it was: yaws are given modulo pi.

    ## Reward
    0.49 whenever a block is in a target in which it has not been before, a block being
    in a target when its centre is nearer than 0.05 m; and 0.51, instead, as soon as the
    blocks are in different targets. The score of an episode is the sum of the different
    rewards it got, at most 1: 0.49 for one block, 1 for both.

    ## Start, end
    `reset(seed=s)` draws the start that the published simulator draws for seed s: for
    999 of the 1000 seeds that its demonstrations have, it is the start they have. The
    pusher is at (0.3, -0.4). Blocks have x in [0.3, 0.5] and differ in it by more than
    0.1, y in [-0.35, -0.05] and yaw in [1, pi]; targets are near (0.28, 0.2) and
    (0.52, 0.2), which of them is the first being drawn too. Resets without a seed go on
    drawing from the environment's own generator. `reset(options={"state": state})`
    goes on from a state, `(26,)`.

    The episode terminates when the blocks are in different targets; registration cuts
    it off after 350 steps.

    `info` holds
    - `in_target`: whether block i is in target j, `(2, 2)`, bool;
    - `entered`: whether it has been there since the start, `(2, 2)`, bool;
    - `success`: whether the blocks are in different targets;
    - `state`: what the rest of the episode depends on, float64 `(26,)`: the 16 numbers
      of the observation; x, y and yaw velocity of each block [m/s, rad/s]; `entered`,
      row by row, as 0 and 1.

    ## Arguments
    - `obs`: "state".
    - `control`: "velocity" or "position".
    - `render_mode`: None, "rgb_array" (640 x 448; needs OpenGL) or "human" (a window;
      needs OpenGL and pygame).

    ## Differences from the environment of Florence et al. (2021) and Chi et al. (2023)
    It is another simulator, MuJoCo and not PyBullet, so its numbers are not theirs.

    - The pusher is not the tip of an arm. It lags behind its target as the tip of their
      xArm does on the average; there, the lag depends on the posture too, by 1 mm.
    - It turns about its own axis, at a speed fitted to their demonstrations: blocks
      slip along the tip and turn clockwise there, 0.02 rad a step, whichever way they
      are pushed. This is why a demonstrator has to turn a block anew now and then.
    - Blocks slide and turn on the table and do not tip. Friction with the table acts at
      one point below the centre, as a force and as a torque with a fitted lever arm.
    - A block comes to rest, exactly, when nothing moves it.
    - Observations are one float32 array and not a dictionary of float64 arrays.
    - NaN and infinity are refused.

    ## Versions
    v0: first version.
    """

    metadata = {  # noqa: RUF012 (Gymnasium wants a dictionary)
        "render_modes": ["rgb_array", "human"],
        "render_fps": CONTROL_RATE,
    }

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
        check_choice("BlockPush", "observation", obs, ("state",))
        check_choice("BlockPush", "control mode", control, CONTROLS)
        check_render_mode("BlockPush", render_mode, self.metadata["render_modes"])
        self.control, self.render_mode = control, render_mode
        self.action_space = _action_space(control)
        self.observation_space = _observation_space()
        self._model, self._height = _physics()
        self._data = mujoco.MjData(self._model)
        self._camera: Camera | None = None
        self._window = Window("BlockPush", CONTROL_RATE)
        self._take(start(np.random.RandomState(0)))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode from a drawn or a given state.

        Args:
            seed: Which start; None for a new one.
            options: `{"state": (26,)}` for a given state.

        Raises:
            BadInput: When the seed or the state cannot be used.
        """
        check_reset("BlockPush", seed, options)
        super().reset(seed=seed)
        if options and options.get("state") is not None:
            state = _checked_state(options["state"])
        elif seed is not None:
            state = start(np.random.RandomState(seed))  # as the reference draws
        else:
            state = start(self.np_random)
        self._take(state)
        if self.render_mode == "human":
            self._window.show(self._picture())
        return self._observe(), self._info()

    def step(
        self, action: np.ndarray
    ) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
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
        if self.render_mode == "human":
            self._window.show(self._picture())
        return (
            self._observe(),
            SOLVED if solved else earned,
            solved,
            False,
            self._info(),
        )

    def _target(self, action: Any) -> tuple[float, float]:
        """Where in the workspace an action puts the pusher's target [m]."""
        x, y = _checked_action(action, self.action_space)
        if self.control == "velocity":
            x, y = self._aim[0] + x, self._aim[1] + y
        (left, right), (near, far) = X_LIMITS, Y_LIMITS
        return min(max(x, left), right), min(max(y, near), far)

    def _move_pusher(self) -> None:
        """Moves the pusher, and what it pushes; physics runs only if it can matter."""
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
            # Everything that the physics remembers: equal states go on equally.
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

    def _take(self, state: np.ndarray) -> None:
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

    def _info(self) -> dict[str, Any]:
        return {
            "in_target": np.array(self._in_target).reshape(2, 2),
            "entered": np.array(self._entered).reshape(2, 2),
            "success": self._solved(),
            "state": np.array((*self._observation(), *self._speeds, *self._entered)),
        }

    def render(self) -> np.ndarray | None:  # type: ignore[override]
        """Draws the table, uint8 `(448, 640, 3)`; nothing is returned by a window.

        Raises:
            BadInput: When there is no OpenGL, or no display for a window.
        """
        return rendered(self.render_mode, self._window, self._picture)

    def _picture(self) -> np.ndarray:
        if self._camera is None:
            self._camera = Camera()
        return self._camera.picture(np.array(self._observation()))

    def close(self) -> None:
        """Closes the window and the camera, if there are any."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None
        self._window.close()


def start(rng: np.random.RandomState | np.random.Generator) -> np.ndarray:
    """Draws a state in which an episode starts, `(26,)`.

    Draws come in the order of the reference, so that its generator gives its starts.
    """

    def block() -> tuple[float, float]:
        return 0.4 + rng.uniform(-0.1, 0.1), -0.2 + rng.uniform(-0.15, 0.15)

    def block_yaw() -> float:
        return math.pi - (math.pi - 1) * rng.random()  # the reference misses [0, 1]

    def target(x: float) -> tuple[float, float]:
        return x + rng.uniform(-0.005, 0.005), 0.2 + rng.uniform(-0.0075, 0.0075)

    def target_yaw() -> float:
        return (math.pi + rng.uniform(-math.pi / 30, math.pi / 30)) % math.pi

    block_1 = *block(), block_yaw()
    xy = block()
    while abs(xy[0] - block_1[0]) <= 0.1:
        xy = block()
    block_2 = *xy, block_yaw()
    aside = 0.12 * rng.choice([-1, 1])
    target_1 = *target(0.4 + aside), target_yaw()
    xy = target(0.4 - aside)
    while abs(xy[0] - target_1[0]) <= 0.12:
        xy = target(0.4 - aside)
    target_2 = *xy, target_yaw()
    drawn = *block_1, *block_2, *PUSHER_START, *PUSHER_START, *target_1, *target_2
    return np.array([*drawn, *[0.0] * (STATE_SIZE - len(drawn))])


def in_target(
    blocks: tuple[float, ...], places: tuple[float, ...]
) -> tuple[bool, bool, bool, bool]:
    """Whether each block is in each target: first in both, then second in both.

    Args:
        blocks: x, y, yaw of each, `(6,)`.
        places: x, y, yaw of each target, `(6,)`.
    """
    x1, y1, _, x2, y2, _ = blocks
    xa, ya, _, xb, yb, _ = places
    return (
        math.hypot(x1 - xa, y1 - ya) < TARGET_RADIUS,
        math.hypot(x1 - xb, y1 - yb) < TARGET_RADIUS,
        math.hypot(x2 - xa, y2 - ya) < TARGET_RADIUS,
        math.hypot(x2 - xb, y2 - yb) < TARGET_RADIUS,
    )


def share_of_way(distance: float) -> float:
    """How much of its way the pusher comes in a step.

    From `1 / (2 LAG)` on, where `distance - LAG distance^2` is largest, it moves at the
    speed that it has there, 0.8 m/s.
    """
    farthest = 1 / (2 * LAG)
    if distance > farthest:
        return farthest / 2 / distance
    return 1 - LAG * distance


def distance_to_way(
    px: float, py: float, x: float, y: float, dx: float, dy: float
) -> float:
    """Distance of a point p from the line between (x, y) and (x + dx, y + dy) [m]."""
    px, py = px - x, py - y
    squared = dx * dx + dy * dy
    along = (px * dx + py * dy) / squared if squared else 0.0
    along = min(max(along, 0.0), 1.0)
    return math.hypot(px - along * dx, py - along * dy)


def targets(demos: Demos) -> np.ndarray:
    """Actions of demonstrations for position control: where the target moved [m].

    Returns:
        `(N, 2)`, float64, so that the recorded targets are met again.
    """
    moved = demos.states[:, AIM] + demos.actions
    low, high = zip(X_LIMITS, Y_LIMITS, strict=True)
    return np.clip(moved, low, high)


def demos_from_published(
    arrays: dict[str, np.ndarray], episode_ends: np.ndarray
) -> Demos:
    """Demonstrations of the published simulator: what was seen and done there.

    States are what was seen, at rest, with what was entered so far; the reward of a
    step is what its outcome shows. What the last step of an episode led to was not
    recorded: it is taken to have solved the task where one block was in already and
    neither was further from a target of its own than one more step can bring it.

    Args:
        arrays: `obs` `(N, 16)` and `action` `(N, 2)`, of velocity control.
        episode_ends: `(E,)`.

    Returns:
        Demonstrations of source "published"; the score of an episode is 0, 0.49 or 1.

    Raises:
        BadInput: When an array has another shape.
    """
    rows = int(episode_ends[-1])
    for name, shape in (("obs", (rows, 16)), ("action", (rows, 2))):
        if arrays[name].shape != shape:
            raise BadInput(
                f"array {name!r} of BlockPush demonstrations has shape "
                f"{arrays[name].shape}, and must have {shape}"
            )
    obs = np.asarray(arrays["obs"], np.float32)
    states = np.zeros((rows, STATE_SIZE))
    states[:, :16] = obs
    rewards = np.zeros(rows, np.float32)
    scores = []
    for begin, end in zip([0, *episode_ends[:-1]], episode_ends, strict=True):
        entered = np.zeros(4, bool)
        for row in range(begin, end):
            inside = in_target(
                tuple(obs[row, POSE].tolist()), tuple(obs[row, PLACES].tolist())
            )
            new = np.array(inside) & ~entered
            entered |= new
            states[row, HISTORY] = entered
            if row > begin:
                rewards[row - 1] = ENTERED * new.sum()
        blocks, places = obs[end - 1, POSE], obs[end - 1, PLACES]
        one_in = entered.any()
        nearly = min(
            max(_apart(blocks, places, 0, k), _apart(blocks, places, 1, 1 - k))
            for k in (0, 1)
        )
        if one_in and nearly < TARGET_RADIUS + LARGEST_STEP:
            rewards[end - 1] = SOLVED
        scores.append(min(float(np.unique(rewards[begin:end]).sum()), 1.0))
    return Demos(
        task="blockpush",
        source="published",
        obs={"state": obs},
        actions=np.asarray(arrays["action"], np.float32),
        states=states,
        rewards=rewards,
        scores=np.array(scores),
        episode_ends=np.asarray(episode_ends, np.int64),
        env_kwargs={"obs": "state", "control": "velocity"},
    )


def _apart(blocks: np.ndarray, places: np.ndarray, block: int, place: int) -> float:
    """Distance of a block from a target [m]."""
    of_block, of_place = blocks.reshape(2, 3)[block], places.reshape(2, 3)[place]
    return math.dist(of_block[:2], of_place[:2])


@functools.cache
def _physics() -> tuple[mujoco.MjModel, float]:
    """The table as MuJoCo simulates it, and the height at which a block rests [m]."""
    model = mujoco.MjModel.from_xml_string(_physics_xml())
    data = mujoco.MjData(model)
    x, y = PUSHER_START
    data.qpos[:] = x, y, 0, x + 0.2, y, 0, 0, x + 0.2, y + 0.2, 0, 0
    mujoco.mj_step(model, data, PHYSICS_RATE)
    return model, float(data.qpos[5])


def _physics_xml() -> str:
    """Pusher, table and blocks, without anything to look at.

    A block can move along x, y and z and turn about z. It stands on one point below its
    centre, whose friction has a torque. The pusher touches blocks at the height of
    their centres, where a ball does what a cylinder does, and costs less. It is so
    heavy that no block slows it down; the tolerance of the solver, which is relative to
    the mean inertia, is kept to that of the blocks.
    """
    half, foot = BLOCK / 2, BLOCK / 8
    inertia = BLOCK_MASS * BLOCK**2 / 6
    slides = "".join(
        f'<joint type="slide" axis="{axis}"/>' for axis in ("1 0 0", "0 1 0", "0 0 1")
    )
    blocks = "".join(
        f"""
        <body pos="0 0 {half}">
          {slides}
          <joint type="hinge" axis="0 0 1"/>
          <inertial pos="0 0 0" mass="{BLOCK_MASS}"
                    diaginertia="{inertia} {inertia} {inertia}"/>
          <geom name="block {k}" type="box" size="{half} {half} {half}"/>
          <geom name="foot {k}" type="sphere" size="{foot}" pos="0 0 {foot - half}"/>
        </body>"""
        for k in (1, 2)
    )

    def pair(one: str, other: str, turning: float | None = None) -> str:
        axes = 3 if turning is None else 4
        friction = f"{FRICTION} {FRICTION} {turning or 0} 0 0"
        return (
            f'<pair geom1="{one}" geom2="{other}" condim="{axes}" '
            f'friction="{friction}" solref="{SOFTNESS} 1"/>'
        )

    return f"""
    <mujoco>
      <option timestep="{1 / PHYSICS_RATE}" gravity="0 0 {-GRAVITY}" cone="elliptic"
              solver="CG" tolerance="1e-6">
        <flag island="disable"/>
      </option>
      <statistic meaninertia="{BLOCK_MASS / 10}"/>
      <default>
        <geom contype="0" conaffinity="0"/>
      </default>
      <worldbody>
        <geom name="table" type="plane" size="1 1 1"/>
        <body pos="0 0 {half}">
          <joint type="slide" axis="1 0 0"/>
          <joint type="slide" axis="0 1 0"/>
          <joint type="hinge" axis="0 0 1"/>
          <inertial pos="0 0 0" mass="1000" diaginertia="1 1 1"/>
          <geom name="pusher" type="sphere" size="{PUSHER_RADIUS}"/>
        </body>
        {blocks}
      </worldbody>
      <contact>
        {pair("table", "foot 1", TURNING_RADIUS)}
        {pair("table", "foot 2", TURNING_RADIUS)}
        {pair("pusher", "block 1")}
        {pair("pusher", "block 2")}
        {pair("block 1", "block 2")}
      </contact>
    </mujoco>"""


class Camera:
    """Draws states; keeps the OpenGL context that it takes.

    Raises:
        BadInput: When there is no OpenGL.
    """

    def __init__(self) -> None:
        self._model = mujoco.MjModel.from_xml_string(_scene_xml())
        self._data = mujoco.MjData(self._model)
        self._renderer = opengl.renderer("BlockPush", self._model, HEIGHT, WIDTH)

    def picture(self, observation: np.ndarray) -> np.ndarray:
        """Draws a state, uint8 `(448, 640, 3)`, from its first 16 numbers."""
        data = self._data
        poses = np.zeros((5, 3))  # x, y, yaw of blocks, targets and pusher
        poses[:2] = observation[POSE].reshape(2, 3)
        poses[2:4] = observation[PLACES].reshape(2, 3)
        poses[4, :2] = observation[PUSHER]
        data.mocap_pos[:, :2] = poses[:, :2]
        data.mocap_quat[:, 0] = np.cos(poses[:, 2] / 2)
        data.mocap_quat[:, 3] = np.sin(poses[:, 2] / 2)
        mujoco.mj_forward(self._model, data)
        self._renderer.update_scene(data, camera="above")
        return np.array(self._renderer.render())

    def close(self) -> None:
        """Gives the OpenGL context back."""
        self._renderer.close()


def _scene_xml() -> str:
    """The table to look at: five bodies that are put where they are, and no physics."""
    half = BLOCK / 2
    edge, line, low = TARGET_RADIUS, 0.003, 0.0005
    blocks = "".join(
        f"""
        <body mocap="true" pos="0 0 {half}">
          <geom type="box" size="{half} {half} {half}" material="block {k}"/>
        </body>"""
        for k in (1, 2)
    )
    outline = "".join(
        f'<geom type="box" size="{sx} {sy} {low}" pos="{x} {y} 0" material="line"/>'
        for x, y, sx, sy in (
            (-edge, 0, line, edge + line),
            (edge, 0, line, edge + line),
            (0, -edge, edge - line, line),
            (0, edge, edge - line, line),
        )
    )
    place = f"""
        <body mocap="true" pos="0 0 {low}">
          <geom type="box" size="{edge} {edge} {low / 2}" material="place"/>
          {outline}
        </body>"""
    (left, right), (near, far) = X_LIMITS, Y_LIMITS
    return f"""
    <mujoco>
      <visual>
        <global offwidth="{WIDTH}" offheight="{HEIGHT}"/>
        <quality shadowsize="4096" offsamples="8"/>
        <headlight ambient="0.42 0.42 0.42" diffuse="0.14 0.14 0.14" specular="0 0 0"/>
        <map znear="0.05" zfar="20"/>
      </visual>
      <asset>
        <texture name="sky" type="skybox" builtin="gradient" width="64" height="384"
                 rgb1="0.93 0.94 0.96" rgb2="0.80 0.83 0.88"/>
        <material name="table" rgba="0.93 0.90 0.85 1" specular="0.1"/>
        <material name="workspace" rgba="0.97 0.95 0.92 1" specular="0.1"/>
        <material name="place" rgba="0.72 0.90 0.72 1" specular="0"/>
        <material name="line" rgba="0.24 0.56 0.34 1" specular="0"/>
        <material name="block 1" rgba="0.93 0.36 0.27 1" specular="0.2"/>
        <material name="block 2" rgba="0.25 0.48 0.90 1" specular="0.2"/>
        <material name="pusher" rgba="0.22 0.24 0.28 1" specular="0.4"/>
      </asset>
      <worldbody>
        <light pos="0.8 -0.6 1.6" dir="-0.25 0.45 -1" directional="true"
               diffuse="0.52 0.52 0.5" specular="0.1 0.1 0.1"/>
        <camera name="above" pos="1.08 0 1.1" xyaxes="0 1 0 -0.86 0 0.5" fovy="35.5"/>
        <geom type="box" size="0.45 0.62 0.02" pos="0.425 0 -0.0215" material="table"/>
        <geom type="box" size="{(right - left) / 2} {(far - near) / 2} 0.0015"
              pos="{(right + left) / 2} {(far + near) / 2} -0.0015"
              material="workspace"/>
        {blocks}
        {place}
        {place}
        <body mocap="true" pos="0 0 0.045">
          <geom type="cylinder" size="{PUSHER_RADIUS} 0.04" material="pusher"/>
          <geom type="cylinder" size="0.010 0.010" pos="0 0 0.05" material="pusher"/>
        </body>
      </worldbody>
    </mujoco>"""


def _stopped(vx: float, vy: float, turn: float) -> tuple[float, float, float]:
    """The velocities of a block, or none if it hardly moves."""
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


def _checked_action(action: Any, space: Any) -> tuple[float, float]:
    values = np.asarray(action, np.float64)
    if values.shape != (2,):
        raise BadInput(
            f"action {action!r} must hold x, y: shape (2,), not {values.shape}"
        )
    x, y = values.tolist()
    if not (math.isfinite(x) and math.isfinite(y)):
        raise BadInput(
            f"action {values.tolist()} must be finite, x in "
            f"[{space.low[0]:g}, {space.high[0]:g}] and y in "
            f"[{space.low[1]:g}, {space.high[1]:g}]"
        )
    return x, y


def _checked_state(state: Any) -> np.ndarray:
    values = np.asarray(state, np.float64)
    if values.shape != (STATE_SIZE,):
        raise BadInput(
            f"state must hold the {STATE_SIZE} numbers that info['state'] holds: "
            f"shape ({STATE_SIZE},), not {values.shape}"
        )
    space = _observation_space()
    low, high = (
        space.low.astype(np.float64) - 1e-6,
        space.high.astype(np.float64) + 1e-6,
    )
    seen = values[: len(low)]
    if not (np.isfinite(values).all() and ((seen >= low) & (seen <= high)).all()):
        raise BadInput(
            f"state {values.tolist()} must be finite, and its first {len(low)} numbers "
            "in the ranges of the observation"
        )
    return values
