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
        Quantization, typer.Option(help="How weights are stored; what this machine does not compute in is refused.")
    ] = "int8",
    sample: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Rows to compare package and student on; by default built-in scenes, for students of the task nli.",
        ),
    ] = None,
    split: SplitOption = None,
    columns: Columns = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many of those rows, the first ones.")] = 200,
    label_agreement: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="The least share of equal labels.")
    ] = None,
    probability_difference: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="The largest difference of any label's probability.")
    ] = None,
    probability_difference_p95: Annotated[
        float | None,
        typer.Option(
            "--probability-difference-p95", min=0.0, max=1.0, help="The same in all but a twentieth of the rows."
        ),
    ] = None,
    greedy_identity: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="The least share of equal explanations, with one beam and the same label."),
    ] = None,
    explanation_rouge_l: Annotated[
        float | None,
        typer.Option(
            "--explanation-rougeL",
            min=0.0,
            max=1.0,
            help="The least mean ROUGE-L between explanations, as the student writes them.",
        ),
    ] = None,
) -> None:
    """Make a CTranslate2 package, which runs without PyTorch, and compare it with the student.

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
    given = {
        "label_agreement": label_agreement,
        "probability_difference": probability_difference,
        "probability_difference_p95": probability_difference_p95,
        "greedy_identity": greedy_identity,
        "explanation_rougeL": explanation_rouge_l,
    }
    limits = limits_for(quantization).model_copy(update={k: v for k, v in given.items() if v is not None})
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
