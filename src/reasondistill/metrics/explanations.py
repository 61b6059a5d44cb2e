"""All text metrics of a system's explanations at once, for a student and its baselines."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from operator import itemgetter
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
    Bigrams,
    aggregate,
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

_EACH = 7
"""Explanations of a row, with baselines and controls, about."""

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
        self._width = borders[-1]
        self.words: dict[str, int] = {}
        """Numbers of the words whose bigrams have been counted."""
        self._known: dict[Key, FloatArray] = {}
        self._known_bertscore: dict[Key, float | None] = {}
        self._learn(everything, progress)

    def _learn(self, compared: Iterable[Compared], progress: Callable[[str], None] = lambda stage: None) -> None:
        """Score explanations that have not been scored yet."""
        fresh = self._fresh(compared, progress)
        with Counters(self._counter, len(fresh)) as counters:
            for start in range(0, len(fresh), _ROWS_AT_ONCE):
                progress(Counted("ROUGE, BLEU and chrF", start, len(fresh), "explanations"))
                self._learn_overlap(fresh[start : start + _ROWS_AT_ONCE], counters)

    @contextmanager
    def counting(
        self, rows: int, progress: Callable[[str], None]
    ) -> Iterator[Callable[[range, Iterable[Compared]], None]]:
        """What scores all explanations of some rows, by their places, and forgets those that it scored before.

        Args:
            rows: how many there will be in all; for many, other processes help.
        """
        with Counters(self._counter, _EACH * rows) as counters:

            def learn(places: range, compared: Iterable[Compared]) -> None:
                self._known, self._known_bertscore = {}, {}
                # What has the same references comes together: they are tokenised once.
                fresh = sorted(self._fresh(compared, progress), key=itemgetter(1))
                for start in range(0, len(fresh), _ROWS_AT_ONCE):
                    done = places.start + len(places) * start // len(fresh)
                    progress(Counted("ROUGE, BLEU and chrF", done, rows, "rows"))
                    self._learn_overlap(fresh[start : start + _ROWS_AT_ONCE], counters)

            yield learn

    def _fresh(self, compared: Iterable[Compared], progress: Callable[[str], None]) -> list[Key]:
        """What has not been scored yet; BERTScore, which takes whole batches, is scored here."""
        fresh = [key for key in dict.fromkeys(map(_key, compared)) if key not in self._known]
        if self._bertscore is not None and fresh:
            pairs = self._bertscore.score(((text, r) for text, references in fresh for r in references), progress)
            for text, references in fresh:
                scores = [score for reference in references if (score := pairs[text, reference]) is not None]
                self._known_bertscore[text, references] = aggregate(scores, self._how) if scores else None
        return fresh

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

    def signatures(self, compared: Iterable[Compared]) -> dict[str, str]:
        """sacrebleu's signature of BLEU and chrF, which tells how many references the rows have."""
        references = {len(row.references) for row in compared}
        for metric in self.corpus.values():
            metric.note(references)
        return {name: metric.signature for name, metric in self.corpus.items()}

    def table(self, compared: Sequence[Compared]) -> dict[str, FloatArray]:
        """By metric the scores (n,), or the counts (n, S), of rows; NaN in rows that it could not read."""
        self._learn(compared)
        known = np.array([self._known[_key(row)] for row in compared]).reshape(len(compared), self._width)
        table = {name: known[:, k] for k, name in enumerate(ROUGE_NAMES)}
        if self._bertscore is not None:
            values = [self._known_bertscore[_key(row)] for row in compared]
            table["bertscore_f1"] = np.array([np.nan if value is None else value for value in values])
        return table | {name: known[:, columns] for name, columns in self._columns.items()}

    def unread(self, compared: Sequence[Compared]) -> Unread:
        """How many rows each metric could not read, and which metrics that leaves out."""
        return self.unread_in(self.table(compared))

    def unread_in(self, table: Mapping[str, FloatArray]) -> Unread:
        """`unread` of rows whose `table` is at hand."""
        read = read_rows(table)
        rows = {name: int(len(those) - those.sum()) for name, those in read.items()}
        readers = {"bleu": _READ_BY_BLEU, **dict.fromkeys(ROUGE_NAMES, _READ_BY_ROUGE)}
        if self._bertscore is not None:
            readers["bertscore_f1"] = _READ_BY_ENCODER.format(self._bertscore.settings["encoder"])
        return Unread(
            {name: lost for name, lost in rows.items() if lost},
            {
                name: f"{lost:,} of {len(read[name]):,} rows were not read: {readers[name]}"
                for name, lost in rows.items()
                if lost > TOO_MANY * len(read[name])
            },
        )

    def figures(self, compared: Sequence[Compared]) -> FigureOf:
        """Every metric by name, of the rows that it could read; there must be rows, each with a reference."""
        both = SideBySide(self)
        both.add((0, row, row) for row in compared)
        return both.figures()[0]


