"""Each filter on answers that it must tell apart, on what nobody foresaw, and on what it has no say about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from make import mistake, pair
from reasondistill.contracts.records import Example
from reasondistill.contracts.teaching import TeacherAnswer
from reasondistill.data.scenes import generate
from reasondistill.data.splits import split_of
from reasondistill.errors import CheckpointError
from reasondistill.tasks.task import NLI, Task
from reasondistill.teachers.filters.filter_definition import Candidate, Filter, Pool, Verdict
from reasondistill.teachers.filters.registered_filters import known_filters
from reasondistill.teachers.filters.votes import vote, votes_of_rows

ROW = pair("Two dogs run on the beach.", "The dogs are asleep.", id="1", label="contradiction")


def answered(text: str = "", *, id: str = "1", label: str | None = "contradiction", **more: Any) -> TeacherAnswer:
    return TeacherAnswer(
        **{"id": id, "teacher": "t", "mode": "explanation_then_label", "label": label} | more, explanation=text
    )


def pool(answers: Sequence[TeacherAnswer], examples: Sequence[Example] = (ROW,), task: Task = NLI) -> Pool:
    rows = {example.id: example for example in examples}
    by_id = {identity: [a for a in answers if a.id == identity] for identity in rows}
    votes = votes_of_rows(examples, by_id, task)
    labelled = {i: e if i not in votes else e.model_copy(update={"label": votes[i].label}) for i, e in rows.items()}
    candidates = [Candidate(labelled[answer.id], answer) for answer in answers]
    return Pool(candidates, candidates, task, votes)


def made(name: str, **settings: Any) -> Filter:
    [kind] = [kind for kind in known_filters() if kind.name == name]
    return kind.model_validate(settings)


def reasons(name: str, answers: Sequence[TeacherAnswer], *more: Any, **settings: Any) -> list[str]:
    asked = pool(answers, *more)
    rule = made(name, **settings)
    assert rule.left_out(asked) == ""
    return [verdict.reason for verdict in rule.verdicts(asked)]


def of_texts(name: str, *texts: str, **settings: Any) -> list[str]:
    return reasons(name, [answered(text, sample=k) for k, text in enumerate(texts)], **settings)


GOOD = "Dogs that run are not asleep."


def test_answers_that_cannot_be_read_are_rejected_in_their_own_words() -> None:
    answers = [answered(GOOD), answered(GOOD, problem="no JSON"), answered(" \n"), answered("", mode="label_only")]
    assert reasons("problems", answers) == ["", "no JSON", "no explanation", ""]


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        (GOOD, True),
        ("Dogs run", True),
        ("The beach is what they run on", True),
        ("They are asleep (or not).", True),
        ("It is not what “asleep” means", True),
        ("They run because", False),
        ("They run on the", False),
        ("They run, but", False),
        ("Dogs run,", False),
        ("Dogs run (on a beach", False),
        ("“Asleep is not", False),
        ("They said 'no, because…'", True),
    ],
)
def test_a_text_that_breaks_off_is_cut(text: str, whole: bool) -> None:
    assert (of_texts("cut", text) == [""]) == whole


def test_what_the_server_cut_is_cut_however_it_ends() -> None:
    assert reasons("cut", [answered(GOOD, finish_reason="length"), answered(GOOD, finish_reason="stop")]) == [
        "cut at the limit of tokens",
        "",
    ]


def test_length_counts_words_in_scripts_without_spaces_too() -> None:
    assert of_texts("length", "No way.", GOOD, "狗在跑", "word " * 101) == [
        "fewer than 3 words", "", "", "more than 100 words",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="min_words"):
        made("length", min_words=5, max_words=4)


def test_another_language_is_rejected_and_a_short_text_is_not() -> None:
    german = "Die Hunde sind nicht im Haus und schlafen auf dem Strand."
    assert of_texts("language", german, GOOD, "Dogs!", "Собаки бегут", "Perro") == [
        "German instead of English", "", "", "Cyrillic script instead of English", "",
    ]  # fmt: skip
    assert of_texts("language", german, GOOD, language="German") == ["", "English instead of German"]
    unknown = pair("x1", "y2", id="1", label="neutral")
    assert made("language").left_out(pool([answered(GOOD)], [unknown])) == "the language of the inputs is not known"


def test_characters_that_nobody_wrote_are_rejected() -> None:
    found = of_texts(
        "characters", "They run.<br>", "They\x00 run", "Theyâ€™re running", "a < b & c > d", "Größe é 猫 🐕"
    )
    assert found == ["remains of HTML", "control or invisible characters", "characters of a wrong encoding", "", ""]


def test_circles_are_told_from_sentences() -> None:
    assert of_texts("repetition", "the dogs run " * 8, GOOD, "no", "Dogs run. Dogs run.") == [
        "repeats itself",
        "",
        "",
        "",
    ]


def test_a_field_is_no_explanation_and_words_around_it_are() -> None:
    found = of_texts(
        "copies", ROW.fields["premise"], "two DOGS run on the beach", f"It says that {ROW.fields['premise']}"
    )
    assert found == ["restates a field", "restates a field", ""]
    assert of_texts("copies", f"It says that {ROW.fields['premise']}", max_copied=0.6) == ["restates a field"]


def test_a_filled_in_pattern_is_one_whatever_it_is_filled_with() -> None:
    rows = [pair(f"A thing of kind {k}.", f"It is {k}.", id=str(k), label="neutral") for k in range(40)]
    filled = [answered(f"Not all of a thing of kind {k} is true.", id=str(k)) for k in range(20)]
    own = [answered(f"Reason number {k} has nothing in common.", id=str(k)) for k in range(20, 40)]
    assert reasons("templates", [*filled, *own], rows) == ["a pattern of many rows"] * 20 + [""] * 20
    assert reasons("templates", [*filled, *own], rows, max_share=0.6) == [""] * 40
    assert of_texts("templates", f"{ROW.fields['premise']} so not {ROW.fields['hypothesis']}", GOOD) == [
        "quotes every field whole",
        "",
    ]


def test_a_text_without_words_of_the_inputs_is_off_topic() -> None:
    found = of_texts("off_topic", "Laughter comes from a baby.", GOOD, "It is not so.", "¿?")
    assert found == ["hardly a word of the inputs", "", "", ""]


def test_samples_vote_on_the_label_and_hinted_ones_do_not() -> None:
    answers = [
        answered(GOOD, sample=0),
        answered(GOOD, sample=1),
        answered(GOOD, sample=2, label="neutral"),
        answered(GOOD, sample=3, label="entailment", hinted=True, argued_label="entailment"),
        answered("", sample=4, label="neutral", problem="no JSON"),
    ]
    found = reasons("self_consistency", answers)
    assert found == ["", "", "samples disagree on the label", "", ""]
    assert made("self_consistency").left_out(pool(answers[:1])) != ""


def test_a_row_without_a_label_gets_that_of_the_vote_or_is_rejected() -> None:
    unlabelled = ROW.model_copy(update={"label": None})
    split_vote = [answered(GOOD, sample=k, label=label) for k, label in enumerate(["neutral", "entailment", "neutral"])]
    assert reasons("taught_label", split_vote, [unlabelled]) == [""] * 3
    assert set(reasons("taught_label", split_vote, [unlabelled], min_confidence=0.7)) == {
        "teachers are not sure of the label"
    }
    assert reasons("right_label", split_vote, [unlabelled]) == ["", "not the label voted for", ""]
    told = answered(GOOD, label="neutral", argued_label="neutral", hinted=True)
    assert reasons("taught_label", [told], [unlabelled]) == ["no teacher gave a label"]
    assert made("taught_label").left_out(pool([told])) == "every row came with a label"


def test_a_wrong_label_is_rejected_and_one_that_was_told_is_not() -> None:
    told = answered(GOOD, label="neutral", argued_label="neutral")
    assert reasons("right_label", [answered(GOOD), answered(GOOD, label="neutral"), told]) == [
        "",
        "not the right label",
        "",
    ]


def test_confidence_is_the_teachers_own() -> None:
    answers = [
        answered(GOOD, confidence=0.9),
        answered(GOOD, probabilities={"contradiction": 0.6, "neutral": 0.4}),
        answered(GOOD),
    ]
    assert reasons("teacher_confidence", answers) == ["", "the teacher is not sure", ""]
    assert made("teacher_confidence").left_out(pool(answers[2:])) == "no answer has a probability"


def test_names_of_labels_are_found_as_words() -> None:
    found = of_texts("names_label", "So it is a contradiction.", "The NEUTRAL label fits.", "They neutralise it.", GOOD)
    assert found == ["names a label", "names a label", "", ""]


def leaking(n: int) -> tuple[list[Example], list[TeacherAnswer]]:
    """Rows of which half have explanations with a word that only their label's have."""
    words = dict(zip(NLI.labels or (), ("therefore", "maybe", "never"), strict=True))
    labels = [*words]
    rows = [pair(f"P {k}", f"H {k}", id=str(k), label=labels[k % 3]) for k in range(n)]
    telling = [f"{words[row.label or '']} it is thing {k}" if k % 2 else f"thing {k % 7}" for k, row in enumerate(rows)]
    return rows, [answered(text, id=row.id, label=row.label) for row, text in zip(rows, telling, strict=True)]


