"""Cells: names that are resolved once, or refused in one sentence."""

import dataclasses

import pytest

from dp_bench import registry
from dp_bench.data import store
from dp_bench.errors import BadInput
from dp_bench.grid.cell import Cell, resolve
from dp_bench.grid.run import run


def settings_of(cell):
    (resolved,) = resolve([cell])
    return resolved.settings


def test_a_cell_survives_json(cell):
    assert Cell.from_json(cell.to_json()) == cell


def test_a_method_uses_its_usual_control_mode_where_the_task_has_it(monkeypatch):
    assert settings_of(Cell("pusht", "bet", 0)).control == "velocity"
    assert settings_of(Cell("pusht", "dp_c", 0)).control == "position"
    chosen = Cell("pusht", "bet", 0, control="position")
    assert settings_of(chosen).control == "position"
    pusht = registry.task("pusht")
    only = dataclasses.replace(pusht, controls=("position",))
    monkeypatch.setattr(registry, "task", lambda name: only)
    assert settings_of(Cell("pusht", "bet", 0)).control == "position"
    with pytest.raises(BadInput, match="no control mode 'velocity'"):
        settings_of(Cell("pusht", "bet", 0, control="velocity"))


def test_the_objective_is_a_part_of_the_name_of_a_method():
    """Two objectives never share a row of a table, however they were chosen."""
    for objective in ("flow", "mip", "regression"):
        (named,) = resolve([Cell("pusht", f"dp_c-{objective}", 0)])
        changes = (("policy.objective", objective),)
        (changed,) = resolve([Cell("pusht", "dp_c", 0, changes=changes)])
        assert named.method == changed.method
        assert named.settings == changed.settings
    back = (("policy.objective", "ddpm"),)
    with pytest.raises(BadInput, match="contradicts the method dp_c-mip, whose"):
        resolve([Cell("pusht", "dp_c-mip", 0, changes=back)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "pushed"}, "did you mean 'pusht'"),
        ({"method": "dp_cc"}, "did you mean 'dp_c'"),
        ({"obs_kind": "smell"}, "no observation 'smell'; it has keypoints"),
        (
            {"changes": (("vision.encoder", "cnn"),)},
            "vision.encoder is a setting for images, and pusht is learned from",
        ),
        (
            {"obs_kind": "image", "changes": (("vision.crop", "2"),)},
            "crop must be above 0 and at most 1",
        ),
        ({"control": "torque"}, "no control mode 'torque'"),
        ({"changes": (("episodes", "3"),)}, "no setting 'episodes'"),
        ({"changes": (("policy.channels", "9"),)}, "multiples of groups"),
        ({"preset": "huge"}, "no preset 'huge'"),
        ({"device": "abacus"}, "has no device 'abacus'"),
        ({"demos": "/nowhere.hdf5"}, "/nowhere.hdf5 does not exist"),
        ({"runs": "/dev/null/runs"}, "cannot write /dev/null/runs"),
    ],
)
def test_an_unusable_cell_is_refused(cell, change, message):
    with pytest.raises(BadInput, match=message):
        run(*resolve([dataclasses.replace(cell, **change)]))


def test_cells_of_one_grid_share_one_reading_of_their_demonstrations(cell, monkeypatch):
    read, calls = store.load_demos, []

    def load_demos(*given, **named):
        calls.append(given)
        return read(*given, **named)

    monkeypatch.setattr(store, "load_demos", load_demos)
    cells = resolve([cell, dataclasses.replace(cell, train_seed=1)])
    assert cells[0].demos.loaded is cells[1].demos.loaded
    assert cells[1].demos.source_name == "made-up"
    assert len(calls) == 1


def test_the_task_of_a_cell_is_looked_up_once(cell, monkeypatch):
    look_up, names = registry.task, []

    def task(name):
        names.append(name)
        return look_up(name)

    monkeypatch.setattr(registry, "task", task)
    resolve([cell, dataclasses.replace(cell, train_seed=1)])
    assert names == ["pusht"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ((), False),
        ((("training.log_every", "5"), ("training.keep_every", "5")), False),
        ((("training.log_every", "5"), ("training.lr", "1e-3")), True),
        ((("policy.sample_steps", "4"),), True),
    ],
)
def test_only_settings_that_can_change_results_make_a_custom_run(changes, expected):
    assert Cell("pusht", "dp_c", 0, changes=changes).changes_results is expected
