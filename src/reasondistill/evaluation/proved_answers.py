"""What can be proved of a system's answers: verdicts, coverage and precision by label, with intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from reasondistill.contracts.base import DatasetInfo
from reasondistill.contracts.records import Example, Prediction
from reasondistill.contracts.results import MetricValue, Results
from reasondistill.contracts.row_files import write_rows
from reasondistill.contracts.verification import (
    VERIFIED_ROWS_FILE,
    Hybrid,
    ProvedLabel,
    ShownProof,
    Verification,
    VerifiedRow,
)
from reasondistill.errors import DataError
from reasondistill.evaluation.labels import score_labels
from reasondistill.evaluation.pairing import Row, join
from reasondistill.metrics.statistics import FloatArray, GroupBootstrap, mean, ratio
from reasondistill.storage.files import atomic_folder, fingerprint
from reasondistill.tasks.task import Task
from reasondistill.verification.answer_verdicts import verdict_of
from reasondistill.verification.pair_labels import PairLabels
from reasondistill.verification.pair_prover import PairOutcome, PairProver

_SHOWN: Final = 4
"""Rows of each verdict that a report shows."""


@dataclass(frozen=True)
class Verified:
    """Answers beside what is proved of their pairs."""

    results: Results
    rows: list[VerifiedRow]

    @property
    def summary(self) -> Verification:
        """Coverage and precision."""
        if self.results.verification is None:
            raise ValueError("results without verification")
        return self.results.verification

    def save(self, out: str | Path) -> None:
        """Write results.json and verify.jsonl into the new folder ``out``.

        Raises:
            OutputError: it is there already, or cannot be written.
        """
        with atomic_folder(out) as folder:
            self.results.save(folder / "results.json")
            write_rows(folder / VERIFIED_ROWS_FILE, self.rows)


def verify(
    predictions: Iterable[Prediction],
    examples: Iterable[Example],
    *,
    task: Task,
    name: str,
    split: str | None = None,
    prover: PairProver | None = None,
    labels: PairLabels | None = None,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> Verified:
    """Prove what can be proved of pairs, beside the labels that a system gives them.

    Args:
        predictions: in any order; their explanations are not looked at.
        examples: those that were answered.
        prover: with the relations to prove by; the shipped ones by default.
        labels: which fields are premise and hypothesis, and which labels can be proved; by default those of the names
            premise, hypothesis, entailment and contradiction.
        progress: called with the number of pairs that are done.

    Raises:
        DataError: answers and examples do not belong together, or the task has no such fields or labels.
    """
    prover = prover or PairProver()
    labels = parse_roles(None, None, task, prover) if labels is None else labels.checked(task)
    rows = join(predictions, examples, task)
    bootstrap = GroupBootstrap([row.example.cluster for row in rows], seed=seed)
    verified: list[VerifiedRow] = []
    for row in rows:
        outcome = labels.outcome(prover, row.example)
        verified.append(verdict_row(row.example, row.prediction.label, outcome, labels))
        progress(len(verified))
    content = sorted([row.example.id, row.example.label or ""] for row in rows)
    results = Results(
        dataset=DatasetInfo(name=name, split=split, fingerprint=fingerprint(*content), n=len(rows)),
        settings={"task": task.name, "verification": {"fragment": prover.fragment, **labels.settings()}},
        metrics=score_labels(rows, task, bootstrap).metrics,
        verification=summarise(rows, verified, prover, labels, bootstrap),
    )
    return Verified(results, verified)


def verdict_row(example: Example, label: str | None, outcome: PairOutcome, labels: PairLabels) -> VerifiedRow:
    """One pair's verdict beside a label."""
    proved = labels.label_of(outcome)
    return VerifiedRow(
        id=example.id,
        premise=example.fields[labels.premise],
        hypothesis=example.fields[labels.hypothesis],
        gold=example.label,
        label=label,
        verdict=verdict_of(proved, label),
        proved=proved,
        explanation=outcome.explanation,
        proof=outcome.proof,
        counter_model=outcome.counter_model,
        outside=outcome.outside,
    )