def test_words_that_give_the_label_away_are_found_by_other_rows() -> None:
    rows, answers = leaking(180)
    found = reasons("leak", answers, rows, max_probability=0.8)
    assert [bool(reason) for reason in found] == [bool(k % 2) for k in range(180)]


def test_a_leak_that_a_single_group_shares_is_none() -> None:
    """The classifier has seen no other explanation of the group, so that its own words prove nothing."""
    rows, answers = leaking(60)
    own = [pair(f"Q {k}", "H", id=f"q{k}", group="g", label="neutral") for k in range(20)]
    answers += [answered("zebra zebra", id=row.id, label="neutral") for row in own]
    assert reasons("leak", answers, [*rows, *own], max_probability=0.8)[60:] == [""] * 20


def test_too_few_or_equal_labels_leave_the_leak_out() -> None:
    rows, answers = leaking(30)
    assert "fewer than" in made("leak").left_out(pool(answers, rows))
    rows, answers = leaking(180)
    same = [answer.model_copy(update={"label": "neutral"}) for answer in answers]
    assert made("leak").left_out(pool(same, rows)) == "all explanations argue for the same label"


def test_outliers_and_repeats_among_samples() -> None:
    texts = ("Running dogs are awake.", "Dogs that are running are awake.", "The question of this picture is key.")
    assert of_texts("consensus", *texts) == ["", "", "no other sample says it"]
    other = answered("The question of this picture is key.", sample=9, argued_label="neutral")
    assert reasons("consensus", [*(answered(t, sample=k) for k, t in enumerate(texts[:2])), other]) == ["", "", ""]
    repeats = of_texts(
        "near_duplicates", GOOD, "dogs that run are NOT asleep", "Sleeping dogs lie.", "Sleeping dogs lie!"
    )
    assert repeats == ["", "says what an earlier one says", "", "says what an earlier one says"]


