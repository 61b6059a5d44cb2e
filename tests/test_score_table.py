"""Rows of scores by column: each row reads and writes as the dictionary that it stands for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasondistill.evaluation.score_table import ScoreTable

NAMES = st.sampled_from("abc")
VALUES = st.one_of(st.none(), st.booleans(), st.floats(allow_nan=False))


@given(st.lists(st.tuples(st.integers(0, 3), NAMES, VALUES)), st.lists(st.dictionaries(NAMES, VALUES), max_size=3))
def test_a_row_is_what_was_written_to_it(writes: list[tuple[int, str, Any]], more: list[dict[str, Any]]) -> None:
    table = ScoreTable(4)
    want: list[dict[str, Any]] = [{} for _ in range(4)]
    for place, name, value in writes:
        table[place][name] = value
        want[place][name] = value
    table.extend(more)
    want += more
    assert [dict(row) for row in table] == want
    assert [row.get("a", "none") for row in table] == [row.get("a", "none") for row in want]
    assert [len(row) for row in table] == [len(row) for row in want]


def test_a_column_may_be_made_when_it_is_asked_for_and_has_a_value_of_each_row() -> None:
    table = ScoreTable(3)
    table.add("number", range(3))
    table[1]["number"] = 7
    assert [row["number"] for row in table] == [0, 7, 2]
    del table[0]["number"]
    assert [dict(row) for row in table] == [{}, {"number": 7}, {"number": 2}]
    with pytest.raises(KeyError):
        table[0]["number"]
    with pytest.raises(IndexError):
        table[3]
    with pytest.raises(ValueError, match="2 values of 'few' for 3 rows"):
        table.add("few", [1, 2])
