"""Rendering images of demonstrations from their states."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dp_bench import registry
from dp_bench.cli import app
from dp_bench.data import frames, hdf5, image_sources, rendering, store
from dp_bench.data.demos import Demos
from dp_bench.errors import BadInput

KEYS = ("image",)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DP_BENCH_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def replayed(lengths=(6, 9, 4), obs="image"):
    """Plays PushT with random actions; returns demonstrations and the images seen."""
    env = registry.task("pusht").make_env(obs_kind=obs)
    env.action_space.seed(0)
    states, images, points = [], [], []
    for seed, length in enumerate(lengths):
        observed, info = env.reset(seed=seed)
        for _ in range(length):
            states.append(info["state"])
            images.append(observed["image"])
            points.append(observed["agent_pos"])
            observed, *_, info = env.step(env.action_space.sample())
    keypoints = np.zeros((len(states), 20), np.float32)
    keypoints[:, 18:] = points
    demos = Demos(
        task="pusht",
        source="mine",
        obs={"keypoints": keypoints},
        actions=np.zeros((len(states), 2)),
        states=np.array(states),
        rewards=np.zeros(len(states)),
        scores=np.zeros(len(lengths)),
        episode_ends=np.cumsum(lengths),
        env_kwargs={"obs": "keypoints", "legacy": False},
    )
    return demos, np.array(images)


def render(demos, target, processes=1):
    task = registry.task("pusht")
    return rendering.render(task, demos, target, "image", KEYS, processes=processes)


def test_rendered_images_are_those_that_the_environment_observed(tmp_path):
    demos, images = replayed()
    result = render(demos, tmp_path / "a.hdf5")
    seen = frames.attach(demos, tmp_path / "a.hdf5", KEYS)
    np.testing.assert_array_equal(seen.obs["image"], images)
    assert result.steps == len(images)
    assert [file.name for file in tmp_path.iterdir()] == ["a.hdf5"]


def test_two_processes_and_a_second_rendering_give_the_same_file(tmp_path):
    demos, _ = replayed()
    digests = {
        render(demos, tmp_path / f"{i}.hdf5", processes).digest
        for i, processes in enumerate((1, 1, 2))
    }
    assert digests == {frames.digest_of(tmp_path / "0.hdf5")}
    contents = {(tmp_path / f"{i}.hdf5").stat().st_size for i in range(3)}
    assert len(contents) == 1


def test_finished_episodes_are_kept_and_damaged_ones_rendered_again(
    tmp_path, monkeypatch
):
    demos, _ = replayed()
    whole = render(demos, tmp_path / "whole.hdf5").digest
    target = tmp_path / "a.hdf5"
    with monkeypatch.context() as patch:
        patch.setattr(frames, "save", lambda *_: 1 / 0)  # killed before the end
        with pytest.raises(ZeroDivisionError):
            render(demos, target)
    (folder,) = tmp_path.glob(f"*{rendering.SUFFIX}")
    parts = sorted(folder.iterdir())
    assert [part.name for part in parts] == [f"episode_{k}.hdf5" for k in range(3)]
    parts[0].unlink()
    parts[1].write_bytes(parts[1].read_bytes()[:-600])
    result = render(demos, target)
    assert result.steps == 6 + 9
    assert result.digest == whole
    assert not folder.exists()


KILLED = """
import sys
from dp_bench.data import hdf5
sys.path.insert(0, {folder!r})
from test_rendering import render
from pathlib import Path
if __name__ == "__main__":
    render(hdf5.load({demos!r}), Path({target!r}), processes=2)
