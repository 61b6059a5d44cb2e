"""`reasondistill calibrate`: fit a student's temperature and abstain thresholds on validation data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasondistill.cli.next_steps import say_explain, say_next
from reasondistill.cli.options import Columns, OptionalData, SamplesOption, SplitOption
from reasondistill.cli.shared import mapping, quiet_libraries
from reasondistill.cli.terminal import fact, say, visible

if TYPE_CHECKING:
    from reasondistill.contracts.records import Prediction
    from reasondistill.run_data import Rows
    from reasondistill.students.calibration import Calibration
    from reasondistill.students.student import Student
AsValidationOption = Annotated[
    bool,
    typer.Option(
        "--as-validation",
        help="Use this split, or all of DATA, as validation data whatever its name. You vouch that the student "
        "was not trained on these rows and will not be scored on them.",
    ),
]


def calibrate(
    student: Annotated[Path, typer.Argument(metavar="STUDENT", help="A run or a student's folder.")],
    data: OptionalData = None,
    split: SplitOption = None,
    columns: Columns = None,
    precision: Annotated[
        list[float] | None,
        typer.Option(help="Also fit an abstain threshold for this precision (0 to 1); repeatable."),
    ] = None,
    samples: SamplesOption = None,
    as_validation: AsValidationOption = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing calibration.")] = False,
) -> None:
    """Fit a student's temperature and abstain thresholds on validation rows.

    Labels do not change. A run knows its validation data. `train` does this by itself when the validation split has
    enough labelled rows.
    """
    from reasondistill.errors import ConfigError
    from reasondistill.run_data import rows_for
    from reasondistill.students.calibration import CALIBRATION_FILE, CalibrationData
    from reasondistill.students.fit_calibration import calibrate as fit
    from reasondistill.students.fit_calibration import require_validation
    from reasondistill.students.model_card import keep_calibration
    from reasondistill.students.student import Student

    if data is not None or split is not None:
        require_validation(split, confirmed=as_validation)
    if wrong := [p for p in precision or () if not 0 < p < 1]:
        raise ConfigError("--precision", expected="numbers between 0 and 1", found=", ".join(map(str, wrong)))
    folder = _own_folder(student, force=force)
    quiet_libraries()
    loaded_student = Student.load(folder, calibrated=False)
    rows = rows_for(
        student, loaded_student.task, data, split=split, columns=mapping(columns), validation=True, need_label=True
    )
    calibration = fit(
        loaded_student.engine,
        loaded_student.task,
        loaded_student.order,
        rows.loaded.examples,
        loaded_student.generation.model_copy(update={} if samples is None else {"samples": samples}),
        student=loaded_student.fingerprint,
        data=CalibrationData.model_validate(rows.facts),
        precisions=precision or (),
    )
    keep_calibration(folder, calibration)
    _print(calibration)
    fact("calibration", folder / CALIBRATION_FILE)
    _say_next(student, loaded_student, rows)


def _own_folder(student: Path, *, force: bool) -> Path:
    """The folder of a student that can be given a calibration.

    Raises:
        OutputError: it is none of the user's own, a package, or has a calibration already.
    """
    from reasondistill.errors import OutputError
    from reasondistill.students.calibration import CALIBRATION_FILE
    from reasondistill.students.model_card import own_folder

    folder = own_folder(student)
    if (folder / CALIBRATION_FILE).exists() and not force:
        raise OutputError(
            folder / CALIBRATION_FILE,
            expected="a student without a calibration",
            found="one that has one",
            fix="Replace it with --force.",
        )
    return folder


def _say_next(place: Path, student: Student, rows: Rows) -> None:
    """Predict with the new calibration: anew, where the run has predictions already."""
    from reasondistill.contracts.run import RUN_FILE
    from reasondistill.errors import UserError
    from reasondistill.run_data import RunData
    from reasondistill.runs import Run

    if (place / RUN_FILE).is_file():
        with suppress(UserError):  # no rows are held out, or they are not there any more
            there = Run(place).predictions(RunData(Run(place)).held_out().split or "all").exists()
            say_next("predict", place, *(["--force"] if there else []))
            return
    say_explain(place, student.task, rows.loaded.examples)


def confidence_lines(prediction: Prediction, calibration: Calibration | None, precision: float | None) -> Iterator[str]:
    """What `explain` says of a prediction's confidence, and when the student would abstain."""
    confidence = max(prediction.probabilities.values(), default=prediction.probability)
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
