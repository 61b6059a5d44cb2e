"""All text metrics of a system's explanations at once, for a student and its baselines."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reasondistill.counted import Counted
from reasondistill.languages.unknown_tokens import TOO_MANY, UNREADABLE
from reasondistill.languages.word_splitting import length
from reasondistill.metrics.bertscore import BertScore
from reasondistill.metrics.overlap_counts import Counters, Key, OverlapCounter
from reasondistill.metrics.statistics import FloatArray
from reasondistill.metrics.text import (
    ROUGE_NAMES,
    UNREAD_LETTERS,
    Aggregate,
    aggregate,
    distinct_2,
    is_copy,
)


class Compared(NamedTuple):
    """An explanation, the references that it is compared with, and the fields that it may copy."""

    explanation: str
    references: Sequence[str]
    fields: Mapping[str, str]


def _key(compared: Compared) -> Key:
    return compared.explanation, tuple(compared.references)


OVERLAP_LIMIT = 2**28
"""Bytes of ROUGE scores, BLEU and chrF counts kept on disk: some 800,000 explanations, 320 bytes each."""

_CACHE_VERSION = 2  # of how they are computed and laid out: what others have kept is not found any more
_ROWS_AT_ONCE = 4096

FigureOf = dict[str, float]

_OF = "of the explanation, or of each of its references, more than {:.0%} of the"
_READ_BY_ROUGE = (
    f"rouge-score keeps a-z and 0-9 only, and {_OF.format(UNREAD_LETTERS)} letters are others. chrF reads every script."
)
_READ_BY_BLEU = (
    f"BLEU needs spaces between words, and {_OF.format(UNREAD_LETTERS)} characters are of scripts without. chrF reads "
    "every script."
)
_READ_BY_ENCODER = (
    f"{_OF.format(UNREADABLE)} tokens, or of the characters, are unknown to the encoder {{}}. Name one that knows the "
    "script with --bertscore-encoder, such as xlm-roberta-base."
)


class Unread(NamedTuple):
    """By metric how many rows it could not read, where there are some, and why it is left out, where there are too
    many: more than `TOO_MANY` of all.
    """

    rows: dict[str, int]
    left_out: dict[str, str]


class ExplanationScorer:
    """ROUGE, BLEU, chrF, BERTScore, distinct-2, copy rate and length with one set of settings.

    What is slow is had for all systems beforehand, each explanation beside the same references once: what systems
    share is neither tokenised, nor counted, nor encoded again. It is kept in the cache folder (`sqlite_store`).

    A metric that cannot read an explanation, or any of its references, does not score that row; references that it
    cannot read are passed over where others are there.

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
        from reasondistill.storage.arrow_cache import cache_folder
        from reasondistill.storage.sqlite_store import Store

        self._how: Aggregate = how
        self._counter = OverlapCounter(how, stemmer=stemmer)
        self.corpus = self._counter.corpus
        self._bertscore = bertscore
        self._cache = Store(cache_folder() / "overlap.sqlite", OVERLAP_LIMIT) if cache else None
        # Everything that these numbers depend on, except the texts.
        self._identity = "\n".join(
            [
                f"{_CACHE_VERSION} {how} {stemmer} unicode {unicodedata.unidata_version}",
                *(f"{library} {version(library)}" for library in ("rouge-score", "nltk", "sacrebleu")),
            ]
        )
        places = {"bleu": self.corpus["bleu"].width, "chrf": self.corpus["chrf"].width}
        borders = np.cumsum([len(ROUGE_NAMES), *places.values()]).tolist()
        self._columns = {name: slice(low, high) for name, low, high in zip(places, borders, borders[1:], strict=False)}
        self._known: dict[Key, FloatArray] = {}
        self._known_bertscore: dict[Key, float | None] = {}
        self._learn(everything, progress)

    def _learn(self, compared: Iterable[Compared], progress: Callable[[str], None] = lambda stage: None) -> None:
        """Score explanations that have not been scored yet."""
        fresh = [key for key in dict.fromkeys(map(_key, compared)) if key not in self._known]
        if self._bertscore is not None and fresh:
            pairs = self._bertscore.score(((text, r) for text, references in fresh for r in references), progress)
            for text, references in fresh:
                scores = [score for reference in references if (score := pairs[text, reference]) is not None]
                self._known_bertscore[text, references] = aggregate(scores, self._how) if scores else None
        with Counters(self._counter, len(fresh)) as counters:
            for start in range(0, len(fresh), _ROWS_AT_ONCE):
                progress(Counted("ROUGE, BLEU and chrF", start, len(fresh), "explanations"))
                self._learn_overlap(fresh[start : start + _ROWS_AT_ONCE], counters)

    def _learn_overlap(self, fresh: Sequence[Key], counters: Counters) -> None:
        from reasondistill.storage.sqlite_store import content_key

        keys = {} if self._cache is None else {key: content_key(self._identity, key[0], *key[1]) for key in fresh}
        kept = {} if self._cache is None else self._cache.get_many(keys.values())
        self._known |= {
            key: np.frombuffer(kept[keys[key]], dtype=np.float64) for key in fresh if keys and keys[key] in kept
        }
        unknown = [key for key in fresh if key not in self._known]
        counted = dict(zip(unknown, counters.count(unknown), strict=True))
        self._known |= counted
        if self._cache is not None:
            self._cache.put_many({keys[key]: numbers.tobytes() for key, numbers in counted.items()})

    def overlap(self, compared: Compared) -> dict[str, float | None]:
        """ROUGE and BERTScore by name, in [0, 1], None if a text was not read; at least one reference is needed."""
        self._learn([compared])
        key = _key(compared)
        rouge = [None if np.isnan(score) else float(score) for score in self._known[key][: len(ROUGE_NAMES)]]
        scores: dict[str, float | None] = dict(zip(ROUGE_NAMES, rouge, strict=True))
        if self._bertscore is not None:
            scores["bertscore_f1"] = self._known_bertscore[key]
        return scores

    def corpus_statistics(self, compared: Sequence[Compared]) -> dict[str, FloatArray]:
        """The counts that BLEU and chrF are made of, by name, (n, S); NaN in a row whose texts were not read."""
        self._learn(compared)
        known = np.array([self._known[_key(row)] for row in compared]).reshape(len(compared), -1)
        for metric in self.corpus.values():
            metric.note([row.references for row in compared])
        return {name: known[:, columns] for name, columns in self._columns.items()}

    def _table(self, compared: Sequence[Compared]) -> dict[str, FloatArray]:
        """By metric the scores (n,), or the counts (n, S), of rows; NaN in rows that it could not read."""
        counts = self.corpus_statistics(compared)
        rouge = np.array([self._known[_key(row)][: len(ROUGE_NAMES)] for row in compared])
        table = {name: rouge[:, k] for k, name in enumerate(ROUGE_NAMES)}
        if self._bertscore is not None:
            values = [self._known_bertscore[_key(row)] for row in compared]
            table["bertscore_f1"] = np.array([np.nan if value is None else value for value in values])
        return {**table, **counts}

    def scored(self, compared: Sequence[Compared]) -> dict[str, NDArray[np.bool_]]:
        """The rows that each metric could read, (n,) by name; each row needs a reference."""
        return _read_rows(self._table(compared))

    def unread(self, compared: Sequence[Compared]) -> Unread:
        """How many rows each metric could not read, and which metrics that leaves out."""
        n = len(compared)
        rows = {name: int(n - read.sum()) for name, read in self.scored(compared).items()}
        readers = {"bleu": _READ_BY_BLEU, **dict.fromkeys(ROUGE_NAMES, _READ_BY_ROUGE)}
        if self._bertscore is not None:
            readers["bertscore_f1"] = _READ_BY_ENCODER.format(self._bertscore.settings["encoder"])
        return Unread(
            {name: lost for name, lost in rows.items() if lost},
            {
                name: f"{lost:,} of {n:,} rows were not read: {readers[name]}"
                for name, lost in rows.items()
                if lost > TOO_MANY * n
            },
        )

    def figures(self, compared: Sequence[Compared]) -> FigureOf:
        """Every metric by name, of the rows that it could read; there must be rows, each with a reference."""
        table = self._table(compared)
        return self._figures(compared, table, _read_rows(table))

    def _figures(
        self, compared: Sequence[Compared], table: Mapping[str, FloatArray], rows: Mapping[str, NDArray[np.bool_]]
    ) -> FigureOf:
        """The figures of some rows, by metric; of a metric without rows there is none."""
        figures = {}
        for name, inside in rows.items():
            if name in self.corpus and inside.any():
                figures[name] = self.corpus[name].score(table[name][inside].sum(axis=0))
            elif inside.any():
                figures[name] = float(np.mean(table[name][inside]))
        return {
            **figures,
            "distinct_2": distinct_2(c.explanation for c in compared),
            "copy_rate": float(np.mean([is_copy(c.explanation, c.fields) for c in compared])),
            "explanation_length": float(np.mean([length(c.explanation) for c in compared])),
        }

    def side_by_side(
        self, turns: Sequence[Sequence[Compared]], others: Sequence[Sequence[Compared]]
    ) -> tuple[FigureOf, FigureOf, dict[str, tuple[int, int]]]:
        """Two systems on the same rows: the mean of each one's `figures` over its turns, weighted by their rows.

        Only rows where a metric could read both count for it.

        Returns:
            The figures of ``turns``, those of ``others``, and by metric how many rows count, of how many that could be
            read of ``others``.
        """
        figures: list[tuple[FigureOf, FigureOf]] = []
        sizes: list[dict[str, int]] = []
        of: Counter[str] = Counter()
        for turn, other in zip(turns, others, strict=True):
            tables = self._table(turn), self._table(other)
            ours, theirs = map(_read_rows, tables)
            both = {name: read & theirs[name] for name, read in ours.items()}
            figures.append((self._figures(turn, tables[0], both), self._figures(other, tables[1], both)))
            sizes.append({name: int(read.sum()) for name, read in both.items()})
            of.update({name: int(read.sum()) for name, read in theirs.items()})
        means = []
        for side in zip(*figures, strict=True):
            weighted: dict[str, list[tuple[float, int]]] = {}
            for of_turn, size, turn in zip(side, sizes, turns, strict=True):
                for name, value in of_turn.items():
                    weighted.setdefault(name, []).append((value, size.get(name, len(turn))))
            means.append(
                {
                    name: float(np.average([value for value, _ in values], weights=[rows for _, rows in values]))
                    for name, values in weighted.items()
                }
            )
        return means[0], means[1], {name: (sum(size[name] for size in sizes), of[name]) for name in of}


def _read_rows(table: Mapping[str, FloatArray]) -> dict[str, NDArray[np.bool_]]:
    return {name: ~np.isnan(values if values.ndim == 1 else values[:, 0]) for name, values in table.items()}


def leave_one_out(compared: Sequence[Compared]) -> tuple[list[list[Compared]], list[list[Compared]]]:
    """References and the system's explanations, each against the same smaller number of references.

    In turn k each row's k-th reference is held out: the first result scores it against the row's others, the second
    scores the system's explanation against those others. Only rows with at least two references take part; turns
    without rows are left out, so that both are empty where no row has two references.
    """
    rows = [row for row in compared if len(row.references) >= 2]
    held_out, systems = [], []
    for k in range(max((len(row.references) for row in rows), default=0)):
        turn = [
            (row, row.references[k], [*row.references[:k], *row.references[k + 1 :]])
            for row in rows
            if k < len(row.references)
        ]
        held_out.append([Compared(reference, others, row.fields) for row, reference, others in turn])
        systems.append([Compared(row.explanation, others, row.fields) for row, _, others in turn])
    return held_out, systems
