"""Demonstrations in robomimic's files: how to read them, and their layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dp_bench.data.demos import Demos
from dp_bench.data.images import LazyImages, is_images
from dp_bench.errors import BadInput
from dp_bench.task import Layout

from .base import Robomimic
from .controllers import base_poses, controllers_of, position_actions
from .env import Can, Lift, Square, ToolHang, Transport, shared_env
from .observations import LIMIT, NUMBERS_PER_ARM, arm_keys
from .observing import observed
from .recorded import Recorded, parsed
from .suite import PART, mujoco, robosuite, suite_arguments

LARGEST_NUMBER = 1e6  # in files
ROBOSUITE_TYPE = 1  # robomimic's number for environments of robosuite
OLDEST = (1, 5)  # version of robosuite whose models can be loaded


@dataclass(frozen=True)
class DemoFiles:
    """How robomimic's files hold the demonstrations of one task.

    Attributes:
        task: Class of the environment.
    """

    task: type[Robomimic]

    def layout(self, demos: Demos) -> Layout:
        """Returns the layout that robomimic expects of a file.

        Raises:
            BadInput: When the demonstrations hold no state observations.
        """
        name, arms = self.task.__name__, self.task.arms
        widths = arm_keys(arms)
        state = demos.obs.get("state", np.empty(0))
        width = state.shape[1] if state.ndim == 2 else 0
        if width <= NUMBERS_PER_ARM * arms:
            shapes = {kind: array.shape for kind, array in demos.obs.items()}
            raise BadInput(
                f"demonstrations of {name} must hold 'state' observations of more than "
                f"{NUMBERS_PER_ARM * arms} numbers a row; they hold {shapes}"
            )
        is_pose = demos.env_kwargs.get("control") == "position"
        arguments = suite_arguments(
            self.task.suite_name, arms, "absolute" if is_pose else "delta"
        )
        env_name = arguments.pop("env_name")
        images = self._images(demos.obs, "{}_image")
        if images:
            height, image_width = next(iter(images.values())).shape[1:3]
            arguments |= {
                "has_offscreen_renderer": True,
                "use_camera_obs": True,
                "camera_names": list(images),
                "camera_heights": height,
                "camera_widths": image_width,
            }
        env_args = {
            "env_name": env_name,
            "env_version": robosuite.__version__,
            "type": ROBOSUITE_TYPE,
            "env_kwargs": arguments,
        }
        keys = {"object": width - NUMBERS_PER_ARM * arms, **widths}
        return Layout(env_args, {"state": keys})

    def read(self, arrays: dict[str, np.ndarray], episode_ends: np.ndarray) -> Demos:
        """Builds demonstrations from the rows of a file.

        Args:
            arrays: `states`, `(N, S)`; `actions`, `(N, 7 * arms)`, velocities or, where
                `env_args` says so, poses; `rewards`, `(N,)`; each observation as
                "obs/object", "obs/robot0_..."; `model_file`, `(E,)`, "" for none;
                `env_args`, `()`, JSON; and, if the file has them, images as
                "obs/<camera>_image", uint8 `(N, height, width, 3)`. Without rewards the
                states are observed.
            episode_ends: `(E,)`.

        Returns:
            Demonstrations. They keep the models of robosuite 1.5; older ones name
            things differently and are left out.

        Raises:
            BadInput: When the rows belong to another task, or do not fit this one.
        """
        recorded = parsed(str(arrays["env_args"]), self.task.suite_name, self.task.arms)
        env = shared_env(self.task)
        self._check_rows(env, arrays, int(episode_ends[-1]))
        begins = np.array([0, *episode_ends[:-1]])
        states = arrays["states"]
        if states.shape[1] < env.state_size:
            commands = _gripper_commands(env, arrays["actions"], begins)
            states = np.hstack([states, commands])
        actions = recorded.convert(arrays["actions"], base_poses(env.suite))
        if "rewards" not in arrays:
            xml, player = arrays["model_file"], self._player(recorded)
            seen = observed(player, states, actions, episode_ends, xml)
            arrays = {**arrays, **seen}
        images = self._images(arrays, "obs/{}_image")
        keys = ["object", *arm_keys(env.arms)]
        numbers = np.concatenate([arrays[f"obs/{key}"] for key in keys], axis=1)
        actions_as = {}
        if recorded.control == "velocity":
            actions_as = {"position": self.targets(states, actions)}
        models = tuple(str(text) for text in arrays["model_file"])
        return Demos(
            task=self.task.__name__,
            source="ph",
            obs={
                "state": numbers.astype(np.float32).clip(-LIMIT, LIMIT),
                **{f"{camera}_image": array for camera, array in images.items()},
            },
            actions=actions,
            states=states,
            rewards=arrays["rewards"],
            scores=np.maximum.reduceat(arrays["rewards"], begins).clip(0, 1),
            episode_ends=episode_ends,
            env_kwargs={"obs": "state", "control": recorded.control},
            actions_as=actions_as,
            models=models if all(models) and recorded.version >= OLDEST else (),
        )

    def _player(self, recorded: Recorded) -> Robomimic:
        """Returns an environment that can play the recorded actions and models.

        Raises:
            BadInput: When the models are of an older robosuite.
        """
        if recorded.version < OLDEST:
            version = ".".join(map(str, recorded.version)) or "unknown"
            raise BadInput(
                f"this is a recording of robosuite itself, version {version}, without "
                f"observations, and models before {'.'.join(map(str, OLDEST))} cannot "
                f"be loaded to observe its states: convert it with robomimic's "
                f"convert_robosuite.py and dataset_states_to_obs.py"
            )
        is_usual = recorded.control == "velocity"
        return shared_env(self.task) if is_usual else self.task(control="position")

    def targets(self, states: np.ndarray, velocities: np.ndarray) -> np.ndarray:
        """Converts each row's velocity action, as `Robomimic.target` does.

        Nothing is replayed, so targets cannot drift.

        Args:
            states: States of this task, `(N, S)`.
            velocities: Actions from there, `(N, 7 * arms)`.

        Returns:
            `(N, 10 * arms)`, float32.
        """
        env = shared_env(self.task)
        model, data = env.suite.sim.model._model, env.suite.sim.data._data
        sites = [model.site(c.ref_name).id for c in controllers_of(env.suite)]
        places = np.empty((len(states), env.arms, 3))
        matrices = np.empty((len(states), env.arms, 9))
        for row, state in enumerate(states):
            data.qpos[:] = state[1 : 1 + model.nq]
            mujoco.mj_kinematics(model, data)
            places[row], matrices[row] = data.site_xpos[sites], data.site_xmat[sites]
        actions = position_actions(
            places.reshape(-1, 3), matrices.reshape(-1, 3, 3), velocities.reshape(-1, 7)
        )
        return actions.reshape(len(states), -1).astype(np.float32)

    def _images(
        self, arrays: Mapping[str, np.ndarray | LazyImages], name: str
    ) -> dict[str, np.ndarray | LazyImages]:
        """Picks the images of each camera.

        Args:
            arrays: Images and other arrays, by name.
            name: Name of images, with {} for the camera.

        Raises:
            BadInput: When an array holds no images, or cameras differ in size.
        """
        images = {
            camera: arrays[name.format(camera)]
            for camera in self.task.cameras
            if name.format(camera) in arrays
        }
        shapes = {array.shape[1:] for array in images.values()}
        if len(shapes) > 1 or not all(map(is_images, images.values())):
            types = ", ".join(f"{k} {v.dtype} {v.shape}" for k, v in images.items())
            raise BadInput(
                f"images must be uint8 of shape (steps, height, width, 3), of one "
                f"size for all cameras, and are {types}"
            )
        return images

    def _check_rows(
        self, env: Robomimic, arrays: dict[str, np.ndarray], rows: int
    ) -> None:
        """Refuses arrays whose widths do not fit the task."""
        arms, size = env.arms, env.state_size
        space = env.observation_space
        assert space.shape is not None
        widths = {
            "states": (size - arms, size),  # files leave out the grippers' commands
            "actions": (7 * arms,),
            "obs/object": (space.shape[0] - NUMBERS_PER_ARM * arms,),
            **{f"obs/{key}": (width,) for key, width in arm_keys(arms).items()},
        }
        bare = "rewards" not in arrays
        for name, choices in widths.items():
            if not (bare and name.startswith("obs/")):
                _check_numbers(name, arrays[name], [(rows, width) for width in choices])
        if not bare:
            _check_numbers("rewards", arrays["rewards"], [(rows,)])


LIFT = DemoFiles(Lift)
CAN = DemoFiles(Can)
SQUARE = DemoFiles(Square)
TRANSPORT = DemoFiles(Transport)
TOOL_HANG = DemoFiles(ToolHang)


def _gripper_commands(
    env: Robomimic, actions: np.ndarray, begins: np.ndarray
) -> np.ndarray:
    """Returns the last command of each gripper before each of N rows, `(N, arms)`."""
    speed = env.suite.robots[0].gripper[PART].speed
    changes = speed * np.sign(actions.reshape(len(actions), env.arms, 7)[..., 6])
    commands = np.zeros_like(changes)
    first_rows = set(begins.tolist())
    for row in range(1, len(commands)):
        if row not in first_rows:
            commands[row] = np.clip(commands[row - 1] + changes[row - 1], -1, 1)
    return commands


def _check_numbers(name: str, array: np.ndarray, shapes: list[tuple[int, ...]]) -> None:
    """Refuses an array that does not hold finite real numbers of one of these shapes.

    Raises:
        BadInput: With the name of the array, and its type and shape or the row.
    """
    if array.dtype.kind not in "fiub" or array.shape not in shapes:
        raise BadInput(
            f"{name} must be numbers of shape {' or '.join(map(str, shapes))}, and are "
            f"{array.dtype} {array.shape}"
        )
    bad = ~(np.abs(array.reshape(len(array), -1)) <= LARGEST_NUMBER).all(axis=1)
    if bad.any():
        raise BadInput(
            f"{name} must be finite and no larger than {LARGEST_NUMBER:g}, and are not "
            f"in row {int(bad.argmax())}"
        )
