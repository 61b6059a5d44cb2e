"""Slices: which rows belong to which, their figures and intervals, and that a bad slice is found first."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reasondistill.contracts.records import Example, Explanation, Prediction
from reasondistill.contracts.slices import MeasuredSlice
from reasondistill.evaluation import EvaluationSettings, evaluate
from reasondistill.evaluation.column_means import column_means
from reasondistill.evaluation.pairing import Row
from reasondistill.evaluation.slice_rules import find_slices
from reasondistill.evaluation.slices import SMALLEST, measure_slices
from reasondistill.metrics.registry import evidence_metrics
from reasondistill.metrics.statistics import GroupBootstrap
from reasondistill.tasks.task import NLI, Task

PLAIN = EvaluationSettings(bertscore=False, resamples=200)
ENGLISH = "The people are in the park and that is what they do for fun"
PREMISES = (f"{ENGLISH} at night.", "A dog is not on the road.", "There are three dogs in the yard with 2 cats.")


def row(
    number: int,
    premise: str = PREMISES[0],
    hypothesis: str = "They are there.",
    explanation: str = ENGLISH,
    **more: Any,
) -> Row:
    label = more.pop("gold", "neutral")
    given = more.pop("given", "neutral")
    sources = more.pop("sources", ("human",))
    group = more.pop("group", None)
    fields = {"premise": premise, "hypothesis": hypothesis, **more.pop("extra", {})}
    example = Example(
        id=f"r{number}", fields=fields, label=label, group=group,
        explanations=[Explanation(text="it is so", source=source) for source in sources],
    )  # fmt: skip
    prediction = Prediction(id=example.id, label=given, explanation=explanation, **more)
    return Row(example, prediction, ["it is so"] * len(sources))


def scores_of(rows: list[Row], **more: list[Any]) -> list[dict[str, Any]]:
    return [
        {
            "copy": r.prediction.explanation == r.example.fields["premise"],
            "empty": not r.prediction.explanation.strip(),
            **{name: values[k] for name, values in more.items()},
        }
        for k, r in enumerate(rows)
    ]


def members(rows: list[Row], task: Task = NLI) -> dict[str, list[int]]:
    return {s.name: np.flatnonzero(s.members).tolist() for s in find_slices(rows, task, scores_of(rows)).slices}


# --- which rows belong to which ---


def test_lengths_are_cut_at_their_quartiles() -> None:
    rows = [row(k, premise=" ".join(["the"] * (k + 1)), hypothesis="a") for k in range(8)]  # 2 to 9 words in all
    found = members(rows)
    assert {name: found[name] for name in found if name.startswith("input:")} == {
        "input: up to 3 words": [0, 1],
        "input: 4 to 5 words": [2, 3],
        "input: 6 to 7 words": [4, 5],
        "input: 8 words or more": [6, 7],
    }
    assert not any(name.startswith("explanation:") for name in found)  # all are equally long


def test_equal_lengths_stay_together_and_empty_ones_apart() -> None:
    said = ["", " ", "so", "so", "so", "so it is", "so it was", "so it has always been here"]
    found = members([row(k, explanation=text) for k, text in enumerate(said)])
    assert found["explanation: up to 1 word"] == [2, 3, 4]
    assert found["explanation: 2 to 3 words"] == [5, 6]
    assert found["explanation: 4 words or more"] == [7]
    assert found["explanation empty"] == [0, 1]


def test_overlap_is_of_the_second_field_with_the_first() -> None:
    pairs = [
        ("a dog runs", "a cat sits still"),  # 1 of 4
        ("a dog runs", "A dog sits."),  # 2 of 3
        ("a dog runs", "the dog sat, runs"),  # 2 of 4
        ("a dog runs", "dog runs!"),  # all
        ("a dog runs", "..."),  # no word
    ]
    found = members([row(k, premise=p, hypothesis=h) for k, (p, h) in enumerate(pairs)])
    overlaps = {name: found[name] for name in found if name.startswith("overlap")}
    assert overlaps == {
        "overlap: under a third": [0],
        "overlap: a third to two thirds": [2],
        "overlap: two thirds or more": [1],
        "overlap: all words": [3],
    }
    why = Task(name="why", fields=("premise",), labels=NLI.labels)
    assert not any("overlap" in name for name in members([row(k) for k in range(3)], why))


def test_negations_and_numbers_of_english() -> None:
    said = ["it is what it is", "it isn’t that, and they can't", "nothing is there", "a note of the two", "a 7 and a ٣"]
    rows = [row(k, premise=PREMISES[k % 3], explanation=said[k]) for k in range(5)]
    found = members(rows)
    assert found["negation in the premise"] == [1, 4]
    assert found["negation in the explanation"] == [1, 2]
    assert found["numbers in the input"] == [2]
    assert found["numbers in the explanation"] == [3, 4]
    assert "negation in the hypothesis" not in found


def test_other_languages_have_no_negation_and_digits_only() -> None:
    german = ["der Hund ist nicht auf der Wiese", "no two sind auf dem Bild und die Katze ist im Haus", "das sind 3"]
    sliced = find_slices(
        [row(k, premise=t, hypothesis="das ist so", explanation=t) for k, t in enumerate(german)],
        NLI,
        [{"copy": True, "empty": False}] * 3,
    )
    found = {s.name: np.flatnonzero(s.members).tolist() for s in sliced.slices}
    assert not any(name.startswith("negation") for name in found)
    assert found["numbers in the input"] == [2]
    assert sliced.languages == {"input": "German", "explanation": "German"}
    assert set(sliced.left_out) == {"negation in the input", "negation in the explanation"}
    assert "German" in sliced.left_out["negation in the input"]


def test_rows_of_several_languages_are_slices() -> None:
    german, english = "der Hund ist nicht auf der Wiese", "the dog is not on the grass and it is wet"
    rows = [row(k, premise=german if k % 3 == 0 else english, hypothesis="so") for k in range(60)]
    found = members(rows)
    assert found["language: German"] == list(range(0, 60, 3))
    assert len(found["language: English"]) == 40
    few = [row(k, premise=german if k < 4 else english, hypothesis="so") for k in range(60)]  # likelier wrong guesses
    assert not any(name.startswith("language") for name in members(few))
    given = find_slices(rows, NLI, scores_of(rows), "German")
    assert not any(part.family == "language" for part in given.slices)
    assert given.languages == {"input": "German", "explanation": "German"}


def test_labels_and_confidence() -> None:
    def sure(p: float) -> dict[str, float]:
        return {"neutral": p, "entailment": 1 - p, "contradiction": 0.0}

    rows = [
        row(0, gold="entailment", given="neutral", probabilities=sure(0.5)),
        row(1, gold=None, given="neutral", probabilities=sure(0.4)),
        row(2, gold="neutral", given="entailment", probabilities=sure(0.05)),
        row(3, gold="neutral", given=None),
        row(4, gold="neutral", given="neutral", probabilities=sure(1.0)),
    ]
    found = members(rows)
    assert found["gold label: entailment"] == [0]
    assert found["gold label: neutral"] == [2, 3, 4]
    assert found["predicted label: neutral"] == [0, 1, 4]
    assert found["confidence: under 50%"] == [1]
    assert found["confidence: 50% to 70%"] == [0]
    assert found["confidence: 90% or more"] == [2, 4]


def test_sources_groups_copies_and_cut_off_ones() -> None:
    rows = [
        row(0, sources=("gpt", "human"), group="a", truncated=True),
        row(1, sources=("human",), group="b"),
        row(2, sources=(), group="b", explanation=PREMISES[0]),
        row(3, sources=("gpt",), group="b"),
    ]
    found = members(rows)
    assert found["references from gpt"] == [0, 3]
    assert found["references from human"] == [0, 1]
    assert found["group: up to 1 row"] == [0]
    assert found["group: 2 rows or more"] == [1, 2, 3]
    assert found["explanation copies a field"] == [2]
    assert found["explanation cut off"] == [0]
    assert not any(name.startswith("references from") for name in members([row(k) for k in range(3)]))


def test_columns_of_the_users_own() -> None:
    rows = [
        row(k, extra={"genre": "fiction" if k % 2 else "news", "note": f"unlike {k}"}, annotator=k % 3, score=k / 7)
        for k in range(6)
    ]
    found = members(rows)
    assert found["field genre: news"] == [0, 2, 4]
    assert found["prediction's annotator: 2"] == [2, 5]
    assert not any("note" in name or "score" in name for name in found)


def test_nothing_that_holds_no_row_or_every_row() -> None:
    rows = [row(k) for k in range(4)]
    assert members(rows) == {}
    assert dumped(measure_slices(rows, NLI, scores_of(rows), GroupBootstrap(range(4))).measured) == []


# --- figures ---


def planted(n: int = 1500, seed: int = 3) -> list[Row]:
    """Rows in groups of three; those with a number are right 60% of the time, the others 80%."""
    rng = random.Random(seed)
    rows = []
    for k in range(n):
        number = rng.random() < 0.3
        right = rng.random() < (0.6 if number else 0.8)
        gold = rng.choice(NLI.labels or ())
        given = gold if right else rng.choice([x for x in NLI.labels or () if x != gold])
        words = [rng.choice(("dog", "cat", "man", "boat")) for _ in range(rng.randint(2, 12))]
        premise = f"The {' and the '.join(words)} are in the park at {3 if number else 'noon'}."
        rows.append(row(k, premise=premise, gold=gold, given=given, group=f"g{k // 3}", explanation=" ".join(words)))
    return rows


def dumped(slices: list[MeasuredSlice]) -> list[dict[str, Any]]:
    return [one.model_dump() for one in slices]


def grouped(rows: list[Row], resamples: int = 400) -> GroupBootstrap:
    return GroupBootstrap([r.example.group or r.example.id for r in rows], resamples=resamples)


def test_a_planted_bad_slice_is_found_first() -> None:
    rows = planted()
    found = measure_slices(rows, NLI, scores_of(rows), grouped(rows))
    first = dumped(found.measured)[0]
    accuracy = first["metrics"]["label_accuracy"]
    assert first["name"] == "numbers in the input"
    assert accuracy["difference"] == pytest.approx(-0.2, abs=0.08)
    assert accuracy["difference_ci95"][1] < 0
    assert accuracy["p_adjusted"] < 0.001
    others = [one["metrics"]["label_accuracy"]["p_adjusted"] for one in dumped(found.measured)[1:] if one["ranked"]]
    assert min(others) > 0.05
    assert found.settings["ranked_by"] == "label_accuracy"
    assert found.settings["below_by_chance"] == pytest.approx(0.025 * found.settings["ranked"])


def test_figures_and_intervals_are_the_group_bootstraps() -> None:
    rows = planted(300)
    rng = random.Random(1)
    overlap = [None if k % 5 == 0 else rng.random() for k in range(300)]
    measured = dumped(measure_slices(rows, NLI, scores_of(rows, rougeL=overlap), grouped(rows)).measured)
    assert len(measured) > 8
    slices = {s.name: s.members for s in find_slices(rows, NLI, scores_of(rows)).slices}
    right = [float(r.prediction.label == r.example.label) for r in rows]
    for one in measured:
        inside = slices[one["name"]]
        assert (one["n"], one["share"]) == (inside.sum(), pytest.approx(inside.mean()))
        for name, column in (("label_accuracy", right), ("rougeL", overlap)):
            figures = one["metrics"][name]
            values = [v if i else None for v, i in zip(column, inside, strict=True)]
            rest = [None if i else v for v, i in zip(column, inside, strict=True)]
            known, beside = [v for v in values if v is not None], [v for v in rest if v is not None]
            assert (figures["n"], figures["rest_n"]) == (len(known), len(beside))
            assert figures["value"] == pytest.approx(np.mean(known))
            assert figures["rest"] == pytest.approx(np.mean(beside))
            assert figures["difference"] == pytest.approx(np.mean(known) - np.mean(beside))
            assert figures["ci95"] == pytest.approx(grouped(rows).mean_interval(values))
            # The difference's interval out of the class's own sums, the same draws for both parts.
            flat = np.array(
                [[0.0 if x is None else x, float(x is not None)] for x in (*values, *rest)]
            ).reshape(2, len(rows), 2).transpose(1, 0, 2).reshape(len(rows), 4)  # fmt: skip
            expected = grouped(rows).interval(flat, lambda s: s[:, 0] / s[:, 1] - s[:, 2] / s[:, 3])
            assert figures["difference_ci95"] == pytest.approx(expected)


def test_the_worst_for_sure_comes_first_and_small_ones_last() -> None:
    rows = planted(600)
    measured = dumped(measure_slices(rows, NLI, scores_of(rows), grouped(rows)).measured)
    ranked = [one for one in measured if one["ranked"]]
    assert measured[: len(ranked)] == ranked
    uppers = [one["metrics"]["label_accuracy"]["difference_ci95"][1] for one in ranked]
    assert uppers == sorted(uppers)
    few = [row(900 + k, premise="It is not in the park.", gold="neutral", given="entailment") for k in range(SMALLEST)]
    for n, is_ranked in ((SMALLEST - 1, False), (SMALLEST, True)):
        both = [*rows, *few[:n]]
        found = {s["name"]: s for s in dumped(measure_slices(both, NLI, scores_of(both), grouped(both)).measured)}
        one = found["negation in the premise"]
        assert (one["n"], one["ranked"]) == (n, is_ranked)
        assert (one["metrics"]["label_accuracy"]["p"] is None) == (not is_ranked)


def test_adjusted_p_values_are_benjamini_and_hochbergs() -> None:
    rows = planted(600)
    found = dumped(measure_slices(rows, NLI, scores_of(rows), grouped(rows)).measured)
    figures = [one["metrics"]["label_accuracy"] for one in found if one["ranked"]]
    ps = sorted(one["p"] for one in figures)
    for one in figures:
        # By hand: the least of p(j) m / j over all j at or after this p's place.
        expected = min(p * len(ps) / j for j, p in enumerate(ps, 1) if p >= one["p"])
        assert one["p_adjusted"] == pytest.approx(min(expected, 1.0))


def test_chance_alone_puts_few_slices_below() -> None:
    """Without any real difference, about 2.5% of intervals lie below 0, and hardly any after correction."""
    below = adjusted = tested = 0
    for seed in range(12):
        rng = random.Random(seed)
        rows = [
            row(k, premise=f"The {rng.choice(['dog', 'cat'])} is in the park {'x ' * rng.randint(0, 20)}",
                gold="neutral", given=rng.choice(["neutral", "entailment"]), explanation="w " * rng.randint(1, 20),
                annotator=rng.randint(0, 7))
            for k in range(400)
        ]  # fmt: skip
        measured = dumped(
            measure_slices(rows, NLI, scores_of(rows), GroupBootstrap(range(400), resamples=200)).measured
        )
        # Predicted labels are the answer itself here.
        fair = [one["metrics"]["label_accuracy"] for one in measured if one["ranked"] and "label" not in one["family"]]
        tested += len(fair)
        below += sum(figures["difference_ci95"][1] < 0 for figures in fair)
        adjusted += sum(figures["p_adjusted"] < 0.05 for figures in fair)
    assert tested > 120
    assert below < 0.08 * tested
    assert adjusted <= 3


def test_support_ranks_where_there_are_no_labels() -> None:
    rows = [row(k, premise=PREMISES[k % 2], gold=None) for k in range(80)]
    found = measure_slices(
        rows, NLI, scores_of(rows, support=[0.2 if k % 2 else 0.8 for k in range(80)]), grouped(rows)
    )
    assert found.settings["ranked_by"] == "support"
    assert dumped(found.measured)[0]["metrics"]["support"]["difference"] == pytest.approx(-0.6)
    assert "label_accuracy" not in dumped(found.measured)[0]["metrics"]


def test_a_slice_of_rows_without_a_value_has_no_figure_and_comes_last() -> None:
    rows = [row(k, gold=None if k < 40 else "neutral", extra={"part": "new" if k < 40 else f"old {k % 2}"})
            for k in range(120)]  # fmt: skip
    measured = dumped(measure_slices(rows, NLI, scores_of(rows), grouped(rows)).measured)
    new = next(one for one in measured if one["name"] == "field part: new")
    assert (new["metrics"], new["ranked"]) == ({}, False)
    assert all(one["ranked"] for one in measured[: measured.index(new) - 1])


def test_one_group_gives_no_interval_and_is_ranked_by_the_difference() -> None:
    rows = [row(k, premise=PREMISES[k % 3], gold="neutral", given="neutral" if k % 3 else "entailment", group="one")
            for k in range(120)]  # fmt: skip
    measured = dumped(measure_slices(rows, NLI, scores_of(rows), grouped(rows)).measured)
    figures = [one["metrics"]["label_accuracy"] for one in measured if one["ranked"]]
    assert {one["difference_ci95"] for one in figures} == {None}
    assert [one["difference"] for one in figures] == sorted(one["difference"] for one in figures)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=3, max_size=3), min_size=1, max_size=12))
def test_means_of_columns_are_those_of_single_ones(values: list[list[float | None]]) -> None:
    bootstrap = GroupBootstrap([k // 2 for k in range(len(values))], resamples=50)
    columns = np.array([[np.nan if v is None else v for v in line] for line in values])
    means = column_means(columns, bootstrap)
    for k in range(3):
        column = [line[k] for line in values]
        known = [v for v in column if v is not None]
        assert means.n[k] == len(known)
        assert (means.value[k] == pytest.approx(np.mean(known))) if known else np.isnan(means.value[k])
        expected = bootstrap.mean_interval(column)
        assert means.interval(k) == (None if expected is None else pytest.approx(list(expected), abs=1e-12))


# --- through evaluate ---


TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=25, deadline=None)
@example([("", "", "", None), ("", "", "0", None)])
@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS, st.sampled_from([*(NLI.labels or ()), None])), min_size=1, max_size=10))
def test_any_text_is_sliced_and_rows_name_their_slices(drawn: list[tuple[str, str, str, str | None]]) -> None:
    rows = [row(k, premise=p, hypothesis=h, explanation=e, gold=g) for k, (p, h, e, g) in enumerate(drawn)]
    evaluation = evaluate([r.prediction for r in rows], [r.example for r in rows], name="x", settings=PLAIN)
    named = [name for scores in evaluation.rows for name in scores.slices or ()]
    measured = {one.name: one.n for one in evaluation.results.slices}
    # Without gold labels there is still ROUGE, in any script, but of texts in which it has nothing to read.
    measurable = {"label_accuracy", *evidence_metrics()} & evaluation.results.metrics.keys()
    assert measured == ({n: named.count(n) for n in set(named)} if measurable else {})
    assert all(0 < n < len(rows) for n in measured.values())


def test_choices_and_tasks_without_labels_have_no_label_slices() -> None:
    quiz = Task(name="quiz", fields=("question",))
    data = [
        Example(id=str(k), fields={"question": "What is it? " * (1 + k % 4)}, label="x", choices=("x", "y"))
        for k in range(8)
    ]
    answers = [Prediction(id=e.id, label="x" if int(e.id) % 4 else "y", explanation="it") for e in data]
    results = evaluate(answers, data, task=quiz, name="quiz", settings=PLAIN).results
    assert {one["family"] for one in dumped(results.slices)} == {"input, number of words"}
    assert dumped(results.slices)[0]["metrics"]["label_accuracy"]["value"] == 0
    why = Task(name="why", fields=("question",), labels=())
    bare = [e.model_copy(update={"label": None, "choices": None}) for e in data]
    unlabelled = [a.model_copy(update={"label": None}) for a in answers]
    results = evaluate(unlabelled, bare, task=why, name="w", settings=PLAIN).results
    assert dumped(results.slices) == []


def test_slices_of_a_script_that_rouge_cannot_read_have_the_rouge_that_can() -> None:
    rows = [row(k, explanation=text, gold=None) for k, text in enumerate(["猫在垫子上", ""])]
    evaluation = evaluate([r.prediction for r in rows], [r.example for r in rows], name="x", settings=PLAIN)
    assert {one.name: list(one.metrics) for one in evaluation.results.slices} == {"explanation empty": ["rougeL_intl"]}
