"""Rows from images stand beside rows from states, and never change what these say."""

import dataclasses
import types
from pathlib import Path

import numpy as np
import pytest

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.evaluation.records import to_frame
from dp_bench.reports import group
from dp_bench.reports.markdown import to_markdown
from dp_bench.reports.planning import describe, one_more_seed, plan
from dp_bench.reports.plots.curves import learning_curves
from dp_bench.reports.plots.profiles import probabilities
from dp_bench.reports.plots.scores import side_by_side, success_bars
from dp_bench.reports.published import published_values
from dp_bench.reports.summary import summary
from dp_bench.reports.trainings import (
    Training,
    beside_their_logs,
    logs_by_method,
    with_several_steps,
)
from made_up_records import episodes, published, table, texts, training

GOLDEN = Path(__file__).parent / "golden" / "observations.md"


def noisy(mean, seed, trainings=3, starts=30):
    draw = np.random.default_rng(seed)
    return np.clip(mean + 0.05 * draw.normal(size=(trainings, starts)), 0, 1)


def from_images(method, scores, **changes):
    facts = {"obs_kind": "image", "settings": f"image {method}", "step": 60}
    return episodes(method, scores, **(facts | changes))


def states():
    return [
        *episodes("alpha_1", noisy(0.9, 0)),
        *episodes("beta", noisy(0.3, 1)),
        *episodes("gamma", noisy(0.31, 2)),
    ]


# What must not matter to the rows from states, whatever it is.
IMAGES = {
    "better": [*from_images("alpha_1", noisy(0.97, 3)),
               *from_images("beta", noisy(0.95, 4))],
    "more rows with other seeds": [
        record for method in ("alpha_1", "beta", "gamma", "delta", "epsilon")
        for record in from_images(method, noisy(0.5, 5, trainings=2))],
    "other demonstrations": [
        record for method in ("alpha_1", "beta", "gamma", "delta")
        for record in from_images(method, noisy(0.2, 6, starts=20),
                                  demos_digest="d2", split_digest="p2")],
    "one training": from_images("alpha_1", noisy(0.9, 7, trainings=1)),
}  # fmt: skip


def facts_of(rows, obs_kind):
    return [
        {**dataclasses.asdict(row), "scores": row.scores.tolist()}
        for row in rows
        if row.obs_kind == obs_kind
    ]


@pytest.mark.parametrize("images", IMAGES.values(), ids=IMAGES)
def test_rows_from_images_change_nothing_in_rows_from_states(images):
    alone, both = table(states()), table(states() + images)
    assert len(alone.rows) == 3
    np.testing.assert_equal(facts_of(both.rows, "state"), facts_of(alone.rows, "state"))
    verdict = next(line for line in alone.footer if line.startswith("Verdict"))
    named = verdict.replace("Verdict:", "Verdict (state observations):")
    assert named in both.footer


@pytest.mark.parametrize("images", IMAGES.values(), ids=IMAGES)
def test_rows_from_states_change_nothing_in_rows_from_images(images):
    alone, both = table(images), table(states() + images)
    np.testing.assert_equal(facts_of(both.rows, "image"), facts_of(alone.rows, "image"))


def test_each_observation_has_a_verdict_and_a_best_row():
    result = table(states() + IMAGES["better"])
    lines = [line for line in result.footer if line.startswith("Verdict")]
    assert [line.partition(":")[0] for line in lines] == [
        "Verdict (state observations)",
        "Verdict (image observations)",
    ]
    assert "corrected for 3 pairs" in lines[0]
    assert "corrected for the one pair" in lines[1]
    best = [(row.method, row.obs_kind) for row in result.rows if row.best]
    assert best == [("alpha_1", "state"), ("alpha_1", "image")]


def test_a_variant_and_an_observation_are_named_together():
    records = [
        record
        for variant in ("plain", "windy")
        for kind in ("state", "image")
        for number, method in enumerate(["one", "two"])
        for record in episodes(
            method, noisy(0.5, number), variant=variant, obs_kind=kind
        )
    ]
    lines = [line for line in table(records).footer if line.startswith("Verdict")]
    assert [line[len("Verdict (") : line.index(")")] for line in lines] == [
        "plain, state observations",
        "plain, image observations",
        "windy, state observations",
        "windy, image observations",
    ]


def test_one_row_of_each_observation_cannot_be_compared():
    records = episodes("one", noisy(0.9, 0)) + from_images("one", noisy(0.3, 1))
    result = table(records)
    assert not any(row.letters for row in result.rows)
    assert "one variant and one kind of observation" in result.footer[0]


