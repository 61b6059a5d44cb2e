"""What an update kept of what its parent knew: the verdict, each figure against its margin, the matrix of tasks."""

from __future__ import annotations

from reasondistill.contracts.update import AnsweredSet, HeldFigure, Matrix, UpdateRecord
from reasondistill.reporting.document import Block, Cell, Gallery, Paragraph, Table
from reasondistill.reporting.forest import Difference, forest
from reasondistill.reporting.formatting import marked_title, metric_title, metric_value
from reasondistill.reporting.signed import difference_value, signed_interval

_VERDICTS = {"held": "level", "unclear": "level", "fell": "worse"}


def drafted_section(record: UpdateRecord | None, prefix: str = "") -> list[tuple[str, list[Block], str]]:
    """The section of a report as ``(title, blocks, why there are none)``; none for a run that is no update."""
    return [] if record is None else [("Update", blocks(record, prefix), "nothing was tested.")]


def blocks(record: UpdateRecord, prefix: str = "") -> list[Block]:
    """The verdict, the figures that it rests on, and what is usually told of a sequence of tasks."""
    verdict = f"Published: {verdict_words(record)}."
    shown: list[Block] = [Paragraph(f"{verdict} It goes on from {record.parent}. {strategy_words(record)}")]
    shown += [Paragraph(f"{reason}.") for reason in record.reasons]
    kept = [tested for tested in record.sets if tested.kind == "kept"]
    if rows := [row for tested in kept for row in _differences(tested)]:
        caption = "The new student minus its parent on rows of what the parent knew, with paired 95% intervals."
        shown.append(Gallery((forest(f"{prefix}forgetting", "What was kept", caption, rows),)))
    shown += [_table(tested) for tested in record.sets]
    shown += [_matrix(record, matrix) for matrix in record.matrices]
    if record.matrices:
        shown.append(_transfer(record))
    return shown


def verdict_words(record: UpdateRecord) -> str:
    """Whether the student is published, and why."""
    if record.accepted:
        return "yes, as was asked for: on the rows that decide nothing fell, and not all was shown to hold"
    if record.published:
        return "yes: every kept figure held"
    return "no: the kept rows cannot decide" if record.undecided else "no"


def strategy_words(record: UpdateRecord) -> str:
    """What kept the student from forgetting, in words."""
    used = record.strategy
    words = [
        f"replay of {float(str(used['replay'])):.0%} of the groups" if used.get("replay") else "",
        "replay of the parent's own answers" if used.get("self_replay") else "",
        f"distillation from the parent (weight {used['distillation']})" if used.get("distillation") else "",
        f"elastic weight consolidation (weight {used['ewc']})" if used.get("ewc") else "",
        "low-rank adapters" if used.get("lora") else "",
    ]
    return f"Against forgetting: {', '.join(filter(None, words)) or 'nothing'}."


def _differences(tested: AnsweredSet) -> list[Difference]:
    return [
        Difference(
            f"{tested.name}, {tested.split or 'all'}: {metric_title(figure.metric)}",
            figure.difference,
            figure.ci95,
            _VERDICTS[figure.verdict],
        )
        for figure in tested.figures
        if figure.label is None
    ]


def _table(tested: AnsweredSet) -> Table:
    role = {"new": "new rows", "kept": "kept, decides" if tested.decides else "kept, reported"}
    what = role[tested.kind]
    rows = tuple(_row(figure, tested) for figure in tested.figures)
    note = (
        "Margin: how much may be lost. Held: the 95% interval of the loss ends below the margin. Fell: the loss is "
        "beyond the margin and its interval above 0. Unclear: too few rows for either. ↓: lower is better."
    )
    if tested.selecting:
        note += f" {tested.selecting:,} more rows of this split selected the checkpoint and are not among these."
    title = f"{tested.name}, {tested.split or 'all'}: {what}"
    head = ("Metric", "Parent", "Student", "Difference", "95% interval", "Margin", "Verdict")
    return Table(title, head, rows, note=note if tested.decides else "")


def _row(figure: HeldFigure, tested: AnsweredSet) -> tuple[Cell, ...]:
    name = figure.metric
    kept = tested.kind == "kept"
    return (
        Cell(marked_title(name) + (f" of {figure.label}" if figure.label is not None else ""), f"{figure.n:,} rows"),
        Cell(metric_value(name, figure.parent)),
        Cell(metric_value(name, figure.child)),
        Cell(difference_value(name, figure.difference)),
        Cell(signed_interval(name, figure.ci95) or "–"),
        Cell(f"{figure.margin:g}" if kept else ""),
        Cell(figure.verdict if kept else "", flagged=kept and figure.verdict == "fell"),
    )


def _matrix(record: UpdateRecord, matrix: Matrix) -> Table:
    rows = tuple(
        (Cell(step), *(Cell("–" if value is None else metric_value(matrix.metric, value)) for value in values))
        for step, values in zip(record.steps, matrix.values, strict=True)
    )
    return Table(f"{marked_title(matrix.metric)} on each task, after each step", ("After", *record.tasks), rows)


def _transfer(record: UpdateRecord) -> Table:
    rows = tuple(
        (
            Cell(marked_title(matrix.metric)),
            Cell("–" if matrix.transfer.average is None else metric_value(matrix.metric, matrix.transfer.average)),
            *(
                Cell("–" if value is None else difference_value(matrix.metric, value))
                for value in (matrix.transfer.backward, matrix.transfer.forward, matrix.transfer.forgetting)
            ),
        )
        for matrix in record.matrices
    )
    note = (
        "Average: over the tasks after the last step. Backward transfer: last figure on an earlier task minus the one "
        "right after it was learned. Forward transfer: figure on a task before it was learned, minus the strongest "
        "baseline's. Forgetting: best earlier figure minus the last, above 0 where something was lost."
    )
    head = ("Metric", "Average", "Backward transfer", "Forward transfer", "Forgetting")
    return Table("Over all tasks", head, rows, note=note)
