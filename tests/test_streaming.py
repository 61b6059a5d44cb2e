"""Predicting files of any size: the same rows as ever, in order, through any stop, in memory that does not grow."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasondistill.config import Generation
from reasondistill.contracts.records import read_predictions
from reasondistill.data import load
from reasondistill.errors import DataError, OutputError
from reasondistill.storage.files import fingerprint, fingerprint_of_parts
from reasondistill.students import prediction_files as prediction
from reasondistill.students.engines import Generated
from reasondistill.students.engines.engine import Scored
from reasondistill.students.prediction_files import predict_file
from reasondistill.students.student import Student
from reasondistill.tasks.task import NLI, Target

ROWS = 40


@dataclass
class Quick:
    """Labels by the length of a prompt, and says how long it was; it may be slow, or stop after some calls."""

    seconds: float = 0.0
    calls: int | None = None

    def score(
        self, prompts: Sequence[str], targets: Sequence[Sequence[Target]], of: Scored = "label"
    ) -> list[list[float]]:
        if self.calls is not None:
            if self.calls == 0:
                raise KeyboardInterrupt
            self.calls -= 1
        time.sleep(self.seconds)
        return [[-float((len(p) + k) % 3) for k in range(len(row))] for p, row in zip(prompts, targets, strict=True)]

    def generate(self, prompts: Sequence[str], prefixes: Sequence[str], generation: Generation) -> list[Generated]:
        return [Generated(f"of {len(p)} letters", False) for p in prompts]


def student(engine: Quick | None = None) -> Student:
    return Student(engine or Quick(), NLI, "label_first", Generation(num_beams=1), fingerprint="s")


def rows(n: int) -> list[dict[str, Any]]:
    words = ["a", "dog", "runs", "on", "the", "wet", "grass", "beside", "two", "men", "who", "talk"]
    return [
        {"id": f"r{i}", "premise": " ".join(words[: 3 + i % 9]), "hypothesis": f"Row {i} é\u2028.", "label": "neutral"}
        for i in range(n)
    ]


def write(path: Path, n: int) -> Path:
    if path.suffix == ".parquet":
        pa.parquet.write_table(pa.Table.from_pylist(rows(n)), path)
    elif path.suffix == ".csv":
        lines = [",".join(f'"{value}"' for value in row.values()) for row in rows(n)]
        path.write_text("\n".join(["id,premise,hypothesis,label", *lines]) + "\n", encoding="utf-8")
    else:
        with path.open("w", encoding="utf-8") as stream:
            for row in rows(n):
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(prediction, "WINDOW", 7)
    monkeypatch.setenv("REASONDISTILL_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
@pytest.mark.parametrize("cached", [False, True])
def test_every_form_of_file_is_answered_in_its_order(
    suffix: str, cached: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reasondistill.data.sources.CACHED_FROM", 1 if cached else 10**9)
    data = load(write(tmp_path / f"data{suffix}", ROWS))
    out = predict_file(student(), data.examples, tmp_path / "out.jsonl", facts={})
    found = list(read_predictions(out))
    assert [p.id for p in found] == [f"r{i}" for i in range(ROWS)]
    assert found == student().predict(list(data.examples)), "windows change nothing"


def test_a_part_and_a_limit_are_streamed_too(tmp_path: Path) -> None:
    data = load(write(tmp_path / "data.jsonl", 300), split="test").first(20)
    expected = [e.id for e in load(tmp_path / "data.jsonl").examples if e.id in {x.id for x in data.examples}]
    found = list(read_predictions(predict_file(student(), data.examples, tmp_path / "out.jsonl", facts={})))
    assert [p.id for p in found] == expected
    assert len(found) == 20


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 23), st.integers(1, 9), st.integers(0, 6), st.binary(max_size=12), st.booleans())
def test_any_stop_leaves_a_file_that_is_gone_on_with(n: int, window: int, calls: int, torn: bytes, shift: bool) -> None:
    """Whatever stands behind the whole rows, and also where the rows are not in the examples' order."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(prediction, "WINDOW", window)
        out, part = Path(folder) / "out.jsonl", Path(folder) / "out.jsonl.part"
        examples = load("scenes:23").examples[:n]
        whole = predict_file(student(), examples, Path(folder) / "whole.jsonl", facts={})
        try:
            predict_file(student(Quick(calls=calls)), examples, out, facts={})
        except KeyboardInterrupt:
            lines = part.read_bytes().splitlines(keepends=True)
            assert len(lines) == calls * window
            if shift:
                lines = lines[1:] + lines[:1]
            part.write_bytes(b"".join(lines) + torn.replace(b"\n", b""))
            predict_file(student(), examples, out, facts={})
        assert out.read_bytes() == whole.read_bytes()
        assert not part.exists()


