"""Videos: all runs play the same start, and a video file is complete or absent."""

from types import SimpleNamespace

import numpy as np
import pytest

from dp_bench.errors import BadInput
from dp_bench.evaluation.videos import MARGIN, _tiled, film
from dp_bench.runs.folder import RunFolder
from made_up import run_info, written_run

imageio = pytest.importorskip("imageio.v2")


@pytest.fixture
def short_episodes(monkeypatch):
    import gymnasium as gym

    monkeypatch.setattr(gym.spec("dp_bench/PushT-v0"), "max_episode_steps", 6)


def test_runs_play_the_same_start_side_by_side(tmp_path, short_episodes):
    runs = [written_run(tmp_path / "a"), written_run(tmp_path / "b", train_seed=1)]
    (path,) = film(runs, [100_003], tmp_path / "videos")
    assert path.name == "pusht-default-100003.mp4"
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    with imageio.get_reader(path) as reader:
        frames = [frame.astype(int) for frame in reader]
        assert reader.get_meta_data()["fps"] == 10
    assert len(frames) == 1 + 6 + 15  # start, steps, and 1.5 s of the last frame
    first = frames[0][50:550]
    left, right = first[:, :512], first[:, 518:1030]
    assert np.abs(left - right).mean() < 2  # the start is the same
    assert np.abs(frames[7] - frames[0]).max() > 50  # and the runs move


def test_runs_of_several_tasks_are_refused(tmp_path):
    runs = [written_run(tmp_path / "a"), RunFolder(tmp_path / "b")]
    runs[1].write_info(run_info(task="other"))
    with pytest.raises(BadInput, match="runs of one task, got runs of other, pusht"):
        film(runs, [1], tmp_path)


def test_the_fourth_panel_begins_a_second_row():
    panels = [SimpleNamespace(image=np.full((4, 5, 3), k, np.uint8)) for k in range(4)]
    frame = _tiled(panels)
    assert frame.shape == (2 * (4 + MARGIN), 3 * (5 + MARGIN), 3)
    for k, (row, column) in enumerate([(0, 0), (0, 1), (0, 2), (1, 0)]):
        top, left = row * (4 + MARGIN), column * (5 + MARGIN)
        assert (frame[top : top + 4, left : left + 5] == k).all()
