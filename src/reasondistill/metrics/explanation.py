"""Every text metric of a system's explanations at once, for a student and its floors alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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


class ExplanationScorer:
    """ROUGE, BLEU, chrF, BERTScore, distinct-2, copy rate and length with one set of settings.

    BERTScore is by far the slowest, so it is had for all the pairs of all systems beforehand: references that
    systems share are encoded once.

    Args:
        everything: all explanations that will be scored; those of one example near each other.
        how: the maximum or the mean over references, for ROUGE and BERTScore.
        stemmer: whether ROUGE stems.
        bertscore: None to leave BERTScore out.
        progress: called with a sentence as BERTScore goes on.
    """

    def __init__(
        self,
        everything: Iterable[Compared],
        *,
        how: Aggregate,
        stemmer: bool,
        bertscore: BertScore | None,
        progress: Callable[[str], None] = lambda stage: None,
    ) -> None:
        self._how: Aggregate = how
        self._rouge = Rouge(stemmer=stemmer)
        self.corpus = {"bleu": CorpusMetric("bleu"), "chrf": CorpusMetric("chrf")}
        self._bertscore: dict[tuple[str, str], float] | None = None
        if bertscore is not None:
            self._bertscore = bertscore.score(((c.explanation, r) for c in everything for r in c.references), progress)

    def overlap(self, compared: Compared) -> dict[str, float]:
        """ROUGE and BERTScore by name, in [0, 1]; at least one reference is needed."""
        text, references, _ = compared
        pairs = [self._rouge.score(text, reference) for reference in references]
        scores = {name: aggregate([pair[name] for pair in pairs], self._how) for name in ROUGE_NAMES}
        if self._bertscore is not None:
            scores["bertscore_f1"] = aggregate([self._bertscore[text, r] for r in references], self._how)
        return scores

    def corpus_statistics(self, compared: Sequence[Compared]) -> dict[str, FloatArray]:
        """The counts that BLEU and chrF are made of, by name, (n, S); each row needs a reference."""
        texts, references = [c.explanation for c in compared], [c.references for c in compared]
        return {name: metric.statistics(texts, references) for name, metric in self.corpus.items()}

    def figures(self, compared: Sequence[Compared]) -> dict[str, float]:
        """Every metric by name; there must be rows, each with a reference."""
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
    """Human explanations and the system's, each against the same smaller number of references.

    In turn k each row's k-th reference is held out: the first result scores it against the row's others, the second
    scores the system's explanation against those others. Only rows with at least two references take part; turns
    without rows are left out, so that both are empty where no row has two references.
    """
    rows = [one for one in compared if len(one.references) >= 2]
    humans, systems = [], []
    for k in range(max((len(one.references) for one in rows), default=0)):
        turn = [
            (one, one.references[k], [*one.references[:k], *one.references[k + 1 :]])
            for one in rows
            if k < len(one.references)
        ]
        humans.append([Compared(held_out, others, one.fields) for one, held_out, others in turn])
        systems.append([Compared(one.explanation, others, one.fields) for one, _, others in turn])
    return humans, systems
