"""Each command ends with the one that comes next, ready to paste: the tests paste it. And what a run remembers."""

from __future__ import annotations

import csv
import io
import json
import shlex
import shutil
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from reasondistill.cli import main

Command = Callable[..., tuple[int, str]]

KINDS = {
    "billing": ("the invoice shows a charge", "money"),
    "bug": ("the app closes at once", "crash"),
    "idea": ("please add a theme", "wish"),
}
TASK = {"name": "tickets", "fields": ["text"], "labels": list(KINDS)}
OPTIONS = ["--columns", "text=Ticket Text", "--columns", "label=category"]
COLUMNS = {"text": "Ticket Text", "label": "category", "explanation": "why, briefly"}
STUDENT = {
    "kind": "scratch", "d_model": 64, "d_ff": 128, "d_kv": 16, "num_heads": 2, "num_layers": 1, "num_decoder_layers": 1,
    "vocab_size": 400, "dropout_rate": 0.0,  # learned for sure: a package's words must not hang on rounding
}  # fmt: skip
TRAINING = {
    "max_steps": 60, "per_device_train_batch_size": 18, "learning_rate": 0.005, "lr_scheduler_type": "constant",
    "use_cpu": True, "report_to": "none", "disable_tqdm": True,
}  # fmt: skip
SPLITS = ["train"] * 12 + ["validation"] * 17 + ["test"] * 4


def write_tickets(file: Path, splits: Sequence[str] = SPLITS) -> Path:
    with file.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["Ticket Text", "category", "why, briefly", "split"])
        for number, split in enumerate(splits):
            for kind, (words, reason) in KINDS.items():
                table.writerow([f'{words}, it\'s "{number}"', kind, reason, split])
    return file


def config(folder: Path, data: dict[str, Any], **more: Any) -> Path:
    values: dict[str, Any] = {
        "name": "my_tickets",
        "task": TASK,
        "data": data,
        "student": STUDENT,
        "max_source_length": 64,
        "max_target_length": 32,
        "training": TRAINING,
        "generation": {"num_beams": 1, "max_new_tokens": 6, "repetition_penalty": 1.0},
        "evaluation": {"bertscore": False, "resamples": 50},
    }
    file = folder / "tickets.yaml"
    file.write_text(json.dumps(values | more), encoding="utf-8")
    return file


