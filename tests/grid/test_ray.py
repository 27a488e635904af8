"""Running a grid on a Ray cluster: the same results, whatever dies."""

import ast
import dataclasses
import os
import re
import signal
import subprocess
import sys
import time
import types
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

import dp_bench
from dp_bench.cli import main
from dp_bench.evaluation import records
from dp_bench.grid import ray as driver
from dp_bench.grid import ray_worker
from dp_bench.grid.ray_worker import Desk, Job

ROOT = Path(dp_bench.__file__).parent
UPDATES, EPISODES = 300, 30  # of a training; of its evaluation in each variant
MOMENTS = (0.0, 0.3, 0.6)  # of a kill: the share of the work that is on the disk


def test_nothing_but_the_driver_imports_ray():
    importing = set()
    for file in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            if any(name.split(".")[0] == "ray" for name in names):
                importing.add(file.name)
    assert importing == {"ray.py", "ray_worker.py"}


def test_without_ray_the_command_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(driver.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        main(["compare", "--task", "blockpush", "--ray"])
    assert "--ray needs Ray: pip install 'dp-bench[ray]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--ray", "a", "b"], "--ray takes one address, got 2"),
        (["--ray", "--jobs", "2"], "--jobs cannot be used with --ray"),
        (["--ray", "--devices", "all"], "--devices cannot be used with --ray"),
        (["--per-gpu", "2"], "--per-gpu needs --ray or --devices"),
        (["--ray", "--per-gpu", "0"], "--per-gpu must be at least 1, got 0"),
        (["--ray", "--until-decided"], "--until-decided takes no --ray"),
        (["--devices", "all", "--until-decided"], "--until-decided takes no --devices"),
        (["--devices", "all", "--jobs", "2"], "--jobs cannot be used with --devices"),
    ],
)
def test_wrong_input_is_one_sentence(words, said, monkeypatch, capsys):
    monkeypatch.setattr(driver.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(SystemExit):
        main(["compare", "--task", "blockpush", *words])
    assert said in capsys.readouterr().err


def test_the_code_that_travels_is_complete_and_always_the_same(tmp_path):
    code = driver._code()
    assert code == driver._code()
    with zipfile.ZipFile(BytesIO(code)) as archive:
        archive.extractall(tmp_path)
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import dp_bench, dp_bench.baselines.bet as bet\n"
        "from dp_bench import registry\n"
        "from importlib.metadata import version\n"
        "env = registry.task('pusht').make_env()\n"
        "print(dp_bench.__file__, bet.__file__, version('dp-bench'))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    ).stdout.split()
    inside = tmp_path / "dp_bench"
    assert shown[:2] == [
        str(inside / "__init__.py"),
        str(inside / "baselines" / "bet.py"),
    ]


@pytest.fixture
def shipping(tmp_path, monkeypatch):
    """A node's run folder, and the parcels that it sends."""
    fake = types.SimpleNamespace(
        get=lambda parcel: parcel, wait=lambda parcels, timeout: (parcels, [])
    )
    monkeypatch.setitem(sys.modules, "ray", fake)
    sent = []

    def save(run, files, gone):
        sent.append((list(files), gone))
        desk.save(run, files, gone)
        return "parcel"

    desk = Desk(str(tmp_path / "driver"))
    actor = types.SimpleNamespace(save=types.SimpleNamespace(remote=save))
    folder = tmp_path / "node" / "pusht" / "run"
    folder.mkdir(parents=True)
    (folder / "log.jsonl").write_text("1")  # came from the driver
    return (
        folder,
        ray_worker._Shipped(tmp_path / "node", "pusht/run", actor, ["log.jsonl"]),
        sent,
        tmp_path / "driver" / "pusht" / "run",
    )


def test_a_state_arrives_after_its_log(shipping):
    folder, shipped, sent, there = shipping
    for name in ("run.json", "resume.safetensors", "log.jsonl", ".lock"):
        (folder / name).write_text(f"of {name}")
    (folder / "kept").mkdir()
    (folder / "kept" / "000005.safetensors").write_text("weights")
    shipped.send()
    (names, gone) = sent.pop()
    assert sorted(names[:2]) == ["kept/000005.safetensors", "log.jsonl"]
    assert sorted(names[2:]) == ["resume.safetensors", "run.json"]
    assert not gone
    assert (there / "resume.safetensors").read_text() == "of resume.safetensors"
    assert not (there / ".lock").exists()


def test_only_changes_travel_and_what_is_gone_goes(shipping):
    folder, shipped, sent, there = shipping
    shipped.send()
    assert not sent  # the driver had it
    (folder / "resume.safetensors").write_text("state")
    shipped.send()
    shipped.send()
    assert sent == [(["resume.safetensors"], [])]
    (folder / "resume.safetensors").unlink()
    (folder / "weights.safetensors").write_text("weights")
    shipped.send_all()
    assert sent[1:] == [(["weights.safetensors"], []), ([], ["resume.safetensors"])]
    assert [file.name for file in there.iterdir()] == ["weights.safetensors"]


def test_what_a_lost_parcel_held_is_sent_again(shipping, monkeypatch):
    folder, shipped, sent, _ = shipping
    (folder / "resume.safetensors").write_text("state")

    def lost(parcel):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["ray"], "get", lost)
    with pytest.raises(KeyboardInterrupt):
        shipped.send_all()
    monkeypatch.setattr(sys.modules["ray"], "get", lambda parcel: parcel)
    shipped.send_all()
    assert sent == [(["resume.safetensors"], [])] * 2


