"""Films for pages: each episode is filmed once, and whole or not at all."""

import dataclasses

import numpy as np
import pytest

from dp_bench.errors import BadInput
from dp_bench.evaluation import films
from dp_bench.evaluation.films import Scene
from made_up import written_run

imageio = pytest.importorskip("imageio.v2")


@pytest.fixture
def scenes(tmp_path, monkeypatch):
    import gymnasium as gym

    monkeypatch.setattr(gym.spec("dp_bench/PushT-v0"), "max_episode_steps", 6)
    monkeypatch.setattr(
        "dp_bench.util.workers.cores", lambda: 1
    )  # others would not see the above
    monkeypatch.setattr("dp_bench.evaluation.films.cores", lambda: 1)
    written_run(tmp_path / "runs" / "a", training={"updates": 5})
    first = Scene(
        run="a", weights="", step=5, variant="default", env_seed=100_003, train_seed=0
    )
    return [first, dataclasses.replace(first, env_seed=100_004)]


def _make(tmp_path, scenes):
    (run,) = [*tmp_path.glob("runs/a"), *tmp_path.glob("../runs/a")]
    return films.make(tmp_path, scenes, {"a": run})


def test_a_film_shows_the_episode_and_where_the_finger_was(tmp_path, scenes):
    first, second = _make(tmp_path, scenes)
    assert (first.env_seed, second.env_seed) == (100_003, 100_004)
    place = tmp_path / films.FOLDER
    with imageio.get_reader(place / first.film) as reader:
        frames = [frame.astype(int) for frame in reader]
        assert reader.get_meta_data()["fps"] == 10
    assert len(frames) == 1 + 6 + 10  # start, steps, and a second of the last frame
    assert frames[0].shape == (films.WIDTH, films.WIDTH, 3)
    assert len(first.path) == 7
    x, y = (round(films.WIDTH * place) for place in first.path[0])
    r, _, b = frames[0][y, x]
    assert b > 200 > r  # the finger is blue
    still = imageio.imread(place / first.poster).astype(int)
    assert np.abs(still - frames[0]).mean() < 6


def test_a_second_call_films_nothing_and_a_lost_film_again(tmp_path, scenes):
    made = _make(tmp_path, scenes)
    place = tmp_path / films.FOLDER
    times = {file.name: file.stat().st_mtime_ns for file in place.glob("*.mp4")}
    assert _make(tmp_path, scenes[:1]) == made
    (place / made[0].film).unlink()
    assert films.read(tmp_path) == made[1:]
    again = _make(tmp_path, scenes)
    assert sorted(film.env_seed for film in again) == [100_003, 100_004]
    after = {file.name: file.stat().st_mtime_ns for file in place.glob("*.mp4")}
    assert after[made[1].film] == times[made[1].film]
    assert set(after) == set(times)


def test_scenes_are_played_side_by_side_as_if_alone(tmp_path, scenes):
    played = []
    films.make_all(
        {tmp_path: scenes},
        {"a": tmp_path / "runs" / "a"},
        lambda group, episodes: played.append((group, episodes)),
    )
    made = films.read(tmp_path)
    ((group, episodes),) = played
    assert group == scenes
    assert [episode.length for episode in episodes] == [6, 6]
    (tmp_path / "alone").mkdir()
    (alone,) = _make(tmp_path / "alone", scenes[1:])
    assert alone.score == pytest.approx(made[1].score, abs=1e-3)
    np.testing.assert_allclose(alone.path, made[1].path, atol=1e-3)


def test_films_of_several_folders_lie_beside_their_own_records(tmp_path, scenes):
    first, second = scenes
    by_folder = {tmp_path / "x": [first], tmp_path / "y": [second]}
    for folder in by_folder:
        folder.mkdir()
    films.make_all(by_folder, {"a": tmp_path / "runs" / "a"})
    for folder, of_folder in by_folder.items():
        assert [film.scene for film in films.read(folder)] == of_folder


def test_a_damaged_index_is_named_with_a_remedy(tmp_path):
    index = tmp_path / films.FOLDER / films.INDEX
    index.parent.mkdir()
    index.write_text('{"run": 3}\n', encoding="utf-8")
    with pytest.raises(BadInput, match=r"films\.jsonl, line 1.*make the films again"):
        films.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weights": "0123456789ab"}, "and the results are of 0123456789ab"),
        ({"step": 7}, "has no weights of update 7"),
    ],
)
def test_weights_that_were_not_evaluated_are_not_filmed(
    tmp_path, scenes, change, words
):
    with pytest.raises(BadInput, match=words):
        _make(tmp_path, [dataclasses.replace(scenes[0], **change)])
    assert films.read(tmp_path) == []
