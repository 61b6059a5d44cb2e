"""What teachers are asked, and how their answers are read: formats, prompts, few-shots, pauses, money, pace."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasondistill.contracts.records import Example, Explanation
from reasondistill.contracts.teacher_replies import TokenUsage
from reasondistill.data import load_dataset
from reasondistill.errors import ConfigError, DataError
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.tasks.task import NLI
from reasondistill.teachers.answer_formats import CUT, Parts, read, schema, write
from reasondistill.teachers.few_shots import few_shots
from reasondistill.teachers.pacing import Pace
from reasondistill.teachers.prompting import PARTS, PromptForm, templates
from reasondistill.teachers.retrying import asked_pause, used_up
from reasondistill.teachers.spending import Ledger, cost_of, most_cost
from reasondistill.teachers.teach_settings import AnswerFormat, Limits, Prices, Prompts, TeachConfig
from reasondistill.teachers.teacher_requests import request_key

LABELS = ("entailment", "neutral", "contradiction")
ALL_PARTS = sorted(set(PARTS.values()))
FORMS: list[AnswerFormat] = ["json_schema", "json", "lines"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


# --- formats ---


@given(st.sampled_from(FORMS), st.sampled_from(ALL_PARTS), st.sampled_from(LABELS), TEXTS)
def test_what_is_written_is_read_back(form: AnswerFormat, parts: Parts, label: str, explanation: str) -> None:
    answer = read(form, parts, write(form, parts, label, explanation), LABELS)
    wanted = " ".join(explanation.split()) if form == "lines" else explanation.strip()
    if "explanation" in parts and not wanted:
        assert answer.problem == "empty explanation"
        return
    assert answer == (label if "label" in parts else None, wanted if "explanation" in parts else "", "")


@given(st.sampled_from(FORMS), st.sampled_from(ALL_PARTS), st.text())
def test_any_text_is_an_answer_or_has_a_problem(form: AnswerFormat, parts: Parts, text: str) -> None:
    answer = read(form, parts, text, LABELS)
    assert answer.problem or ("label" not in parts or answer.label in LABELS)
    assert answer.problem or "explanation" not in parts or answer.explanation.strip()


@given(st.sampled_from(ALL_PARTS), st.sampled_from(LABELS), TEXTS, st.data())
def test_json_that_ends_early_is_cut(parts: Parts, label: str, explanation: str, data: Any) -> None:
    whole = write("json", parts, label, explanation)
    end = data.draw(st.integers(1, len(whole) - 1))
    assert read("json", parts, whole[:end], LABELS).problem == CUT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('```json\n{"label": "neutral"}\n```', "neutral"),
        ('<think>\nIt says "entailment".\n</think>\n\n{"label": "Neutral"}', "neutral"),
        ('{"label": "neutral."}', "neutral"),
        ('{"label": "not neutral"}', "unknown label"),
        ('{"label": "neutral", "label": "entailment"}', "a key twice"),
        ('{"label": "neutral", "sure": true}', "other keys"),
        ('{"label": ["neutral"]}', "label is no text"),
        ('Sure! {"label": "neutral"}', "no JSON"),
        ('{"label": "neutral"} {"label": "entailment"}', "no JSON"),
        ('"neutral"', "no JSON object"),
        ("[" * 100_000, "no JSON"),
        ('{"label": "neut', CUT),
    ],
)
def test_json_is_read_strictly(text: str, expected: str) -> None:
    answer = read("json", ("label",), text, LABELS)
    assert expected in (answer.label, answer.problem)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Label: neutral\nExplanation: It may be.\nAnd it may not.", ("neutral", "It may be.\nAnd it may not.", "")),
        ("**Label:** Neutral\n**Explanation:** Maybe.", ("neutral", "Maybe.", "")),
        ("Explanation: Maybe.\nLabel: neutral", (None, "", "no such lines")),
        ("Label: neutral\nLabel: entailment\nExplanation: x", (None, "", "no such lines")),
        ("Of course!\nLabel: neutral\nExplanation: x", (None, "", "text before the answer")),
        ("neutral", (None, "", "no such lines")),
    ],
)
def test_lines_are_read_strictly(text: str, expected: tuple[str | None, str, str]) -> None:
    assert tuple(read("lines", ("label", "explanation"), text, LABELS)) == expected


def test_a_schema_has_the_parts_in_their_order() -> None:
    assert list(schema(("explanation", "label"), LABELS)["properties"]) == ["explanation", "label"]
    assert schema(("label",), LABELS)["properties"]["label"]["enum"] == [*LABELS]


# --- prompts ---


@given(st.text(), st.text(st.characters(exclude_categories=["Cs"])))
def test_braces_in_a_text_are_a_text(premise: str, hypothesis: str) -> None:
    example = Example.model_construct(id="1", fields={"premise": premise, "hypothesis": hypothesis}, label="neutral")
    asked = PromptForm(templates(Prompts(label_only="{hypothesis}|{premise}"), NLI), "label_only", "json", NLI)
    assert asked.messages(example, None, [])[-1]["content"] == f"{hypothesis}|{premise}"


@pytest.mark.parametrize(
    ("prompts", "problem"),
    [
        ({"label_only": "{premise}"}, "label_only: leaves out {hypothesis}"),
        ({"label_only": "{fields} {label}"}, "label_only: {label} is none of"),
        ({"given_label": "{fields}"}, "given_label: leaves out {label}"),
        ({"every_label": "{fields} {labl}"}, "every_label: {labl} is none of"),
    ],
)
def test_a_template_that_cannot_be_right_is_refused(prompts: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        templates(Prompts(**prompts), NLI)
    assert problem in str(caught.value)


def test_a_shot_looks_like_the_question_and_its_answer() -> None:
    example = Example(id="1", fields={"premise": "A.", "hypothesis": "B."}, label="neutral")
    shot = Example(id="2", fields={"premise": "C.", "hypothesis": "D."}, label="entailment")
    asked = PromptForm(templates(Prompts(), NLI), "explanation_then_label", "json", NLI)
    system, question, answer, last = asked.messages(example, None, [(shot, shot.label, "C is D.")])
    assert system["role"] == "system"
    assert "C." in question["content"]
    assert json.loads(answer["content"]) == {"explanation": "C is D.", "label": "entailment"}
    assert last["content"] == question["content"].replace("C.", "A.").replace("D.", "B.")


# --- few-shots ---


def rows(count: int = 300) -> list[Example]:
    return [
        Example(
            id=str(k),
            fields={"premise": f"P{k // 3}.", "hypothesis": f"H{k}."},
            label=LABELS[k % 3],
            explanations=(Explanation(text=f"E{k}", source="human"),),
            group=f"P{k // 3}.",
        )
        for k in range(count)
    ]


def test_shots_come_from_training_groups_other_than_the_asked_one() -> None:
    loaded = load_dataset(rows())
    shots = few_shots(6, loaded, loaded, NLI, 0)
    held_out = {e.cluster for part in ("validation", "test") for e in loaded[part].examples}
    assert held_out
    chosen = [shots.of(example) for example in loaded.examples]
    assert all(len(of) == 6 for of in chosen)
    assert not {shot.cluster for of in chosen for shot in of} & held_out
    assert not any(shot.cluster == e.cluster for e, of in zip(loaded.examples, chosen, strict=True) for shot in of)
    assert [sum(shot.label == label for shot in chosen[0]) for label in LABELS] == [2, 2, 2]
    assert len({tuple(shot.id for shot in of) for of in chosen}) < 8, "servers cache what prompts have in common"


def test_a_group_that_the_data_split_elsewhere_gives_no_shots() -> None:
    shown = [row.model_copy(update={"split": "train"}) for row in rows(9)]
    asked = [row.model_copy(update={"split": "test"}) for row in rows(6)]
    shots = few_shots(3, load_dataset(shown), load_dataset(asked), NLI, 0)
    assert {shot.cluster for shot in shots.candidates} == {("group", "P2.")}
    with pytest.raises(DataError, match="4 training rows with a label and an explanation"):
        few_shots(4, load_dataset(shown), load_dataset(asked), NLI, 0)


# --- pauses, money, pace ---


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 40.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:10 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "99999999"}, 3600.0),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert asked_pause(headers, now=lambda: 60.0) == seconds


@pytest.mark.parametrize(
    ("remaining", "reset", "seconds"),
    [("0", "6m0s", 360.0), ("0", "20ms", 0.02), ("0", "1.5", 1.5), ("3", "6m0s", None), ("0", "later", None)],
)
def test_limits_that_are_used_up(remaining: str, reset: str, seconds: float | None) -> None:
    headers = {"x-ratelimit-remaining-tokens": remaining, "x-ratelimit-reset-tokens": reset}
    assert used_up(headers) == (None if seconds is None else pytest.approx(seconds))


@given(st.text())
def test_any_header_is_a_pause_or_none(text: str) -> None:
    headers = dict.fromkeys(("retry-after", "retry-after-ms", "x-ratelimit-reset-requests"), text)
    for pause in (asked_pause(headers), used_up(headers | {"x-ratelimit-remaining-requests": "0"})):
        assert pause is None or 0 <= pause <= 3600


def test_costs() -> None:
    prices = Prices(input=2.0, output=10.0, cached_input=0.5)
    assert cost_of(TokenUsage(input=1000, output=100, cached=400), prices) == pytest.approx(
        (600 * 2 + 400 * 0.5 + 100 * 10) / 1e6
    )
    assert most_cost(1000, 100, prices) == pytest.approx((1000 * 2 + 100 * 10) / 1e6)
    assert cost_of(TokenUsage(input=1, output=1), None) == most_cost(1, 1, None) == 0


@given(st.lists(st.tuples(st.floats(0.01, 1), st.floats(0, 1)), max_size=30), st.floats(0, 3))
def test_a_ledger_never_passes_its_budget(requests: list[tuple[float, float]], budget: float) -> None:
    ledger = Ledger(budget)
    for most, share in requests:
        if ledger.reserve(most):
            ledger.settle(most, most * share)
        assert ledger.spent <= budget


def test_what_does_not_fit_waits_for_others_to_settle() -> None:
    ledger = Ledger(1.0)
    assert ledger.reserve(0.8)
    reserved = []
    waiting = threading.Thread(target=lambda: reserved.append(ledger.reserve(0.5)))
    waiting.start()
    ledger.settle(0.8, 0.1)
    waiting.join(10)
    assert reserved == [True]
    ledger.settle(0.5, 0.5)
    assert not ledger.reserve(0.5)


def test_a_pace_spreads_requests_and_corrects_tokens() -> None:
    now = [0.0]
    waited: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout or 0.0)
            now[0] += timeout or 0.0
            return False

    pace = Pace(Limits(requests_per_minute=60, tokens_per_minute=600), clock=lambda: now[0])
    stop = Stop()
    for _ in range(3):
        assert pace.wait(5, stop)  # 5 tokens take 0.5 s of their limit, a request 1 s of its
    assert now[0] == pytest.approx(2.0)
    pace.correct(5, 45)  # four seconds more
    assert pace.wait(5, stop)
    assert now[0] == pytest.approx(6.5)
    pace.hold(10)
    assert pace.wait(5, stop)
    assert now[0] == pytest.approx(16.5)


# --- keys and settings ---


def test_a_key_depends_on_model_parameters_messages_and_sample() -> None:
    base: tuple[Any, ...] = ("m", {"temperature": 0}, [{"role": "user", "content": "x"}], 0)
    others = [
        ("n", *base[1:]),
        (base[0], {"temperature": 1}, *base[2:]),
        (*base[:2], [{"role": "user", "content": "y"}], 0),
        (*base[:3], 1),
    ]
    assert len({request_key(*parts) for parts in (base, *others)}) == 5
    assert request_key(*base) == request_key("m", {"temperature": 0}, [{"content": "x", "role": "user"}], 0)


MINIMAL: dict[str, Any] = {"name": "x", "data": {"source": "scenes:20"}, "teachers": [{"name": "t", "model": "m"}]}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"budget": 1}, "teachers.0.prices: required where there is a budget"),
        ({"samples": 3}, "teachers.0.temperature: 3 samples at 0 would be the same"),
        ({"teachers": [{"name": "t", "model": "m"}] * 2}, "expected names that differ, found 't' twice"),
        ({"teachers": [{"name": "t", "model": "m", "api": "completions"}]}, "answer_format: json or lines"),
        ({"teachers": [{"name": "t", "model": "m", "base_url": "https://me:word@x/v1"}]}, "without a name, password"),
        ({"teachers": [{"name": "t", "kind": "oracle"}]}, "expected one of"),
        ({"task": "instructions"}, "has no labels to choose from: name them"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validate_config(TeachConfig, MINIMAL | changes, where="teach.yaml")
    assert problem in str(caught.value)


def test_a_key_in_place_of_its_variable_is_refused_and_not_repeated() -> None:
    key = "sk-abcdefghijklmnop0123456789"
    with pytest.raises(ConfigError) as caught:
        validate_config(
            TeachConfig, MINIMAL | {"teachers": [{"name": "t", "model": "m", "key_env": key}]}, where="teach.yaml"
        )
    assert "key_env" in str(caught.value)
    assert key not in str(caught.value)