def test_a_desk_hands_out_what_it_has(tmp_path):
    desk = Desk(str(tmp_path))
    assert desk.state("pusht/run") == {}
    desk.save("pusht/run", {"log.jsonl": b"1", "kept/000005.safetensors": b"2"})
    (tmp_path / "pusht" / "run" / ".lock").touch()
    state = {"log.jsonl": b"1", "kept/000005.safetensors": b"2"}
    assert desk.state("pusht/run") == state
    desk.show("a", {"done": 1})
    assert desk.take() == [("a", {"done": 1})]
    assert desk.take() == []


def test_other_versions_on_a_node_are_refused():
    from dp_bench.runs.provenance import versions

    fields = [field.name for field in dataclasses.fields(Job)]
    blank = dict.fromkeys(fields, "")
    ray_worker._refuse_other_versions(Job(**blank | {"versions": versions()}), "n1")
    other = versions() | {"torch": "1.0", "nothing": "2.0"}
    with pytest.raises(RuntimeError, match=r"node n1 has torch .* instead of 1\.0, no"):
        ray_worker._refuse_other_versions(Job(**blank | {"versions": other}), "n1")


# Below, a cluster of two nodes runs on this machine.


@pytest.fixture(scope="module")
def cluster():
    """A process that keeps the cluster: its address, and how to end the second node."""
    pytest.importorskip("ray")
    child = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("ray_cluster.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(),
    )
    yield _Cluster(child)
    child.stdin.close()
    child.wait(60)


class _Cluster:
    def __init__(self, child):
        self.child = child
        self.read()

    def read(self):
        address, raylet = self.child.stdout.readline().split()
        self.address, self.raylet = address, int(raylet)

    def replace_node(self):
        self.child.stdin.write("\n")
        self.child.stdin.flush()
        self.read()


def environment(**more):
    quiet = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    return {**os.environ, **quiet, "DP_BENCH_RAY_APART": "1", **more}


def grid_of(methods, seeds, episodes, demos_file, more, changes):
    """The words of a grid of the smoke tier on PushT."""
    return [
        *(sys.executable, "-m", "dp_bench", "compare", "--task", "pusht"),
        *("--methods", *methods, "--seeds", *map(str, seeds), "--preset", "smoke"),
        *("--episodes", str(episodes), "--device", "cpu", "--demos", str(demos_file)),
        *more,
        *("--set", *changes),
    ]


@pytest.fixture(scope="module")
def command(demos_file):
    """Makes the words of two trainings that save their state after every update."""
    often = f"training.updates={UPDATES}", "training.log_every=10"
    changes = (*often, "training.save_seconds=1e-9")
    return lambda *more: grid_of(["bet"], [0, 1], EPISODES, demos_file, more, changes)


@pytest.fixture(scope="module")
def six(demos_file):
    """Makes the words of two methods with three seeds each."""
    changes = ("training.updates=20", "training.log_every=10")
    return lambda *more: grid_of(
        ["bet", "dp_c"], [0, 1, 2], 4, demos_file, more, changes
    )


def results(folder):
    """Records without times, in an order of their own."""
    (place,) = folder.rglob("records")
    read = [
        dataclasses.replace(r, decision_latency=0.0, train_seconds=0.0)
        for r in records.read(place)
    ]
    order = ("method", "train_seed", "variant", "env_seed")
    return sorted(read, key=lambda r: [getattr(r, name) for name in order])


def run(words, folder, **more):
    folder.mkdir(exist_ok=True)
    ended = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, env=environment(**more)
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


def whole(words, tmp_path_factory):
    """Results of one machine without Ray."""
    folder = tmp_path_factory.mktemp("whole")
    run(words, folder)
    return results(folder)


@pytest.fixture(scope="module")
def undisturbed(command, tmp_path_factory):
    return whole(command(), tmp_path_factory)


@pytest.fixture(scope="module")
def whole_six(six, tmp_path_factory):
    return whole(six(), tmp_path_factory)