def test_rows_with_other_images_are_marked():
    """Rows from states have no such images, and are not concerned."""
    digests = {"one": "a" * 64, "two": "a" * 64, "odd": "b" * 64, "recorded": ""}
    images = [
        record
        for number, (method, digest) in enumerate(digests.items())
        for record in from_images(method, noisy(0.5, number), frames_digest=digest)
    ]
    result = table(states() + images)
    differs = {row.method: row.differs for row in result.rows}
    assert {method for method, notes in differs.items() if notes} == {"odd", "recorded"}
    assert differs["odd"] == ("images bbbbbbbbbbbb, not aaaaaaaaaaaa",)
    assert differs["recorded"] == ("images of the demonstrations, not aaaaaaaaaaaa",)
    lettered = {row.method for row in result.rows if row.letters}
    assert lettered == {"alpha_1", "beta", "gamma", "one", "two"}
    [note] = [line for line in result.footer if line.startswith("† odd")]
    assert note == "† odd is not comparable: images bbbbbbbbbbbb, not aaaaaaaaaaaa."


def test_one_method_with_two_sets_of_images_has_two_rows():
    scores = noisy(0.5, 0)
    images = from_images("one", scores, frames_digest="a" * 64)
    images += from_images("one", scores, frames_digest="b" * 64)
    images += from_images("two", scores, frames_digest="a" * 64)
    rows = table(images).rows
    assert len(rows) == 3
    assert [bool(row.differs) for row in rows].count(True) == 1


def test_the_document_looks_as_it_did():
    text = to_markdown(table(states() + IMAGES["better"], published=published()))
    assert text.splitlines() == GOLDEN.read_text(encoding="utf-8").splitlines()


PUBLISHED = [  # Chi et al. (2023), Tables 1 and 2
    ("pusht", "keypoints", "dp_c", (0.91, 0.95)),
    ("pusht", "image", "dp_c", (0.84, 0.91)),
    ("pusht", "image", "lstm_gmm", (0.54, 0.69)),
    ("can", "image", "ibc", (0.01, 0.08)),
    ("tool_hang", "image", "lstm_gmm", (0.49, 0.68)),
]


@pytest.mark.parametrize(("task", "obs_kind", "method", "values"), PUBLISHED)
def test_published_values_of_images_stand_beside_rows_from_images(
    task, obs_kind, method, values, tmp_path
):
    task = registry.task(task)
    kinds = (task.obs_kinds[0], "image")
    records = [
        record
        for kind in kinds
        for record in episodes(
            method,
            noisy(0.5, 0),
            task=task.name,
            obs_kind=kind,
            preset="laptop",
            sub_scores={},
        )
    ]
    result = summary(records, task, published=published_values(tmp_path))
    [row] = [row for row in result.rows if row.obs_kind == obs_kind]
    shown = [row.published["score", kind] for kind in ("last10", "max")]
    assert shown == pytest.approx(values)
    assert f"{values[0]:.2f} / {values[1]:.2f}" in to_markdown(result)
    ax = success_bars(result)
    places = dict(zip(ax.get_yticks(), result.rows, strict=True))
    for marks, value in zip(ax.collections[-2:], values, strict=True):
        near = [
            point for point in marks.get_offsets().tolist()
            if places[min(places, key=lambda y: abs(y - point[1]))] is row
        ]  # fmt: skip
        assert [point[0] for point in near] == pytest.approx([value])


def test_the_figure_names_the_observation_and_no_hash_of_settings():
    ax = success_bars(table(states() + IMAGES["better"]))
    assert "observation state" in texts(ax)
    assert "observation image" in texts(ax)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert len(labels) == 5
    assert not any("of alpha" in label or "image alpha" in label for label in labels)


def test_pairs_of_one_observation_have_a_panel():
    axes = probabilities(table(states() + IMAGES["better"]))
    headings = [ax.get_title(loc="left") for ax in axes]
    assert headings == ["observation state", "observation image"]


def test_learning_curves_name_the_observation():
    scores = noisy(0.5, 0)
    records = [
        record
        for step in (10, 20)
        for record in episodes("one", scores, step=step)
        + from_images("one", scores, step=step)
        + episodes("two", scores, step=step)
    ]
    assert len(with_several_steps(records)) == len(records)
    labels = [line.get_label() for line in learning_curves(to_frame(records)).lines]
    assert sorted(labels) == ["one\nimage", "one\nstate", "two"]
    curves = [curve.label for curve in beside_their_logs(records, [])]
    assert curves == ["one, image", "one, state", "two, state"]


