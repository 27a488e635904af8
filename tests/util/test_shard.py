"""Parts of some work: each item belongs to one of them."""

import pytest

from dp_bench.errors import BadInput
from dp_bench.util.shard import WHOLE, Shard


@pytest.mark.parametrize("parts", [1, 2, 3, 8])
def test_every_item_belongs_to_one_part(parts):
    items = "abcdefg"
    shards = [Shard(number, parts) for number in range(1, parts + 1)]
    assert sorted(item for shard in shards for item in shard.of(items)) == [*items]
    for shard in shards:
        own = [item for k, item in enumerate(items) if shard.has(k)]
        assert shard.of(items) == own


def test_a_part_is_read_from_text():
    assert Shard.read(None) == WHOLE
    assert Shard.read("2/8") == Shard(2, 8)
    assert (str(Shard(2, 8)), Shard(2, 8).name) == ("part 2 of 8", "2-of-8")
    assert WHOLE.is_all
    assert not Shard(1, 2).is_all


@pytest.mark.parametrize("text", ["", "2", "0/2", "3/2", "a/b", "1/0", "-1/2", "1/2/3"])
def test_other_texts_are_refused(text):
    with pytest.raises(
        BadInput, match="a part must be I/N with I from 1 to N, for example 2/8"
    ):
        Shard.read(text)
