"""The command line: help at once, a mistake is exit 2 with a sentence and nothing half-written, and the way end to end.

Most commands run inside the test's process, through the same `main` as the installed script: an error that is no
`UserError` then fails the test as a traceback would.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from reasondistill.cli import main
from reasondistill.contracts.records import Example, write_records
from reasondistill.data.scenes import generate
from reasondistill.errors import MissingExtraError, importing

COMMANDS = (
    "",
    "data",
    "data show",
    "data audit",
    "data download",
    "data convert",
    "data split",
    "data pair",
    "data structures",
    "train",
    "predict",
    "calibrate",
    "evaluate",
    "efficiency",
    "compare",
    "report",
    "explain",
    "quickstart",
    "runs",
)
HEAVY = ("torch", "transformers", "datasets", "tokenizers", "bert_score", "pandas", "pyarrow", "matplotlib", "sklearn")


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def mistake(self) -> str:
        """The sentence that a user gets for a mistake of theirs."""
        assert self.code == 2, (self.code, self.out, self.err)
        assert "Traceback" not in self.out + self.err
        before, error, message = self.err.rpartition("error: ")
        assert error, self.err
        assert before == "" or before.endswith("\n")  # a progress bar may stand before it
        return message.rstrip("\n")


Run = Callable[..., Outcome]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Call the command in this process."""

    def call(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["reasondistill", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return Outcome(code if isinstance(code, int) else int(bool(code)), *capsys.readouterr())

    return call


def shell(*arguments: object, setup: str = "", cwd: Path | None = None) -> Outcome:
    """Call the command in a process of its own, after some Python."""
    code = f"{setup}\nfrom reasondistill.cli import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=300, cwd=cwd
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def tree(folder: Path) -> dict[str, bytes]:
    """Everything below a folder, hidden files too."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
    }


# --- help ---


@pytest.fixture(scope="module")
def helps() -> dict[str, dict[str, Any]]:
    """Command → exit status, text and heavy libraries imported so far, all asked in one fresh process."""
    code = f"""
import contextlib, io, json, sys
from reasondistill.cli import main
found = {{}}
for command in {COMMANDS!r}:
    sys.argv = ["reasondistill", *command.split(), "--help"]
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    heavy = [name for name in {HEAVY!r} if name in sys.modules]
    found[command] = {{"code": code, "text": text.getvalue(), "heavy": heavy}}
print(json.dumps(found))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_without_importing_heavy_libraries(helps: dict[str, dict[str, Any]], command: str) -> None:
    assert helps[command]["code"] in (0, None)
    assert helps[command]["heavy"] == []
    assert "Usage:" in helps[command]["text"]
    assert len(helps[command]["text"]) > 300


def test_the_top_level_help_names_every_command(helps: dict[str, dict[str, Any]]) -> None:
    for command in COMMANDS[1:]:
        assert command.split()[0] in helps[""]["text"]


def test_short_help_and_version(run: Run) -> None:
    from importlib.metadata import version

    assert run("-h").out == run("--help").out
    assert run("--version") == Outcome(0, version("reasondistill") + "\n", "")


def test_no_command_shows_what_there_is(run: Run) -> None:
    outcome = run()
    assert "quickstart" in outcome.out + outcome.err
    assert "Traceback" not in outcome.err


# --- files of a user's own ---

ROWS = [
    '{"id": "a", "premise": "A man sleeps.", "hypothesis": "A man rests.", "label": "entailment", "explanation": "x"}',
    '{"id": "b", "premise": "A dog runs.", "hypothesis": "A cat runs.", "label": "neutral", "explanation": "y"}',
]
HEADER = "id,premise,hypothesis,label,explanation\n"
GOOD = HEADER + "a,A man sleeps.,A man rests.,entailment,x\n"

BROKEN: dict[str, tuple[str, bytes | None, list[str]]] = {
    "a missing column": (
        "data.csv",
        b"id,premise,label,explanation\na,A man sleeps.,entailment,x\n",
        ["data.csv", "hypothesis", "premise", "--columns"],
    ),
    "an unknown label": (
        "data.csv",
        (GOOD + "b,A dog runs.,A cat runs.,maybe,y\n").encode(),
        ["data.csv:3", "'maybe'", "'neutral'"],
    ),
    "an empty file": ("data.csv", b"", ["data.csv", "an empty file"]),
    "a header alone": ("data.csv", HEADER.encode(), ["data.csv", "at least one row"]),
    "invalid UTF-8": (
        "data.csv",
        (GOOD + "b,café,x,neutral,y\n").encode() + b"c,caf\xe9,x,neutral,y\n",
        ["data.csv:4", "UTF-8", "0xe9", "line 3 is in UTF-8"],
    ),
    "a ragged CSV": (
        "data.csv",
        (GOOD + "b,A dog, runs.,A cat runs.,neutral,y\n").encode(),
        ["data.csv:3", "6 columns"],
    ),
    "an open quote": ("data.csv", (GOOD + 'b,"A dog runs.,A cat,neutral,y\n').encode(), ["data.csv:3", "never closed"]),
    "a broken JSON line": ("data.jsonl", f"{ROWS[0]}\n{ROWS[1][:-1]}\n".encode(), ["data.jsonl:2", "a JSON object"]),
    "a doubled JSON key": ("data.jsonl", (ROWS[0][:-1] + ', "id": "c"}\n').encode(), ["data.jsonl:1", "'id' twice"]),
    "a duplicate id": ("data.jsonl", f"{ROWS[0]}\n{ROWS[0]}\n".encode(), ["data.jsonl:2", "data.jsonl:1", "'a'"]),
    "no Parquet": ("data.parquet", b"PAR1 nothing", ["data.parquet", "Parquet"]),
    "an absent file": ("data.csv", None, ["data.csv", "nothing at this path"]),
    "an unknown name": ("sceness", None, ["sceness", "scenes"]),
}


@pytest.fixture(params=BROKEN, ids=lambda name: name.replace(" ", "_"))
def broken(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, list[str]]:
    """A data file with a mistake in it, and what a message about it must name."""
    name, content, named = BROKEN[request.param]
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    return path, named


def assert_named(message: str, named: list[str]) -> None:
    assert "\n" not in message, "one sentence or two, on one line"
    for what in named:
        assert what in message


def test_data_show_names_a_mistake(run: Run, broken: tuple[Path, list[str]]) -> None:
    path, named = broken
    assert_named(run("data", "show", path, "--task", "nli").mistake, named)


def test_evaluate_names_a_mistake_and_writes_nothing(run: Run, broken: tuple[Path, list[str]], tmp_path: Path) -> None:
    path, named = broken
    predictions = tmp_path / "predictions.jsonl"
    predictions.write_text('{"id": "a", "label": "entailment", "explanation": "x"}\n', encoding="utf-8")
    before = tree(tmp_path)
    options = ("--out", tmp_path / "results", "--no-bertscore", "--task", "nli")
    assert_named(run("evaluate", predictions, path, *options).mistake, named)
    assert tree(tmp_path) == before


def config_file(folder: Path, **more: Any) -> Path:
    """A training that takes seconds, if nothing is wrong with it. JSON is YAML."""
    values: dict[str, Any] = {
        "name": "tiny",
        "runs_dir": str(folder / "runs"),
        "max_source_length": 64,
        "max_target_length": 32,
        "data": {"train": {"source": "scenes:12"}},
        "student": {"kind": "scratch", "d_model": 16, "d_ff": 16, "d_kv": 8, "num_heads": 2, "num_layers": 1}
        | {"num_decoder_layers": 1, "vocab_size": 300},
        "training": {"max_steps": 2, "per_device_train_batch_size": 4, "logging_steps": 1},
        "generation": {"num_beams": 1, "max_new_tokens": 4},
    }
    path = folder / "train.yaml"
    path.write_text(json.dumps(values | more), encoding="utf-8")
    return path


def test_train_names_a_mistake_in_the_data_and_writes_nothing(
    run: Run, broken: tuple[Path, list[str]], tmp_path: Path
) -> None:
    path, named = broken
    config = config_file(tmp_path, data={"train": {"source": str(path)}})
    before = tree(tmp_path)
    assert_named(run("train", config).mistake, named)
    assert tree(tmp_path) == before


def test_predict_names_a_mistake_and_writes_nothing(
    run: Run, broken: tuple[Path, list[str]], tiny_student: Path, tmp_path: Path
) -> None:
    path, named = broken
    before = tree(tmp_path)
    assert_named(run("predict", tiny_student, path, "--out", tmp_path / "new" / "p.jsonl").mistake, named)
    assert tree(tmp_path) == before


PREDICTIONS: dict[str, tuple[bytes | None, list[str]]] = {
    "absent": (None, ["p.jsonl", "nothing at this path"]),
    "empty": (b"", ["p.jsonl", "an empty file"]),
    "broken line": (b'{"id": "a"\n', ["p.jsonl:1", "a JSON object"]),
    "no label": (b'{"id": "a", "explanation": "x"}\n', ["p.jsonl:1", "label"]),
    "unknown label": (b'{"id": "a", "label": "perhaps", "explanation": "x"}\n', ["perhaps", "neutral"]),
    "missing id": (b'{"id": "zz", "label": "neutral", "explanation": "x"}\n', ["none for a"]),
    "unknown id": (b'{"id": "a", "label": "neutral"}\n{"id": "zz", "label": "neutral"}\n', ["zz"]),
    "doubled id": (b'{"id": "a", "label": "neutral"}\n' * 2, ["p.jsonl:2", "p.jsonl:1", "'a'"]),
    "not UTF-8": (b'{"id": "a", "label": "neutral", "explanation": "\xff"}\n', ["p.jsonl:1", "UTF-8"]),
}


@pytest.mark.parametrize("case", PREDICTIONS)
def test_a_mistake_in_a_predictions_file_is_named(run: Run, tmp_path: Path, case: str) -> None:
    content, named = PREDICTIONS[case]
    data, predictions = tmp_path / "data.csv", tmp_path / "p.jsonl"
    data.write_text(GOOD, encoding="utf-8")
    if content is not None:
        predictions.write_bytes(content)
    before = tree(tmp_path)
    assert_named(run("evaluate", predictions, data, "--out", tmp_path / "results", "--no-bertscore").mistake, named)
    assert tree(tmp_path) == before


# --- configurations ---


def test_three_mistakes_in_a_configuration_are_all_named(run: Run, tmp_path: Path) -> None:
    config = config_file(tmp_path, order="label_last", seed=-1, data={"train": {"source": "scenes", "slit": "train"}})
    before = tree(tmp_path)
    message = run("train", config).mistake
    assert message.startswith(f"{config}: 3 mistakes\n")
    for key in ("seed", "order", "data.train.slit"):
        assert f"\n  - {key}: " in message
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (
            "name: x\nstudent: {kind: scratch}\ndata: {train: {source: scenes}}\nlearning_rate: 1e-4\n",
            "learning_rate: unknown key",
        ),
        ("name: x\nseed: 1\nname: y\n", "train.yaml:3: expected each key once, found the key 'name' twice"),
        ("name: [\n", "train.yaml:1: expected YAML"),
        ("", "an empty file"),
    ],
)
def test_a_configuration_that_is_not_one_is_refused(run: Run, tmp_path: Path, text: str, named: str) -> None:
    config = tmp_path / "train.yaml"
    config.write_text(text, encoding="utf-8")
    before = tree(tmp_path)
    assert named in run("train", config).mistake
    assert tree(tmp_path) == before


