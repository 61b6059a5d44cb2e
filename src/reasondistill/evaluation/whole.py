"""All that can be said of a system's answers, in one call: metrics, and of a student its costs and faithfulness."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from reasondistill.config import FAITHFULNESS_TIMES, EvaluateOptions
from reasondistill.contracts.records import Example, Prediction
from reasondistill.evaluation.assembly import Evaluation, evaluate
from reasondistill.evaluation.reference_teachers import ReferenceTeacher
from reasondistill.tasks.task import Task

if TYPE_CHECKING:
    from reasondistill.evaluation.faithfulness import SuiteOutcome
    from reasondistill.judges import Judge
    from reasondistill.students.student import Student


def evaluate_whole(
    answers: Sequence[Prediction],
    examples: Sequence[Example],
    *,
    task: Task | None,
    name: str,
    split: str | None = None,
    options: EvaluateOptions,
    train_examples: Iterable[Example] | None = None,
    judge: Judge | None = None,
    teachers: Sequence[ReferenceTeacher] = (),
    student: Student | None = None,
    faithfulness: bool = True,
    unlimited_tests: bool = False,
    made_by: str | None = None,
    learned_rows: int = 0,
    progress: Callable[[str], None] = lambda stage: None,
) -> Evaluation:
    """Score answers and, where their student is there, measure it too.

    Args:
        answers, examples, task, name, split, train_examples, judge, teachers, made_by: as `evaluate`.
        options: how to score; what the student is asked, and for how long.
        student: that gave the answers, with the settings that it gave them with.
        faithfulness: ask it again in tests of faithfulness.
        learned_rows: how many of the examples the student learned from, or from rows of their groups.
        unlimited_tests: let those take as long as they take, whatever the options' budget.
        progress: called with a sentence as each stage begins.

    Raises:
        UserError: as `evaluate`; the student cannot be measured.
    """
    evaluation = evaluate(
        answers,
        examples,
        task=task,
        name=name,
        split=split,
        settings=options,
        train_examples=train_examples,
        judge=judge,
        teachers=teachers,
        made_by=made_by,
        progress=progress,
    )
    if learned_rows:
        evaluation.results.settings["learned_rows"] = learned_rows
    if student is not None and student.folder is not None and options.efficiency:
        from reasondistill.evaluation.efficiency import measure

        costs = measure(student.folder, examples, loaded=student, budget=options.budget or None, progress=progress)
        evaluation = evaluation.with_efficiency(costs)
    if student is not None and faithfulness:
        budget = 0 if unlimited_tests else options.budget * FAITHFULNESS_TIMES
        tested = _tested(student, examples, answers, options.faithfulness_limit, budget or None, judge, progress)
        evaluation = evaluation.with_faithfulness(tested)
    return evaluation


def _tested(
    student: Student,
    examples: Sequence[Example],
    answers: Sequence[Prediction],
    limit: int | None,
    budget: float | None,
    judge: Judge | None,
    progress: Callable[[str], None],
) -> SuiteOutcome:
    from reasondistill.evaluation.faithfulness import FaithfulnessSettings, measure_faithfulness

    if any(answer.id != example.id for answer, example in zip(answers, examples, strict=True)):
        by_id = {answer.id: answer for answer in answers}
        answers = [by_id[example.id] for example in examples]
    return measure_faithfulness(
        student,
        examples,
        answers,
        settings=FaithfulnessSettings() if limit is None else FaithfulnessSettings().limited(limit),
        judge=judge,
        budget=budget,
        progress=progress,
    )