def summarise(
    rows: Sequence[Row],
    verified: Sequence[VerifiedRow],
    prover: PairProver,
    labels: PairLabels,
    bootstrap: GroupBootstrap,
) -> Verification:
    """Shares and precisions of all rows, with intervals over groups."""
    figures = _Figures(verified, bootstrap)
    assumptions = Counter(name for row in verified if row.proof is not None for name in row.proof.assumptions)
    outside = Counter(row.outside.split(":")[0] for row in verified if row.outside is not None)
    return Verification(
        fragment=prover.fragment,
        lexicon_sha256=prover.lexicon.sha256,
        read=figures.share(lambda row: row.outside is None),
        verified=figures.share(lambda row: row.verdict == "verified"),
        unknown=figures.share(lambda row: row.verdict == "unknown"),
        conflict=figures.share(lambda row: row.verdict == "conflict"),
        verified_right=figures.right(lambda row: row.verdict == "verified"),
        conflict_right=figures.right(lambda row: row.verdict == "conflict"),
        labels={label: _proved_label(figures, label) for label in labels.provable()},
        assumptions=dict(assumptions.most_common()),
        outside=dict(outside.most_common()),
        hybrid=_hybrid(rows, verified, bootstrap),
        shown=_shown(verified),
    )


class _Figures:
    """Means over the rows of which something is so."""

    def __init__(self, rows: Sequence[VerifiedRow], bootstrap: GroupBootstrap) -> None:
        self._rows, self._bootstrap = rows, bootstrap

    def share(self, holds: Callable[[VerifiedRow], bool]) -> MetricValue:
        """Of all rows."""
        return mean([float(holds(row)) for row in self._rows], self._bootstrap)

    def of(self, among: Callable[[VerifiedRow], bool], holds: Callable[[VerifiedRow], bool]) -> MetricValue | None:
        """Of some rows; None where there are none."""
        values = [float(holds(row)) if among(row) else None for row in self._rows]
        return mean(values, self._bootstrap) if any(value is not None for value in values) else None

    def right(self, among: Callable[[VerifiedRow], bool]) -> MetricValue | None:
        """How often the proved label is the gold one."""
        return self.of(lambda row: row.gold is not None and among(row), lambda row: row.proved == row.gold)


def _proved_label(figures: _Figures, label: str) -> ProvedLabel:
    def proved(row: VerifiedRow) -> bool:
        return row.proved == label

    return ProvedLabel(
        proved=figures.share(proved),
        right=figures.right(proved),
        recall=figures.of(lambda row: row.gold == label, proved),
        verified=figures.of(lambda row: row.label == label, proved),
        verified_right=figures.right(lambda row: proved(row) and row.verdict == "verified"),
        conflict_right=figures.right(lambda row: proved(row) and row.verdict == "conflict"),
    )


def _hybrid(rows: Sequence[Row], verified: Sequence[VerifiedRow], bootstrap: GroupBootstrap) -> Hybrid | None:
    """Prover and student together beside the student alone; None without gold labels or labels of the student's."""
    if any(row.gold is None for row in verified) or not any(row.label for row in verified):
        return None
    student = [float(row.label == row.gold) for row in verified]
    hybrid = [float((row.proved or row.label) == row.gold) for row in verified]
    kept = [row.verdict != "conflict" for row in verified]
    left = [right if keep else None for right, keep in zip(student, kept, strict=True)]
    surest = _surest(rows, sum(kept))
    by_surest = None if surest is None else [r if keep else None for r, keep in zip(student, surest, strict=True)]
    return Hybrid(
        student=mean(student, bootstrap),
        hybrid=mean(hybrid, bootstrap),
        difference=mean([h - s for h, s in zip(hybrid, student, strict=True)], bootstrap),
        coverage=mean([float(keep) for keep in kept], bootstrap),
        without_conflicts=mean(left, bootstrap) if any(kept) else None,
        surest=mean(by_surest, bootstrap) if by_surest and any(kept) else None,
        surest_difference=_less(left, by_surest, bootstrap) if by_surest and any(kept) else None,
    )


