"""`reasondistill seal`: take the hashes of a student's or a judge's files anew, after a change that was meant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reasondistill.cli.next_steps import say_next
from reasondistill.cli.terminal import fact, say


def seal(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A run, a student's folder, or a judge's.")],
) -> None:
    """Reseal a student or judge after intended changes to its files, and list the changes.

    Loading refuses a folder whose files are not those that its seal was made of.
    """
    from reasondistill.contracts.seals import SEAL_FILE, Seal
    from reasondistill.errors import CheckpointError, OutputError
    from reasondistill.run_data import run_at
    from reasondistill.runs import find_student
    from reasondistill.storage.hub import is_hub_id
    from reasondistill.students.calibration import CALIBRATION_FILE, Calibration, checkpoint_fingerprint
    from reasondistill.students.package import is_package
    from reasondistill.students.student_task import TASK_FILE, StudentTask

    if str(folder).startswith("builtin:"):
        raise OutputError(folder, expected="a folder of yours", found="one of the package", fix="Copy it.")
    folder = folder if is_hub_id(folder) else find_student(folder)
    if is_package(folder):
        raise OutputError(folder, expected="a student", found="a package", fix="Export the student again.")
    is_student = (folder / TASK_FILE).is_file()
    if not is_student and not (folder / "judge.json").is_file():
        raise CheckpointError(
            folder,
            expected=f"the folder of a student, with {TASK_FILE}, or of a judge, with judge.json",
            found="neither" if folder.is_dir() else "no folder",
            fix="Name a run, the folder `student` inside it, or a judge's folder.",
        )
    calibration = None
    if is_student:  # what no student can have is not sealed
        StudentTask.load(folder)
        calibration = Calibration.load(folder)
    try:
        before = Seal.load(folder)
        changes = ["it had no seal"] if before is None else before.changes(folder)
    except CheckpointError as error:
        changes = [f"its seal could not be read ({error.found})"]
    for change in changes:
        fact("changed", change)
    if not changes:
        say("nothing has changed since it was sealed")
        return
    after = Seal.of(folder)
    after.save(folder)
    fact("sealed", f"{folder / SEAL_FILE} ({len(after.files)} files)")
    if calibration is not None and calibration.student != checkpoint_fingerprint(folder):
        say(f"{CALIBRATION_FILE} was fitted to the student before this change and is now refused. Fit it again.")
        if (run := run_at(folder)) is not None:
            say_next("calibrate", run.folder, "--force")
