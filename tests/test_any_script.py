"""Overlap of texts in every script: a text equals itself, and English figures are untouched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasondistill.config import EvaluationSettings
from reasondistill.config.language_names import language_named
from reasondistill.contracts.records import Example, Explanation, Prediction
from reasondistill.errors import ConfigError
from reasondistill.evaluation import evaluate
from reasondistill.metrics import text
from reasondistill.metrics.any_script import rouge1_any, rougeL_any
from reasondistill.metrics.text import CorpusMetric, bleu_tokenizer
from reasondistill.storage.layered_yaml import validate_config
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
    assert chinese.metrics["bleu_intl"].value == pytest.approx(100.0)
    assert chinese.results.baselines["copied_premise"]["bleu_intl"] < 100
    assert chinese.results.settings["bleu_intl"]["tokenizer"] == "zh"
    assert "tok:zh" in chinese.results.settings["bleu_intl"]["signature"]
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


@pytest.mark.parametrize(
    ("language", "tokenizer"),
    [
        ("Chinese", "zh"), ("Chinese or Japanese", "zh"), ("Japanese", "ja-mecab"), ("Korean", "ko-mecab"),
        ("Thai", "char"), ("Russian", "intl"), ("Arabic script", "intl"), ("unknown", "intl"),
    ],
)  # fmt: skip
def test_each_language_has_one_of_sacrebleus_tokenizers(
    language: str, tokenizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "find_spec", lambda module: object())
    assert bleu_tokenizer(language) == tokenizer
    monkeypatch.setattr(text, "find_spec", lambda module: None)
    without = {"Japanese": "char", "Korean": "intl"}
    assert bleu_tokenizer(language) == without.get(language, tokenizer)


@pytest.mark.parametrize(
    ("tokenizer", "candidate", "reference"),
    [
        ("zh", "猫在沙发上睡觉。", "猫在地毯上睡觉。"),
        ("char", "แมวนอนบนโซฟา", "แมวนอนบนพรม"),
        ("intl", "Кот спит — на диване, а пёс нет!", "Кот спит — на ковре, а пёс нет!"),
    ],
)
def test_bleu_in_any_script_is_sacrebleus(tokenizer: str, candidate: str, reference: str) -> None:
    from sacrebleu.metrics.bleu import BLEU

    metric = CorpusMetric("bleu", tokenizer)
    assert metric.reads(candidate)
    plain = BLEU(lowercase=True, tokenize=tokenizer)
    expected = plain.corpus_score([candidate], [[reference]])
    assert 0 < metric.score(metric.statistics([candidate], [[reference]])[0]) == expected.score < 100
    assert metric.signature == str(plain.get_signature())
    assert metric.score(metric.statistics([reference], [[reference]])[0]) == pytest.approx(100)
    assert not CorpusMetric("bleu").reads("猫在沙发上睡觉")  # by 13a one word


def test_a_language_that_is_given_goes_before_what_is_told() -> None:
    given = EvaluationSettings(bertscore=False, language="th")
    scored = evaluate(*rows("因为猫在睡觉所以它不叫"), task=NLI, name="zh", settings=given)
    assert scored.results.settings["language"] == "Thai"
    assert scored.results.settings["slices"]["languages"] == {"input": "Thai", "explanation": "Thai"}
    assert scored.results.settings["bleu_intl"]["tokenizer"] == "char"
    told = evaluate(*rows("因为猫在睡觉所以它不叫"), task=NLI, name="zh", settings=EvaluationSettings(bertscore=False))
    assert "language" not in told.results.settings
    assert told.results.settings["slices"]["languages"]["input"] == "Chinese or Japanese"


def test_a_language_that_is_misspelt_is_not_taken_for_one_of_its_own() -> None:
    for written, meant in (("Germn", "German"), ("chinse", "Chinese"), ("Portugese", "Portuguese")):
        with pytest.raises(ConfigError, match=f"'{written}' is no language that is known here; write '{meant}'"):
            validate_config(EvaluationSettings, {"language": written}, where="settings")
    assert language_named("Javanese") == "Javanese"
    assert language_named("Deutsch") == "German"
    assert language_named("Georgian") == "Georgian"


def test_languages_have_names_and_codes() -> None:
    names = ["German", "german", "de", "DE-AT", "zh_CN", "  Old  Norse ", "English"]
    assert [language_named(name) for name in names] == [
        "German", "German", "German", "German", "Chinese", "Old Norse", "English"
    ]  # fmt: skip
