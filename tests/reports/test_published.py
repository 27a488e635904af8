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
    (tmp_path / "published.csv").write_text(published().to_csv(index=False))
    for folder in (tmp_path, tmp_path / "pusht", tmp_path / "pusht" / "scripted"):
        pd.testing.assert_frame_equal(published_values(folder), published())


def test_the_package_brings_published_values_along(tmp_path):
    values = published_values(tmp_path / "a" / "b" / "c" / "d")
    assert {"task", "demos", "obs", "method", "metric", "value"} <= {*values}
    assert {"lift", "pusht", "blockpush", "kitchen"} <= {*values["task"]}
    assert pd.api.types.is_float_dtype(values["value"])


def test_results_of_mixed_quality_stand_beside_those_of_mixed_quality():
    sources = ("mh", "ph", "scripted")
    assert [published_demos_of(s) for s in sources] == ["mh", "ph", "ph"]


HEAD = "task,demos,obs,method,metric,selection,value,source\n"
FAULTS = {
    "empty": (b"", "has no column 'task'"),
    "of others": (b"a,b\n1,2\n", "has no column 'task'"),
    "without values": (b"task,demos,obs,method\n", "has no column 'metric'"),
    "semicolons": (HEAD.replace(",", ";").encode(), "has no column 'task'"),
    "latin": (HEAD.encode() + b"\xe9,ph,state,a,score,max,1,x\n", "UTF-8"),
    "zero bytes": (HEAD.encode() + b"a\0", "line 2"),
    "short": (HEAD.encode() + b"pusht,ph\n", "line 2: selection must be last10 or max"),
    "word": (HEAD.encode() + b"a,b,c,d,e,max,high,g\n", "line 2: value must be a numb"),
    "nan": (HEAD.encode() + b"a,b,c,d,e,max,nan,g\n", "line 2: value must be a number"),
    "selection": (HEAD.encode() + b"a,b,c,d,e,best,1,g\n", "got 'best'"),
    "open quote": (HEAD.encode() + b'"a,b,c,d,e,max,1,g\n', "is not a table"),
}


@pytest.mark.parametrize(("content", "fault"), FAULTS.values(), ids=FAULTS)
def test_a_damaged_file_of_published_values_is_refused(tmp_path, content, fault):
    file = tmp_path / "published.csv"
    file.write_bytes(content)
    with pytest.raises(BadInput, match=rf"published\.csv.*{fault}"):
        published_values(tmp_path)


def test_a_link_to_published_values_is_not_followed(tmp_path):
    (tmp_path / "mine").write_text(HEAD)
    (tmp_path / "published.csv").symlink_to(tmp_path / "mine")
    with pytest.raises(BadInput, match="is a symbolic link"):
        published_values(tmp_path)
