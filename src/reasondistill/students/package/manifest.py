"""``package.json``: an exported student's origin, files and parity with the original."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field

from reasondistill.config import Generation
from reasondistill.contracts.records import read_model
from reasondistill.contracts.seals import FileSeal
from reasondistill.errors import CheckpointError
from reasondistill.storage.files import broken_seal, fingerprint, write_json
from reasondistill.students.calibration import CALIBRATION_FILE, Part, Share
from reasondistill.students.engines.architecture import Architecture
from reasondistill.students.package.tokenizer import TOKENIZER_FILE, TokenId, TokenizerFacts
from reasondistill.students.positions import Positions
from reasondistill.students.student_task import TASK_FILE

PACKAGE_FILE = "package.json"
SCHEMA_VERSION = 2
"""Version 1 had neither ``architecture`` nor ``parity.probability_difference_p95``; it can still be read."""
WEIGHTS_FILE = "model.bin"
ENGINE_CONFIG_FILE = "config.json"
VOCABULARY_FILE = "shared_vocabulary.json"

Quantization = Literal["float32", "int8", "int8_float32", "bfloat16", "float16"]
"""How CTranslate2 stores weights and computes."""

_NEEDED = frozenset({WEIGHTS_FILE, ENGINE_CONFIG_FILE, VOCABULARY_FILE, TOKENIZER_FILE, TASK_FILE})
_ALLOWED = _NEEDED | {CALIBRATION_FILE}


class Origin(Part):
    """The student that was exported; ``family`` is transformers' model type."""

    fingerprint: str
    family: str
    parameters: Annotated[int, Field(ge=1)]


class ParityLimits(Part):
    """Limits of a package: the least agreement, the largest difference."""

    label_agreement: Share
    probability_difference: Share
    probability_difference_p95: Share = 1.0
    greedy_identity: Share
    explanation_rougeL: Share  # noqa: N815 - the metric's name


class ParityData(Part):
    """The compared rows; ``fingerprint`` is that of the split, as in ``run.json``."""

    name: str
    split: str | None
    fingerprint: str


class Parity(Part):
    """How a package's answers compare with its student's, on the same rows.

    ``label_agreement`` is the share of equal labels, ``probability_difference`` the largest difference of any label's
    probability, and ``probability_difference_p95`` the 95th percentile of the rows' largest ones.
    ``explanation_identity`` is the share of explanations that are equal to the letter, and ``explanation_rougeL`` the
    mean ROUGE-L between the two, as the student writes (``generation``); ``greedy_identity`` is the share of equal
    ones where both are made to argue for the student's label, with one beam. What a student does not do is null.
    """

    n: Annotated[int, Field(ge=1)]
    data: ParityData
    generation: Generation
    label_agreement: Share | None
    probability_difference: Share | None
    probability_difference_p95: Share | None = None
    explanation_identity: Share | None
    explanation_rougeL: Share | None  # noqa: N815
    greedy_identity: Share | None
    limits: ParityLimits

    @property
    def beyond(self) -> list[str]:
        """The limits that are not met, in words."""
        broken = []
        for name in ParityLimits.model_fields:
            value, limit = getattr(self, name), getattr(self.limits, name)
            if value is None:
                continue
            if name.startswith("probability_difference"):
                if value > limit:
                    broken.append(f"{name} {value:.3g} (at most {limit:g})")
            elif value < limit:
                broken.append(f"{name} {value:.3f} (at least {limit:g})")
        return broken


class Manifest(Part):
    """The content of ``package.json``."""

    schema_version: int = SCHEMA_VERSION
    engine: Literal["ctranslate2"] = "ctranslate2"
    quantization: Quantization
    student: Origin
    tokenizer: TokenizerFacts
    decoder_start_token_id: TokenId
    architecture: Architecture | None = None
    positions: Positions = Positions()
    """Of the student; earlier packages do not state them and are taken to have enough."""
    files: dict[str, FileSeal]
    versions: dict[str, str]
    parity: Parity

    @property
    def fingerprint(self) -> str:
        """A content hash of everything that determines the package's raw answers: weights, tokenizer and task."""
        seals = [(name, self.files[name].sha256) for name in sorted(_NEEDED)]
        return fingerprint(seals, self.quantization, self.tokenizer.model_dump(), self.decoder_start_token_id)

    def save(self, folder: str | Path) -> None:
        write_json(Path(folder) / PACKAGE_FILE, self.model_dump(mode="json"))

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read ``package.json`` and verify the package's files against it.

        Raises:
            CheckpointError: it is torn, unknown or of another schema version, or a file is missing or changed.
        """
        path = Path(folder) / PACKAGE_FILE
        mend = "Export the student again, or copy the whole folder again."
        versions = (1, SCHEMA_VERSION)
        manifest = read_model(cls, path, versions, expected="a package of an exported student", fix=mend)
        listed = set(manifest.files)
        if not _NEEDED <= listed <= _ALLOWED:
            raise CheckpointError(
                path,
                expected=f"the files {sorted(_NEEDED)}, and perhaps {CALIBRATION_FILE}",
                found=str(sorted(listed)),
                fix=mend,
            )
        for name, seal in manifest.files.items():
            if (problem := broken_seal(Path(folder) / name, seal.model_dump())) is not None:
                raise CheckpointError(folder, expected="a package as it was written", found=problem, fix=mend)
        # A calibration that was added later may belong to any student.
        if CALIBRATION_FILE not in listed and (Path(folder) / CALIBRATION_FILE).exists():
            raise CheckpointError(
                Path(folder) / CALIBRATION_FILE,
                expected="only files that were exported",
                found="a calibration that was added",
                fix="Calibrate the student and export it again.",
            )
        return manifest


def is_package(folder: str | Path) -> bool:
    """Whether a folder is, or is meant to be, an exported student, even if its ``package.json`` is lost."""
    names = {PACKAGE_FILE}, {WEIGHTS_FILE, VOCABULARY_FILE}
    return any(all((Path(folder) / name).is_file() for name in each) for each in names)


def describe(parity: Parity) -> dict[str, object]:
    """The figures of a parity check that exist, by name."""
    names = (
        "label_agreement",
        "probability_difference",
        "probability_difference_p95",
        "greedy_identity",
        "explanation_identity",
    )
    values = {name: getattr(parity, name) for name in (*names, "explanation_rougeL")}
    return {name: value for name, value in values.items() if value is not None}
