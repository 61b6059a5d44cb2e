"""Folders of small students made in the tests: packages, and students with a calibration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import tiny
from reasondistill.config import Generation, WarmStartStudent
from reasondistill.data.scenes import generate
from reasondistill.students.calibration import (
    BeforeAfter,
    Calibration,
    CalibrationData,
    Threshold,
    checkpoint_fingerprint,
)
from reasondistill.students.checkpoint import Checkpoint
from reasondistill.students.engines.pytorch import TorchEngine
from reasondistill.students.package.opening import open_engine
from reasondistill.students.package.tokenizer import TokenizerFacts, save_tokenizer
from reasondistill.students.student_task import StudentTask
from reasondistill.students.vocabulary import trim
from reasondistill.students.warm_start import make_warm_start
from reasondistill.tasks.task import NLI

LABELS = ("entailment", "neutral", "contradiction")
EXAMPLES = generate(9, seed=2)
PROMPTS = [NLI.render_prompts("label_first", e)["label"] for e in EXAMPLES]
GREEDY = Generation(num_beams=1, repetition_penalty=1.0, max_new_tokens=12)


def student(family: str) -> Checkpoint:
    made = tiny.student(family)
    made.model.eval()
    return made


def native(checkpoint: Checkpoint) -> TorchEngine:
    return TorchEngine(checkpoint.model, checkpoint.codec)


def warm_start(folder: Path) -> Checkpoint:
    """A BART-shaped student out of a random BERT: [CLS] and [SEP] as its ends, BERT's epsilon, scaled embeddings."""
    encoder = tiny.tiny_bert(folder / "bert")
    config = WarmStartStudent(kind="warm_start", encoder=str(encoder), num_decoder_layers=2, dropout=0.0)
    model, tokenizer = trim(*make_warm_start(config), tiny.scenes_texts())
    asked = StudentTask(
        task=NLI,
        order="label_first",
        max_source_length=64,
        max_target_length=48,
        generation=Generation(num_beams=1, repetition_penalty=1.0, max_new_tokens=8),
    )
    return Checkpoint(model, tokenizer, asked)


def with_model(student: Checkpoint, model: Any) -> Checkpoint:
    return replace(student, model=model)


def package(student: Checkpoint, folder: Path, quantization: Any = "float32") -> Path:
    """The files that CTranslate2 reads, and the tokenizer: a package without its manifest."""
    from reasondistill.exporting.converting import convert

    folder.mkdir()
    convert(student, folder, quantization)
    save_tokenizer(student.tokenizer, folder)
    return folder


def facts_of(student: Checkpoint) -> TokenizerFacts:
    return TokenizerFacts.of(student.tokenizer, eos_token_id=student.codec.eos_token_id)


def engine(student: Checkpoint, folder: Path, quantization: Any = "float32") -> Any:
    made = package(student, folder, quantization)
    return open_engine(made, student.codec.decoder_start_token_id, facts_of(student), student.settings)


def calibration(student: str) -> Calibration:
    return Calibration(
        student=student,
        temperature=1.5,
        at_bound=None,
        data=CalibrationData(name="scenes", split="validation", fingerprint="0"),
        n=60,
        labelled=60,
        accuracy=0.5,
        nll=BeforeAfter(before=1.0, after=0.9),
        ece=BeforeAfter(before=0.2, after=0.1),
        certainty=0.95,
        thresholds=[Threshold(precision=0.9, threshold=0.5, n=30, coverage=0.5, observed=0.95, lower_bound=0.9)],
    )


def calibrated(folder: Path) -> Path:
    """A student with random weights and a calibration of its own."""
    tiny.student("t5").save(folder)
    calibration(checkpoint_fingerprint(folder)).save(folder)
    return folder
