"""evaluate: figures, baselines, files, and what a user can get wrong."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from make import answer, example
from reasondistill.cli.shared import print_headline
from reasondistill.contracts.records import Example, Explanation, Prediction
from reasondistill.contracts.results import Results
from reasondistill.contracts.scored_rows import read_scored_rows
from reasondistill.errors import DataError, OutputError
from reasondistill.evaluation import EvaluationSettings, evaluate, save
from reasondistill.metrics.bertscore import why_left_out
from reasondistill.tasks.task import NLI, Task

PLAIN = EvaluationSettings(bertscore=False, resamples=200)
EVEN = {"entailment": 0.2, "neutral": 0.7, "contradiction": 0.1}


@pytest.fixture
def data() -> list[Example]:
    return [
        example(1, "neutral", ("Running is not always chasing.", "The dog may run for fun."), group="photo 1"),
        example(2, "neutral", ("To run past is not to chase.", "A running dog need not chase cats."), group="photo 1"),
        example(3, "contradiction", ("A dog that sleeps cannot run.",), group="photo 2"),
        example(4, "entailment", (), group="photo 3"),
        example(5, None, ("Nobody knows.",)),
    ]


@pytest.fixture
def answers() -> list[Prediction]:
    return [
        answer(5, "neutral", "Nobody knows."),
        answer(4, "entailment", "The dog chases 4 cats", probabilities={**EVEN, "entailment": 0.7, "neutral": 0.2}),
        answer(3, "neutral", "", probabilities=EVEN),
        answer(
            2, "neutral", "Running past is not chasing.", probabilities=EVEN, raw_output="x", parsed_label="neutral"
        ),
        answer(1, "neutral", "Running is not always chasing.", probabilities=EVEN, raw_output="?"),
    ]


def test_figures_by_hand(data: list[Example], answers: list[Prediction]) -> None:
    evaluation = evaluate(answers, data, name="dogs", split="test", settings=PLAIN)
    results, rows = evaluation.results, evaluation.rows
    metrics = results.metrics
    assert (results.dataset.name, results.dataset.split, results.dataset.n) == ("dogs", "test", 5)
    assert (metrics["label_accuracy"].value, metrics["label_accuracy"].n) == (0.75, 4)
    # neutral: precision 2/3, recall 1; entailment 1; contradiction 0.
    assert metrics["label_macro_f1"].value == pytest.approx((0.8 + 1 + 0) / 3)
    assert results.per_label["neutral"]["precision"].value == pytest.approx(2 / 3)
    assert results.per_label["neutral"]["f1"].n == 2
    assert results.per_label["neutral"]["rouge1"].n == 2
    assert results.confusion is not None
    assert results.confusion.counts == [[1, 0, 0], [0, 2, 0], [0, 1, 0]]
    assert (metrics["parse_rate"].value, metrics["parse_rate"].n) == (0.5, 2)
    assert (metrics["ece"].n, metrics["brier"].n) == (4, 4)
    assert metrics["ece"].value == pytest.approx(0.05)
    assert results.calibration.ece == metrics["ece"].value
    assert sum(b.n for b in results.calibration.bins) == 4
    # Rows 1, 2, 3 and 5 have references; row 3 says nothing and counts as 0.
    assert metrics["rougeL"].n == metrics["bleu"].n == 4
    assert metrics["rougeL"].value == pytest.approx((1 + (rows[1].score("rougeL") or 0) + 0 + 1) / 4)
    assert (metrics["copy_rate"].value, metrics["empty_rate"].value) == (0.2, 0.2)
    assert metrics["explanation_length"].value == pytest.approx((5 + 5 + 0 + 5 + 2) / 5)
    assert metrics["rougeL"].ci95 is not None
    assert metrics["rougeL"].ci95[0] <= metrics["rougeL"].value <= metrics["rougeL"].ci95[1]
    assert results.settings["references_used"] == {"min": 1, "max": 2, "mean": 1.5}
    assert results.settings["bootstrap"]["groups"] == 4
    assert results.settings["bertscore"] == {"left_out": "turned off"}
    assert "13a" in results.settings["bleu"]
    assert "lc" in results.settings["bleu"]


def test_rows_keep_the_order_of_the_data_and_say_everything(data: list[Example], answers: list[Prediction]) -> None:
    rows = evaluate(answers, data, name="dogs", settings=PLAIN).rows
    assert [row.id for row in rows] == [e.id for e in data]
    assert [row.correct for row in rows] == [True, True, False, True, None]
    assert rows[0].score("rouge1") == rows[0].score("rougeL") == 1
    assert rows[3].score("rougeL") is None
    assert rows[3].score("copy") is True
    assert rows[2].score("length") == 0
    assert rows[0].model_fields_set == {
        *("id", "group", "gold", "label", "correct", "probabilities", "explanation", "references", "fields"),
        *("rouge1", "rouge2", "rougeL", "copy", "length", "empty", "error", "slices"),
    }


def test_saved_files_read_back(data: list[Example], answers: list[Prediction], tmp_path: Path) -> None:
    evaluation = evaluate(answers, data, name="dogs", settings=PLAIN)
    save(evaluation, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["per_example.jsonl", "results.json"]
    assert Results.load(tmp_path / "out" / "results.json") == evaluation.results
    assert read_scored_rows(tmp_path / "out" / "per_example.jsonl") == evaluation.rows
    json.loads((tmp_path / "out" / "results.json").read_text(), parse_constant=pytest.fail)  # no NaN, no Infinity
    with pytest.raises(OutputError):
        evaluation.save(tmp_path / "out")


def test_the_same_input_gives_the_same_results_in_any_order(data: list[Example], answers: list[Prediction]) -> None:
    once = evaluate(answers, data, name="dogs", settings=PLAIN).results
    again = evaluate(answers[::-1], data, name="dogs", settings=PLAIN).results
    assert once == again
    other = evaluate(answers, data[::-1], name="dogs", settings=PLAIN).results
    assert other.dataset.fingerprint == once.dataset.fingerprint
    changed = [data[0].model_copy(update={"label": "entailment"}), *data[1:]]
    assert (
        evaluate(answers, changed, name="dogs", settings=PLAIN).results.dataset.fingerprint != once.dataset.fingerprint
    )


# Baselines


def test_baselines_by_hand(data: list[Example], answers: list[Prediction]) -> None:
    results = evaluate(answers, data, name="dogs", settings=PLAIN).results
    assert list(results.baselines) == [
        "copied_premise",
        "copied_hypothesis",
        "template",
        "references",
        "student_fewer_references",
        "majority_label",
    ]
    assert results.baselines["copied_premise"]["copy_rate"] == 1
    assert results.baselines["majority_label"]["label_accuracy"] == 0.5
    assert results.baselines["majority_label"]["label_macro_f1"] == pytest.approx((2 / 3) / 3)
    assert results.settings["baselines"]["references"]["n"] == 2
    # Against one reference of two, the student's first answer is right once and wrong once.
    fewer = results.baselines["student_fewer_references"]["rouge1"]
    assert 0 < fewer < 1
    for baseline in set(results.baselines) - {"majority_label"}:
        scores = results.baselines[baseline]
        assert set(scores) == {
            *("rouge1", "rouge2", "rougeL", "bleu", "chrf", "distinct_2", "copy_rate", "explanation_length")
        }


def test_a_copied_hypothesis_scores_exactly_its_baseline(data: list[Example]) -> None:
    copies = [answer(n, "neutral", data[n - 1].fields["hypothesis"]) for n in range(1, 6)]
    results = evaluate(copies, data, name="dogs", settings=PLAIN).results
    for name, value in results.baselines["copied_hypothesis"].items():
        if name not in ("distinct_2", "explanation_length"):  # those of the system also count rows without references
            assert results.metrics[name].value == pytest.approx(value), name


def test_templates_come_from_training_examples_and_follow_the_predicted_label() -> None:
    train = [
        example(n, kind, (f"{start} the dog chases {n} cats.",))
        for n in range(10, 13)
        for kind, start in (("neutral", "Nothing says that"), ("contradiction", "It is false that"))
    ]
    data = [example(1, "neutral", ("Nothing says that the dog chases 1 cats.",))]
    right = evaluate([answer(1, "neutral")], data, name="dogs", settings=PLAIN, train_examples=train).results
    wrong = evaluate([answer(1, "contradiction")], data, name="dogs", settings=PLAIN, train_examples=train).results
    unknown = evaluate([answer(1, "entailment")], data, name="dogs", settings=PLAIN, train_examples=train).results
    assert right.settings["baselines"]["template"] == {
        "found_in": "training explanations",
        "templates": {
            "neutral": "Nothing says that {hypothesis}",
            "contradiction": "It is false that {hypothesis}",
        },
    }
    assert right.baselines["template"]["rougeL"] == 1
    assert wrong.baselines["template"]["rougeL"] < 1
    assert unknown.baselines["template"]["rougeL"] == 1  # no template of its own: the majority label's
    assert "references" not in right.baselines


def test_bertscore_with_the_packaged_encoder(data: list[Example], answers: list[Prediction]) -> None:
    if reason := why_left_out(None):
        pytest.skip(reason)
    evaluation = evaluate(answers, data, name="dogs", settings=EvaluationSettings(resamples=50))
    scores: list[Any] = [row.score("bertscore_f1") for row in evaluation.rows]
    assert scores[0] == pytest.approx(1, abs=1e-5)
    assert 0.4 < scores[1] < 1
    assert scores[2:4] == [0, None]
    assert evaluation.results.metrics["bertscore_f1"].n == 4
    assert 0.3 < evaluation.results.baselines["copied_hypothesis"]["bertscore_f1"] < 0.9
    assert evaluation.results.settings["bertscore"]["layer"] == 5


def test_bertscore_is_left_out_with_a_reason(
    data: list[Example], answers: list[Prediction], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reasondistill.metrics.bertscore._MODULES", ("no_such_module",))
    results = evaluate(answers, data, name="dogs").results
    assert "bertscore_f1" not in results.metrics
    assert "no_such_module" in results.settings["bertscore"]["left_out"]


# Systems and data of other kinds


def test_a_system_without_labels_is_scored_on_its_texts(data: list[Example]) -> None:
    silent = [answer(n, None, "Running is not chasing.") for n in range(1, 6)]
    results = evaluate(silent, data, name="dogs", settings=PLAIN).results
    assert "label_accuracy" not in results.metrics
    assert results.settings["label"] == {"left_out": "the system gives no label for any row"}
    assert results.per_label["neutral"]["rougeL"].n == 2


def test_one_missing_label_counts_as_wrong(data: list[Example], answers: list[Prediction]) -> None:
    results = evaluate([*answers[:-1], answer(1, None)], data, name="dogs", settings=PLAIN).results
    assert results.metrics["label_accuracy"].value == 0.5
    assert results.confusion is not None
    assert results.confusion.counts[1] == [0, 1, 0, 1]


def test_all_empty_explanations_score_zero(data: list[Example]) -> None:
    results = evaluate([answer(n) for n in range(1, 6)], data, name="dogs", settings=PLAIN).results
    for name in ("rouge1", "rouge2", "rougeL", "bleu", "chrf", "distinct_2", "copy_rate"):
        assert results.metrics[name].value == 0, name
    assert results.metrics["empty_rate"].value == 1


def test_data_without_references_or_labels() -> None:
    results = evaluate([answer(1, "neutral", "It runs.")], [example(1, None, (" ",))], name="d", settings=PLAIN).results
    assert set(results.metrics) == {"distinct_2", "copy_rate", "explanation_length", "empty_rate"}
    assert results.baselines == {}
    assert results.metrics["copy_rate"].ci95 is None  # one group says nothing about spread


def test_a_task_with_choices_and_one_without_labels() -> None:
    prompt = "{question} {choices}"
    choosing = Task(
        name="qa", fields=("question",), labels=None, prompt=prompt, label_prompt=prompt, explanation_prompt=prompt
    )
    quiz = [
        Example(id=str(n), fields={"question": f"{n}?"}, choices=(f"a{n}", "b"), label=f"a{n}", explanations=[
            Explanation(text=f"{n} is a{n}.", source="human")
        ])
        for n in range(3)
    ]  # fmt: skip
    said = [Prediction(id=str(n), label=f"a{n}", probabilities={f"a{n}": 0.8, "b": 0.2}) for n in range(3)]
    results = evaluate(said, quiz, task=choosing, name="quiz", settings=PLAIN).results
    assert results.metrics["label_accuracy"].value == 1
    assert results.metrics["ece"].value == pytest.approx(0.2)
    assert "label_macro_f1" not in results.metrics
    assert "copied_question" in results.baselines
    explaining = choosing.model_copy(
        update={"labels": (), "prompt": "{question}", "label_prompt": "", "explanation_prompt": "{question}"}
    )
    results = evaluate(
        [Prediction(id=str(n), label=None, explanation=f"{n} is a{n}.") for n in range(3)],
        [e.model_copy(update={"label": None, "choices": None}) for e in quiz],
        task=explaining,
        name="why",
        settings=PLAIN,
    ).results
    assert results.metrics["rougeL"].value == 1
    assert "label_accuracy" not in results.metrics


nasty = st.text(st.characters(exclude_categories=["Cs"]), max_size=25)


@given(nasty, nasty, nasty, nasty)
@settings(max_examples=40, deadline=None)
def test_nasty_strings_never_crash(premise: str, hypothesis: str, reference: str, explanation: str) -> None:
    one = Example(
        id="x",
        fields={"premise": premise, "hypothesis": hypothesis},
        label="neutral",
        explanations=[Explanation(text=reference, source="human"), Explanation(text=premise, source="human")],
    )
    said = Prediction(id="x", label="neutral", explanation=explanation)
    results = evaluate([said], [one], name="odd", settings=EvaluationSettings(bertscore=False, resamples=2)).results
    assert all(m.value >= 0 for m in results.metrics.values())


# Mistakes


def test_missing_predictions_are_named_and_counted() -> None:
    with pytest.raises(DataError, match=r"none for pair-2, pair-3, pair-4 \(7 in all\)\. Predict the same split"):
        evaluate([answer(1)], [example(n) for n in range(1, 9)], name="d", settings=PLAIN)


def test_unknown_ids_are_named() -> None:
    with pytest.raises(DataError, match=r"ids of the scored examples, found others: pair-2, pair-3\."):
        evaluate([answer(1), answer(2), answer(3)], [example(1)], name="d", settings=PLAIN)


def test_doubled_ids_are_named() -> None:
    with pytest.raises(DataError, match=r"predictions: expected each id once, found more often: pair-1"):
        evaluate([answer(1), answer(1)], [example(1)], name="d", settings=PLAIN)
    with pytest.raises(DataError, match=r"data: expected each id once, found more often: pair-1"):
        evaluate([answer(1)], [example(1), example(1)], name="d", settings=PLAIN)


def test_no_examples() -> None:
    with pytest.raises(DataError, match="expected examples to score, found none"):
        evaluate([], [], name="d", settings=PLAIN)


def test_labels_outside_the_task_are_named() -> None:
    with pytest.raises(
        DataError, match=r"labels of the task 'nli' .*found others: pair-1 \('neither'\), pair-2 \('maybe'\)"
    ):
        evaluate([answer(1, "neither"), answer(2, "maybe")], [example(1), example(2)], name="d", settings=PLAIN)
    with pytest.raises(DataError, match="'perhaps'"):
        evaluate([answer(1)], [example(1, "perhaps")], name="d", settings=PLAIN)


def test_a_figure_of_fewer_rows_says_so_on_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    given = [answer(k).model_copy(update={"probabilities": EVEN}) for k in range(1, 7)]
    given[0] = given[0].model_copy(update={"probabilities": {}})
    scored = evaluate(given, [example(k) for k in range(1, 7)], name="d", settings=PLAIN)
    assert scored.metrics["ece"].n == 5
    print_headline(scored.results, "d, test")
    lines = capsys.readouterr().out.splitlines()
    assert any("ECE (5 rows)" in line for line in lines)
    assert not any("accuracy (" in line for line in lines)


def test_a_label_that_no_row_has_is_said_or_where_it_has_no_probability_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gold = [Example(id=str(k), fields={"text": f"Ticket {k}."}, label=["bug", "bill"][k % 2]) for k in range(8)]
    given = [Prediction(id=str(k), label="nonsense" if k == 3 else "bug") for k in range(8)]
    scored = evaluate(given, gold, name="d", settings=PLAIN)
    assert "nonsense" in scored.results.per_label
    assert "d: the answers have labels that no row has: 'nonsense'; each counts as a class" in caplog.text
    sure = [p.model_copy(update={"probabilities": {"bug": 0.6, "bill": 0.4}}) for p in given]
    with pytest.raises(DataError, match=r"labels that no row of the data has, and that have none: 3 \('nonsense'\)"):
        evaluate(sure, gold, name="d", settings=PLAIN)


@pytest.mark.parametrize(
    "probabilities", [{"neutral": 1.0}, {**EVEN, "neutral": 0.2}, {"yes": 0.5, "no": 0.3, "maybe": 0.2}]
)
def test_probabilities_that_are_no_distribution(probabilities: dict[str, float]) -> None:
    with pytest.raises(DataError, match="a probability for each of the labels"):
        evaluate([answer(1, probabilities=probabilities)], [example(1)], name="d", settings=PLAIN)


def test_a_field_that_is_missing() -> None:
    lame = Example(id="pair-1", fields={"premise": "A dog."}, label="neutral")
    with pytest.raises(DataError, match="hypothesis"):
        evaluate([answer(1)], [lame], task=NLI, name="d", settings=PLAIN)


# Real data


def _real_folder() -> Path:
    folder = os.environ.get("REASONDISTILL_DATA")
    return Path(folder) if folder else Path(__file__).parents[1] / ".." / "shared" / "data"


@pytest.mark.real
def test_figures_on_esnli_are_those_measured_before() -> None:
    """300 dev rows, second and third human explanation as references: copy about .74, human and GPT-2 above."""
    file = _real_folder() / "e-snli" / "esnli_dev.csv"
    generated = _real_folder() / "teachers" / "nile_gpt2_dev.jsonl"
    if not (file.exists() and generated.exists()):
        pytest.skip(f"{file} or {generated} is not there; REASONDISTILL_DATA names the folder")
    if reason := why_left_out(None):
        pytest.skip(reason)
    with file.open(encoding="utf-8", newline="") as stream:
        table = [row for _, row in zip(range(300), csv.DictReader(stream), strict=False)]
    with generated.open(encoding="utf-8") as stream:
        nile = {row["pairID"]: row["explanations"] for row in map(json.loads, stream)}
    data = [
        Example(
            id=row["pairID"],
            fields={"premise": row["Sentence1"], "hypothesis": row["Sentence2"]},
            label=row["gold_label"],
            explanations=[Explanation(text=row[f"Explanation_{k}"], source="human") for k in (2, 3)],
            group=row["pairID"].split("#")[0],
        )
        for row in table
    ]
    said = [Prediction(id=e.id, label=e.label, explanation=nile[e.id][e.label]) for e in data]
    results = evaluate(said, data, name="e-snli", split="dev").results
    assert results.metrics["bertscore_f1"].value == pytest.approx(0.80, abs=0.02)
    assert results.baselines["copied_hypothesis"]["bertscore_f1"] == pytest.approx(0.738, abs=0.02)
    assert results.metrics["bleu"].value == pytest.approx(33.9, abs=3)
    assert results.baselines["copied_hypothesis"]["bleu"] == pytest.approx(27.0, abs=3)
    assert results.metrics["rougeL"].value == pytest.approx(0.519, abs=0.03)
    assert results.baselines["copied_hypothesis"]["rougeL"] == pytest.approx(0.458, abs=0.03)
    assert results.baselines["references"]["bertscore_f1"] < results.metrics["bertscore_f1"].value
