"""The trainers that `training_speed.py` compares: this library's own, and three usual recipes on the same model.

The recipes are written here from their descriptions, for this benchmark. All of them begin with the same weights and
see the same examples with the same optimizer settings, in float32 but for `bfloat16`, tokenised beforehand:

    ours             `DistillationTrainer` as `train` sets it up, with the vocabulary of the task
    bfloat16         the same in mixed precision, as `train` computes where the processor has instructions for it
    whole            as `ours`, with the checkpoint's whole vocabulary, as the recipes have it
    step_by_step     Distilling Step-by-Step (Hsieh et al. 2023): each example is read twice, once behind `predict:`,
                     once behind `explain:`; two passes with a loss each, padded to the longest of a batch
    fixed            one text `label explanation: …`, every prompt padded to 512 tokens and every target to 256
    plain            the same text with transformers' Seq2SeqTrainer and DataCollatorForSeq2Seq as they come
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from transformers import DataCollatorForSeq2Seq, Seq2SeqTrainer, Seq2SeqTrainingArguments, default_data_collator

from reasondistill.config import HubStudent, TrainConfig
from reasondistill.contracts.records import Example
from reasondistill.students.build import create_student
from reasondistill.students.checkpoint import load_seq2seq
from reasondistill.students.codec import Codec
from reasondistill.training.features import build_features
from reasondistill.tasks.task import NLI, OutputOrder, Task
from reasondistill.training.arguments import training_arguments
from reasondistill.training.trainer import DistillationTrainer

CONTENDERS = ("ours", "bfloat16", "whole", "step_by_step", "fixed", "plain")
OURS = ("ours", "bfloat16", "whole")
FIXED_SOURCE, FIXED_TARGET = 512, 256
_IGNORED = -100
"""The label that transformers' cross-entropy leaves out."""

_FIELDS = "premise: {premise} hypothesis: {hypothesis}"
STEP_BY_STEP: Task = NLI.model_copy(
    update={"label_prompt": f"predict: {_FIELDS}", "explanation_prompt": f"explain: {_FIELDS}"}
)


@dataclass(frozen=True)
class Plan:
    """What all contenders have in common.

    ``batch`` counts examples, one of them a label with one explanation, of an optimizer step; ``explanations`` is how
    many of an example's explanations are used, each making an example of its own for the recipes.
    """

    student: str
    batch: int
    explanations: int
    max_source_length: int
    max_target_length: int
    training: Mapping[str, Any]
    """Keys of transformers.Seq2SeqTrainingArguments."""
    loss: Mapping[str, float] = field(default_factory=dict)
    """Of ours: alpha and beta; 0.5 each by default."""


class Seen(NamedTuple):
    """What a model was given: examples, and tokens that are no padding."""

    examples: int = 0
    tokens: int = 0

    def plus(self, other: Seen) -> Seen:
        return Seen(*(a + b for a, b in zip(self, other, strict=True)))


@dataclass(frozen=True)
class Contender:
    """A trainer, what it is asked in the end, and how much one of its batches holds."""

    trainer: Any
    codec: Codec
    task: Task
    order: OutputOrder
    seen: Callable[[dict[str, Any]], Seen]


def build(name: str, plan: Plan, examples: Sequence[Example], folder: Path) -> Contender:
    """Make one of the `CONTENDERS`; nothing is trained yet."""
    if name in OURS:
        return _ours(plan, examples, folder, vocabulary="full" if name == "whole" else "task", bf16=name == "bfloat16")
    model, tokenizer = load_seq2seq(plan.student)
    options = Seq2SeqTrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=plan.batch, remove_unused_columns=False, **plan.training
    )
    codec = Codec(
        tokenizer,
        decoder_start_token_id=model.config.decoder_start_token_id,
        max_source_length=plan.max_source_length,
        max_target_length=plan.max_target_length,
    )
    task, order = (STEP_BY_STEP, "separate") if name == "step_by_step" else (NLI, "label_first")
    kind, collator, rows = {
        "step_by_step": (_TwoPasses, _TwoBatches(tokenizer, model), _two_prompts),
        "fixed": (Seq2SeqTrainer, default_data_collator, _padded_rows),
        "plain": (Seq2SeqTrainer, DataCollatorForSeq2Seq(tokenizer, model=model), _rows),
    }[name]
    trainer = kind(model=model, args=options, train_dataset=list(rows(examples, plan, codec)), data_collator=collator)
    return Contender(trainer, codec, task, order, _seen_twice if name == "step_by_step" else _seen)


