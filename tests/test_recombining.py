"""`data pair`: new rows out of the texts of one group, never of several groups or splits, and none that is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from make import mistake, pair
from reasondistill.contracts.records import Example, read_examples
from reasondistill.data.audit.texts import plain
from reasondistill.data.splits import split_of
from reasondistill.data.transforms.recombining import recombined
from reasondistill.errors import DataError
from reasondistill.tasks.task import NLI, Task

ROWS = [
    pair("A man sleeps.", "He rests.", id="1", group="a", label="entailment"),
    pair("A man naps.", "He runs.", id="2", group="a", label="contradiction"),
    pair("A dog barks.", "It is loud.", id="3", group="b"),
]


def texts(examples: list[Example]) -> set[tuple[str, ...]]:
    return {(example.fields["premise"], example.fields["hypothesis"]) for example in examples}


def test_texts_of_one_group_are_put_together() -> None:
    new = recombined(ROWS, NLI)
    assert texts(new) == {("A man sleeps.", "He runs."), ("A man naps.", "He rests.")}
    assert {(e.group, e.label, e.split, e.explanations) for e in new} == {("a", None, None, ())}


def test_texts_change_fields_only_where_that_is_asked_for() -> None:
    new = texts(recombined(ROWS, NLI, across_fields=True))
    assert len(new) == (4 * 3 - 2) + (2 * 1 - 1)
    assert ("It is loud.", "A dog barks.") in new


def test_another_spelling_of_a_row_is_no_new_row() -> None:
    elsewhere = pair("a MAN sleeps", "he runs!", id="4", group="c")
    assert texts(recombined([*ROWS, elsewhere], NLI)) == {("A man naps.", "He rests.")}


def test_limits_take_from_all_groups_alike_and_grow() -> None:
    rows = [pair(f"P{k} of {g}", f"H{k} of {g}", id=f"{g}{k}", group=g) for g in "abc" for k in range(4)]
    every = recombined(rows, NLI)
    assert len(every) == 3 * (16 - 4)
    assert recombined(rows, NLI, limit=5) == every[:5]
    assert [e.group for e in every[:6]] == list("abcabc")
    assert len(recombined(rows, NLI, per_group=2)) == 6
    assert recombined(rows, NLI, seed=1) != every


def test_rows_of_one_group_in_two_splits_are_not_put_together() -> None:
    torn = [ROWS[0].model_copy(update={"split": "train"}), ROWS[1].model_copy(update={"split": "test"})]
    mistake(lambda: recombined(torn, NLI), "no combination that is not there")


def test_ids_that_are_taken_are_not_given_again() -> None:
    [first, second] = recombined(ROWS, NLI)
    taken = pair("Another text.", "Of no matter.", id=first.id, group="z")
    assert {e.id for e in recombined([*ROWS, taken], NLI)} == {f"{first.id}~", second.id}


@pytest.mark.parametrize(
    ("task", "named"),
    [
        (Task(name="t", fields=("text",), labels=("a", "b")), "two texts or more"),
        (Task(name="t", fields=("premise", "hypothesis")), "choices of its own"),
    ],
)
def test_tasks_that_cannot_be_recombined_are_refused(task: Task, named: str) -> None:
    mistake(lambda: recombined(ROWS, task), named)


WORDS = st.sampled_from(["a cat", "Cat.", "dog", "dog dog", "", "?", "the", "ß", "猫"])


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.tuples(WORDS, WORDS, st.sampled_from("xyz")), min_size=1, max_size=12), st.booleans())
def test_what_comes_out_is_new_whole_and_of_one_group(rows: list[tuple[str, str, str]], across: bool) -> None:
    examples = [pair(p, h, id=str(k), group=g) for k, (p, h, g) in enumerate(rows)]
    try:
        new = recombined(examples, NLI, across_fields=across)
    except DataError as error:
        assert "no combination" in error.found  # noqa: PT017  # there may be none
        return
    keys = [tuple(plain(text) or text.strip() for text in e.fields.values()) for e in examples]
    made = [tuple(plain(text) or text.strip() for text in e.fields.values()) for e in new]
    assert not set(made) & set(keys)
    assert len(set(made)) == len(made)
    assert len({e.id for e in new}) == len(new)
    for example in new:
        group = [e for e in examples if e.group == example.group]
        own = {text for e in group for text in e.fields.values()}
        assert set(example.fields.values()) <= own
    assert recombined(examples, NLI, across_fields=across) == new


def test_the_command_writes_rows_that_load_without_labels(
    command: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    table = tmp_path / "pairs.csv"
    table.write_text(
        "premise,hypothesis,label,image\nA man sleeps.,He rests.,entailment,1\nA man naps.,He runs.,neutral,1\n"
    )
    status, said = command("data", "pair", table, "--group", "image", "--out", tmp_path / "new.jsonl")
    assert status == 0, said
    rows = list(read_examples(tmp_path / "new.jsonl"))
    assert [(row.label, row.group) for row in rows] == [(None, "1")] * 2
    assert command("data", "show", tmp_path / "new.jsonl")[0] == 0
    assert split_of("1") in command("data", "show", tmp_path / "new.jsonl")[1]
    status, said = command("data", "pair", table, "--out", tmp_path / "none.jsonl")
    assert (status, (tmp_path / "none.jsonl").exists()) == (2, False)
    assert "--group COLUMN" in said
