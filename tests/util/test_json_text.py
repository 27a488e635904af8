"""JSON and text of strangers: depth, line breaks, escape sequences and length."""

import json

import pytest

from dp_bench.util.json_text import MOST_DEPTH, parsed
from dp_bench.util.text import LONGEST_SENTENCE, sentence, shown


@pytest.mark.parametrize("depth", [MOST_DEPTH + 1, 900, 100_000])
@pytest.mark.parametrize(("left", "right"), [("[", "]"), ('{"a":', "}")])
def test_deep_json_is_refused_before_anybody_walks_through_it(left, right, depth):
    with pytest.raises(ValueError, match="nested more than"):
        parsed(left * depth + "1" + right * depth)


def test_json_of_usual_depth_is_parsed_as_python_does():
    text = json.dumps({"a": [1, {"b": [None, True, "x", 1.5]}]})
    assert parsed(text) == parsed(text.encode()) == json.loads(text)
    assert parsed("[" * MOST_DEPTH + "]" * MOST_DEPTH)
    for bad in ("", "{", "[1,]", b"\xff", "9" * 10_000):
        with pytest.raises(ValueError, match=r"."):
            parsed(bad)


def test_a_message_is_one_printable_line_of_bounded_length():
    odd = "two\nlines\x1b[31m of \udcff and " + "x" * 100_000 + " the end"
    said = sentence(odd)
    assert said.isprintable()
    assert said.startswith(r"two\nlines\x1b[31m of \udcff and x")
    assert said.endswith("the end")
    assert len(said) <= LONGEST_SENTENCE
    assert sentence(ValueError("as it is: é")) == "as it is: é"
    assert len(shown(["x" * 1000])) <= 200
    assert shown("short") == "'short'"
