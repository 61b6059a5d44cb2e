"""A new student out of a configuration and the examples that it will learn from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reasondistill.config import HubStudent, ScratchStudent, TrainConfig
from reasondistill.features import Codec
from reasondistill.records import Example
from reasondistill.student_task import StudentTask
from reasondistill.students.checkpoint import Checkpoint, load_seq2seq
from reasondistill.students.scratch import make_scratch
from reasondistill.students.shrinking import shrink
from reasondistill.students.vocabulary import trim
from reasondistill.students.warm_start import make_warm_start
from reasondistill.tasks import OutputOrder, Task, explanation_prefix
from reasondistill.wording import Phrase


def create_student(config: TrainConfig, examples: Sequence[Example], phrases: Sequence[Phrase] = ()) -> Checkpoint:
    """Make the student that ``config`` describes; ``examples`` are its training split, whose explanations end with
    ``phrases`` where there are some.

    Random weights come from torch's global generator: seed it first.

    Raises:
        CheckpointError: the checkpoint or encoder cannot be had, or is of the wrong kind.
        TaskError: its tokenizer cannot tell the task's labels apart.
        ConfigError: a length is more than it has positions.
    """
    task = config.task
    wanted = config.student
    if isinstance(wanted, ScratchStudent):
        model, tokenizer = make_scratch(wanted, texts_of(examples, task, config.order))
    else:
        if isinstance(wanted, HubStudent):
            model, tokenizer = load_seq2seq(wanted.checkpoint, revision=wanted.revision, dropout=wanted.dropout)
        else:
            model, tokenizer = make_warm_start(wanted)
        if wanted.vocabulary == "task":
            texts = texts_of(examples, task, config.order)
            model, tokenizer = trim(model, tokenizer, texts, min_count=wanted.vocabulary_min_count)
        model = shrink(model, wanted.shrink)
    asked = StudentTask(
        task=task,
        order=config.order,
        max_source_length=config.max_source_length,
        max_target_length=config.max_target_length,
        generation=config.generation,
        phrases=tuple(phrases),
    )
    student = Checkpoint(model, tokenizer, asked)
    codec = student.codec
    check_labels(codec, task, config.order, examples)
    labels = set(task.labels or (label for example in examples for label in task.choices_for(example)))
    codec.require_room({explanation_prefix(config.order, label) for label in labels}, config.generation)
    return student


def check_labels(codec: Codec, task: Task, order: OutputOrder, examples: Sequence[Example]) -> None:
    """Hold a task's labels, or every example's choices, to what scoring needs.

    Raises:
        TaskError: the tokenizer cannot tell them apart.
    """
    if order == "explanation_only":
        return
    for labels in dict.fromkeys(task.choices_for(example) for example in examples):
        codec.check_labels(labels, order)


def texts_of(examples: Sequence[Example], task: Task, order: OutputOrder) -> Iterator[str]:
    """Everything that a student of these examples reads and writes: for a vocabulary of the task's own."""
    yield from task.labels or ()
    for example in examples:
        for prompt, targets in task.render(order, example, [e.text for e in example.references] or [None]):
            yield prompt
            yield from (target.text for target in targets)
