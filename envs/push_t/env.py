"""PushT: push a T-shaped block onto its outline."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium as gym
import numpy as np
import pymunk
from gymnasium import spaces

from dp_bench.data.demos import Demos
from dp_bench.errors import BadInput

from ..checks import check_choice, check_reset
from ..viewer import Window, check_render_mode, rendered

if TYPE_CHECKING:
    from PIL import Image

TABLE = 512.0  # side of the square table [px]
NEAR_WALL, FAR_WALL = 5.0, 506.0  # where the walls stand [px]
WALL_RADIUS = 2.0  # half the thickness of a wall [px]
STRAY = 200.0  # beyond where a squeezed block's origin can be, outside the table [px]
CONTROL_RATE = 10  # policy steps per second [Hz]
PHYSICS_RATE = 100  # simulation steps per second [Hz]
STIFFNESS = 100.0  # pull of the finger towards its target [1/s^2]
DAMPING = 20.0  # [1/s]
FINGER_RADIUS = 15.0  # [px]
BLOCK_MASS = 1.0
SOLVED = 0.95  # share of the outline that must be covered

BAR = (-60.0, 0.0, 60.0, 30.0)  # left, low, right, high in the block's frame [px]
STEM = (-15.0, 30.0, 15.0, 120.0)
OUTLINE = (  # of bar and stem together, the way round that makes the area positive
    (-60.0, 0.0),
    (60.0, 0.0),
    (60.0, 30.0),
    (15.0, 30.0),
    (15.0, 120.0),
    (-15.0, 120.0),
    (-15.0, 30.0),
    (-60.0, 30.0),
)
AREA = 6300.0  # of the T [px^2]
MIDDLE = 45.9375  # centre (0, MIDDLE) of the smallest circle around the T [px]
REACH = math.hypot(60.0, MIDDLE)  # radius of that circle [px]
LENGTH = 125.0  # no keypoint is further from the origin [px]

# Nine points fixed to the block, in its frame [px]. Fitted to the keypoints of the
# human demonstrations of Chi et al. (2023), over rows in which the block rests: there
# they are met to 3e-5 px.
KEYPOINTS = (
    (9.26979, 90.04097),
    (-60.98347, -1.18673),
    (60.91276, -1.39336),
    (-0.27050, 25.54363),
    (-14.06493, 122.81585),
    (39.00274, 32.85740),
    (-39.96641, 32.72966),
    (-16.82434, 62.86318),
    (23.54146, -1.70029),
)

OBS_KINDS = ("state", "keypoints", "image")
CONTROLS = ("position", "velocity")
IMAGE_SIZE = 96  # side of the image observation [px]

WHITE = (255, 255, 255)
LIGHT_GRAY = (211, 211, 211)
LIGHT_GREEN = (144, 238, 144)
SLATE_GRAY, SLATE_GRAY_INSIDE = (119, 136, 153), (143, 163, 184)
ROYAL_BLUE, ROYAL_BLUE_INSIDE = (65, 105, 225), (78, 126, 255)


class Pose(NamedTuple):
    """Where a T is: its origin, the middle of the bar's outer edge, and its angle.

    Attributes:
        x: [px].
        y: Downwards in pictures [px].
        angle: From x towards y [rad].
    """

    x: float
    y: float
    angle: float


GOAL = Pose(256.0, 256.0, math.pi / 4)


class PushT(gym.Env[Any, np.ndarray]):
    """A round finger pushes a T over a table until it covers a fixed outline.

    ## Action
    `control="position"`: where the finger should go, `(2,)`: x, y in [0, 512] px. It
    gets there like a damped spring, within half a second or so.

    `control="velocity"`: how far from where the finger is now it should go, `(2,)`:
    x, y in [-512, 512] px. The target stays where it is for the whole step, and is then
    one of "position".

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

    Block coordinates leave [0, 512] only when the finger squeezes it into a wall.

    ## Reward
    Covered share of the outline divided by 0.95, at most 1. The score of an episode
    is its largest reward.

    ## Start, end
    `reset(seed=s)` draws the start that the reference draws for seed s: finger x, y in
    [50, 450), block x, y in [100, 400), any angle. Resets without a seed go on drawing
    from the environment's own generator. `reset(options={"state": state})` sets finger
    x, y, block x, y, angle, `(5,)`, with everything at rest. Each reset ends with one
    physics step.

    The episode terminates when more than 0.95 of the outline is covered; registration
    cuts it off after 300 steps.

    `info` holds `coverage`, `iou`, `success` and the full-precision `state`, float64
    `(5,)`, in the form that `reset` takes.

    ## Arguments
    - `obs`: "keypoints", "state" or "image".
    - `control`: "position" or "velocity".
    - `legacy`: The block turns about its centre of gravity, which is not its origin, so
      the order in which a start is set matters. False sets the angle and then the
      position, which puts the block where the state says, as the human demonstrations
      need it. True sets the position and then the angle, as in the published
      evaluation: the block then starts up to 90 px away from the drawn position.
    - `render_mode`: None, "rgb_array" (512 x 512) or "human" (a window; needs pygame).

    ## Differences from the environment of Chi et al. (2023)
    - Targets outside the table are moved to its edge, so that the finger never leaves
      it; the reference follows them. No demonstration contains one. NaN and infinity
      are refused.
    - It has position control only, and so have the demonstrations; `displacements`
      gives their actions for velocity control.
    - One class offers the three observations that are three classes there, as float32
      and not float64; the state kept in `info` is float64.
    - Seeds are set by `reset(seed=...)`; the starts of equal seeds are equal.
    - Images are drawn by Pillow and not by pygame and OpenCV, and differ from the
      published ones along edges.
    - `info` does not count contacts.

    ## Versions
    v0: first version.
    """

    metadata = {  # noqa: RUF012 (Gymnasium wants a dictionary)
        "render_modes": ["rgb_array", "human"],
        "render_fps": CONTROL_RATE,
    }

    def __init__(
        self,
        obs: str = "keypoints",
        legacy: bool = False,
        render_mode: str | None = None,
        control: str = "position",
    ) -> None:
        check_choice("PushT", "observation", obs, OBS_KINDS)
        check_choice("PushT", "control mode", control, CONTROLS)
        check_render_mode("PushT", render_mode, self.metadata["render_modes"])
        self.obs_kind, self.legacy, self.render_mode = obs, legacy, render_mode
        self.control = control
        least = 0.0 if control == "position" else -TABLE
        self.action_space = spaces.Box(least, TABLE, (2,), np.float32)
        self.observation_space = _observation_space(obs)
        self._window = Window("PushT", CONTROL_RATE)
        self._build()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts an episode from a drawn or a given state.

        Args:
            seed: Which start; None for a new one.
            options: `{"state": (5,)}` for a given start.

        Raises:
            BadInput: When the seed or the state cannot be used.
        """
        check_reset("PushT", seed, options)
        super().reset(seed=seed)
        if options and options.get("state") is not None:
            state = _checked_state(options["state"])
        elif seed is not None:
            state = reference_start(seed)
        else:
            state = (
                *self.np_random.integers(50, 450, 2).tolist(),
                *self.np_random.integers(100, 400, 2).tolist(),
                self.np_random.uniform(0.0, 2 * math.pi),
            )
        self._build()
        self._finger.position = state[:2]
        if self.legacy:
            self._block.position = state[2:4]
            self._block.angle = state[4]
        else:
            self._block.angle = state[4]
            self._block.position = state[2:4]
        self._space.step(1 / PHYSICS_RATE)
        self._look()
        if self.render_mode == "human":
            self._window.show(picture_of(self._state()))
        return self._observe(), self._info()

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Moves the finger towards its target for a tenth of a second.

        Raises:
            BadInput: When the action is not two finite numbers.
        """
        goal_x, goal_y = self._target(action)
        finger, advance, dt = self._finger, self._space.step, 1 / PHYSICS_RATE
        # A kinematic body moves by exactly v dt, so nothing is read back on the way.
        x, y = finger.position
        vx, vy = finger.velocity
        for _ in range(PHYSICS_RATE // CONTROL_RATE):
            vx += (STIFFNESS * (goal_x - x) - DAMPING * vx) * dt
            vy += (STIFFNESS * (goal_y - y) - DAMPING * vy) * dt
            finger.velocity = vx, vy
            advance(dt)
            x += vx * dt
            y += vy * dt
        self._look()
        if self.render_mode == "human":
            self._window.show(picture_of(self._state()))
        return (
            self._observe(),
            reward(self._coverage),
            self._coverage > SOLVED,
            False,
            self._info(),
        )

    def _target(self, action: Any) -> tuple[float, float]:
        """Where on the table an action sends the finger [px]."""
        x, y = _checked_action(action, self.action_space)
        if self.control == "velocity":
            x, y = self._finger_x + x, self._finger_y + y
        return min(max(x, 0.0), TABLE), min(max(y, 0.0), TABLE)

    def _build(self) -> None:
        """Makes a new table, so that no contact of the last episode is remembered.

        Where bodies are when they are added decides the order in which their contacts
        are solved, hence the positions here, which are those of the reference.
        """
        self._space = space = pymunk.Space()
        space.gravity = 0, 0
        space.damping = 0
        near, far = NEAR_WALL, FAR_WALL
        corners = ((near, near), (far, near), (far, far), (near, far))
        for i, corner in enumerate(corners):
            wall = pymunk.Segment(
                space.static_body, corners[i - 1], corner, WALL_RADIUS
            )
            space.add(wall)
        self._finger = pymunk.Body(body_type=pymunk.Body.KINEMATIC)
        self._finger.position = 256, 400
        space.add(self._finger, pymunk.Circle(self._finger, FINGER_RADIUS))
        bar, stem = _corners(BAR), _corners(STEM)
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
        self._look()

    def _look(self) -> None:
        """Reads where things are; coverage is worked out only when the block moved."""
        self._finger_x, self._finger_y = self._finger.position
        x, y = self._block.position
        angle = self._block.angle
        if (x, y, angle) != self._pose:
            self._pose = Pose(x, y, angle)
            self._coverage = coverage(self._pose)

    def _state(self) -> tuple[float, float, float, float, float]:
        x, y, angle = self._pose
        return self._finger_x, self._finger_y, x, y, angle % (2 * math.pi)

    def _info(self) -> dict[str, Any]:
        covered = self._coverage
        return {
            "coverage": covered,
            "iou": iou(covered),
            "success": covered > SOLVED,
            "state": np.array(self._state()),
        }

    def _observe(self) -> Any:
        if self.obs_kind == "state":
            return np.array(self._state(), np.float32)
        finger = self._finger_x, self._finger_y
        if self.obs_kind == "keypoints":
            return np.array((*keypoints(self._pose), *finger), np.float32)
        return {
            "image": image_of(self._state()),
            "agent_pos": np.array(finger, np.float32),
        }

    def render(self) -> np.ndarray | None:  # type: ignore[override]
        """Draws the table, uint8 `(512, 512, 3)`; nothing is returned by a window."""
        return rendered(
            self.render_mode, self._window, lambda: picture_of(self._state())
        )

    def close(self) -> None:
        """Closes the window, if there is one."""
        self._window.close()


def reference_start(seed: int) -> tuple[float, float, float, float, float]:
    """Draws the state in which the reference starts for a seed.

    Returns:
        Finger x, y, block x, y [px] and angle [rad].
    """
    rs = np.random.RandomState(seed)  # its stream is what the published starts are
    finger_x, finger_y = rs.randint(50, 450), rs.randint(50, 450)
    x, y = rs.randint(100, 400), rs.randint(100, 400)
    angle = rs.randn() * 2 * math.pi - math.pi
    return float(finger_x), float(finger_y), float(x), float(y), float(angle)


def reward(coverage: float) -> float:
    """Reward in [0, 1] of a state that covers a share of the outline."""
    return min(coverage / SOLVED, 1.0)


def iou(coverage: float) -> float:
    """Intersection over union of block and outline, which are equally large."""
    return coverage / (2.0 - coverage)


def coverage(block: Pose) -> float:
    """Share of the outline that the block covers, in [0, 1]."""
    return min(max(overlap(block, GOAL) / AREA, 0.0), 1.0)


def overlap(one: Pose, other: Pose) -> float:
    """Area that two Ts share [px^2].

    In the frame of `other` its bar and stem are upright rectangles. The part of a
    polygon inside such a rectangle has the area

        -sum over edges of  integral of clip(y(x), low, high) dx,  x in [left, right]

    for edges that go round the way `OUTLINE` does, whether or not it is convex.
    """
    c, s = math.cos(other.angle), math.sin(other.angle)
    dx, dy = one.x - other.x, one.y - other.y
    x, y = c * dx + s * dy, c * dy - s * dx
    c, s = math.cos(one.angle - other.angle), math.sin(one.angle - other.angle)
    if math.hypot(x - s * MIDDLE, y + c * MIDDLE - MIDDLE) >= 2 * REACH:
        return 0.0
    corners = [(x + c * u - s * v, y + s * u + c * v) for u, v in OUTLINE]
    area = 0.0
    for left, low, right, high in (BAR, STEM):
        height = high - low
        xb, yb = corners[-1]
        yb -= low
        for corner in corners:
            xa, ya = xb, yb
            xb, yb = corner
            yb -= low
            # Most edges miss the strip or its floor; those cost next to nothing.
            if ya <= 0.0 and yb <= 0.0:
                continue
            if xa < xb:
                if xa < right and xb > left:
                    area -= _area_under(xa, ya, xb, yb, left, right, height)
            elif xb < xa and xb < right and xa > left:
                area += _area_under(xb, yb, xa, ya, left, right, height)
    return area


def _area_under(
    xa: float, ya: float, xb: float, yb: float, left: float, right: float, high: float
) -> float:
    """Integral of clip(y, 0, high) along the line from a to b, x in [left, right].

    `xa < xb`, and the line meets the strip.
    """
    slope = (yb - ya) / (xb - xa)
    if xb > right:
        xb, yb = right, ya + slope * (right - xa)
    if xa < left:
        xa, ya = left, ya + slope * (left - xa)
    width = xb - xa
    if ya > yb:  # only the two heights matter, not their order
        ya, yb = yb, ya
    if ya >= high:
        return width * high
    if yb <= 0.0:
        return 0.0
    if ya >= 0.0 and yb <= high:
        return width * (ya + yb) / 2
    inside = width / (yb - ya)  # width for each px that the line rises
    above = 0.0
    if yb > high:
        above, yb = inside * (yb - high), high
    if ya < 0.0:
        ya = 0.0
    return above * high + inside * (yb - ya) * (ya + yb) / 2


def keypoints(block: Pose) -> list[float]:
    """Where the nine points of the block are: x, y, x, y, ... [px], 18 numbers."""
    x, y, angle = block
    c, s = math.cos(angle), math.sin(angle)
    points: list[float] = []
    for u, v in KEYPOINTS:
        points += (x + c * u - s * v, y + s * u + c * v)
    return points


def picture_of(state: tuple[float, ...]) -> np.ndarray:
    """Draws a state (finger x, y, block x, y, angle), uint8 `(512, 512, 3)`."""
    return np.array(_draw(state))


def image_of(state: tuple[float, ...]) -> np.ndarray:
    """Draws a state as policies see it, uint8 `(96, 96, 3)`.

    Each pixel is interpolated between the four pixels of the large picture around its
    centre, without smoothing, as in the published demonstrations.
    """
    from PIL import Image

    step = TABLE / IMAGE_SIZE
    small = _draw(state).transform(
        (IMAGE_SIZE, IMAGE_SIZE),
        Image.Transform.AFFINE,
        (step, 0, 0, 0, step, 0),
        Image.Resampling.BILINEAR,
    )
    return np.array(small)


def _draw(state: tuple[float, ...]) -> Image.Image:
    from PIL import ImageDraw

    finger_x, finger_y, *pose = state
    picture = _background().copy()
    draw = ImageDraw.Draw(picture)
    for part in (BAR, STEM):
        points = _placed(_corners(part), Pose(*pose))
        draw.polygon(points, fill=SLATE_GRAY_INSIDE)
        _thick_lines(draw, points, SLATE_GRAY)
    for radius, color in (
        (FINGER_RADIUS, ROYAL_BLUE),
        (FINGER_RADIUS - 4, ROYAL_BLUE_INSIDE),
    ):
        x, y = round(finger_x), round(finger_y)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)
    return picture


@functools.cache
def _background() -> Image.Image:
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (int(TABLE), int(TABLE)), WHITE)
    draw = ImageDraw.Draw(picture)
    for part in (BAR, STEM):
        draw.polygon(_placed(_corners(part), GOAL), fill=LIGHT_GREEN)
    near, far = NEAR_WALL, FAR_WALL
    _thick_lines(draw, [(near, near), (far, near), (far, far), (near, far)], LIGHT_GRAY)
    return picture


def _thick_lines(
    draw: Any, points: list[tuple[float, float]], color: tuple[int, int, int]
) -> None:
    """Draws a closed line as thick as a wall, with round corners."""
    width = round(2 * WALL_RADIUS) + 1  # pixels, the middle one included
    draw.line([*points, *points[:2]], fill=color, width=width, joint="curve")


def _placed(points: list[tuple[float, float]], pose: Pose) -> list[tuple[float, float]]:
    """Points of the block's frame on the table, to whole pixels."""
    x, y, angle = pose
    c, s = math.cos(angle), math.sin(angle)
    return [(round(x + c * u - s * v), round(y + s * u + c * v)) for u, v in points]


