"""Open a package: from its folder to an engine."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reasondistill.errors import CheckpointError, importing, refused
from reasondistill.storage.launched import usable_cores
from reasondistill.students.calibration import Calibration
from reasondistill.students.codec import Codec
from reasondistill.students.engines.architecture import Architecture
from reasondistill.students.engines.ctranslate2 import CTranslate2Engine
from reasondistill.students.package.manifest import VOCABULARY_FILE, Manifest
from reasondistill.students.package.tokenizer import PlainTokenizer
from reasondistill.students.positions import Positions
from reasondistill.students.student_task import StudentTask
from reasondistill.tasks.task import Segment, Target

if TYPE_CHECKING:
    from reasondistill.students.package.tokenizer import TokenizerFacts

_CPU_BATCH = {"max_tokens": 1024, "max_rows": 16}
"""Larger batches are slower on a CPU: a layer's data no longer fit the core's cache (measured, see
docs/experiment_log.md). A GPU uses the engine's own, larger batches."""


@dataclass(frozen=True)
class LoadedPackage:
    """An exported student in memory."""

    engine: CTranslate2Engine
    settings: StudentTask
    manifest: Manifest
    calibration: Calibration | None


def load_package(folder: str | Path) -> LoadedPackage:
    """Load an exported student; PyTorch and transformers are not needed.

    Raises:
        CheckpointError: it is not a package, or was changed.
        MissingExtraError: CTranslate2 or tokenizers is not installed.
    """
    manifest = Manifest.load(folder)
    settings = StudentTask.load(folder)
    engine = open_engine(
        folder,
        manifest.decoder_start_token_id,
        manifest.tokenizer,
        settings,
        architecture=manifest.architecture,
        positions=manifest.positions,
    )
    with refused(folder, "a package that can answer"):
        _require_answering(folder, engine, settings)
    return LoadedPackage(
        engine,
        settings,
        manifest,
        Calibration.load(folder, student=manifest.student.fingerprint),
    )


def open_engine(
    folder: str | Path,
    decoder_start_token_id: int,
    facts: TokenizerFacts,
    settings: StudentTask,
    *,
    architecture: Architecture | None = None,
    positions: Positions = Positions(),  # noqa: B008 - an immutable default
) -> CTranslate2Engine:
    """An engine over the files of a folder, which are not verified.

    On a CPU it has `usable_cores` workers of one thread each: they share the weights, and do not wait for each other as
    the threads of one worker do.

    Args:
        decoder_start_token_id: the decoder's first input.
        facts: the tokenizer's `TokenizerFacts`.
        settings: the student's task and limits.
        architecture: the sizes of its parts, if known.
        positions: its numbers of positions.

    Raises:
        CheckpointError: CTranslate2 cannot read them.
        MissingExtraError: CTranslate2 or tokenizers is not installed.
    """
    with importing(f"running the package {folder}", "serve"):
        import ctranslate2
        import tokenizers  # noqa: F401
    with refused(folder, "a model and a tokenizer that CTranslate2 can run"):
        codec = Codec(
            PlainTokenizer.load(folder, facts),
            decoder_start_token_id=decoder_start_token_id,
            max_source_length=settings.max_source_length,
            max_target_length=settings.max_target_length,
            positions=positions,
            order=settings.order,
        )
        vocabulary = _vocabulary(Path(folder) / VOCABULARY_FILE, codec)
        where = device()
        workers = {"inter_threads": usable_cores(), "intra_threads": 1} if where == "cpu" else {}
        translator = ctranslate2.Translator(str(folder), device=where, **workers)
        batch = _CPU_BATCH if where == "cpu" else {}
        return CTranslate2Engine(translator, codec, vocabulary, architecture=architecture, **batch)


def _vocabulary(path: Path, codec: Codec) -> list[str]:
    """The tokens by id, each once, with every id that the tokenizer and the codec use."""
    value = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(value, list) or not all(isinstance(token, str) for token in value):
        raise CheckpointError(path, expected="a list of tokens", found=type(value).__name__)
    known = codec.tokenizer.backend_tokenizer.get_vocab(with_added_tokens=True).values()
    largest = max([*known, codec.decoder_start_token_id, codec.eos_token_id, codec.pad_token_id])
    if len(set(value)) < len(value) or largest >= len(value):
        found = f"{len(value):,} ({len(set(value)):,} different ones), and a token with the number {largest:,}"
        raise CheckpointError(path, expected="each token of the tokenizer once", found=found)
    return value


def _require_answering(folder: str | Path, engine: CTranslate2Engine, settings: StudentTask) -> None:
    """Let a package read a prompt, score a label and write a token.

    Raises:
        CheckpointError: the prompt has no token, or the scores are not finite.
    """
    prompt, target = settings.task.prompt, Target((Segment((settings.task.labels or ("a",))[0], "label"),))
    if not engine.codec.encode_prompts([prompt])[0]:
        raise CheckpointError(folder, expected="a tokenizer that encodes a prompt", found="no tokens")
    scores = engine.score([prompt], [[target]])[0]
    engine.generate([prompt], [""], settings.generation.model_copy(update={"max_new_tokens": 1}))
    if not all(map(math.isfinite, scores)):
        raise CheckpointError(
            folder,
            expected="a package whose scores are finite numbers",
            found="NaN or infinity",
            fix="Its weights are damaged. Copy the folder again, or export the student again.",
        )


def device() -> str:
    """Where packages run: ``cuda`` if CTranslate2 sees a GPU, else ``cpu``."""
    import ctranslate2

    return "cuda" if ctranslate2.get_cuda_device_count() > 0 else "cpu"
