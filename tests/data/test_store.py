"""Getting demonstrations: downloads that break, and files at hand."""

import dataclasses
import functools
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from dp_bench import registry
from dp_bench.data import store
from dp_bench.data.demos import Demos
from dp_bench.data.hdf5 import load, save
from dp_bench.errors import BadInput


def some_demos(source="human", scale=1.0):
    return Demos(
        task="pusht",
        source=source,
        obs={"state": np.ones((40, 5), np.float32)},
        actions=np.full((40, 2), scale),
        states=np.random.default_rng(0).random((40, 5)),
        rewards=np.zeros(40),
        scores=np.zeros(2),
        episode_ends=np.array([15, 40]),
    )


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DP_BENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "data"


class Server:
    """Sends `content`; breaks off `drops` times; knows ranges or not."""

    def __init__(self, content):
        self.content, self.drops, self.ranges = content, 0, True
        self.started_at = []

    def answer(self, handler):
        start, total = 0, len(self.content)
        asked = handler.headers.get("Range")
        if asked and self.ranges:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        self.started_at.append(start)
        if start >= total:
            handler.send_error(416)
            return
        body = self.content[start:]
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if self.drops:
            self.drops -= 1
            body = body[: len(body) // 2]
        handler.wfile.write(body)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Publishes some demonstrations as pusht/human on this machine."""
    save(some_demos(), tmp_path / "published.hdf5")
    serves = Server((tmp_path / "published.hdf5").read_bytes())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            serves.answer(self)

        def log_message(self, *args):
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{listening.server_port}/pusht.zip"
    publish(monkeypatch, url=url, digest=some_demos().digest)
    yield serves
    listening.shutdown()
    listening.server_close()


def publish(monkeypatch, **changes):
    task = registry.task("pusht")
    source = dataclasses.replace(task.sources["human"], **changes)
    changed = dataclasses.replace(task, sources={"human": source})
    monkeypatch.setattr(registry, "tasks", functools.cache(lambda: {"pusht": changed}))


def test_a_download_is_kept_and_not_repeated(server, home):
    path = store.obtain("pusht")
    assert path == store.find("pusht") == home / "pusht-human.hdf5"
    assert store.obtain("pusht") == path
    assert store.load_demos("pusht").digest == some_demos().digest
    assert server.started_at == [0]
    names = [file.name for file in home.iterdir() if file.suffix != ".lock"]
    assert names == [path.name]


@pytest.mark.parametrize("ranges", [True, False])
def test_an_interrupted_download_is_resumed(server, home, ranges):
    server.drops, server.ranges = 1, ranges
    with pytest.raises(BadInput, match="ended after"):
        store.obtain("pusht")
    assert store.find("pusht") is None
    store.obtain("pusht")
    assert (server.started_at[1] > 0) == ranges
    assert load(store.find("pusht")).digest == some_demos().digest


def test_a_partial_file_that_is_too_long_is_discarded(server, home):
    home.mkdir()
    (home / "pusht-human.part").write_bytes(bytes(len(server.content) + 5))
    store.obtain("pusht")
    assert server.started_at[-1] == 0


def test_a_download_with_another_digest_is_refused(server, home, tmp_path, monkeypatch):
    save(some_demos(scale=2.0), tmp_path / "other.hdf5")
    for content in (b"<html>log in</html>", (tmp_path / "other.hdf5").read_bytes()):
        server.content = content
        with pytest.raises(BadInput, match="not as expected"):
            store.obtain("pusht")
        assert [f for f in home.iterdir() if f.suffix != ".lock"] == []


def test_without_a_network_the_error_says_what_to_do(monkeypatch, server):
    url = "http://127.0.0.1:9/pusht.zip"  # nobody listens there
    publish(monkeypatch, url=url)
    with pytest.raises(BadInput, match="DEMOS=PATH") as caught:
        store.obtain("pusht")
    message = str(caught.value)
    assert url in message
    assert "DEMOS=PATH" in message
    assert "\n" not in message


def test_an_http_error_is_reported(monkeypatch, server):
    server.answer = lambda handler: handler.send_error(404)
    with pytest.raises(BadInput, match="Not Found"):
        store.obtain("pusht")


def test_demonstrations_without_an_address_need_a_file(monkeypatch):
    publish(monkeypatch, url=None)
    with pytest.raises(BadInput, match="--from PATH"):
        store.obtain("pusht")


def test_a_local_file_is_imported_without_a_network(monkeypatch, tmp_path, home):
    publish(monkeypatch, url=None, digest=some_demos().digest)
    save(some_demos(), tmp_path / "a.hdf5")
    path = store.obtain("pusht", from_path=tmp_path / "a.hdf5")
    assert path == home / "pusht-human.hdf5"
    save(some_demos(scale=2.0), tmp_path / "b.hdf5")
    with pytest.raises(BadInput, match="not the published human"):
        store.obtain("pusht", from_path=tmp_path / "b.hdf5")
    assert store.load_demos("pusht").digest == some_demos().digest


def test_own_demonstrations_are_kept_under_their_own_source(tmp_path, home):
    mine = some_demos(source="mine", scale=2.0)
    save(mine, tmp_path / "a.hdf5")
    path = store.obtain("pusht", from_path=tmp_path / "a.hdf5")
    assert path == home / "pusht-mine.hdf5"
    assert store.load_demos("pusht", "mine").digest == mine.digest
    assert store.find("pusht") is None


def test_a_source_cannot_name_a_file_outside_the_folder(tmp_path, home):
    save(some_demos(source="../../mine"), tmp_path / "a.hdf5")
    with pytest.raises(BadInput, match="cannot name a file"):
        store.obtain("pusht", from_path=tmp_path / "a.hdf5")


def test_a_file_given_by_path_is_read_without_importing(tmp_path, home):
    save(some_demos(scale=3.0), tmp_path / "a.hdf5")
    demos = store.load_demos("pusht", path=tmp_path / "a.hdf5")
    assert demos.digest == some_demos(scale=3.0).digest
    assert not home.exists()


def test_the_error_about_missing_demonstrations_names_the_command_that_gets_them():
    with pytest.raises(BadInput, match="`dp-bench demos get pusht`"):
        store.load_demos("pusht")
    with pytest.raises(BadInput, match="it has human"):
        store.load_demos("pusht", "humann")


@pytest.mark.skipif(sys.platform != "linux", reason="names the folders of Linux")
def test_the_folder_stays_where_earlier_versions_put_it(monkeypatch, tmp_path):
    monkeypatch.delenv("DP_BENCH_DATA")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert store.data_folder() == tmp_path / "cache" / "dp-bench" / "demos"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert store.data_folder() == tmp_path / "home" / ".cache" / "dp-bench" / "demos"
    monkeypatch.setenv("DP_BENCH_DATA", "~/data")
    assert store.data_folder() == tmp_path / "home" / "data"


@pytest.mark.skipif(sys.platform != "linux", reason="names the folders of Linux")
def test_demonstrations_in_the_cache_folder_are_found_from_another_folder(
    monkeypatch, tmp_path
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    save(some_demos(), tmp_path / "dp-bench" / "demos" / "pusht-human.hdf5")
    assert store.load_demos("pusht").digest == some_demos().digest


def test_an_error_of_the_hub_becomes_one_line_with_a_remedy(tmp_path, monkeypatch):
    hub = pytest.importorskip("huggingface_hub", reason="needs huggingface_hub")
    monkeypatch.setenv("DP_BENCH_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    asked = []

    def download(repository, name, repo_type):
        asked.append((repository, name, repo_type))
        raise OSError("no route\nto host")

    monkeypatch.setattr(hub, "hf_hub_download", download)
    with pytest.raises(BadInput) as caught:
        store.obtain("can", "mh")
    assert asked == [
        ("robomimic/robomimic_datasets", "v1.5/can/mh/low_dim_v15.hdf5", "dataset")
    ]
    message = str(caught.value)
    assert "(no route to host)" in message
    assert "`dp-bench demos get TASK --source mh --from PATH`" in message
    assert "\n" not in message
    assert not list(tmp_path.glob("*.hdf5"))


def test_what_a_killed_command_left_in_the_cache_is_removed(tmp_path, monkeypatch):
    monkeypatch.setenv("DP_BENCH_DATA", str(tmp_path))
    killed = (
        "import os, signal, sys; from pathlib import Path; "
        "from dp_bench.util.files import atomic_write\n"
        "with atomic_write(Path(sys.argv[1])) as part:\n"
        "    part.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    target = tmp_path / "pusht-human.hdf5"
    subprocess.run([sys.executable, "-c", killed, str(target)])
    assert len(list(tmp_path.iterdir())) == 1
    target.write_text("imported by another process")
    assert store.obtain("pusht", "human") == target
    assert list(tmp_path.iterdir()) == [target]
