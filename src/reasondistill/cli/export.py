"""`reasondistill export`: a student as a package that runs without PyTorch."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from reasondistill.cli.shared import Columns, SplitOption, mapping, quiet_libraries
from reasondistill.cli.terminal import fact, say, stage
from reasondistill.students.package.manifest import Quantization


def export(
    student: Annotated[Path, typer.Argument(metavar="STUDENT", help="A run, a student's folder, or builtin:scenes.")],
    out: Annotated[Path, typer.Option(help="A new folder for the package.")],
    quantization: Annotated[
        Quantization,
        typer.Option(help="Data type of the weights. Types that this machine cannot compute in are refused."),
    ] = "int8",
    sample: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Rows to compare package and student on. Default for the task nli: built-in scenes.",
        ),
    ] = None,
    split: SplitOption = None,
    columns: Columns = None,
    limit: Annotated[int, typer.Option(min=1, help="Use only the first N rows of --sample.")] = 200,
    label_agreement: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Minimum share of equal labels.")
    ] = None,
    probability_difference: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Maximum difference of any label's probability.")
    ] = None,
    probability_difference_p95: Annotated[
        float | None,
        typer.Option(
            "--probability-difference-p95", min=0.0, max=1.0, help="Maximum 95th percentile of that difference."
        ),
    ] = None,
    greedy_identity: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Minimum share of equal explanations, with one beam and equal labels."),
    ] = None,
    explanation_rouge_l: Annotated[
        float | None,
        typer.Option(
            "--explanation-rougeL",
            min=0.0,
            max=1.0,
            help="Minimum mean ROUGE-L between explanations, under the student's generation settings.",
        ),
    ] = None,
) -> None:
    """Export a student as a CTranslate2 package, which needs no PyTorch, and compare the two.

    A package that differs by more than the limits is not kept. docs/packages.md has their defaults.
    """
    from reasondistill.errors import DataError
    from reasondistill.exporting import export as run_export
    from reasondistill.exporting import limits_for, load_sample
    from reasondistill.storage.files import require_new_folder
    from reasondistill.students.package.manifest import describe

    if sample is None and (split is not None or columns):
        raise DataError("--sample", expected="data to take the part or the columns of", found="none")
    require_new_folder(out)
    quiet_libraries()
    options = {
        "label_agreement": label_agreement,
        "probability_difference": probability_difference,
        "probability_difference_p95": probability_difference_p95,
        "greedy_identity": greedy_identity,
        "explanation_rougeL": explanation_rouge_l,
    }
    limits = limits_for(quantization).model_copy(update={k: v for k, v in options.items() if v is not None})
    exported = run_export(
        student,
        out,
        quantization=quantization,
        sample=load_sample(student, sample, split=split, columns=mapping(columns), limit=limit),
        limits=limits,
        progress=stage,
    )
    for name, value in describe(exported.manifest.parity).items():
        bound = limits.model_dump().get(name)
        say(f"{name:24} {value:.4g}" + (f"  (limit {bound:g})" if bound is not None else ""))
    fact("package", f"{exported.folder} ({exported.bytes / 1e6:,.1f} MB)")
    fact("next", f"reasondistill explain {quote(str(exported.folder))} FIELD=TEXT…")
