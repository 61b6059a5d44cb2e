"""Support, by a judge, of a system's explanations, people's, baselines and controls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING

from reasondistill.evaluation.controls import SHUFFLED
from reasondistill.evaluation.pairing import Row
from reasondistill.evaluation.scored import BOUNDS, Scored
from reasondistill.languages.unknown_tokens import TOO_MANY, UNREADABLE
from reasondistill.metrics.statistics import GroupBootstrap, mean
from reasondistill.tasks.task import Task

if TYPE_CHECKING:
    from reasondistill.judges import Argued, Judge

SUPPORT = "support"


def as_judge(judge: Judge | str | PathLike[str] | None) -> Judge | None:
    """A judge, or the one in a folder or ``builtin:scenes``; torch is imported only where there is one.

    Raises:
        CheckpointError: the folder holds no judge.
    """
    if judge is None:
        return None
    from reasondistill.judges import Judge

    return judge if isinstance(judge, Judge) else Judge.load(judge)


def add_support(
    scored: Scored,
    rows: Sequence[Row],
    task: Task,
    judge: Judge,
    bootstrap: GroupBootstrap,
    progress: Callable[[str], None],
) -> None:
    """Add support to what has been scored: by row, overall, per label, of baselines and of controls.

    A system's explanation, or the text of a baseline or control in its place, argues for the label that the system
    predicted; people's argue for the gold label. A row without that label has no support.

    Args:
        scored: the result of `explanations.score_explanations`; support is added in place.

    Raises:
        DataError: the judge is of another task, or was trained on some of the rows.
    """
    judge.refuse_task(task)
    judge.refuse_seen((row.example for row in rows), task)
    explanations: list[str | None] = [row.prediction.explanation for row in rows]
    baselines: dict[str, Sequence[str | None]] = {
        **{f"copied_{name}": [row.example.fields[name] for row in rows] for name in task.fields},
        "template": scored.templates,
    }
    predicted = [_predicted(row, task) for row in rows]
    reading = _Reading(judge, rows, task)
    # All at once, so that each text is encoded once; a judge remembers what it has judged.
    reading.read([(texts, predicted) for texts in (explanations, *baselines.values(), *scored.controlled.values())])
    reading.read([(texts, reading.gold) for texts in reading.references])
    reading.judge_all(progress)
    scored.settings[SUPPORT] = judge.settings
    own = reading.support(explanations, predicted)
    if _too_few_read(scored, [*reading.argued(explanations, predicted).values()], reading.readable):
        return
    _add_system(scored, rows, task, own, bootstrap)
    for name, texts in baselines.items():
        _add_baseline(scored, name, texts, own, reading, predicted)
    of_people = _mean(value for texts in reading.references for value in reading.support(texts, reading.gold))
    if of_people is not None and "references" in scored.baselines:
        scored.baselines["references"][SUPPORT] = of_people
    for name, texts in scored.controlled.items():
        _add_control(scored, name, own, reading.support(texts, predicted))


class _Reading:
    """A judge's reading of texts that stand in for explanations of the rows."""

    def __init__(self, judge: Judge, rows: Sequence[Row], task: Task) -> None:
        self.judge, self.rows, self.task = judge, rows, task
        self.readable: dict[str, bool] = {}
        """Text -> whether the judge's encoder can read it."""
        self._waiting: list[Argued] = []

    @property
    def gold(self) -> list[str | None]:
        return [row.example.label if self.task.labels != () else "" for row in self.rows]

    @property
    def references(self) -> list[list[str | None]]:
        """The first reference of each row, the second of each row, …; None in rows with fewer."""
        most = max(len(row.references) for row in self.rows)
        return [[row.references[k] if k < len(row.references) else None for row in self.rows] for k in range(most)]

    def argued(self, texts: Sequence[str | None], labels: Sequence[str | None]) -> dict[int, Argued]:
        """The rows that have a text and a label, by place."""
        from reasondistill.judges import Argued, fields_of

        return {
            k: Argued(fields_of(row.example, self.task), label, text)
            for k, (row, text, label) in enumerate(zip(self.rows, texts, labels, strict=True))
            if text is not None and label is not None
        }

    def read(self, turns: Iterable[tuple[Sequence[str | None], Sequence[str | None]]]) -> None:
        """Note texts with labels, by row, for `judge_all`."""
        self._waiting += [argued for texts, labels in turns for argued in self.argued(texts, labels).values()]

    def judge_all(self, progress: Callable[[str], None]) -> None:
        texts = list(dict.fromkeys(argued.explanation for argued in self._waiting))
        self.readable = dict(zip(texts, self.judge.encoder.reads(texts), strict=True))
        self.judge.support([argued for argued in self._waiting if self.readable[argued.explanation]], progress)

    def support(self, texts: Sequence[str | None], labels: Sequence[str | None]) -> list[float | None]:
        """The support of noted texts, by row; None without a text or label, and for texts that cannot be read."""
        readable = {k: row for k, row in self.argued(texts, labels).items() if self.readable[row.explanation]}
        by_row = dict(zip(readable, self.judge.support(readable.values()), strict=True))
        return [by_row.get(k) for k in range(len(self.rows))]


