"""Published values: where they are read, and which rows they stand beside."""

import numpy as np
import pandas as pd
import pytest

from dp_bench.errors import BadInput
from dp_bench.reports.published import published_demos_of, published_values
from made_up_records import episodes, published, table


def test_published_values_stand_beside_the_right_rows():
    records = episodes("alpha_1") + episodes("alpha_1", obs_kind="image")
    records += episodes("beta")
    result = table(records, published=published())
    values = {(r.method, r.obs_kind): r.published["score", "max"] for r in result.rows}
    assert values["alpha_1", "state"] == 0.9
    assert values["alpha_1", "image"] == 0.11
    assert np.isnan(values["beta", "state"])
    other = table(records, published=published(), published_demos="mh")
    values = {(r.method, r.obs_kind): r.published["score", "max"] for r in other.rows}
    assert values["alpha_1", "state"] == 0.22
    with pytest.raises(BadInput, match="no demonstrations 'xy'; they have mh, ph"):
        table(records, published=published(), published_demos="xy")


def test_a_file_of_ones_own_is_found_in_or_above_a_folder_of_results(tmp_path):
    (tmp_path / "published.csv").write_text("task,value\npusht,1\n")
    for folder in (tmp_path, tmp_path / "pusht", tmp_path / "pusht" / "scripted"):
        assert published_values(folder).to_dict("list") == {
            "task": ["pusht"],
            "value": [1],
        }


def test_the_package_brings_published_values_along(tmp_path):
    values = published_values(tmp_path / "a" / "b" / "c" / "d")
    assert {"task", "demos", "obs", "method", "metric", "value"} <= {*values}
    assert {"lift", "pusht", "blockpush", "kitchen"} <= {*values["task"]}
    assert pd.api.types.is_float_dtype(values["value"])


def test_results_of_mixed_quality_stand_beside_those_of_mixed_quality():
    sources = ("mh", "ph", "scripted")
    assert [published_demos_of(s) for s in sources] == ["mh", "ph", "ph"]
