"""Errors: which rows are wrong in what, the rule for explanations, examples, and whether the two go together."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasondistill.contracts.records import Example, Explanation, Prediction
from reasondistill.evaluation import EvaluationSettings, evaluate
from reasondistill.evaluation.error_analysis import (
    CELL_EXAMPLES,
    EXAMPLES_EACH,
    KINDS,
    explanation_error_rule,
    find_errors,
)
from reasondistill.evaluation.pairing import Row
from reasondistill.metrics.statistics import GroupBootstrap
from reasondistill.metrics.text import is_among
from reasondistill.tasks.task import NLI, Task

PLAIN = EvaluationSettings(bertscore=False, resamples=200)
LABELS = ("entailment", "neutral", "contradiction")
WRITTEN: dict[str, Any] = {"copy": False, "empty": False}


def row(number: int, gold: str | None, given: str | None, explanation: str = "That is why.", **more: Any) -> Row:
    references = more.pop("references", ["So it is."])
    example = Example(
        id=f"pair-{number:03d}",
        fields={"premise": f"A dog runs past {number} cats.", "hypothesis": "It chases them."},
        label=gold,
        explanations=[Explanation(text=text, source="human") for text in references],
        group=more.pop("group", None),
    )
    return Row(example, Prediction(id=example.id, label=given, explanation=explanation, **more), list(references))


def bootstrap(rows: list[Row], resamples: int = 300) -> GroupBootstrap:
    return GroupBootstrap([(r.example.group,) if r.example.group else r.example.id for r in rows], resamples=resamples)


# --- the rule ---


def test_with_a_judge_the_median_support_of_the_shuffled_control_decides() -> None:
    scores = [{**WRITTEN, "support": s, "rougeL": 1.0} for s in (0.29, 0.3, 0.9)]
    shuffled = [*({"rougeL": 1.0} for _ in range(5)), *({"support": s} for s in (0.1, 0.3, 0.4))]
    rule = explanation_error_rule(scores, shuffled)
    assert (rule.threshold, rule.metric) == (0.3, "support")
    assert "support for the predicted label is below 0.300" in rule.sentence
    assert "other rows of the same predicted label" in rule.sentence
    assert [rule.is_wrong(s) for s in scores] == [True, False, False]
    assert rule.is_wrong({**WRITTEN, "support": None}) is None


def test_a_judge_without_anything_to_compare_with_asks_for_a_half() -> None:
    scores = [{**WRITTEN, "support": s, "rougeL": 1.0} for s in (0.49, 0.5)]
    rule = explanation_error_rule(scores, [{"rougeL": 1.0}])
    assert (rule.threshold, rule.metric) == (0.5, "support")
    assert "below 0.5 (there are no explanations of other rows of the same predicted label" in rule.sentence
    assert [rule.is_wrong(s) for s in scores] == [True, False]


def test_a_control_that_a_judge_refuses_altogether_leaves_only_empty_ones_and_copies() -> None:
    rule = explanation_error_rule([{**WRITTEN, "support": 0.0}], [{"support": 0.0}])
    assert (rule.threshold, rule.metric) == (0.0, "support")
    assert rule.is_wrong({**WRITTEN, "support": 0.0}) is False


def test_without_a_judge_the_median_of_the_shuffled_control_decides() -> None:
    scores = [{**WRITTEN, "rougeL": s} for s in (0.2, 0.3, 0.5)]
    rule = explanation_error_rule(scores, [{"rougeL": s} for s in (0.1, 0.3, 0.9)])
    assert (rule.threshold, rule.metric) == (0.3, "rougeL")
    assert "ROUGE-L is below 0.300" in rule.sentence
    assert "same predicted label" in rule.sentence
    assert [rule.is_wrong(s) for s in scores] == [True, False, False]
    assert rule.is_wrong({**WRITTEN, "rougeL": None}) is None
    assert "same predicted label" not in explanation_error_rule(scores, [{"rougeL": 0.1}], same_label=False).sentence


def test_bertscore_goes_before_rouge() -> None:
    scores = [{**WRITTEN, "rougeL": 0.9, "bertscore_f1": 0.5}]
    rule = explanation_error_rule(scores, [{"rougeL": 0.1, "bertscore_f1": 0.6}])
    assert (rule.threshold, rule.metric) == (0.6, "bertscore_f1")
    assert rule.is_wrong(scores[0]) is True


def test_a_metric_blind_to_the_script_decides_nothing() -> None:
    scores = [{**WRITTEN, "rougeL": 0.0}, {"copy": False, "empty": True, "rougeL": 0.0}]
    rule = explanation_error_rule(scores, [{"rougeL": 0.0}])
    assert (rule.threshold, rule.metric) == (None, None)
    assert [rule.is_wrong(s) for s in scores] == [False, True]


@pytest.mark.parametrize("flaw", ["copy", "empty"])
@pytest.mark.parametrize("metric", ["support", "bertscore_f1", "rougeL", None])
def test_empty_ones_and_copies_are_errors_whatever_they_score(flaw: str, metric: str | None) -> None:
    scores = {**WRITTEN, flaw: True, **({metric: 1.0} if metric else {})}
    rule = explanation_error_rule([scores], [{metric: 0.0}] if metric else [])
    assert rule.is_wrong(scores) is True


@pytest.mark.parametrize("metric", ["support", "bertscore_f1", "rougeL", None])
@pytest.mark.parametrize("copy", [True, False])
def test_what_equals_a_reference_is_never_in_error(metric: str | None, copy: bool) -> None:
    scores = {**WRITTEN, "copy": copy, **({metric: 0.0} if metric else {})}
    rule = explanation_error_rule([scores], [{metric: 0.9}] if metric else [])
    assert rule.is_wrong(scores, is_reference=True) is False
    assert rule.is_wrong(scores) is (copy or metric is not None)
    assert "equals a reference, but for case, spaces and punctuation, does not" in rule.sentence


@pytest.mark.parametrize(
    ("written", "references", "equal"),
    [
        ("so it is", ["Other.", "  So it\tis! "], True),
        ("“So”, it is…", ["So it is."], True),
        ("ＳＯ　ＩＴ is", ["So it is."], True),
        ("他在睡觉。", ["他 在 睡觉"], True),
        ("STRASSE", ["Straße"], True),
        ("So it is not.", ["So it is."], False),
        ("It weighs 1.5 kg.", ["It weighs 15 kg."], False),
        ("It is -2.", ["It is 2."], False),
        ("It is −2.", ["it is -2"], True),
        ("5% agree", ["5 agree"], False),
        ("In all, 3 agree", ["In all 3 agree."], True),
        ("?!", ["..."], False),
        ("...", ["..."], True),
        ("हम", ["ह"], False),
        ("", [""], False),
        (" ", [], False),
        ("So it is.", [], False),
    ],
)
def test_equal_to_a_reference_but_for_case_spaces_and_punctuation(
    written: str, references: list[str], equal: bool
) -> None:
    assert is_among(written, references) is equal


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_text_equals_itself_in_any_case_and_spacing(text: str) -> None:
    assert is_among(text, [text]) is bool(text.strip())
    if text.strip():
        assert is_among(f"  {text}\n", ["other", text])


# --- kinds and counts ---


def judged(rows: list[Row], supports: list[float | None], task: Task = NLI) -> tuple[list[str | None], dict[str, Any]]:
    scores = [
        {"copy": False, "empty": not r.prediction.explanation.strip(), "support": s}
        for r, s in zip(rows, supports, strict=True)
    ]
    errors = find_errors(rows, task, scores, [], bootstrap(rows))
    return list(errors.kinds), errors.summary.model_dump(mode="json")


def test_kinds_and_counts_by_hand() -> None:
    rows = [
        row(1, "neutral", "neutral"),
        row(2, "neutral", "neutral"),
        row(3, "neutral", "entailment"),
        row(4, "entailment", "neutral"),
        row(5, "entailment", None),
        row(6, None, "neutral"),
        row(7, "neutral", "neutral"),
    ]
    kinds, found = judged(rows, [0.9, 0.1, 0.9, 0.1, 0.2, 0.9, None])
    assert kinds == ["none", "explanation", "label", "both", "both", None, None]
    assert found["n"] == 5
    assert found["judged"] == ["label", "explanation"]
    assert {kind: one["n"] for kind, one in found["counts"].items()} == {
        "none": 1, "label": 1, "explanation": 1, "both": 2,
    }  # fmt: skip
    assert found["counts"]["both"]["share"] == pytest.approx(0.4)
    assert found["per_label"]["neutral"]["none"]["share"] == pytest.approx(1 / 3)
    assert found["per_label"]["entailment"]["both"]["n"] == 2
    assert "contradiction" not in found["per_label"]
    # Beside a right label 1 explanation of 2 is wrong, beside a wrong one 2 of 3; row 7 has no verdict.
    together = found["association"]
    assert (together["label_right"]["n"], together["label_right"]["share"]) == (2, 0.5)
    assert (together["label_wrong"]["n"], together["label_wrong"]["share"]) == (3, pytest.approx(2 / 3))
    assert together["difference"]["value"] == pytest.approx(1 / 6)


def test_intervals_are_those_of_the_group_bootstrap() -> None:
    rows = [
        row(k, "neutral" if k % 3 else "entailment", "neutral" if k % 4 else "entailment", group=f"g{k // 3}")
        for k in range(60)
    ]
    supports: list[float | None] = [None if k % 7 == 0 else (k % 5) / 4 for k in range(60)]
    kinds, found = judged(rows, supports)
    for kind in KINDS:
        values = [None if k is None else float(k == kind) for k in kinds]
        assert found["counts"][kind]["ci95"] == pytest.approx(bootstrap(rows).mean_interval(values))
    beside_right = [
        None if s is None or r.prediction.label != r.example.label else float(s < 0.5)
        for r, s in zip(rows, supports, strict=True)
    ]
    assert found["association"]["label_right"]["ci95"] == pytest.approx(bootstrap(rows).mean_interval(beside_right))
    low, high = found["association"]["difference"]["ci95"]
    assert low <= found["association"]["difference"]["value"] <= high


def test_explanations_that_go_wrong_with_the_label_are_told() -> None:
    rows = [row(k, "neutral", "neutral" if k % 2 else "entailment") for k in range(100)]
    _, found = judged(rows, [0.9 if k % 2 else 0.1 for k in range(100)])
    assert found["association"]["difference"] == {"value": 1.0, "ci95": [1.0, 1.0]}
    _, found = judged([row(1, "neutral", "neutral"), row(2, "neutral", "neutral")], [0.1, 0.9])
    assert found["association"] is None


def test_without_gold_labels_only_explanations_are_judged() -> None:
    kinds, found = judged([row(1, None, "neutral"), row(2, None, "neutral")], [0.1, 0.9])
    assert kinds == ["explanation", "none"]
    assert found["judged"] == ["explanation"]
    assert (found["association"], found["confusion"], found["per_label"]) == (None, [], {})


def test_a_system_without_labels_is_judged_by_its_explanations() -> None:
    kinds, found = judged([row(1, "neutral", None), row(2, "neutral", None)], [0.1, 0.9])
    assert kinds == ["explanation", "none"]
    assert found["confusion"] == []


def test_a_system_that_explains_nothing_is_judged_by_its_labels() -> None:
    kinds, found = judged([row(1, "neutral", "neutral", ""), row(2, "neutral", "entailment", " ")], [None, None])
    assert kinds == ["none", "label"]
    assert (found["judged"], found["rule"], found["threshold"]) == (["label"], None, None)


def test_nothing_to_judge_gives_nothing() -> None:
    assert judged([row(1, None, "neutral", "")], [None]) == ([None], {})


def test_one_group_gives_no_interval() -> None:
    _, found = judged([row(k, "neutral", "neutral", group="one") for k in range(3)], [0.1, 0.9, 0.9])
    assert found["counts"]["explanation"] == {"n": 1, "share": pytest.approx(1 / 3), "ci95": None}


# --- examples ---


def test_examples_come_worst_first_whatever_the_order_of_rows() -> None:
    def sure(p: float) -> dict[str, Any]:
        return {"probabilities": {"neutral": p, "entailment": 1 - p, "contradiction": 0.0}}

    rows = [row(k, "entailment", "neutral", **sure(0.5 + k / 100)) for k in range(10)]
    rows += [row(20 + k, "contradiction", "contradiction") for k in range(8)]
    rows += [row(30, "neutral", "entailment")]
    supports: list[float | None] = [*[0.9] * 10, *[0.05 * k for k in range(8)], 0.1]
    _, found = judged(rows, supports)
    shown = found["examples"]
    assert [one["id"] for one in shown["label"]] == [f"pair-{k:03d}" for k in (9, 8, 7, 6, 5)]
    assert [one["id"] for one in shown["explanation"]] == [f"pair-{k:03d}" for k in (20, 21, 22, 23, 24)]
    assert len(shown["label"]) == EXAMPLES_EACH
    cells = [(cell["gold"], cell["predicted"], cell["n"]) for cell in found["confusion"]]
    assert cells == [("entailment", "neutral", 10), ("neutral", "entailment", 1)]
    first = found["confusion"][0]["examples"]
    assert len(first) == CELL_EXAMPLES
    assert first[0] == {
        "id": "pair-009",
        "fields": {"premise": "A dog runs past 9 cats.", "hypothesis": "It chases them."},
        "gold": "entailment",
        "label": "neutral",
        "confidence": pytest.approx(0.59),
        "explanation": "That is why.",
        "score": 0.9,
        "references": ["So it is."],
    }
    backwards = judged(rows[::-1], supports[::-1])[1]
    assert backwards["examples"] == shown
    assert backwards["confusion"] == found["confusion"]


def test_a_row_without_a_label_stands_in_a_cell_of_its_own() -> None:
    _, found = judged([row(1, "neutral", None), row(2, "neutral", "neutral")], [0.9, 0.9])
    assert [(cell["predicted"], cell["n"]) for cell in found["confusion"]] == [(None, 1)]


# --- through evaluate ---


def examples_and_answers(texts: list[tuple[str, str, str]]) -> tuple[list[Example], list[Prediction]]:
    """From (label, explanation, reference), the label given is the gold one."""
    rows = [row(k, label, label, text, references=[ref]) for k, (label, text, ref) in enumerate(texts)]
    return [r.example for r in rows], [r.prediction for r in rows]


def test_evaluate_finds_an_explanation_of_something_else() -> None:
    things = ["dog", "cat", "horse", "boat", "train", "tree", "house", "river", "stone", "cloud"]
    texts = [("neutral", f"the {thing} may be anywhere", f"the {thing} may be anywhere") for thing in things]
    texts[4] = ("neutral", "quite another matter", texts[4][2])
    examples, answers = examples_and_answers(texts)
    evaluation = evaluate(answers, examples, name="things", settings=PLAIN)
    errors = evaluation.results.errors.model_dump(mode="json")
    assert (errors["metric"], errors["threshold"]) == ("rougeL", pytest.approx(0.8))
    assert [r.id for r in evaluation.rows if r.error == "explanation"] == ["pair-004"]
    assert errors["counts"]["explanation"]["n"] == 1


def test_no_card_calls_an_explanation_wrong_that_the_data_have_as_a_reference() -> None:
    things = ["dog", "cat", "horse", "boat", "train", "tree", "house", "river", "stone", "cloud"]
    texts = [("neutral", f"the {thing} may be anywhere", f"the {thing} may be anywhere") for thing in things]
    texts[2] = ("neutral", "It chases them", "It chases them.")  # restates the hypothesis, as the reference does
    texts[3] = ("neutral", "THE BOAT , MAY BE ANYWHERE", "the boat may be anywhere")
    texts[4] = ("neutral", "quite another matter", "the train may be anywhere")
    examples, answers = examples_and_answers(texts)
    evaluation = evaluate(answers, examples, name="things", settings=PLAIN)
    assert [row.id for row in evaluation.rows if row.error == "explanation"] == ["pair-004"]


def test_a_reference_of_another_label_is_none_of_the_gold_one() -> None:
    things = ["dog", "cat", "horse", "boat"]
    texts = [("neutral", f"the {thing} may be anywhere", f"the {thing} may be anywhere") for thing in things]
    examples, answers = examples_and_answers(texts)
    wrong = [
        Explanation(text="quite another matter", source="gpt", label="entailment"),
        Explanation(text="quite another matter", source="gpt", label=""),
    ]
    examples[1] = examples[1].model_copy(update={"explanations": (*wrong, *examples[1].explanations)})
    answers[1] = answers[1].model_copy(update={"explanation": "Quite another matter!"})
    evaluation = evaluate(answers, examples, name="things", settings=PLAIN)
    assert evaluation.rows[1].references == ["the cat may be anywhere"]
    assert evaluation.rows[1].error == "explanation"
    assert evaluation.results.settings["reference_sources"] == {"human": 4}


def test_a_system_that_gives_no_labels_has_none_right_or_wrong() -> None:
    texts = [("neutral", f"the {thing} may be anywhere", "it may be") for thing in ("dog", "cat", "horse")]
    examples, answers = examples_and_answers(texts)
    unlabelled = [answer.model_copy(update={"label": None}) for answer in answers]
    assert [row.correct for row in evaluate(unlabelled, examples, name="x", settings=PLAIN).rows] == [None] * 3
    answers[0] = unlabelled[0]
    assert [row.correct for row in evaluate(answers, examples, name="x", settings=PLAIN).rows] == [False, True, True]


def test_rows_without_references_have_no_verdict_where_others_have() -> None:
    data, answers = examples_and_answers([("neutral", "so it goes", "so it goes")] * 3)
    bare = row(9, "neutral", "neutral", "so it goes", references=[])
    evaluation = evaluate([*answers, bare.prediction], [*data, bare.example], name="x", settings=PLAIN)
    assert [r.error for r in evaluation.rows] == ["none", "none", "none", None]
    nothing = evaluate([bare.prediction], [bare.example], name="x", settings=PLAIN)
    assert nothing.results.errors.metric is None
    assert nothing.rows[0].error == "none"


def test_choices_have_no_confusion_and_are_shuffled_over_all_rows() -> None:
    task = Task(name="quiz", fields=("question",))
    data = [
        Example(
            id=str(k),
            fields={"question": f"What is {word}?"},
            label=f"{word} one",
            choices=(f"{word} one", f"{word} two"),
            explanations=[Explanation(text=f"it is {word}", source="human")],
        )
        for k, word in enumerate(["red", "blue", "green", "grey"])
    ]
    answers = [
        Prediction(id=e.id, label=(e.choices or ())[k == 2], explanation=e.references[0].text)
        for k, e in enumerate(data)
    ]
    evaluation = evaluate(answers, data, task=task, name="quiz", settings=PLAIN)
    errors = evaluation.results.errors.model_dump(mode="json")
    assert errors["metric"] == "rougeL"
    assert "same predicted label" not in errors["rule"]
    assert [r.error for r in evaluation.rows] == ["none", "none", "label", "none"]
    assert (errors["confusion"], errors["per_label"]) == ([], {})


def test_a_task_without_labels_is_judged_by_explanations() -> None:
    task = Task(name="why", fields=("question",), labels=())
    words = ["river", "stone", "cloud", "tree"]
    data = [
        Example(
            id=word, fields={"question": f"Why a {word}?"}, explanations=[Explanation(text=f"a {word} is", source="x")]
        )
        for word in words
    ]
    answers = [
        Prediction(id=w, label=None, explanation="" if w == "tree" else f"{'' if w == 'stone' else 'a '}{w} is")
        for w in words
    ]
    evaluation = evaluate(answers, data, task=task, name="why", settings=PLAIN)
    assert [r.error for r in evaluation.rows] == ["none", "none", "none", "explanation"]
    assert evaluation.results.errors.judged == ["explanation"]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([*LABELS, None]),
            st.sampled_from([*LABELS, None]),
            st.sampled_from(["", "because", "多くの犬", "It chases them.", "I\u0307stanbul ß"]),
            st.booleans(),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_kinds_add_up_whatever_is_missing(drawn: list[tuple[str | None, str | None, str, bool]]) -> None:
    rows = [
        row(k, gold, given, text, references=["because it is so"] if has else [])
        for k, (gold, given, text, has) in enumerate(drawn)
    ]
    evaluation = evaluate([r.prediction for r in rows], [r.example for r in rows], name="x", settings=PLAIN)
    errors, kinds = evaluation.results.errors.model_dump(mode="json"), [r.error for r in evaluation.rows]
    if not errors:
        assert set(kinds) == {None}
        return
    counts = {kind: one["n"] for kind, one in errors["counts"].items()}
    assert counts == {kind: kinds.count(kind) for kind in KINDS}
    assert sum(counts.values()) == errors["n"] == sum(kind is not None for kind in kinds)
    for scored in evaluation.rows:
        if "label" in errors["judged"] and scored.error is not None:
            assert (scored.error in ("label", "both")) == (scored.gold != scored.label)