def test_an_absent_configuration_is_named(run: Run, tmp_path: Path) -> None:
    assert_named(run("train", tmp_path / "absent.yaml").mistake, ["absent.yaml", "nothing at this path"])


def test_a_broken_override_is_named(run: Run, tmp_path: Path) -> None:
    config = config_file(tmp_path)
    assert "'seed': expected key.path=value" in run("train", config, "--set", "seed").mistake
    assert "loss.gamma: unknown key" in run("train", config, "--set", "loss.gamma=1").mistake
    assert "['max_step'] are no keys of" in run("train", config, "--set", "training.max_step=1").mistake
    assert "training" in run("train", config, "--set", "training.eval_strategy=sometimes").mistake
    assert not (tmp_path / "runs").exists()


def test_validation_that_is_asked_for_but_not_named(run: Run, tmp_path: Path) -> None:
    config = config_file(tmp_path)
    message = run("train", config, "--set", "training.eval_strategy=steps", "--set", "training.eval_steps=1").mistake
    assert message.startswith("data.validation: ")
    assert not (tmp_path / "runs").exists()


def test_a_validation_part_that_shares_groups_is_refused(run: Run, tmp_path: Path) -> None:
    config = config_file(tmp_path, data={"train": {"source": "scenes:12"}, "validation": {"source": "scenes:12"}})
    assert "data.validation: expected groups that the training part does not have" in run("train", config).mistake
    assert not (tmp_path / "runs").exists()


