"""A part of some work, whose other parts run elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from dp_bench.errors import BadInput

T = TypeVar("T")
RULE = "a part must be I/N with I from 1 to N, for example 2/8"


class Shard(NamedTuple):
    """Part I of N.

    Attributes:
        number: I, from 1.
        parts: N.
    """

    number: int = 1
    parts: int = 1

    @classmethod
    def read(cls, text: str | None) -> Shard:
        """Reads I/N; None is the whole work.

        Raises:
            BadInput: When the text is something else.
        """
        if text is None:
            return cls()
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            raise BadInput(f"{RULE}; got {text[:40]!r}")
        return cls(int(match[1]), int(match[2]))

    @property
    def is_all(self) -> bool:
        """Whether there is only one part."""
        return self.parts == 1

    @property
    def name(self) -> str:
        """Names the part in a file."""
        return f"{self.number}-of-{self.parts}"

    def __str__(self) -> str:
        return f"part {self.number} of {self.parts}"

    def has(self, index: int) -> bool:
        """Tells whether the item at an index belongs to this part."""
        return index % self.parts == self.number - 1

    def of(self, items: Sequence[T]) -> list[T]:
        """Lists the items of this part: every N-th."""
        return list(items[self.number - 1 :: self.parts])


WHOLE = Shard()