JOB = """
import sys
sys.path.insert(0, sys.argv[1])
import test_streaming as t
from reasondistill.students import prediction_files as prediction
from reasondistill.evaluation.efficiency.process import peak_resident_bytes
prediction.WINDOW = int(sys.argv[4])
data = t.load(sys.argv[2])
t.predict_file(t.student(t.Quick(seconds=float(sys.argv[5]))), data.examples, sys.argv[3],
               facts={"data": {"name": "d", "fingerprint": data.fingerprint}},
               progress=lambda done: print(done, flush=True))
if len(sys.argv) > 6:
    data.part("test")
    print("peak", peak_resident_bytes())
"""


def job(data: Path, out: Path, window: int, seconds: float = 0.0, *more: str) -> subprocess.Popen[str]:
    here = str(Path(__file__).parent)
    arguments = [here, str(data), str(out), str(window), str(seconds), *more]
    return subprocess.Popen([sys.executable, "-c", JOB, *arguments], stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
def test_a_killed_job_goes_on_where_it_was(tmp_path: Path) -> None:
    data, out = write(tmp_path / "data.jsonl", 60), tmp_path / "out.jsonl"
    process = job(data, out, 5, 0.2)
    assert process.stdout is not None
    while int(process.stdout.readline()) < 10:
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    kept = (tmp_path / "out.jsonl.part").read_bytes().count(b"\n")
    assert 10 <= kept < 60
    assert not out.exists()
    again = job(data, out, 5)
    told, _ = again.communicate()
    assert again.returncode == 0
    assert 10 <= int(told.split()[0]) <= kept
    examples = load(data).examples
    whole = predict_file(student(), examples, tmp_path / "whole.jsonl", facts={})
    assert out.read_bytes() == whole.read_bytes()


def test_a_second_process_does_not_write_into_the_same_file(tmp_path: Path) -> None:
    examples, out = load(write(tmp_path / "d.jsonl", 12)).examples, tmp_path / "o.jsonl"

    def once_more(done: int) -> None:
        with pytest.raises(OutputError, match="another process at work on them"):
            predict_file(student(), examples, out, facts={})

    predict_file(student(), examples, out, facts={}, progress=once_more)
    assert [p.id for p in read_predictions(out)] == [e.id for e in examples]
    assert {p.name for p in tmp_path.iterdir()} == {"d.jsonl", "o.jsonl", "o.meta.json"}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell how much memory is used")
def test_ten_times_the_rows_take_hardly_more_memory(tmp_path: Path) -> None:
    """What grows is a hash of each id (to find doubled ones) and the place of each row: not the rows."""
    peaks = {}
    for n in (2_000, 20_000):
        process = job(write(tmp_path / f"{n}.jsonl", n), tmp_path / f"{n}.out.jsonl", 512, 0.0, "peak")
        told, _ = process.communicate()
        assert process.returncode == 0
        peaks[n] = int(told.split("peak")[1])
    # As Python objects the examples and predictions of 18,000 rows take 70 MB.
    assert peaks[20_000] - peaks[2_000] < 16_000_000


def test_a_doubled_id_far_apart_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / "data.jsonl", 3_000)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(rows(1)[0] | {"hypothesis": "Another."}) + "\n")
    with pytest.raises(DataError, match=r"data\.jsonl:3001: .*the id 'r0', which .*data\.jsonl:1 has too"):
        load(path)


@given(st.lists(st.text()))
def test_a_fingerprint_of_parts_that_are_not_kept_is_the_same(texts: list[str]) -> None:
    assert fingerprint_of_parts(iter(texts)) == fingerprint(*texts)