# --- checkpoints and students ---


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that is not seq2seq."""
    import tiny

    return tiny.tiny_bert(tmp_path_factory.mktemp("bert"), layers=1)


@pytest.fixture(scope="module")
def tiny_student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random student."""
    import tiny

    folder = tmp_path_factory.mktemp("student")
    tiny.student("t5").save(folder)
    return folder


def test_a_checkpoint_that_is_not_seq2seq_is_refused(run: Run, bert: Path, tmp_path: Path) -> None:
    config = config_file(tmp_path, student={"kind": "hub", "checkpoint": str(bert)})
    before = tree(tmp_path)
    assert_named(run("train", config).mistake, [str(bert), "an encoder-decoder", "'bert'", "warm_start"])
    assert tree(tmp_path) == before


def test_a_checkpoint_that_cannot_be_had_is_named(run: Run, tmp_path: Path) -> None:
    config = config_file(tmp_path, student={"kind": "hub", "checkpoint": str(tmp_path / "absent")})
    before = tree(tmp_path)
    assert "absent" in run("train", config).mistake
    assert tree(tmp_path) == before


def test_a_folder_that_is_no_student_is_refused(run: Run, bert: Path, tmp_path: Path) -> None:
    for folder in (bert, tmp_path / "absent"):
        before = tree(tmp_path)
        message = run("predict", folder, "scenes:6", "--out", tmp_path / "p.jsonl").mistake
        assert_named(message, [str(folder), "a student folder"])
        assert_named(run("explain", folder, "premise=p", "hypothesis=h").mistake, [str(folder), "a student folder"])
        assert tree(tmp_path) == before


