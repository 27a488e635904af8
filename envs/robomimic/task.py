"""The rows of the five Robomimic tasks in the table of tasks."""

from collections.abc import Mapping, Sequence

from dp_bench.task import DemoSource, MotionColumns, ObsColumns, Task

PROFICIENT = {"ph": "200 human episodes by proficient operators, from the hub"}
MIXED = PROFICIENT | {"mh": "300 human episodes of mixed quality, from the hub"}
ARM_WIDTHS = {"eef_pos": 3, "eef_quat": 4, "gripper_qpos": 2}  # last in "state"
TRANSPORT_CAMERAS = (
    "shouldercamera0",
    "robot0_eye_in_hand",
    "shouldercamera1",
    "robot1_eye_in_hand",
)


def _task(
    name: str,
    cls: str,
    about: str,
    *,
    obs_dim: int,
    positions: int,
    steps: int = 400,
    human: Mapping[str, str] = MIXED,
    arms: int = 1,
    constant_obs: Mapping[int, str] | None = None,
    cameras: Sequence[str] = ("agentview", "robot0_eye_in_hand"),
) -> Task:
    """Returns one of the five tasks of Robomimic.

    Args:
        name: Name of the task, here and in the published files.
        cls: Class of the environment.
        about: One line for a person.
        obs_dim: Do of the "state" observation.
        positions: How many numbers of a state are time and positions.
        steps: Steps after which an episode is cut off.
        human: Published demonstrations by name, with a line about each.
        arms: Number of robot arms.
        constant_obs: The meaning of each number of an observation that random actions
            leave constant.
        cameras: Cameras of the observation "image", whose images a file may hold.
    """
    package = "dp_bench.envs.robomimic"
    files = f"{package}.demos:{name.upper()}"
    vectors = _arm_columns(arms)
    hand = obs_dim - sum(ARM_WIDTHS.values()) * arms  # first column of its position
    scripted = DemoSource(
        about="200 scripted episodes, generated in minutes",
        script=f"{package}.scripts.{name}:demonstrate",
        env_seeds=range(400),
        max_episodes=200,
    )
    return Task(
        name=name,
        env_id=f"dp_bench/{cls}-v0",
        entry_point=f"{package}.env:{cls}",
        about=about,
        max_steps=steps,
        score="dp_bench.envs.scores:solved",
        obs_kinds=("state", "image"),
        obs_keys={"image": (*(f"{camera}_image" for camera in cameras), *vectors)},
        obs_columns=vectors,
        obs_dims={"state": obs_dim},
        controls=("velocity", "position"),
        sources={
            "scripted": scripted,
            **{
                key: _human(
                    line,
                    file=f"v1.5/{name}/{key}/low_dim_v15.hdf5",
                    convert=f"{files}.read",
                    arms=arms,
                    cameras=cameras,
                    # Chi et al. (2023) give policies of mixed demonstrations more time
                    max_steps=500 if (key, steps) == ("mh", 400) else None,
                )
                for key, line in human.items()
            },
        },
        motions={
            "state": MotionColumns(((hand, hand + 3),), actions=(0, 3)),
            "image": MotionColumns(((0, 3),), actions=(0, 3)),
        },
        positions=positions,
        constant_obs={"state": constant_obs or {}},
        layout=f"{files}.layout",
        group="robomimic",
    )


def _arm_columns(arms: int) -> dict[str, ObsColumns]:
    """Returns where the observation "state" holds the vectors of each arm."""
    start, columns = -sum(ARM_WIDTHS.values()) * arms, {}
    for i in range(arms):
        for part, width in ARM_WIDTHS.items():
            stop = start + width
            columns[f"robot{i}_{part}"] = ObsColumns("state", start, stop or None)
            start = stop
    return columns


def _human(
    about: str,
    *,
    file: str,
    convert: str,
    arms: int,
    cameras: Sequence[str],
    max_steps: int | None,
) -> DemoSource:
    """Returns a source of published human demonstrations."""
    keys = ["object", *_arm_columns(arms)]
    return DemoSource(
        about=about,
        hub=("robomimic/robomimic_datasets", file),
        convert=convert,
        arrays=(
            *("states", "actions", "rewards"),
            *(f"obs/{key}" for key in keys),
            *("model_file", "env_args"),
        ),
        images=tuple(f"obs/{camera}_image" for camera in cameras),
        max_steps=max_steps,
    )


TASKS = (
    _task("lift", "Lift", "lift a cube", obs_dim=19, positions=17),
    _task("can", "Can", "put a can into its place", obs_dim=23, positions=38),
    _task("square", "Square", "put a square nut on a peg", obs_dim=23, positions=24),
    _task(
        "transport",
        "Transport",
        "two arms hand a hammer over, and clear a bin",
        obs_dim=59,
        positions=61,
        steps=700,
        arms=2,
        constant_obs={27: "payload in its bin", 28: "trash in its bin"},
        cameras=TRANSPORT_CAMERAS,
    ),
    _task(
        "tool_hang",
        "ToolHang",
        "set up a frame, and hang a tool on it",
        obs_dim=53,
        positions=31,
        steps=700,
        human=PROFICIENT,
        constant_obs={
            7: "x of the stand, which starts at the same place",
            8: "y of the stand",
            42: "frame in its stand",
            43: "tool on the frame",
        },
        cameras=("sideview", "robot0_eye_in_hand"),
    ),
)
