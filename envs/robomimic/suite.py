"""The part of robosuite that the environments use: its settings and its types."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from .. import opengl

if TYPE_CHECKING:
    from dp_bench.util.types import JsonObject


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Silences robosuite, which logs and prints about its own settings."""
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


# Other modules take both simulators from here, so that a missing package always ends
# in the message of `opengl.loading`.
with (
    opengl.loading("Robomimic", "robosuite", "'dp-bench[robomimic]'"),
    quietly(),
):
    import mujoco
    import robosuite

CONTROL_RATE = 20  # policy steps per second [Hz]
PART = "right"  # robosuite's name for the arm of a robot that has one

# The published demonstrations, in their form for robosuite 1.5, use these settings. A
# velocity action of 1 puts the target 0.05 m, or 0.5 rad, from the hand.
ACTION_REACH = (0.05, 0.05, 0.05, 0.5, 0.5, 0.5)
CONTROLLER = {
    "type": "OSC_POSE",
    "input_max": 1,
    "input_min": -1,
    "output_max": list(ACTION_REACH),
    "output_min": [-reach for reach in ACTION_REACH],
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


class Controller(Protocol):
    """Robosuite's controller of one arm."""

    input_type: str
    initial_joint: np.ndarray
    kp: np.ndarray
    kd: np.ndarray
    ref_name: str
    origin_pos: np.ndarray
    origin_ori: np.ndarray
    ref_pos: np.ndarray
    ref_ori_mat: np.ndarray
    ref_pos_vel: np.ndarray
    ref_ori_vel: np.ndarray
    J_full: np.ndarray
    mass_matrix: np.ndarray

    def update(self, force: bool = False) -> None:
        """Reads the state of the arm."""

    def reset_goal(self) -> None:
        """Makes the hand's pose the target."""


class CompositeController(Protocol):
    """Robosuite's controllers of one robot."""

    part_controllers: Mapping[str, Controller]


class Gripper(Protocol):
    """Robosuite's gripper."""

    current_action: np.ndarray
    speed: float


class Robot(Protocol):
    """Robosuite's robot."""

    gripper: Mapping[str, Gripper]
    composite_controller: CompositeController
    init_qpos: np.ndarray


class SimModel(Protocol):
    """Robosuite's wrapper of a MuJoCo model."""

    _model: mujoco.MjModel

    def get_xml(self) -> str:
        """Writes the model as XML."""

    def body_name2id(self, name: str) -> int:
        """Returns the number of a body."""

    def site_name2id(self, name: str) -> int:
        """Returns the number of a site."""


class SimData(Protocol):
    """Robosuite's wrapper of MuJoCo's data."""

    _data: mujoco.MjData
    body_xpos: np.ndarray
    body_xmat: np.ndarray
    site_xpos: np.ndarray
    qacc_warmstart: np.ndarray


class SimState(Protocol):
    """Robosuite's state of a simulation."""

    def flatten(self) -> np.ndarray:
        """Returns time, positions and velocities as one vector."""


class Sim(Protocol):
    """Robosuite's simulation."""

    model: SimModel
    data: SimData

    def forward(self) -> None:
        """Computes everything that follows from the state."""

    def get_state(self) -> SimState:
        """Returns the state."""

    def set_state_from_flattened(self, value: np.ndarray) -> None:
        """Sets the state from a vector, and ignores numbers that follow it."""


class SuiteObject(Protocol):
    """Robosuite's model of an object."""

    name: str


class Suite(Protocol):
    """Robosuite's environment."""

    robots: Sequence[Robot]
    sim: Sim
    rng: np.random.Generator
    hard_reset: bool
    deterministic_reset: bool

    def reset(self) -> Mapping[str, np.ndarray]:
        """Starts an episode from the next start of the generator."""

    def reset_from_xml_string(self, xml_string: str) -> None:
        """Loads a model."""

    def edit_model_xml(self, xml_str: str) -> str:
        """Replaces the paths of a recorded model by those of this machine."""

    def step(
        self, action: np.ndarray
    ) -> tuple[Mapping[str, np.ndarray], float, bool, Mapping[str, object]]:
        """Plays one action."""

    def close(self) -> None:
        """Frees the simulation."""

    def _get_observations(self, force_update: bool = False) -> Mapping[str, np.ndarray]:
        """Observes; with `force_update` from the state as it is now."""

    def _check_success(self) -> bool:
        """Tells whether the task is solved."""

    def _check_grasp(self, gripper: object, object_geoms: SuiteObject) -> bool:
        """Tells whether both fingers touch an object."""


def make_suite(name: str, arms: int) -> Suite:
    """Makes robosuite's environment, as in the published demonstrations.

    Args:
        name: Robosuite's name of the task.
        arms: Number of robots.
    """
    with quietly():
        suite: Suite = robosuite.make(**suite_arguments(name, arms))
    return suite


def suite_arguments(name: str, arms: int, input_type: str = "delta") -> JsonObject:
    """Returns the arguments of `robosuite.make` for the published demonstrations.

    Args:
        name: Robosuite's name of the task.
        arms: Number of robots.
        input_type: "delta" for actions that are moves, "absolute" for poses.
    """
    part = CONTROLLER | {"input_type": input_type}
    controller = {"type": "BASIC", "body_parts": {PART: part}}
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