def test_explain_answers_one_example(run: Run, tiny_student: Path) -> None:
    asked = ("explain", tiny_student, "premise=A man sleeps.", "hypothesis=A man = awake.")
    found = json.loads(run(*asked, "--json").out)
    assert set(found["probabilities"]) == {"entailment", "neutral", "contradiction"}
    assert sum(found["probabilities"].values()) == pytest.approx(1.0)
    outcome = run(*asked)
    assert outcome.code == 0
    assert all(label in outcome.out for label in found["probabilities"])


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        (["premise=p"], ["hypothesis"]),
        (["premise=p", "hypothesis=h", "colour=red"], ["colour"]),
        (["premise=p", "hypothesis"], ["'hypothesis'", "FIELD=TEXT"]),
        (["premise=p", "premise=q", "hypothesis=h"], ["'premise=q'", "each name once"]),
    ],
)
def test_explain_names_a_field_that_does_not_fit(
    run: Run, tiny_student: Path, fields: list[str], named: list[str]
) -> None:
    assert_named(run("explain", tiny_student, *fields).mistake, named)


@pytest.fixture(scope="module")
def choosing_student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random student of a task whose rows bring choices, and whose fields have names that options have too."""
    import packaging_helpers
    from reasondistill.tasks.task import Task

    task = Task.model_validate({"name": "place", "fields": ["question", "precision"]})
    folder = tmp_path_factory.mktemp("choosing")
    made = packaging_helpers.warm_start(folder)
    replace(made, settings=made.settings.model_copy(update={"task": task})).save(folder / "student")
    return folder / "student"


def test_explain_takes_a_rows_choices_and_fields_of_any_name(run: Run, choosing_student: Path) -> None:
    asked = ("explain", choosing_student, "question=Where is a dog?", "precision=0.9")
    found = json.loads(run(*asked, "--choices", " beach; beach with a dog", "--json").out)
    assert list(found["probabilities"]) == ["beach", "beach with a dog"]
    assert_named(run(*asked).mistake, ["choices", "'place'", '--choices "bank;river"'])
    assert_named(run(*asked, "--choices", "man;mán").mistake, ["['man', 'mán']", "Reword one"])


def test_predict_names_rows_whose_choices_it_cannot_tell_apart(
    run: Run, choosing_student: Path, tmp_path: Path
) -> None:
    data, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    rows = [
        {"id": "q1", "question": "Who?", "precision": "low", "choices": ["man", "dog"]},
        {"id": "q2", "question": "Who?", "precision": "low", "choices": ["man", "mán"]},
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    outcome = run("predict", choosing_student, data, "--out", out)
    assert outcome.code == 0, outcome.err
    assert "1 without a label" in outcome.out
    assert f"{data}:2 (id 'q2')" in outcome.out
    labels = [json.loads(line)["label"] for line in out.read_text(encoding="utf-8").splitlines()]
    assert labels[0] in ("man", "dog")
    assert labels[1] is None


# --- outputs that are there already ---


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Another system's predictions for `scenes:120`: nothing but id, label and explanation."""
    path = tmp_path / "foreign.jsonl"
    rows = [
        {"id": e.id, "label": e.label if i % 4 else "neutral", "explanation": e.explanations[0].text}
        for i, e in enumerate(generate(120))
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def occupied(folder: Path) -> dict[str, bytes]:
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("not to be lost", encoding="utf-8")
    return tree(folder)


def test_train_does_not_write_into_a_folder_that_exists(run: Run, tmp_path: Path) -> None:
    before = occupied(tmp_path / "runs" / "tiny")
    message = run("train", config_file(tmp_path)).mistake
    assert_named(message, [str(tmp_path / "runs" / "tiny"), "no run", "Move it away", "--set name="])
    assert tree(tmp_path / "runs" / "tiny") == before


def test_train_resumes_only_what_is_there(run: Run, tmp_path: Path) -> None:
    assert_named(run("train", config_file(tmp_path), "--resume").mistake, ["runs/tiny", "a run folder"])
    assert not (tmp_path / "runs").exists()


def test_evaluate_does_not_write_into_a_folder_that_exists(run: Run, foreign: Path, tmp_path: Path) -> None:
    before = occupied(tmp_path / "results")
    message = run("evaluate", foreign, "scenes:120", "--out", tmp_path / "results", "--no-bertscore").mistake
    assert_named(message, [str(tmp_path / "results"), "a new or empty folder", "nothing is overwritten"])
    assert tree(tmp_path / "results") == before


def test_predict_does_not_write_over_a_file(run: Run, tiny_student: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.jsonl"
    out.write_text("not to be lost", encoding="utf-8")
    assert_named(run("predict", tiny_student, "scenes:6", "--out", out).mistake, [str(out), "a new file"])
    assert tree(tmp_path) == {"p.jsonl": b"not to be lost"}


def test_report_does_not_write_into_anothers_folder(run: Run, foreign: Path, tmp_path: Path) -> None:
    before = occupied(tmp_path / "site")
    assert run("evaluate", foreign, "scenes:120", "--out", tmp_path / "results", "--no-bertscore").code == 0
    message = run("report", tmp_path / "results", "--out", tmp_path / "site").mistake
    assert_named(message, [str(tmp_path / "site"), "nothing is overwritten"])
    assert tree(tmp_path / "site") == before


def test_report_of_a_folder_without_results_is_refused(run: Run, tmp_path: Path) -> None:
    assert str(tmp_path / "absent") in run("report", tmp_path / "absent").mistake
    assert tree(tmp_path) == {}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["predict", "STUDENT", "scenes:6"], ["--out"]),
        (["report", "a", "b"], ["--out"]),
        (["data", "show", "scenes:60", "--split", "tests"], ["'tests'", "'test'"]),
        (["data", "show", "scenes:60", "--task", "nil"], ["'nil'", "nli"]),
        (["data", "show", "scenes:0"], ["scenes:0"]),
        (["data", "show", "scenes:many"], ["scenes:many"]),
        (["data", "show", "DATA", "--columns", "premise"], ["'premise'", "WHAT=COLUMN"]),
        (["data", "show", "DATA", "--columns", "premis=premise"], ["'premis'", "premise"]),
    ],
)
def test_arguments_that_do_not_fit_are_named(
    run: Run, tiny_student: Path, tmp_path: Path, arguments: list[str], named: list[str]
) -> None:
    data = tmp_path / "data.csv"
    data.write_text(GOOD, encoding="utf-8")
    known = {"STUDENT": str(tiny_student), "DATA": str(data)}
    assert_named(run(*[known.get(argument, argument) for argument in arguments]).mistake, named)


