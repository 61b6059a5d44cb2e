"""Confidence in words: phrases that end explanations, reading them back, and whether they mean what they say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasondistill.comparison.measures import labels_of, measures
from reasondistill.comparison.systems import load_system
from reasondistill.config import Confidence, EvaluationSettings, Generation, Source, TrainConfig
from reasondistill.contracts.records import Example, Explanation, Prediction, as_row, write_records
from reasondistill.data import load, load_source
from reasondistill.errors import ConfigError, DataError
from reasondistill.evaluation import evaluate, save
from reasondistill.metrics.selective import Ranked
from reasondistill.metrics.verbalized_confidence import auroc, ranked_auroc, stated_ece, stated_statistics
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.students.engines import Answer
from reasondistill.students.student import _prediction
from reasondistill.students.student_task import StudentTask
from reasondistill.sweeps import load_sweep
from reasondistill.tasks.task import NLI
from reasondistill.tasks.verbalized_confidence import Phrase, binned, phrases_problem, spoken, with_phrase
from sweeping import BASE, EVALUATE, SCENES, written

TEXTS = ("I am not sure.", "I am fairly sure.", "I am sure.")
PHRASES = tuple(Phrase(text=t, value=v) for t, v in zip(TEXTS, (0.4, 0.7, 0.9), strict=True))
PLAIN = EvaluationSettings(bertscore=False, resamples=200)


# --- phrases ---


def test_bins_hold_as_many_rows_and_state_their_means() -> None:
    found = binned([0.9, 0.4, 0.5, 0.8, 0.95, 0.7], TEXTS)
    assert found is not None
    phrases, places = found
    assert places == [2, 0, 0, 1, 2, 1]
    assert [p.text for p in phrases] == list(TEXTS)
    assert [p.value for p in phrases] == pytest.approx([0.45, 0.75, 0.925])


@pytest.mark.parametrize("probabilities", [[], [0.5], [0.5] * 9, [0.5] * 8 + [0.9]])
def test_probabilities_that_are_too_much_alike_have_no_bins(probabilities: list[float]) -> None:
    assert binned(probabilities, TEXTS) is None


@given(st.lists(st.floats(0, 1), min_size=3, max_size=40))
@settings(deadline=None)
def test_surer_rows_never_get_a_lesser_phrase(probabilities: list[float]) -> None:
    found = binned(probabilities, TEXTS)
    if found is not None:
        order = np.argsort(probabilities, kind="stable")
        assert (np.diff(np.array(found[1])[order]) >= 0).all()
        for place, phrase in enumerate(found[0]):
            inside = [p for p, k in zip(probabilities, found[1], strict=True) if k == place]
            assert phrase.value == pytest.approx(np.mean(inside))


@given(st.text(alphabet=st.characters(codec="utf-8")), st.sampled_from(PHRASES))
@settings(deadline=None)
def test_a_phrase_is_read_back_and_nothing_else_is_lost(text: str, phrase: Phrase) -> None:
    found = spoken(with_phrase(text, phrase.text), PHRASES)
    assert found.phrase == phrase
    assert found.explanation == text.rstrip()


@pytest.mark.parametrize(
    ("text", "explanation", "said"),
    [
        ("dogs are animals. i am sure .", "dogs are animals.", 2),
        ("Dogs are animals.I AM  not sure.\n", "Dogs are animals.", 0),
        ("i am fairly sure.", "", 1),
        ("I am sure. Dogs are animals.", "I am sure. Dogs are animals.", None),
        ("In Miami am sure.", "In Miami am sure.", None),
        ("Hii am sure.", "Hii am sure.", None),
        ("I am sure", "I am sure", None),
        ("", "", None),
    ],
)
def test_what_counts_as_a_phrase(text: str, explanation: str, said: int | None) -> None:
    assert spoken(text, PHRASES) == (explanation, None if said is None else PHRASES[said])


@pytest.mark.parametrize("texts", [["Sure.", "I am sure."], ["a", " "], ["I am sure.", "i am  Sure."]])
def test_phrases_that_could_not_be_told_apart_are_refused(texts: list[str]) -> None:
    assert phrases_problem(texts) is not None
    with pytest.raises(ConfigError, match=r"phrases: "):
        validate_config(Confidence, {"predictions": "x", "phrases": texts}, where="x")
    assert phrases_problem(TEXTS) is None


# --- what is learned from ---


def predicted(path: Path, examples: Sequence[Example], own: Sequence[float], right: Sequence[bool]) -> Path:
    """Predictions with these probabilities of their own label, which is the gold one or another."""
    rows = []
    for example, p, correct in zip(examples, own, right, strict=True):
        assert example.label is not None
        labels = list(NLI.labels or ())
        label = example.label if correct else labels[labels.index(example.label) - 1]
        probabilities = dict.fromkeys(labels, (1 - p) / 2) | {label: p}
        rows.append(Prediction(id=example.id, label=label, probabilities=probabilities))
    write_records(path, rows)
    return path


def learned(file: Path, **more: Any) -> tuple[list[Example], list[Example], dict[str, float]]:
    """Examples before and after, and what the phrases state."""
    source = Source(source=SCENES, split="train", limit=6)
    after = load_source(source.model_copy(update={"confidence": Confidence(predictions=str(file), **more)}), NLI, 1)
    return list(load_source(source, NLI, 1).examples), list(after.examples), {p.text: p.value for p in after.phrases}


OWN = [0.95, 0.4, 0.6, 0.9, 0.5, 0.7]
RIGHT = [True, True, False, True, True, False]


@pytest.mark.parametrize(
    ("of", "places", "values"),
    [
        ("own", [2, 0, 1, 2, 0, 1], [0.45, 0.65, 0.925]),
        # Wrong answers leave the right label (1 - p) / 2.
        ("gold", [2, 1, 0, 2, 1, 0], [0.175, 0.45, 0.925]),
    ],
)
def test_explanations_end_with_the_phrase_of_their_probability(
    tmp_path: Path, of: str, places: list[int], values: list[float]
) -> None:
    examples = list(load(SCENES, split="train").examples)[:6]
    file = predicted(tmp_path / "p.jsonl", examples, OWN, RIGHT)
    before, after, stated = learned(file, probability_of=of)
    assert list(stated.values()) == pytest.approx(values)
    for one, other, place in zip(before, after, places, strict=True):
        assert [e.text for e in other.explanations] == [f"{e.text} {TEXTS[place]}" for e in one.explanations]
        assert other.model_copy(update={"explanations": one.explanations}) == one


def test_shuffled_phrases_are_the_same_ones_on_other_rows(tmp_path: Path) -> None:
    examples = list(load(SCENES, split="train").examples)[:6]
    file = predicted(tmp_path / "p.jsonl", examples, OWN, RIGHT)
    _, straight, stated = learned(file)
    _, shuffled, stated_too = learned(file, shuffle=True)

    def said(rows: list[Example]) -> list[str]:
        return [p.text for e in rows if (p := spoken(e.explanations[0].text, PHRASES).phrase)]

    assert stated == stated_too
    assert sorted(said(straight)) == sorted(said(shuffled))
    assert said(straight) != said(shuffled)


def test_mistakes_in_the_predictions_are_named(tmp_path: Path) -> None:
    examples = list(load(SCENES, split="train").examples)[:6]
    with pytest.raises(DataError, match=r"a prediction of each row of this source, found none"):
        learned(predicted(tmp_path / "few.jsonl", examples[:5], OWN[:5], RIGHT[:5]))
    with pytest.raises(DataError, match=r"differ enough for 3 phrases, found 6 between 0\.5 and 0\.5"):
        learned(predicted(tmp_path / "alike.jsonl", examples, [0.5] * 6, RIGHT))
    write_records(tmp_path / "bare.jsonl", [Prediction(id=e.id, label=e.label) for e in examples])
    with pytest.raises(DataError, match=r"a probability for each label, found none"):
        learned(tmp_path / "bare.jsonl")


def test_phrases_want_one_training_source_and_an_explanation() -> None:
    said = {"source": "scenes", "confidence": {"predictions": "p.jsonl"}}
    for changes, message in (
        ({"data": {"train": [said, said]}}, "confidence is for one source at most"),
        ({"data": {"train": said, "validation": said}}, "confidence is for training sources"),
        ({"data": {"train": said}, "order": "label_only"}, "label_only writes no explanation"),
    ):
        with pytest.raises(ConfigError, match=message):
            validate_config(TrainConfig, {"name": "x", "student": {"kind": "scratch"}, **changes}, where="x")


# --- a student's answers ---


def test_a_prediction_says_what_its_words_state() -> None:
    def answered(text: str, phrases: Sequence[Phrase] = PHRASES) -> dict[str, Any]:
        return as_row(_prediction(Example(id="1", fields={}), Answer("neutral", {}, text, False), None, phrases))

    said = answered("dogs are animals. i am fairly sure.")
    assert said["explanation"] == "dogs are animals. i am fairly sure."
    assert (said["confidence_phrase"], said["stated_confidence"]) == ("i am fairly sure.", 0.7)
    silent = answered("dogs are animals.")
    assert silent["confidence_phrase"] == ""
    assert "stated_confidence" not in silent
    assert "confidence_phrase" not in answered("dogs are animals. i am fairly sure.", ())


def test_a_student_keeps_its_phrases_and_one_without_keeps_its_file(tmp_path: Path) -> None:
    asked = StudentTask(
        task=NLI, order="label_first", max_source_length=9, max_target_length=9, generation=Generation()
    )
    asked.save(tmp_path)
    assert "phrases" not in json.loads((tmp_path / "task.json").read_text(encoding="utf-8"))
    asked = asked.model_copy(update={"phrases": PHRASES})
    asked.save(tmp_path)
    assert StudentTask.load(tmp_path) == asked


# --- metrics ---


def test_ece_and_auroc_worked_by_hand() -> None:
    values, statistics = stated_statistics(
        [0.5, 0.9, 0.5, 0.9, None, 0.9, 0.9], [False, True, True, True, True, None, False]
    )
    assert values.tolist() == [0.5, 0.9]
    sums = statistics.sum(axis=0)
    assert sums.tolist() == [[1, 1], [1, 2]]
    assert float(stated_ece(sums, values)) == pytest.approx((2 * 0 + 3 * abs(2 / 3 - 0.9)) / 5)
    # Pairs (right, wrong): 0.5 over 0.5 ties, 0.5 under 0.9, 0.9 over 0.5 twice, 0.9 and 0.9 tie twice.
    assert float(auroc(sums)) == pytest.approx((0.5 + 0 + 2 * 1 + 2 * 0.5) / 6)


def test_without_both_kinds_of_answers_there_is_no_auroc() -> None:
    assert np.isnan(auroc(np.array([[0.0, 0.0], [1.0, 2.0]])))
    assert np.isnan(auroc(np.array([[1.0, 2.0], [0.0, 0.0]])))


@given(st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.7, 0.9]), st.booleans()), min_size=2, max_size=30))
@settings(deadline=None)
def test_auroc_is_the_share_of_pairs_in_order(answers: list[tuple[float, bool]]) -> None:
    stated, correct = zip(*answers, strict=True)
    pairs = [(a > b) + (a == b) / 2 for (a, x), (b, y) in product(answers, answers) if x and not y]
    _, statistics = stated_statistics(stated, correct)
    found = float(auroc(statistics.sum(axis=0)))
    ranked = float(ranked_auroc(Ranked(stated, correct)))
    if pairs:
        assert found == pytest.approx(np.mean(pairs))
        assert ranked == pytest.approx(found)
    else:
        assert np.isnan(found)
        assert np.isnan(ranked)


# --- evaluation ---


def answers_of(n: int = 300, seed: int = 5) -> tuple[list[Example], list[Prediction]]:
    """Answers that are right as often as their words say, and whose probabilities are a little finer than those."""
    rng = np.random.default_rng(seed)
    examples, predictions = [], []
    for k in range(n):
        phrase = PHRASES[rng.integers(3)]
        examples.append(
            Example(
                id=f"r{k}",
                fields={"premise": f"Dog {k} runs.", "hypothesis": "An animal moves."},
                label="entailment",
                explanations=(Explanation(text="Dogs are animals that run.", source="human"),),
            )
        )
        label = "entailment" if rng.uniform() < phrase.value else "neutral"
        sure = phrase.value + 0.05 * rng.uniform()
        probabilities = dict.fromkeys(NLI.labels or (), (1 - sure) / 2) | {label: sure}
        predictions.append(
            Prediction(
                id=f"r{k}",
                label=label,
                explanation=f"The dog is an animal. {phrase.text}",
                probabilities=probabilities,
                confidence_phrase=phrase.text,
                stated_confidence=phrase.value,
            )
        )
    return examples, predictions


def test_words_that_mean_what_they_say(tmp_path: Path) -> None:
    examples, predictions = answers_of()
    found = evaluate(predictions, examples, name="x", settings=PLAIN)
    metrics = found.results.metrics
    assert metrics["stated_rate"].value == 1.0
    assert metrics["stated_ece"].value < 0.08
    low, high = metrics["stated_auroc"].ci95 or (0, 0)
    assert 0.6 < low < metrics["stated_auroc"].value < high < 0.9
    assert metrics["confidence_auroc"].value == pytest.approx(metrics["stated_auroc"].value, abs=0.05)
    stated = found.results.calibration.stated
    assert stated is not None
    assert stated.shuffled_auroc is not None
    assert abs(stated.shuffled_auroc - 0.5) < 0.1, "the control"
    assert [(line.phrase, line.value) for line in stated.values] == [(p.text, p.value) for p in PHRASES]
    for line in stated.values:
        right = [p.label == "entailment" for p in predictions if p.confidence_phrase == line.phrase]
        assert line.n == len(right)
        assert line.accuracy == pytest.approx(np.mean(right))
        low, high = line.ci95 or (1.0, 0.0)
        assert low < line.accuracy < high

    save(found, tmp_path / "results")
    system = load_system(tmp_path / "results", "x")
    again, left_out = measures(system, labels_of([system]))
    for name in ("stated_rate", "stated_ece", "stated_auroc"):
        assert again[name].value() == pytest.approx(metrics[name].value)
    assert "confidence_auroc" in left_out


def test_words_at_random_are_at_chance_and_do_not_fit() -> None:
    examples, predictions = answers_of()
    order = np.random.default_rng(1).permutation(len(predictions)).tolist()
    mixed = [
        p.model_copy(
            update={name: getattr(predictions[k], name) for name in ("confidence_phrase", "stated_confidence")}
            | {"explanation": f"The dog is an animal. {predictions[k].confidence_phrase}"}
        )
        for p, k in zip(predictions, order, strict=True)
    ]
    straight = evaluate(predictions, examples, name="x", settings=PLAIN).results.metrics
    shuffled = evaluate(mixed, examples, name="x", settings=PLAIN).results.metrics
    low, high = shuffled["stated_auroc"].ci95 or (0, 0)
    assert low < 0.5 < high
    assert shuffled["stated_ece"].value > straight["stated_ece"].value
    assert shuffled["rougeL"] == straight["rougeL"]
    assert shuffled["confidence_auroc"] == straight["confidence_auroc"]


def test_texts_are_scored_without_the_phrase() -> None:
    examples, predictions = answers_of(40)
    bare = [
        p.model_copy(update={"explanation": p.reasons, "confidence_phrase": None, "stated_confidence": None})
        for p in predictions
    ]
    said, silent = (evaluate(p, examples, name="x", settings=PLAIN) for p in (predictions, bare))
    assert {p.reasons for p in predictions} == {"The dog is an animal."}
    for name, metric in silent.results.metrics.items():
        assert said.results.metrics[name] == metric, name
    assert set(said.results.metrics) - set(silent.results.metrics) == {
        "stated_rate",
        "stated_ece",
        "stated_auroc",
        "confidence_auroc",
    }
    row = said.rows[0]
    assert row.explanation == "The dog is an animal."
    assert (row.score("stated"), row.confidence_phrase) == (True, predictions[0].confidence_phrase)
    assert "stated" not in silent.rows[0].model_fields_set


def test_silence_is_counted() -> None:
    examples, predictions = answers_of(40)
    silent = [
        p.model_copy(update={"explanation": p.reasons, "confidence_phrase": "", "stated_confidence": None})
        for p in predictions
    ]
    some = evaluate([*silent[:10], *predictions[10:]], examples, name="x", settings=PLAIN).results.metrics
    assert some["stated_rate"].value == 0.75
    assert some["stated_ece"].n == some["confidence_auroc"].n == 30
    none = evaluate(silent, examples, name="x", settings=PLAIN).results.metrics
    assert none["stated_rate"].value == 0.0
    assert "stated_ece" not in none


def test_where_all_are_right_there_is_nothing_to_rank() -> None:
    examples, predictions = answers_of(20)
    right = [p for p in predictions if p.label == "entailment"]
    found = evaluate(right, [e for e in examples if e.id in {p.id for p in right}], name="x", settings=PLAIN).results
    assert "stated_ece" in found.metrics
    assert "stated_auroc" not in found.metrics
    assert "nothing to rank" in found.settings["stated"]["left_out"]


# --- sweeps ---


def confident(after: str = "first", part: str = "train", **more: Any) -> dict[str, Any]:
    file = f"{{after}}/predictions/{part}.jsonl"
    return {"name": "own", "after": after, "set": {"data.train.confidence": {"predictions": file, **more}}}


PARTS = [EVALUATE, EVALUATE | {"split": "train", "cells": ["first"]}]


def test_a_cell_learns_from_the_predictions_of_the_one_before_it(tmp_path: Path) -> None:
    path = written(tmp_path, cells=[{"name": "first"}, confident()], evaluate=PARTS, seeds=[3, 4])
    sweep = load_sweep(path)
    own = sweep.trial("own-s4")
    (source,) = own.config.data.train_sources
    assert source.confidence is not None
    assert source.confidence.predictions == f"{tmp_path}/sweeps/s/runs/first-s4/predictions/train.jsonl"
    assert [one.part for one in sweep.scored(own)] == ["test"]
    assert [one.part for one in sweep.scored(sweep.trial("first-s4"))] == ["test", "train"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cells": [{"name": "first"}, confident(part="dev")]}, "first has predictions of test, train"),
        (
            {"cells": [{"name": "first"}, confident() | {"after": None}]},
            r"\{after\}/predictions/train.jsonl: no file at this path",
        ),
        ({"evaluate": [EVALUATE, PARTS[1] | {"cells": ["frist"]}]}, "evaluate: train: cells: expected some of first"),
        ({"evaluate": PARTS[1:]}, "cells.own: no part of evaluate is for it"),
    ],
)
def test_predictions_that_will_not_be_there_are_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    asked = {"cells": [{"name": "first"}, confident()], "evaluate": PARTS, "base": BASE} | changes
    with pytest.raises(ConfigError, match=message):
        load_sweep(written(tmp_path, **asked))


def test_a_report_has_a_line_for_each_phrase(tmp_path: Path) -> None:
    from reasondistill.reporting import build_report

    examples, predictions = answers_of(60)
    found = evaluate(predictions, examples, name="x", settings=PLAIN)
    save(found, tmp_path / "results")
    text = build_report([tmp_path / "results"], tmp_path / "report").markdown.read_text(encoding="utf-8")
    stated = found.results.calibration.stated
    assert stated is not None
    for line in stated.values:
        assert any(
            (line.phrase or "?") in row and f"{line.value:.3f}" in row and f"{line.accuracy:.3f}" in row
            for row in text.splitlines()
        )
    assert f"an AUROC of {stated.shuffled_auroc:.3f}" in text
