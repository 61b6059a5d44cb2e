"""``<name>.meta.json``: what a file of predictions depends on. A restart and the faithfulness tests compare it."""

from __future__ import annotations

from pathlib import Path

from reasondistill.contracts.base import Block, Versioned


class PredictedData(Block):
    """The rows that were answered; ``fingerprint`` is a content hash of all rows that were read."""

    name: str
    split: str | None = None
    fingerprint: str


class PredictionsRecord(Versioned):
    """Fingerprints and settings of a file of predictions.

    Attributes:
        student: fingerprint of the student's weights, tokenizer and task.
        task: fingerprint of the task and the output order.
        task_definition: the task itself; None in files of earlier versions.
        generation: how explanations were written; `config.Generation` in a file.
        free: whether students also wrote unforced.
        calibration: fingerprint of the calibration; None where probabilities are raw.
        precision: that abstentions were asked for; None where none were.
        prover: what answers were proved by, and what became of conflicts; None where nothing was proved.
        data: which rows were answered; None where the caller does not say.
    """

    what = "a record of predictions"
    again = "reasondistill predict"

    student: str
    task: str
    task_definition: dict[str, object] | None = None
    generation: dict[str, object]
    free: bool = False
    calibration: str | None = None
    precision: float | None = None
    prover: dict[str, object] | None = None
    data: PredictedData | None = None

    @staticmethod
    def path_of(predictions: str | Path) -> Path:
        """Where the record of a predictions file lies."""
        return Path(predictions).with_name(f"{Path(predictions).stem}.meta.json")

    def differences(self, other: PredictionsRecord) -> list[str]:
        """The keys in which two records differ; a task that one does not define is that of its fingerprint."""
        mine, theirs = self.model_dump(), other.model_dump()
        if self.task_definition is None or other.task_definition is None:
            del mine["task_definition"], theirs["task_definition"]
        return sorted(key for key in mine if mine[key] != theirs[key])
