"""Commands that are killed at chosen moments of their life, and what they leave."""

from __future__ import annotations

import collections
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

POLL = 0.05  # how often processes and files are looked at [s]
ORPHANS = 5.0  # how long a process may outlive the one that started it [s]
FEW_EPISODES = """\
import dataclasses
from dp_bench.envs.block_push.task import TASK

few = dataclasses.replace(TASK.sources["scripted"], env_seeds=range({episodes}))
TASK.sources["scripted"] = few
if __name__ == "__main__":
    from dp_bench.cli.app import main

    main()
"""


class Command:
    """A command that runs in a folder of its own, with a cache of its own.

    Args:
        words: What follows `dp-bench`.
        folder: Where it runs.
        settings: Folder for the settings of matplotlib, which takes long to make.
        episodes: Number of seeds of BlockPush's script.
    """

    def __init__(self, words, folder, settings, *, episodes=10):
        folder.mkdir(parents=True, exist_ok=True)
        launcher = settings / "few_episodes.py"
        launcher.write_text(FEW_EPISODES.format(episodes=episodes))
        self.words = [sys.executable, str(launcher), *map(str, words)]
        self.folder = folder
        self.environment = os.environ | {
            "DP_BENCH_DATA": str(folder / "data"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "MPLCONFIGDIR": str(settings),
            "MPLBACKEND": "agg",
        }

    def start(self) -> Attempt:
        """Starts the command, in a process group of its own."""
        return Attempt(self)


@dataclass(frozen=True)
class Process:
    """A process: its number, its parent's, and what it does."""

    number: int
    parent: int
    role: str


def processes_of(group: int) -> dict[int, Process]:
    """Lists the processes of a group that run; zombies do not."""
    found = {}
    for place in Path("/proc").iterdir():
        if not place.name.isdecimal():
            continue
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) != group or fields[0] in "ZX":
                continue
            words = (place / "cmdline").read_text().split("\0")
        except (OSError, IndexError):
            continue  # it has ended meanwhile
        number = int(place.name)
        role = _role(words) if number != group else "command"
        found[number] = Process(number, int(fields[1]), role)
    return found


def _role(words: list[str]) -> str:
    if "dp_bench.grid.run" in words:
        cell = json.loads(words[words.index("dp_bench.grid.run") + 1])
        return f"cell {cell['method']} {cell['train_seed']}"
    if {"dp_bench.grid.probe", "dp_bench.grid.update_time"} & {*words}:
        return "probe"
    text = " ".join(words)
    if "multiprocessing.resource_tracker" in text:
        return "tracker"
    return "worker" if "multiprocessing.spawn" in text else "other"


def files_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Lists files by name, without their writer's number, with inode and size."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            try:
                facts = path.stat()
            except OSError:
                continue
            shown = str(path.relative_to(folder))
            if name.startswith(".part."):
                shown = str(path.parent.relative_to(folder) / f"part of {path.suffix}")
            found[shown] = (facts.st_ino, facts.st_size)
    return found


@dataclass
class Event:
    """Something that happened in the life of a command.

    Attributes:
        name: What happened; the same in every life.
        at: When, since the start of the command [s].
        roles: What processes did at that time.
    """

    name: str
    at: float
    roles: frozenset[str]


class Attempt:
    """One life of a command, which is watched."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self._files = files_of(command.folder)
        self._counts: collections.Counter[str] = collections.Counter()
        self._output = (command.folder.parent / f"{command.folder.name}.txt").open("w+")
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            command.words,
            cwd=command.folder,
            env=command.environment,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.group = self.process.pid
        self.processes: dict[int, Process] = {}
        self.events = [Event("begins", 0.0, frozenset({"command"}))]

    @property
    def ended(self) -> bool:
        """Whether the command has ended by itself."""
        return self.process.poll() is not None

    def output(self) -> str:
        """What the command has printed."""
        self._output.seek(0)
        return self._output.read()

    def has(self, kind: str) -> bool:
        """Whether there is a process to kill of a kind; see `kill`."""
        roles = {p.role.split()[0] for p in processes_of(self.group).values()}
        return kind in (*roles, "group")

    def look(self) -> list[Event]:
        """Looks at processes and files; returns what is new."""
        now = time.monotonic() - self.began
        files = files_of(self.command.folder)
        processes = {  # others are git, or have not begun what they were made for
            k: p for k, p in processes_of(self.group).items() if p.role != "other"
        }
        names = [
            f"{self._owner(p, processes)} begins"
            for number, p in processes.items()
            if number not in self.processes and number != self.group
        ]
        names += [
            f"{self._owner(p, self.processes)} ends"
            for number, p in self.processes.items()
            if number not in processes
        ]
        names += [
            f"{name} is written"
            for name in files
            if files[name] != self._files.get(name)
        ]
        roles = frozenset(p.role.split()[0] for p in processes.values())
        new = []
        for name in names:
            self._counts[name] += 1
            new.append(Event(f"{name} ({self._counts[name]})", now, roles))
        self.processes, self._files = processes, files
        self.events += new
        return new

    def _owner(self, process: Process, among: dict[int, Process]) -> str:
        parent = among.get(process.parent)
        if parent is None or parent.role == "command":
            return process.role
        return f"{process.role} of {parent.role}"

    def to_the_end(self) -> int:
        """Watches the command until it ends; returns its exit code."""
        while not self.ended:
            self.look()
            time.sleep(POLL)
        self.look()
        return self.process.returncode

    def kill(self, kind: str) -> tuple[str, float]:
        """Kills a process, and waits until whatever it started has ended.

        Args:
            kind: "command", "group" for the command and all that it started, or the
                role of a process: "cell", "worker", "probe".

        Returns:
            What was killed, and how long its descendants lived after it [s].
        """
        now = processes_of(self.group)
        if kind in ("command", "group"):
            # only processes of this group, which this test has started
            send = os.killpg if kind == "group" else os.kill
            send(self.group, signal.SIGKILL)
            victim, heirs = kind, set(now) - {self.group}
            self.process.wait()
        else:
            found = [p for p in now.values() if p.role.split()[0] == kind]
            if not found:
                return "", 0.0
            target = found[-1]
            os.kill(target.number, signal.SIGKILL)
            victim, heirs = self._owner(target, now), descendants(target.number, now)
        return victim, self._until_gone(heirs, everything=kind in ("command", "group"))

    def stop(self, number: int, *, whole_group: bool) -> float:
        """Sends a signal to the command, or to all processes as a terminal does.

        Returns:
            How long the processes lived after it [s].
        """
        send = os.killpg if whole_group else os.kill
        send(self.group, number)
        return self._until_gone(set(), everything=True)

    def _until_gone(self, heirs: set[int], *, everything: bool) -> float:
        killed = time.monotonic()
        while True:
            left = set(processes_of(self.group))
            self.process.poll()  # or it would stay as a zombie
            left = left if everything else left & heirs
            if not left:
                return time.monotonic() - killed
            if time.monotonic() - killed > 12 * ORPHANS:
                raise AssertionError(f"{left} live long after their parent")
            time.sleep(POLL)

    def close(self) -> None:
        """Ends whatever is left of the process group, and closes the output."""
        if processes_of(self.group) or not self.ended:
            os.killpg(self.group, signal.SIGKILL)
        self.process.wait()
        self._output.close()


def descendants(number: int, among: dict[int, Process]) -> set[int]:
    """Numbers of the processes that a process has started, theirs included."""
    found: set[int] = set()
    while True:
        more = {
            p.number for p in among.values() if p.parent in found | {number}
        } - found
        if not more:
            return found
        found |= more
