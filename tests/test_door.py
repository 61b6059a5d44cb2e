"""From a file to a student and a report in one command: what is said, what is written, and that both doors agree."""

from __future__ import annotations

import csv
import json
import re
import runpy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import reasondistill as rd
from reasondistill.cli.planning import plan
from reasondistill.cli.table_options import TableOptions
from reasondistill.config import TrainConfig, load_config
from reasondistill.contracts.results import Results
from reasondistill.data import load_dataset
from reasondistill.data.layout import Choice
from reasondistill.errors import ConfigError, DataError
from reasondistill.training.planning import DataFile, plan_training

TINY = ["--student", "scratch"] + [
    word
    for key in ("d_model=16", "d_ff=16", "d_kv=8", "num_heads=2", "num_layers=1", "num_decoder_layers=1")
    for word in ("--set", f"student.{key}")
]
QUICK = [*TINY, "--set", "training.max_steps=4", "--set", "training.report_to=none", "--set", "student.vocab_size=400"]

TOPICS = {
    "billing": ("I was charged twice for order {n}.", "It speaks of a charge."),
    "bug": ("The app closed while I opened map {n}.", "It describes a crash."),
    "feature": ("Please add theme number {n} to the menu.", "It asks for something new."),
}
Command = Callable[..., tuple[int, str, str]]


def tickets(n: int = 120) -> list[dict[str, str]]:
    """Rows of three labels; every sixth has no reason."""
    rows = []
    for number in range(n):
        category, (text, why) = list(TOPICS.items())[number % 3]
        rows.append({"text": text.format(n=number), "category": category, "why": why if number % 6 else ""})
    return rows


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_csv(tmp_path / "tickets.csv", tickets()).relative_to(tmp_path)


# --- train FILE: all that is said where no terminal is ---


def test_train_takes_a_file_and_says_each_thing_once(run: Command, file: Path) -> None:
    status, out, err = run("train", file, *QUICK)
    assert status == 0, err
    columns, _, rest = err.partition("How it is trained (change it with --student and --set):\n")
    assert columns.splitlines()[0] == "tickets.csv: what its columns hold"
    said = [line.split()[0:2] for line in columns.splitlines()[1:-1]]
    assert said == [["text", "text"], ["category", "label"], ["why", "explanation"]]
    assert "3 different: billing (40), bug (40), feature (40)" in columns
    masked = re.sub(r"[\d.,]+ (GFLOP/s|GiB|of|s\b|min|rows/s)", r"N \1", re.sub(r"\b\d+\.\d+", "N", rest))
    lines = masked.splitlines()
    assert [line.split()[0] for line in lines[:6]] == [
        *("student", "learns", "training", "validation", "lengths", "estimate"),
    ]
    begun = [line for line in lines if " | " in line]
    assert len(begun) == 1
    assert re.fullmatch(
        r"tickets: train \d+ rows \(billing \d+, bug \d+, feature \d+\); validation \d+ rows \(.*\) \| "
        r"T5 with random weights, [\d,]+ parameters \| experiments/runs/tickets_scratch",
        next(line for line in rest.splitlines() if " | " in line),
    )
    phases = [line for line in lines if line.startswith("training  4/4 steps")]
    assert len(phases) == 1
    assert re.search(r"loss N, validation label accuracy N, validation explanation loss N", phases[0])
    # Nothing else: no dictionary of the trainer, no bar, no line twice.
    assert "{'" not in out + err
    assert "\r" not in out + err
    assert "%|" not in out + err
    others = [line for line in lines[6:] if line not in (*begun, *phases)]
    assert all(line.startswith("Not calibrated") for line in others)
    assert [line.split()[0] for line in out.splitlines()] == ["student", "next"]
    assert len(set(err.splitlines())) == len(err.splitlines())


