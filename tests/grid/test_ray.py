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
UPDATES = 120


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


@pytest.fixture
def command(demos_file, tmp_path):
    """Makes the words of a small grid."""

    def words(folder, *more):
        (tmp_path / folder).mkdir(exist_ok=True)
        return [
            *(sys.executable, "-m", "dp_bench", "compare", "--task", "pusht"),
            *("--methods", "bet", "--seeds", "0", "1", "--preset", "smoke"),
            *("--episodes", "4", "--device", "cpu", "--demos", str(demos_file)),
            *more,
            *("--set", f"training.updates={UPDATES}", "training.log_every=10"),
            *("training.save_seconds=1e-9",),
        ]

    return words


def results(folder):
    """Records without times, in an order of their own."""
    (place,) = (folder / "runs" / "results").rglob("records")
    read = [
        dataclasses.replace(r, decision_latency=0.0, train_seconds=0.0)
        for r in records.read(place)
    ]
    return sorted(read, key=lambda r: (r.train_seed, r.variant, r.env_seed))


def run(words, folder, **more):
    return subprocess.run(
        words, cwd=folder, capture_output=True, text=True, env=environment(**more)
    )


@pytest.fixture(scope="module")
def undisturbed(demos_file, tmp_path_factory):
    """Results of one machine without Ray."""
    folder = tmp_path_factory.mktemp("undisturbed")
    words = command.__wrapped__(demos_file, folder)("here")
    ended = run(words, folder / "here")
    assert ended.returncode == 0, ended.stderr
    return results(folder / "here")


@pytest.mark.slow
@pytest.mark.parametrize("apart", ["", "1"])
def test_a_cluster_gives_the_records_of_one_machine(
    apart, cluster, command, undisturbed, tmp_path
):
    words = command("here", "--ray", cluster.address)
    ended = run(words, tmp_path / "here", DP_BENCH_RAY_APART=apart)
    assert ended.returncode == 0, ended.stderr
    assert results(tmp_path / "here") == undisturbed
    assert not list((tmp_path / "here" / "runs").rglob("resume.safetensors"))


def child_of_a_worker(folder):
    """Finds a process that runs a cell of the grid in a folder, and its Ray worker."""
    for place in Path("/proc").iterdir():
        try:
            text = (place / "cmdline").read_text()
            if "dp_bench.grid.run" in text and '"pusht"' in text:
                status = (place / "status").read_text()
                parent = int(re.search(r"PPid:\t(\d+)", status)[1])
                if "ray::" in Path(f"/proc/{parent}/cmdline").read_text():
                    return parent
        except (OSError, TypeError):
            continue
    return None


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def trains(folder):
    return list((folder / "runs" / "pusht").glob("*/resume.safetensors"))


def evaluates(folder):
    return list((folder / "runs" / "pusht").glob("*/weights.safetensors"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "victim", ["worker", "worker that evaluates", "node", "driver"]
)
def test_whatever_is_killed_the_records_are_equal(
    victim, cluster, command, undisturbed, tmp_path
):
    words, folder = command("here", "--ray", cluster.address), tmp_path / "here"
    begun = subprocess.Popen(
        words,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    wait_for(lambda: (evaluates if "evaluates" in victim else trains)(folder))
    if victim == "node":
        os.kill(cluster.raylet, signal.SIGKILL)
        cluster.replace_node()
    elif victim == "driver":
        begun.kill()
    else:
        worker = wait_for(lambda: child_of_a_worker(folder))
        os.kill(worker, signal.SIGKILL)
    _, said = begun.communicate(timeout=300)
    if victim == "driver":
        assert trains(folder)
        ended = run(words, folder)
        assert ended.returncode == 0, ended.stderr
        said = ended.stderr
    else:
        assert begun.returncode == 0, said
    assert results(folder) == undisturbed
    if victim == "driver":  # both trainings had saved a state
        firsts = re.findall(r"Training pusht bet seed (\d): (\d+)/", said)
        assert all(int(done) > 1 for _, done in firsts), said
