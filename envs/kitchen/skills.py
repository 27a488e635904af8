"""How the script manipulates each element, and the orders in which it does them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Range = tuple[float, float]  # lowest and highest: a number is drawn between them

TIP = 0.043  # from the hand's site to the end of the fingers, less their radius [m]


@dataclass(frozen=True)
class Skill:
    """How the hand reaches an element, and moves it along its joint.

    Attributes:
        site: Name of the element's handle, knob or lever in the scene.
        joint: Name of the joint on which the element moves.
        goal: Value of the joint at which the hand leaves the element [rad, m]. For the
            kettle: where the hand puts it, in x.
        grip: Whether the fingers hold the element; otherwise they are closed and push.
        depth: Distance of the contact from the hand's site, towards the fingertips [m].
        offset: The contact seen from the element's site, in x (right), y (away from the
            robot), z (up) [m].
        aside: Where the hand begins the last approach, seen from the contact, so that
            it hits nothing [m].
        yaw: Direction of the fingers: 0 is away from the robot, right is positive
            [rad].
        pitch: Elevation of the fingers [rad].
        turn: Yaw that the hand gains while it moves the element [rad].
        speed: Of the contact [m/s].
        beyond: How far past the goal the hand aims, as a share of the goal: the more,
            the harder it pushes.
        via: Distance from the robot at which a hand that comes from far passes [m].
        lift: How high the hand carries the kettle [m].
    """

    site: str
    joint: str
    goal: Range
    grip: bool
    depth: Range
    offset: tuple[Range, Range, Range]
    yaw: Range
    pitch: Range
    speed: Range
    aside: tuple[float, float, float] = (0.0, 0.0, 0.0)
    turn: Range = (0.0, 0.0)
    beyond: float = 0.15
    via: Range = (0.33, 0.42)
    lift: Range | None = None


SKILLS = {
    "bottom burner": Skill(
        site="knob2_site",
        joint="knob_Joint_2",
        goal=(-1.0, -0.75),
        grip=False,
        depth=(TIP, TIP),
        offset=((-0.037, -0.034), (0.005, 0.011), (0.032, 0.038)),
        aside=(-0.02, 0.0, 0.0),
        yaw=(0.05, 0.25),
        pitch=(0.05, 0.2),
        speed=(0.045, 0.06),
        beyond=1.6,
    ),
    "top burner": Skill(
        site="knob4_site",
        joint="knob_Joint_4",
        goal=(-1.05, -0.8),
        grip=False,
        depth=(TIP, TIP),
        offset=((-0.037, -0.034), (0.005, 0.011), (0.034, 0.042)),
        aside=(-0.02, 0.0, 0.0),
        yaw=(0.05, 0.25),
        pitch=(0.05, 0.2),
        speed=(0.045, 0.06),
        beyond=1.6,
    ),
    "light switch": Skill(
        site="light_site",
        joint="light_switch",
        goal=(-0.69, -0.6),
        grip=False,
        depth=(TIP, TIP),
        offset=((0.040, 0.044), (-0.01, 0.005), (-0.008, 0.008)),
        aside=(0.02, 0.0, 0.0),
        yaw=(0.0, 0.25),
        pitch=(0.2, 0.4),
        speed=(0.2, 0.3),
        beyond=0.5,
    ),
    "slide cabinet": Skill(
        site="slide_site",
        joint="slide_cabinet",
        goal=(0.2, 0.38),
        grip=False,
        depth=(TIP, TIP),
        offset=((-0.046, -0.040), (-0.005, 0.02), (-0.12, -0.06)),
        aside=(-0.03, 0.0, 0.0),
        yaw=(0.4, 0.7),
        pitch=(0.2, 0.45),
        turn=(0.35, 0.65),
        speed=(0.3, 0.45),
    ),
    "hinge cabinet": Skill(
        site="hinge_site2",
        joint="right_hinge_cabinet",
        goal=(1.25, 1.4),
        grip=True,
        depth=(0.0, 0.015),
        offset=((-0.005, 0.005), (-0.005, 0.005), (-0.12, -0.03)),
        yaw=(0.0, 0.2),
        pitch=(0.0, 0.3),
        turn=(0.05, 0.25),
        speed=(0.22, 0.3),
    ),
    "microwave": Skill(
        site="microhandle_site",
        joint="microwave",
        goal=(-0.85, -0.65),
        grip=True,
        depth=(0.005, 0.02),
        offset=((-0.005, 0.005), (-0.005, 0.005), (0.03, 0.09)),
        yaw=(-0.3, -0.1),
        pitch=(-0.15, 0.0),
        turn=(-0.45, -0.25),
        speed=(0.3, 0.45),
    ),
    "kettle": Skill(
        site="kettle_site",
        joint="kettle",
        goal=(-0.24, -0.17),
        grip=True,
        depth=(-0.015, 0.0),
        offset=((-0.097, -0.088), (-0.005, 0.005), (-0.10, -0.06)),
        yaw=(0.25, 0.45),
        pitch=(-0.25, -0.1),
        turn=(-0.3, -0.15),
        aside=(-0.02, -0.04, -0.01),
        via=(0.2, 0.28),
        lift=(0.09, 0.13),
        speed=(0.25, 0.35),
    ),
}
KETTLE_Y = (0.72, 0.76)  # where the hand puts the kettle [m]

# The orders of elements, as digits (67.. is the sixth element and then the seventh),
# and how often the script draws each of them, relatively. As in human demonstrations
# there are many orders, but far from all 840, and some are more common than others: a
# policy has to choose, and cannot have seen every order. The table was drawn once, so
# that each element is in 12 to 15 orders and first in at least two. In none does the
# slide cabinet (4) come after the hinge cabinet (5), whose open door hides its handle.
ORDERS = {
    1345: 3,
    1352: 1,
    1527: 4,
    1675: 2,
    1753: 6,
    2413: 1,
    2415: 5,
    2734: 2,
    3264: 1,
    3642: 3,
    3726: 4,
    3761: 1,
    4176: 6,
    4632: 2,
    4735: 5,
    4753: 1,
    5127: 3,
    5216: 6,
    5276: 1,
    5623: 4,
    6253: 2,
    6372: 5,
    7146: 2,
    7451: 3,
}


def draw_order(rng: np.random.Generator) -> tuple[int, ...]:
    """Draws one of `ORDERS`, as numbers of elements from 0."""
    orders, weights = np.array(list(ORDERS)), np.array(list(ORDERS.values()))
    digits = rng.choice(orders, p=weights / weights.sum())
    return tuple(int(digit) - 1 for digit in str(digits))
