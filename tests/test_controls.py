"""Negative controls: what they are made of, and that metrics that they fool are named."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasondistill.contracts.records import Example, Explanation, Prediction
from reasondistill.evaluation import EvaluationSettings, evaluate
from reasondistill.evaluation.controls import control_explanations, fooled, shuffled_within_label
from reasondistill.evaluation.pairing import Row
from reasondistill.judges import Argued
from reasondistill.tasks.task import NLI

PLAIN = EvaluationSettings(bertscore=False, resamples=100)


def test_the_control_gives_each_row_another_of_its_label() -> None:
    labels = ["a", "b", "a", "a", None, None, "c"]
    ids = [f"row {k}" for k in range(7)]
    others = shuffled_within_label(labels, ids)
    assert others[1] is None
    assert others[6] is None
    assert sorted(others[k] or 0 for k in (0, 2, 3)) == [0, 2, 3]
    assert (others[4], others[5]) == (5, 4)
    assert all(other != k for k, other in enumerate(others))
    assert shuffled_within_label(labels, ids) == others


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", None]), max_size=20))
def test_the_control_is_a_derangement_within_labels(labels: list[str | None]) -> None:
    others = shuffled_within_label(labels, [str(k) for k in range(len(labels))])
    moved = [other for other in others if other is not None]
    assert len(moved) == len(set(moved))
    for k, other in enumerate(others):
        assert (other is None) == (labels.count(labels[k]) == 1)
        assert other is None or (other != k and labels[other] == labels[k])


def test_the_control_prefers_another_group() -> None:
    labels, groups = ["a"] * 6, ["x", "x", "x", "y", "y", "y"]
    others = shuffled_within_label(labels, [str(k) for k in range(6)], groups)
    same = sum(groups[k] == groups[other] for k, other in enumerate(others) if other is not None)
    plain = shuffled_within_label(labels, [str(k) for k in range(6)])
    assert same <= sum(groups[k] == groups[other] for k, other in enumerate(plain) if other is not None)
    assert shuffled_within_label(["a", "a"], ["1", "2"], ["x", "x"]) == [1, 0]


def row(number: int, gold: str, given: str, said: str, group: str, *, other: str | None = None) -> Row:
    explanations = [Explanation(text=f"reference {number} words", source="human")]
    if other is not None:
        explanations.append(Explanation(text=other, source="teacher", label="contradiction"))
    example = Example(
        id=f"pair-{number}",
        fields={"premise": f"premise {number} here", "hypothesis": f"hypothesis {number} there"},
        label=gold,
        explanations=tuple(explanations),
        group=group,
    )
    return Row(example, Prediction(id=example.id, label=given, explanation=said), [explanations[0].text])


ROWS = [
    row(1, "neutral", "neutral", "said one", "g1"),
    row(2, "neutral", "neutral", "said two", "g2", other="for contradiction"),
    row(3, "entailment", "entailment", "said three", "g1"),
    row(4, "neutral", "neutral", "  ", "g3"),
]


def test_controls_by_hand() -> None:
    controls = control_explanations(ROWS, NLI)
    assert set(controls) == {"shuffled_within_label", "other_label", "empty"}
    assert controls["empty"] == [""] * 4
    # The data's own explanation for another label goes first; else the one of the same photo with another label.
    assert controls["other_label"] == ["said three", "for contradiction", "said one", None]
    shuffled = controls["shuffled_within_label"]
    assert shuffled[2] is None
    assert sorted(shuffled[k] or "" for k in (0, 1, 3)) == ["  ", "said one", "said two"]
    assert all(shuffled[k] != ROWS[k].prediction.explanation for k in (0, 1, 3))


def test_a_metric_that_a_control_fools_is_named() -> None:
    assert fooled(
        {"rougeL": 0.5, "bleu": 20.0, "support": 0.9},
        {
            "copied_hypothesis": {"rougeL": 0.6, "bleu": 10.0},
            "template": {"rougeL": 0.4, "support": 0.95},
            "references": {"rougeL": 0.9, "bleu": 90.0},
        },
        {"other_label": {"rougeL": 0.3, "support": 0.8, "explanation_length": 90.0}},
        {"other_label": {"rougeL": 0.2, "support": 0.85, "explanation_length": 3.0}},
    ) == {"rougeL": ["other_label", "copied_hypothesis"], "support": ["template"]}


class OneWordJudge:
    """Supports whatever holds the number of its premise, for the label it was asked about."""

    settings: ClassVar[dict[str, Any]] = {"judge": "one word", "fingerprint": "0"}

    @property
    def encoder(self) -> Any:
        from reasondistill.judges.encoders import WordEncoder

        return WordEncoder([])

    def refuse_task(self, task: Any) -> None: ...

    def refuse_seen(self, examples: Any, task: Any) -> None:
        self.checked = [e.id for e in examples]

    def support(self, rows: Any, progress: Any = None) -> list[float]:
        def one(argued: Argued) -> float:
            number = argued.fields[0].split()[1]
            return 1.0 if number in argued.explanation and argued.label == "neutral" else 0.0

        return [one(argued) for argued in rows]


def test_support_of_the_system_people_baselines_and_controls() -> None:
    data = [row.example for row in ROWS]
    said = ["because of 1", "because of 9", "because of 3", ""]
    answers = [
        Prediction(id=r.example.id, label=r.prediction.label, explanation=text)
        for r, text in zip(ROWS, said, strict=True)
    ]
    judge: Any = OneWordJudge()
    evaluation = evaluate(answers, data, name="x", settings=PLAIN, judge=judge)
    results = evaluation.results
    assert judge.checked == [e.id for e in data]
    # Row 3 is explained, but as entailment, which this judge never supports.
    assert [r.score("support") for r in evaluation.rows] == [1.0, 0.0, 0.0, 0.0]
    assert results.metrics["support"].value == 0.25
    assert results.metrics["support"].n == 4
    assert results.per_label["neutral"]["support"].value == pytest.approx(1 / 3)
    assert results.per_label["entailment"]["support"].value == 0.0
    assert results.baselines["copied_premise"]["support"] == 0.75
    assert results.controls["empty"]["support"] == 0.0
    assert results.controls["shuffled_within_label"]["support"] == 0.0
    assert results.settings["support"] == judge.settings
    assert results.settings["fooled"]["support"] == ["copied_premise", "copied_hypothesis", "template"]
    # No explanation fits another row: the median of that control is 0 (three rows given the same label).
    assert (results.errors.metric, results.errors.threshold) == ("support", 0.0)
    assert results.errors.control_n == 3


def test_people_are_judged_by_the_gold_label() -> None:
    data = [
        e.model_copy(update={"explanations": tuple(Explanation(text=f"{k} of {n}", source="h") for k in "ab")})
        for n, e in enumerate([r.example for r in ROWS[:3]], 1)
    ]
    answers = [Prediction(id=e.id, label="contradiction", explanation="x") for e in data]
    judge: Any = OneWordJudge()
    results = evaluate(answers, data, name="x", settings=PLAIN, judge=judge).results
    assert results.baselines["references"]["support"] == pytest.approx(2 / 3)
    assert results.metrics["support"].value == 0.0
    assert "support" not in results.baselines["student_fewer_references"]
