"""Labels of which one begins another: each can win, in every order and engine, by exactly the tokens that it learns."""

from __future__ import annotations

import json
import logging
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

import packaging_helpers as made
import tiny
from reasondistill.config import Generation, TrainConfig
from reasondistill.contracts.records import Example, Explanation
from reasondistill.data import load
from reasondistill.errors import DataError, TaskError
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.students.build import choice_problems
from reasondistill.students.calibration import CalibrationData
from reasondistill.students.checkpoint import Checkpoint
from reasondistill.students.codec import CONTEXT, EXPLANATION, LABEL
from reasondistill.students.engines import answer
from reasondistill.students.engines.answering import label_scores
from reasondistill.students.engines.pytorch import TorchEngine
from reasondistill.students.fit_calibration import calibrate
from reasondistill.students.student import Student
from reasondistill.students.student_task import StudentTask
from reasondistill.tasks.task import OutputOrder, Task, choice_targets
from reasondistill.training.features import Collator, build_features
from reasondistill.training.joint_model import JointModel
from reasondistill.training.learned_data import UNDECIDABLE, Parts
from reasondistill.training.losses import joint_loss

TASK = Task.model_validate({"name": "place", "fields": ["question"]})
GREEDY = Generation(num_beams=1, repetition_penalty=1.0, max_new_tokens=8)
CHOICES = ("dog", "dog on a beach", "man")
ORDERS: list[OutputOrder] = ["label_first", "explanation_first", "label_only", "separate"]
LABEL_TOKENS = {"label_first": "dog explanation:", "explanation_first": " dog", "label_only": "dog", "separate": "dog"}


def example(
    question: str, label: str | None, choices: tuple[str, ...] = CHOICES, text: str | None = "A man is asleep."
) -> Example:
    explanations = (Explanation(text=text, source="human"),) if text else ()
    return Example(id=question, fields={"question": question}, label=label, choices=choices, explanations=explanations)


ROWS = [
    example(f"{who} is {where}", label)
    for where in ("outside", "asleep")
    for who, label in zip(("A woman", "A boy", "A girl"), CHOICES, strict=True)
]


def untrained(order: OutputOrder, family: str = "t5") -> Checkpoint:
    model, tokenizer = tiny.FAMILIES[family]
    asked = StudentTask(task=TASK, order=order, max_source_length=64, max_target_length=48, generation=GREEDY)
    return Checkpoint(model(), tokenizer(), asked)