def test_columns_that_are_named_go_before_what_was_found(run: Command, file: Path) -> None:
    rows = [{"a": r["text"], "b": f"Sent from phone number {k}.", "c": r["category"]} for k, r in enumerate(tickets())]
    write_csv(file, rows)
    status, _, err = run("train", file, *QUICK, "--text", "b", "--text", "a", "--label", "c", "--name", "named")
    assert status == 0, err
    info = json.loads(Path("experiments/runs/named/run.json").read_text(encoding="utf-8"))
    assert info["config"]["task"]["fields"] == ["b", "a"]
    assert info["config"]["order"] == "label_only"
    assert "no row has an explanation" in err


def test_many_labels_may_be_texts_to_write_and_the_next_command_says_so_too(run: Command, tmp_path: Path) -> None:
    rows = [{"q": f"Which town is number {k}?", "answer": f"Town{k % 60}", "why": f"Road {k}."} for k in range(240)]
    file = write_csv(tmp_path / "towns.csv", rows)
    status, out, err = run("data", "show", file)
    assert status == 0
    assert "60 labels are many to choose from. If they are texts to write: --answer=answer" in err
    assert "Town59" in out
    status, out, err = run("data", "show", file, "--answer=answer")
    assert status == 0
    assert "many to choose from" not in err
    assert "(a text)" in out
    assert out.splitlines()[-1].endswith("towns.csv --answer=answer")


@pytest.mark.parametrize(("option", "value"), [("--student", "scratch"), ("--label", "category"), ("--task", "nli")])
def test_a_configuration_says_itself_what_a_data_set_is_asked_for(
    run: Command, file: Path, option: str, value: str
) -> None:
    assert run("init", file, *TINY, "--out", "c.yaml")[0] == 0
    status, _, err = run("train", "c.yaml", option, value)
    assert status == 2
    assert "c.yaml, which says it itself" in err
    assert not Path("experiments/runs").exists()


# --- what is planned ---

