"""The table as LaTeX."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from dp_bench.reports.latex import to_latex
from made_up_records import episodes, published, table, three_rows

GOLDEN = Path(__file__).parent / "golden" / "table.tex"
HOSTILE = r"[50%] {a}_b & c^2 ~ #1 $x$ \x <y> |z|"


def test_the_latex_table_looks_as_it_did():
    text = to_latex(table(three_rows(), published=published()))
    assert text.splitlines() == GOLDEN.read_text(encoding="utf-8").splitlines()


def test_latex_escapes_what_it_must_and_keeps_its_columns():
    text = to_latex(table(three_rows() + episodes(HOSTILE, ((0.1, 0.2),))))
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    lines = [line for line in body.splitlines() if line.endswith(r" \\")]
    assert len(lines) == 5
    counts = {len(re.findall(r"(?<!\\)&", line)) for line in lines}
    [spec] = re.findall(r"\\begin\{tabular\}\{(\w+)\}", text)
    assert counts == {len(spec) - 1}
    bare = re.sub(r"\\[&%$#_{}]", "", text)
    assert bare.count("{") == bare.count("}")
    assert not re.search(r"[%#_~<>|†×–−]", bare)  # noqa: RUF001
    begun, ended = (re.findall(rf"\\{w}{{(\w+)}}", text) for w in ("begin", "end"))
    assert sorted(begun) == sorted(ended)
    assert not re.search(r"\\\\\s*\[", text)


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex")
def test_latex_compiles(tmp_path):
    records = three_rows() + episodes(HOSTILE, ((0.1, 0.2),))
    result = table(records, published=published())
    head = r"\documentclass{article}\usepackage{booktabs}\begin{document}"
    text = "\n".join([head, to_latex(result), r"\end{document}"])
    (tmp_path / "a.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "a.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
