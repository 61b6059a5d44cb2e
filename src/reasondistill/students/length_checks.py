"""How many tokens a student can read and write: as many as its position tables have rows.

T5's families have relative positions and no table; BART and a warm start from BERT have a table for each side.
"""

from __future__ import annotations

from reasondistill.config import HubStudent, TrainConfig, WarmStartStudent
from reasondistill.errors import CheckpointError, ConfigError
from reasondistill.students.checkpoint import positions_of, seq2seq_config
from reasondistill.students.positions import Positions
from reasondistill.students.warm_start import encoder_path


def check_lengths(config: TrainConfig) -> None:
    """Check a training's lengths against the positions of its future student; no weights are read.

    Raises:
        ConfigError: some are too long; the message says what fits.
        CheckpointError: the checkpoint or encoder is not available, or is of the wrong kind.
        MissingExtraError: an extra that it needs is not installed.
    """
    student = config.student
    if isinstance(student, HubStudent):
        positions = _of_checkpoint(student)
    elif isinstance(student, WarmStartStudent):
        positions = _of_encoder(student)
    else:
        return
    problems = positions.problems(
        max_source_length=config.max_source_length,
        max_target_length=config.max_target_length,
        generation=config.generation,
    )
    if problems:
        raise ConfigError.gather("lengths", problems)


def _of_checkpoint(student: HubStudent) -> Positions:
    import torch
    from transformers import AutoModelForSeq2SeqLM

    config = seq2seq_config(student.checkpoint, revision=student.revision)
    with torch.device("meta"):  # its layout without its weights
        return positions_of(AutoModelForSeq2SeqLM.from_config(config))


def _of_encoder(student: WarmStartStudent) -> Positions:
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(encoder_path(student.encoder), trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            student.encoder, expected="a BERT-like encoder", found=str(error).strip().split("\n")[0]
        ) from error
    rows = getattr(config, "max_position_embeddings", None)
    return Positions(rows, rows)
