"""Overlap of texts in every script: a text equals itself, and English figures are untouched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasondistill.config import EvaluationSettings
from reasondistill.contracts.records import Example, Explanation, Prediction
from reasondistill.evaluation import evaluate
from reasondistill.metrics.any_script import rouge1_any, rougeL_any
from reasondistill.tasks.task import NLI, Task

SCRIPTS = {
    "Latin": (0x41, 0x17F), "Greek": (0x391, 0x3C9), "Cyrillic": (0x410, 0x44F), "Hebrew": (0x5D0, 0x5EA),
    "Arabic": (0x621, 0x64A), "Devanagari": (0x905, 0x939), "Thai": (0xE01, 0xE2E), "Hangul": (0xAC00, 0xD7A3),
    "Han": (0x4E00, 0x9FA5), "Kana": (0x3041, 0x30FA),
}  # fmt: skip


@pytest.mark.parametrize("script", SCRIPTS)
@given(data=st.data())
def test_a_text_equals_itself_in_every_script(script: str, data: st.DataObject) -> None:
    low, high = SCRIPTS[script]
    letters = st.characters(min_codepoint=low, max_codepoint=high)
    marks = st.sampled_from(" 。.,!؟।1٢-")
    text = data.draw(st.text(st.one_of(letters, marks), min_size=1).filter(str.strip))
    assert rouge1_any(text, [text]) == rougeL_any(text, ["", text]) == 1.0
    assert rougeL_any(text, [""]) == rougeL_any("", [text]) == 0.0


def test_by_hand_over_characters_and_words() -> None:
    # 猫在睡觉 and 狗在睡觉 share three of four characters, in order.
    assert rouge1_any("猫在睡觉。", ["狗在睡觉"]) == pytest.approx(3 / 4)
    assert rougeL_any("睡觉在", ["在睡觉"]) == pytest.approx(2 / 3)
    assert rouge1_any("睡觉在", ["在睡觉"]) == 1.0
    # Der Hund schläft / ein Hund schläft: two of three words; the better of two references counts.
    assert rougeL_any("Der Hund schläft", ["eine Katze", "ein Hund schläft"]) == pytest.approx(2 / 3)


def rows(text: str) -> tuple[list[Prediction], list[Example]]:
    fields = (
        {"premise": f"{text}一", "hypothesis": f"{text}二"}
        if not text.isascii()
        else {"premise": f"{text} one", "hypothesis": f"{text} two"}
    )
    why = [Explanation(text=text, source="human")]
    examples = [Example(id=str(k), fields=fields, label="neutral", explanations=why) for k in range(6)]
    return [Prediction(id=str(k), label="neutral", explanation=text) for k in range(6)], examples


def test_figures_for_any_script_stand_in_the_place_of_english_ones_and_never_beside_them() -> None:
    settings = EvaluationSettings(bertscore=False)
    chinese = evaluate(*rows("因为猫在睡觉所以它不叫"), task=NLI, name="zh", settings=settings)
    assert chinese.metrics["rougeL_intl"].value == 1.0
    assert chinese.metrics["chrf"].value == pytest.approx(100.0)
    assert "rougeL" not in chinese.metrics
    assert "rougeL_intl" in chinese.results.baselines["copied_premise"]
    english = evaluate(*rows("The cat sleeps so it is quiet"), task=NLI, name="en", settings=settings)
    assert english.metrics["rougeL"].value == 1.0
    assert not any(name.endswith("_intl") for name in english.metrics)


def test_written_answers_in_chinese_have_figures() -> None:
    task = Task(name="qa", fields=("question",), answer="text", labels=())
    examples = [Example(id=str(k), fields={"question": "猫在做什么"}, label="猫在睡觉") for k in range(4)]
    given = [Prediction(id=str(k), label="狗在睡觉") for k in range(4)]
    scored = evaluate(given, examples, task=task, name="qa", settings=EvaluationSettings(bertscore=False))
    assert scored.metrics["answer_f1_intl"].value == pytest.approx(3 / 4)
    assert scored.metrics["exact_match"].value == 0.0
