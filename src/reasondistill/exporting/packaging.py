"""Exporting a student as a package: convert it, add task and calibration, compare the two, seal the files."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from reasondistill.contracts.seals import FileSeal
from reasondistill.contracts.update import UPDATE_FILE, refusal_of
from reasondistill.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    NoSuchSplitError,
    ParityError,
    importing,
)
from reasondistill.exporting.package_card import package_card
from reasondistill.exporting.parity import Sample, compare, limits_for
from reasondistill.run_data import rows_for, run_at
from reasondistill.runs import find_student, versions
from reasondistill.storage.files import atomic_folder, require_new_folder, seal_of
from reasondistill.students.calibration import CALIBRATION_FILE
from reasondistill.students.package.manifest import (
    Manifest,
    Origin,
    Parity,
    ParityData,
    ParityLimits,
    Quantization,
    is_package,
)
from reasondistill.students.package.opening import device, open_engine
from reasondistill.students.package.tokenizer import TokenizerFacts, save_tokenizer
from reasondistill.students.student import Student
from reasondistill.students.student_task import StudentTask
from reasondistill.tasks.task import NLI

if TYPE_CHECKING:
    from reasondistill.data.readers.own_tables import ColumnMapping
    from reasondistill.students.checkpoint import Checkpoint

_LOG = logging.getLogger(__name__)

SAMPLE_ROWS = 200
"""Default number of rows for the parity check."""


@dataclass(frozen=True)
class Exported:
    """A package that was written."""

    folder: Path
    manifest: Manifest

    @property
    def bytes(self) -> int:
        """Size of the package's files."""
        return sum(seal.bytes for seal in self.manifest.files.values())


