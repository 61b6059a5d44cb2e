"""``calibration.json`` in a student's folder: the temperature of its probabilities, and when it should abstain.

Both are chosen on validation rows, which a student neither learns from nor is scored on
(`students.fit_calibration`). The label that a student decides on never changes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from reasondistill.config import Generation
from reasondistill.contracts.records import read_model
from reasondistill.contracts.seals import SEAL_FILE, Seal, write_sealed
from reasondistill.errors import CheckpointError, ConfigError
from reasondistill.metrics.temperature import BOUNDS
from reasondistill.storage.files import file_fingerprint, fingerprint

CALIBRATION_FILE = "calibration.json"
SCHEMA_VERSION = 1

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Part(BaseModel):
    """What a student's JSON files are made of: nothing unknown, nothing infinite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CalibrationData(Part):
    """The fitted data; ``fingerprint`` is that of the split, as in ``run.json``."""

    name: str
    split: str | None
    fingerprint: str


class BeforeAfter(Part):
    """A figure on the fitted rows, of the raw and of the calibrated probabilities."""

    before: Annotated[float, Field(ge=0.0)]
    after: Annotated[float, Field(ge=0.0)]


class Threshold(Part):
    """When to answer for a target ``precision``: if the confidence is at least ``threshold``.

    ``threshold`` is None if no confidence was high enough. ``n`` of the fitted rows are answered with it, ``coverage``
    is their share, ``observed`` the share of correct labels among them, and ``lower_bound`` the confidence bound on
    the precision (see `metrics.selective.abstain_threshold`).
    """

    precision: Annotated[float, Field(gt=0.0, lt=1.0)]
    threshold: Share | None
    n: Annotated[int, Field(ge=0)]
    coverage: Share
    observed: Share | None
    lower_bound: Share | None


class Calibration(Part):
    """The content of ``calibration.json``.

    ``student`` is the fingerprint of its student, ``n`` the number of fitted rows out of all ``labelled`` ones,
    ``accuracy`` the share of fitted rows with a correct label. NLL is the mean negative log-likelihood in nats per
    row, ECE the expected calibration error. ``samples`` is the number of drawn answers whose agreement was the
    confidence that was fitted, 0 where it was the probability.
    """

    schema_version: int = SCHEMA_VERSION
    student: str
    temperature: Annotated[float, Field(ge=BOUNDS[0] * 0.999, le=BOUNDS[1] * 1.001)]
    at_bound: Literal["lower", "upper"] | None
    data: CalibrationData
    n: Annotated[int, Field(ge=1)]
    labelled: Annotated[int, Field(ge=1)]
    accuracy: Share
    nll: BeforeAfter
    ece: BeforeAfter
    certainty: Share
    thresholds: list[Threshold]
    samples: Annotated[int, Field(ge=0)] = 0

    @model_serializer(mode="wrap")
    def _samples_where_there_are_some(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        values: dict[str, object] = serialise(self)
        return {key: value for key, value in values.items() if key != "samples" or value}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.n > self.labelled or any(row.n > self.n for row in self.thresholds):
            raise ValueError("n is more rows than there were")
        precisions = [row.precision for row in self.thresholds]
        if len(set(precisions)) < len(precisions):
            raise ValueError(f"thresholds hold a precision twice: {precisions}")
        return self

    @property
    def fingerprint(self) -> str:
        """A content hash, recorded with calibrated predictions."""
        return fingerprint(self.model_dump(mode="json"))

    @property
    def remark(self) -> str | None:
        """What to know if the fit ended at a bound, in words."""
        if self.at_bound == "lower":
            return (
                f"The likelihood has no maximum within the bounds: {self.accuracy:.1%} of the rows are correct. The "
                "temperature stays 1; measuring confidence needs rows that the student gets wrong."
            )
        if self.at_bound == "upper":
            return (
                "The label scores say almost nothing about these rows' labels "
                f"({self.accuracy:.1%} are correct): probabilities become nearly equal."
            )
        if self.accuracy == 0:
            return "No row is answered rightly: measuring confidence needs rows that the student gets right."
        return None

    def save(self, folder: str | Path) -> None:
        """Write ``calibration.json`` into a student's folder and renew its seal: both or neither."""
        write_sealed(Path(folder) / CALIBRATION_FILE, self.model_dump(mode="json"))

    @classmethod
    def load(cls, folder: str | Path, *, student: str | None = None) -> Self | None:
        """The calibration in a student's folder; None if there is none.

        Args:
            folder: the student's.
            student: its expected fingerprint.

        Raises:
            CheckpointError: the file is torn, of another schema version, or belongs to another student.
        """
        path = Path(folder) / CALIBRATION_FILE
        if not path.exists():
            return None
        mend = "Fit it again (reasondistill calibrate … --force), or use --no-calibration."
        calibration = read_model(cls, path, SCHEMA_VERSION, expected="a student's calibration", fix=mend)
        if student is not None and calibration.student != student:
            raise CheckpointError(
                path,
                expected=f"the calibration of the student in this folder ({student})",
                found=f"that of another student ({calibration.student})",
                fix=mend,
            )
        return calibration

    def threshold_for(self, precision: float) -> float:
        """The confidence below which to abstain, for a target precision.

        Raises:
            ConfigError: it has no threshold, or no confidence is high enough for it.
        """
        within = [f"{row.precision:g}" for row in self.thresholds if row.threshold is not None]
        for row in self.thresholds:
            if row.precision == precision:
                if row.threshold is None:
                    raise ConfigError(
                        "precision",
                        expected="a precision that was reached on the validation rows"
                        + (f" ({', '.join(within)})" if within else " (none was)"),
                        found=f"{precision:g}",
                        fix="Choose a lower one, or calibrate on more rows.",
                    )
                return row.threshold
        raise ConfigError(
            "precision",
            expected=f"one of {', '.join(within)}" if within else "none, as the calibration has no thresholds",
            found=f"{precision:g}",
            fix=f"Choose a threshold for it: reasondistill calibrate … --force --precision {precision:g}"
            if 0 < precision < 1
            else "Name one of these; all are between 0 and 1.",
        )


def as_calibrated(calibration: Calibration | None, generation: Generation) -> Generation:
    """How to write, with as many samples for the confidence as the calibration was fitted with.

    Raises:
        ConfigError: ``generation`` asks for another number.
    """
    fitted = generation.samples if calibration is None else calibration.samples
    if generation.samples not in (0, fitted):
        raise ConfigError(
            "samples",
            expected=f"{fitted}, as the calibration was fitted with"
            if fitted
            else "none, as the calibration was fitted without",
            found=str(generation.samples),
            fix=f"Calibrate anew with --samples {generation.samples} --force, or use --no-calibration.",
        )
    return generation if generation.samples == fitted else generation.model_copy(update={"samples": fitted})


def checkpoint_fingerprint(folder: str | Path) -> str:
    """A content hash of a student: its weights, tokenizer and task, wherever the folder lies.

    Its calibration is left out, which refers to its student by this hash. For a sealed student the hash comes from the
    seal, which loading verifies.
    """
    if (seal := Seal.load(folder)) is not None:
        names = sorted(filter(_is_counted, seal.files))
        return fingerprint([(name, seal.files[name].sha256[:16]) for name in names])
    files = sorted(path for path in Path(folder).iterdir() if _is_counted(path.name))
    return fingerprint([(p.name, file_fingerprint(p)) for p in files])


def _is_counted(name: str) -> bool:
    return name.endswith((".json", ".safetensors", ".model", ".spm", ".txt")) and name not in (
        CALIBRATION_FILE,
        SEAL_FILE,
    )