def _corners(
    rectangle: tuple[float, float, float, float],
) -> list[tuple[float, float]]:
    left, low, right, high = rectangle
    return [(left, high), (right, high), (right, low), (left, low)]


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


def _checked_action(action: Any, space: Any) -> tuple[float, float]:
    values = np.asarray(action, np.float64)
    if values.shape != (2,):
        raise BadInput(
            f"action {action!r} must hold x, y: shape (2,), not {values.shape}"
        )
    x, y = values.tolist()
    if not (math.isfinite(x) and math.isfinite(y)):
        low, high = space.low[0], space.high[0]
        raise BadInput(
            f"action {values.tolist()} must be finite, in [{low:.0f}, {high:.0f}]"
        )
    return x, y


def _checked_state(state: Any) -> tuple[float, ...]:
    values = np.asarray(state, np.float64)
    if values.shape != (5,):
        raise BadInput(
            "state must hold finger x, y, block x, y and block angle: "
            f"shape (5,), not {values.shape}"
        )
    finger, block = values[:2], values[2:4]
    if not (
        np.isfinite(values).all()
        and ((finger >= 0) & (finger <= TABLE)).all()
        and ((block >= -STRAY) & (block <= TABLE + STRAY)).all()
    ):
        raise BadInput(
            f"state {values.tolist()} must be finite, with the finger in "
            f"[0, {TABLE:.0f}] px and the block in "
            f"[{-STRAY:.0f}, {TABLE + STRAY:.0f}] px"
        )
    return tuple(values.tolist())