def export(
    student: str | Path,
    out: str | Path,
    *,
    quantization: Quantization = "int8",
    sample: Sample | None = None,
    limits: ParityLimits | None = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> Exported:
    """Export a student as a package.

    Args:
        student: a student's folder, or the run that made it.
        out: a new folder.
        quantization: how weights are stored; refused if this machine cannot compute in it.
        sample: rows on which the package is compared with the student; by default those of `load_sample`.
        limits: how much it may differ; by default `limits_for` its quantization.
        progress: called with the next step.

    Raises:
        CheckpointError: ``student`` is not a student, or its family cannot be exported.
        ConfigError: the machine does not compute in ``quantization``, or a sample is needed.
        OutputError: ``out`` exists already.
        ParityError: the package differs by more than the limits; nothing is written.
        MissingExtraError: PyTorch, transformers or CTranslate2 is not installed.
    """
    require_new_folder(out)
    folder = _student_folder(student)
    with importing(f"exporting the student {folder}", "train,serve"):
        import ctranslate2  # noqa: F401  # before the student, which may be large, is loaded

        from reasondistill.students.checkpoint import load_checkpoint
    _require_supported(quantization)
    if (reasons := refusal_of(folder)) is not None:
        _LOG.warning("%s was not published: %s", student, reasons)
    checkpoint, native = _without_samples(load_checkpoint(folder), Student.load(folder))
    sample = sample or load_sample(student)
    with atomic_folder(out) as part:
        progress(f"converting to {quantization}")
        packaged, facts = _convert(checkpoint, native, part, quantization)
        progress(f"comparing with the student on {len(sample.examples):,} rows of {sample.data.name}")
        parity = compare(native, packaged, sample, limits or limits_for(quantization))
        if parity.beyond:
            raise ParityError(
                out,
                expected="a package that answers as the student does, within the limits",
                found="; ".join(parity.beyond),
                fix=f"Nothing was kept. {_advice(quantization, parity, native)}",
            )
        manifest = _manifest(checkpoint, native, part, quantization, facts, parity)
        manifest.save(part)
        (part / "README.md").write_text(package_card(manifest, checkpoint.settings), encoding="utf-8")
    return Exported(Path(out), manifest)


def _without_samples(checkpoint: Checkpoint, native: Student) -> tuple[Checkpoint, Student]:
    """The same student, confident by its answer's probability: a package draws no answers."""
    if native.calibration is not None and native.calibration.samples:
        _LOG.warning("Its calibration is of drawn answers, and a package draws none: the package is not calibrated.")
        native = replace(native, calibration=None)
    generation = native.generation.model_copy(update={"samples": 0})
    settings = checkpoint.settings.model_copy(update={"generation": generation})
    return replace(checkpoint, settings=settings), replace(native, generation=generation)


def _advice(quantization: Quantization, parity: Parity, native: Student) -> str:
    wider = "wider limits if this is good enough for you"
    if quantization != "float32":
        return f"Choose another quantization, or {wider}."
    if native.generation.num_beams > 1 and parity.greedy_identity in (None, 1.0):
        return (
            "With one beam both write the same; several are searched otherwise in a package (docs/packages.md). "
            f"Choose {wider}, or generation.num_beams: 1 in training."
        )
    return f"Choose {wider}: nothing is more exact than float32."


def _student_folder(student: str | Path) -> Path:
    folder = find_student(student)
    if is_package(folder):
        raise CheckpointError(folder, expected="a student", found="a package", fix="Export the student it came from.")
    return folder


def _convert(
    checkpoint: Checkpoint, native: Student, package: Path, quantization: Quantization
) -> tuple[Student, TokenizerFacts]:
    """Write everything that the package needs to answer, and open it."""
    from reasondistill.exporting.converting import convert

    convert(checkpoint, package, quantization)
    facts = TokenizerFacts.of(checkpoint.tokenizer, eos_token_id=checkpoint.codec.eos_token_id)
    save_tokenizer(checkpoint.tokenizer, package)
    checkpoint.settings.save(package)
    if native.calibration is not None and native.folder is not None:
        shutil.copyfile(native.folder / CALIBRATION_FILE, package / CALIBRATION_FILE)
    if native.folder is not None and (native.folder / UPDATE_FILE).is_file():
        shutil.copyfile(native.folder / UPDATE_FILE, package / UPDATE_FILE)
    codec = checkpoint.codec
    engine = open_engine(package, codec.decoder_start_token_id, facts, checkpoint.settings, positions=codec.positions)
    return replace(native, engine=engine), facts


def _manifest(
    checkpoint: Checkpoint,
    native: Student,
    package: Path,
    quantization: Quantization,
    facts: TokenizerFacts,
    parity: Parity,
) -> Manifest:
    from reasondistill.exporting.sizes import architecture_of
    from reasondistill.students.checkpoint import parameter_count

    return Manifest(
        quantization=quantization,
        student=Origin(
            fingerprint=native.fingerprint,
            family=checkpoint.model.config.model_type,
            parameters=parameter_count(checkpoint.model),
        ),
        tokenizer=facts,
        decoder_start_token_id=checkpoint.codec.decoder_start_token_id,
        architecture=architecture_of(checkpoint.model),
        positions=checkpoint.codec.positions,
        files={path.name: FileSeal.model_validate(seal_of(path)) for path in sorted(package.iterdir())},
        versions=versions(),
        parity=parity,
    )


def _require_supported(quantization: Quantization) -> None:
    import ctranslate2

    supported = ctranslate2.get_supported_compute_types(device())
    if quantization not in supported:
        raise ConfigError(
            "--quantization",
            expected=f"one that this machine computes in ({device()}: {', '.join(sorted(supported))})",
            found=quantization,
            fix="A package has to run here, so that it can be compared with its student.",
        )


def load_sample(
    student: str | Path,
    data: str | None = None,
    *,
    split: str | None = None,
    columns: ColumnMapping | None = None,
    limit: int = SAMPLE_ROWS,
) -> Sample:
    """Rows to compare a package with its student on.

    Args:
        student: as for `export`.
        data: what `load` takes; by default the rows that the student's run held out or, outside a run, built-in
            `scenes` if the student has their task.
        limit: use only the first N rows.

    Raises:
        CheckpointError: ``student`` is not a student.
        ConfigError: the student's task is another one, and no data is named.
        DataError: the data cannot be read, or there is none.
    """
    task = StudentTask.load(find_student(student)).task
    if data is None and run_at(student) is None:
        if (task.fields, task.labels) != (NLI.fields, NLI.labels):
            raise ConfigError(
                "--sample",
                expected=f"rows of the task {task.name!r} to compare the package with the student on",
                found="none",
                fix="Name data: --sample DATA --split test.",
            )
        data = f"scenes:{limit}"
    try:
        rows = rows_for(student, task, data, split=split, columns=columns, validation=True)
    except NoSuchSplitError:
        if data is not None or split is not None:
            raise
        rows = rows_for(student, task)
    rows = rows.first(limit)
    if not rows.loaded.examples:
        raise DataError("--sample", expected="at least one row", found="none")
    return Sample(rows.loaded.examples, ParityData.model_validate(rows.facts))
