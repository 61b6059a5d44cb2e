"""Build a new student from a configuration and its training examples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from reasondistill.config import HubStudent, ScratchStudent, TrainConfig
from reasondistill.contracts.records import Example
from reasondistill.errors import DataError, TaskError
from reasondistill.students.checkpoint import Checkpoint, load_seq2seq
from reasondistill.students.codec import Codec
from reasondistill.students.scratch import make_scratch
from reasondistill.students.shrinking import shrink
from reasondistill.students.student_task import StudentTask
from reasondistill.students.vocabulary import trim
from reasondistill.students.vocabulary_growth import grow
from reasondistill.students.warm_start import make_warm_start
from reasondistill.tasks.task import OutputOrder, Task, explanation_prefix
from reasondistill.tasks.verbalized_confidence import Phrase


def create_student(config: TrainConfig, examples: Sequence[Example], phrases: Sequence[Phrase] = ()) -> Checkpoint:
    """Build the student that ``config`` describes; ``examples`` are its training split, whose explanations may end with
    ``phrases``.

    Random weights come from torch's global generator: seed it first.

    Raises:
        CheckpointError: the checkpoint or encoder is not available, or is of the wrong kind.
        TaskError: its tokenizer cannot tell the task's labels apart; for choices see `choice_problems`.
        ConfigError: a length exceeds its positions.
        DataError: explanations are to have a structure, and none has.
    """
    task = config.task
    _require_structures(task, examples)
    student_config = config.student
    if isinstance(student_config, ScratchStudent):
        model, tokenizer = make_scratch(student_config, texts_of(examples, task, config.order))
    else:
        if isinstance(student_config, HubStudent):
            model, tokenizer = load_seq2seq(
                student_config.checkpoint, revision=student_config.revision, dropout=student_config.dropout
            )
        else:
            model, tokenizer = make_warm_start(student_config)
        if student_config.vocabulary == "task":
            texts = texts_of(examples, task, config.order)
            model, tokenizer = trim(model, tokenizer, texts, min_count=student_config.vocabulary_min_count)
        model = shrink(model, student_config.shrink)
        if config.update is not None and config.update.grow_vocabulary:
            model, tokenizer = grow(model, tokenizer, texts_of(examples, task, config.order))
    settings = StudentTask(
        task=task,
        order=config.order,
        max_source_length=config.max_source_length,
        max_target_length=config.max_target_length,
        generation=config.generation,
        phrases=tuple(phrases),
    )
    student = Checkpoint(model, tokenizer, settings)
    codec = student.codec
    if task.labels is not None and config.order != "explanation_only":
        codec.check_labels(task.labels, config.order)
    labels = set(task.labels or (choice for example in examples for choice in example.choices or ()))
    codec.require_room({explanation_prefix(config.order, label) for label in labels}, config.generation)
    return student


def _require_structures(task: Task, examples: Iterable[Example]) -> None:
    structure = task.structure
    if structure is None or any(structure.parse(e.text, row.fields) for row in examples for e in row.references):
        return
    raise DataError(
        "training data",
        expected=f"explanations with a structure of the task {task.name}: {structure.form}",
        found="none",
        fix="Make them: reasondistill data structures DATA --out FILE, and train on that file.",
    )


def choice_problems(
    codec: Codec, task: Task, order: OutputOrder, examples: Sequence[Example]
) -> list[TaskError | None]:
    """The problem with each example's choices: there are none, or the tokenizer cannot write or tell them apart.

    None for an example without a problem, and for all if the labels are the task's own.
    """
    if task.labels is not None or order == "explanation_only":
        return [None] * len(examples)

    @cache
    def problem(choices: tuple[str, ...]) -> TaskError | None:
        try:
            codec.check_labels(choices, order)
        except TaskError as error:
            return error
        return None

    def problem_of(example: Example) -> TaskError | None:
        try:
            return problem(task.choices_for(example))
        except TaskError as error:  # it has none
            return error

    return [problem_of(example) for example in examples]


def texts_of(examples: Sequence[Example], task: Task, order: OutputOrder) -> Iterator[str]:
    """Everything that a student of these examples reads and writes: the texts of a task's vocabulary."""
    yield from task.labels or ()
    for example in examples:
        for prompt, targets in task.render(order, example, [e.text for e in example.references] or [None]):
            yield prompt
            yield from (target.text for target in targets)
