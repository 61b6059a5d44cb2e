"""Sets in the form that their authors publish: ComVE, CoS-E, Alpaca; and students of tasks that are not NLI."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from make import write_jsonl
from reasondistill import Student
from reasondistill.cli import main
from reasondistill.config import TrainConfig
from reasondistill.contracts.records import as_row, read_predictions
from reasondistill.data import describe, load, task_of
from reasondistill.errors import DataError
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.tasks.task import Task, get_task
from reasondistill.training.train import train

COMVE = """\
Correct Statement,Incorrect Statement,Right Reason1,Confusing Reason1,Confusing Reason2,Right Reason2,Right Reason3
He puts milk in tea.,He puts sand in tea.,Nobody drinks sand.,Sand is yellow.,Tea is hot.,,Sand is no food.
Fish live in water.,Fish live in books.,Fish need water.,Books are square.,Fish swim.,Books are dry.,No fish reads.
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


# --- ComVE ---


def test_comve_asks_which_statement_is_nonsense(tmp_path: Path) -> None:
    loaded = load(write(tmp_path / "train.csv", COMVE))
    tea, fish = loaded.examples
    for example, nonsense in ((tea, "He puts sand in tea."), (fish, "Fish live in books.")):
        assert example.label is not None
        assert example.fields[example.label] == nonsense
    assert tea.id == "train.csv:2"
    assert tea.group == "He puts milk in tea."
    assert [e.text for e in tea.references] == ["Nobody drinks sand.", "Sand is no food."]
    assert [e.text for e in tea.explanations if e.label == ""] == ["Sand is yellow.", "Tea is hot."]
    assert loaded.set_aside == {"empty explanation": 1}


def test_the_place_of_the_nonsense_depends_on_the_texts_alone(tmp_path: Path) -> None:
    head, tea, fish = COMVE.splitlines()
    one = load(write(tmp_path / "one.csv", COMVE)).examples
    two = load(write(tmp_path / "two.csv", "\n".join([head, fish, tea]))).examples
    assert [e.fields for e in one] == [e.fields for e in two[::-1]]
    many = "\n".join([head, *(f"Ann has {i} cats.,Ann has {i} suns.,a,b,c,d,e" for i in range(200))])
    counts = describe(load(write(tmp_path / "many.csv", many)))["labels"]
    assert 70 < counts["first"] < 130


def test_comve_without_a_statement_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", COMVE.replace("Incorrect Statement", "Wrong"))
    with pytest.raises(DataError, match="without Incorrect Statement"):
        load(path)


# --- CoS-E ---

QUESTION = {
    "answerKey": "B",
    "id": "q1",
    "question": {
        "stem": "Where is a lamp that is not for sale?",
        "choices": [
            {"label": "A", "text": "shop"},
            {"label": "B", "text": " house"},
            {"label": "C", "text": "dark place"},
        ],
    },
}
WHY = {"id": "q1", "explanation": {"open-ended": "A house sells nothing.", "selected": "not for sale?"}}


def cose(folder: Path, *questions: dict[str, Any], why: dict[str, Any] = WHY) -> Path:
    write_jsonl(folder / "cose_train_v1.0.jsonl", why, {**why, "id": "gone"})
    return write_jsonl(folder / "train_rand_split.jsonl", *questions)