def test_a_curve_from_images_is_named_without_the_digest_of_its_images():
    scores = noisy(0.5, 0)
    records = [
        record
        for step in (10, 20)
        for record in episodes("one", scores, step=step)
        + from_images("one", scores, step=step, frames_digest="a" * 64)
    ]
    labels = [line.get_label() for line in learning_curves(to_frame(records)).lines]
    assert labels == ["one\nstate", "one\nimage"]


def test_curves_from_other_images_are_told_apart():
    scores = noisy(0.5, 0)
    records = [
        record
        for step in (10, 20)
        for digest in ("a" * 64, "b" * 64)
        for record in from_images("one", scores, step=step, frames_digest=digest)
    ]
    labels = [line.get_label() for line in learning_curves(to_frame(records)).lines]
    assert labels == ["one\n" + "a" * 12, "one\n" + "b" * 12]
    curves = beside_their_logs(records, [])
    assert [curve.label for curve in curves] == [
        "one, images aaaaaaaa",
        "one, images bbbbbbbb",
    ]
    assert [len(part.records) for part in curves.values()] == [180, 180]


def test_losses_of_other_observations_are_curves_of_their_own():
    def of(obs_kind, seed, task="reach"):
        info = types.SimpleNamespace(
            task=task, method="one", preset="laptop", obs_kind=obs_kind
        )
        return Training(info, training(seed))

    runs = [of("state", 0), of("state", 1), of("image", 2)]
    named = {curve.label: len(logs) for curve, logs in logs_by_method(runs).items()}
    assert named == {"one, state": 2, "one, image": 1}
    assert [curve.label for curve in logs_by_method(runs[:2])] == ["one"]
    of_a_task = [of("image", 0, "pusht"), of("keypoints", 1, "pusht")]
    labels = [curve.label for curve in logs_by_method(of_a_task)]
    assert labels == ["one, keypoints", "one, image"]  # as in the table


def tables_of_a_group():
    def records(task, kind, mean):
        return episodes("bet", noisy(mean, 0), task=task, obs_kind=kind, sub_scores={})

    return {
        task: summary(
            [*records(task, "state", 0.8), *records(task, "image", 0.4)],
            registry.task(task),
        )
        for task in ("lift", "can")
    }


def test_a_group_has_a_row_and_a_line_for_each_observation():
    tables = tables_of_a_group()
    rows = group.combine(tables)
    assert [row.first.obs_kind for row in rows] == ["state", "image"]
    assert all(len(row.known) == 2 for row in rows)
    figure = side_by_side(tables)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["BET, state", "BET, image"]
    for ax in figure.axes:
        drawn = sorted(
            (int(bar[0].get_ydata()[0]), round(bar[0].get_xdata()[0], 1))
            for bar in ax.containers
        )
        assert drawn == [(0, 0.8), (1, 0.4)]


def test_a_plan_is_about_one_observation():
    both = table(states() + IMAGES["better"])
    made = plan(both, ["alpha_1", "beta"])
    assert (made.a.obs_kind, made.b.obs_kind) == ("state", "state")
    assert describe(made).startswith("reach, variant plain, state observations: ")
    made = plan(both, ["alpha_1", "beta"], obs_kind="image")
    assert (made.a.obs_kind, made.b.obs_kind) == ("image", "image")
    with pytest.raises(BadInput, match="no method 'gamma'"):
        plan(both, ["alpha_1", "gamma"], obs_kind="image")
    with pytest.raises(BadInput, match="no observation 'sound'; they have state, im"):
        plan(both, ["alpha_1", "beta"], obs_kind="sound")
    alone = plan(table(states()), ["alpha_1", "beta"])
    assert describe(alone).startswith("reach, variant plain: ")


def test_advice_on_one_more_seed_names_the_observation():
    advice = one_more_seed(table(states() + IMAGES["better"]))
    assert "of the undecided pairs (plain, state), " in advice
    assert "of the undecided pairs (plain), " in one_more_seed(table(states()))


def test_a_figure_names_what_tells_rows_of_one_observation_apart_and_no_more():
    records = states() + IMAGES["better"]
    records += from_images("beta", noisy(0.5, 8), preset="gpu", settings="other")
    ax = success_bars(summary(records))
    names = [label.get_text() for label in ax.get_yticklabels()]
    told = [name for name in names if "\n" in name]
    assert sorted(told) == ["beta\ngpu", "beta\nsmoke"]
    assert len(names) == 6
