"""`reasondistill export`: a student as a package that runs without PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reasondistill.cli.next_steps import say_explain
from reasondistill.cli.options import Columns, SplitOption
from reasondistill.cli.shared import mapping, quiet_libraries, run_or_out
from reasondistill.cli.terminal import fact, say, stage
from reasondistill.students.package.manifest import Quantization

QuantizationOption = Annotated[
    Quantization,
    typer.Option(help="Data type of the weights. Types that this machine cannot compute in are refused."),
]
SampleOption = Annotated[
    str | None,
    typer.Option(
        metavar="DATA",
        help="Rows to compare package and student on. Default: the run's validation rows; for another student "
        "of the task nli, built-in scenes.",
    ),
]
LabelAgreementOption = Annotated[float | None, typer.Option(min=0.0, max=1.0, help="Minimum share of equal labels.")]
ProbabilityOption = Annotated[
    float | None, typer.Option(min=0.0, max=1.0, help="Maximum difference of any label's probability.")
]
Probability95Option = Annotated[
    float | None,
    typer.Option("--probability-difference-p95", min=0.0, max=1.0, help="Maximum 95th percentile of that difference."),
]
GreedyOption = Annotated[
    float | None,
    typer.Option(min=0.0, max=1.0, help="Minimum share of equal explanations, with one beam and equal labels."),
]
RougeOption = Annotated[
    float | None,
    typer.Option(
        "--explanation-rougeL",
        min=0.0,
        max=1.0,
        help="Minimum mean ROUGE-L between explanations, under the student's generation settings.",
    ),
]


def export(
    student: Annotated[Path, typer.Argument(metavar="STUDENT", help="A run, a student's folder, or builtin:scenes.")],
    out: Annotated[
        Path | None, typer.Option(help="A new folder for the package. Default for a run: RUN/package.")
    ] = None,
    quantization: QuantizationOption = "int8",
    sample: SampleOption = None,
    split: SplitOption = None,
    columns: Columns = None,
    limit: Annotated[int, typer.Option(min=1, help="Use only the first N rows of --sample.")] = 200,
    label_agreement: LabelAgreementOption = None,
    probability_difference: ProbabilityOption = None,
    probability_difference_p95: Probability95Option = None,
    greedy_identity: GreedyOption = None,
    explanation_rouge_l: RougeOption = None,
) -> None:
    """Export a student as a CTranslate2 package, which needs no PyTorch, and compare the two.

    A package that differs by more than the limits is not kept. docs/packages.md has their defaults.
    """
    from reasondistill.config import with_values
    from reasondistill.errors import DataError
    from reasondistill.exporting import export as run_export
    from reasondistill.exporting import limits_for, load_sample
    from reasondistill.runs import Run
    from reasondistill.storage.files import require_new_folder
    from reasondistill.students.package.manifest import describe
    from reasondistill.students.student_task import StudentTask

    run = run_or_out(student, out, "a folder for the package")
    if sample is None and run is None and (split is not None or columns):
        raise DataError("--sample", expected="data to take the part or the columns of", found="none")
    place = require_new_folder(out or Run(student).package)
    quiet_libraries()
    options = {
        "label_agreement": label_agreement,
        "probability_difference": probability_difference,
        "probability_difference_p95": probability_difference_p95,
        "greedy_identity": greedy_identity,
        "explanation_rougeL": explanation_rouge_l,
    }
    given = {name: value for name, value in options.items() if value is not None}
    limits = with_values(limits_for(quantization), given, where="the limits of `export`")
    rows = load_sample(student, sample, split=split, columns=mapping(columns), limit=limit)
    exported = run_export(
        student,
        place,
        quantization=quantization,
        sample=rows,
        limits=limits,
        progress=stage,
    )
    bounds = limits.model_dump()
    for name, value in describe(exported.manifest.parity).items():
        say(f"{name:24} {value:.4g}" + (f"  (limit {bounds[name]:g})" if bounds.get(name) is not None else ""))
    fact("package", f"{exported.folder} ({exported.bytes / 1e6:,.1f} MB)")
    say_explain(exported.folder, StudentTask.load(exported.folder).task, rows.examples)