def test_cose_joins_questions_and_explanations_by_id(tmp_path: Path) -> None:
    path = cose(tmp_path, QUESTION, {**QUESTION, "id": "q2", "answerKey": ""})
    for source in (path, tmp_path):
        loaded = load(source)
        explained, unanswered = loaded.examples
        assert explained.choices == ("shop", "house", "dark place")
        assert explained.label == "house"
        assert [e.text for e in explained.explanations] == ["A house sells nothing."]
        assert explained.highlights == ({"question": [6, 7, 8]},)
        assert unanswered.label is None
        assert unanswered.explanations == ()
        assert loaded.set_aside == {"explanation of a question that is not in the file": 1}
    assert task_of(tmp_path).name == "cose"
    assert describe(loaded)["labels"] == {"(none)": 1, "choice 2": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answerKey": "E"}, "expected an answerKey among A, B, C, found 'E'"),
        ({"question": {"stem": "x", "choices": [{"label": "A", "text": "y"}]}}, "at least 2 items"),
        ({"id": ["q1"]}, "id: Input should be a valid string"),
        ({"question": "x"}, "question: Input should be"),
    ],
)
def test_a_question_that_is_none_is_named_by_its_line(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = cose(tmp_path, {**QUESTION, "id": "q0"}, QUESTION | change)
    with pytest.raises(DataError, match=message) as raised:
        load(path)
    assert raised.value.where == f"{path}:2"


def test_a_folder_with_two_files_of_questions_asks_which(tmp_path: Path) -> None:
    cose(tmp_path, QUESTION)
    write_jsonl(tmp_path / "dev_rand_split.jsonl", QUESTION)
    with pytest.raises(DataError, match=r"several: dev_rand_split.jsonl, train_rand_split.jsonl. Name the file"):
        load(tmp_path)


def test_answers_that_differ_in_spacing_only_are_set_aside(tmp_path: Path) -> None:
    same = {"stem": "?", "choices": [{"label": "A", "text": "back yard"}, {"label": "B", "text": "backyard"}]}
    loaded = load(cose(tmp_path, QUESTION, {**QUESTION, "id": "q2", "question": same}))
    assert loaded.set_aside["answers that cannot be told apart"] == 1


# --- Alpaca ---

SEED = {"id": "s1", "instruction": "Name the opposite.", "instances": [{"input": "hot", "output": "cold"}] * 2}


def test_instructions_come_as_alpacas_list_and_as_seed_tasks(tmp_path: Path) -> None:
    alpaca = [
        {"instruction": "Say hello.", "input": "", "output": "Hello."},
        {"instruction": "Be silent.", "output": ""},
    ]
    listed = load(write(tmp_path / "alpaca.json", json.dumps(alpaca)))
    hello, silent = listed.examples
    assert hello.fields == {"instruction": "Say hello.", "input": ""}
    assert hello.label == "Hello."
    assert hello.explanations == ()
    assert silent.label is None
    assert listed.set_aside == {"empty label": 1}
    seeds = load(write_jsonl(tmp_path / "seed_tasks.jsonl", SEED)).examples
    assert [e.id for e in seeds] == ["s1.1", "s1.2"]
    assert {e.group for e in seeds} == {"Name the opposite."}
    assert task_of(tmp_path / "alpaca.json").name == "instructions"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "expected a list of objects"),
        ("[1]", "item 1: expected an object"),
        ('[{"instruction": "x", "output": "y"}], []', "expected a list of JSON objects"),
        ("[{]", "expected a list of JSON objects"),
        ("[]", "expected at least one row of data|columns"),
        ('[{"instruction": "x", "output": 3}]', "output: Input should be a valid string"),
        ('[{"instruction": "x", "output": "y"}, {"output": "y"}]', "expected an 'instruction' with its 'output'"),
        ('[{"instruction": "x", "instances": [3]}]', "instances with 'input' and 'output'"),
    ],
)
def test_a_broken_list_of_instructions_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(write(tmp_path / "x.json", text))


# --- students of other tasks ---

TINY = {"kind": "scratch", "d_model": 32, "d_ff": 64, "d_kv": 16, "num_heads": 2, "vocab_size": 500}


def test_a_student_of_a_table_with_foreign_columns_five_labels_and_gaps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grades = {"great": "shines", "good": "works", "fair": "squeaks", "poor": "leaks", "awful": "burns"}
    things = ("lamp", "kettle", "clock", "chair", "radio", "pump")
    lines = ["Nr\tText\tStars\tBecause\tAlso\tShop"]
    for i, (thing, (grade, verb)) in enumerate((t, g) for t in things for g in grades.items()):
        because = f"A {thing} that {verb} is {grade}." if i % 7 else ""
        lines.append(f"{i}\tThe {thing} {verb}.\t{grade if i % 11 else ''}\t{because}\tIt {verb}.\tshop {i % 9}")
    table = write(tmp_path / "reviews.tsv", "\n".join(lines))
    task = write(tmp_path / "review.yaml", f"name: review\nfields: [text]\nlabels: [{', '.join(grades)}]\n")
    columns = {"text": "Text", "label": "Stars", "explanation": ["Because", "Also"], "id": "Nr", "group": "Shop"}
    config = {
        "name": "review",
        "runs_dir": str(tmp_path),
        "task": str(task),
        "max_source_length": 32,
        "max_target_length": 32,
        "data": {"train": {"source": str(table), "columns": columns}},
        "student": TINY,
        "training": {
            "max_steps": 250,
            "per_device_train_batch_size": 16,
            "learning_rate": 5e-3,
            "lr_scheduler_type": "linear",
            "save_strategy": "no",
            "use_cpu": True,
        },
        "generation": {"num_beams": 1, "repetition_penalty": 1.0, "max_new_tokens": 16},
    }
    run = train(validate_config(TrainConfig, config, where="test"))
    task.unlink()  # the student knows its task
    answer = Student.load(run.student).explain(text="The clock leaks.")
    assert set(answer.probabilities) == set(grades)
    assert answer.label == "poor"
    assert "leaks" in answer.explanation
    mapped = [f"--columns={what}={name if isinstance(name, str) else ','.join(name)}" for what, name in columns.items()]
    out = tmp_path / "answers.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["reasondistill", "predict", str(run.folder), str(table), "--out", str(out), *mapped])
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code in (0, None)
    right = {str(i): grade for i, (_, grade) in enumerate((t, g) for t in things for g in grades)}
    assert sum(p.label == right[p.id] for p in read_predictions(out)) >= 27


