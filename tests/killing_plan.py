"""Kills that are spread over the life of a command, in several series."""

from __future__ import annotations

import collections
import random
import time
from dataclasses import dataclass

from killing import POLL, Attempt, Command, Event


@dataclass(frozen=True)
class Kill:
    """A kill that is planned.

    Attributes:
        kind: What to kill; see `Attempt.kill`.
        rank: Number of the event of an undisturbed life after which to kill.
        share: Where between this event and the next, from 0 to 1.
    """

    kind: str
    rank: int
    share: float

    def earlier(self) -> Kill:
        """Returns the same kill sooner, for a process that had ended by then."""
        return Kill(self.kind, self.rank // 2, 0.0)


@dataclass(frozen=True)
class Done:
    """A kill that was done.

    Attributes:
        kill: The plan.
        after: Name of the last event before it.
        victim: What was killed.
        orphans: How long descendants lived after it [s].
    """

    kill: Kill
    after: str
    victim: str
    orphans: float


def planned(events: list[Event], counts: dict[str, int], seed: int = 0) -> list[Kill]:
    """Spreads kills evenly over the life of a command.

    Args:
        events: Of an undisturbed life.
        counts: How many kills of each kind.
        seed: Of the places between events.
    """
    rng = random.Random(seed)
    kills = []
    for kind, count in counts.items():
        able = [
            rank
            for rank, event in enumerate(events)
            if kind in (*event.roles, "group") or kind == "command"
        ]
        for k in range(count):
            rank = able[(2 * k + 1) * len(able) // (2 * count)]
            kills.append(Kill(kind, rank, rng.random()))
    return kills


class Killing:
    """Kills a command many times, and runs it to its end after each series.

    Args:
        events: Of an undisturbed life.
    """

    def __init__(self, events: list[Event]) -> None:
        self._events = events
        self._rank: dict[str, int] = {}
        for rank, event in enumerate(events):
            self._rank.setdefault(event.name, rank)
        self.done: list[Done] = []

    def series(self, command: Command, kills: list[Kill]) -> list[Kill]:
        """Kills the command in the order of its life; returns kills it never came to.

        Each life goes on until the command itself is killed. After the last kill the
        command runs to its end.
        """
        todo, missed = sorted(kills, key=lambda kill: kill.rank), []
        while todo:
            attempt = command.start()
            try:
                if not self._life(attempt, todo):
                    missed.append(todo.pop(0).earlier())
            finally:
                attempt.close()
        attempt = command.start()
        try:
            assert attempt.to_the_end() == 0, attempt.output()
        finally:
            attempt.close()
        return missed

    def _life(self, attempt: Attempt, todo: list[Kill]) -> bool:
        """Does the kills of one life; whether there was any."""
        any_done, reached, last = False, 0, "begins"
        while todo:
            kill = todo[0]
            while reached < kill.rank and not attempt.ended:
                for event in attempt.look():
                    reached = max(reached, self._rank.get(event.name, 0))
                    last = event.name if event.name in self._rank else last
                time.sleep(POLL)
            time.sleep(kill.share * self._gap(kill.rank))
            while not (attempt.ended or attempt.has(kill.kind)):
                attempt.look()
                time.sleep(POLL)
            if attempt.ended:
                return any_done
            victim, orphans = attempt.kill(kill.kind)
            if not victim:
                return any_done
            todo.pop(0)
            any_done = True
            self.done.append(Done(kill, last, victim, orphans))
            if kill.kind in ("command", "group"):
                break
        return any_done

    def _gap(self, rank: int) -> float:
        later = [e.at for e in self._events[rank:] if e.at > self._events[rank].at]
        return min(1.0, later[0] - self._events[rank].at) if later else 0.0

    def summary(self) -> str:
        """Counts of kills by what was killed, and the longest life of an orphan."""
        if not self.done:
            return "0 kills"
        victims = collections.Counter(done.victim for done in self.done)
        longest = max(self.done, key=lambda done: done.orphans)
        return (
            f"{len(self.done)} kills: "
            + ", ".join(f"{n} of {victim}" for victim, n in sorted(victims.items()))
            + f"; the longest life of an orphan was {longest.orphans:.2f} s"
        )