def _surest(rows: Sequence[Row], n: int) -> list[bool] | None:
    """Which rows are the n whose given label has the highest probability; None where some have none."""
    sure = [row.prediction.probabilities.get(row.prediction.label or "") for row in rows]
    if any(value is None for value in sure):
        return None
    order = sorted(range(len(rows)), key=lambda k: -(sure[k] or 0.0))
    chosen = set(order[:n])
    return [k in chosen for k in range(len(rows))]


def _less(first: Sequence[float | None], second: Sequence[float | None], bootstrap: GroupBootstrap) -> MetricValue:
    """The mean of the first less that of the second, over the rows that each has."""
    columns = [(value or 0.0, float(value is not None)) for value in first]
    others = [(value or 0.0, float(value is not None)) for value in second]
    statistics = np.concatenate([np.array(columns), np.array(others)], axis=1)

    def difference(sums: FloatArray) -> FloatArray:
        return ratio(sums[..., :2]) - ratio(sums[..., 2:])

    value = float(difference(statistics.sum(axis=0)))
    return MetricValue(value=value, ci95=bootstrap.interval(statistics, difference), n=len(first))


def _shown(rows: Iterable[VerifiedRow]) -> list[ShownProof]:
    """The first rows of each verdict with something to read, wrong ones among the conflicts first."""
    chosen: dict[str, list[ShownProof]] = {"verified": [], "conflict": [], "unknown": []}
    for row in rows:
        if row.explanation and len(chosen[row.verdict]) < _SHOWN:
            chosen[row.verdict].append(
                ShownProof(
                    id=row.id,
                    premise=row.premise,
                    hypothesis=row.hypothesis,
                    gold=row.gold,
                    label=row.label,
                    proved=row.proved,
                    verdict=row.verdict,
                    text=row.explanation,
                    assumptions=row.proof.assumptions if row.proof is not None else (),
                )
            )
    return [shown for of_verdict in chosen.values() for shown in of_verdict]


def prover_for(fragment: str | None, name: str, relations: str | Path | None) -> PairProver:
    """The prover of a fragment: captions, or scenes, which is also taken for the built-in set of that name.

    Raises:
        DataError: there is no such fragment, or scenes are to be proved by relations of a user's.
        ConfigError: there are mistakes in the relations.
    """
    built_in = name == "scenes" or name.startswith("scenes:")
    if fragment is None:
        fragment = "scenes" if built_in and relations is None else "captions"
    if fragment == "scenes" and relations is None:
        from reasondistill.verification.scenes_fragment import ScenesProver

        return ScenesProver()
    if fragment != "captions":
        found = "scenes with relations" if fragment == "scenes" else repr(fragment)
        raise DataError("fragment", expected="captions, or scenes, whose relations are its own", found=found)
    return PairProver(relations)


def parse_roles(
    roles: Mapping[str, str] | None, fields: Mapping[str, str] | None, task: Task, prover: PairProver
) -> PairLabels:
    """Labels and fields by their roles, as an option names them; neutral is a label that is proved in scenes only.

    Raises:
        DataError: a role is none, or what plays it is not the task's.
    """
    provable = tuple(prover.conclusions)
    for given, known in ((roles, provable), (fields, ("premise", "hypothesis"))):
        if other := [role for role in given or () if role not in known]:
            raise DataError("roles", expected=f"{' and '.join(known)}", found=repr(other[0]))
    values = {role: role for role in provable} | dict(fields or {}) | dict(roles or {})
    return PairLabels(**values).checked(task)