@pytest.mark.slow
@pytest.mark.parametrize("apart", ["", "1"])
def test_a_cluster_gives_the_records_of_one_machine(
    apart, cluster, six, whole_six, tmp_path
):
    run(six("--ray", cluster.address), tmp_path, DP_BENCH_RAY_APART=apart)
    assert results(tmp_path) == whole_six
    assert len(whole_six) == 2 * 3 * 2 * 4  # methods, seeds, variants, episodes
    assert not list((tmp_path / "runs").rglob("resume.safetensors"))


@pytest.mark.slow
@pytest.mark.parametrize("machines", [1, 2])
def test_two_shards_give_the_records_of_one_machine(machines, six, whole_six, tmp_path):
    pytest.importorskip("ray")  # the fixtures are those of the test above
    for part in (1, 2):
        run(six("--shard", f"{part}/2"), tmp_path / f"machine{part % machines}")
    folders = [str(place.parent) for place in tmp_path.rglob("records")]
    out = tmp_path / "collected"
    merge = [sys.executable, "-m", "dp_bench", "collect", *folders, "--out", str(out)]
    run(merge, tmp_path)
    assert len(folders) == machines
    assert results(out) == whole_six


def children_of_workers(seed=None):
    """Finds the processes that run cells for a Ray worker, and the workers."""
    found = []
    for place in Path("/proc").iterdir():
        try:
            text = (place / "cmdline").read_text()
            wanted = "" if seed is None else f'"train_seed": {seed}'
            if "dp_bench.grid.run" in text and wanted in text:
                status = (place / "status").read_text()
                parent = int(re.search(r"PPid:\t(\d+)", status)[1])
                if "ray::" in Path(f"/proc/{parent}/cmdline").read_text():
                    found.append((int(place.name), parent))
        except (OSError, TypeError):
            continue
    return found


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def trained(folder, share):
    """Finds runs that have a state, and a log of at least a share of the updates."""
    states = (folder / "runs" / "pusht").glob("*/resume.safetensors")
    logs = [state.with_name("log.jsonl") for state in states]
    return [log.parent for log in logs if lines_of(log) >= share * UPDATES / 10]


def evaluated(folder, share):
    """Finds runs that have weights, and records of at least a share of the episodes."""
    done = (folder / "runs" / "pusht").glob("*/weights.safetensors")
    return [
        file.parent
        for file in done
        if lines_of(file.with_name("records.jsonl")) >= share * 2 * EPISODES
    ]


def lines_of(file):
    return len(file.read_text().splitlines()) if file.is_file() else 0


@pytest.mark.slow
@pytest.mark.parametrize("share", MOMENTS)
@pytest.mark.parametrize(
    "victim", ["worker", "worker that evaluates", "node", "driver"]
)
def test_whatever_is_killed_the_records_are_equal(
    victim, share, cluster, command, undisturbed, tmp_path
):
    words = command("--ray", cluster.address)
    begun = subprocess.Popen(
        words,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    moment = evaluated if "evaluates" in victim else trained
    seed = int(wait_for(lambda: moment(tmp_path, share))[0].name[-1])
    if victim == "node":
        os.kill(cluster.raylet, signal.SIGKILL)
        cluster.replace_node()
    elif victim == "driver":
        begun.kill()
    else:
        [(_, worker)] = wait_for(lambda: children_of_workers(seed))
        os.kill(worker, signal.SIGKILL)
    _, said = begun.communicate(timeout=300)
    if victim == "driver":
        states = trained(tmp_path, 0)
        said = run(words, tmp_path)
        assert states
        assert said.count("resumes after update") == len(states), said
    else:
        assert begun.returncode == 0, said
    if victim == "worker":
        assert f"seed {seed} resumes after update" in said, said
    assert results(tmp_path / "runs" / "results") == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("apart", ["", "1"])
def test_a_cell_that_fails_three_times_is_named_and_the_others_end(
    apart, cluster, command, tmp_path
):
    begun = subprocess.Popen(
        command("--ray", cluster.address),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(DP_BENCH_RAY_APART=apart),
    )
    killed = set()
    while begun.poll() is None:
        for child, _ in children_of_workers(seed=1):
            if child not in killed:
                os.kill(child, signal.SIGKILL)
                killed.add(child)
        time.sleep(0.02)
    said = " ".join(begun.stdout.read().split())
    assert len(killed) == driver.TRIES
    assert begun.returncode != 0
    assert "1 of 2 trainings failed (pusht bet seed 1): failed 3 times" in said, said
    log = tmp_path / "runs" / "failed" / "pusht-bet-seed-1.log"
    assert f"[whole output: {log}]" in said
    assert log.is_file()
    assert len(results(tmp_path / "runs" / "results")) == 2 * EPISODES
