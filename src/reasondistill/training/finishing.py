"""The end of a training: the student is saved, calibrated where it can be, and described."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from reasondistill.config import TrainConfig
from reasondistill.data import Loaded
from reasondistill.runs import Run
from reasondistill.students.calibration import Calibration, CalibrationData, checkpoint_fingerprint
from reasondistill.students.checkpoint import Checkpoint, parameter_count
from reasondistill.students.fit_calibration import LEAST_ROWS, TooFewRowsError, calibrate, without_labels
from reasondistill.students.model_card import model_card
from reasondistill.training.adapters import AdaptedCheckpoint, trained_count
from reasondistill.training.checkpoints import room_for, step_of

_LOG = logging.getLogger(__name__)


def finish(
    config: TrainConfig, student: Checkpoint, trainer: Any, run: Run, elapsed: float, validation: Loaded | None
) -> None:
    trained = trained_count(student.model)
    if isinstance(student, AdaptedCheckpoint):
        student = student.merged()
    best = {}
    if trainer.state.best_model_checkpoint is not None:
        step = step_of(trainer.state.best_model_checkpoint)
        best = {
            "best": {"step": step, "metric": trainer.args.metric_for_best_model, "value": trainer.state.best_metric}
        }
    run.write(
        timings={"training": round(elapsed, 1)},
        student={"parameters": parameter_count(student.model), "trained": trained},
        steps=trainer.state.global_step,
        **best,
    )
    keep_student(config, student, run, trained, validation)


def keep_student(config: TrainConfig, student: Checkpoint, run: Run, trained: int, validation: Loaded | None) -> None:
    """Save the student of a run with its calibration and its card, and mark the run as finished.

    Args:
        trained: how many of its parameters learned.
        validation: what it is calibrated on, where it can be.

    Raises:
        OutputError: there is no room for it.
    """
    from reasondistill.storage.files import atomic_folder

    if not run.student.exists():  # or the run was killed right after this
        with room_for("the student", run.student), atomic_folder(run.student) as folder:
            student.save(folder)
            calibration = _calibrate(config, student, folder, validation)
            size = sum(path.stat().st_size for path in folder.iterdir())
            run.write(student={"parameters": parameter_count(student.model), "trained": trained, "bytes": size})
            (folder / "README.md").write_text(model_card(run.info(), student.settings, calibration), encoding="utf-8")
    run.write(status="finished")


def _calibrate(config: TrainConfig, student: Checkpoint, folder: Path, validation: Loaded | None) -> Calibration | None:
    """Fit the finished student's calibration on the validation part and write it into ``folder``, where it can be."""
    if validation is None or config.data.validation is None or without_labels(config.task, config.order) is not None:
        return None
    from reasondistill.students.engines.pytorch import TorchEngine

    split = config.data.validation.split
    try:
        calibration = calibrate(
            TorchEngine(student.model, student.codec),
            config.task,
            config.order,
            validation.examples,
            config.generation,
            student=checkpoint_fingerprint(folder),
            data=CalibrationData(
                name=validation.name,
                split=" + ".join(split) if isinstance(split, list) else split,
                fingerprint=validation.fingerprint,
            ),
        )
    except TooFewRowsError as error:  # the student is there, and a run does not fail for it
        _LOG.warning(
            "Not calibrated: at least %d rows with a label are needed, and the validation part has %s. "
            "`reasondistill calibrate` does it on other validation data.",
            LEAST_ROWS,
            error.found,
        )
        return None
    calibration.save(folder)
    if calibration.remark is not None:
        _LOG.warning("Calibration: %s", calibration.remark)
    return calibration