def test_a_student_of_questions_that_bring_their_choices(tmp_path: Path) -> None:
    places = {"fish": "pond", "bear": "forest", "clerk": "office", "cow": "meadow", "star": "sky", "ship": "sea"}
    names = list(places.values())
    questions: list[dict[str, Any]] = []
    for i in range(60):
        thing, place = list(places.items())[i % 6]
        wrong = [name for name in names if name != place][i % 5 :][:1] or [names[0] if names[0] != place else names[1]]
        choices = [place, *wrong][:: 1 if i % 2 else -1]
        questions.append(
            {
                "id": f"q{i}",
                "answerKey": "AB"[choices.index(place)],
                "question": {
                    "stem": f"Where is a {thing}, case {i}?",
                    "choices": [{"label": k, "text": text} for k, text in zip("AB", choices, strict=True)],
                },
            }
        )
    write_jsonl(
        tmp_path / "cose_x.jsonl",
        *({"id": q["id"], "explanation": {"open-ended": "It lives there."}} for q in questions),
    )
    write_jsonl(tmp_path / "questions.jsonl", *questions)
    config = {
        "name": "quiz",
        "runs_dir": str(tmp_path / "runs"),
        "task": "cose",
        "max_source_length": 48,
        "max_target_length": 32,
        "data": {"train": {"source": str(tmp_path / "questions.jsonl")}},
        "student": TINY,
        "training": {
            "max_steps": 200,
            "per_device_train_batch_size": 20,
            "learning_rate": 5e-3,
            "save_strategy": "no",
            "use_cpu": True,
        },
        "generation": {"num_beams": 1, "repetition_penalty": 1.0, "max_new_tokens": 16},
    }
    run = train(validate_config(TrainConfig, config, where="test"))
    student = Student.load(run.folder)
    answer = student.explain(question="Where is a bear, case 7?", choices=["forest", "sea"])
    assert set(answer.probabilities) == {"forest", "sea"}
    answers = student.predict(load(tmp_path / "questions.jsonl").examples)
    right = sum(
        a.label == places[q["question"]["stem"].split()[3].rstrip(",")] for a, q in zip(answers, questions, strict=True)
    )
    assert right >= 54


# --- the worked examples of docs/data_formats.md ---


def blocks(heading: str) -> list[str]:
    """The fenced blocks below a heading."""
    text = (Path(__file__).parents[1] / "docs" / "data_formats.md").read_text(encoding="utf-8")
    section = text.split(f"\n{heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^```\w+\n(.*?)^```", section, flags=re.M | re.S)


def only_row(path: Path) -> dict[str, Any]:
    return as_row(load(path).examples[0])


def test_the_worked_example_of_comve(tmp_path: Path) -> None:
    table, row = blocks("## ComVE")
    assert only_row(write(tmp_path / "train.csv", table)) == json.loads(row)


def test_the_worked_example_of_cose(tmp_path: Path) -> None:
    question, why, row = blocks("## CoS-E")
    write(tmp_path / "cose_train.jsonl", why)
    assert only_row(write(tmp_path / "questions.jsonl", question)) == json.loads(row)


def test_the_worked_examples_of_instructions(tmp_path: Path) -> None:
    listed, seed, row = blocks("## Instructions")
    assert only_row(write(tmp_path / "seed.jsonl", seed)) == json.loads(row)
    assert only_row(write(tmp_path / "alpaca.json", listed))["fields"] == json.loads(row)["fields"]


def test_the_worked_example_of_a_task_with_choices(tmp_path: Path) -> None:
    task_text, _, row = blocks("### Other labels, other fields")[:3]
    task = get_task(str(write(tmp_path / "review.yaml", task_text)))
    assert task.labels == ("great", "good", "fair", "poor", "awful")
    quiz = Task.model_validate({"name": "quiz", "fields": ["question"]})
    example = load(write(tmp_path / "quiz.jsonl", row), task=quiz).examples[0]
    assert (example.choices, example.label) == (("pond", "tree"), "pond")