@cache
def trained(order: OutputOrder) -> Checkpoint:
    """A student that was trained on what the library supervises, and on nothing else."""
    student = untrained(order)
    rows = build_features(ROWS, task=TASK, order=order, codec=student.codec)
    batch = Collator(student.codec)([dict(row) for row in rows])
    model = JointModel(student.model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model.train()
    for _ in range(150):
        optimizer.zero_grad()
        # The label's own term must be enough to tell them apart.
        loss = joint_loss(model(**batch), alpha=1.0, beta=0.0)
        loss.backward()
        optimizer.step()
        if loss < 0.03:
            break
    student.model.eval()
    return student


# --- what is learned ---


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("text", ["A man is asleep.", None])
def test_what_follows_a_label_is_supervised_as_a_part_of_it(order: OutputOrder, text: str | None) -> None:
    codec = untrained(order).codec
    (row, *_) = build_features([example("q", "dog", text=text)], task=TASK, order=order, codec=codec)
    (ids,), (roles,) = row["target_ids"], row["target_roles"]
    supervised = [token for token, role in zip(ids, roles, strict=True) if role == LABEL]
    end = [] if order == "label_first" else [codec.eos_token_id]
    assert supervised == [*codec.encode_prefix(LABEL_TOKENS[order])[1:], *end]
    if order == "explanation_first" and text is None:
        assert set(roles[: -len(supervised)]) == {CONTEXT}
    elif text is None or order in ("label_only", "separate"):
        assert set(roles) == {LABEL}, "a label without an explanation teaches nothing but the label"
    else:
        assert roles.count(EXPLANATION) == len(roles) - len(supervised) > 0


@pytest.mark.parametrize("order", ORDERS)
def test_rows_without_such_labels_are_supervised_as_ever(order: OutputOrder) -> None:
    codec = untrained(order).codec
    row = build_features([example("q", "dog", ("dog", "man"))], task=TASK, order=order, codec=codec)[0]
    label = " dog" if order == "explanation_first" else "dog"
    supervised = [
        token for token, role in zip(row["target_ids"][0], row["target_roles"][0], strict=True) if role == LABEL
    ]
    assert supervised == codec.encode_prefix(label)[1:]


# --- what is scored ---


def by_hand(student: Checkpoint, prompt: str, context: str, label: str, end: bool) -> float:
    """The log-probability of everything behind ``context``, from whole logits of one sequence."""
    codec = student.codec
    source = torch.tensor([codec.encode_prompts([prompt])[0]])
    before = len(codec.encode_prefix(context))
    whole = [*codec.encode_prefix(context + label), *([codec.eos_token_id] if end else [])]
    with torch.no_grad():
        logits = student.model(input_ids=source, decoder_input_ids=torch.tensor([whole[:-1]])).logits[0].log_softmax(-1)
    return float(sum(logits[i - 1, whole[i]].item() for i in range(before, len(whole))))


@pytest.mark.parametrize("order", ["label_first", "explanation_first", "label_only"])
@pytest.mark.parametrize("family", ["flan-t5", "t5", "bart"])
def test_scores_cover_what_follows(order: OutputOrder, family: str) -> None:
    student = untrained(order, family)
    student.model.eval()
    engine = TorchEngine(student.model, student.codec)
    context = "A man is asleep. label:" if order == "explanation_first" else ""
    behind = " explanation:" if order == "label_first" else ""
    prompts = ["A woman is outside", "A boy"]
    # Beside a row without such labels, whose scores stay what they are.
    plain = ("dog", "man")
    scores = engine.score(prompts, [choice_targets(order, c, "A man is asleep.") for c in (CHOICES, plain)])
    space = " " if context else ""
    assert scores[0] == pytest.approx(
        [by_hand(student, prompts[0], context, f"{space}{c}{behind}", not behind) for c in CHOICES], abs=1e-4
    )
    assert scores[1] == pytest.approx(
        [by_hand(student, prompts[1], context, space + c, False) for c in plain], abs=1e-4
    )


@pytest.mark.parametrize("order", ORDERS)
def test_each_of_them_can_win(order: OutputOrder, tmp_path: Path) -> None:
    student = trained(order)
    engine = TorchEngine(student.model, student.codec)
    answers = answer(engine, TASK, order, ROWS, GREEDY, explain=False)
    assert [a.label for a in answers] == [row.label for row in ROWS]
    pytest.importorskip("ctranslate2")
    packaged = made.engine(student, tmp_path / "p")
    ours, theirs = (label_scores(e, TASK, order, ROWS, GREEDY) for e in (packaged, engine))
    for a, b in zip(ours, theirs, strict=True):
        assert a == pytest.approx(b, abs=1e-3)
    if order == "label_first":
        rounded = answer(made.engine(student, tmp_path / "int8", "int8"), TASK, order, ROWS, GREEDY, explain=False)
        assert {a.label for a in rounded} == set(CHOICES)


def test_a_label_may_go_on_as_the_separator_does() -> None:
    """One token of what follows would not do: "dog" and "dog explanation" both go on with it."""
    codec = untrained("label_first").codec
    first, second = codec.encode_choices(choice_targets("label_first", ["dog", "dog explanation"], None))
    assert first.ids == codec.encode_prefix("dog explanation:")[1:]
    assert second.ids == codec.encode_prefix("dog explanation explanation:")[1:]
    assert {*first.roles, *second.roles} == {LABEL}


def test_tokens_decide_and_not_letters(bert: Checkpoint) -> None:
    assert not "dog on a beach".startswith("Dog")
    assert bert.codec.closes(["Dog", "dog on a beach"], "label_only")
    words = untrained("label_only", "flan-t5").codec
    assert "asleep".startswith("as")
    assert not words.closes(["as", "asleep"], "label_only")


# --- what cannot be told apart ---

SAME = ("man", "mán", "dog")
"""Two of which an uncased tokenizer makes the same tokens, though they are different texts."""


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    student = made.warm_start(tmp_path_factory.mktemp("bert"))
    student.model.eval()
    return Checkpoint(student.model, student.tokenizer, student.settings.model_copy(update={"task": TASK}))


def of(student: Checkpoint, folder: Path, engine: str) -> Any:
    return TorchEngine(student.model, student.codec) if engine == "pytorch" else made.engine(student, folder / "p")


@pytest.mark.parametrize("engine", ["pytorch", "ctranslate2"])
def test_where_nothing_tells_two_apart_no_label_is_given(engine: str, bert: Checkpoint, tmp_path: Path) -> None:
    if engine == "ctranslate2":
        pytest.importorskip("ctranslate2")
    student = Student(of(bert, tmp_path, engine), TASK, "label_first", GREEDY, fingerprint="s")
    rows = [example("A man", None, SAME), example("A dog", None), example("A boy", None, SAME)]
    for only in (rows, rows[:1]):
        given = student.predict(only, free=True, precision=None)
        assert [p.label is None for p in given] == [row.choices == SAME for row in only]
        assert [(p.probabilities, p.explanation) for p in given if p.label is None] == [({}, "")] * (len(only) // 2 + 1)
    with pytest.raises(TaskError, match=r"choices: expected choices that differ in the student's tokens.*Reword one"):
        student.explain(question="A man", choices=SAME)


def test_calibrating_leaves_such_rows_out(bert: Checkpoint) -> None:
    engine = TorchEngine(bert.model, bert.codec)
    rows = [example(f"row {i}", "dog", SAME if i % 11 == 0 else CHOICES) for i in range(60)]
    options: Any = {"student": "s", "data": CalibrationData(name="own", split=None, fingerprint="f")}
    fitted = calibrate(engine, TASK, "label_only", rows, GREEDY, **options)
    assert (fitted.n, fitted.labelled) == (54, 60)
    with pytest.raises(DataError, match="found 49 whose choices the student's tokenizer can tell apart"):
        calibrate(engine, TASK, "label_only", rows[:54], GREEDY, **options)


def write(path: Path, rows: list[Example]) -> Path:
    lines = [{"id": r.id, **r.fields, "choices": r.choices, "label": r.label, "explanation": "So."} for r in rows]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("cached", [False, True])
def test_training_and_validation_set_such_rows_aside_and_name_them(
    cached: bool, bert: Checkpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REASONDISTILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("reasondistill.data.sources.CACHED_FROM", 1 if cached else 10**9)
    path = write(
        tmp_path / "rows.jsonl", [*ROWS[:2], example("q7", "dog", SAME), example("q8", "dog", ("dog", "日本"))]
    )
    value = {
        "name": "r",
        "task": TASK.model_dump(),
        "data": {"train": {"source": str(path)}, "validation": {"source": str(path)}},
        "student": {"kind": "scratch"},
    }
    config = validate_config(TrainConfig, value, where="test")
    for _ in range(2 if cached else 1):  # the second time out of the cache
        loaded = load(path, task=TASK)
    with caplog.at_level(logging.WARNING):
        parts = Parts([loaded], loaded).decidable(config, bert.codec)
    for part in (*parts.train, parts.validation):
        assert part is not None
        assert [e.id for e in part.examples] == [row.id for row in ROWS[:2]]
        assert part.set_aside == {UNDECIDABLE: 2}
    assert parts.facts()["train"].dropped == {UNDECIDABLE: 2}
    message = caplog.messages[0]
    assert "2 of 4 rows are dropped" in message
    assert f"{path}:3 (id 'q7'): labels 'man' and 'mán': expected labels that differ in tokens" in message
    assert f"{path}:4 (id 'q8'): label '日本': expected a label that the tokenizer can write" in message
    write(path, [example("q7", "dog", SAME)])
    with pytest.raises(
        DataError, match=r"rows\.jsonl: expected choices .* found none in 1 rows, such as .*:1 \(id 'q7'\)"
    ):
        Parts([load(path, task=TASK)]).decidable(config, bert.codec)


def test_labels_of_the_task_itself_and_explanations_alone_set_nothing_aside(bert: Checkpoint) -> None:
    rows = [example("q", "dog", SAME)]
    assert choice_problems(bert.codec, TASK, "explanation_only", rows) == [None]
    fixed = TASK.model_copy(update={"labels": CHOICES})
    assert choice_problems(bert.codec, fixed, "label_first", rows) == [None]
    assert choice_problems(bert.codec, TASK, "label_first", [rows[0].model_copy(update={"choices": None})]) != [None]


def test_a_label_that_was_cut_to_anothers_tokens_says_how_to_keep_it() -> None:
    student = untrained("label_only")
    short = Checkpoint(student.model, student.tokenizer, student.settings.model_copy(update={"max_target_length": 4}))
    with pytest.raises(TaskError, match="Or raise max_target_length"):
        short.codec.check_labels(["a man on a beach with a dog", "a man on a beach with a cat"], "label_only")
