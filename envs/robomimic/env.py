"""Robomimic: Lift, Can, Square, Transport and ToolHang."""

from __future__ import annotations

from .base import Robomimic


class Lift(Robomimic):
    """The arm lifts a cube by 4 cm. The size of the cube varies by a millimetre."""

    suite_name = "Lift"
    model_varies = True


class Can(Robomimic):
    """The arm puts a can from one bin into its place in another."""

    suite_name = "PickPlaceCan"


class Square(Robomimic):
    """The arm puts a square nut, by its handle, over a square peg."""

    suite_name = "NutAssemblySquare"


class Transport(Robomimic):
    """Two arms carry a hammer from one bin to another.

    One arm takes a lid off, takes the hammer out, and hands it over. The other arm
    clears the bin that the hammer goes into. The size of the hammer varies.
    """

    suite_name = "TwoArmTransport"
    arms = 2
    cameras = (
        "shouldercamera0",
        "robot0_eye_in_hand",
        "shouldercamera1",
        "robot1_eye_in_hand",
    )
    model_varies = True


class ToolHang(Robomimic):
    """The arm puts a hooked frame into a stand, and hangs a tool on it."""

    suite_name = "ToolHang"
    cameras = ("sideview", "robot0_eye_in_hand")
    camera_size = 240
    view = "sideview"


_shared_envs: dict[type[Robomimic], Robomimic] = {}


def shared_env(task: type[Robomimic]) -> Robomimic:
    """Returns one environment of a task for this process. Making one takes a second."""
    if task not in _shared_envs:
        _shared_envs[task] = task()
    return _shared_envs[task]
