"""The one colour and marker that a method has in every figure."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple, TypedDict

from matplotlib.colors import to_hex, to_rgb

from dp_bench import registry

Dashes = str | tuple[int, tuple[float, ...]]


class Look(NamedTuple):
    """How a method is drawn.

    Attributes:
        colour: Of its lines and markers.
        marker: In matplotlib's letters.
    """

    colour: str
    marker: str


class LineStyle(TypedDict):
    """Arguments of `Axes.plot`."""

    color: str
    marker: str
    fillstyle: str
    markersize: float
    linestyle: Dashes
    linewidth: float


# Okabe & Ito's palette, and a brown, which all kinds of colour vision tell apart, for
# our methods.
OURS = (
    Look("#0072B2", "o"),
    Look("#D55E00", "s"),
    Look("#7B3F00", "d"),
    Look("#009E73", "^"),
    Look("#CC79A7", "D"),
    Look("#E69F00", "v"),
)
# Variants have the colour of their method, and a marker of their own.
VARIANTS = "hH8"
# Methods of other packages: other colours and other markers.
OTHERS = tuple(
    Look(colour, marker)
    for marker, colour in itertools.product(
        "PX*<>p", ("#000000", "#332288", "#999933", "#661100")
    )
)
# Two sides, or two sets of demonstrations: colours that no method has.
PAIR = ("#56B4E9", "#882255")
# Several rows of one method share its look, and differ in these.
DASHES: tuple[Dashes, ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (1, 1.2)),
    (0, (5, 1.5, 1, 1.5)),
    (0, (5, 1.5, 1, 1.5, 1, 1.5)),
)
FILLS = ("full", "none", "left", "right", "bottom", "top")


def look_of(method: str) -> Look:
    """Returns the look of a method, which depends on no figure and no other row.

    Our methods have theirs by their place in the registry. A method of another package
    has one that no method of ours and no other installed method has; its name chooses
    it, so that it is the same on most machines. Only methods that are not installed,
    and occur in records of another machine, can share a look.
    """
    known = registry.methods_and_variants().get(method)
    if known and known.base:
        place = list(registry.method(known.base).all_variants()).index(method)
        marker = VARIANTS[place % len(VARIANTS)]
        return Look(look_of(known.base).colour, marker)
    ours = dict(zip(registry.METHODS, OURS, strict=True))
    if method in ours:
        return ours[method]
    taken: dict[str, Look] = {}
    for name in registry.methods():
        if name not in ours:
            taken[name] = _free(name, taken.values())
    return taken.get(method) or _free(method, taken.values())


def line_styles(methods: Sequence[str]) -> Iterator[LineStyle]:
    """Gives each line the look of its method.

    Args:
        methods: Of each line. Several lines of one method differ in dashes and in how
            their markers are filled.
    """
    for k, method in enumerate(methods):
        look = look_of(method)
        before = methods[:k].count(method)
        yield {
            "color": look.colour,
            "marker": look.marker,
            "fillstyle": FILLS[before % len(FILLS)],
            "markersize": 4.5,
            "linestyle": DASHES[before % len(DASHES)],
            "linewidth": 1.8,
        }


def tint(colour: str, share: float) -> str:
    """Mixes a colour with a share of white."""
    return to_hex([part + (1 - part) * share for part in to_rgb(colour)])


def tints(number: int) -> list[float]:
    """Gives shares of white that tell series of one row apart, `(number,)`."""
    return [k / max(number - 1, 1) for k in range(number)]


def _free(name: str, taken: Collection[Look]) -> Look:
    """Chooses by name, and goes on to the next look while one is taken."""
    first = zlib.crc32(name.encode()) % len(OTHERS)
    ring = (*OTHERS[first:], *OTHERS[:first])
    return next((look for look in ring if look not in taken), ring[0])
