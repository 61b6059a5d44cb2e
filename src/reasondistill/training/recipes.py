"""Training settings that are known to work, by a student's short name.

What is known of each recipe is in docs/students.md ("Recipes").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from reasondistill.errors import ConfigError
from reasondistill.languages.word_splitting import unspaced_share

DEFAULT_STUDENT: Final = "flan-t5-small"
_FEW = 0.2
"""Share of characters of scripts without spaces up to which words are told by their spaces."""


@dataclass(frozen=True)
class Recipe:
    """How a student is trained, whatever the data.

    Attributes:
        student: the configuration's ``student``.
        examples: how many examples to learn from in all, with repetitions: small sets are seen more often.
        batch: examples of an optimizer step.
        more: other keys of the configuration.
    """

    summary: str
    student: Mapping[str, Any]
    learning_rate: float
    examples: int
    batch: int
    more: Mapping[str, Any] = field(default_factory=dict)

    def suited_to(self, texts: Iterable[str]) -> Recipe:
        """The same; a student that gets a tokenizer of its own has a Unigram one for texts without spaces."""
        if self.student["kind"] != "scratch" or unspaced_share(" ".join(texts)) <= _FEW:
            return self
        summary = f"{self.summary}; a Unigram tokenizer, as the texts have no spaces between words"
        return replace(self, summary=summary, student={**self.student, "tokenizer": "unigram"})

    def with_checkpoint(self, checkpoint: str) -> Recipe:
        """The same settings for another checkpoint."""
        return Recipe(
            checkpoint, {"kind": "hub", "checkpoint": checkpoint}, self.learning_rate, self.examples, self.batch
        )


def _flan(size: str, parameters: str, learning_rate: float) -> Recipe:
    return Recipe(
        f"FLAN-T5-{size}, {parameters} parameters, from the Hugging Face hub",
        {"kind": "hub", "checkpoint": f"google/flan-t5-{size}"},
        learning_rate,
        examples=40_000,
        batch=32,
    )


RECIPES: Final[Mapping[str, Recipe]] = {
    "flan-t5-small": _flan("small", "80 million", 3e-4),
    "flan-t5-base": _flan("base", "250 million", 1e-4),
    "flan-t5-large": _flan("large", "780 million", 5e-5),
    "minilm": Recipe(
        "a student out of MiniLM, some 16 million parameters; needs no download (extra `offline`)",
        {
            "kind": "warm_start",
            "denoising": {
                "max_steps": 400,
                "per_device_train_batch_size": 64,
                "learning_rate": 6e-4,
                "warmup_steps": 40,
            },
        },
        learning_rate=6e-4,
        examples=30_000,
        batch=16,
        more={"encoder_learning_rate": 1.2e-4},
    ),
    "scratch": Recipe(
        "a small T5 with random weights, about a million parameters; needs no download, and knows no language before",
        {"kind": "scratch", "d_model": 128, "d_ff": 256, "num_layers": 2, "num_decoder_layers": 2, "vocab_size": 4000},
        learning_rate=2e-3,
        examples=75_000,
        batch=64,
        more={"generation": {"num_beams": 1, "repetition_penalty": 1.0, "length_penalty": 1.0}},
    ),
}
"""Short name → recipe."""


def recipe_for(student: str) -> Recipe:
    """The recipe of a short name; of a path or hub id that of FLAN-T5 of its size, as far as its name tells.

    Raises:
        ConfigError: it is none of these.
    """
    if student in RECIPES:
        return RECIPES[student]
    if (student and Path(student).is_dir()) or re.fullmatch(r"[\w.-]+/[\w.-]+", student):
        size = next((name for name in ("large", "base") if name in student.lower()), "small")
        return RECIPES[f"flan-t5-{size}"].with_checkpoint(student)
    raise ConfigError(
        "student",
        expected=f"one of {', '.join(RECIPES)}, a folder with a checkpoint, or a hub id such as google/flan-t5-small",
        found=repr(student),
        fix="Name one of them.",
    )


def needing_no_download() -> str:
    """Which students need no download, in words."""
    return "scratch (no extra), minilm (with the extra `offline`), or a folder with a checkpoint"
