"""Signals: training stops after an update, and resumes as if it never had."""

import signal
import threading

import pytest

from dp_bench.runs.folder import RunFolder
from dp_bench.training.signals import deferred_signals
from dp_bench.util.processes import STOPPING
from dp_bench.util.tensors import load_tensors
from made_up_training import Dropping, Interrupted, fresh, same, trained


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_training_between_two_lines_of_the_log(tmp_path, number, capsys):
    handlers = [signal.getsignal(number) for number in STOPPING]
    policy = fresh(Interrupted)
    policy.signals = (number,)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "a", policy, save_seconds=1e9)
    assert policy.dropout_calls == 10
    assert load_tensors(RunFolder(tmp_path / "a").resume)[1]["update"] == 10
    assert [signal.getsignal(number) for number in STOPPING] == handlers

    resumed, uninterrupted = fresh(Dropping), fresh(Dropping)
    weights, log = trained(tmp_path / "a", resumed)
    assert "resumes after update 10 of 24" in capsys.readouterr().err
    expected, expected_log = trained(tmp_path / "b", uninterrupted)
    assert (resumed.dropout_calls, uninterrupted.dropout_calls) == (14, 24)
    assert same(weights, expected)
    assert log == expected_log


def test_a_second_ctrl_c_stops_at_once(tmp_path):
    policy = fresh(Interrupted)
    policy.signals = (signal.SIGINT, signal.SIGTERM, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, policy)
    assert policy.dropout_calls == 9  # the signals came before the tenth
    assert load_tensors(RunFolder(tmp_path).resume)[1]["update"] == 9


def test_a_signal_during_the_last_update_lets_training_finish(tmp_path):
    policy = fresh(Interrupted)
    policy.at = 24
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, policy)
    folder = RunFolder(tmp_path)
    assert load_tensors(folder.weights)[1]["update"] == 24
    assert not folder.resume.exists()


def test_a_training_in_a_thread_needs_no_signals(tmp_path):
    results = []
    thread = threading.Thread(target=lambda: results.append(trained(tmp_path / "a")))
    thread.start()
    thread.join()
    assert same(results[0][0], trained(tmp_path / "b")[0])


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with deferred_signals() as stop_requested:
            signal.raise_signal(signal.SIGTERM)
            assert not stop_requested()
            signal.raise_signal(signal.SIGINT)
            assert stop_requested()
    finally:
        signal.signal(signal.SIGTERM, before)
