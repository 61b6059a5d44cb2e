r"""Do filters of teachers' answers keep what people find acceptable?

    python benchmarks/filters.py gpt3_snli_train.jsonl --judge experiments/judges/esnli_judge \
        --people e-snli/esnli_dev.csv comve/dev.csv cos-e

DATA has explanations with people's votes, several of a row, each written for the row's label. Of every filter with its
defaults, also those that are off: the ROC-AUC of its scores against "acceptable to more than half of the people asked",
the share of explanations that it keeps, and how many of these are acceptable; of all that are on together; and of a
logistic regression on all scores, which learned from the votes of other rows. Intervals are 95%, from resampling rows
with all their explanations. With `--people`, the share that it keeps of people's own explanations in other data: what a
filter rejects there, it mostly rejects wrongly. The judge must not have seen DATA.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reasondistill.contracts.records import Example
from reasondistill.contracts.teaching import TeacherAnswer
from reasondistill.data import load
from reasondistill.data.sources import task_of
from reasondistill.metrics.statistics import FloatArray, GroupBootstrap, percentile_interval, ratio
from reasondistill.metrics.style import weighted_auc
from reasondistill.tasks.task import Task
from reasondistill.teachers.filters.filter_definition import Candidate, Filter, Pool
from reasondistill.teachers.filters.registered_filters import known_filters

Flags = NDArray[np.bool_]
FOLDS = 10
JUDGE, TOGETHER = "judge_support", "all that are on"
WRONG_WAY = ("leak",)
"""What rejects the better explanations here; nobody would switch it on."""
MOST_PEOPLE = 1000
"""Rows of each set of people's explanations, from the start."""


class Row(NamedTuple):
    """One filter's figures: a value with its interval, None where it has none."""

    name: str
    auc: tuple[float, tuple[float, float] | None] | None
    kept: float
    precision: tuple[float, tuple[float, float] | None] | None
    people: dict[str, float]


class Judged(NamedTuple):
    """What one filter says of each explanation: whether it keeps it, and its score, NaN where it has none."""

    keep: Flags
    scores: FloatArray


def pool_of(examples: Sequence[Example], task: Task) -> tuple[Pool, Flags]:
    """Every explanation as an answer of a teacher that was told the label, and whether most people accept it."""
    candidates, acceptable = [], []
    for example in examples:
        for k, explanation in enumerate(example.references):
            answer = TeacherAnswer(
                id=example.id,
                teacher="recorded",
                mode="given_label",
                sample=k,
                hinted=True,
                argued_label=example.label,
                label=example.label,
                explanation=explanation.text,
            )
            candidates.append(Candidate(example, answer))
            votes = explanation.votes
            acceptable.append(votes is not None and votes.acceptable * 2 > votes.of)
    return Pool(candidates, candidates, task), np.array(acceptable)


def judged(rule: Filter, pool: Pool) -> Judged | None:
    """None where the filter has nothing to say of these answers."""
    if rule.left_out(pool):
        return None
    verdicts = rule.verdicts(pool)
    keep = np.array([not verdict.reason for verdict in verdicts])
    return Judged(keep, np.array([np.nan if v.score is None else v.score for v in verdicts]))


def row_of(name: str, judgement: Judged, acceptable: Flags, bootstrap: GroupBootstrap, people: dict[str, float]) -> Row:
    """The figures of one filter."""
    keep, scores = judgement
    precision = None
    if keep.any():
        sums = np.stack([keep & acceptable, keep], axis=1).astype(np.float64)
        precision = (float(acceptable[keep].mean()), bootstrap.interval(sums, ratio))
    places = np.flatnonzero(~np.isnan(scores))
    auc = None
    if len(set(scores[places].tolist())) > 1:
        known, right = scores[places], acceptable[places]
        resampled = [weighted_auc(known, right, w) for w in bootstrap.row_weights(places.tolist())]
        whole = weighted_auc(known, right, np.ones((1, len(places))))
        auc = (float(whole[0]), percentile_interval(np.concatenate(resampled)))
    return Row(name, auc, float(keep.mean()), precision, people)


