"""The queue: bounded, fair, in batches; jobs that fail, are late or unwanted harm no others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from reasondistill.serving.batching import Batcher, Job
from reasondistill.serving.problems import RequestError


class Counts:
    def __init__(self) -> None:
        self.batches: list[tuple[int, int]] = []
        self.reasons: list[str] = []
        self.most_waiting = 0

    def queue_changed(self, rows: int) -> None:
        self.most_waiting = max(self.most_waiting, rows)

    def batch_done(self, rows: int, jobs: int, seconds: float) -> None:
        self.batches.append((rows, jobs))

    def dropped(self, reason: str) -> None:
        self.reasons.append(reason)


class Student:
    """Computes when it is let: the first batch waits for `go`."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun = threading.Event()
        self.seen: list[list[str]] = []

    def __call__(self, items: Sequence[Any]) -> list[str]:
        self.begun.set()
        assert self.go.wait(20)
        self.seen.append([*items])
        if "bad" in items:
            raise ValueError("cannot be computed")
        return [f"answer to {item}" for item in items]


def with_batcher(test: Callable[[Batcher, Counts], Awaitable[None]], **options: Any) -> Counts:
    counts = Counts()
    settings = {"max_rows": 4, "max_length": 100, "max_queue": 8, "wait_seconds": 0.02} | options

    async def run() -> None:
        batcher = Batcher(watcher=counts, **settings)
        batcher.start()
        try:
            await asyncio.wait_for(test(batcher, counts), 30)
        finally:
            await asyncio.to_thread(batcher.close)

    asyncio.run(run())
    return counts


def job(student: Student, *items: str, length: int = 1, key: object = "same") -> Job[Any, Any]:
    future = asyncio.get_running_loop().create_future()
    return Job(key=key, items=items, compute=student, future=future, rows=len(items), length=length)


async def busy(batcher: Batcher, student: Student) -> Job[Any, Any]:
    """A first job that is being computed, so that what comes now waits."""
    first = job(student, "first", key="alone")
    batcher.add([first])
    await asyncio.to_thread(student.begun.wait, 10)
    return first


def test_jobs_that_wait_are_computed_together_and_each_gets_its_own_answer() -> None:
    student = Student()

    async def test(batcher: Batcher, counts: Counts) -> None:
        first = await busy(batcher, student)
        jobs = [job(student, f"{n}") for n in range(6)]
        for each in jobs:
            batcher.add([each])
        student.go.set()
        assert await first.future == ["answer to first"]
        assert [await each.future for each in jobs] == [[f"answer to {n}"] for n in range(6)]

    counts = with_batcher(test)
    assert student.seen == [["first"], ["0", "1", "2", "3"], ["4", "5"]]
    assert counts.batches == [(1, 1), (4, 4), (2, 2)]


def test_a_batch_holds_the_oldest_and_what_is_nearest_to_it_in_length() -> None:
    student = Student()

    async def test(batcher: Batcher, counts: Counts) -> None:
        await busy(batcher, student)
        lengths = {"a": 10, "b": 50, "c": 12, "d": 48, "e": 9}
        jobs = [job(student, name, length=length) for name, length in lengths.items()]
        batcher.add(jobs)
        student.go.set()
        await asyncio.gather(*(each.future for each in jobs))

    with_batcher(test)
    # 100 characters: three of about 10, as a fourth one of 48 would make it 192; then two of about 50.
    assert [sorted(batch) for batch in student.seen] == [["first"], ["a", "c", "e"], ["b", "d"]]


def test_other_keys_are_not_mixed_and_none_starves() -> None:
    student = Student()

    async def test(batcher: Batcher, counts: Counts) -> None:
        await busy(batcher, student)
        jobs = [job(student, f"{n}", key=n % 2) for n in range(6)]
        batcher.add(jobs)
        student.go.set()
        await asyncio.gather(*(each.future for each in jobs))

    with_batcher(test)
    assert student.seen == [["first"], ["0", "2", "4"], ["1", "3", "5"]]


def test_a_full_queue_takes_all_of_a_request_or_nothing() -> None:
    student = Student()

    async def test(batcher: Batcher, counts: Counts) -> None:
        await busy(batcher, student)
        batcher.add([job(student, *"abcd")])
        with pytest.raises(RequestError) as refused:
            batcher.add([job(student, *"efg"), job(student, *"hij")])
        assert refused.value.status == 429
        assert int(refused.value.headers["Retry-After"]) >= 1
        assert batcher.waiting_rows == 4
        batcher.add([job(student, *"efgh")])
        student.go.set()

    counts = with_batcher(test)
    assert counts.reasons == ["queue_full"]
    assert counts.most_waiting == 8
    assert student.seen == [["first"], [*"abcd"], [*"efgh"]]


def test_what_is_withdrawn_is_not_computed_and_what_is_being_computed_is_not_withdrawn() -> None:
    student = Student()

    async def test(batcher: Batcher, counts: Counts) -> None:
        first = await busy(batcher, student)
        late, other = job(student, "late"), job(student, "other")
        batcher.add([late, other])
        assert batcher.withdraw([late])
        assert not batcher.withdraw([first])
        student.go.set()
        assert await first.future == ["answer to first"]
        assert await other.future == ["answer to other"]

    with_batcher(test)
    assert student.seen == [["first"], ["other"]]


def test_a_job_that_cannot_be_computed_spoils_no_other() -> None:
    student = Student()

    async def test(batcher: Batcher, counts: Counts) -> None:
        await busy(batcher, student)
        jobs = [job(student, text) for text in ("good", "bad", "fine")]
        batcher.add(jobs)
        student.go.set()
        outcomes = await asyncio.gather(*(each.future for each in jobs), return_exceptions=True)
        assert outcomes[0] == ["answer to good"]
        assert isinstance(outcomes[1], ValueError)
        assert outcomes[2] == ["answer to fine"]

    with_batcher(test)


def test_closing_computes_what_waits() -> None:
    student = Student()
    waiting: list[Job[Any, Any]] = []

    async def test(batcher: Batcher, counts: Counts) -> None:
        await busy(batcher, student)
        waiting.extend(job(student, f"{n}") for n in range(5))
        batcher.add(waiting)
        student.go.set()
        await asyncio.to_thread(batcher.close)
        await asyncio.gather(*(each.future for each in waiting))

    with_batcher(test)
    assert sum(map(len, student.seen)) == 6