# --- what works ---


def test_data_show_counts_and_shows(run: Run) -> None:
    outcome = run("data", "show", "scenes:60")
    assert outcome.code == 0
    for what in ("60 examples", "entailment", "neutral", "contradiction", "fingerprint: ", "premise: "):
        assert what in outcome.out
    found = json.loads(run("data", "show", "scenes:60", "--json").out)
    assert found["n"] == 60
    assert found["labels"] == {"entailment": 20, "neutral": 20, "contradiction": 20}


def test_data_show_prints_a_text_as_it_is(run: Run, tmp_path: Path) -> None:
    """Square brackets are markup to the library that prints."""
    path = tmp_path / "data.csv"
    path.write_text(HEADER + "a,[bold]A [/b] man.,A [red]hat[/red].,neutral,[x] {y} \\[z]\n", encoding="utf-8")
    outcome = run("data", "show", path)
    assert outcome.code == 0
    for text in ("[bold]A [/b] man.", "A [red]hat[/red].", "[x] {y} \\[z]"):
        assert text in outcome.out


def test_columns_with_other_names(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text_a,text_b,gold,why1,why2\nA man.,A hat.,neutral,x,y\n", encoding="utf-8")
    pairs = ["premise=text_a", "hypothesis=text_b", "label=gold", "explanation=why1,why2"]
    arguments = [part for pair in pairs for part in ("--columns", pair)]
    found = json.loads(run("data", "show", path, *arguments, "--json").out)
    assert found["labels"]["neutral"] == 1
    assert found["explanations"]["total"] == 2


def test_another_systems_predictions_are_scored_and_reported(run: Run, foreign: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    outcome = run("evaluate", foreign, "scenes:120", "--out", results, "--no-bertscore")
    assert outcome.code == 0, outcome.err
    found = json.loads((results / "results.json").read_text(encoding="utf-8"))
    gold = [e.label for e in generate(120)]
    right = sum(label == "neutral" or i % 4 != 0 for i, label in enumerate(gold)) / 120
    assert found["metrics"]["label_accuracy"]["value"] == pytest.approx(right)
    assert found["metrics"]["rougeL"]["value"] == pytest.approx(1.0)
    assert found["dataset"]["n"] == 120
    assert len((results / "per_example.jsonl").read_text(encoding="utf-8").splitlines()) == 120
    assert "label_accuracy" in outcome.out or "accuracy" in outcome.out

    outcome = run("report", results, "--out", tmp_path / "report")
    assert outcome.code == 0, outcome.err
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "<html" in page
    assert f"{right:.3f}"[1:] in page or f"{right:.1%}" in page
    assert (tmp_path / "report" / "report.md").is_file()
    assert run("report", results, "--out", tmp_path / "report").code == 0, "an earlier report is rebuilt"


def test_evaluate_takes_the_part_that_is_asked_for(run: Run, foreign: Path, tmp_path: Path) -> None:
    test_part = json.loads(run("data", "show", "scenes:120", "--split", "test", "--json").out)["n"]
    rows = {json.loads(line)["id"]: line for line in foreign.read_text(encoding="utf-8").splitlines(keepends=True)}
    from reasondistill.data import load

    part = tmp_path / "part.jsonl"
    part.write_text("".join(rows[e.id] for e in load("scenes:120", split="test").examples), encoding="utf-8")
    outcome = run("evaluate", part, "scenes:120", "--split", "test", "--out", tmp_path / "results", "--no-bertscore")
    assert outcome.code == 0, outcome.err
    found = json.loads((tmp_path / "results" / "results.json").read_text(encoding="utf-8"))
    assert found["dataset"]["n"] == test_part
    assert found["dataset"]["split"] == "test"


@pytest.mark.parametrize("limit", [None, 3, 20])
def test_evaluate_of_the_first_rows_says_which_limit_to_give(
    run: Run, foreign: Path, tmp_path: Path, limit: int | None
) -> None:
    lines = foreign.read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "part.jsonl").write_text("".join(lines[:12]), encoding="utf-8")
    asked = ("evaluate", tmp_path / "part.jsonl", "scenes:120", "--no-bertscore", "--out", tmp_path / "results")
    message = run(*asked, *(() if limit is None else ("--limit", limit))).mistake
    advice = re.search(r"the first 12 examples, score as many: with (--limit 12)\.", message)
    assert advice is not None, message
    assert not (tmp_path / "results").exists()
    if limit is None:
        assert run(*asked, *advice[1].split()).code == 0
        assert json.loads((tmp_path / "results" / "results.json").read_text(encoding="utf-8"))["dataset"]["n"] == 12


def test_the_whole_way(run: Run, tmp_path: Path) -> None:
    """Train, predict, evaluate and report a student, then ask it, with every file where the help says."""
    data = tmp_path / "data.jsonl"
    examples = [
        Example.model_validate(e.model_dump() | {"split": "test" if i > 9 else "train"})
        for i, e in enumerate(generate(16))
    ]
    write_records(data, examples)
    config = config_file(tmp_path, data={"train": {"source": str(data), "split": "train"}})
    folder = tmp_path / "runs" / "tiny"

    outcome = run("train", config, "--set", "seed=3")
    assert outcome.code == 0, outcome.err
    assert str(folder / "student") in outcome.out
    info = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert (info["status"], info["seed"], info["data"]["train"]["n"]) == ("finished", 3, 10)
    assert run("train", config, "--resume").code == 0, "a finished run is left as it is"

    assert run("predict", folder, data, "--split", "test").code == 0
    predictions = folder / "predictions" / "test.jsonl"
    assert [json.loads(line)["id"] for line in predictions.read_text(encoding="utf-8").splitlines()] == [
        e.id for e in examples if e.split == "test"
    ]
    results = folder / "results" / "test"
    assert run("evaluate", predictions, data, "--split", "test", "--out", results, "--no-bertscore").code == 0
    assert run("report", folder).code == 0
    assert (folder / "report.html").is_file()
    assert run("explain", folder, "premise=A man sleeps.", "hypothesis=A man rests.").code == 0
    assert not list(tmp_path.rglob("*.part"))


# --- processes of their own ---


def test_a_mistake_is_exit_2_and_a_sentence_in_a_shell_too(tmp_path: Path) -> None:
    outcome = shell("data", "show", tmp_path / "absent.csv")
    assert_named(outcome.mistake, ["absent.csv", "nothing at this path"])
    assert outcome.out == ""


def test_the_installed_module_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "reasondistill.cli", "data", "show", "scenes:6", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n"] == 6


@pytest.mark.parametrize("command", ["train", "predict", "explain", "quickstart"])
def test_a_command_that_needs_an_extra_names_it(command: str, without_extras: str, tmp_path: Path) -> None:
    arguments: dict[str, list[object]] = {
        "train": [config_file(tmp_path)],
        "predict": [tmp_path, "scenes:6", "--out", tmp_path / "p.jsonl"],
        "explain": [tmp_path, "premise=p", "hypothesis=h"],
        "quickstart": ["--out", tmp_path / "quickstart"],
    }
    before = tree(tmp_path)
    outcome = shell(command, *arguments[command], setup=without_extras)
    assert_named(outcome.mistake, ["the extra 'train', which is not installed", 'pip install "reasondistill[train]"'])
    assert tree(tmp_path) == before


def test_a_module_of_ours_that_cannot_be_imported_is_no_missing_extra() -> None:
    with pytest.raises(ImportError, match="nothing"), importing("a student", "train"):
        from reasondistill.errors import nothing  # type: ignore[attr-defined]  # noqa: F401
    with pytest.raises(MissingExtraError, match="a student: needs the extra 'train'"), importing("a student", "train"):
        import no_such_package  # type: ignore[import-not-found]  # noqa: F401


def test_the_base_install_evaluates_and_reports(foreign: Path, without_extras: str, tmp_path: Path) -> None:
    results = tmp_path / "results"
    outcome = shell("evaluate", foreign, "scenes:120", "--out", results, "--no-bertscore", setup=without_extras)
    assert outcome.code == 0, outcome.err
    outcome = shell("report", results, "--out", tmp_path / "report", setup=without_extras)
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "report" / "report.html").is_file()


