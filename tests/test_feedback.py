"""What people say of answers becomes training rows: labels by majority, groups that no split takes apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasondistill.contracts.feedback import Feedback
from reasondistill.contracts.records import read_examples
from reasondistill.data import load_dataset
from reasondistill.data.feedback_rows import rows_of
from reasondistill.storage.sqlite_store import Store, content_key


def said(text: str = "a", verdict: str = "right", **changes: Any) -> Feedback:
    values = {
        "student": "0123",
        "task": "nli",
        "fields": {"premise": text, "hypothesis": "h"},
        "label": "neutral",
        "explanation": "As it is.",
        "verdict": verdict,
        "received": "2026-01-01T00:00:00+00:00",
    }
    return Feedback.model_validate(values | changes)


def test_what_is_right_is_learned_with_its_votes_and_what_is_wrong_with_its_correction() -> None:
    rows = rows_of(
        [
            said(by="Ada"),
            said(by="Bob"),
            said(by="Cy", verdict="wrong", corrected_explanation="Better."),
            said("b", "wrong", corrected_label="entailment", corrected_explanation="It follows."),
            said("c", "wrong"),
            said("d"),
            said("d", "wrong", corrected_label="entailment"),
        ]
    )
    first, second = rows.examples
    assert first.label == "neutral"
    assert [(e.text, e.source) for e in first.explanations] == [("Better.", "feedback"), ("As it is.", "student")]
    votes = first.explanations[1].votes
    assert votes is not None
    assert (votes.acceptable, votes.of) == (2, 3)
    assert (second.label, [e.text for e in second.explanations]) == ("entailment", ["It follows."])
    assert rows.dropped == {"wrong, without a correction": 1, "people disagree": 1}


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([None, "x", "y", "z"])), min_size=1, max_size=12))
def test_what_names_a_common_group_is_never_split_apart(pairs: list[tuple[int, str | None]]) -> None:
    rows = rows_of([said(str(text), group=group, by=str(n)) for n, (text, group) in enumerate(pairs)])
    group_of = {example.fields["premise"]: example.group for example in rows.examples}
    assert len(group_of) == len(rows.examples) == len({text for text, _ in pairs})
    for text, group in pairs:
        for other, same in pairs:
            if group is not None and group == same:
                assert group_of[str(text)] == group_of[str(other)]


def test_the_command_writes_rows_that_can_be_trained_on(
    tmp_path: Path, command: Callable[..., tuple[int, str]]
) -> None:
    store = Store(tmp_path / "feedback.sqlite")
    rows = [said(f"a man {n} sleeps", group="same" if n < 8 else None) for n in range(40)] + [said("lost", "wrong")]
    store.put_many({content_key(str(n)): row.model_dump_json().encode() for n, row in enumerate(rows)})
    status, output = command("data", "feedback", store.path, "--out", tmp_path / "rows.jsonl")
    assert status == 0, output
    assert "dropped  wrong, without a correction (1)" in output
    assert len(list(read_examples(tmp_path / "rows.jsonl"))) == 40
    data = load_dataset(tmp_path / "rows.jsonl")
    assert data.task is not None
    assert data.task.name == "nli"
    parts = dict(zip((e.fields["premise"] for e in data.examples), data.stored.parts(), strict=True))
    assert len({parts[f"a man {n} sleeps"] for n in range(8)}) == 1
    assert len(set(parts.values())) > 1


@pytest.mark.parametrize("content", [b"", b"not a store", b"SQLite format 3\0 and no more"])
def test_what_is_no_feedback_is_refused_and_left_alone(
    content: bytes, tmp_path: Path, command: Callable[..., tuple[int, str]]
) -> None:
    path = tmp_path / "feedback.sqlite"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)  # of a damaged file that is set aside
        status, output = command("data", "feedback", path, "--out", tmp_path / "rows.jsonl")
    assert status == 2, output
    assert not (tmp_path / "rows.jsonl").exists()
    kept = [file.read_bytes() for file in tmp_path.iterdir()]
    assert content in kept
