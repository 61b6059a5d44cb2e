"""Tasks: what each output order renders, to the segment, and that parsing gives back what was rendered."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from make import pair
from reasondistill.contracts.records import Example
from reasondistill.errors import ConfigError, DataError, TaskError
from reasondistill.tasks.reading_outputs import Parsed, explanation_stop, parse
from reasondistill.tasks.task import (
    BUILTIN_TASKS,
    NLI,
    OutputOrder,
    Segment,
    Target,
    Task,
    choice_targets,
    explanation_prefix,
    get_task,
    label_problem,
    render_target,
)

LABELS = ("entailment", "neutral", "contradiction")
ORDERS: tuple[OutputOrder, ...] = ("label_first", "explanation_first", "label_only", "explanation_only", "separate")

# Pieces that look like a target's own marks, and others that tokenizers, templates and terminals trip over.
PIECES = [
    *[
        " explanation: ",
        "explanation:",
        " explanation :",
        " label: ",
        "label:",
        " label : neutral",
        "neutral",
        "Neutral",
    ],
    *[
        "",
        " ",
        "\n",
        "\r\n",
        "\t",
        "\u2028",
        "\ufeff",
        "\0",
        "{premise}",
        "{",
        "}",
        "{}",
        "\\1",
        "\\",
        "%s",
        "👩‍🍳",
        "</s>",
    ],
]
NASTY = st.lists(st.sampled_from(PIECES) | st.text(max_size=6), max_size=8).map("".join)


def task(**changes: Any) -> Task:
    options: dict[str, Any] = {
        "name": "t",
        "fields": ("a",),
        "labels": ("yes", "no"),
        "prompt": "{a}",
        "label_prompt": "{a}",
        "explanation_prompt": "{a}",
    }
    return Task(**(options | changes))


CHOOSING = task(
    fields=("question",),
    labels=None,
    prompt="question: {question} choices: {choices}",
    label_prompt="answer {question} from {choices}",
    explanation_prompt="explain {question} {choices}",
)


# --- rendering ---

L, E, C = "label", "explanation", "context"
RENDERED: list[tuple[OutputOrder, str | None, str | None, list[tuple[str, str]] | None, bool]] = [
    ("label_first", "neutral", "Maybe.", [("neutral", L), (" explanation: Maybe.", E)], True),
    ("label_first", "neutral", "", [("neutral", L), (" explanation: ", E)], True),
    ("label_first", "neutral", None, [("neutral", L)], False),
    ("label_first", None, "Maybe.", [("explanation: ", C), ("Maybe.", E)], True),
    ("label_first", None, None, None, False),
    ("explanation_first", "neutral", "Maybe.", [("Maybe.", E), (" label:", E), (" neutral", L)], True),
    ("explanation_first", "neutral", None, [("label:", C), (" neutral", L)], False),
    ("explanation_first", None, "Maybe.", [("Maybe.", E)], False),
    ("explanation_first", None, None, None, False),
    ("label_only", "neutral", "Maybe.", [("neutral", L)], False),
    ("label_only", None, "Maybe.", None, False),
    ("explanation_only", "neutral", "Maybe.", [("Maybe.", E)], True),
    ("explanation_only", "neutral", None, None, False),
]


@pytest.mark.parametrize(("order", "label", "explanation", "segments", "ends"), RENDERED)
def test_what_each_order_renders(
    order: OutputOrder,
    label: str | None,
    explanation: str | None,
    segments: list[tuple[str, Any]] | None,
    ends: bool,
) -> None:
    expected = None if segments is None else Target(tuple(Segment(*segment) for segment in segments), ends)
    assert render_target(order, label, explanation) == expected


def test_a_targets_text_is_its_segments_in_a_row() -> None:
    assert Target((Segment("neutral", "label"), Segment(" explanation: Maybe.", "explanation")), True).text == (
        "neutral explanation: Maybe."
    )


def test_separate_has_no_single_target() -> None:
    with pytest.raises(ValueError, match="two targets"):
        render_target("separate", "neutral", "Maybe.")


def test_a_pair_is_read_once_for_all_its_explanations() -> None:
    (rendered,) = NLI.render("label_first", pair(label="neutral"), ["Maybe.", "Who knows.", "Maybe."])
    prompt, targets = rendered
    assert prompt == "explain nli premise: A man sleeps. hypothesis: A man is awake."
    assert [target.text for target in targets] == ["neutral explanation: Maybe.", "neutral explanation: Who knows."]


def test_separate_asks_two_questions() -> None:
    rendered = NLI.render("separate", pair(label="neutral"), ["Maybe.", None])
    assert rendered == [
        ("predict nli premise: A man sleeps. hypothesis: A man is awake.", [Target((Segment("neutral", "label"),))]),
        (
            "explain nli premise: A man sleeps. hypothesis: A man is awake.",
            [Target((Segment("Maybe.", "explanation"),), ends=True)],
        ),
    ]
    assert [prompt.split()[0] for prompt, _ in NLI.render("separate", pair(label="neutral"), [None])] == ["predict"]
    assert [prompt.split()[0] for prompt, _ in NLI.render("separate", pair(), ["Maybe."])] == ["explain"]


@pytest.mark.parametrize("order", ORDERS)
def test_what_supervises_nothing_is_left_out(order: OutputOrder) -> None:
    assert NLI.render(order, pair(), [None]) == []
    assert NLI.render(order, pair(label="neutral"), []) == (
        []
        if order != "separate"
        else [
            ("predict nli premise: A man sleeps. hypothesis: A man is awake.", [Target((Segment("neutral", "label"),))])
        ]
    )


@given(premise=NASTY, hypothesis=NASTY)
def test_a_fields_text_stands_in_the_prompt_as_it_is(premise: str, hypothesis: str) -> None:
    prompts = NLI.render_prompts("separate", pair(premise, hypothesis))
    assert prompts == {
        "label": f"predict nli premise: {premise} hypothesis: {hypothesis}",
        "explanation": f"explain nli premise: {premise} hypothesis: {hypothesis}",
    }
    both = f"explain nli premise: {premise} hypothesis: {hypothesis}"
    assert NLI.render_prompts("label_first", pair(premise, hypothesis)) == {"label": both, "explanation": both}


def test_a_fields_braces_are_not_filled_again() -> None:
    prompt = NLI.render_prompts("label_first", pair(r"{hypothesis} \1 {}", "h"))["label"]
    assert prompt == r"explain nli premise: {hypothesis} \1 {} hypothesis: h"


# --- parsing back ---


@given(label=st.sampled_from(LABELS), explanation=NASTY, order=st.sampled_from(["label_first", "explanation_first"]))
def test_parsing_gives_back_what_was_rendered(label: str, explanation: str, order: OutputOrder) -> None:
    target = render_target(order, label, explanation)
    assert target is not None
    assert parse(order, target.text, LABELS) == Parsed(label, explanation)


@given(labels=st.lists(NASTY, min_size=1, max_size=4), explanation=NASTY, data=st.data())
def test_any_labels_that_a_task_may_have_survive(labels: list[str], explanation: str, data: st.DataObject) -> None:
    if label_problem(labels) is not None:
        with pytest.raises(ValidationError):
            task(labels=tuple(labels))
        return
    label = data.draw(st.sampled_from(labels))
    for order in ("label_first", "explanation_first"):
        target = render_target(order, label, explanation)
        assert target is not None
        assert parse(order, target.text, labels) == Parsed(label, explanation)
    assert parse("label_only", label, labels) == Parsed(label, "")


@given(explanation=NASTY)
def test_an_explanation_on_its_own_is_given_back(explanation: str) -> None:
    assert parse("explanation_only", explanation, LABELS) == Parsed(None, explanation)
    target = render_target("label_first", None, explanation)
    assert target is not None
    assert parse("label_first", target.text, LABELS) == Parsed(None, explanation)


@given(label=st.sampled_from(LABELS), explanation=NASTY)
def test_what_is_scored_and_generated_is_what_was_trained_on(label: str, explanation: str) -> None:
    first, last = (render_target(order, label, explanation) for order in ("label_first", "explanation_first"))
    assert first is not None
    assert last is not None
    assert first.text == f"{explanation_prefix('label_first', label)} {explanation}"
    assert choice_targets("explanation_first", [label], explanation)[0].text == last.text
    assert explanation_stop("explanation_first", last.text) == explanation


@given(text=NASTY, order=st.sampled_from(ORDERS))
def test_any_text_can_be_parsed(text: str, order: OutputOrder) -> None:
    parsed = parse(order, text, LABELS)
    assert parsed.label in (None, *LABELS)
    assert parsed.explanation in text


@pytest.mark.parametrize(
    ("order", "text", "expected"),
    [
        ("label_first", "Neutral explanation: Maybe.", Parsed("neutral", "Maybe.")),
        ("label_first", "  NEU TRAL \n explanation :  Maybe.", Parsed("neutral", "Maybe.")),
        ("label_first", "neutral", Parsed("neutral", "")),
        ("label_first", "neutral explanation:", Parsed("neutral", "")),
        ("label_first", "neutrally explanation: Maybe.", Parsed(None, "Maybe.")),
        ("label_first", "Maybe.", Parsed(None, "")),
        ("label_first", "explanation: Maybe. explanation: Or not.", Parsed(None, "Maybe. explanation: Or not.")),
        ("label_first", "", Parsed(None, "")),
        ("explanation_first", "Maybe. label: Neutral", Parsed("neutral", "Maybe.")),
        ("explanation_first", "Maybe.\nlabel :neu tral ", Parsed("neutral", "Maybe.")),
        ("explanation_first", "label: neutral", Parsed("neutral", "")),
        ("explanation_first", "The label: a lie. label: neutral", Parsed("neutral", "The label: a lie.")),
        ("explanation_first", "Maybe.", Parsed(None, "Maybe.")),
        ("explanation_first", "Maybe. label: perhaps", Parsed(None, "Maybe.")),
        ("label_only", "Entailment", Parsed("entailment", "")),
        ("separate", "\tcontradiction\n", Parsed("contradiction", "")),
        ("label_only", "neutral explanation: Maybe.", Parsed(None, "")),
    ],
)
def test_spacing_and_case_may_differ(order: OutputOrder, text: str, expected: Parsed) -> None:
    assert parse(order, text, LABELS) == expected


def test_labels_are_matched_as_tokenizers_change_them() -> None:
    labels = ("Follows-from", "does not follow")
    assert parse("label_only", "follows - from", labels).label == "Follows-from"
    assert parse("label_only", "DOES NOT  FOLLOW", labels).label == "does not follow"
    assert parse("label_only", "does follow", labels).label is None


# --- what scoring and generation are given ---


def test_each_choice_is_scored_as_a_label() -> None:
    plain = [Target((Segment("yes", "label"),)), Target((Segment("no", "label"),))]
    for order in ("label_first", "label_only", "separate"):
        assert choice_targets(order, ["yes", "no"], "ignored") == plain
    assert choice_targets("explanation_first", ["yes", "no"], "Since so.") == [
        Target((Segment("Since so. label:", "context"), Segment(" yes", "label"))),
        Target((Segment("Since so. label:", "context"), Segment(" no", "label"))),
    ]


def test_only_label_first_forces_a_prefix() -> None:
    assert explanation_prefix("label_first", "neutral") == "neutral explanation:"
    assert explanation_prefix("label_first", None) == ""
    assert {explanation_prefix(order, "neutral") for order in ORDERS[1:]} == {""}


def test_a_label_behind_an_explanation_is_cut_off_only_where_it_belongs() -> None:
    assert explanation_stop("explanation_first", "Since so. label: neutral") == "Since so."
    assert explanation_stop("explanation_first", "Since so.") == "Since so."
    assert {explanation_stop(order, "x label: neutral") for order in ORDERS if order != "explanation_first"} == {
        "x label: neutral"
    }


# --- tasks that are not usable ---


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ("yes", " no")}, "the label ' no' is empty or has white space around it"),
        ({"labels": ("yes", "")}, "the label '' is empty"),
        ({"labels": ("yes", "no explanation: x")}, "holds 'explanation:' or 'label:'"),
        ({"labels": ("yes", "a label: b")}, "holds 'explanation:' or 'label:'"),
        ({"labels": ("yes", "Y es")}, "hold one twice (case and spacing do not count)"),
        ({"labels": ("yes", "yes")}, "hold one twice"),
        ({"prompt": "{a} {b}"}, "a prompt uses ['b'], which are not among the fields ['a']"),
        ({"prompt": "{a} {choices}"}, "a prompt uses ['choices']"),
        ({"label_prompt": "{A}"}, "a prompt uses ['A']"),
        ({"explanation_prompt": "why?"}, "the prompt 'why?' leaves out the fields ['a']"),
        ({"fields": ()}, "at least 1 item"),
        ({"fields": ("a", "choices"), "prompt": "{a} {choices}"}, "a field cannot be called 'choices'"),
        ({"separator": ":"}, "Extra inputs are not permitted"),
    ],
)
def test_a_task_that_is_not_usable_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        task(**changes)


def test_a_task_survives_a_file() -> None:
    assert Task.model_validate_json(NLI.model_dump_json()) == NLI
    assert Task.model_validate_json(CHOOSING.model_dump_json()) == CHOOSING


def test_get_task_names_the_ones_there_are() -> None:
    assert get_task("nli") is NLI
    assert all(get_task(name).name == name for name in BUILTIN_TASKS)
    with pytest.raises(TaskError, match=r"^task: expected one of .*nli.*, found .nil."):
        get_task("nil")


# --- examples against a task ---


def test_an_example_that_fits_is_returned_as_it_is() -> None:
    for example in (pair(label="neutral"), pair()):
        assert NLI.check(example) is example
    extra = Example(id="1", fields={"premise": "p", "hypothesis": "h", "note": "n"})
    assert NLI.check(extra) is extra


def test_a_missing_field_is_named() -> None:
    with pytest.raises(DataError) as caught:
        NLI.check(Example(id="x7", fields={"premise": "p", "text": "h"}, label="neutral"))
    assert str(caught.value) == (
        "example 'x7': expected the fields ['premise', 'hypothesis'] of the task 'nli', found ['premise', 'text']. "
        "Add ['hypothesis'], or name another task."
    )


@pytest.mark.parametrize("label", ["Neutral", "neutral ", "", "2"])
def test_an_unknown_label_is_named(label: str) -> None:
    with pytest.raises(DataError, match=re.escape(f"expected one of the labels {list(LABELS)}, found {label!r}")):
        NLI.check(pair(label=label))


def test_choices_come_from_the_example() -> None:
    example = Example(id="1", fields={"question": "Where? {choices}"}, choices=("at home", "at sea"), label="at sea")
    assert CHOOSING.check(example) is example
    assert CHOOSING.choices_for(example) == ("at home", "at sea")
    assert CHOOSING.render_prompts("separate", example) == {
        "label": "answer Where? {choices} from at home; at sea",
        "explanation": "explain Where? {choices} at home; at sea",
    }
    with pytest.raises(DataError, match=r"expected one of the labels \['at home', 'at sea'\], found 'neutral'"):
        CHOOSING.check(example.model_copy(update={"label": "neutral"}))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (None, "expected choices, which the task 't' needs, found none"),
        ((), "expected choices, which the task 't' needs, found none"),
        (("a", "A"), "hold one twice"),
        (("a", " b"), "white space around it"),
    ],
)
def test_choices_that_are_not_usable_are_refused(choices: tuple[str, ...] | None, message: str) -> None:
    example = Example(id="x7", fields={"question": "Where?"}, choices=choices, label="a")
    with pytest.raises(TaskError, match=f"^example 'x7': .*{re.escape(message)}"):
        CHOOSING.check(example)


def test_a_task_with_labels_of_its_own_ignores_an_examples_choices() -> None:
    assert NLI.choices_for(pair(choices=("a", "b"))) == LABELS


def test_a_task_without_labels_takes_any_row() -> None:
    writing = task(labels=())
    example = Example(id="1", fields={"a": "x"}, label="whatever")
    assert writing.check(example) is example
    assert writing.choices_for(example) == ()


# --- tasks in YAML ---


def task_file(tmp_path: Path, text: str) -> str:
    path = tmp_path / "task.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_task_out_of_yaml_needs_a_name_fields_and_labels(tmp_path: Path) -> None:
    task = get_task(task_file(tmp_path, "name: review\nfields: [text, product]\nlabels: [good, bad]\n"))
    example = Example(id="1", fields={"text": "Broke at once.", "product": "a mug"}, label="bad")
    assert task.render_prompts("label_first", example)["label"] == "explain review text: Broke at once. product: a mug"
    separate = task.render_prompts("separate", example)
    assert separate["label"] == "predict review text: Broke at once. product: a mug"
    assert separate["explanation"] == task.render_prompts("label_first", example)["explanation"]


def test_a_task_without_labels_of_its_own_shows_each_rows_choices(tmp_path: Path) -> None:
    task = get_task(task_file(tmp_path, "name: quiz\nfields: [question]\n"))
    example = Example(id="1", fields={"question": "Who?"}, choices=("me", "you"))
    assert task.render_prompts("label_first", example)["label"] == "explain quiz question: Who? choices: me; you"


def test_every_mistake_in_a_task_file_is_named_at_once(tmp_path: Path) -> None:
    text = "name: x\nfields: []\nlabel: [a]\noptional: 3\n"
    with pytest.raises(ConfigError) as raised:
        get_task(task_file(tmp_path, text))
    for key in ("fields", "label: unknown key", "optional"):
        assert key in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fields: [label]", "a table has columns of these names"),
        ("fields: [a, a]", "fields are words"),
        ("fields: ['a b']", "fields are words"),
        ("fields: [a]\noptional: [b]", "which are no fields"),
        ("fields: [a]\nlabels: [x, X]", "hold one twice"),
        ("fields: [a]\nprompt: nothing", "leaves out the fields"),
    ],
)
def test_a_task_that_cannot_be_asked_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        get_task(task_file(tmp_path, f"name: x\n{text}\n"))
