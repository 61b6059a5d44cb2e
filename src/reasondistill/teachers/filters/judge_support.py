"""Explanations that do not argue for their label, by a judge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from reasondistill.errors import importing
from reasondistill.metrics.text import is_empty
from reasondistill.tasks.task import Task
from reasondistill.teachers.filters.filter_definition import NO_OPINION, Filter, Pool, Verdict, at_least

if TYPE_CHECKING:
    from reasondistill.judges import Judge


class JudgeSupport(Filter):
    """Explanations by how well they argue for their label, as a judge of `judge train` scores them.

    Attributes:
        judge: its folder, or builtin:scenes. It must not have been trained on these rows.
        min_support: least support, in [0, 1].
    """

    name = "judge_support"
    title = "Does it argue for its label?"
    meaning = (
        "Rejects explanations of low support. A judge learned from wording: false sentences that sound right pass."
    )
    on = False
    turn = 160

    judge: str
    min_support: Annotated[float, Field(ge=0, le=1)] = 0.5

    def _load(self) -> Judge:
        with importing("the filter judge_support", "train"):
            from reasondistill.judges import Judge
        return Judge.load(self.judge)

    def prepare(self, task: Task) -> None:
        """Load the judge, and see that it is of the task.

        Raises:
            CheckpointError: there is no such judge.
            DataError: it is of another task.
            MissingExtraError: judges need an extra that is not installed.
        """
        self._load().refuse_task(task)

    def verdicts(self, pool: Pool) -> list[Verdict]:
        """Of each candidate.

        Raises:
            CheckpointError: there is no such judge.
            DataError: it is of another task, or was trained on some of these rows.
            MissingExtraError: judges need an extra that is not installed.
        """
        judge = self._load()
        from reasondistill.judges import Argued, fields_of

        judge.refuse_task(pool.task)
        judge.refuse_seen((candidate.example for candidate in pool.candidates), pool.task)
        unlabelled = pool.task.labels == ()
        argued = {
            place: Argued(fields_of(candidate.example, pool.task), candidate.label or "", candidate.answer.explanation)
            for place, candidate in enumerate(pool.candidates)
            if not is_empty(candidate.answer.explanation) and (unlabelled or candidate.label is not None)
        }
        verdicts = [NO_OPINION] * len(pool.candidates)
        for place, support in zip(argued, judge.support(argued.values(), pool.progress), strict=True):
            verdicts[place] = at_least(support, self.min_support, "does not argue for its label")
        return verdicts
