"""The table and figure that compare two sets of demonstrations."""

from dp_bench import cli
from dp_bench.data import hdf5
from made_up import demonstrations

TITLE = "length of an episode [steps]"


def test_the_command_writes_table_and_figure(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DP_BENCH_DATA", str(tmp_path / "data"))
    one = demonstrations("blockpush", lengths=(5, 9))
    other = demonstrations("blockpush", lengths=(7, 8), seed=1)
    hdf5.save(one, tmp_path / "one.hdf5")
    hdf5.save(other, tmp_path / "other.hdf5")
    one_file, other_file = str(tmp_path / "one.hdf5"), str(tmp_path / "other.hdf5")
    cli.main(["demos", "get", "blockpush", "--from", one_file])
    words = ["demos", "compare", "blockpush", "--source", one.source]
    cli.main([*words, "--against", other_file, "--out", str(tmp_path / "out")])
    assert TITLE in capsys.readouterr().out
    written = {path.name for path in (tmp_path / "out" / "blockpush").iterdir()}
    assert written == {"demos.md", "demos.png"}
