"""`reasondistill calibrate`: fit a student's temperature and abstain thresholds on validation data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasondistill.cli.shared import Columns, DataArgument, SplitOption, mapping, quiet_libraries
from reasondistill.cli.terminal import fact, say, visible

if TYPE_CHECKING:
    from reasondistill.contracts.records import Prediction
    from reasondistill.students.calibration import Calibration


def calibrate(
    student: Annotated[Path, typer.Argument(metavar="STUDENT", help="A run or a student's folder.")],
    data: DataArgument,
    split: SplitOption = None,
    columns: Columns = None,
    precision: Annotated[
        list[float] | None,
        typer.Option(help="Also fit an abstain threshold for this precision (0 to 1); repeatable."),
    ] = None,
    as_validation: Annotated[
        bool,
        typer.Option(
            "--as-validation",
            help="Use this split, or all of DATA, as validation data whatever its name. You vouch that the student "
            "was not trained on these rows and will not be scored on them.",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing calibration.")] = False,
) -> None:
    """Fit a student's temperature and abstain thresholds on validation rows.

    Labels do not change. `train` does this by itself when the validation split has enough labelled rows.
    """
    from reasondistill.data import load
    from reasondistill.errors import ConfigError, OutputError
    from reasondistill.runs import find_student
    from reasondistill.storage.files import atomic_write
    from reasondistill.students.calibration import CALIBRATION_FILE, CalibrationData
    from reasondistill.students.fit_calibration import calibrate as fit
    from reasondistill.students.fit_calibration import require_validation
    from reasondistill.students.model_card import with_calibration
    from reasondistill.students.package import is_package
    from reasondistill.students.student import Student

    require_validation(split, confirmed=as_validation)
    if wrong := [p for p in precision or () if not 0 < p < 1]:
        raise ConfigError("--precision", expected="numbers between 0 and 1", found=", ".join(map(str, wrong)))
    folder = find_student(student)
    if str(student) == "builtin:scenes":
        raise OutputError(student, expected="a student of yours", found="one of the package", fix="Copy its folder.")
    if is_package(folder):
        raise OutputError(
            folder, expected="a student", found="a package", fix="Calibrate the student and export it again."
        )
    if (folder / CALIBRATION_FILE).exists() and not force:
        raise OutputError(
            folder / CALIBRATION_FILE,
            expected="a student without a calibration",
            found="one that has one",
            fix="Replace it with --force.",
        )
    quiet_libraries()
    loaded_student = Student.load(folder, calibrated=False)
    loaded = load(data, split=split, task=loaded_student.task, columns=mapping(columns))
    calibration = fit(
        loaded_student.engine,
        loaded_student.task,
        loaded_student.order,
        loaded.examples,
        loaded_student.generation,
        student=loaded_student.fingerprint,
        data=CalibrationData(name=loaded.name, split=split, fingerprint=loaded.fingerprint),
        precisions=precision or (),
    )
    calibration.save(folder)
    card = folder / "README.md"
    if card.is_file():
        text = with_calibration(card.read_text(encoding="utf-8"), calibration)
        with atomic_write(card) as stream:
            stream.write(text)
    _print(calibration)
    fact("calibration", folder / CALIBRATION_FILE)


def confidence_lines(prediction: Prediction, calibration: Calibration | None, precision: float | None) -> Iterator[str]:
    """What `explain` says of a prediction's confidence, and when the student would abstain."""
    confidence = max(prediction.probabilities.values(), default=None)
    if confidence is None:
        return
    if calibration is None:
        yield f"confidence {confidence:.1%}, not calibrated"
        return
    data = calibration.data
    yield f"confidence {confidence:.1%}, calibrated on {data.name}{f', {data.split}' if data.split else ''}"
    for row in calibration.thresholds:
        if row.threshold is not None and (row.precision == precision or precision is None):
            does = "answers" if confidence >= row.threshold else "abstains"
            yield f"for {row.precision:.0%} right answers it {does} (from {row.threshold:.1%})"


def _print(calibration: Calibration) -> None:
    from rich.table import Table
    from rich.text import Text

    say(
        f"temperature {calibration.temperature:.3f} from {calibration.n:,} of {calibration.labelled:,} rows with a "
        f"label; ECE {calibration.ece.before:.3f} -> {calibration.ece.after:.3f}, "
        f"NLL {calibration.nll.before:.3f} -> {calibration.nll.after:.3f} nats a row"
    )
    if (remark := calibration.remark) is not None:
        say(Text(visible(remark), "yellow"))
    table = Table("target precision", "answer from", "answered", "right", f"at least, {calibration.certainty:.0%} sure")
    for row in calibration.thresholds:
        if row.threshold is None or row.observed is None or row.lower_bound is None:
            table.add_row(f"{row.precision:g}", "out of reach", "", "", "")
        else:
            figures = (row.threshold, row.coverage, row.observed, row.lower_bound)
            table.add_row(f"{row.precision:g}", *(f"{value:.3f}" for value in figures))
    say(table)