def _too_few_read(scored: Scored, argued: Sequence[Argued], readable: Mapping[str, bool]) -> bool:
    """Record how many of the system's explanations the judge could not read; whether they are too many."""
    unread = sum(not readable[row.explanation] for row in argued)
    if not unread:
        return False
    empty = {"bounds": BOUNDS, "of": len(argued), "rows": {}, "left_out": {}, "baselines": {}}
    record = scored.settings.setdefault("unread", empty)
    record["rows"][SUPPORT] = unread
    if unread <= TOO_MANY * len(argued):
        return False
    record["left_out"][SUPPORT] = (
        f"{unread:,} of {len(argued):,} rows were not read: more than {UNREADABLE:.0%} of the tokens, or of the "
        "characters, of the explanation are unknown to the judge's encoder. Train a judge with another one."
    )
    return True


def _add_system(
    scored: Scored, rows: Sequence[Row], task: Task, own: Sequence[float | None], bootstrap: GroupBootstrap
) -> None:
    for row, value in zip(scored.rows, own, strict=True):
        row[SUPPORT] = value
    if all(value is None for value in own):
        return
    scored.metrics[SUPPORT] = mean(own, bootstrap)
    for name in task.labels or ():
        of_label = [v if row.example.label == name else None for v, row in zip(own, rows, strict=True)]
        if any(value is not None for value in of_label):
            scored.per_label.setdefault(name, {})[SUPPORT] = mean(of_label, bootstrap)


def _add_baseline(
    scored: Scored,
    name: str,
    texts: Sequence[str | None],
    own: Sequence[float | None],
    reading: _Reading,
    labels: Sequence[str | None],
) -> None:
    """Add a baseline's support on the rows where the system has one, if the judge can read it on most of them."""
    present = [text for text, value in zip(texts, own, strict=True) if text is not None and value is not None]
    too_few = sum(not reading.readable[text] for text in present) > TOO_MANY * len(present)
    support = zip(reading.support(texts, labels), own, strict=True)
    value = _mean(baseline for baseline, of_system in support if of_system is not None)
    if value is not None and not too_few and name in scored.baselines:
        scored.baselines[name][SUPPORT] = value


def _add_control(scored: Scored, name: str, own: Sequence[float | None], control: Sequence[float | None]) -> None:
    value = _mean(control)
    if value is not None:
        same_rows = _mean(v for v, c in zip(own, control, strict=True) if c is not None)
        scored.controls.setdefault(name, {})[SUPPORT] = value
        scored.beside.setdefault(name, {})[SUPPORT] = same_rows if same_rows is not None else 0.0
    if name == SHUFFLED:
        scored.shuffled.extend([{SUPPORT: value} for value in control if value is not None])


def _predicted(row: Row, task: Task) -> str | None:
    """The label that the system's explanation argues for: the predicted or, without one, the gold label."""
    if task.labels == ():
        return ""
    return row.prediction.label if row.prediction.label is not None else row.example.label


def _mean(values: Iterable[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None
