"""The figure of position beside velocity control."""

import pytest

from dp_bench.errors import BadInput
from dp_bench.reports.plots.controls import controls
from dp_bench.reports.summary import summary
from made_up_records import episodes


def test_each_method_has_a_panel_with_its_scores_under_both_controls():
    records = [
        *episodes("dp_c", [[1.0, 0.5]], sub_scores={}),
        *episodes("dp_c", [[0.25, 0.25]], control="velocity", settings="v"),
        *episodes("bet", [[0.0, 0.5]]),
        *episodes("bet", [[1.0, 1.0]], control="velocity", settings="v"),
        *episodes("ibc", [[0.0, 0.0]]),
    ]
    axes = controls(summary(records))
    titles = [" ".join(ax.get_title(loc="left").split()) for ax in axes]
    assert titles == [
        "Diffusion Policy, CNN (DP-C)",
        "BET",
    ]
    drawn = [
        {
            label: handle.lines[0].get_ydata().tolist()
            for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
        }
        for ax in axes
    ]
    assert drawn == [
        {"position": [0.75, 0.5], "velocity": [0.25, 0.0]},
        {"position": [0.25, 0.0], "velocity": [1.0, 1.0]},
    ]


def test_a_figure_of_controls_needs_a_method_with_both():
    with pytest.raises(BadInput, match="no method has rows with two controls"):
        controls(summary(episodes("dp_c", [[1.0]])))
