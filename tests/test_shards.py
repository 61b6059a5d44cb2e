"""A file of predictions in parts that several processes write: joined, it is the file of one process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasondistill.errors import DataError
from reasondistill.students import prediction_files
from reasondistill.students.prediction_shards import Shard

ROWS = "scenes:30"


@given(total=st.integers(0, 3000), count=st.integers(1, 40), window=st.integers(1, 600))
def test_shards_are_every_row_once_in_whole_windows(total: int, count: int, window: int) -> None:
    parts = [Shard(number, count).rows(total, window) for number in range(1, count + 1)]
    assert [row for part in parts for row in part] == list(range(total))
    assert all(part.start % window == 0 or part.start == total for part in parts)


@given(st.text(max_size=8))
def test_what_is_no_shard_is_refused(text: str) -> None:
    with contextlib.suppress(DataError):
        shard = Shard.parse(text)
        assert 1 <= shard.number <= shard.count
        assert Shard.parse(str(shard)) == shard


@pytest.fixture
def predict(
    command: Callable[..., tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str]]:
    pytest.importorskip("transformers")
    monkeypatch.setattr(prediction_files, "WINDOW", 8)

    def call(*words: Any, out: str = "parts.jsonl") -> tuple[int, str]:
        return command("predict", "builtin:scenes", ROWS, "--out", tmp_path / out, *words)

    return call


def test_parts_are_joined_to_the_bytes_of_one_process(
    predict: Callable[..., tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert predict(out="whole.jsonl")[0] == 0
    assert "found none" in predict("--merge")[1]
    for number in (1, 3):
        status, said = predict("--shard", f"{number}/3")
        assert status == 0
        assert "--merge" in said
    status, said = predict("--merge")
    assert status == 2
    assert "parts.2-of-3.jsonl (8 rows, " in said
    assert "--shard 2/3." in said
    monkeypatch.setenv("RANK", "1")  # as a launcher says it
    monkeypatch.setenv("WORLD_SIZE", "3")
    predict()
    monkeypatch.undo()
    monkeypatch.setattr(prediction_files, "WINDOW", 8)
    assert predict("--merge")[0] == 0
    assert (tmp_path / "parts.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert (tmp_path / "parts.meta.json").read_bytes() == (tmp_path / "whole.meta.json").read_bytes()
    assert predict("--merge")[0] == 0  # it is there


def test_parts_that_do_not_belong_together_are_refused(predict: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    for number in (1, 2):
        predict("--shard", f"{number}/2")
    lines = (tmp_path / "parts.2-of-2.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "parts.2-of-2.jsonl").write_text("".join(lines[:-2]))
    status, said = predict("--merge")
    assert status == 2
    assert "rows, found" in said.replace("expected 14 ", "").replace("expected 16 ", "")
    assert "missing" in said
    (tmp_path / "parts.2-of-2.jsonl").write_text("".join([*lines[1:], lines[0]]))
    assert "which is there in the data" in predict("--merge")[1]
    assert not (tmp_path / "parts.jsonl").exists()
    (tmp_path / "parts.2-of-2.jsonl").write_text("".join(lines))
    assert "differ in generation" in predict("--merge", "--num-beams", "2")[1]
    assert predict("--shard", "1/3")[0] == 0
    assert "parts of 2 and of 3" in predict("--merge")[1]
    assert "I/N" in predict("--shard", "3/2")[1]
