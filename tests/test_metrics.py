"""Metrics against hand-worked values, against the plain libraries, and on strings that nobody expects."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from reasondistill.errors import CheckpointError, ConfigError, MissingExtraError
from reasondistill.languages import word_splitting
from reasondistill.metrics import baselines, bertscore, calibration_error, label, overlap_counts, text
from reasondistill.metrics.bertscore import BertScore, Encoded, default_encoder, f1, why_left_out
from reasondistill.metrics.explanations import Compared, ExplanationScorer, held_out
from reasondistill.metrics.statistics import GroupBootstrap

LABELS = ("entailment", "neutral", "contradiction")
SENTENCES = [
    "A dog is an animal, so an animal is running.",
    "Not every running dog is chasing a cat.",
    "The dog cannot be asleep while it runs!",
    "Just because a dog runs doesn't mean it is fast.",
    "",
    "dogs",
    "Running dogs run; runners are running.",
]
nasty = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
words = st.lists(st.sampled_from(["dog", "dogs", "running", "a", "is", "the", "."]), max_size=8).map(" ".join)

PLAIN_ROUGE = {stemmer: RougeScorer(list(text.ROUGE_NAMES), use_stemmer=stemmer) for stemmer in (False, True)}
OUR_ROUGE = {stemmer: text.Rouge(stemmer=stemmer) for stemmer in (False, True)}


@pytest.fixture(scope="module")
def minilm() -> BertScore:
    if reason := why_left_out(None):
        pytest.skip(reason)
    return BertScore(cache=False)


# Labels


def test_label_figures_by_hand() -> None:
    gold = ["entailment", "entailment", "neutral", "contradiction"]
    predicted = ["entailment", "neutral", "neutral", None]
    counts = label.label_statistics(gold, predicted, LABELS).sum(axis=0)
    assert label.accuracy(gold, predicted) == 0.5
    assert label.precision(counts).tolist() == [1.0, 0.5, 0.0]
    assert label.recall(counts).tolist() == [0.5, 1.0, 0.0]
    assert label.f1(counts).tolist() == pytest.approx([2 / 3, 2 / 3, 0])
    assert label.macro_f1(counts) == pytest.approx(4 / 9)
    names, matrix = label.confusion(gold, predicted, LABELS)
    assert names == [*LABELS, label.NO_LABEL]
    assert matrix == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]


@given(st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_label_figures_equal_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    gold, predicted = [g for g, _ in pairs], [p for _, p in pairs]
    counts = label.label_statistics(gold, predicted, LABELS).sum(axis=0)
    expected = metrics.precision_recall_fscore_support(gold, predicted, labels=LABELS, zero_division=0)
    for function, values in zip((label.precision, label.recall, label.f1), expected, strict=False):
        assert function(counts) == pytest.approx(values)
    assert label.macro_f1(counts) == pytest.approx(metrics.f1_score(gold, predicted, average="macro", zero_division=0))
    assert (
        label.confusion(gold, predicted, LABELS)[1] == metrics.confusion_matrix(gold, predicted, labels=LABELS).tolist()
    )


# Text


@pytest.mark.parametrize("stemmer", [True, False])
def test_rouge_equals_the_plain_library(stemmer: bool) -> None:
    plain, ours = PLAIN_ROUGE[stemmer], text.Rouge(stemmer=stemmer)
    for candidate in SENTENCES:
        for reference in SENTENCES:
            expected = {name: score.fmeasure for name, score in plain.score(reference, candidate).items()}
            assert ours.score(candidate, reference) == expected
            assert ours.score(candidate, reference) == expected  # from memory


@given(words | nasty, words | nasty, st.booleans())
@settings(max_examples=300, deadline=None)
def test_rouge_equals_the_plain_library_on_any_text(candidate: str, reference: str, stemmer: bool) -> None:
    expected = PLAIN_ROUGE[stemmer].score(reference, candidate)
    assert OUR_ROUGE[stemmer].score(candidate, reference) == {n: score.fmeasure for n, score in expected.items()}


@given(st.lists(st.sampled_from("abc"), max_size=150), st.lists(st.sampled_from("abcd"), max_size=150))
@settings(max_examples=50, deadline=None)
def test_long_common_subsequences_equal_the_plain_library(a: list[str], b: list[str]) -> None:
    expected = PLAIN_ROUGE[False].score(" ".join(b), " ".join(a))["rougeL"].fmeasure
    assert OUR_ROUGE[False].score(" ".join(a), " ".join(b))["rougeL"] == expected


def test_rouge_l_by_hand() -> None:
    # "dog run" is the longest common subsequence: precision 2/3, recall 2/4, F = 4/7; unstemmed, "dog" alone: 2/7.
    assert text.Rouge().score("dog runs quickly", "one dog was running")["rougeL"] == pytest.approx(4 / 7)
    unstemmed = text.Rouge(stemmer=False).score("dog runs quickly", "one dog was running")
    assert unstemmed["rougeL"] == pytest.approx(2 / 7)


@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_corpus_metrics_equal_sacrebleu_with_ragged_references(name: Any) -> None:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    candidates = SENTENCES[:4]
    references = [SENTENCES[1:3], SENTENCES[:1], SENTENCES[1:4], SENTENCES[3:4]]
    streams = [[r[k] if k < len(r) else None for r in references] for k in range(3)]
    plain: Any = BLEU(lowercase=True, tokenize="13a") if name == "bleu" else CHRF()
    metric = text.CorpusMetric(name)
    statistics = metric.statistics(candidates, references)
    assert metric.score(statistics.sum(axis=0)) == plain.corpus_score(candidates, streams).score > 10
    assert metric.scores(statistics[:2])[1] == metric.score(statistics[1])
    assert metric.signature == str(plain.get_signature())
    assert metric.statistics([], []).shape == (0, statistics.shape[1])


@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_empty_explanations_score_zero(name: Any) -> None:
    metric = text.CorpusMetric(name)
    assert metric.score(metric.statistics(["", " \n"], [["a dog"], ["."]]).sum(axis=0)) == 0
    assert text.Rouge().score(" ", "a dog") == dict.fromkeys(text.ROUGE_NAMES, 0)
    assert text.distinct_2(["", "dog"]) == 0
    assert not text.is_copy(" ", {"premise": " ", "hypothesis": "a dog"})


def test_distinct_2_and_length_by_hand() -> None:
    assert text.distinct_2(["a dog runs", "A dog, runs far"]) == 3 / 5
    assert word_splitting.length("a dog  runs.") == 3


@pytest.mark.parametrize(
    ("explanation", "copied"),
    [
        ("a dog runs on the wide green grass today", True),  # the field, other case and punctuation
        ("The wide, green grass.", True),  # part of it
        ("A dog runs on the wide green grass right now.", False),  # two words in ten are new
        ("A dog runs over the wide green grass today, far and wide", False),
        ("It says that a dog runs on the grass", False),
        ("Ein Hund läuft über die Wiese", False),
    ],
)
def test_copy(explanation: str, copied: bool) -> None:
    fields = {"premise": "A dog runs on the wide green grass today.", "hypothesis": "Cats sleep"}
    assert text.is_copy(explanation, fields) is copied


def test_copy_needs_nine_words_in_ten_in_order() -> None:
    field = {"premise": "one two three four five six seven eight nine ten"}
    assert text.is_copy("one two three four five six seven eight nine NEW", field)
    assert not text.is_copy("one two three four five six seven eight NEW NEW", field)
    assert not text.is_copy("ten nine eight seven six five four three two one", field)


def test_copy_in_any_script() -> None:
    assert text.is_copy("собака бежит", {"premise": "Собака бежит по траве."})


@given(nasty, st.lists(nasty, min_size=1, max_size=3), nasty)
@settings(max_examples=80, deadline=None)
def test_text_metrics_stay_in_range_on_nasty_strings(explanation: str, references: list[str], field: str) -> None:
    compared = Compared(explanation, references, {"premise": field, "hypothesis": explanation})
    figures = ExplanationScorer([compared], how="mean", stemmer=True, bertscore=None).figures([compared])
    for name, value in figures.items():
        top = {"bleu": 100 + 1e-9, "chrf": 100 + 1e-9, "explanation_length": float("inf")}.get(name, 1)
        assert 0 <= value <= top, name
    assert figures["copy_rate"] == bool(word_splitting.words(explanation))


def test_several_references_maximum_or_mean() -> None:
    one = Compared("a dog runs", ["a dog runs", "cats"], {})
    best = ExplanationScorer([one], how="max", stemmer=True, bertscore=None).overlap(one)
    mean = ExplanationScorer([one], how="mean", stemmer=True, bertscore=None).overlap(one)
    assert (best["rouge1"], mean["rouge1"]) == (1.0, 0.5)


def test_what_was_kept_is_what_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REASONDISTILL_CACHE", str(tmp_path))
    rows = [Compared(a, [b, c], {}) for a in SENTENCES for b in SENTENCES[:3] for c in SENTENCES[3:5]]

    def score(rows: list[Compared], *, cache: bool = True, how: text.Aggregate = "max", stemmer: bool = True) -> Any:
        scorer = ExplanationScorer(rows, how=how, stemmer=stemmer, bertscore=None, cache=cache)
        return scorer.figures(rows), [scorer.overlap(row) for row in rows]

    fresh = score(rows, cache=False)
    assert not list(tmp_path.iterdir())
    assert score(rows[:5], cache=False)[1] == score(rows[:5])[1]
    assert score(rows) == fresh  # some of it from disk
    monkeypatch.setattr(overlap_counts.OverlapCounter, "count", None)  # nothing is left to count
    assert score(rows) == fresh
    monkeypatch.undo()
    monkeypatch.setenv("REASONDISTILL_CACHE", str(tmp_path))
    assert score(rows, how="mean") == score(rows, how="mean", cache=False) != fresh
    assert score(rows, stemmer=False) == score(rows, stemmer=False, cache=False) != fresh


def test_explanations_that_were_not_announced_are_scored_too(minilm: BertScore) -> None:
    one, other = Compared("a dog runs", ["a dog"], {}), Compared("cats sleep", ["a dog", "a cat"], {})
    late = ExplanationScorer([one], how="max", stemmer=True, bertscore=minilm, cache=False)
    early = ExplanationScorer([one, other], how="max", stemmer=True, bertscore=minilm, cache=False)
    assert late.overlap(other) == pytest.approx(early.overlap(other), abs=1e-6)
    assert late.figures([other, one]) == pytest.approx(early.figures([other, one]), abs=1e-6)


def test_each_reference_is_held_out_in_turn() -> None:
    turns = held_out(Compared("said", ["a", "b", "c"], {}))
    assert [(one.explanation, one.references) for one, _ in turns] == [
        ("a", ["b", "c"]),
        ("b", ["a", "c"]),
        ("c", ["a", "b"]),
    ]
    assert [(own.explanation, own.references) for _, own in turns] == [("said", one.references) for one, _ in turns]
    assert held_out(Compared("said", ["d"], {})) == []


@given(st.lists(nasty, max_size=8), st.integers(1, 6))
@settings(max_examples=80, deadline=None)
def test_distinct_bigrams_are_those_of_a_set(texts: list[str], waiting: int) -> None:
    bigrams = [pair for one in texts for pair in pairwise(word_splitting.words(one))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "_WAITING", waiting)  # sorted in at once, after a few, or at the end
        assert text.distinct_2(texts) == (len(set(bigrams)) / len(bigrams) if bigrams else 0)


# BERTScore


def test_bertscore_equals_the_plain_library_row_by_row(minilm: BertScore) -> None:
    from bert_score import BERTScorer

    plain = BERTScorer(model_type=str(default_encoder()), num_layers=5)
    texts = [*(s for s in SENTENCES if s), " A  dog\tis an animal. ", "\u200b"]
    pairs = [(a, b) for a in texts[::2] for b in texts] + [("dog " * 600, texts[0])]
    scores = minilm.score(pairs)
    for candidate, reference in pairs:
        expected = plain.score([candidate], [reference])[2].item()
        assert scores[candidate, reference] == pytest.approx(expected, abs=1e-6)


def test_bertscore_equals_the_plain_library_with_a_t5s_encoder(tmp_path: Path) -> None:
    """Its tokenizer has neither of the special tokens that weigh nothing, and its end of text weighs like a word."""
    if reason := why_left_out(None):
        pytest.skip(reason)
    from collections import defaultdict

    from bert_score.utils import bert_cos_score_idf

    import tiny

    tiny.flan_t5().save_pretrained(tmp_path)
    tiny.sentencepiece_like().save_pretrained(tmp_path)
    mine = BertScore(str(tmp_path), layer=1, cache=False)
    weights: defaultdict[int | None, float] = defaultdict(lambda: 1.0, {None: 0.0})
    pairs = [(a, b) for a in SENTENCES for b in SENTENCES if a and b]
    scores = mine.score(pairs)
    for candidate, reference in pairs:
        expected = bert_cos_score_idf(
            mine._model, [reference], [candidate], mine._tokenizer, weights, device=mine._model.device
        )[0, 2].item()
        assert scores[candidate, reference] == pytest.approx(max(0, expected), abs=1e-6)


def test_f1_by_hand() -> None:
    def encoded(vectors: list[list[float]], weights: list[float]) -> Encoded:
        return Encoded(np.array(vectors, dtype=np.float32), np.array(weights, dtype=np.float32))

    candidate = encoded([[1, 0], [0, 1]], [1, 1])
    # The second word of the reference weighs nothing, and yet the candidate's second may be matched with it.
    reference = encoded([[0.6, 0.8], [0, 1], [-1, 0]], [1, 0, 1])
    # Precision: (0.6 + 1) / 2. Recall: (0.8 + 0) / 2.
    assert f1(candidate, reference) == pytest.approx(2 * 0.8 * 0.4 / 1.2)
    assert f1(candidate, encoded([[-1, 0], [0, -1]], [1, 1])) == 0
    assert f1(encoded([[1, 0]], [0]), candidate) == 0


def test_bertscore_of_empty_and_odd_strings(minilm: BertScore) -> None:
    odd = ["", " ", "\n", "\x00", "\u200b", "�", "🐕", "dog " * 600, "a"]
    scores = minilm.score((a, b) for a in odd for b in odd)
    assert len(scores) == len(odd) ** 2
    unread = {"�", "🐕"}  # the encoder's vocabulary has neither
    assert all(
        (value is None) == bool({*pair} & unread and all(map(str.strip, pair))) for pair, value in scores.items()
    )
    assert all(0 <= value <= 1 for value in scores.values() if value is not None)
    assert all(value == 0 for (a, b), value in scores.items() if not (a.strip() and b.strip()))
    assert scores["a", "a"] == pytest.approx(1)
    assert minilm.score([]) == {}


def test_bertscore_does_not_depend_on_chunks(minilm: BertScore, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [(a, b) for a in SENTENCES for b in SENTENCES]
    whole = minilm.score(pairs)
    monkeypatch.setattr(bertscore, "_CHARACTERS_AT_ONCE", 90)
    monkeypatch.setattr(bertscore, "_TOKENS_PER_BATCH", {})
    assert minilm.score(pairs) == pytest.approx(whole, abs=1e-6)


def test_each_text_is_encoded_once_and_kept(minilm: BertScore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REASONDISTILL_CACHE", str(tmp_path))
    cached = BertScore()
    seen: list[str] = []

    def encode(texts: Sequence[str], encode: Any = cached._encode) -> Any:
        seen.extend(texts)
        return encode(texts)

    monkeypatch.setattr(cached, "_encode", encode)
    pairs = [(candidate, reference) for candidate in SENTENCES[:3] for reference in SENTENCES[2:4]]
    first = cached.score(pairs)
    assert sorted(seen) == sorted({*SENTENCES[:4]})
    assert first == pytest.approx(minilm.score(pairs), abs=1e-6)
    seen.clear()
    assert cached.score(pairs) == first
    assert seen == []  # finished scores
    score = cached.score([("dogs", SENTENCES[3])])["dogs", SENTENCES[3]]
    assert score is not None
    assert score > 0
    assert seen == ["dogs"]  # the reference's vectors were there
    seen.clear()
    assert BertScore().score(pairs) == first
    other = BertScore(str(default_encoder()), layer=4)
    assert other.score(pairs) == pytest.approx(BertScore(str(default_encoder()), layer=4, cache=False).score(pairs))
    assert other.score(pairs) != first


def test_bertscore_records_content_and_no_path(minilm: BertScore, tmp_path: Any) -> None:
    folder = tmp_path / "my-t5-copy"  # bert-score itself would load a T5 from a path with "t5" in it
    folder.symlink_to(str(default_encoder()), target_is_directory=True)
    copy = BertScore(str(folder), layer=5)
    assert copy.settings == {**minilm.settings, "encoder": "my-t5-copy"}
    assert BertScore(str(folder), layer=4).settings["weights_sha256"] != minilm.settings["weights_sha256"]
    assert str(tmp_path) not in str(copy.settings)
    assert "/" not in str(minilm.settings)


def test_bertscore_mistakes_are_named(minilm: BertScore, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"bertscore_layer: expected a layer from 1 to 6, found 7"):
        BertScore(str(default_encoder()), layer=7)
    with pytest.raises(ConfigError, match="bertscore_layer"):
        BertScore(str(default_encoder()))
    with pytest.raises(CheckpointError, match="bertscore_encoder"):
        BertScore(str(tmp_path), layer=1)
    monkeypatch.setattr(bertscore, "_MODULES", ("no_such_module",))
    assert why_left_out(None) == "no_such_module not installed (extra 'train')"
    with pytest.raises(MissingExtraError, match=r"reasondistill\[train\]"):
        why_left_out("roberta-large")


# Calibration


def test_calibration_by_hand() -> None:
    rows = [{"a": 0.9, "b": 0.1}, {"a": 0.9, "b": 0.1}, {"a": 0.35, "b": 0.65}, None, {"a": 1.0, "b": 0.0}]
    gold = ["a", "b", "b", "a", None]
    counts = calibration_error.calibration_statistics(rows, gold, bins=10).sum(axis=0)
    # 0.9 belongs to (0.8, 0.9] with accuracy 1/2, 0.65 to (0.6, 0.7] with accuracy 1.
    assert calibration_error.ece(counts) == pytest.approx((2 * 0.4 + 1 * 0.35) / 3)
    bins = calibration_error.reliability_bins(counts)
    assert bins[8] == {"low": 0.8, "high": 0.9, "n": 2, "confidence": pytest.approx(0.9), "accuracy": 0.5}
    assert bins[0] == {"low": 0.0, "high": 0.1, "n": 0, "confidence": None, "accuracy": None}
    assert calibration_error.brier({"a": 0.9, "b": 0.1}, "a") == pytest.approx(0.01)
    assert calibration_error.brier({"a": 1.0, "b": 0.0, "c": 0.0}, "b") == 1.0
    assert calibration_error.brier({"a": 0.5, "b": 0.3, "c": 0.2}, "a") == pytest.approx((0.25 + 0.09 + 0.04) / 2)


def test_perfectly_calibrated_probabilities_have_no_error() -> None:
    generator = np.random.default_rng(0)
    p = generator.uniform(size=20_000)
    gold = ["a" if x < q else "b" for x, q in zip(generator.uniform(size=len(p)), p, strict=True)]
    rows = [{"a": q, "b": 1 - q} for q in p.tolist()]
    assert calibration_error.ece(calibration_error.calibration_statistics(rows, gold).sum(axis=0)) < 0.015
    overconfident = [{"a": float(q > 0.5), "b": float(q <= 0.5)} for q in p.tolist()]
    assert calibration_error.ece(
        calibration_error.calibration_statistics(overconfident, gold).sum(axis=0)
    ) == pytest.approx(0.25, abs=0.02)


# Bootstrap


def test_bootstrap_matches_the_normal_interval_and_is_seeded() -> None:
    values = np.random.default_rng(1).normal(size=400).tolist()
    low, high = GroupBootstrap(range(400), seed=3).mean_interval(values) or (0, 0)
    half = 1.96 * np.std(values) / 20
    assert (low, high) == pytest.approx((np.mean(values) - half, np.mean(values) + half), abs=0.015)
    assert GroupBootstrap(range(400), seed=3).mean_interval(values) == (low, high)
    assert GroupBootstrap(range(400), seed=4).mean_interval(values) != (low, high)


def test_bootstrap_covers_the_truth_about_95_times_in_100() -> None:
    generator = np.random.default_rng(2)
    covered = 0
    for _ in range(200):
        low, high = GroupBootstrap(range(60), resamples=300).mean_interval(generator.normal(size=60).tolist()) or (0, 0)
        covered += low <= 0 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_rows_of_one_group_are_drawn_together() -> None:
    # Five copies of each value: single rows would promise an interval √5 times too narrow.
    values = np.repeat(np.random.default_rng(5).normal(size=80), 5).tolist()
    low, high = GroupBootstrap(np.repeat(np.arange(80), 5).tolist()).mean_interval(values) or (0, 0)
    naive_low, naive_high = GroupBootstrap(range(400)).mean_interval(values) or (0, 0)
    assert (high - low) / (naive_high - naive_low) == pytest.approx(np.sqrt(5), rel=0.15)


def test_bootstrap_leaves_out_missing_values_and_knows_when_it_knows_nothing() -> None:
    assert GroupBootstrap(["a", "a"]).mean_interval([1.0, 0.0]) is None
    assert GroupBootstrap(["a", "b"]).mean_interval([None, None]) is None
    assert GroupBootstrap(["a", "b", "c"]).mean_interval([1.0, None, 1.0]) == (1.0, 1.0)


def test_bootstrap_of_macro_f1_holds_the_value() -> None:
    generator = np.random.default_rng(0)
    gold = generator.choice(LABELS, size=300).tolist()
    predicted = [g if x < 0.7 else "neutral" for g, x in zip(gold, generator.uniform(size=300), strict=True)]
    statistics = label.label_statistics(gold, predicted, LABELS)
    interval = GroupBootstrap(range(300)).interval(
        statistics.reshape(300, -1), lambda sums: label.macro_f1(sums.reshape(-1, 3, 3))
    )
    assert interval is not None
    assert interval[0] < label.macro_f1(statistics.sum(axis=0)) < interval[1]
    assert 0.05 < interval[1] - interval[0] < 0.15


def test_bootstrap_does_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(50.0).tolist()
    whole = GroupBootstrap(range(50)).mean_interval(values)
    monkeypatch.setattr("reasondistill.metrics.statistics._DRAWS_PER_CHUNK", 170)
    assert GroupBootstrap(range(50)).mean_interval(values) == pytest.approx(whole)


def test_bootstrap_of_ten_thousand_rows_is_quick() -> None:
    start = time.process_time()
    GroupBootstrap(range(10_000)).mean_interval(np.ones(10_000).tolist())
    assert time.process_time() - start < 3  # about 0.3 s on an idle core


# Templates


def test_templates_are_found_counted_and_filled() -> None:
    def row(explanation: str, kind: str, premise: str, hypothesis: str) -> baselines.Explained:
        return baselines.Explained(explanation, kind, {"premise": premise, "hypothesis": hypothesis})

    explained = [
        row("Just because a dog runs doesn't mean the dog is fast", "neutral", "A dog runs.", "The dog is fast."),
        row("just because a man sits doesn't mean he is old.", "neutral", "A man sits.", "He is old."),
        row("Old is not young", "neutral", "A man sits.", "He is old."),
        row("Sleeping is not running.", "contradiction", "A dog runs.", "A dog sleeps."),
        row("a dog sleeps", "contradiction", "A dog runs.", "A dog sleeps."),
        row("a man sleeps", "contradiction", "A man runs.", "A man sleeps."),
        row("sleeping is not running", "contradiction", "A man runs.", "A man sleeps."),
    ]
    templates = baselines.commonest_templates(explained)
    assert templates == {
        "neutral": "Just because {premise} doesn't mean {hypothesis}",
        "contradiction": "Sleeping is not running",  # "{hypothesis}" alone is a copy, another baseline
    }
    fields = {"premise": "Two cats {play}.", "hypothesis": "\\1 cats!"}
    assert (
        baselines.fill_template(templates["neutral"], fields) == "Just because Two cats {play} doesn't mean \\1 cats."
    )
    assert baselines.commonest_templates([]) == {}


def test_a_field_inside_a_word_is_no_quotation() -> None:
    assert baselines.to_template("Apes at an ape house ape", {"premise": "an ape"}) == "Apes at {premise} house ape"
    assert baselines.to_template("Apart from art", {"premise": "art"}) == "Apart from {premise}"


@given(words | nasty, words | nasty, words | nasty)
@settings(max_examples=150, deadline=None)
def test_templates_never_crash(explanation: str, premise: str, hypothesis: str) -> None:
    fields = {"premise": premise, "hypothesis": hypothesis}
    explained = [baselines.Explained(explanation, "neutral", fields)] * 2
    for template in baselines.commonest_templates(explained).values():
        assert isinstance(baselines.fill_template(template, fields), str)


def test_explanations_are_counted_alike_by_any_number_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap_counts, "usable_cores", lambda: 2)
    keys = [(a, (b, c)) for a, b, c in zip(SENTENCES, SENTENCES[1:], SENTENCES[2:], strict=False)] * 3
    counter = overlap_counts.OverlapCounter("max", stemmer=True)
    alone = [counter.count(key) for key in keys]
    with overlap_counts.Counters(counter, expected=10**6) as counters:
        assert len(counters._helpers) == 1
        np.testing.assert_array_equal(counters.count(keys), alone)
        counters._helpers[0].kill()
        counters._helpers[0].wait()
        np.testing.assert_array_equal(counters.count(keys), alone)  # by itself
        assert counters.count([]) == []
    with overlap_counts.Counters(counter, expected=10) as counters:
        assert not counters._helpers
