"""PushT: push a T-shaped block onto its outline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pymunk
from gymnasium import spaces

from dp_bench.errors import BadInput

from ..base import RENDER_MODES, Observation, finite_vector
from ..copies import ReplayedCopies
from .drawing import IMAGE_SIZE, image_of, view_of
from .geometry import (
    BAR,
    FINGER_RADIUS,
    LENGTH,
    SOLVED,
    STEM,
    TABLE,
    WALL_RADIUS,
    WALLS,
    Pose,
    corners,
    coverage,
    iou,
    keypoints,
    reward,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from dp_bench.util.types import Info

STRAY = 200.0  # a squeezed block's origin never is further outside the table [px]
CONTROL_RATE = 10  # policy steps per second [Hz]
PHYSICS_RATE = 100  # simulation steps per second [Hz]
STIFFNESS = 100.0  # pull of the finger towards its target [1/s^2]
DAMPING = 20.0  # [1/s]
BLOCK_MASS = 1.0

OBS_KINDS = ("state", "keypoints", "image")
CONTROLS = ("position", "velocity")
STATE = "finger x, y, block x, y and block angle"


class PushT(ReplayedCopies[Observation]):
    """A round finger pushes a T over a table until it covers a fixed outline.

    ## Action
    `control="position"`, float32 `(2,)`:

    | index  | meaning                                       | range           |
    |--------|-----------------------------------------------|-----------------|
    | 0, 1   | target of the finger x, y                     | [0, 512] px     |

    A damped spring pulls the finger to its target within about half a second.

    `control="velocity"`, float32 `(2,)`:

    | index  | meaning                                       | range           |
    |--------|-----------------------------------------------|-----------------|
    | 0, 1   | target minus current position of the finger   | [-512, 512] px  |

    The target does not move during the step.

    ## Observation
    `obs="keypoints"`, float32 `(20,)`:

    | index  | meaning                          | range           |
    |--------|----------------------------------|-----------------|
    | 0..17  | x, y of nine points of the block | [-325, 837] px  |
    | 18, 19 | finger x, y                      | [0, 512] px     |

    `obs="state"`, float32 `(5,)`:

    | index  | meaning                          | range           |
    |--------|----------------------------------|-----------------|
    | 0, 1   | finger x, y                      | [0, 512] px     |
    | 2, 3   | block x, y                       | [-200, 712] px  |
    | 4      | block angle                      | [0, 2 pi] rad   |

    `obs="image"`, a dictionary: `image`, uint8 `(96, 96, 3)`, and `agent_pos`, the
    finger's x, y, float32 `(2,)`.

    The block leaves [0, 512] only where the finger squeezes it into a wall.

    ## Reward
    The covered share of the outline divided by 0.95, at most 1. The score of an episode
    is its largest reward.

    ## Start, end
    `reset(seed=s)` draws the start that the reference draws for seed s: finger x, y in
    [50, 450), block x, y in [100, 400), any angle. `reset()` draws the next start from
    the environment's own generator. `reset(options={"state": state})` sets finger x, y,
    block x, y, angle, `(5,)`, with everything at rest. Each reset ends with one physics
    step.

    The episode terminates when the block covers more than 0.95 of the outline.
    Registration cuts it off after 300 steps.

    `info` holds `coverage`, `iou`, `success` and the full-precision `state`, float64
    `(5,)`, in the form that `reset` takes.

    ## Arguments
    - `obs`: "keypoints", "state" or "image".
    - `control`: "position" or "velocity".
    - `legacy`: The order in which `reset` sets the pose of the block. It matters, as
      the block turns about its centre of gravity, which is not its origin. False sets
      the angle and then the position. This puts the block at the given pose, which the
      human demonstrations need. True sets the position and then the angle, as in the
      published evaluation. The block then starts up to 90 px from the drawn position.
    - `render_mode`: None, "rgb_array" (512 x 512) or "human" (a window; needs pygame).

    ## Differences from the environment of Chi et al. (2023)
    - This environment moves targets outside the table to its edge, so that the finger
      stays on it. The reference follows them. No demonstration contains one.
    - It refuses NaN and infinity in actions.
    - The reference has position control only, and so have the demonstrations.
      `push_t.demos.displacements` converts them for velocity control.
    - One class offers three observations, as float32. The reference has three classes,
      and float64. The state in `info` is float64 here too.
    - `reset(seed=...)` sets the seed. Equal seeds give equal starts.
    - Pillow draws the images. They differ along edges from the published ones, which
      pygame and OpenCV drew.
    - `info` does not count contacts.

    ## Versions
    v0: first version.
    """

    metadata = {  # noqa: RUF012 (Gymnasium wants a dictionary)
        "render_modes": RENDER_MODES,
        "render_fps": CONTROL_RATE,
    }
    offered_obs = OBS_KINDS
    offered_controls = CONTROLS
    action_holds = "x, y"

    def __init__(
        self,
        obs: str = "keypoints",
        legacy: bool = False,
        render_mode: str | None = None,
        control: str = "position",
    ) -> None:
        super().__init__(obs, control, render_mode)
        self.legacy = legacy
        low = 0.0 if control == "position" else -TABLE
        self.action_space = spaces.Box(low, TABLE, (2,), np.float32)
        self.observation_space = _observation_space(obs)
        self._build()

    def reset(
        self, *, seed: int | None = None, options: Info | None = None
    ) -> tuple[Observation, Info]:
        """Starts an episode from a drawn or a given state.

        Args:
            seed: Seed of the start; None draws the next one.
            options: `{"state": (5,)}` for a given start.

        Raises:
            BadInput: When the seed or the state cannot be used.
        """
        given = self._begin_episode(seed, options).get("state")
        if given is not None:
            state = _checked_state(given)
        elif seed is not None:
            state = reference_start(seed)
        else:
            state = self._next_start()
        self._build()
        self._finger.position = state[:2]
        if self.legacy:
            self._block.position = state[2:4]
            self._block.angle = state[4]
        else:
            self._block.angle = state[4]
            self._block.position = state[2:4]
        self._space.step(1 / PHYSICS_RATE)
        self._measure()
        self._show()
        return self._observe(), self._info()

    def step(self, action: ArrayLike) -> tuple[Observation, float, bool, bool, Info]:
        """Moves the finger towards its target for a tenth of a second.

        Raises:
            BadInput: When the action is not two finite numbers.
        """
        goal_x, goal_y = self._target(action)
        finger, advance, dt = self._finger, self._space.step, 1 / PHYSICS_RATE
        # A kinematic body moves by exactly v dt, so no position is read in the loop.
        x, y = finger.position
        vx, vy = finger.velocity
        for _ in range(PHYSICS_RATE // CONTROL_RATE):
            vx += (STIFFNESS * (goal_x - x) - DAMPING * vx) * dt
            vy += (STIFFNESS * (goal_y - y) - DAMPING * vy) * dt
            finger.velocity = vx, vy
            advance(dt)
            x += vx * dt
            y += vy * dt
        self._measure()
        self._show()
        covered = self._coverage
        return self._observe(), reward(covered), covered > SOLVED, False, self._info()

    def _target(self, action: ArrayLike) -> tuple[float, float]:
        """Returns the target on the table that an action means [px]."""
        x, y = self._checked_action(action).tolist()
        if self.control == "velocity":
            x, y = self._finger_x + x, self._finger_y + y
        return min(max(x, 0.0), TABLE), min(max(y, 0.0), TABLE)

    def _next_start(self) -> tuple[float, ...]:
        """Draws a start from the environment's own generator."""
        return (
            *self.np_random.integers(50, 450, 2).tolist(),
            *self.np_random.integers(100, 400, 2).tolist(),
            self.np_random.uniform(0.0, 2 * math.pi),
        )

    def _build(self) -> None:
        """Makes a new table, so that the physics forgets the contacts of the last one.

        The physics solves contacts in an order that depends on the positions of bodies
        when they are added. These are the positions of the reference.
        """
        self._space = space = pymunk.Space()
        space.gravity = 0, 0
        space.damping = 0
        for i, corner in enumerate(WALLS):
            ends = WALLS[i - 1], corner
            space.add(pymunk.Segment(space.static_body, *ends, WALL_RADIUS))
        self._finger = pymunk.Body(body_type=pymunk.Body.KINEMATIC)
        self._finger.position = 256, 400
        space.add(self._finger, pymunk.Circle(self._finger, FINGER_RADIUS))
        bar, stem = corners(BAR), corners(STEM)
        # As in the reference: the bar's moment of inertia stands for both parts.
        inertia = 2 * pymunk.moment_for_poly(BLOCK_MASS, bar)
        self._block = pymunk.Body(BLOCK_MASS, inertia)
        shapes = pymunk.Poly(self._block, bar), pymunk.Poly(self._block, stem)
        self._block.center_of_gravity = (
            shapes[0].center_of_gravity + shapes[1].center_of_gravity
        ) / 2
        self._block.position = 256, 300
        space.add(self._block, *shapes)
        self._pose, self._coverage = Pose(0.0, 0.0, 0.0), 0.0
        self._measure()

    def _measure(self) -> None:
        """Reads all positions. Computes the coverage only if the block moved."""
        self._finger_x, self._finger_y = self._finger.position
        x, y = self._block.position
        angle = self._block.angle
        if (x, y, angle) != self._pose:
            self._pose = Pose(x, y, angle)
            self._coverage = coverage(self._pose)

    def _state(self) -> tuple[float, float, float, float, float]:
        x, y, angle = self._pose
        return self._finger_x, self._finger_y, x, y, angle % (2 * math.pi)

    def _observe(self) -> Observation:
        if self.obs_kind == "state":
            return np.array(self._state(), np.float32)
        finger = self._finger_x, self._finger_y
        if self.obs_kind == "keypoints":
            return np.array((*keypoints(self._pose), *finger), np.float32)
        shape = (IMAGE_SIZE, IMAGE_SIZE, 3)
        return {
            "image": image_of(self._state())
            if self.draws_images
            else np.zeros(shape, np.uint8),
            "agent_pos": np.array(finger, np.float32),
        }

    def images(self, state: ArrayLike) -> dict[str, np.ndarray]:
        """Draws the observed images of a state, as `info["state"]` gives it.

        Returns:
            `image`, uint8 `(96, 96, 3)`.

        Raises:
            BadInput: When the state is not five finite numbers.
        """
        return {"image": image_of(finite_vector("state", state, 5, STATE).tolist())}

    def _info(self) -> Info:
        covered = self._coverage
        return {
            "coverage": covered,
            "iou": iou(covered),
            "success": covered > SOLVED,
            "state": np.array(self._state()),
        }

    def _render_scene(self) -> np.ndarray:
        return view_of(self._state())

    def tip_in_image(self) -> np.ndarray:
        """Tells where the finger is; see `TaskEnv`."""
        return np.array(self._state()[:2]) / TABLE


