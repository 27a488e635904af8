"""`dp-bench watch`: episodes in a window, until somebody closes it."""

import pytest

from dp_bench.cli import main
from made_up import written_run

pygame = pytest.importorskip("pygame")


@pytest.fixture(autouse=True)
def short_episodes(monkeypatch, tmp_path):
    import gymnasium as gym

    monkeypatch.setattr(gym.spec("dp_bench/PushT-v0"), "max_episode_steps", 3)
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    written_run(tmp_path / "run")
    monkeypatch.chdir(tmp_path)


def test_episodes_count_up_from_the_start(capsys):
    main(["watch", "run", "--start", "7", "--episodes", "2"])
    *_, first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("start 7: score 0.")
    assert second.startswith("start 8: score 0.")
    assert second.endswith("after 3 steps")
    assert not pygame.display.get_init()


def test_a_closed_window_ends_the_command(capsys, monkeypatch):
    shown = pygame.display.flip
    calls = []

    def flip():
        shown()
        calls.append(0)
        if len(calls) == 6:  # in the second episode
            pygame.event.post(pygame.event.Event(pygame.QUIT))

    monkeypatch.setattr(pygame.display, "flip", flip)
    main(["watch", "run"])
    assert capsys.readouterr().out.count("start ") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("watch", "name a run folder"),
        ("watch run --episodes 0", "--episodes must be at least 1, got 0"),
        ("watch run --start -1", "--start must be at least 0, got -1"),
        ("watch nothing", "nothing"),
        ("watch run --variant windy", "windy"),
    ],
)
def test_wrong_input_is_one_sentence(words, said, capsys):
    with pytest.raises(SystemExit) as error:
        main(words.split())
    assert error.value.code
    assert said in capsys.readouterr().err
