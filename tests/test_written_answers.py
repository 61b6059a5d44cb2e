"""Answers that are texts: targets and their tokens, reading them back, scoring, calibration, tables, whole runs."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import reasondistill as rd
import tiny
from make import pair
from packaging_helpers import engine
from reasondistill.config import EvaluationSettings
from reasondistill.contracts.records import Example, Explanation, OutputOrder, Prediction
from reasondistill.data.dataset_loading import load_dataset
from reasondistill.data.sources import load
from reasondistill.errors import ConfigError, TaskError
from reasondistill.evaluation import evaluate
from reasondistill.metrics import answer_overlap as answers
from reasondistill.metrics.temperature import fit_sequence_temperature
from reasondistill.reporting.sections.headline import left_out
from reasondistill.serving.questions import attribute
from reasondistill.students.calibration import Calibration, CalibrationData, as_calibrated
from reasondistill.students.checkpoint import Checkpoint
from reasondistill.students.codec import EXPLANATION, LABEL
from reasondistill.students.engines import Answer, answer
from reasondistill.students.engines.engine import Generated
from reasondistill.students.engines.pytorch import TorchEngine
from reasondistill.students.engines.written_answers import answer_scores
from reasondistill.students.fit_calibration import TooFewRowsError, calibrate
from reasondistill.students.student import Student
from reasondistill.tasks.answer_texts import escaped, parse_written, restored
from reasondistill.tasks.task import NLI, Task, get_task
from reasondistill.training.features import build_features

QA = Task(name="qa", fields=("question",), answer="text", labels=())
ORDERS: tuple[OutputOrder, ...] = ("label_first", "explanation_first", "label_only")
PIECES = st.lists(
    st.sampled_from(
        ["explanation:", "label:", "Explanation :", "label::", "explanation", ":", "yes", "42", "中文", "a b"]
    ),
    min_size=1,
    max_size=8,
)


def question(label: str | None = "Paris", why: str | None = "It is the capital.", **more: object) -> Example:
    explanations = [] if why is None else [Explanation(text=why, source="human")]
    values = {"id": "1", "fields": {"question": "Where is the Louvre?"}, "label": label, "explanations": explanations}
    return Example.model_validate(values | more)


@given(PIECES, PIECES, st.sampled_from(ORDERS))
def test_an_answer_with_separators_in_it_survives_the_round_trip(
    answer: list[str], why: list[str], order: OutputOrder
) -> None:
    text, explanation = " ".join(answer), " ".join(why)
    ((_, [target]),) = QA.render(order, question(text, explanation), [explanation])
    assert parse_written(order, target.text) == (text, "" if order == "label_only" else explanation)


@given(st.text())
def test_spelling_an_answer_and_reading_it_are_inverse(text: str) -> None:
    assert restored(escaped(text)) == text


def test_tokenizers_that_put_spaces_around_colons_do_not_hide_separators() -> None:
    assert parse_written("label_first", "paris explanation : it is") == ("paris", "it is")
    assert parse_written("label_first", "an explanation : : of it explanation : why") == (
        "an explanation : of it",
        "why",
    )
    assert parse_written("explanation_first", "why so label : paris") == ("paris", "why so")
    assert parse_written("label_first", "  ") == (None, "")


def test_what_ends_an_answer_is_learned_with_it_whatever_follows() -> None:
    codec = tiny.student("t5").codec
    rows = [question("three dogs", None), question("three dogs", "they run")]
    for order in ("label_first", "label_only"):
        features = build_features(rows, task=QA, order=order, codec=codec)
        for row, explained in zip(features, (False, True), strict=True):
            [ids], [roles] = row["target_ids"], row["target_roles"]
            answer = [i for i, role in zip(ids, roles, strict=True) if role == LABEL]
            ending = codec.decode(answer)
            if order == "label_first":
                assert ending == "three dogs explanation:"
                assert (EXPLANATION in roles) == explained
            else:
                assert ending == "three dogs"
                assert answer[-1] == codec.eos_token_id


def test_a_task_says_one_thing_about_its_answer() -> None:
    assert QA.writes_answers
    assert QA.has_answers
    assert not Task(name="old", fields=("text",), labels=()).has_answers
    assert "answer" not in Task(name="old", fields=("text",), labels=("a", "b")).model_dump()
    assert Task.model_validate(QA.model_dump(mode="json")) == QA
    for wrong in ({"answer": "text", "labels": ["a"]}, {"answer": "labels"}, {"answer": "choices", "labels": ["a"]}):
        with pytest.raises(ValidationError, match="answer"):
            Task.model_validate({"name": "x", "fields": ["text"], **wrong})


def test_squads_examples_by_hand() -> None:
    assert answers.normalised(" The  Quick-Brown Fox, an answer! ") == "quickbrown fox answer"
    assert answers.exact_match("the Eiffel tower.", ["Eiffel Tower", "x"])
    assert not answers.exact_match("", ["x"])
    assert answers.exact_match("!", ["!"])
    assert not answers.exact_match("?", ["!"])
    # 2 of 3 words given, 2 of 4 wanted: precision 2/3, recall 1/2.
    assert answers.token_f1("big red bus", ["red bus in London"]) == pytest.approx(4 / 7)
    assert answers.token_f1("big red bus", ["nothing", "red bus"]) == pytest.approx(4 / 5)


@pytest.mark.parametrize(
    ("answer", "accepted", "matches"),
    [
        ("1,000", ["1000.5"], True),
        ("$1,002", ["1000"], False),
        ("50%", ["0.5"], True),
        ("\u22123", ["-3"], True),
        ("about 3", ["3"], False),
        ("3", ["three"], None),
        ("0", ["0"], True),
        ("1e3", ["1000"], True),
    ],
)
def test_numbers_match_within_a_tolerance(answer: str, accepted: list[str], matches: bool | None) -> None:
    assert answers.numeric_match(answer, accepted) is matches


def test_written_answers_are_scored_beside_what_explains_and_answers_nothing() -> None:
    gold = [question(f"the answer {k % 3}", id=str(k), accepted=[f"reply {k}"]) for k in range(12)]
    given = [
        Prediction(id=str(k), label=f"Reply {k}." if k < 8 else "something else", probability=0.9 if k < 8 else 0.2)
        for k in range(12)
    ]
    scored = evaluate(given, gold, task=QA, name="qa", settings=EvaluationSettings(bertscore=False))
    figures = {name: metric.value for name, metric in scored.metrics.items()}
    assert figures["exact_match"] == pytest.approx(8 / 12)
    assert figures["ece"] == pytest.approx((8 * 0.1 + 4 * 0.2) / 12)
    assert "label_accuracy" not in figures
    assert {"copied_question", "longest_sentence", "commonest_answer"} <= set(scored.results.baselines)
    assert scored.results.baselines["commonest_answer"]["exact_match"] == pytest.approx(4 / 12)
    assert [row.correct for row in scored.rows] == [True] * 8 + [False] * 4
    assert scored.rows[0].accepted == ["reply 0"]
    assert scored.rows[0].confidence == 0.9
    assert scored.results.errors.counts["both"].n + scored.results.errors.counts["label"].n == 4


def test_abstaining_and_stated_confidence_judge_a_written_answer_as_exact_match_does() -> None:
    gold = [question("the answer", id=str(k), accepted=["a reply"]) for k in range(8)]
    given = [
        Prediction.model_validate(
            {
                "id": str(k),
                "label": ["Answer.", "A reply", "neither"][k % 3],
                "explanation": "so it is",
                "probability": 0.4 + 0.05 * k,
                "stated_confidence": 0.9 if k % 3 < 2 else 0.2,
                "abstained": k == 7,
            }
        )
        for k in range(8)
    ]
    metrics = evaluate(given, gold, task=QA, name="qa", settings=EvaluationSettings(bertscore=False)).metrics
    assert metrics["exact_match"].value == pytest.approx(6 / 8)
    assert metrics["selective_accuracy"].value == pytest.approx(5 / 7)
    assert metrics["stated_auroc"].value == 1.0
    assert metrics["confidence_auroc"].n == 8


def test_a_system_that_writes_nothing_is_wrong_and_one_that_only_explains_is_not_scored() -> None:
    rows = [Example(id=f"{n}", fields={"instruction": "Name it.", "input": ""}, label="A name.") for n in range(4)]
    for text, expected in (("", 0.0), ("It has a name.", None)):
        silent = [Prediction(id=row.id, label=None, explanation=text) for row in rows]
        settings = EvaluationSettings(bertscore=False)
        scored = evaluate(silent, rows, task=get_task("instructions"), name="silent", settings=settings)
        value = scored.metrics.get("exact_match")
        assert (None if value is None else value.value) == expected


def test_a_sequences_temperature_is_found_where_it_is_known() -> None:
    # Of 1,000 answers with a log-probability of -2, half are right: p^(1/T) is a half at T = 2 / log 2.
    fit = fit_sequence_temperature([-2.0] * 1000, [k % 2 == 0 for k in range(1000)])
    assert fit.temperature == pytest.approx(2 / math.log(2), rel=1e-3)
    assert fit.nll_after == pytest.approx(math.log(2), rel=1e-3)
    assert fit_sequence_temperature([-2.0, -1.0], [True, True]).at_bound == "lower"


def asked(order: OutputOrder) -> Checkpoint:
    checkpoint = tiny.student("t5", order)
    return replace(checkpoint, settings=checkpoint.settings.model_copy(update={"task": QA}))


@pytest.mark.parametrize("order", [*ORDERS, "separate"])
def test_engine_and_package_write_and_score_the_same_answers(order: OutputOrder, tmp_path: Path) -> None:
    checkpoint = asked(order)
    examples = [question(fields={"question": f"Where are {k} dogs?"}, id=str(k)) for k in range(7)]
    generation = checkpoint.settings.generation
    whole = answer(TorchEngine(checkpoint.model, checkpoint.codec), QA, order, examples, generation)
    single = answer(TorchEngine(checkpoint.model, checkpoint.codec, max_rows=1), QA, order, examples, generation)
    package = answer(engine(checkpoint, tmp_path / "package"), QA, order, examples, generation)
    for one, other, packed in zip(whole, single, package, strict=True):
        assert one[:4] == other[:4] == packed[:4]
        assert one.probabilities == {}
        assert one.probability == (one.label and pytest.approx(other.probability, rel=1e-4))
        assert one.probability == (one.label and pytest.approx(packed.probability, rel=1e-3))
    halved = answer(TorchEngine(checkpoint.model, checkpoint.codec), QA, order, examples, generation, temperature=2.0)
    assert [a.probability for a in halved] == [a.probability and pytest.approx(a.probability**0.5) for a in whole]
    given = [QA.render_prompts(order, e)["label"] for e in examples], ["two dogs", None] * 3 + ["a man"], ["so"] * 7
    native = answer_scores(TorchEngine(checkpoint.model, checkpoint.codec), order, *given)
    assert [score is None for score in native] == [text is None for text in given[1]]
    packaged = answer_scores(engine(checkpoint, tmp_path / "again"), order, *given)
    assert packaged == [score and pytest.approx(score, rel=1e-4) for score in native]


def sampling(engine: TorchEngine, order: OutputOrder, samples: int, rows: int = 3) -> list[Answer]:
    examples = [question(fields={"question": f"Where are {k} dogs?"}, id=str(k)) for k in range(rows)]
    how = asked(order).settings.generation.model_copy(update={"samples": samples, "max_new_tokens": 6})
    return answer(engine, QA, order, examples, how)


@pytest.mark.parametrize("order", ["label_first", "separate"])
def test_samples_make_the_confidence_and_change_no_answer(order: OutputOrder) -> None:
    checkpoint = asked(order)
    engine = TorchEngine(checkpoint.model, checkpoint.codec)
    alone, sampled = sampling(engine, order, 0), sampling(engine, order, 4)
    assert [(a.label, a.explanation) for a in alone] == [(a.label, a.explanation) for a in sampled]
    given = [a.probability for a in sampled if a.label is not None]
    assert given
    assert [round(5 * probability - 0.5, 6) in range(5) for probability in given if probability] == [True] * len(given)
    torch.manual_seed(99)
    assert sampling(engine, order, 4) == sampled  # whatever the generator was at


class Scripted:
    """An engine that gives one answer, and draws others in turn."""

    codec = None

    def __init__(self, *drawn: str) -> None:
        self.drawn, self.asked = drawn, list[int]()

    def generate(self, prompts: Sequence[str], prefixes: Sequence[str], generation: Any) -> list[Generated]:
        return [Generated("the Louvre explanation: it is", False)] * len(prompts)

    def score(self, prompts: Sequence[str], targets: Sequence[Any], of: str = "label") -> list[list[float]]:
        raise AssertionError("a sequence is scored only without samples")

    def sample(self, prompts: Sequence[str], prefixes: Sequence[str], most: int, seed: int) -> list[Generated]:
        self.asked.append(seed)
        return [Generated(self.drawn[len(self.asked) - 1], False)] * len(prompts)


def test_agreement_by_hand() -> None:
    # Two of four say the same but for case, article and mark: (2 + 1/2) / (4 + 1).
    engine = Scripted("Louvre. explanation: x", "Paris", "a louvre", "explanation: it")
    how = asked("label_first").settings.generation.model_copy(update={"samples": 4})
    [own] = answer(engine, QA, "label_first", [question()], how)
    assert own.label == "the Louvre"
    assert own.probability == pytest.approx(0.5)
    assert len(set(engine.asked)) == 4
    [calmer] = answer(Scripted(*engine.drawn), QA, "label_first", [question()], how, temperature=2.0)
    assert calmer.probability == pytest.approx(0.5**0.5)


def test_samples_are_for_texts_and_engines_that_draw(tmp_path: Path) -> None:
    checkpoint = asked("label_first")
    native = TorchEngine(checkpoint.model, checkpoint.codec)
    how = checkpoint.settings.generation.model_copy(update={"samples": 2})
    with pytest.raises(TaskError, match="a task whose answers are texts"):
        answer(native, NLI, "label_first", [pair()], how)
    with pytest.raises(TaskError, match="a student in PyTorch"):
        answer(engine(checkpoint, tmp_path / "package"), QA, "label_first", [question()], how)
    assert "samples" not in checkpoint.settings.generation.model_dump()


def test_a_calibration_by_samples_is_kept_and_applied() -> None:
    # It says "the Louvre" to all, which is right in every other row, and one of four draws agrees.
    class Agreeing(Scripted):
        def sample(self, prompts: Sequence[str], prefixes: Sequence[str], most: int, seed: int) -> list[Generated]:
            self.asked.append(seed)
            return [Generated("the Louvre" if len(self.asked) % 4 == 1 else "Paris", False)] * len(prompts)

    rows = [question("Louvre" if k % 2 else "Paris", id=str(k)) for k in range(100)]
    plain = asked("label_first").settings.generation
    data = CalibrationData(name="x", split="validation", fingerprint="0")
    fitted = calibrate(
        Agreeing(),
        QA,
        "label_first",
        rows,
        plain.model_copy(update={"samples": 4}),
        student="s",
        data=data,
    )
    # (1 + 1/2) / (4 + 1) = 0.3, and half is right: 0.3^(1/T) = 0.5.
    assert (fitted.samples, fitted.accuracy) == (4, 0.5)
    assert 0.3 ** (1 / fitted.temperature) == pytest.approx(0.5, abs=1e-3)
    assert Calibration.model_validate(fitted.model_dump(mode="json")) == fitted
    assert as_calibrated(fitted, plain).samples == 4
    assert as_calibrated(None, plain) == plain
    with pytest.raises(ConfigError, match=r"samples: expected 4, as the calibration .* --samples 8"):
        as_calibrated(fitted, plain.model_copy(update={"samples": 8}))
    without = fitted.model_copy(update={"samples": 0})
    with pytest.raises(ConfigError, match="fitted without"):
        as_calibrated(without, plain.model_copy(update={"samples": 8}))
    assert "samples" not in without.model_dump()


def write_sums(path: Path, rows: int = 40) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["question", "answer", "why"])
        table.writerows([f"What is {k} and one?", f"it is {k + 1}", f"{k} and one are {k + 1}."] for k in range(rows))
    return path


def test_a_column_of_unrepeated_answers_is_a_text_answer(tmp_path: Path) -> None:
    loaded = load_dataset(write_sums(tmp_path / "sums.csv"))
    assert loaded.task is not None
    assert loaded.task.answer == "text"
    assert loaded.examples[3].label == "it is 4"
    assert load_dataset([{"text": f"t {k}", "label": "ab"[k % 2]} for k in range(20)]).task.labels == ("a", "b")  # type: ignore[union-attr]


def test_a_list_of_answers_holds_accepted_ones(tmp_path: Path) -> None:
    rows = [{"question": f"q {k}", "answers": [f"one {k}", "", f"uno {k}", f"one {k}"], "why": "so"} for k in range(12)]
    loaded = load_dataset(rows)
    assert loaded.examples[0].answers == ("one 0", "uno 0")


def test_instructions_are_text_answers(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[{"instruction": "Add.", "input": "1 2", "output": "3", "explanation": "One more than two."}]')
    [row] = load(path).examples
    assert (row.label, [e.text for e in row.references]) == ("3", ["One more than two."])
    assert get_task("instructions").writes_answers
    [row] = load(path, task=Task(name="told", fields=("instruction",), labels=())).examples
    assert row.label is None


@pytest.mark.slow
def test_the_whole_way_of_a_text_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[..., tuple[int, str]]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_sums(tmp_path / "sums.csv", rows=700)
    assert command("init", "sums.csv", "--student", "scratch", "--out", "sums.yaml")[0] == 0
    smaller = [f"student.{key}={value}" for key, value in {"d_model": 32, "d_ff": 64, "num_layers": 1}.items()]
    sets = [word for change in (*smaller, "training.max_steps=20") for word in ("--set", change)]
    assert command("train", "sums.yaml", *sets)[0] == 0
    [run] = [path.parent for path in tmp_path.glob("experiments/runs/*/run.json")]
    for name, *options in (["predict"], ["evaluate", "--faithfulness"], ["report"], ["export"], ["explain"]):
        status, text = command(name, run, *options)
        assert status == 0, text
    assert "Exact match" in (run / "report.md").read_text(encoding="utf-8")
    results = json.loads((run / "results" / "test" / "results.json").read_text(encoding="utf-8"))
    assert "exact_match" in results["metrics"]
    assert "label_accuracy" not in results["metrics"]
    assert all(test["left_out"] for test in results["faithfulness"].values()), "each needs labels"
    assert Student.load(run / "package").explain(question="What is 3 and one?").probability is not None


def test_words_of_the_input_have_an_effect_on_a_written_answer() -> None:
    checkpoint = asked("label_only")
    engine_of = TorchEngine(checkpoint.model.eval(), checkpoint.codec)
    student = Student(engine_of, QA, "label_only", checkpoint.settings.generation, fingerprint="0")
    row = question(fields={"question": "Where are two dogs?"})
    effects = attribute(student, row)
    assert [word.word for word in effects.words] == ["Where", "are", "two", "dogs?"]
    answer = effects.answer.label or ""
    rows = [row, question(fields={"question": "are two dogs?"})]
    prompts = [QA.render_prompts("label_only", e)["label"] for e in rows]
    whole, without = answer_scores(engine_of, "label_only", prompts, [answer, answer], ["", ""])
    assert whole is not None
    assert without is not None
    assert effects.words[0].label == pytest.approx(whole - without, abs=1e-3)


def test_answers_in_a_script_without_spaces_are_scored_by_characters_though_one_is_latin() -> None:
    rows = [question(id=str(k), label=f"第{k}个城镇在江苏省的北边") for k in range(20)]
    said = [Prediction(id=str(k), label=f"第{k}个城镇在江苏省的南边", explanation="因为") for k in range(20)]
    said[3] = Prediction(id="3", label="Town 3", explanation="")
    scored = evaluate(said, rows, task=QA, name="qa", settings=EvaluationSettings(bertscore=False))
    assert "answer_rougeL" not in scored.metrics
    assert scored.metrics["answer_f1_intl"].value > 0.8
    [reason] = [why for names, why in left_out(scored.results) if "Answer ROUGE-L" in names]
    assert reason.startswith("20 of 20 rows were not read")


def test_a_finished_student_is_kept_though_it_writes_too_few_answers_to_calibrate(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_few(*_: object, **__: object) -> None:
        raise TooFewRowsError("sums", expected="at least 50 rows", found="3 that the student writes an answer to")

    monkeypatch.setattr("reasondistill.training.finishing.calibrate", too_few)
    file = tmp_path / "sums.csv"
    write_sums(file, rows=90)
    run = rd.train(
        file, student={"kind": "scratch", "d_model": 16, "d_ff": 32, "d_kv": 8, "num_heads": 2}, name="sums",
        out=tmp_path, training={"max_steps": 2, "report_to": "none", "disable_tqdm": True, "use_cpu": True},
    )  # fmt: skip
    assert run.info().status == "finished"
    assert "the validation part has 3 that the student writes an answer to" in caplog.text
    assert Student.load(run).calibration is None
