"""Support of a system's explanations by a judge, and of what stands beside them: people, floors, controls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from reasondistill.evaluation.controls import SHUFFLED
from reasondistill.evaluation.pairing import Row
from reasondistill.evaluation.scored import BOUNDS, Scored
from reasondistill.languages.unknown_tokens import TOO_MANY, UNREADABLE
from reasondistill.metrics.statistics import GroupBootstrap, mean
from reasondistill.tasks.task import Task

if TYPE_CHECKING:
    from reasondistill.judges import Judge

SUPPORT = "support"


def add_support(
    scored: Scored,
    rows: Sequence[Row],
    task: Task,
    judge: Judge,
    bootstrap: GroupBootstrap,
    progress: Callable[[str], None],
) -> None:
    """Add support to what has been scored: of each row, overall, per label, of floors and of controls.

    A system's explanation, and what a floor or a control puts in its place, is to argue for the label that the system
    predicted; people's, for the gold one. A row without that label has no support.

    Args:
        scored: what `explanations.score_explanations` found; support is added in place.

    Raises:
        DataError: the judge is of another task, or was trained on some of the rows.
    """
    from reasondistill.judges import Argued, fields_of

    judge.refuse_task(task)
    judge.refuse_seen((row.example for row in rows), task)
    predicted = [_predicted(row, task) for row in rows]
    gold = [row.example.label if task.labels != () else "" for row in rows]
    beside: dict[str, Sequence[str | None]] = {
        **{f"copied_{name}": [row.example.fields[name] for row in rows] for name in task.fields},
        "template": scored.templates,
    }
    most = max(len(row.references) for row in rows)
    people = [[row.references[k] if k < len(row.references) else None for row in rows] for k in range(most)]

    def argued(texts: Sequence[str | None], labels: Sequence[str | None]) -> dict[int, Argued]:
        return {
            k: Argued(fields_of(row.example, task), label, said)
            for k, (row, said, label) in enumerate(zip(rows, texts, labels, strict=True))
            if said is not None and label is not None
        }

    def judged(texts: Sequence[str | None], labels: Sequence[str | None]) -> list[float | None]:
        asked = {k: one for k, one in argued(texts, labels).items() if read[one.explanation]}
        found = dict(zip(asked, judge.support(asked.values()), strict=True))
        return [found.get(k) for k in range(len(rows))]

    # All at once, so that each text is encoded once; a judge remembers what it has judged.
    turns = [[r.prediction.explanation for r in rows], *beside.values(), *scored.controlled.values()]
    everything = [one for texts in turns for one in argued(texts, predicted).values()]
    everything += [one for texts in people for one in argued(texts, gold).values()]
    said = list(dict.fromkeys(one.explanation for one in everything))
    read = dict(zip(said, judge.encoder.reads(said), strict=True))
    judge.support([one for one in everything if read[one.explanation]], progress)
    scored.settings[SUPPORT] = judge.settings
    own = judged([row.prediction.explanation for row in rows], predicted)
    asked = argued([row.prediction.explanation for row in rows], predicted)
    if unread := sum(not read[one.explanation] for one in asked.values()):
        empty = {"bounds": BOUNDS, "of": len(asked), "rows": {}, "left_out": {}, "floors": {}}
        found = scored.settings.setdefault("unread", empty)
        found["rows"][SUPPORT] = unread
        if unread > TOO_MANY * len(asked):
            found["left_out"][SUPPORT] = (
                f"{unread:,} of {len(asked):,} rows were not read: more than {UNREADABLE:.0%} of the tokens, or of the "
                "characters, of the explanation are unknown to the judge's encoder. Train a judge with another one."
            )
            return
    for row, value in zip(scored.rows, own, strict=True):
        row[SUPPORT] = value
    if any(value is not None for value in own):
        scored.metrics[SUPPORT] = mean(own, bootstrap)
        for name in task.labels or ():
            of_label = [v if row.example.label == name else None for v, row in zip(own, rows, strict=True)]
            if any(value is not None for value in of_label):
                scored.per_label.setdefault(name, {})[SUPPORT] = mean(of_label, bootstrap)
    for name, texts in beside.items():
        # On the rows that have the system's own: where the judge can read a floor on most of these.
        there = [text for text, o in zip(texts, own, strict=True) if text is not None and o is not None]
        too_few = sum(not read[text] for text in there) > TOO_MANY * len(there)
        value = _mean(v for v, o in zip(judged(texts, predicted), own, strict=True) if o is not None)
        if value is not None and not too_few and name in scored.floors:
            scored.floors[name][SUPPORT] = value
    if "references" in scored.floors:
        value = _mean(v for texts in people for v in judged(texts, gold))
        if value is not None:
            scored.floors["references"][SUPPORT] = value
    for name, texts in scored.controlled.items():
        of_control = judged(texts, predicted)
        value = _mean(of_control)
        if value is not None:
            same_rows = _mean(v for v, c in zip(own, of_control, strict=True) if c is not None)
            scored.controls.setdefault(name, {})[SUPPORT] = value
            scored.beside.setdefault(name, {})[SUPPORT] = same_rows if same_rows is not None else 0.0
        if name == SHUFFLED:
            scored.shuffled += [{SUPPORT: value} for value in of_control if value is not None]


def _predicted(row: Row, task: Task) -> str | None:
    """The label that the system's explanation is to argue for; of a system that gives none, the gold one."""
    if task.labels == ():
        return ""
    return row.prediction.label if row.prediction.label is not None else row.example.label


def _mean(values: Iterable[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None