"""


def test_shards_draw_the_same_file_and_the_last_one_joins_it(home, tmp_path, capsys):
    demos, _ = replayed()
    render(demos, tmp_path / "whole.hdf5")
    mine = tmp_path / "mine.hdf5"
    hdf5.save(demos, mine)
    words = ["demos", "render", "pusht", "--demos", str(mine), "--obs", "image"]
    for shard in ("2/2", "2/2", "1/2", "1/2"):
        app.main([*words, "--shard", shard])
        shown = capsys.readouterr().out
        assert ("other parts are missing" in shown) == (shard == "2/2")
    path = Path(shown.splitlines()[-2])
    assert frames.digest_of(path) == frames.digest_of(tmp_path / "whole.hdf5")


def test_a_killed_rendering_goes_on_where_it_was(tmp_path):
    demos, _ = replayed(lengths=(150,) * 12)
    whole = render(demos, tmp_path / "whole.hdf5").digest
    hdf5.save(demos, tmp_path / "demos.hdf5")
    target = tmp_path / "a.hdf5"
    script = tmp_path / "script.py"
    names = {"demos": str(tmp_path / "demos.hdf5"), "target": str(target)}
    script.write_text(KILLED.format(folder=os.path.dirname(__file__), **names))
    process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 100
    while len(list(tmp_path.glob(f"*{rendering.SUFFIX}/episode_*"))) < 2:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not target.exists()
    result = render(demos, target)
    assert 0 < result.steps <= 10 * 150
    assert result.digest == whole


def test_images_of_another_key_stay_in_the_file(tmp_path):
    demos, images = replayed()
    others = np.split(images[:, ::2, ::2], demos.episode_ends[:-1])
    frames.save(tmp_path / "a.hdf5", demos, [{"wrist": each} for each in others])
    render(demos, tmp_path / "a.hdf5")
    seen = frames.attach(demos, tmp_path / "a.hdf5", ["wrist", "image"])
    np.testing.assert_array_equal(seen.obs["wrist"], images[:, ::2, ::2])
    np.testing.assert_array_equal(seen.obs["image"], images)


def test_demonstrations_get_their_images_when_they_are_loaded(home, tmp_path, capsys):
    demos, images = replayed()
    hdf5.save(demos, tmp_path / "mine.hdf5")
    store.obtain("pusht", from_path=tmp_path / "mine.hdf5", images=KEYS)
    assert "rendered 19 images" in capsys.readouterr().err
    seen = store.load_demos("pusht", "mine", images=KEYS)
    np.testing.assert_array_equal(seen.obs["image"], images)
    assert seen.digest == demos.digest
    direct = store.load_demos("pusht", path=tmp_path / "mine.hdf5", images=KEYS)
    assert direct.obs["image"].path == seen.obs["image"].path
    assert capsys.readouterr().err == ""


def test_the_command_renders_once_and_says_where(home, tmp_path, capsys):
    demos, _ = replayed()
    hdf5.save(demos, tmp_path / "mine.hdf5")
    words = ["demos", "render", "pusht", "--demos", str(tmp_path / "mine.hdf5")]
    app.main(words)
    first = capsys.readouterr()
    assert "ms an image" in first.err
    assert frames.digest_of(next(home.glob("*.frames.hdf5"))) in first.out
    app.main(words)
    second = capsys.readouterr()
    assert second.out == first.out
    assert "rendered" not in second.err


def test_the_command_renders_nothing_that_another_has_rendered_meanwhile(
    home, tmp_path, capsys, monkeypatch
):
    demos, _ = replayed()
    hdf5.save(demos, tmp_path / "mine.hdf5")
    words = ["demos", "render", "pusht", "--demos", str(tmp_path / "mine.hdf5")]
    find, calls = image_sources.find, []

    def late(*given):
        calls.append(given)  # the other command ends between the first and the second
        return find(*given) if len(calls) > 1 else None

    app.main(words)
    made = capsys.readouterr().out
    monkeypatch.setattr(image_sources, "find", late)
    app.main(words)
    seen = capsys.readouterr()
    assert seen.out == made
    assert "rendered" not in seen.err


def test_what_cannot_be_rendered_is_refused_with_the_reason(tmp_path):
    demos, _ = replayed()
    target = tmp_path / "a.hdf5"
    stateless = dataclasses.replace(demos, states=np.zeros((19, 0)))
    with pytest.raises(BadInput, match="hold no states to render"):
        render(stateless, target)
    task = registry.task("blockpush")
    other = dataclasses.replace(demos, task="blockpush", env_kwargs={})
    with pytest.raises(BadInput, match="has no method images"):
        rendering.render(task, other, target, "state", KEYS)
    with pytest.raises(BadInput, match="no observation with images; it observes"):
        rendering.image_kind(task)
    with pytest.raises(BadInput, match="draws no 'wrist'; its images"):
        rendering.render(
            registry.task("pusht"), demos, target, "image", ["wrist"], processes=1
        )
    assert not target.exists()