def _ours(plan: Plan, examples: Sequence[Example], folder: Path, *, vocabulary: str, bf16: bool) -> Contender:
    config = TrainConfig.model_validate(
        {
            "name": "ours",
            "max_source_length": plan.max_source_length,
            "max_target_length": plan.max_target_length,
            "data": {"train": {"source": "examples"}, "explanations_per_example": plan.explanations},
            "student": HubStudent.model_validate({"checkpoint": plan.student, "vocabulary": vocabulary}),
            "loss": plan.loss,
            "training": {
                **plan.training,
                "bf16": bf16,
                "per_device_train_batch_size": plan.batch // plan.explanations,
            },
        }
    )
    student = create_student(config, examples)
    trainer = DistillationTrainer(
        student,
        loss=config.loss,
        arguments=training_arguments(config, folder),
        train_dataset=build_features(
            examples,
            task=config.task,
            order=config.order,
            codec=student.codec,
            explanations_per_example=plan.explanations,
        ),
    )
    return Contender(trainer, student.codec, config.task, config.order, _seen_by_ours)


# --- what the recipes read ---


def _texts(examples: Sequence[Example], plan: Plan) -> Iterator[tuple[Example, str]]:
    for example in examples:
        for explanation in example.references[: plan.explanations]:
            yield example, explanation.text


def _tokenised(codec: Codec, prompt: str, target: str, **padding: Any) -> dict[str, list[int]]:
    source = codec.tokenizer(prompt, truncation=True, max_length=codec.max_source_length, **padding)
    ids = codec.tokenizer(target, add_special_tokens=False)["input_ids"][: codec.max_target_length - 1]
    return {
        "input_ids": source["input_ids"],
        "attention_mask": source["attention_mask"],
        "labels": [*codec.target_start, *ids, codec.eos_token_id],
    }


def _rows(examples: Sequence[Example], plan: Plan, codec: Codec) -> Iterator[dict[str, list[int]]]:
    for example, explanation in _texts(examples, plan):
        [(prompt, [target])] = NLI.render("label_first", example, [explanation])
        yield _tokenised(codec, prompt, target.text)


def _padded_rows(examples: Sequence[Example], plan: Plan, codec: Codec) -> Iterator[dict[str, list[int]]]:
    pad = codec.pad_token_id
    for row in _rows(examples, plan, codec):
        source, target = len(row["input_ids"]), len(row["labels"])
        yield {
            "input_ids": row["input_ids"] + [pad] * (FIXED_SOURCE - source),
            "attention_mask": [1] * source + [0] * (FIXED_SOURCE - source),
            "labels": row["labels"] + [_IGNORED] * (FIXED_TARGET - target),
        }


def _two_prompts(examples: Sequence[Example], plan: Plan, codec: Codec) -> Iterator[dict[str, Any]]:
    for example, explanation in _texts(examples, plan):
        prompts = STEP_BY_STEP.render_prompts("separate", example)
        yield {
            "label": _tokenised(codec, prompts["label"], str(example.label)),
            "explanation": _tokenised(codec, prompts["explanation"], explanation),
        }


class _TwoBatches:
    """Rows of `_two_prompts` to a batch of labels and a batch of explanations, each padded to its own longest."""

    def __init__(self, tokenizer: Any, model: Any) -> None:
        self.collator = DataCollatorForSeq2Seq(tokenizer, model=model)

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {name: self.collator([row[name] for row in rows]) for name in ("label", "explanation")}


class _TwoPasses(Seq2SeqTrainer):  # type: ignore[misc]
    """The mean of both tasks' losses, each a mean over its own tokens."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.model_accepts_loss_kwargs = False  # each pass divides by its own tokens

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        outputs = {name: model(**batch) for name, batch in inputs.items()}
        loss = 0.5 * outputs["label"].loss + 0.5 * outputs["explanation"].loss
        return (loss, outputs) if return_outputs else loss


# --- how much a batch holds ---


def _seen(batch: dict[str, Any]) -> Seen:
    labels = batch["labels"]
    tokens = int(batch["attention_mask"].sum()) + int((labels != _IGNORED).sum())
    return Seen(len(labels), tokens)


def _seen_twice(batch: dict[str, Any]) -> Seen:
    both = [_seen(part) for part in batch.values()]
    return both[0].plus(both[1])._replace(examples=both[0].examples)


def _seen_by_ours(batch: dict[str, Any]) -> Seen:
    targets = batch["label_mask"] | batch["explanation_mask"]
    tokens = int(batch["attention_mask"].sum()) + int(targets.sum())
    return Seen(len(targets), tokens)
