"""The table, figure and records of a study of encoders."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dp_bench.errors import BadInput
from dp_bench.evaluation import encoders as trainings
from dp_bench.evaluation.records import append
from dp_bench.policies.vision.config import VisionConfig
from dp_bench.reports import encoders
from dp_bench.reports.encoder_table import norm_of, table_of, weights_of
from dp_bench.reports.plots.encoders import encoder_scores
from dp_bench.reports.remake import remake_task
from made_up_encoders import ENCODERS, study
from made_up_records import episodes, texts, with_digests

GOLDEN = Path(__file__).parent / "golden" / "encoders.md"
TWICE = ((0.5, 1.0), (0.5, 1.0))


def csv_of(table):
    return pd.read_csv(io.StringIO(encoders.to_csv(table))).set_index("encoder")


def test_the_table_is_as_it_was_read_and_found_good():
    assert encoders.to_markdown(table_of(study())) == GOLDEN.read_text()


@pytest.mark.parametrize(
    ("vision", "weights", "norm"),
    [
        (VisionConfig(), "scratch", "group"),
        (VisionConfig(frozen=True), "random, frozen", "group"),
        (VisionConfig("cnn", norm="batch"), "scratch", "–"),  # noqa: RUF001
        (ENCODERS["efficientnet_lite0_frozen"], "ImageNet, frozen", "batch"),
        (ENCODERS["efficientnet_lite0_tuned"], "ImageNet, fine-tuned", "batch"),
    ],
)
def test_words_name_the_first_weights_and_the_norm(vision, weights, norm):
    assert (weights_of(vision), norm_of(vision)) == (weights, norm)


def test_several_trainings_are_one_row_with_the_interval_of_the_method():
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.4, 1, (3, 20)).round(3)
    scores[1] = scores[1] / 2
    one, three = (
        csv_of(table_of(study(s, names=["cnn", "resnet18"])))
        for s in (scores[:1], scores)
    )
    assert list(three["num_seeds"]) == [3, 3]
    assert three["score"]["cnn"] == pytest.approx(scores.mean(), abs=1e-4)
    widths = [t["score_high"]["cnn"] - t["score_low"]["cnn"] for t in (one, three)]
    assert widths[1] > 2 * widths[0]  # trainings differ more than starts


def test_encoders_that_are_told_apart_have_other_letters():
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.6, 1, (3, 50)).round(3)
    far = study(scores, names=["cnn", *[n for n in ENCODERS if n != "cnn"]])
    table = table_of([t for t in far if t.name in ("cnn", "resnet18_average")])
    assert set(csv_of(table)["letters"]) == {"a", "b"}
    text = encoders.to_markdown(table)
    assert "cnn is better than resnet18_average" in text
    assert "| letter |" in text
    assert "| letter |" not in encoders.to_markdown(table_of(study()))


def test_records_are_read_as_they_were_written(tmp_path):
    file = tmp_path / "encoders.jsonl"
    trainings.merge(file, study(TWICE))
    assert trainings.read(file) == sorted(
        study(TWICE), key=lambda one: (one.name, one.train_seed)
    )


def test_trainings_of_one_plan_gather_and_the_last_plan_is_shown(tmp_path):
    file = tmp_path / "encoders.jsonl"
    cnn, resnet = study(names=["cnn"]), study(names=["resnet18"])
    trainings.merge(file, resnet)
    trainings.merge(file, cnn)
    assert trainings.read(file) == cnn + resnet
    more = study(TWICE, names=["cnn"])
    trainings.merge(file, more)
    assert trainings.read(file) == [*more, *resnet]
    other = study(names=["cnn"], plan="76543210")
    trainings.merge(file, other)
    gathered = [*more, *resnet]
    assert trainings.read(file) == gathered + other
    assert encoders.shown(tmp_path) == encoders.to_markdown(table_of(other))
    trainings.merge(file, cnn)  # the first study is typed again
    assert trainings.last_study(trainings.read(file)) == gathered
    assert trainings.read(file) == other + gathered


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: "", "is empty"),
        (lambda text: text.replace('"score": 0.5', '"score": 5'), "must be in .0, 1."),
        (lambda text: text.replace('"cnn"', '"abc"'), "encoder must be one of"),
    ],
)
def test_damaged_records_are_refused_with_the_way_out(tmp_path, damage, message):
    file = tmp_path / "encoders.jsonl"
    trainings.merge(file, study(names=["cnn"]))
    file.write_text(damage(file.read_text()))
    with pytest.raises(
        BadInput, match=f"{message}.*delete it, and `dp-bench study encoders`"
    ):
        trainings.read(file)


def test_a_figure_groups_encoders_by_network_and_names_what_it_shows():
    ax = encoder_scores(table_of(study(TWICE)))
    labels = [tick.get_text() for tick in ax.get_yticklabels()]
    assert labels[:3] == [
        "scratch\nspatial softmax, group norm",
        "scratch\nspatial softmax, batch norm",
        "scratch\naverage pooling, group norm",
    ]
    assert labels[3:5] == [
        "scratch\nspatial softmax",
        "random, frozen\nspatial softmax",
    ]
    notes = texts(ax)
    order = [notes.index(name) for name in ("resnet18", "cnn", "efficientnet_lite0")]
    assert order == sorted(order)
    assert "validation starts" in notes
    assert "2 train seeds × 2 starts, 95% intervals" in notes  # noqa: RUF001
    assert ax.get_xlabel() == "score, and success rate"


def test_a_folder_with_a_study_is_remade_with_its_task(tmp_path):
    text = encoders.to_markdown(table_of(study()))
    trainings.merge(tmp_path / "encoders.jsonl", study())
    append(tmp_path / "records" / "all.jsonl", with_digests(episodes()))
    remake_task(tmp_path)
    assert (tmp_path / "encoders.md").read_text() == text
    assert (tmp_path / "encoders.png").is_file()
    written = pd.read_csv(tmp_path / "encoders.csv")
    assert list(written["encoder"]) == list(ENCODERS)  # best first