FORMS: dict[str, tuple[list[dict[str, Any]], str, Any]] = {
    "labels and explanations": (tickets(), "label_first", ("text",)),
    "several texts": (
        [{"title": f"Ticket number {k} of today", "body": r["text"], **r} for k, r in enumerate(tickets())],
        "label_first",
        ("title", "body", "text"),
    ),
    "labels only": ([{"text": r["text"], "category": r["category"]} for r in tickets()], "label_only", ("text",)),
    "explanations only": (
        [{"text": r["text"], "why": f"{r['why']} See {k}."} for k, r in enumerate(tickets())],
        "explanation_only",
        ("text",),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_init_writes_what_train_does(run: Command, file: Path, form: str) -> None:
    rows, order, fields = FORMS[form]
    write_csv(file, rows)
    status, out, err = run("init", file, "--student", "scratch")
    assert status == 0, err
    written = load_config(TrainConfig, "tickets_scratch.yaml")
    planned = plan([str(file)], TableOptions(), "scratch", None, None).plan
    assert written == planned.config
    assert (written.order, written.task.fields) == (order, fields)
    assert out.splitlines()[-1] == "next  reasondistill train tickets_scratch.yaml"
    text = Path("tickets_scratch.yaml").read_text(encoding="utf-8")
    assert all(line.startswith("# ") for line in text.split("\n\n")[0].splitlines())
    # A file in the way is not written over.
    assert run("init", file, "--student", "scratch")[0] == 2
    assert Path("tickets_scratch.yaml").read_text(encoding="utf-8") == text


def test_rows_with_choices_of_their_own_are_planned_and_learned(run: Command, tmp_path: Path) -> None:
    rows = [
        {"question": f"Which of these can fly, case {n}?", "choices": [f"stone {n}", "bird"], "label": "bird"}
        for n in range(60)
    ]
    path = tmp_path / "q.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    planned = plan([str(path)], TableOptions(), "scratch", None, ["training.max_steps=3"]).plan
    assert planned.config.task.labels is None
    assert planned.choices == 2
    status, _, err = run("train", path, *QUICK, "--set", f"runs_dir={tmp_path}")
    assert status == 0, err


def test_steps_that_are_set_decide_when_it_validates(file: Path) -> None:
    def training(*overrides: str) -> dict[str, Any]:
        return plan([str(file)], TableOptions(), "scratch", None, list(overrides)).plan.config.training

    few = training("training.max_steps=12")
    assert (few["max_steps"], few["eval_steps"], few["save_steps"], few["warmup_steps"]) == (12, 2, 2, 1)
    epochs = training("training.num_train_epochs=2", "training.per_device_train_batch_size=8")
    assert "max_steps" not in epochs
    assert epochs["eval_steps"] <= 6
    assert training("training.eval_steps=5")["eval_steps"] == 5


def test_a_batch_that_memory_does_not_hold_is_accumulated(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = plan([str(file)], TableOptions(), "flan-t5-base", None, None).plan
    monkeypatch.setattr("reasondistill.training.estimates.available_memory", lambda: 6 * 2**30)
    small = plan([str(file)], TableOptions(), "flan-t5-base", None, None).plan
    training = small.config.training
    assert training["per_device_train_batch_size"] * training["gradient_accumulation_steps"] == 32
    assert training["gradient_accumulation_steps"] > 1
    assert training["max_steps"] == whole.config.training["max_steps"]
    estimate = small.estimate()
    assert estimate is not None
    assert estimate.fits
    assert estimate.seconds > 0
    given = plan([str(file)], TableOptions(), "flan-t5-base", None, ["training.per_device_train_batch_size=32"]).plan
    assert "gradient_accumulation_steps" not in given.config.training


def test_all_mistakes_in_what_is_set_are_named_before_the_data_are_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"(?s)--set.*'a b'.*'=3'"):
        plan([str(tmp_path / "absent.csv")], TableOptions(), None, None, ["a b", "=3"])
    with pytest.raises(ConfigError, match="one of flan-t5-small, flan-t5-base"):
        plan([str(tmp_path / "absent.csv")], TableOptions(), "flan-t6", None, None)
    with pytest.raises(DataError, match=r"absent\.csv"):
        plan([str(tmp_path / "absent.csv")], TableOptions(choice=Choice(text=("a",))), None, None, None)


def test_without_a_way_to_the_hub_students_are_named_that_need_none(run: Command, file: Path) -> None:
    status, _, err = run("train", file)
    assert status == 2
    last = err.splitlines()[-1]
    assert last.startswith("error: google/flan-t5-small: expected a folder with a checkpoint, or a way to the")
    assert last.endswith(
        "Students that need no download: scratch (no extra), minilm (with the extra `offline`), or a folder with a "
        "checkpoint."
    )
    assert not Path("experiments/runs").exists()


def test_the_benchmark_of_estimates_runs(capsys: pytest.CaptureFixture[str]) -> None:
    script = Path(__file__).resolve().parents[1] / "benchmarks" / "step_estimates.py"
    threads = torch.get_num_threads()
    try:
        assert runpy.run_path(str(script))["main"](["--quick"]) == 0
    finally:
        torch.set_num_threads(threads)
    assert "scratch, 2, 8 + 4: " in capsys.readouterr().out


# --- distil: from a file to report.html ---


def test_distil_goes_from_a_file_to_a_report_and_does_nothing_twice(run: Command, file: Path) -> None:
    more = ["--no-faithfulness", "--set", "evaluation.bertscore=false"]
    status, out, err = run("distil", file, *QUICK, *more)
    assert status == 0, err
    folder = Path("experiments/runs/tickets_scratch")
    results = Results.load(folder / "results" / "test" / "results.json")
    assert 0 <= results.metrics["label_accuracy"].value <= 1
    assert "chrf" in results.metrics
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "tickets" in page
    assert f"report  {folder / 'report.html'}" in out
    before = (folder / "student" / "model.safetensors").stat().st_mtime_ns
    status, out, err = run("distil", file, *QUICK, *more)
    assert status == 0, err
    assert "there already" in out
    assert (folder / "student" / "model.safetensors").stat().st_mtime_ns == before
    status, _, err = run("distil", file, *QUICK, *more, "--set", "seed=3")
    assert status == 2
    assert "--name NAME" in err


@pytest.mark.slow
def test_distil_of_a_configuration_measures_the_student_too(run: Command, file: Path) -> None:
    small = [
        "--set",
        "evaluation.bertscore=false",
        "--set",
        "evaluation.budget=3",
        "--set",
        "evaluation.faithfulness_limit=3",
    ]
    assert run("init", file, *QUICK, *small, "--out", "c.yaml")[0] == 0
    status, _, err = run("distil", "c.yaml")
    assert status == 0, err
    results = Results.load(Path("experiments/runs/tickets_scratch/results/test/results.json"))
    assert results.faithfulness
    assert results.efficiency is not None


def test_a_file_for_each_split_is_told_by_its_name(run: Command, file: Path) -> None:
    rows = tickets()
    for name, part in (("train", rows[:90]), ("my-dev", rows[90:105]), ("test.v2", rows[105:])):
        write_csv(Path(f"{name}.csv"), part)
    files = ["train.csv", "my-dev.csv", "test.v2.csv"]
    more = ["--no-faithfulness", "--set", "evaluation.bertscore=false"]
    status, _, err = run("distil", *files, *QUICK, *more)
    assert status == 0, err
    assert "train: train 90 rows" in err
    assert "; validation 15 rows" in err
    results = Results.load(Path("experiments/runs/train_scratch/results/test/results.json"))
    assert (results.dataset.name, results.dataset.n) == ("test.v2", 15)
    # Without test rows of their own, validation is scored.
    status, _, err = run("distil", *files[:2], *QUICK, *more, "--name", "two")
    assert status == 0, err
    assert Results.load(Path("experiments/runs/two/results/all/results.json")).dataset.n == 15
    for unclear in (["train.csv", "tickets.csv"], ["train.csv", "train.csv"], files[1:]):
        status, _, err = run("train", *unclear, *QUICK)
        assert (status, "a file for each split" in err) == (2, True)


# --- Python ---


def test_training_from_python_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    events: list[str] = []
    run = rd.train(
        tickets(),
        student={
            "kind": "scratch",
            "d_model": 16,
            "d_ff": 16,
            "d_kv": 8,
            "num_heads": 2,
            "num_layers": 1,
            "num_decoder_layers": 1,
        },
        out=tmp_path,
        training={"max_steps": 4, "report_to": "none"},
        progress=lambda event: events.append(str(event)),
    )
    rd.Student.load(run.student).predict(["The app closed."])
    assert capfd.readouterr() == ("", "")
    assert events[0] == "loading T5 with random weights"
    assert events[1].startswith("data: train ")
    assert events[-2].startswith("training  4/4 steps  loss ")
    assert events[-1] == "saving and calibrating"


# --- what a plan takes from the texts ---


def test_a_student_from_scratch_gets_a_unigram_tokenizer_where_the_texts_have_no_spaces() -> None:
    def tokenizer(texts: Sequence[str], **changes: Any) -> str:
        rows = [{"text": f"{texts[k % 2]}{k}", "label": "ab"[k % 2], "why": texts[k % 2]} for k in range(30)]
        plan = plan_training(DataFile(load_dataset(rows), "rows.jsonl"), student="scratch", changes=changes)
        assert ("Unigram" in plan.recipe.summary) == (plan.config.student.tokenizer == "unigram")  # type: ignore[union-attr]
        return str(plan.config.student.tokenizer)  # type: ignore[union-attr]

    assert tokenizer(["他在北京工作，", "天气很好，"]) == "unigram"
    assert tokenizer(["He works in Beijing ", "The weather is fine "]) == "bpe"
    assert tokenizer(["Он работает ", "Погода хорошая "]) == "bpe"
    assert tokenizer(["他在北京工作，", "天气很好，"], student={"tokenizer": "bpe"}) == "bpe"
