"""Every text metric of a system's explanations at once, for a student and its floors alike."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import NamedTuple

import numpy as np

from reasondistill.metrics.bertscore import BertScore
from reasondistill.metrics.statistics import FloatArray
from reasondistill.metrics.text import (
    ROUGE_NAMES,
    Aggregate,
    CorpusMetric,
    Rouge,
    aggregate,
    distinct_2,
    is_copy,
    length,
)


class Compared(NamedTuple):
    """An explanation beside the references that it is compared with and the fields that it may have copied."""

    explanation: str
    references: Sequence[str]
    fields: Mapping[str, str]


_Key = tuple[str, tuple[str, ...]]


def _key(compared: Compared) -> _Key:
    return compared.explanation, tuple(compared.references)


OVERLAP_LIMIT = 2**28
"""Bytes of ROUGE scores, BLEU and chrF counts kept on disk: about a million explanations, 280 bytes each."""

_CACHE_VERSION = 1  # of how they are computed and laid out: what others have kept is not found any more
_ROWS_AT_ONCE = 4096


class ExplanationScorer:
    """ROUGE, BLEU, chrF, BERTScore, distinct-2, copy rate and length with one set of settings.

    What is slow is had for all systems beforehand, each explanation beside the same references once: what systems
    share is neither tokenised, nor counted, nor encoded again. It is kept in the cache folder (`content_cache`).

    Args:
        everything: all explanations that will be scored; those of one example near each other. Others can be scored
            too, only later, and more slowly.
        how: the maximum or the mean over references, for ROUGE and BERTScore.
        stemmer: whether ROUGE stems.
        bertscore: None to leave BERTScore out.
        progress: called with a sentence as the work goes on.
        cache: whether ROUGE, BLEU and chrF are looked up and kept on disk; for BERTScore its own argument says so.
    """

    def __init__(
        self,
        everything: Iterable[Compared],
        *,
        how: Aggregate,
        stemmer: bool,
        bertscore: BertScore | None,
        progress: Callable[[str], None] = lambda stage: None,
        cache: bool = True,
    ) -> None:
        from reasondistill.metrics.content_cache import ContentCache

        self._how: Aggregate = how
        self._rouge = Rouge(stemmer=stemmer)
        self.corpus = {"bleu": CorpusMetric("bleu"), "chrf": CorpusMetric("chrf")}
        self._bertscore = bertscore
        self._cache = ContentCache("overlap", OVERLAP_LIMIT) if cache else None
        # Everything that these numbers depend on but the texts.
        self._identity = "\n".join(
            [
                f"{_CACHE_VERSION} {how} {stemmer} unicode {unicodedata.unidata_version}",
                *(f"{library} {version(library)}" for library in ("rouge-score", "nltk", "sacrebleu")),
            ]
        )
        places = {"bleu": self.corpus["bleu"].width, "chrf": self.corpus["chrf"].width}
        borders = np.cumsum([len(ROUGE_NAMES), *places.values()]).tolist()
        self._columns = {name: slice(low, high) for name, low, high in zip(places, borders, borders[1:], strict=False)}
        self._known: dict[_Key, FloatArray] = {}
        self._known_bertscore: dict[_Key, float] = {}
        self._learn(everything, progress)

    def _learn(self, compared: Iterable[Compared], progress: Callable[[str], None] = lambda stage: None) -> None:
        """Score what has not been scored yet."""
        fresh = [key for key in dict.fromkeys(map(_key, compared)) if key not in self._known]
        if self._bertscore is not None and fresh:
            pairs = self._bertscore.score(((text, r) for text, references in fresh for r in references), progress)
            for text, references in fresh:
                scores = [pairs[text, reference] for reference in references]
                self._known_bertscore[text, references] = aggregate(scores, self._how)
        for start in range(0, len(fresh), _ROWS_AT_ONCE):
            progress(f"ROUGE, BLEU and chrF: {start:,} of {len(fresh):,} explanations")
            self._learn_overlap(fresh[start : start + _ROWS_AT_ONCE])

    def _learn_overlap(self, fresh: Sequence[_Key]) -> None:
        from reasondistill.metrics.content_cache import content_key

        keys = {} if self._cache is None else {one: content_key(self._identity, one[0], *one[1]) for one in fresh}
        kept = {} if self._cache is None else self._cache.find(keys.values())
        counted = {}
        for one in fresh:
            if keys and (value := kept.get(keys[one])) is not None:
                self._known[one] = np.frombuffer(value, dtype=np.float64).copy()  # not a view: files may go
            else:
                self._known[one] = counted[one] = self._count(*one)
        if self._cache is not None:
            self._cache.add({keys[one]: numbers.tobytes() for one, numbers in counted.items()})

    def _count(self, text: str, references: Sequence[str]) -> FloatArray:
        """ROUGE scores, BLEU counts and chrF counts of one row, (3 + 10 + 18,)."""
        pairs = [self._rouge.score(text, reference) for reference in references]
        rouge = [aggregate([pair[name] for pair in pairs], self._how) for name in ROUGE_NAMES]
        counts = [count for metric in self.corpus.values() for count in metric.counts(text, references)]
        return np.array([*rouge, *counts], dtype=np.float64)

    def overlap(self, compared: Compared) -> dict[str, float]:
        """ROUGE and BERTScore by name, in [0, 1]; at least one reference is needed."""
        self._learn([compared])
        key = _key(compared)
        scores = dict(zip(ROUGE_NAMES, self._known[key].tolist(), strict=False))
        if self._bertscore is not None:
            scores["bertscore_f1"] = self._known_bertscore[key]
        return scores

    def corpus_statistics(self, compared: Sequence[Compared]) -> dict[str, FloatArray]:
        """The counts that BLEU and chrF are made of, by name, (n, S); each row needs a reference."""
        self._learn(compared)
        rows = np.array([self._known[_key(one)] for one in compared]).reshape(len(compared), -1)
        for metric in self.corpus.values():
            metric.note([one.references for one in compared])
        return {name: rows[:, columns] for name, columns in self._columns.items()}

    def figures(self, compared: Sequence[Compared]) -> dict[str, float]:
        """Every metric by name; there must be rows, each with a reference."""
        self._learn(compared)
        rows = [self.overlap(one) for one in compared]
        counts = self.corpus_statistics(compared)
        return {
            **{name: float(np.mean([row[name] for row in rows])) for name in rows[0]},
            **{name: metric.score(counts[name].sum(axis=0)) for name, metric in self.corpus.items()},
            "distinct_2": distinct_2(c.explanation for c in compared),
            "copy_rate": float(np.mean([is_copy(c.explanation, c.fields) for c in compared])),
            "explanation_length": float(np.mean([length(c.explanation) for c in compared])),
        }

    def mean_figures(self, turns: Sequence[Sequence[Compared]]) -> dict[str, float]:
        """The mean of `figures` over ``turns``, each weighted by its rows."""
        figures = [self.figures(turn) for turn in turns]
        weights = [len(turn) for turn in turns]
        return {name: float(np.average([f[name] for f in figures], weights=weights)) for name in figures[0]}


def leave_one_out(compared: Sequence[Compared]) -> tuple[list[list[Compared]], list[list[Compared]]]:
    """References and the system's explanations, each against the same smaller number of references.

    In turn k each row's k-th reference is held out: the first result scores it against the row's others, the second
    scores the system's explanation against those others. Only rows with at least two references take part; turns
    without rows are left out, so that both are empty where no row has two references.
    """
    rows = [one for one in compared if len(one.references) >= 2]
    held_out, systems = [], []
    for k in range(max((len(one.references) for one in rows), default=0)):
        turn = [
            (one, one.references[k], [*one.references[:k], *one.references[k + 1 :]])
            for one in rows
            if k < len(one.references)
        ]
        held_out.append([Compared(reference, others, one.fields) for one, reference, others in turn])
        systems.append([Compared(one.explanation, others, one.fields) for one, _, others in turn])
    return held_out, systems
