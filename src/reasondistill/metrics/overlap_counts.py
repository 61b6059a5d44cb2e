"""ROUGE scores, BLEU and chrF counts of many explanations, on all cores.

Counting takes most of an evaluation's time and is plain Python: other processes take their part of it. They are
started by name (``python -m reasondistill.metrics.overlap_counts``) and not by `multiprocessing`, which would run a
user's script anew in each of them.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import IO, TypeAlias

import numpy as np

from reasondistill.metrics.statistics import FloatArray
from reasondistill.metrics.text import ROUGE_NAMES, Aggregate, CorpusMetric, Rouge, aggregate, readable
from reasondistill.storage.launched import usable_cores

Key: TypeAlias = tuple[str, tuple[str, ...]]
"""An explanation and the references that it is compared with."""

_WORTH_IT = 20_000
"""Explanations from which other processes are started: that takes each of them one or two seconds."""


class OverlapCounter:
    """Counts of single explanations.

    Args:
        how: the maximum or the mean over references, for ROUGE.
        stemmer: whether ROUGE stems.
    """

    def __init__(self, how: Aggregate, *, stemmer: bool) -> None:
        self.how: Aggregate = how
        self.stemmer = stemmer
        self._rouge = Rouge(stemmer=stemmer)
        self.corpus = {"bleu": CorpusMetric("bleu"), "chrf": CorpusMetric("chrf")}

    def count(self, key: Key) -> FloatArray:
        """ROUGE scores, BLEU counts and chrF counts of one row, (3 + 10 + 18,); NaN where the text was not read."""
        text, references = key
        pairs = [self._rouge.score(text, reference) for reference in readable(text, references, self._rouge.reads)]
        numbers = [aggregate([pair[name] for pair in pairs], self.how) if pairs else np.nan for name in ROUGE_NAMES]
        for metric in self.corpus.values():
            read = readable(text, references, metric.reads)
            numbers += metric.counts(text, read) if read else [np.nan] * metric.width
        return np.array(numbers, dtype=np.float64)


class Counters:
    """A counter and the processes that help it. Without any it counts alone; one that is lost is done without.

    Args:
        counter: of this process.
        expected: how many explanations will come: for a few nobody is started.
    """

    def __init__(self, counter: OverlapCounter, expected: int) -> None:
        self._counter = counter
        self._helpers: list[subprocess.Popen[bytes]] = []
        self._wanted = usable_cores() - 1 if expected >= _WORTH_IT else 0

    def __enter__(self) -> Counters:
        command = [sys.executable, "-m", __name__, self._counter.how, "stemmed" if self._counter.stemmer else "plain"]
        for _ in range(self._wanted):
            with suppress(OSError):  # too many processes already
                self._helpers.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for helper in self._helpers:
            helper.kill()
            with suppress(OSError), helper:  # closes its pipes, which may hold what it has not read, and waits for it
                pass

    def count(self, keys: Sequence[Key]) -> list[FloatArray]:
        """The counts of each explanation, in the order of ``keys``."""
        size = -(-len(keys) // (len(self._helpers) + 1))
        shares = [keys[start : start + size] for start in range(0, len(keys), size)] if keys else []
        busy = [
            (helper, share) for helper, share in zip(self._helpers, shares[1:], strict=False) if _ask(helper, share)
        ]
        busy_with = {id(share): helper for helper, share in busy}
        counted: list[FloatArray] = []
        for share in shares:
            numbers = _answer(busy_with[id(share)], len(share)) if id(share) in busy_with else None
            counted += list(map(self._counter.count, share)) if numbers is None else list(numbers)
        return counted


def _ask(helper: subprocess.Popen[bytes], share: Sequence[Key]) -> bool:
    assert helper.stdin is not None
    try:
        pickle.dump(share, helper.stdin)
        helper.stdin.flush()
    except OSError:  # it has ended
        return False
    return True


def _answer(helper: subprocess.Popen[bytes], rows: int) -> FloatArray | None:
    """What a helper counted; None where it has ended instead."""
    assert helper.stdout is not None
    with suppress(EOFError, OSError, pickle.UnpicklingError):
        numbers: FloatArray = pickle.load(helper.stdout)  # from a process that this one started
        if len(numbers) == rows:
            return numbers
    return None


def main(how: Aggregate, stemming: str, requests: IO[bytes], answers: IO[bytes]) -> None:
    """Count what is asked for until nobody asks any more."""
    counter = OverlapCounter(how, stemmer=stemming == "stemmed")
    with suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        while True:
            share: list[Key] = pickle.load(requests)  # from the process that started this one
            pickle.dump(np.array([counter.count(key) for key in share]), answers)
            answers.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.stdin.buffer, sys.stdout.buffer)  # type: ignore[arg-type]
