"""A bounded queue of jobs, batches that form by themselves, and the one thread that computes them."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from reasondistill.serving.problems import RequestError

Item = TypeVar("Item")
Result = TypeVar("Result")

_FORGETTING = 0.2
"""The weight of the newest batch in the measured speed."""
_LONGEST_RETRY = 60


class Watcher(Protocol):
    """What is told of the queue's life, for metrics. Called from the computing thread, too."""

    def queue_changed(self, rows: int) -> None: ...

    def batch_done(self, rows: int, jobs: int, seconds: float) -> None: ...

    def dropped(self, reason: str) -> None: ...


@dataclass(eq=False)
class Job(Generic[Item, Result]):
    """Rows that are computed together and answered at once.

    Attributes:
        key: jobs with the same one may be computed in one call.
        rows: how many examples the student reads for it.
        length: characters of its longest example.
    """

    key: Hashable
    items: Sequence[Item]
    compute: Callable[[Sequence[Item]], Sequence[Result]]
    future: asyncio.Future[Sequence[Result]]
    rows: int
    length: int
    computing: bool = field(default=False)


AnyJob = Job[Any, Any]
"""A job of whatever rows and answers: the queue looks into neither."""


class Batcher:
    """Takes jobs from an event loop and computes them in one thread.

    Args:
        max_rows: in a batch.
        max_length: of a batch: rows times the characters of the longest.
        max_queue: rows that may wait.
        wait_seconds: how long a busy service waits for a batch to fill.
    """

    def __init__(
        self, *, max_rows: int, max_length: int, max_queue: int, wait_seconds: float, watcher: Watcher
    ) -> None:
        self.max_rows, self.max_length, self.max_queue = max_rows, max_length, max_queue
        self._wait = wait_seconds
        self._watcher = watcher
        self._waiting: list[AnyJob] = []
        self._changed = threading.Condition()
        self._closed = False
        self._company = False
        self._wanted = 1
        """Rows that the thread waits for. Each wake-up costs as much as a short answer, so that none comes before."""
        self._seconds_a_row = 0.01
        self._thread = threading.Thread(target=self._work, name="student", daemon=True)

    def start(self) -> None:
        """Begin to compute."""
        self._thread.start()

    def close(self) -> None:
        """Compute what waits, then stop; returns when that is done."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def waiting_rows(self) -> int:
        """Rows in the queue."""
        with self._changed:
            return sum(job.rows for job in self._waiting)

    def retry_after(self) -> int:
        """Whole seconds until the queue, as it is, will have been computed."""
        return min(_LONGEST_RETRY, max(1, math.ceil(self.waiting_rows * self._seconds_a_row)))

    def add(self, jobs: Sequence[AnyJob]) -> None:
        """Put jobs into the queue: all of them, or none.

        Raises:
            RequestError: 429, the queue is full.
        """
        rows = sum(job.rows for job in jobs)
        with self._changed:
            waiting = sum(job.rows for job in self._waiting)
            fits = waiting + rows <= self.max_queue or not self._waiting
            if fits:
                self._waiting.extend(jobs)
                self._watcher.queue_changed(waiting + rows)
                if waiting + rows >= self._wanted:
                    self._changed.notify()
        if not fits:
            self._watcher.dropped("queue_full")
            raise RequestError(
                429,
                "queue-full",
                f"{waiting} examples wait already, and {self.max_queue} may. Try again later.",
                retry_after=self.retry_after(),
            )

    def withdraw(self, jobs: Sequence[AnyJob]) -> bool:
        """Take jobs out of the queue if none of them is being computed, or was."""
        with self._changed:
            if any(job.computing for job in jobs):
                return False
            own = set(map(id, jobs))
            self._waiting = [job for job in self._waiting if id(job) not in own]
            self._watcher.queue_changed(sum(job.rows for job in self._waiting))
            return True

    def _work(self) -> None:
        while (batch := self._next_batch()) is not None:
            begun = time.perf_counter()
            self._compute(batch)
            seconds, rows = time.perf_counter() - begun, sum(job.rows for job in batch)
            self._seconds_a_row += _FORGETTING * (seconds / max(1, rows) - self._seconds_a_row)
            self._watcher.batch_done(rows, len(batch), seconds)

    def _next_batch(self) -> list[AnyJob] | None:
        with self._changed:
            self._wait_for_rows(1)
            if self._company and not self._closed:
                self._wait_for_rows(self.max_rows, self._wait)
            if not self._waiting:
                return [] if not self._closed else None
            batch = self._choose()
            chosen = set(map(id, batch))
            self._waiting = [job for job in self._waiting if id(job) not in chosen]
            for job in batch:
                job.computing = True
            self._company = len(batch) > 1 or bool(self._waiting)
            self._watcher.queue_changed(sum(job.rows for job in self._waiting))
            return batch

    def _wait_for_rows(self, wanted: int, seconds: float | None = None) -> None:
        self._wanted = wanted
        self._changed.wait_for(
            lambda: self._closed or sum(job.rows for job in self._waiting) >= wanted, timeout=seconds
        )

    def _choose(self) -> list[AnyJob]:
        """The oldest job, and those that can be computed with it: the nearest in length first, older before newer."""
        oldest = self._waiting[0]
        alike = [job for job in self._waiting[1:] if job.key == oldest.key]
        alike.sort(key=lambda job: abs(job.length - oldest.length))
        batch, rows, longest = [oldest], oldest.rows, oldest.length
        for job in alike:
            length = max(longest, job.length)
            if rows + job.rows > self.max_rows or (rows + job.rows) * length > self.max_length:
                break
            batch.append(job)
            rows, longest = rows + job.rows, length
        return batch

    def _compute(self, batch: Sequence[AnyJob]) -> None:
        if not batch:
            return
        outcomes: list[Sequence[object] | BaseException] = []
        try:
            results = list(batch[0].compute([item for job in batch for item in job.items]))
            place = 0
            for job in batch:
                outcomes.append(results[place : place + len(job.items)])
                place += len(job.items)
        except Exception as error:  # noqa: BLE001 - whatever a library raises, the thread must live
            # Each alone, so that the one that cannot be computed spoils no other.
            outcomes = [error] if len(batch) == 1 else [_alone(job) for job in batch]
        loop = batch[0].future.get_loop()
        loop.call_soon_threadsafe(_deliver, batch, outcomes)


def _alone(job: AnyJob) -> Sequence[object] | BaseException:
    try:
        return job.compute(job.items)
    except Exception as error:  # noqa: BLE001 - as above
        return error


def _deliver(batch: Sequence[AnyJob], outcomes: Sequence[Sequence[object] | BaseException]) -> None:
    for job, outcome in zip(batch, outcomes, strict=True):
        if job.future.done():
            continue
        if isinstance(outcome, BaseException):
            job.future.set_exception(outcome)
        else:
            job.future.set_result(outcome)