# --- data audit, convert, split, download ---


def test_data_audit_says_what_is_wrong_and_writes_a_page(run: Run, tmp_path: Path) -> None:
    table = tmp_path / "pairs.csv"
    rows = [f"A man {i}.,A man sleeps.,neutral,Just because of {i}.,one" for i in range(30)]
    rows += ["A man 0.,A man sleeps.,entailment,A man sleeps.,two"]
    table.write_text("\n".join(["premise,hypothesis,label,explanation,group", *rows]), encoding="utf-8")
    outcome = run("data", "audit", table, "--out", tmp_path / "audit", "--student", "builtin:scenes")
    assert outcome.code == 0, outcome
    assert "what is wrong" in outcome.out
    assert (tmp_path / "audit" / "audit.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    written = json.loads((tmp_path / "audit" / "audit.json").read_text(encoding="utf-8"))
    assert json.loads(run("data", "audit", table, "--student", "builtin:scenes", "--json").out) == written
    assert written["findings"]
    assert "pairs.csv:2: A man 0." in outcome.out
    assert run("data", "audit", tmp_path / "absent.csv").mistake.startswith(f"{tmp_path / 'absent.csv'}: ")


def test_data_convert_and_split_keep_everything(run: Run, tmp_path: Path) -> None:
    from reasondistill.data import load

    whole = load("scenes:40")
    for name in ("all.jsonl", "all.parquet"):
        assert run("data", "convert", "scenes:40", "--out", tmp_path / name).code == 0
        assert load(tmp_path / name).examples == whole.examples
        assert "new" in run("data", "convert", "scenes:40", "--out", tmp_path / name).mistake
    outcome = run("data", "split", "scenes:200", "--out", tmp_path / "parts")
    assert outcome.code == 0
    parts = ("train", "validation", "test")
    written = {part: load(tmp_path / "parts" / f"{part}.jsonl").examples for part in parts}
    assert written == {part: load("scenes:200", split=part).examples for part in parts}
    assert all(f"({len(examples)})" in outcome.out for examples in written.values())


def test_data_download_says_how_to_go_on_without_a_network(run: Run, tmp_path: Path) -> None:
    # Nobody listens on a port that was just given back.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    outcome = run("data", "download", "e-snli", "--out", tmp_path / "x", "--base-url", url, "--timeout", 0.5)
    assert "esnli_train_1.csv" in outcome.mistake
    assert "expected one of e-snli, e-snli-hub" in run("data", "download", "snli").mistake


# --- runs ---


def test_runs_lists_what_is_there(run: Run, tmp_path: Path) -> None:
    assert "expected a folder of runs" in run("runs", tmp_path / "absent").mistake
    assert "no runs" in run("runs", tmp_path).out
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "run.json").write_text("[]")
    outcome = run("runs", tmp_path)
    assert outcome.code == 0
    assert "odd" in outcome.out
    assert "broken" in outcome.out
    assert json.loads(run("runs", tmp_path, "--json").out)[0]["name"] == "odd"
