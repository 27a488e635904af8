"""What a robomimic file says about its actions, and their conversion to ours."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from dp_bench.errors import BadInput
from dp_bench.util.json_text import parsed_object

from .controllers import first_rows
from .suite import ACTION_REACH, CONTROL_RATE, CONTROLLER, PART

if TYPE_CHECKING:
    from dp_bench.util.types import JsonObject

NEW_CONTROLLERS = (1, 5)  # version of robosuite whose default frame is the base
LARGEST_VELOCITY = 1 + 1e-5  # of an action, with rounding
LIMITS = ("input_max", "input_min", "output_max", "output_min")
# fields that robosuite takes as these where a file leaves them out
SAME_CONTROLLER: JsonObject = {
    "type": "OSC_POSE",
    "kp": CONTROLLER["kp"],
    "damping_ratio": CONTROLLER["damping_ratio"],
    "impedance_mode": "fixed",
    "position_limits": None,
    "orientation_limits": None,
    "uncouple_pos_ori": True,
    "control_ori": True,
    "interpolation": None,
}
DEFAULT_MODELS = {
    "gripper_types": ("default", "PandaGripper"),
    "base_types": ("default", "RethinkMount"),
    "mount_types": ("default", "RethinkMount"),
}
OPPOSED = ("opposed", "single-arm-opposed", "default")


@dataclass(frozen=True)
class ArmActions:
    """The meaning of one arm's actions.

    Attributes:
        absolute: Whether they are poses of the hand, rather than moves from it.
        frame: Axes in which they count: "world", or "base" for those of the robot.
        limits: `input_max`, `input_min`, `output_max`, `output_min` of moves, `(4, 6)`.
    """

    absolute: bool
    frame: str
    limits: np.ndarray

    def moves(self, actions: np.ndarray, base: np.ndarray) -> np.ndarray:
        """Converts recorded moves to velocity actions in axes of the world.

        Args:
            actions: Recorded actions of this arm, `(N, 7)`.
            base: Pose of the robot's base, `(4, 4)`.

        Raises:
            BadInput: When an action is larger than robosuite or we can play.
        """
        high, low, high_out, low_out = self.limits
        _check_size(actions, low, high, "input_min to input_max of env_args")
        usual = np.array([_limit({}, name) for name in LIMITS])
        if np.allclose(self.limits, usual) and self._in_world(base):
            return actions
        scaled = (actions[:, :6] - (high + low) / 2) * (high_out - low_out)
        scaled = scaled / (high - low) + (high_out + low_out) / 2
        if self.frame == "base":
            scaled = (scaled.reshape(-1, 2, 3) @ base[:3, :3].T).reshape(-1, 6)
        numbers = np.hstack([scaled / ACTION_REACH, actions[:, 6:]])
        _check_size(
            numbers,
            -np.ones(6),
            np.ones(6),
            f"-1 to 1 of velocity control, once output_max {high_out.tolist()} of "
            f"env_args is converted to {list(ACTION_REACH)}",
        )
        return numbers.astype(actions.dtype)

    def poses(self, actions: np.ndarray, base: np.ndarray) -> np.ndarray:
        """Converts recorded poses, `(N, 7)`, to position actions, `(N, 10)`."""
        places, turns = actions[:, :3], Rotation.from_rotvec(actions[:, 3:6])
        if self.frame == "base":
            places = places @ base[:3, :3].T + base[:3, 3]
            turns = Rotation.from_matrix(base[:3, :3]) * turns
        return np.hstack([places, first_rows(turns), actions[:, 6:]])

    def _in_world(self, base: np.ndarray) -> bool:
        return self.frame == "world" or np.allclose(base[:3, :3], np.eye(3))


@dataclass(frozen=True)
class Recorded:
    """What `env_args` of a file says.

    Attributes:
        version: Version of robosuite, () if unknown.
        arms: Meaning of the actions of each arm.
    """

    version: tuple[int, ...]
    arms: tuple[ArmActions, ...]

    @property
    def control(self) -> str:
        """The control mode of ours that can play the actions."""
        return "position" if self.arms[0].absolute else "velocity"

    def convert(self, actions: np.ndarray, bases: np.ndarray) -> np.ndarray:
        """Converts recorded actions to this control mode, `(N, Da)`.

        Args:
            actions: As recorded, `(N, 7 * A)`.
            bases: Pose of the base of each robot, `(A, 4, 4)`.

        Raises:
            BadInput: When an action is too large.
        """
        parts = np.split(actions, len(self.arms), axis=1)
        columns = [
            arm.poses(part, base) if arm.absolute else arm.moves(part, base)
            for arm, part, base in zip(self.arms, parts, bases, strict=True)
        ]
        return np.hstack(columns)


def parsed(env_args: str, suite_name: str, arms: int) -> Recorded:
    """Reads `env_args` of a file, and compares it with what the task assumes.

    Args:
        env_args: JSON.
        suite_name: Robosuite's name of the task.
        arms: Number of robots of the task.

    Raises:
        BadInput: When it is no JSON, names another task, does not say what the actions
            mean, or says something that cannot be converted; with field and value.
    """
    try:
        args = parsed_object(env_args)
        name, version = args.get("env_name"), str(args.get("env_version") or "")
    except ValueError as error:
        raise BadInput("its attribute env_args is no JSON of robomimic") from error
    if name not in (None, suite_name):
        raise BadInput(f"they are of {name}, but the task is {suite_name}")
    match = re.match(r"([0-9]{1,9})\.([0-9]{1,9})", version)
    numbers = tuple(int(number) for number in match.groups()) if match else ()
    kwargs = args.get("env_kwargs")
    kwargs = kwargs if isinstance(kwargs, dict) else {}
    configs = kwargs.get("controller_configs")
    if not configs or not isinstance(configs, (dict, list)):
        raise BadInput(
            "its attribute env_args has no env_kwargs with controller_configs, so that "
            "the meaning of the actions is unknown: write there the arguments of the "
            "recorded environment"
        )
    _check_environment(kwargs, arms)
    if isinstance(configs, dict):
        configs = [configs] * arms
    if len(configs) != arms:
        raise _differs("controller_configs", configs, f"one for each of {arms} arms")
    meanings = tuple(_arm(config, numbers) for config in configs)
    if len({meaning.absolute for meaning in meanings}) > 1:
        raise BadInput("one arm has absolute actions and the other has not")
    return Recorded(numbers, meanings)


def _check_environment(kwargs: JsonObject, arms: int) -> None:
    """Refuses other robots, another rate and another place of the robots."""
    robots = kwargs.get("robots", [])
    if ([robots] if isinstance(robots, str) else robots) != ["Panda"] * arms:
        raise _differs("robots", robots, ["Panda"] * arms)
    if kwargs.get("control_freq", CONTROL_RATE) != CONTROL_RATE:
        raise _differs("control_freq", kwargs["control_freq"], CONTROL_RATE)
    for field, names in DEFAULT_MODELS.items():
        value = kwargs.get(field) or names[0]
        if any(x not in names for x in (value if isinstance(value, list) else [value])):
            raise _differs(field, value, names[0])
    place = kwargs.get("env_configuration") or "default"
    if arms > 1 and place not in OPPOSED:
        raise _differs("env_configuration", place, OPPOSED[0])


def _arm(config: object, version: tuple[int, ...]) -> ArmActions:
    """Reads the controller of one arm, in the form of robosuite 1.5 or an older one."""
    part, is_new = config, version >= NEW_CONTROLLERS
    if isinstance(config, Mapping) and "body_parts" in config:
        is_new = is_new or not version
        if config.get("type", "BASIC") != "BASIC":
            raise _differs("type of controller_configs", config["type"], "BASIC")
        parts = config["body_parts"]
        parts = parts.get("arms", parts) if isinstance(parts, Mapping) else {}
        part = parts.get(PART) if isinstance(parts, Mapping) else None
    if not isinstance(part, Mapping):
        raise _differs("controller_configs", config, f"a controller of {PART!r}")
    for field, value in SAME_CONTROLLER.items():
        if not _equal(part.get(field, value), value):
            raise _differs(field, part[field], value)
    gripper = part.get("gripper") or {"type": "GRIP"}
    if not isinstance(gripper, Mapping) or gripper.get("type", "GRIP") != "GRIP":
        raise _differs("gripper", gripper, {"type": "GRIP"})
    frame = part.get("input_ref_frame", "base" if is_new else "world")
    if frame not in ("base", "world"):
        raise _differs("input_ref_frame", frame, "'world' or 'base'")
    limits = np.array([_limit(part, name) for name in LIMITS])
    if (limits[0] <= limits[1]).any() or (limits[2] <= limits[3]).any():
        raise _differs("input_max and output_max", limits[::2].tolist(), "above minima")
    return ArmActions(_is_absolute(part), frame, limits)


def _is_absolute(part: Mapping[str, object]) -> bool:
    """Tells whether actions are poses: `input_type`, or `control_delta` before 1.5."""
    delta = part.get("control_delta", True)
    kind = part.get("input_type", "delta" if delta else "absolute")
    if kind not in ("delta", "absolute"):
        raise _differs("input_type", kind, "'delta' or 'absolute'")
    if "control_delta" in part and delta != (kind == "delta"):
        raise BadInput(
            f"env_args says input_type {kind!r} and control_delta {delta!r}, which "
            f"contradict each other: remove the wrong one"
        )
    return kind == "absolute"


def _limit(part: Mapping[str, object], name: str) -> np.ndarray:
    value = part.get(name, CONTROLLER[name])
    try:
        numbers = np.broadcast_to(np.array(value, np.float64), 6)
    except (TypeError, ValueError) as error:
        raise _differs(name, value, "one or 6 numbers") from error
    if not np.isfinite(numbers).all():
        raise _differs(name, value, "finite")
    return numbers


def _equal(value: object, expected: object) -> bool:
    """Tells whether a field says the same; numbers may be repeated by axis."""
    if isinstance(expected, bool) or not isinstance(expected, (int, float)):
        return value == expected
    values = value if isinstance(value, list) else [value]
    return bool(values) and all(
        isinstance(number, (int, float)) and number == expected for number in values
    )


def _check_size(
    actions: np.ndarray, low: np.ndarray, high: np.ndarray, rule: str
) -> None:
    """Refuses moves outside these limits, and gripper commands beyond 1."""
    margin = LARGEST_VELOCITY - 1
    low, high = np.append(low, -1.0), np.append(high, 1.0)
    bad = (actions < low - margin) | (actions > high + margin)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise BadInput(
            f"row {row} of actions holds {actions[row, column]:g} in column {column} "
            f"of an arm, which is outside {rule if column < 6 else '-1 to 1'}: actions "
            f"that are poses need 'input_type': 'absolute' in env_args, and others "
            f"must be recorded within the limits"
        )


def _differs(field: str, value: object, expected: object) -> BadInput:
    """Returns the error about a field whose value cannot be converted."""
    text = json.dumps(value, default=str)
    text = text if len(text) <= 100 else f"{text[:100]}..."
    return BadInput(
        f"env_args says {field} {text}, but the task needs "
        f"{expected if isinstance(expected, str) else json.dumps(expected)}: record "
        f"new demonstrations with that"
    )
