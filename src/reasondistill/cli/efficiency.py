"""`reasondistill efficiency`: what a student costs on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reasondistill.cli.shared import (
    BudgetOption,
    Columns,
    DataArgument,
    SplitOption,
    mapping,
    print_blocks,
    quiet_libraries,
)
from reasondistill.cli.status import status_line
from reasondistill.cli.terminal import fact


def efficiency(
    student: Annotated[
        Path, typer.Argument(metavar="STUDENT", help="A run, a student's folder, a package of one, or builtin:scenes.")
    ],
    data: DataArgument,
    out: Annotated[Path, typer.Option(help="A new .json file.")],
    split: SplitOption = None,
    columns: Columns = None,
    limit: Annotated[int, typer.Option(min=1, help="Use only the first N examples of the split.")] = 100,
    num_beams: Annotated[int | None, typer.Option(min=1, help="Override the student's own setting.")] = None,
    repeats: Annotated[int, typer.Option(min=3, help="Passes over the examples at each batch size.")] = 3,
    batch_sizes: Annotated[
        list[int] | None,
        typer.Option("--batch-size", min=1, help="A batch size to measure; repeatable. Default: 4, 16 and 64."),
    ] = None,
    budget: BudgetOption = None,
) -> None:
    """Measure a student on this machine: memory, latency, throughput, FLOPs, sizes, and energy if available.

    Stop what else runs on the machine first. Threads are those of the environment: OMP_NUM_THREADS=1 for one.
    """
    from dataclasses import replace

    from reasondistill.contracts.base import DatasetInfo
    from reasondistill.data import load
    from reasondistill.evaluation.budget import BUDGET
    from reasondistill.evaluation.efficiency import EfficiencySettings, measure
    from reasondistill.reporting.sections.efficiency import blocks
    from reasondistill.storage.files import require_new_file
    from reasondistill.students.student import Student

    require_new_file(out)
    quiet_libraries()
    loaded_student = Student.load(student)
    if num_beams is not None:
        generation = loaded_student.generation.model_copy(update={"num_beams": num_beams})
        loaded_student = replace(loaded_student, generation=generation)
    part = load(data, split=split, task=loaded_student.task, columns=mapping(columns), need_label=False)
    rows = part.first(limit)
    sizes = {"batch_sizes": tuple(batch_sizes)} if batch_sizes else {}
    with status_line() as tell:
        costs = measure(
            student,
            rows.examples,
            EfficiencySettings(examples=limit, repeats=repeats, **sizes),
            loaded=loaded_student,
            dataset=DatasetInfo(name=rows.name, split=split, fingerprint=rows.fingerprint, n=len(rows.examples)),
            budget=(BUDGET if budget is None else budget) or None,
            progress=tell,
        )
    print_blocks(blocks(costs))
    costs.save(out)
    fact("efficiency", out)