class SideBySide:
    """Two systems on the same rows, which come part by part: the figures of each, over its turns.

    Only rows where a metric could read both count for it. A system may explain a row in several turns, as references
    are each compared with the others: its figures are the mean of its turns', weighted by their rows.
    """

    def __init__(self, scorer: ExplanationScorer) -> None:
        self._scorer = scorer
        self._turns: dict[int, _Turn] = {}

    def __bool__(self) -> bool:
        return bool(self._turns)

    def add(self, rows: Iterable[tuple[int, Compared, Compared]]) -> None:
        """Add a part: turn, the system's explanation, and the other's."""
        by_turn: dict[int, list[tuple[Compared, Compared]]] = {}
        for turn, ours, theirs in rows:
            by_turn.setdefault(turn, []).append((ours, theirs))
        for turn, pairs in by_turn.items():
            self._turns.setdefault(turn, _Turn(self._scorer)).add(pairs)

    def figures(self) -> tuple[FigureOf, FigureOf, dict[str, tuple[int, int]]]:
        """The figures of the system, those of the other, and by metric how many rows count, of how many that could be
        read of the other.
        """
        turns = [self._turns[number] for number in sorted(self._turns)]
        figures = [turn.figures() for turn in turns]
        means: list[FigureOf] = []
        for side in zip(*figures, strict=True):
            weighted: dict[str, list[tuple[float, int]]] = {}
            for of_turn, turn in zip(side, turns, strict=True):
                for name, value in of_turn.items():
                    weighted.setdefault(name, []).append((value, turn.read.get(name, turn.rows)))
            means.append(
                {
                    name: float(np.average([value for value, _ in values], weights=[rows for _, rows in values]))
                    for name, values in weighted.items()
                }
            )
        of = {name: sum(turn.of[name] for turn in turns) for name in turns[0].of}
        return means[0], means[1], {name: (sum(turn.read[name] for turn in turns), n) for name, n in of.items()}


class _Turn:
    """A turn of two systems: what their figures are made of."""

    def __init__(self, scorer: ExplanationScorer) -> None:
        self._scorer = scorer
        self._sides = _Side(scorer), _Side(scorer)
        self.rows = 0
        self.read: dict[str, int] = {}
        """By metric, the rows that it could read of both systems."""
        self.of: dict[str, int] = {}
        """By metric, the rows that it could read of the second."""

    def add(self, pairs: Sequence[tuple[Compared, Compared]]) -> None:
        self.rows += len(pairs)
        systems: list[list[Compared]] = [[pair[0] for pair in pairs], [pair[1] for pair in pairs]]
        tables = [self._scorer.table(rows) for rows in systems]
        ours, theirs = map(read_rows, tables)
        both = {name: read & theirs[name] for name, read in ours.items()}
        for name, read in both.items():
            self.read[name] = self.read.get(name, 0) + int(read.sum())
            self.of[name] = self.of.get(name, 0) + int(theirs[name].sum())
        for side, rows, table in zip(self._sides, systems, tables, strict=True):
            side.add(rows, {name: values[both[name]] for name, values in table.items()})

    def figures(self) -> tuple[FigureOf, FigureOf]:
        return self._sides[0].figures(), self._sides[1].figures()


class _Side:
    """What one system's figures are made of: sums, and the bigrams that it wrote."""

    def __init__(self, scorer: ExplanationScorer) -> None:
        self._corpus = scorer.corpus
        self._sums: dict[str, FloatArray] = {}
        self._read: dict[str, int] = {}
        self._bigrams = Bigrams(scorer.words)
        self._rows = self._copies = self._words = 0

    def add(self, rows: Sequence[Compared], table: Mapping[str, FloatArray]) -> None:
        for name, values in table.items():
            if len(values):
                self._sums[name] = self._sums.get(name, 0.0) + values.sum(axis=0)
                self._read[name] = self._read.get(name, 0) + len(values)
        for row in rows:
            self._bigrams.add(row.explanation)
            self._copies += is_copy(row.explanation, row.fields)
            self._words += length(row.explanation)
        self._rows += len(rows)

    def figures(self) -> FigureOf:
        """By metric; of a metric without rows there is none."""
        return {
            **{
                name: self._corpus[name].score(sums) if name in self._corpus else float(sums) / self._read[name]
                for name, sums in self._sums.items()
            },
            "distinct_2": self._bigrams.distinct,
            "copy_rate": self._copies / self._rows,
            "explanation_length": self._words / self._rows,
        }


def read_rows(table: Mapping[str, FloatArray]) -> dict[str, NDArray[np.bool_]]:
    """The rows that each metric of an `ExplanationScorer.table` could read, (n,) by name."""
    return {name: ~np.isnan(values if values.ndim == 1 else values[:, 0]) for name, values in table.items()}


def held_out(compared: Compared) -> list[tuple[Compared, Compared]]:
    """Each reference in turn, and the system's explanation, against the same smaller number of references.

    In turn k the k-th reference is held out: the first of a pair scores it against the others, the second scores the
    system's explanation against those others. None with fewer than two references.
    """
    explanation, references, fields = compared
    turns = [(one, [*references[:k], *references[k + 1 :]]) for k, one in enumerate(references)]
    return [(Compared(one, others, fields), Compared(explanation, others, fields)) for one, others in turns if others]
