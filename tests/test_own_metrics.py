"""A user's metric is registered once, and found in results, comparison, report and help."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from make import answer, example
from reasondistill import metrics
from reasondistill.config import EvaluationSettings
from reasondistill.contracts.scored_rows import ScoredRow
from reasondistill.errors import ConfigError, UserError
from reasondistill.evaluation import Evaluation, evaluate
from reasondistill.evaluation.own_metrics import add_own_metrics
from reasondistill.metrics import Metric
from reasondistill.metrics.registry import metric_of
from reasondistill.metrics.statistics import GroupBootstrap
from reasondistill.tasks.task import NLI

REFERENCE = "a dog runs past cats"
EXPLAINED = ("cats", "a dog runs past", "a dog runs past many cats", "")
"""Of 1, 4, 6 and 0 words; the second and third have three words in common with a reference's first four."""


def words(row: ScoredRow) -> int:
    return len((row.explanation or "").split())


def named(row: ScoredRow) -> float | None:
    """Whether the explanation names what the input is about; it says nothing of an empty one."""
    return None if not row.explanation else float("dog" in row.explanation)


BREVITY = Metric(
    name="brevity",
    title="Brevity of explanations",
    range=(0.0, 1.0),
    row_score=lambda row: 1 / (1 + words(row)),
    settings={"weight": 1},
)
NAMED = Metric(name="names_the_dog", row_score=named, controlled=True)
LETTERS = Metric(
    name="letters_per_word",
    title="Letters per word",
    range=(0.0, float("inf")),
    higher_is_better=False,
    row_sums=lambda row: (len((row.explanation or "").replace(" ", "")), words(row)) if row.explanation else None,
    value=lambda sums: sums[..., 0] / sums[..., 1],
)


@pytest.fixture
def registered() -> Iterator[None]:
    for metric in (BREVITY, NAMED, LETTERS):
        metrics.register(metric)
    yield
    for metric in (BREVITY, NAMED, LETTERS):
        metrics.forget(metric.name)


def evaluation(explanations: tuple[str, ...] = EXPLAINED) -> Evaluation:
    labels = ("neutral", "entailment")
    examples = [example(k, labels[k % 2], (REFERENCE,), group=f"g{k}") for k in range(len(explanations))]
    answers = [answer(k, labels[k % 2], text) for k, text in enumerate(explanations)]
    settings = EvaluationSettings(bertscore=False, resamples=200)
    return evaluate(answers, examples, task=NLI, name="dogs", settings=settings)


@pytest.mark.usefixtures("registered")
def test_a_mean_of_row_scores_is_in_the_results() -> None:
    found = evaluation()
    assert [row.score("brevity") for row in found.rows] == pytest.approx([1 / 2, 1 / 5, 1 / 7, 1])
    brevity = found.results.metrics["brevity"]
    assert brevity.value == pytest.approx((1 / 2 + 1 / 5 + 1 / 7 + 1) / 4)
    assert brevity.n == 4
    assert brevity.ci95 is not None
    assert brevity.ci95[0] < brevity.value < brevity.ci95[1]
    assert found.results.per_label["neutral"]["brevity"].value == pytest.approx((1 / 2 + 1 / 7) / 2)
    assert found.results.settings["brevity"] == {"weight": 1}


@pytest.mark.usefixtures("registered")
def test_rows_that_a_metric_says_nothing_of_do_not_count() -> None:
    found = evaluation()
    assert [row.score("names_the_dog") for row in found.rows] == [0, 1, 1, None]
    assert found.results.metrics["names_the_dog"].value == pytest.approx(2 / 3)
    assert found.results.metrics["names_the_dog"].n == 3


@pytest.mark.usefixtures("registered")
def test_a_controlled_metric_is_given_what_explains_nothing() -> None:
    found = evaluation()
    # "The dog chases 1 cats." names the dog in every row, the system does so in two of three.
    assert found.results.baselines["copied_hypothesis"]["names_the_dog"] == 1.0
    assert "copied_hypothesis" in found.results.settings["fooled"]["names_the_dog"]
    assert "names_the_dog" not in found.results.controls["empty"]  # it says nothing of empty explanations
    assert "brevity" not in found.results.baselines["copied_hypothesis"]


@pytest.mark.usefixtures("registered")
def test_a_figure_of_sums_is_no_mean_of_rows() -> None:
    found = evaluation()
    letters = found.results.metrics["letters_per_word"]
    assert letters.value == pytest.approx((4 + 12 + 20) / (1 + 4 + 6))
    assert letters.n == 3
    assert letters.ci95 is not None