def reference_start(seed: int) -> tuple[float, float, float, float, float]:
    """Draws the start of the reference for a seed.

    Returns:
        Finger x, y, block x, y [px] and angle [rad].
    """
    rs = np.random.RandomState(seed)  # the published starts come from its stream
    finger_x, finger_y = rs.randint(50, 450), rs.randint(50, 450)
    x, y = rs.randint(100, 400), rs.randint(100, 400)
    angle = rs.randn() * 2 * math.pi - math.pi
    return float(finger_x), float(finger_y), float(x), float(y), float(angle)


# Gymnasium types spaces.Dict as a space of spaces, so no observation type fits here.
def _observation_space(obs: str) -> spaces.Space[Any]:
    finger = spaces.Box(0.0, TABLE, (2,), np.float32)
    if obs == "image":
        shape = (IMAGE_SIZE, IMAGE_SIZE, 3)
        image = spaces.Box(0, 255, shape, np.uint8)
        return spaces.Dict({"image": image, "agent_pos": finger})
    if obs == "keypoints":
        least, most = -STRAY - LENGTH, TABLE + STRAY + LENGTH
        low = np.array([least] * 18 + [0.0] * 2, np.float32)
        high = np.array([most] * 18 + [TABLE] * 2, np.float32)
    else:
        least, most = -STRAY, TABLE + STRAY
        low = np.array([0.0, 0.0, least, least, 0.0], np.float32)
        high = np.array([TABLE, TABLE, most, most, 2 * np.pi], np.float32)
    return spaces.Box(low, high, dtype=np.float32)


def _checked_state(state: ArrayLike) -> Sequence[float]:
    values = finite_vector("state", state, 5, STATE)
    finger, block = values[:2], values[2:4]
    if not (
        ((finger >= 0) & (finger <= TABLE)).all()
        and ((block >= -STRAY) & (block <= TABLE + STRAY)).all()
    ):
        raise BadInput(
            f"state {values.tolist()} must have the finger in [0, {TABLE:.0f}] px and "
            f"the block in [{-STRAY:.0f}, {TABLE + STRAY:.0f}] px"
        )
    numbers: list[float] = values.tolist()
    return numbers