def parts(source: str, **more: Any) -> dict[str, Any]:
    known = {"source": source, "columns": COLUMNS} | more
    return {"train": known | {"split": "train"}, "validation": known | {"split": "validation"}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A working directory with a table and a run that learned from it, and what `train` said."""
    place = tmp_path_factory.mktemp("of a user")  # with spaces: paths are quoted
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out):
        patch.chdir(place)
        write_tickets(place / "my tickets.csv")
        patch.setattr("sys.argv", ["reasondistill", "train", str(config(place, parts("my tickets.csv")))])
        with pytest.raises(SystemExit) as ended:
            main()
    assert not ended.value.code, out.getvalue()
    return place, out.getvalue()


@pytest.fixture
def here(trained: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, to work in."""
    place = tmp_path / "my work"
    shutil.copytree(trained[0], place)
    monkeypatch.chdir(place)
    return place


RUN = "experiments/runs/my_tickets"


def next_of(output: str) -> list[str]:
    """The words of the next command that an output ends with; none where it names none."""
    lines = [line for line in output.splitlines() if line.startswith("next  ")]
    assert len(lines) < 2, lines
    if not lines:
        return []
    name, *words = shlex.split(lines[0].removeprefix("next  "))
    assert name == "reasondistill"
    for word in words:
        assert "…" not in word
        assert word not in ("DATA", "DIR", "RUN", "FIELD=TEXT", "PREDICTIONS", "STUDENT")
    return words


def follow(command: Command, words: list[str], most: int = 9) -> list[str]:
    """Paste each next command until there is none, or it was given before; the names of at most so many, in order."""
    given: list[list[str]] = []
    while words and words not in given and len(given) < most:
        given.append(words)
        code, output = command(*words)
        assert code == 0, (words, output)
        words = next_of(output)
    return [" ".join(words[: 2 if words[0] in ("data", "judge") else 1]) for words in given]


def test_the_chain_that_begins_with_train(command: Command, here: Path, trained: tuple[Path, str]) -> None:
    chain = follow(command, next_of(trained[1]))
    assert chain == ["predict", "evaluate", "report", "explain", "export", "explain"]
    for made in ("predictions/test.jsonl", "results/test/results.json", "report.html", "package/package.json"):
        assert Path(RUN, made).is_file(), made
    results = json.loads(Path(RUN, "results/test/results.json").read_text(encoding="utf-8"))
    assert (results["dataset"]["split"], results["dataset"]["n"]) == ("test", 12)


def test_named_rows_that_the_run_learned_from_are_counted(command: Command, here: Path) -> None:
    scored = ("evaluate", RUN, "my tickets.csv", "--no-bertscore")
    code, said = command(*scored, "--out", "all")
    assert (code, "36 of 99 rows are ones that the run learned from" in said) == (0, True), said
    code, said = command(*scored, "--split", "test", "--out", "unseen")
    assert (code, "learned from" in said) == (0, False), said


def test_chains_of_other_commands_on_a_run(command: Command, here: Path) -> None:
    assert follow(command, ["evaluate", RUN], 2) == ["evaluate", "report"], "it predicts first"
    assert follow(command, ["calibrate", RUN, "--force"], 2) == ["calibrate", "predict"]
    assert follow(command, ["efficiency", RUN, "--limit", "1", "--budget", "1"], 2) == ["efficiency", "report"]
    assert "What it costs" in Path(RUN, "report.html").read_text(encoding="utf-8")
    assert follow(command, ["runs"], 2) == ["runs", "explain"]
    shutil.copytree(RUN, "experiments/runs/other")
    few = ["--resamples", "9", "--swaps", "9"]
    assert follow(command, ["compare", RUN, "experiments/runs/other", *few], 2) == ["compare", "report"]
    assert [*Path("experiments/runs").glob("comparison_*/comparison.json")]


def test_chains_of_a_file_of_predictions(command: Command, here: Path) -> None:
    table = ["my tickets.csv", *OPTIONS[:4], "--split", "test", "--limit", "9"]
    words = ["predict", f"{RUN}/student", *table, "--out", "their answers.jsonl"]
    assert follow(command, words) == ["predict", "evaluate", "report"]
    assert Path("their answers_results/results.json").is_file()


def test_chains_of_data(command: Command, here: Path) -> None:
    table = ["my tickets.csv", "--text", "Ticket Text", "--label", "category", "--explanation", "why, briefly"]
    assert follow(command, ["data", "show", *table], 2) == ["data show", "data audit"]
    words = next_of(command("data", "audit", *table)[1])
    assert words[:2] == ["train", "my tickets.csv"]
    few = ["--student", "scratch", "--set", "training.max_steps=2"]  # the default student needs a download
    assert follow(command, [*words, *few], 2) == ["train", "predict"]
    assert follow(command, ["data", "split", *table, "--out", "parts"], 2) == ["data split", "data show"]
    assert follow(command, ["data", "convert", *table, "--out", "all.jsonl"], 2) == ["data convert", "data show"]


def test_the_chain_of_a_seal(command: Command, here: Path) -> None:
    settings = Path(RUN, "student", "generation_config.json")
    settings.write_text(json.dumps(json.loads(settings.read_text(encoding="utf-8")) | {"top_k": 7}), encoding="utf-8")
    assert command("explain", RUN)[0] == 2
    assert follow(command, ["seal", RUN], 2) == ["seal", "calibrate"]


def test_the_chain_of_a_judge(command: Command, here: Path) -> None:
    judge = {"name": "j", "judges_dir": "judges", "data": {"explained": {"source": "scenes:60"}}}
    Path("judge.yaml").write_text(json.dumps(judge), encoding="utf-8")
    assert follow(command, ["judge", "train", "judge.yaml"]) == ["judge train", "judge show"]


def test_the_chain_of_a_sweep(command: Command, here: Path) -> None:
    base = json.loads(Path("tickets.yaml").read_text(encoding="utf-8"))
    sweep = {
        "name": "s",
        "base": {**base, "name": "base", "training": {**TRAINING, "max_steps": 2}},
        "cells": [{"name": "a"}],
        "evaluate": {"source": "my tickets.csv", "columns": COLUMNS, "split": "test", "bertscore": False},
    }
    Path("a sweep.yaml").write_text(json.dumps(sweep), encoding="utf-8")
    words = ["sweep", "a sweep.yaml", "--set", "sweeps_dir=my sweeps", "--jobs", "0"]
    assert follow(command, [*words, "--dry-run"], 1) == ["sweep"]
    assert follow(command, [*words, "--cell", "0"], 4) == ["sweep", "sweep", "runs", "report"]


# --- what a run remembers, and what still overrides it ---


def test_what_is_given_overrides_what_a_run_knows(command: Command, here: Path) -> None:
    assert command("predict", RUN, "--split", "validation")[0] == 0
    assert command("evaluate", RUN, "--split", "validation", "--no-bertscore")[0] == 0
    results = json.loads(Path(RUN, "results/validation/results.json").read_text(encoding="utf-8"))
    assert results["dataset"]["split"] == "validation"
    code, output = command("evaluate", RUN, "--split", "validation")
    assert code == 2
    assert "--force" in output
    assert command("evaluate", RUN, "--split", "validation", "--force")[0] == 0
    # New rows, of which only the run's own columns are told.
    write_tickets(Path("new.csv"), ["", ""])
    assert command("predict", RUN, "new.csv", "--out", "new.jsonl")[0] == 0
    assert len(Path("new.jsonl").read_text(encoding="utf-8").splitlines()) == 6
    assert command("predict", RUN, "--limit", "5")[0] == 0
    assert command("evaluate", RUN)[0] == 0, "as many rows as were predicted"
    assert json.loads(Path(RUN, "results/test/results.json").read_text(encoding="utf-8"))["dataset"]["n"] == 5
    code, output = command("predict", RUN)
    assert code == 2, "those are other rows"
    assert "--force" in output
    assert command("predict", RUN, "--force")[0] == 0


def test_a_run_finds_its_data_from_anywhere(
    command: Command, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command("predict", here / RUN)[0] == 0
    (here / "my tickets.csv").rename(here / "moved.csv")
    for name in ("predict", "explain", "export", "calibrate --force", "efficiency"):
        words = name.split()
        code, output = command(words[0], here / RUN, *words[1:])
        assert code == 2, name
        assert "my tickets.csv: expected the data that the run" in output
        assert "nothing at this path" in output
    assert command("predict", here / RUN, here / "moved.csv", "--split", "test", "--force")[0] == 0
    assert command("evaluate", here / RUN, here / "moved.csv", "--split", "test")[0] == 0


def test_rows_that_a_run_learned_from_are_not_its_test(command: Command, here: Path) -> None:
    everything = {"train": {"source": "my tickets.csv", "columns": COLUMNS}}
    short = {**TRAINING, "max_steps": 2}
    assert command("train", config(here, everything, name="all", training=short))[0] == 0
    code, output = command("predict", "experiments/runs/all")
    assert code == 2
    assert "one that learned from my tickets.csv and names no others" in output
    table = write_tickets(Path("held out.csv"), ["", ""]).read_text(encoding="utf-8").replace("it's", "it is")
    Path("held out.csv").write_text(table, encoding="utf-8")  # other groups
    known = everything | {"validation": {"source": "held out.csv", "columns": COLUMNS}}
    assert command("train", config(here, known, name="two_files", training=short))[0] == 0
    code, output = command("predict", "experiments/runs/two_files")
    assert (code, "held out.csv, all: 6 rows" in output) == (0, True), output


def test_a_table_that_changed_since_is_told(command: Command, here: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert command("predict", RUN)[0] == 0
    assert "has changed since" not in caplog.text
    with Path("my tickets.csv").open("a", encoding="utf-8") as stream:
        stream.writelines(f"The bill is wrong {number},billing,money,train\n" for number in range(20))
    assert command("predict", RUN, "--force")[0] == 0
    assert "my tickets.csv has changed since the run" in caplog.text