def fitted(judgements: Sequence[Judged], acceptable: Flags, groups: Sequence[str]) -> Judged:
    """Logistic regression on all scores, standardised, each explanation scored by what learned from other rows."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    columns = [np.where(np.isnan(j.scores), np.nanmean(j.scores), j.scores) for j in judgements]
    features = np.stack([*columns, *(j.keep.astype(np.float64) for j in judgements)], axis=1)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))
    found = cross_val_predict(model, features, acceptable, groups=groups, cv=GroupKFold(FOLDS), method="predict_proba")
    return Judged(found[:, 1] >= 0.5, found[:, 1])


def of_people(paths: Sequence[Path], rules: Sequence[Filter]) -> dict[str, dict[str, float]]:
    """Filter → data set → the share of its first explanations that the filter keeps; `TOGETHER` for all that are on."""
    shares: dict[str, dict[str, float]] = {name: {} for name in (*(rule.name for rule in rules), TOGETHER)}
    for path in paths:
        pool, _ = pool_of(load(path).first(MOST_PEOPLE).examples, task_of(path))
        kept = np.ones(len(pool.candidates), dtype=bool)
        for rule in rules:
            if rule.name != JUDGE and (judgement := judged(rule, pool)) is not None:
                shares[rule.name][path.name] = float(judgement.keep.mean())
                kept &= judgement.keep if rule.on else True
        shares[TOGETHER][path.name] = float(kept.mean())
        print(f"{path}: done", flush=True)
    return shares


def measure(data: Path, judge: str | None, people: Sequence[Path]) -> tuple[list[Row], Flags]:
    """A row for each filter, for all that are on, and for what was fitted to votes."""
    pool, acceptable = pool_of(load(data).examples, task_of(data))
    groups = [candidate.example.id for candidate in pool.candidates]
    bootstrap = GroupBootstrap(groups)
    kinds = [kind for kind in known_filters() if kind.name != JUDGE or judge is not None]
    rules = [kind.model_validate({"judge": judge} if kind.name == JUDGE else {}) for kind in kinds]
    shares = of_people(people, rules)
    rows: list[Row] = []
    judgements: dict[str, Judged] = {}
    together = np.ones(len(acceptable), dtype=bool)
    for rule in rules:
        judgement = judged(rule, pool)
        if judgement is None or np.isnan(judgement.scores).all():
            continue
        judgements[rule.name] = judgement
        name = f"{rule.name}{'' if rule.on else ' (off)'}"
        rows.append(row_of(name, judgement, acceptable, bootstrap, shares[rule.name]))
        together &= judgement.keep if rule.on else True
        print(f"{rule.name}: done", flush=True)
    on = Judged(together, together.astype(float))
    rows.append(row_of(TOGETHER, on, acceptable, bootstrap, shares[TOGETHER]))
    if JUDGE in judgements:
        support = judgements[JUDGE]
        ranked = Judged(together & support.keep, support.scores - ~together)
        rows.append(row_of(f"{TOGETHER}, and {JUDGE}", ranked, acceptable, bootstrap, {}))
    everything = np.all([judgement.keep for name, judgement in judgements.items() if name not in WRONG_WAY], axis=0)
    passed = np.sum([judgement.keep for name, judgement in judgements.items() if name not in WRONG_WAY], axis=0)
    union = Judged(everything, passed.astype(float))
    rows.append(row_of(f"all but {' and '.join(WRONG_WAY)}", union, acceptable, bootstrap, {}))
    combined = fitted([*judgements.values()], acceptable, groups)
    rows.append(row_of("all scores, fitted to votes", combined, acceptable, bootstrap, {}))
    return rows, acceptable


def table(rows: Sequence[Row]) -> str:
    """The figures in Markdown."""

    def value(figure: tuple[float, tuple[float, float] | None] | None) -> str:
        if figure is None:
            return "–"
        number, interval = figure
        return f"{number:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval is not None else "")

    sets = [*rows[0].people]
    head = ["filter", "ROC-AUC", "kept", "acceptable of the kept", *(f"kept of {name}" for name in sets)]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for row in rows:
        people = [f"{row.people[name]:.3f}" if name in row.people else "–" for name in sets]
        cells = [row.name, value(row.auc), f"{row.kept:.3f}", value(row.precision), *people]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="explanations with votes")
    parser.add_argument("--judge", help="a judge's folder")
    parser.add_argument("--people", type=Path, nargs="*", default=[], help="data with people's explanations")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    rows, acceptable = measure(options.data, options.judge, options.people)
    print(f"{len(acceptable):,} explanations, {acceptable.mean():.3f} of them acceptable\n\n{table(rows)}")
    if options.json:
        options.json.write_text(json.dumps([row._asdict() for row in rows], indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
