"""`reasondistill efficiency`: what a student costs on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reasondistill.cli.next_steps import say_next
from reasondistill.cli.options import BudgetOption, Columns, NumBeamsOption, OptionalData, SplitOption, StudentArgument
from reasondistill.cli.shared import mapping, print_blocks, quiet_libraries, run_or_out
from reasondistill.cli.status import status_line
from reasondistill.cli.terminal import fact


def efficiency(
    student: StudentArgument,
    data: OptionalData = None,
    out: Annotated[Path | None, typer.Option(help="A new .json file. Default for a run: RUN/efficiency.json.")] = None,
    split: SplitOption = None,
    columns: Columns = None,
    limit: Annotated[int, typer.Option(min=1, help="Use only the first N examples of the split.")] = 100,
    num_beams: NumBeamsOption = None,
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

    from reasondistill.config import with_values
    from reasondistill.contracts.base import DatasetInfo
    from reasondistill.evaluation.budget import BUDGET
    from reasondistill.evaluation.efficiency import EfficiencySettings, measure
    from reasondistill.reporting.sections.efficiency import blocks
    from reasondistill.run_data import rows_for
    from reasondistill.runs import Run
    from reasondistill.storage.files import require_new_file
    from reasondistill.students.student import Student

    run = run_or_out(student, out, "a file to write to")
    place = require_new_file(out or Run(student).costs)
    quiet_libraries()
    loaded_student = Student.load(student)
    if num_beams is not None:
        generation = with_values(loaded_student.generation, {"num_beams": num_beams}, where="--num-beams")
        loaded_student = replace(loaded_student, generation=generation)
    rows = rows_for(student, loaded_student.task, data, split=split, columns=mapping(columns)).first(limit)
    sizes = {"batch_sizes": tuple(batch_sizes)} if batch_sizes else {}
    with status_line() as tell:
        costs = measure(
            student,
            rows.loaded.examples,
            EfficiencySettings(examples=limit, repeats=repeats, **sizes),
            loaded=loaded_student,
            dataset=DatasetInfo.model_validate({**rows.facts, "n": len(rows.loaded)}),
            budget=(BUDGET if budget is None else budget) or None,
            progress=tell,
        )
    print_blocks(blocks(costs))
    costs.save(place)
    fact("efficiency", place)
    if run is not None and out is None:
        say_next("report", run.folder)
