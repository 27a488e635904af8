"""Digests of published demonstrations: remembered from a first download, checked."""

import dataclasses
import functools
import hashlib
import json

import numpy as np
import pytest

from dp_bench import registry
from dp_bench.data import download, learned, store
from dp_bench.data.demos import Demos
from dp_bench.data.hdf5 import save
from dp_bench.errors import BadInput
from dp_bench.grid.cell import ChosenDemos


def some_demos(scale=1.0, scores=(0.0, 0.0), source="human"):
    return Demos(
        task="pusht",
        source=source,
        obs={"state": np.ones((40, 5), np.float32)},
        actions=np.full((40, 2), scale),
        states=np.random.default_rng(0).random((40, 5)),
        rewards=np.zeros(40),
        scores=np.array(scores),
        episode_ends=np.array([15, 40]),
    )


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub that publishes the file `published.hdf5` as pusht/human, digest unknown."""
    monkeypatch.setenv("DP_BENCH_DATA", str(tmp_path / "data"))
    publish(
        monkeypatch, digest=None, hub=("somebody/pusht", "published.hdf5"), url=None
    )
    file = tmp_path / "published.hdf5"
    save(some_demos(), file)
    monkeypatch.setattr(download, "from_hub", lambda repository, name, source: file)
    return file


def publish(monkeypatch, **changes):
    task = registry.task("pusht")
    source = dataclasses.replace(task.sources["human"], **changes)
    changed = dataclasses.replace(task, sources={"human": source})
    monkeypatch.setattr(registry, "tasks", functools.cache(lambda: {"pusht": changed}))


def record_of(hub):
    return hub.parent / "data" / "pusht-human.digests.json"


def test_the_first_download_is_remembered(hub):
    path = store.obtain("pusht")
    assert json.loads(record_of(hub).read_text()) == {
        "file": hashlib.sha256(hub.read_bytes()).hexdigest(),
        "demos": some_demos().digest,
    }
    files = [f for f in path.parent.iterdir() if f.suffix != ".lock"]
    assert sorted(files) == [record_of(hub), path]
    before = record_of(hub).stat().st_mtime_ns
    path.unlink()
    assert store.obtain("pusht") == path
    assert record_of(hub).stat().st_mtime_ns == before


def test_a_later_download_of_something_else_is_refused_with_both_digests(hub):
    path = store.obtain("pusht")
    first = hashlib.sha256(hub.read_bytes()).hexdigest()
    path.unlink()
    save(some_demos(scale=2.0), hub)
    second = hashlib.sha256(hub.read_bytes()).hexdigest()
    with pytest.raises(BadInput) as caught:
        store.obtain("pusht")
    for part in (first[:12], second[:12], f"delete {record_of(hub)}"):
        assert part in str(caught.value)
    assert not path.exists()
    record_of(hub).unlink()  # as the sentence says
    assert store.obtain("pusht") == path


def test_an_import_is_compared_with_the_first_download(hub, tmp_path):
    path = store.obtain("pusht")
    other = tmp_path / "other.hdf5"
    save(some_demos(scale=2.0), other)
    with pytest.raises(BadInput, match=r"downloaded first.*need a `source`"):
        store.obtain("pusht", from_path=other)
    assert store.load_demos("pusht").digest == some_demos().digest
    save(some_demos(scores=(0.5, 1.0)), other)  # other bytes, the same demonstrations
    assert store.obtain("pusht", from_path=other) == path


def test_some_episodes_of_the_same_file_do_not_differ(hub):
    store.obtain("pusht")
    task, some = registry.task("pusht"), some_demos().select([1])
    assert store.difference(some, task, hub) == ""
    save(some, hub)
    assert "SHA-256" in store.difference(some, task, hub)


def test_training_on_another_file_of_a_known_source_says_both_digests(hub, capsys):
    store.obtain("pusht")
    capsys.readouterr()
    task = registry.task("pusht")
    ChosenDemos(task, path=str(hub)).check()
    assert capsys.readouterr().err == ""
    first = hashlib.sha256(hub.read_bytes()).hexdigest()
    save(some_demos(scale=2.0), hub)
    second = hashlib.sha256(hub.read_bytes()).hexdigest()
    ChosenDemos(task, path=str(hub)).check()
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert first[:12] in said
    assert second[:12] in said
    save(some_demos(scale=2.0, source="mine"), hub)
    ChosenDemos(task, path=str(hub)).check()
    assert capsys.readouterr().err == ""


def test_training_on_a_file_that_is_not_the_published_one_says_so(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("DP_BENCH_DATA", str(tmp_path / "data"))
    publish(monkeypatch, digest=some_demos().digest)
    save(some_demos(scale=2.0), tmp_path / "other.hdf5")
    ChosenDemos(registry.task("pusht"), path=str(tmp_path / "other.hdf5")).check()
    said = capsys.readouterr().err
    assert some_demos().digest[:12] in said
    assert some_demos(scale=2.0).digest[:12] in said
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"file": 3, "demos": ""}', '{"file": "", "demos": "x"}']
)
def test_a_damaged_record_is_refused_with_the_way_out(hub, text):
    store.obtain("pusht").unlink()
    record_of(hub).write_text(text)
    with pytest.raises(BadInput, match=r"digests\.json.* is damaged .*: delete it"):
        store.obtain("pusht")


def test_the_digest_of_a_folder_is_of_names_and_content(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "data").mkdir(parents=True)
        (tmp_path / name / "data" / "a").write_bytes(b"content")
    digest = learned.file_digest(tmp_path / "one")
    assert learned.file_digest(tmp_path / "two") == digest
    (tmp_path / "two" / "data" / "a").rename(tmp_path / "two" / "data" / "b")
    assert learned.file_digest(tmp_path / "two") != digest
