"""From a request to its reply: jobs in the queue, the deadline, and a client that may go away meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from reasondistill.contracts.records import Example
from reasondistill.contracts.service import Answer, Attributions, Counterfactual
from reasondistill.serving.batching import Batcher, Job, Watcher
from reasondistill.serving.problems import RequestError
from reasondistill.serving.questions import Edit, attribute, compare_edit, explain
from reasondistill.students.student import Student

if TYPE_CHECKING:
    from starlette.requests import Request

    from reasondistill.judges import Judge
    from reasondistill.verification.answer_verdicts import ProvedAnswers

Item = TypeVar("Item")
Result = TypeVar("Result")


class Asker:
    """Puts questions into the queue and waits for their answers.

    Args:
        timeout: seconds after which what still waits is dropped.
    """

    def __init__(self, batcher: Batcher, watcher: Watcher, *, timeout: float) -> None:
        self._batcher, self._watcher, self._timeout = batcher, watcher, timeout

    async def explain(
        self,
        request: Request,
        student: Student,
        examples: Sequence[Example],
        precision: float | None,
        proofs: ProvedAnswers | None,
    ) -> list[Answer]:
        """Answers, in the order of the examples."""
        key = (id(student), precision)
        compute = partial(explain, student, precision=precision, proofs=proofs)
        rows = self._batcher.max_rows
        parts = [examples[begin : begin + rows] for begin in range(0, len(examples), rows)]
        jobs = [_job(key, part, compute, len(part), part) for part in parts]
        return [answer for part in await self._answered(request, jobs) for answer in part]

    async def attribute(
        self, request: Request, student: Student, example: Example, words: int, proofs: ProvedAnswers | None
    ) -> Attributions:
        """What each of an example's words did."""
        compute = partial(_each, partial(attribute, student, proofs=proofs))
        replies = await self._answered(request, [_job(object(), [example], compute, words + 1, [example])])
        return replies[0][0]

    async def compare(
        self, request: Request, student: Student, edit: Edit, judge: Judge | None, proofs: ProvedAnswers | None
    ) -> Counterfactual:
        """An example beside an edited one."""
        compute = partial(_each, partial(compare_edit, student, judge=judge, proofs=proofs))
        labels = student.task.labels or edit.original.choices or ()
        rows = 1 + (edit.edited is not None) + len(labels) * edit.every_label
        replies = await self._answered(request, [_job(object(), [edit], compute, rows, [edit.original])])
        return replies[0][0]

    async def call(self, compute: Callable[[], Result], rows: int, length: int) -> Result:
        """What a function gives that computes ``rows`` rows, the longest of ``length`` characters, in its turn."""
        future: asyncio.Future[Sequence[Result]] = asyncio.get_running_loop().create_future()
        job = Job(key=object(), items=[compute], compute=_each_called, future=future, rows=rows, length=length)
        [[result]] = await self._answered(None, [job])
        return result

    async def _answered(self, request: Request | None, jobs: Sequence[Job[Item, Result]]) -> list[Sequence[Result]]:
        self._batcher.add(jobs)
        results = asyncio.gather(*(job.future for job in jobs))
        gone: asyncio.Future[None] = (
            asyncio.get_running_loop().create_future()  # nobody to watch: it never comes
            if request is None
            else asyncio.ensure_future(_disconnected(request))
        )
        try:
            both: set[asyncio.Future[Any]] = {results, gone}
            done, _ = await asyncio.wait(both, timeout=self._timeout, return_when=asyncio.FIRST_COMPLETED)
            if results not in done and self._batcher.withdraw(jobs):
                results.cancel()
                results.add_done_callback(_looked_at)
                raise self._dropped(gone in done)
            return list(await results)  # what is being computed is finished
        finally:
            gone.cancel()

    def _dropped(self, gone: bool) -> RequestError:
        if gone:
            self._watcher.dropped("client_gone")
            return RequestError(499, "client-gone", "The client closed the connection.")
        self._watcher.dropped("deadline")
        return RequestError(
            503,
            "deadline",
            f"The request waited for {self._timeout:g} seconds and was not begun. Try again later.",
            retry_after=self._batcher.retry_after(),
        )


def _looked_at(dropped: asyncio.Future[Any]) -> None:
    """Ask a dropped future how it ended: asyncio logs those that nobody asks."""
    if not dropped.cancelled():
        dropped.exception()


def _job(
    key: object,
    items: Sequence[Item],
    compute: Callable[[Sequence[Item]], Sequence[Result]],
    rows: int,
    examples: Sequence[Example],
) -> Job[Item, Result]:
    future: asyncio.Future[Sequence[Result]] = asyncio.get_running_loop().create_future()
    # In characters: tokenizers must not be used in two threads at once, and the computing thread uses this one.
    length = max(sum(map(len, example.fields.values())) for example in examples)
    return Job(key=key, items=items, compute=compute, future=future, rows=rows, length=length)


def _each(compute: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [compute(item) for item in items]


def _each_called(functions: Sequence[Callable[[], Result]]) -> list[Result]:
    return [function() for function in functions]


async def _disconnected(request: Request) -> None:
    """Returns when the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
