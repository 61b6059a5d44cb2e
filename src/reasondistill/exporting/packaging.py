"""Export a student as a package: convert it, add its task and calibration, compare the two, seal."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from reasondistill.contracts.seals import FileSeal
from reasondistill.data import load
from reasondistill.errors import CheckpointError, ConfigError, DataError, MissingExtraError, ParityError
from reasondistill.exporting.package_card import package_card
from reasondistill.exporting.parity import Sample, compare, limits_for
from reasondistill.runs import find_student, versions
from reasondistill.storage.files import atomic_folder, require_new_folder, seal_of
from reasondistill.students.calibration import CALIBRATION_FILE
from reasondistill.students.package.manifest import Manifest, Origin, ParityData, ParityLimits, Quantization, is_package
from reasondistill.students.package.opening import device, open_engine
from reasondistill.students.package.tokenizer import TokenizerFacts, save_tokenizer
from reasondistill.students.student import Student
from reasondistill.students.student_task import StudentTask
from reasondistill.tasks.task import NLI

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
    """Make a package out of a student.

    Args:
        student: a student's folder, or the run that made it.
        out: a new folder.
        quantization: how weights are stored; what the machine cannot compute in is refused.
        sample: rows on which the package is compared with the student, if not those of `load_sample`.
        limits: what it may differ by, if not `limits_for` its quantization.
        progress: called with what is done next.

    Raises:
        CheckpointError: ``student`` is none, or of a family that cannot be exported.
        ConfigError: the machine does not compute in ``quantization``, or a sample is needed.
        OutputError: ``out`` is there already.
        ParityError: the package differs by more than the limits. Nothing is kept of it.
        MissingExtraError: PyTorch, transformers or CTranslate2 is not installed.
    """
    require_new_folder(out)
    folder = find_student(student)
    if is_package(folder):
        raise CheckpointError(folder, expected="a student", found="a package", fix="Export the student it came from.")
    try:
        from reasondistill.exporting.converting import convert
        from reasondistill.exporting.sizes import architecture_of
        from reasondistill.students.checkpoint import load_checkpoint, parameter_count
    except ImportError as error:
        raise MissingExtraError(f"exporting the student {folder}", "train,serve") from error
    _require_supported(quantization)
    checkpoint = load_checkpoint(folder)
    native = Student.load(folder)
    sample = sample or load_sample(folder)
    codec = checkpoint.codec
    with atomic_folder(out) as part:
        progress(f"converting to {quantization}")
        convert(checkpoint, part, quantization)
        facts = TokenizerFacts.of(checkpoint.tokenizer, eos_token_id=codec.eos_token_id)
        save_tokenizer(checkpoint.tokenizer, part)
        checkpoint.settings.save(part)
        if native.calibration is not None:
            shutil.copyfile(folder / CALIBRATION_FILE, part / CALIBRATION_FILE)
        progress(f"comparing with the student on {len(sample.examples):,} rows of {sample.data.name}")
        engine = open_engine(part, codec.decoder_start_token_id, facts, checkpoint.settings, positions=codec.positions)
        packaged = replace(native, engine=engine)
        parity = compare(native, packaged, sample, limits or limits_for(quantization))
        if parity.beyond:
            raise ParityError(
                out,
                expected="a package that answers as the student does, within the limits",
                found="; ".join(parity.beyond),
                fix="Nothing was kept. Take another quantization, or other limits if this is good enough for you.",
            )
        manifest = Manifest(
            quantization=quantization,
            student=Origin(
                fingerprint=native.fingerprint,
                family=checkpoint.model.config.model_type,
                parameters=parameter_count(checkpoint.model),
            ),
            tokenizer=facts,
            decoder_start_token_id=codec.decoder_start_token_id,
            architecture=architecture_of(checkpoint.model),
            positions=codec.positions,
            files={path.name: FileSeal.model_validate(seal_of(path)) for path in sorted(part.iterdir())},
            versions=versions(),
            parity=parity,
        )
        manifest.save(part)
        (part / "README.md").write_text(package_card(manifest, checkpoint.settings), encoding="utf-8")
    return Exported(Path(out), manifest)


def _require_supported(quantization: Quantization) -> None:
    import ctranslate2

    supported = ctranslate2.get_supported_compute_types(device())
    if quantization not in supported:
        raise ConfigError(
            "--quantization",
            expected=f"one that this machine computes in ({device()}: {', '.join(sorted(supported))})",
            found=quantization,
            fix="A package that cannot be run here could not be compared with its student.",
        )


def load_sample(
    student: str | Path,
    data: str | None = None,
    *,
    split: str | None = None,
    columns: Mapping[str, str | list[str]] | None = None,
    limit: int = SAMPLE_ROWS,
) -> Sample:
    """Rows to compare a package with its student on.

    Args:
        student: as for `export`.
        data: what `datasets.load` takes; without it, built-in `scenes` for a student of their task.
        limit: use only the first N rows.

    Raises:
        CheckpointError: ``student`` is none.
        ConfigError: the student's task is another one, and no data is named.
        DataError: the data cannot be read, or there is none.
    """
    task = StudentTask.load(find_student(student)).task
    if data is None:
        if (task.fields, task.labels) != (NLI.fields, NLI.labels):
            raise ConfigError(
                "--sample",
                expected=f"rows of the task {task.name!r} to compare the package with the student on",
                found="none",
                fix="Name data: --sample DATA --split test.",
            )
        data = f"scenes:{limit}"
    loaded = load(data, split=split, task=task, columns=columns, need_label=False).first(limit)
    if not loaded.examples:
        raise DataError("--sample", expected="at least one row", found="none")
    return Sample(loaded.examples, ParityData(name=loaded.name, split=split, fingerprint=loaded.fingerprint))
