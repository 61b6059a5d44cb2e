"""The matrix of tasks and steps, and what is usually told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from reasondistill.contracts.update import AnsweredSet, Matrix, Transfer, UpdateRecord
from reasondistill.metrics.registry import metric_of
from reasondistill.updating.held_figures import GATED

Values = list[list[float | None]]


def reported(sets: Sequence[AnsweredSet]) -> dict[str, AnsweredSet]:
    """Task → the last split of it that was tested: test rows where there are some."""
    return {tested.name: tested for tested in sets}


def matrices(
    sets: Sequence[AnsweredSet], parent: str, child: str, before: UpdateRecord | None
) -> tuple[list[str], list[str], list[Matrix]]:
    """Steps, tasks, and each gated metric's matrix: what the parent's own record holds, with a row and a column more.

    Args:
        sets: in the order of the tasks, new rows last.
        parent, child: names of the steps.
        before: the parent's record, where it was an update itself.
    """
    last = reported(sets)
    tasks, steps = list(last), [*(before.steps if before else [parent]), child]
    known = (before.baselines if before else {}) | {name: tested.baselines for name, tested in last.items()}
    filled = []
    for metric in GATED:
        values = _carried(metric, steps, tasks, before)
        for column, tested in enumerate(last.values()):
            figure = next((f for f in tested.figures if f.metric == metric and f.label is None), None)
            if figure is not None:
                values[-2][column], values[-1][column] = figure.parent, figure.child
        if any(value is not None for row in values for value in row):
            zeros = [known.get(task, {}).get(metric) for task in tasks]
            filled.append(Matrix(metric=metric, values=values, transfer=transfer(metric, values, zeros)))
    return steps, tasks, filled


def _carried(metric: str, steps: Sequence[str], tasks: Sequence[str], before: UpdateRecord | None) -> Values:
    values: Values = [[None] * len(tasks) for _ in steps]
    earlier = next((m for m in before.matrices if m.metric == metric), None) if before else None
    if before is not None and earlier is not None:
        places = {task: column for column, task in enumerate(before.tasks)}
        for row, of_step in zip(values, earlier.values, strict=False):
            row[:] = [of_step[places[task]] if task in places else None for task in tasks]
    return values


def transfer(metric: str, values: Values, zeros: Sequence[float | None]) -> Transfer:
    """The summaries of a matrix (steps, tasks); each over the entries that were measured.

    The task of column j was learned at step j, counted from the first step; where there are more tasks than steps, as
    with several kept sets, the first step stands for all that came before.
    """
    steps, tasks = len(values), len(values[0])
    learned = [max(0, column - (tasks - steps)) for column in range(tasks)]
    sign = -1.0 if metric_of(metric).lower_is_better else 1.0
    last = values[-1]
    old = [(c, last[c]) for c in range(tasks) if learned[c] < steps - 1]
    backward = [end - start for c, end in old if end is not None and (start := values[learned[c]][c]) is not None]
    lost = []
    for column, end in old:
        earlier = [value for row in values[learned[column] : -1] if (value := row[column]) is not None]
        if end is not None and earlier:
            lost.append(max(sign * value for value in earlier) - sign * end)
    forward = [
        start - zero
        for column in range(tasks)
        if learned[column] > 0
        and (start := values[learned[column] - 1][column]) is not None
        and (zero := zeros[column]) is not None
    ]
    known = [value for value in last if value is not None]
    return Transfer(average=_mean(known), backward=_mean(backward), forward=_mean(forward), forgetting=_mean(lost))


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def baselines_of(figures: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if value is not None}