def test_a_judge_rejects_what_argues_for_another_label() -> None:
    examples = [e for e in generate(600, seed=9) if split_of(e.cluster[1]) == "test"]
    argued = [(e, x) for e in examples for x in e.explanations if x.label is None][:40]
    right = [answered(x.text, id=e.id, label=e.label) for e, x in argued]
    wrong = [
        a.model_copy(update={"explanation": b.explanation})
        for a, b in zip(right, [*right[7:], *right[:7]], strict=True)
    ]
    rows = list({e.id: e for e, _ in argued}.values())
    kept = [
        sum(not reason for reason in reasons("judge_support", a, rows, judge="builtin:scenes")) for a in (right, wrong)
    ]
    assert kept[0] > kept[1] + 10
    seen = next(e for e in generate(600, seed=9) if split_of(e.cluster[1]) == "train" and e.label == "neutral")
    mistake(
        lambda: reasons("judge_support", [answered(GOOD, id=seen.id)], [seen], judge="builtin:scenes"), "trained on"
    )
    with pytest.raises(CheckpointError):
        made("judge_support", judge="nowhere").prepare(NLI)
    mistake(
        lambda: made("judge_support", judge="builtin:scenes").prepare(Task(name="x", fields=("text",), labels=("a",)))
    )


# --- what holds of all ---

TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.sampled_from(
        ["", " ", "…", "{premise}", "\\1", "(((", "a" * 500, "the the the", "‮abc", "1,2;", "猫" * 40, GOOD]
    ),
)
LABELS = st.sampled_from([None, "entailment", "neutral", "contradiction"])
ANSWERS = st.builds(
    answered,
    TEXTS,
    id=st.sampled_from(["1", "2", "3"]),
    label=LABELS,
    argued_label=LABELS,
    sample=st.integers(0, 3),
    confidence=st.none() | st.floats(0, 1),
    finish_reason=st.sampled_from([None, "stop", "length"]),
    problem=st.sampled_from(["", "no JSON"]),
    mode=st.sampled_from(["label_only", "explanation_then_label"]),
)
ROWS = [
    ROW,
    pair("", "?", id="2", group="g"),
    pair("A" * 50, "A" * 50, id="3", group="g", label="neutral"),
]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(ANSWERS, max_size=5))
def test_whatever_teachers_write_each_filter_says_something_of_each(answers: list[TeacherAnswer]) -> None:
    asked = pool(answers, ROWS)
    for kind in known_filters():
        if kind.name == "judge_support":
            continue
        rule = kind()
        if answers and not rule.left_out(asked):
            verdicts = rule.verdicts(asked)
            assert len(verdicts) == len(answers)
            assert all(isinstance(verdict, Verdict) for verdict in verdicts)
            scores = [verdict.score for verdict in verdicts if verdict.score is not None]
            assert all(score == score for score in scores)  # no NaN


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(ANSWERS, min_size=1, max_size=8), st.permutations(range(8)))
def test_a_vote_does_not_hang_on_the_order_of_answers(answers: list[TeacherAnswer], order: list[int]) -> None:
    labels = NLI.labels or ()
    shuffled = [answers[k] for k in order if k < len(answers)]
    first, second = vote(answers, labels), vote(shuffled, labels)
    assert (first is None) == (second is None)
    if first is not None and second is not None:
        assert sum(first.probabilities.values()) == pytest.approx(1)
        assert first.confidence == max(first.probabilities.values())
        assert first.probabilities == pytest.approx(second.probabilities)


def test_teachers_weigh_alike_however_often_they_are_asked() -> None:
    many = [answered(GOOD, sample=k, label="neutral", teacher="loud") for k in range(9)]
    sure = answered(GOOD, label="entailment", teacher="b", probabilities={"entailment": 0.9, "neutral": 0.1})
    outcome = vote([*many, sure], NLI.labels or ())
    assert outcome is not None
    assert (outcome.label, outcome.answers) == ("neutral", 10)
    assert outcome.probabilities == pytest.approx({"entailment": 0.45, "neutral": 0.55, "contradiction": 0.0})
