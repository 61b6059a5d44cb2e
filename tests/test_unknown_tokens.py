"""Texts that an encoder or a tokenizer cannot read: what is lost, what is not scored, and who is told."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from make import facts_of
from reasondistill.comparison import compare, load_systems
from reasondistill.contracts.records import Example, Explanation, Prediction
from reasondistill.data.audit import audit
from reasondistill.data.loaded import Loaded
from reasondistill.evaluation import Evaluation, EvaluationSettings, evaluate
from reasondistill.evaluation.reference_teachers import ReferenceTeacher
from reasondistill.languages.unknown_tokens import (
    RAISE,
    READS_EVERYTHING,
    LossCount,
    Reader,
    advice,
    plain,
    sentences,
    shown,
)
from reasondistill.languages.word_splitting import length, tokens, words
from reasondistill.metrics.bertscore import why_left_out
from reasondistill.metrics.explanations import Compared, ExplanationScorer
from reasondistill.metrics.text import CorpusMetric, Rouge, distinct_2, is_copy
from reasondistill.reporting import build_report
from reasondistill.tasks.task import Task

THAI, OTHER_THAI = "ร้านนี้ดีมาก", "วันนี้ฝนตก"
TASK = Task(name="sentiment", fields=("text",), labels=("good", "bad"))
PLAIN = EvaluationSettings(bertscore=False, resamples=50)
needs_encoder = pytest.mark.skipif(bool(why_left_out(None)), reason=str(why_left_out(None)))


@pytest.fixture(scope="module")
def wordpiece() -> Any:
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "good", "shop", "{", "}", "##s", "家", ".", ":"]
    made = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({piece: k for k, piece in enumerate(vocabulary)}, unk_token="[UNK]")
    )
    made.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, **names)


# --- what one text loses ---


def test_losses_of_wordpiece(wordpiece: Any) -> None:
    texts = ["a good shop.", f"a good {THAI}", "一家 good", "A\ngood Shops", "👍🏽 good", "good👍 shop", "", "  "]
    found = Reader(wordpiece).losses(texts)
    assert [(one.tokens, one.unknown, one.characters) for one in found] == [
        (4, 0, ""),
        (3, 1, THAI),
        (3, 1, "一"),
        (4, 0, "\n"),
        (2, 1, "👍🏽"),
        (2, 1, "good👍"),  # a word with an unknown character is unknown as a whole
        (0, 0, ""),
        (0, 0, ""),
    ]
    assert [one.share for one in found] == pytest.approx([0, 12 / 17, 1 / 3, 0, 1 / 2, 1 / 2, 0, 0], abs=0.06)


def test_what_a_normaliser_drops_is_lost_too(wordpiece: Any) -> None:
    marks = Reader(wordpiece).losses(["good\u0e35\u0e49"])[0]
    assert (marks.unknown, marks.characters) == (0, "\u0e35\u0e49")
    assert Reader(wordpiece).losses(["go\u200bod"])[0].characters == ""  # nobody sees it


def test_losses_of_sentencepiece() -> None:
    pytest.importorskip("torch")
    from tiny import sentencepiece_like

    found = Reader(sentencepiece_like()).losses(["A dog runs.", "A dog {runs}", THAI])
    assert [one.characters for one in found] == ["", "{}", THAI]
    assert [one.share > 0.5 for one in found] == [False, False, True]


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=30))
def test_byte_level_tokenizers_lose_nothing_and_others_only_what_is_there(text: str) -> None:
    pytest.importorskip("torch")
    from tiny import byte_level, sentencepiece_like

    assert Reader(byte_level()).losses([text])[0][1:] == (0, 0.0, "")
    loss = Reader(sentencepiece_like()).losses([text])[0]
    assert 0 <= loss.share <= 1
    assert not set(loss.characters) - set(text)
    if plain(text) and not loss.unknown:
        assert loss.characters == ""


def test_prompts_that_become_the_same_are_named(wordpiece: Any) -> None:
    count = LossCount(wordpiece)
    prompts = {"1": "a shop 一", "2": "a shop 二", "3": "a shop 一", "4": "a  good shop", "5": "a good shop"}
    for identity, prompt in prompts.items():
        count.add(identity, prompt, [THAI, "good"])
    found = count.totals()
    assert json.loads(json.dumps(found)) == found
    assert found["prompts"] == {"n": 5, "lossy": 3, "with_unknown": 3, "tokens": 15, "unknown": 3}
    assert found["targets"] == {"n": 10, "lossy": 5, "with_unknown": 5, "tokens": 10, "unknown": 5}
    assert found["same_prompts"] == {"n": 4, "cut": 0, "ids": [["1", "2"], ["4", "5"]]}
    lost, same = sentences(found)
    assert "3 of 5 prompts (3 of 15 tokens unknown) and in 5 of 10 targets (5 of 10 tokens unknown)" in lost
    assert shown("ร") in lost
    assert "4 prompts" in same
    assert same.endswith("1 = 2; 4 = 5.")
    # A limit makes prompts the same that differ behind it.
    cut = LossCount(wordpiece, max_source_length=4)
    for identity, prompt in (("1", "a good shop"), ("2", "a good a")):
        cut.add(identity, prompt)
    assert cut.totals()["same_prompts"] == {"n": 2, "cut": 2, "ids": [["1", "2"]]}
    assert advice(cut.totals()) == RAISE
    assert advice(found) == READS_EVERYTHING
    assert sentences(LossCount(wordpiece).totals()) == []


def test_few_losses_are_not_worth_a_word(wordpiece: Any) -> None:
    count = LossCount(wordpiece)
    for number in range(2000):
        count.add(str(number), "a good shop 一" if number == 7 else "a good shop")
    assert sentences(count.totals()) != []
    assert sentences(count.totals(), from_share=0.001) == []


# --- metrics without an encoder ---


@pytest.mark.parametrize(
    ("text", "rouge", "bleu"),
    [
        ("A good shop.", True, True),
        ("", True, True),
        ("…", True, True),
        ("Ein schöner Laden für große Hunde.", True, True),
        ("The shop is very good 👍", True, True),
        (THAI, False, False),
        ("这家店很好", False, False),
        ("ეს მაღაზია კარგია", False, True),
        ("Хороший магазин", False, True),
        ("Cửa hàng này rất tốt", False, True),
        ("👍👍", False, True),
        (f"It is good, {THAI}", False, False),
    ],
)
def test_what_rouge_and_bleu_can_read(text: str, rouge: bool, bleu: bool) -> None:
    assert Rouge.reads(text) is rouge
    assert CorpusMetric("bleu").reads(text) is bleu
    assert CorpusMetric("chrf").reads(text)


def test_words_of_scripts_without_spaces_are_characters() -> None:
    assert words("这家店, Good") == ["这", "家", "店", "good"]
    assert words("नमस्ते दुनिया") == ["नमस्ते", "दुनिया"]
    assert tokens("Don't 👍👍") == ["don't", "👍", "👍"]
    assert words(THAI) == list(THAI)
    assert (length("a good shop"), length("这家店 good"), length(THAI)) == (3, 4, 12)
    assert is_copy("这家店很好", {"text": "我觉得这家店很好。"})
    assert not is_copy("今天下雨了", {"text": "我觉得这家店很好。"})
    assert distinct_2(["这家店很好", "今天下雨了"]) == 1.0


def test_references_that_are_not_read_are_passed_over() -> None:
    scorer = ExplanationScorer([], how="mean", stemmer=True, bertscore=None, cache=False)
    one = Compared("a good shop", ["a good shop", THAI], {"text": "x"})
    assert scorer.overlap(one) == {"rouge1": 1.0, "rouge2": 1.0, "rougeL": 1.0}
    assert scorer.overlap(one._replace(references=[THAI]))["rougeL"] is None
    assert scorer.overlap(one._replace(explanation=OTHER_THAI))["rougeL"] is None
    assert scorer.overlap(one._replace(explanation=" ", references=[THAI]))["rougeL"] == 0  # empty: 0 by rule
    assert "bleu" not in scorer.figures([one._replace(references=[THAI])])


# --- evaluate, compare and report ---


def rows_of(texts: Sequence[tuple[str, str]]) -> tuple[list[Example], list[Prediction]]:
    """Pairs of reference and explanation as data and predictions."""
    examples = [
        Example(
            id=str(k),
            fields={"text": f"review number {k} of a shop"},
            label=("good", "bad")[k % 2],
            explanations=[Explanation(text=reference, source="human")],
        )
        for k, (reference, _) in enumerate(texts)
    ]
    return examples, [Prediction(id=str(k), label="good", explanation=said) for k, (_, said) in enumerate(texts)]


def scored(texts: Sequence[tuple[str, str]], settings: EvaluationSettings = PLAIN) -> Evaluation:
    examples, answers = rows_of(texts)
    return evaluate(answers, examples, task=TASK, name="made", settings=settings)


ENGLISH = [(f"the shop number {k} is good", f"number {k} is a fine shop") for k in range(9)]


@needs_encoder
def test_what_nothing_but_chrf_can_read_has_no_other_figure(tmp_path: Path) -> None:
    found = scored([(THAI, OTHER_THAI), ("这家店很好", "今天下雨了")], EvaluationSettings(resamples=50))
    unread = {"rouge1", "rouge2", "rougeL", "bleu", "bertscore_f1"}
    assert not unread & set(found.results.metrics)
    assert set(found.results.settings["unread"]["left_out"]) == unread
    assert 0 < found.results.metrics["chrf"].value < 50
    for figures in (*found.results.baselines.values(), *found.results.controls.values()):
        assert not unread & set(figures)
    assert not unread & set(found.results.settings["fooled"])
    for row in found.rows:
        assert all(row.score(name) is None for name in unread - {"bleu"})
    found.save(tmp_path / "results")
    for file in (tmp_path / "results").iterdir():
        assert "NaN" not in file.read_text(encoding="utf-8")
    report = build_report([tmp_path / "results"], tmp_path / "report").markdown.read_text(encoding="utf-8")
    first = report.split("## ")[0]
    assert "Left out, as they cannot read these texts: ROUGE-1, ROUGE-2 and ROUGE-L, BERTScore F1, BLEU." in first
    assert "2 of 2 rows were not read: rouge-score keeps a-z and 0-9 only" in report.split("## Left out")[1]


@needs_encoder
def test_bertscore_is_none_for_what_its_encoder_cannot_read() -> None:
    from reasondistill.metrics.bertscore import BertScore

    encoder = BertScore(cache=False)
    pairs = [(THAI, OTHER_THAI), ("A good shop.", THAI), ("A good shop.", "A good shop."), ("", THAI)]
    assert [encoder.score(pairs)[pair] for pair in pairs] == [None, None, pytest.approx(1.0), 0.0]


def test_single_rows_that_are_not_read_are_counted_and_do_not_count() -> None:
    usual = scored(ENGLISH)
    mixed = scored([*ENGLISH, (THAI, OTHER_THAI)])
    assert mixed.results.settings["unread"]["rows"] == {"rouge1": 1, "rouge2": 1, "rougeL": 1, "bleu": 1}
    assert mixed.results.settings["unread"]["left_out"] == {}
    for name in ("rougeL", "bleu"):
        assert mixed.results.metrics[name].value == pytest.approx(usual.results.metrics[name].value)
        assert mixed.results.metrics[name].n == 9
    assert mixed.results.metrics["chrf"].n == 10
    assert mixed.rows[9].score("rougeL") is None
    assert "unread" not in usual.results.settings


@pytest.mark.parametrize("side", [0, 1])
def test_one_side_that_is_not_read_is_enough(side: int) -> None:
    pair = (THAI, "a good shop") if side == 0 else ("a good shop", THAI)
    assert scored([*ENGLISH, pair]).rows[9].score("rougeL") is None


def test_too_many_rows_leave_a_metric_out() -> None:
    found = scored([*ENGLISH[:7], *[(THAI, OTHER_THAI)] * 3])
    assert found.results.settings["unread"]["left_out"]["rougeL"].startswith("3 of 10 rows were not read")
    assert {row.score("rougeL") for row in found.rows} == {None}
    assert "rougeL" in scored([*ENGLISH[:8], *[(THAI, OTHER_THAI)] * 2]).results.metrics


def test_empty_explanations_stay_scored() -> None:
    found = scored([*ENGLISH[:8], ("the shop is good", ""), (THAI, "")])
    assert [row.score("rougeL") for row in found.rows[8:]] == [0.0, 0.0]
    assert found.results.metrics["rougeL"].n == 10


def test_one_row_that_is_not_read() -> None:
    assert "rougeL" not in scored([(THAI, OTHER_THAI)]).results.metrics


def test_baselines_are_held_against_the_system_on_their_own_rows() -> None:
    examples, answers = rows_of(ENGLISH)
    examples[0] = examples[0].model_copy(update={"fields": {"text": "这家店很好"}})
    found = evaluate(answers, examples, task=TASK, name="made", settings=PLAIN).results
    fewer = found.settings["unread"]["baselines"]["copied_text"]["rougeL"]
    rest = scored(ENGLISH).rows[1:]
    assert (fewer["n"], fewer["of"]) == (8, 9)
    assert fewer["student"] == pytest.approx(sum(row.score("rougeL") or 0.0 for row in rest) / 8)
    assert found.metrics["rougeL"].n == 9  # the student's own rows can all be read
    foreign = [example.model_copy(update={"fields": {"text": "这家店很好"}}) for example in examples]
    left = evaluate(answers, foreign, task=TASK, name="made", settings=PLAIN).results
    assert "rougeL" not in left.baselines["copied_text"]
    assert "rougeL" in left.metrics


def test_systems_are_compared_on_rows_that_could_be_read_for_both(tmp_path: Path) -> None:
    strange = [*ENGLISH[:-1], (ENGLISH[-1][0], "👍👍")]
    foreign = [(reference, THAI) for reference, _ in ENGLISH]
    for name, texts in (("one", ENGLISH), ("two", strange), ("three", foreign)):
        scored(texts).save(tmp_path / name)
    one, two, three = load_systems([tmp_path / name for name in ("one", "two", "three")])
    found = compare([one, two])
    assert found.pairs[0].metrics["rougeL"].n == 8
    assert found.pairs[0].metrics["chrf"].n == 9
    assert any("two some could not be read (rouge1 1, rouge2 1, rougeL 1)" in note for note in found.notes)
    found = compare([one, three])
    assert "rougeL" not in found.pairs[0].metrics
    assert "three has no figure of it: 9 of 9 rows were not read" in found.pairs[0].left_out["rougeL"]
    mixed = [*ENGLISH, (THAI, OTHER_THAI)]
    for name in ("four", "five"):
        scored(mixed).save(tmp_path / name)
    found = compare(load_systems([tmp_path / "four", tmp_path / "five"]))
    assert (found.pairs[0].metrics["bleu"].n, found.pairs[0].metrics["rougeL"].n) == (9, 9)


class StubJudge:
    """Gives every explanation that it reads the same support."""

    settings = {"judge": "stub"}  # noqa: RUF012

    def __init__(self, unread: str) -> None:
        self.encoder = self
        self._unread = unread

    def reads(self, texts: Sequence[str]) -> list[bool]:
        return [text != self._unread for text in texts]

    def support(self, rows: Any, progress: Any = None) -> list[float]:
        return [0.75 for row in rows if row.explanation != self._unread or pytest.fail("asked what it cannot read")]

    def refuse_task(self, task: Task) -> None: ...

    def refuse_seen(self, examples: Any, task: Task) -> None: ...


@pytest.mark.parametrize(("times", "left_out"), [(1, False), (4, True)])
def test_a_judge_gives_no_support_to_what_it_cannot_read(times: int, left_out: bool) -> None:
    examples, answers = rows_of([*ENGLISH[times:], *[(f"the shop number {k} is good", THAI) for k in range(times)]])
    judge: Any = StubJudge(THAI)
    found = evaluate(answers, examples, task=TASK, name="made", settings=PLAIN, judge=judge).results
    assert found.settings["unread"]["rows"]["support"] == times
    assert ("support" in found.settings["unread"]["left_out"]) is left_out
    assert ("support" in found.metrics) is not left_out
    if not left_out:
        assert (found.metrics["support"].value, found.metrics["support"].n) == (0.75, 8)
        assert found.baselines["copied_text"]["support"] == 0.75


def test_agreement_with_a_teacher_is_not_read_off_unread_texts() -> None:
    examples, answers = rows_of([*ENGLISH, ("a good shop", "a good shop")])
    given = [a.model_copy(update={"explanation": a.explanation if k else THAI}) for k, a in enumerate(answers)]
    few = ReferenceTeacher.of_predictions("few", given)
    all_of_it = ReferenceTeacher.of_predictions("all", [a.model_copy(update={"explanation": THAI}) for a in answers])
    found = evaluate(
        answers, examples, task=TASK, name="made", settings=PLAIN, teachers=[few, all_of_it]
    ).results.model_dump()["agreement"]
    assert (
        found["few"]["explanation"]["rougeL"]["all"]["value"],
        found["few"]["explanation"]["rougeL"]["all"]["n"],
    ) == (1, 9)
    assert "left_out" not in found["few"]
    assert found["all"]["explanation"] == {}
    assert found["all"]["left_out"]["rougeL"].startswith("10 of 10 rows were not read")


def test_a_report_says_first_that_explanations_are_empty(tmp_path: Path) -> None:
    for name, texts in (
        ("few", [*ENGLISH[:-1], (ENGLISH[-1][0], "")]),
        ("none", ENGLISH),
        ("all", [(reference, " ") for reference, _ in ENGLISH]),
    ):
        scored(texts).save(tmp_path / name)

    def first(*names: str) -> str:
        files = build_report([tmp_path / name for name in names], tmp_path / "-".join(["report", *names]))
        return files.markdown.read_text(encoding="utf-8").split("## ")[0]

    assert "1 of 9 explanations (11.1%) are empty." in first("few")
    assert "empty" not in first("none")
    assert "It explains nothing: all 9 explanations are empty." in first("all")
    assert "Empty are 11.1% of the explanations of few" in first("few", "none")


# --- audit, train, predict ---


def test_an_audit_says_what_a_tokenizer_loses(wordpiece: Any) -> None:
    examples, _ = rows_of([(THAI, ""), ("good", ""), ("👍", ""), ("👎", "")])
    examples = [
        e.model_copy(update={"fields": {"text": "a shop 一" if k % 2 else "a shop 二"}}) for k, e in enumerate(examples)
    ]
    result = audit(Loaded("made", examples), task=TASK, tokenizer=wordpiece)
    assert result.lost is not None
    assert result.lost.targets.with_unknown == 4  # labels are unknown, too
    lost, same = (f for f in result.findings if "tokenizer" in f.what or "tokens of" in f.what)
    assert lost.severity == same.severity == "problem"
    assert same.ids == [["0", "1"]]
    assert audit(Loaded("made", examples), task=TASK).lost is None
    # Emoji are no empty explanations, Thai ones not short, and different emoji not the same.
    assert result.explanations.empty == 0
    assert result.explanations.very_short == 3
    assert result.explanations.repeated.n == 0


@pytest.fixture(scope="module")
def sentencepiece_student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    import tiny

    folder = tmp_path_factory.mktemp("student")
    tiny.flan_t5().save_pretrained(folder)
    tiny.sentencepiece_like().save_pretrained(folder)
    return folder


def test_training_and_predicting_say_once_what_is_lost(
    tmp_path: Path, sentencepiece_student: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from reasondistill import Student
    from reasondistill.config import TrainConfig
    from reasondistill.contracts.records import as_row
    from reasondistill.data import load
    from reasondistill.data.scenes import generate
    from reasondistill.storage.layered_yaml import validate_config
    from reasondistill.students.prediction_files import predict_file
    from reasondistill.training.train import train

    examples = [example.model_copy(update={"split": None}) for example in generate(24, seed=1)]
    for place, sign in ((0, "一"), (1, "二")):
        fields = {"premise": f"A dog {sign}.", "hypothesis": "A dog."}
        examples[place] = examples[place].model_copy(update={"fields": fields})
    said = Explanation(text=f"A dog\nruns {THAI}", source="human")
    examples[2] = examples[2].model_copy(update={"explanations": (said,)})
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(as_row(e), ensure_ascii=False) + "\n" for e in examples), encoding="utf-8")
    config = validate_config(
        TrainConfig,
        {
            "name": "made",
            "runs_dir": str(tmp_path),
            "student": {"kind": "hub", "checkpoint": str(sentencepiece_student)},
            "data": {"train": {"source": str(data)}},
            "training": {"max_steps": 1, "use_cpu": True, "report_to": "none", "disable_tqdm": True},
        },
        where="made",
    )
    with caplog.at_level(logging.WARNING, logger="reasondistill"):
        run = train(config)
    lost = facts_of(run)["lost"]
    assert (lost["prompts"]["n"], lost["prompts"]["with_unknown"], lost["prompts"]["unknown"]) == (24, 2, 2)
    assert lost["targets"]["with_unknown"] == 1
    assert ["\n", 1] in lost["characters"] or len(lost["characters"]) == 8
    ids = [examples[0].id, examples[1].id]
    assert lost["same_prompts"] == {"n": 2, "cut": 0, "ids": [ids]}
    (message,) = [r.getMessage() for r in caplog.records if "cannot read" in r.getMessage()]
    assert "2 of 24 prompts" in message
    assert " = ".join(ids) in message
    assert "student.kind: scratch" in message

    caplog.clear()
    student, rows = Student.load(run.folder), load(str(data)).examples
    with caplog.at_level(logging.WARNING, logger="reasondistill"):
        for _ in range(2):  # the second finds everything done
            predict_file(student, list(rows)[:3], tmp_path / "answers.jsonl", facts={})
    (message,) = [r.getMessage() for r in caplog.records if "cannot read" in r.getMessage()]
    assert "2 of 3 prompts (2 of " in message
    assert " = ".join(ids) in message
