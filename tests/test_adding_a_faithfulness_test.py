"""A faithfulness test is one class: a toy one is found everywhere; docs hold what the classes say; earlier results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from known_students import Honest, Verbose
from reasondistill.comparison import compare
from reasondistill.comparison.systems import load_system
from reasondistill.contracts.base import MetricValue
from reasondistill.contracts.faithfulness import DetailTable, FaithfulnessDetails, Quotes
from reasondistill.contracts.results import Results
from reasondistill.contracts.scored_rows import read_scored_rows
from reasondistill.data.scenes import generate
from reasondistill.errors import ConfigError
from reasondistill.evaluation import EvaluationSettings, evaluate
from reasondistill.evaluation.faithfulness import (
    FaithfulnessSettings,
    FaithfulnessTest,
    Outcome,
    Sample,
    faithfulness_tests,
    measure_faithfulness,
    register,
)
from reasondistill.evaluation.faithfulness.needs import EXPLANATIONS
from reasondistill.evaluation.faithfulness.registered_tests import forget
from reasondistill.metrics.registry import known_metrics
from reasondistill.metrics.statistics import mean
from reasondistill.reporting import build_report

METRICS_PAGE = Path(__file__).resolve().parents[1] / "docs" / "metrics.md"
EXAMPLES = generate(40)


class Quoting(FaithfulnessTest):
    """Whether an explanation quotes the hypothesis."""

    name = "quoting"
    title = "Does it quote the hypothesis?"
    meaning = "Proves: it quotes. Does not prove: anything."
    metrics = ("quoting_rate",)
    needs = (EXPLANATIONS,)
    turn = 90

    whole: bool = True

    def measure(self, sample: Sample) -> Outcome:
        rows = zip(sample.examples, sample.explanations, strict=True)
        values = [float(example.fields["hypothesis"] in text) for example, text in rows]
        details = FaithfulnessDetails(
            figures={"quoted_words": 7},
            tables=[DetailTable(title="Of the halves", columns=["Half", "Rate"], rows=[["first", 0.25]])],
            quotes=[Quotes(title="Some that quote", cases=[{"id": "x1", "why": "<because>"}])],
        )
        return Outcome({"quoting_rate": mean(values, sample.bootstrap)}, details, {"quoting_rate": [*values]})


@pytest.fixture
def toy() -> Iterator[None]:
    register(Quoting)
    yield
    forget(Quoting.name)


def system(subject: Any, out: Path) -> Path:
    plain = EvaluationSettings(bertscore=False, resamples=50)
    evaluation = evaluate(subject.predict(EXAMPLES), EXAMPLES, name="scenes", split="test", settings=plain)
    settings = FaithfulnessSettings(quoting={"whole": False}, simulatability={"encoder": False}).limited(12)
    evaluation.with_faithfulness(measure_faithfulness(subject, EXAMPLES, settings=settings, resamples=50)).save(out)
    return out


def test_a_registered_test_is_in_results_comparison_and_report(toy: None, tmp_path: Path) -> None:
    folders = [system(Honest(), tmp_path / "honest"), system(Verbose(), tmp_path / "verbose")]
    results = Results.load(folders[1] / "results.json")
    details = results.faithfulness["quoting"]
    assert (details.settings, details.metrics, details.figures) == (
        {"examples": 12, "whole": False},
        ["quoting_rate"],
        {"quoted_words": 7},
    )
    assert results.metrics["quoting_rate"].value == 1.0
    scores = [row.score("quoting_rate") for row in read_scored_rows(folders[1] / "per_example.jsonl")]
    assert sum(score is not None for score in scores) == results.metrics["quoting_rate"].n == details.examples
    [pair] = compare([load_system(folder, folder.name) for folder in folders]).pairs
    assert pair.metrics["quoting_rate"].difference == 1.0
    report = build_report(folders[1:], tmp_path / "report").markdown.read_text(encoding="utf-8")
    for text in (Quoting.title, Quoting.meaning, "Quoting rate", "Quoted words", "Of the halves", "Some that quote"):
        assert text in report, text


def missing_from(page: str) -> list[str]:
    """Tests whose row is not in the table of docs/metrics.md as the classes have it."""
    rows = {
        kind.name: f"| `{kind.name}` | {kind.title} | {', '.join(need.what for need in kind.needs)} "
        f"| {', '.join(f'`{name}`' for name in kind.metrics)} | {', '.join(kind.controls) or '–'} |"
        for kind in faithfulness_tests()
    }
    return [name for name, row in rows.items() if row not in page.splitlines()]


def test_the_page_of_metrics_has_every_test_as_its_class_says() -> None:
    assert missing_from(METRICS_PAGE.read_text(encoding="utf-8")) == []


def test_a_test_that_the_page_lacks_is_missed(toy: None) -> None:
    assert missing_from(METRICS_PAGE.read_text(encoding="utf-8")) == ["quoting"]


def test_names_are_not_taken_twice(toy: None) -> None:
    class Impostor(Quoting):
        name = "robustness"

    with pytest.raises(ConfigError, match="no test of the package"):
        register(Impostor)
    with pytest.raises(ConfigError, match="poetry"):
        FaithfulnessSettings(poetry={})
    assert "quoting" in FaithfulnessSettings().tests


def test_every_metric_of_a_test_is_known_and_no_other_claims_to_be_one() -> None:
    given = [name for kind in faithfulness_tests() for name in kind.metrics]
    assert sorted(given) == sorted(metric.name for metric in known_metrics() if metric.family == "faithfulness")


def test_turns_are_all_different() -> None:
    turns = [kind.turn for kind in faithfulness_tests()]
    assert turns == sorted(set(turns))


def test_details_that_had_no_form_are_read() -> None:
    earlier = {
        "settings": {"examples": 500, "fields": ["premise"]},
        "metrics": ["reconstruction_coverage"],
        "examples": 66,
        "by_chance": 0.25,
        "people": {"value": 0.9, "n": 60},
        "bins": {"leaking": {"n": 3, "gain": {"value": 0.5, "ci95": None, "n": 3}, "accuracy": {"both": None}}},
        "las": {"left_out": "one of the two bins is empty"},
        "controls": {"copied premise": 0.1, "explanations of other examples": {"simulatability": None, "las": 0.2}},
        "lost": [{"id": "7", "label": "neutral"}],
        "kept": [],
    }
    assert FaithfulnessDetails.model_validate(earlier) == FaithfulnessDetails(
        settings=earlier["settings"],
        metrics=["reconstruction_coverage"],
        examples=66,
        figures={
            "by_chance": 0.25,
            "people": MetricValue(value=0.9, n=60),
            "bins.leaking.n": 3,
            "bins.leaking.gain": MetricValue(value=0.5, n=3),
        },
        controls={"copied premise": {"": 0.1}, "explanations of other examples": {"simulatability": None, "las": 0.2}},
        quotes=[Quotes(title="lost", cases=[{"id": "7", "label": "neutral"}])],
    )
    left_out = FaithfulnessDetails.model_validate({"left_out": "no labels", "metrics": []})
    assert left_out == FaithfulnessDetails(left_out="no labels")


def test_details_are_the_same_after_writing() -> None:
    settings = FaithfulnessSettings(simulatability={"encoder": False}).limited(12)
    for details in measure_faithfulness(Honest(), EXAMPLES, settings=settings, resamples=20).tests.values():
        assert FaithfulnessDetails.model_validate_json(details.model_dump_json()) == details