def demos_from_replay(
    arrays: Mapping[str, np.ndarray], episode_ends: np.ndarray
) -> Demos:
    """Gives the published human demonstrations the form of ours.

    Args:
        arrays: `action (N, 2)`, `state (N, 5)`, `keypoint (N, 9, 2)`, and `img
            (N, 96, 96, 3)` in [0, 255] where images are wanted.
        episode_ends: One past the last row of each episode, `(E,)`.

    Returns:
        Demonstrations whose reward in row i is that of the recorded state i + 1, the
        one the action led to; the last row of an episode has that of its own state.

    Raises:
        BadInput: When an array is missing or has another shape.
    """
    num_rows = int(episode_ends[-1])
    shapes = {"action": (2,), "state": (5,), "keypoint": (9, 2)}
    if "img" in arrays:
        shapes["img"] = (IMAGE_SIZE, IMAGE_SIZE, 3)
    for name, shape in shapes.items():
        if name not in arrays:
            raise BadInput(
                f"PushT demonstrations hold no array {name!r}; "
                f"they must hold {', '.join(shapes)}"
            )
        if arrays[name].shape != (num_rows, *shape):
            raise BadInput(
                f"array {name!r} of PushT demonstrations has shape "
                f"{arrays[name].shape}, and must have {(num_rows, *shape)}"
            )
    states = np.asarray(arrays["state"], np.float64)
    points = np.asarray(arrays["keypoint"], np.float32).reshape(num_rows, 18)
    finger = states[:, :2].astype(np.float32)
    obs = {
        "state": states.astype(np.float32),
        "keypoints": np.concatenate([points, finger], axis=1),
    }
    if "img" in arrays:
        obs["image"] = np.asarray(arrays["img"]).astype(np.uint8)
    reached = np.array([reward(coverage(Pose(*row))) for row in states[:, 2:].tolist()])
    following = np.minimum(
        np.arange(num_rows) + 1,
        np.repeat(episode_ends, np.diff(episode_ends, prepend=0)) - 1,
    )
    starts = np.concatenate([[0], episode_ends[:-1]])
    return Demos(
        task="pusht",
        source="human",
        obs=obs,
        actions=np.asarray(arrays["action"], np.float32),
        states=states,
        rewards=reached[following].astype(np.float32),
        scores=np.maximum.reduceat(reached, starts),
        episode_ends=np.asarray(episode_ends, np.int64),
        env_kwargs={"obs": "keypoints", "legacy": False},
    )