@pytest.mark.usefixtures("registered")
def test_comparison_and_reports_know_it(
    tmp_path: Path, run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    evaluation().save("one")
    evaluation(("dog cats", "a dog", "a dog runs", "dogs")).save("other")
    names = [word for name in ("brevity", "letters_per_word") for word in ("--metric", name)]
    status, _, message = run("compare", "one", "other", *names, "--out", "compared", "--resamples", 50)
    assert status == 0, message
    pair = json.loads(Path("compared/comparison.json").read_text(encoding="utf-8"))["pairs"][0]
    assert pair["metrics"].keys() == {"brevity", "letters_per_word"}
    assert pair["left_out"] == {}
    assert pair["metrics"]["brevity"]["effect"]["name"] == "cohens_d_z"
    assert pair["metrics"]["letters_per_word"]["baseline"] == pytest.approx(36 / 11)
    # A pair is compared on the rows that both explain: not on the last one.
    assert pair["metrics"]["letters_per_word"]["system"] == pytest.approx((7 + 4 + 8) / (2 + 2 + 3))
    text = Path("compared/final_report.md").read_text(encoding="utf-8")
    assert "Brevity of explanations" in text
    assert "Letters per word ↓" in text
    status, _, message = run("report", "one", "--out", "report")
    assert status == 0, message
    page = next(Path("report").rglob("*.html")).read_text(encoding="utf-8")
    assert "Brevity of explanations" in page
    assert "Letters per word ↓" in page
    assert "Names the dog" in page


@pytest.mark.usefixtures("registered")
def test_systems_with_other_settings_of_it_are_not_compared(
    tmp_path: Path, run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    evaluation().save("one")
    metrics.register(Metric(name="brevity", row_score=BREVITY.row_score, settings={"weight": 2}))
    evaluation().save("other")
    status, _, message = run("compare", "one", "other", "--out", "compared", "--resamples", 50)
    assert status == 0, message
    pair = json.loads(Path("compared/comparison.json").read_text(encoding="utf-8"))["pairs"][0]
    assert "brevity.weight is 2 for other, 1 for one" in pair["left_out"]["brevity"]


def test_the_help_names_it() -> None:
    code = (
        "from reasondistill import metrics; from reasondistill.metrics import Metric\n"
        "metrics.register(Metric(name='brevity', row_score=lambda row: 1.0))\n"
        "import sys; sys.argv = ['reasondistill', 'compare', '--help']\n"
        "from reasondistill.cli.commands import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "brevity" in done.stdout
    assert "label_accuracy" in done.stdout


def test_without_registered_metrics_nothing_is_added() -> None:
    found = evaluation()
    assert not {"brevity", "names_the_dog", "letters_per_word"} & found.results.metrics.keys()


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"name": "rougeL", "row_score": named}, "rougeL"),
        ({"name": "label", "row_score": named}, "label"),
        ({"name": "tidy", "score": "copy", "row_score": named}, "copy"),
        ({"name": "two words", "row_score": named}, "two words"),
        ({"name": "nothing"}, "neither"),
        ({"name": "both", "row_score": named, "row_sums": lambda row: (1.0,), "value": np.sum}, "both"),
        ({"name": "half", "row_sums": lambda row: (1.0,)}, "neither"),
        ({"name": "strong", "row_score": named, "evidence": 1}, "evidence"),
        ({"name": "low", "row_score": named, "controlled": True, "higher_is_better": False}, "higher_is_better"),
    ],
)
def test_what_is_no_metric_is_refused(more: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        metrics.register(Metric(**more))
    assert more["name"] not in {metric.name for metric in metrics.known_metrics() if metric.family == "own"}


@pytest.mark.parametrize("score", ["many", float("nan"), [1.0]])
def test_what_is_no_score_is_refused(score: Any) -> None:
    metrics.register(Metric(name="odd", row_score=lambda row: score))
    try:
        with pytest.raises(UserError, match="odd, id 'pair-0'"):
            evaluation()
    finally:
        metrics.forget("odd")


def test_a_key_of_the_rows_is_not_overwritten() -> None:
    metrics.register(Metric(name="tidiness", score="teacher_rougeL", row_score=named))
    try:
        evaluation()  # without a teacher the key is free
        rows = [ScoredRow.model_validate({"id": "1", "explanation": "a dog", "teacher_rougeL": 0.5})]
        found = evaluation()
        with pytest.raises(ConfigError, match="teacher_rougeL"):
            add_own_metrics(found.results, rows, GroupBootstrap(["1"]), labels=(), baselines={}, controls={})
    finally:
        metrics.forget("tidiness")


def test_numbers_of_numpy_are_scores() -> None:
    metrics.register(Metric(name="lucid", row_score=lambda row: np.float64(0.5)))
    try:
        assert evaluation().rows[0].score("lucid") == 0.5
    finally:
        metrics.forget("lucid")


def test_an_unknown_name_gets_a_title_and_no_direction() -> None:
    unknown = metric_of("some_figure")
    assert (unknown.title, unknown.lower_is_better, unknown.decimals) == ("Some figure", False, 3)