def displacements(demos: Demos) -> np.ndarray:
    """Actions of demonstrations for velocity control: target less finger [px].

    Returns:
        `(N, 2)`, float64, so that the recorded targets are met again.
    """
    return demos.actions - demos.states[:, :2]


def way_round(positions: np.ndarray, start: Sequence[float]) -> tuple[int, bool]:
    """Tells on which side a finger went round the block that stood before it.

    The finger starts beyond the end of the stem and looks along it at the bar. In the
    frame of the block as it stood, `u` is across the axis and `v` along it. Until it is
    round, which is when it passes the bar's outer edge (`v < 0`), it is to the left
    where `u < -30` and to the right where `u > 30`: it then clears the stem. A path has
    committed when it was to one side only; if it was to both, its side is the last one.
    What it does behind the bar does not count: there it has to come back to the axis.

    Args:
        positions: Of the finger, `(L, 2)` [px].
        start: Finger x, y, block x, y, angle, `(5,)`.

    Returns:
        -1 for left, 1 for right, 0 for neither; and whether it committed, which a
        finger that went to neither side has not.
    """
    x, y, angle = start[2:]
    c, s = math.cos(angle), math.sin(angle)
    offset = np.asarray(positions, np.float64) - (x, y)
    u, v = offset @ (c, s), offset @ (-s, c)  # (L,)
    round_at = np.flatnonzero(v < 0)
    way = u[: round_at[0]] if len(round_at) else u
    sides = np.sign(way[np.abs(way) > STEM[2] + FINGER_RADIUS])
    if not len(sides):
        return 0, False
    return int(sides[-1]), bool((sides == sides[-1]).all())


def outlines(start: Sequence[float]) -> dict[str, list[np.ndarray]]:
    """Outlines of what a picture of a state shows, each `(P, 2)` [px]."""

    def placed(x: float, y: float, angle: float) -> np.ndarray:
        c, s = math.cos(angle), math.sin(angle)
        return np.array([(x + c * u - s * v, y + s * u + c * v) for u, v in OUTLINE])

    near, far = NEAR_WALL, FAR_WALL
    return {
        "table": [np.array([(near, near), (far, near), (far, far), (near, far)])],
        "goal": [placed(*GOAL)],
        "block": [placed(*start[2:])],
    }
