"""Sends requests with any number of threads, within budget and pace, and keeps every attempt before it is used."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from reasondistill.contracts.teacher_replies import Attempt, KeptRequest, Outcome
from reasondistill.errors import StoppedError, UserError
from reasondistill.teachers.backends.backend import Backend, BackendReply
from reasondistill.teachers.pacing import Pace
from reasondistill.teachers.reply_store import ReplyStore
from reasondistill.teachers.retrying import FailedAttemptError, attempts
from reasondistill.teachers.spending import Ledger, cost_of, most_cost
from reasondistill.teachers.teach_settings import AnswerFormat, Limits, Prices
from reasondistill.teachers.teacher_questions import Kept, is_cut
from reasondistill.teachers.teacher_requests import TeacherRequest

_REFUSALS = {"content_filter", "refusal"}
_CUTS = {"length", "max_tokens"}
_IN_A_ROW = 20
"""Failed requests one after the other after which a server is given up."""


@dataclass
class Tally:
    """What happened since sending began, for the progress line."""

    settled: int = 0
    answered: int = 0
    failed: int = 0
    attempts: int = 0
    out_of_budget: bool = False


@dataclass
class Sender:
    """Sends requests to one teacher.

    Attributes:
        run: the id of the teaching run, which each attempt carries.
        form: how answers look, to see whether one was cut.
        progress: is called after each request, from any thread, one at a time.
        remembered: replies of a teacher whose replies are not worth storing.
    """

    backend: Backend
    store: ReplyStore
    ledger: Ledger
    prices: Prices | None
    limits: Limits
    run: str
    form: AnswerFormat | None
    progress: Callable[[Tally], None] = lambda tally: None
    say: Callable[[str], None] = lambda text: None
    tally: Tally = field(default_factory=Tally)
    remembered: dict[bytes, KeptRequest] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._pace = Pace(self.limits)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._error: BaseException | None = None
        self._failed_in_a_row = 0
        self._said: set[str] = set()
        self._tried: set[bytes] = set()
        self._ahead: Kept | None = None

    def send(self, requests: Iterable[Kept]) -> int:
        """Send those that are not answered and were not tried yet.

        Returns:
            how many were sent.

        Raises:
            StoppedError: Ctrl-C; what was on its way is kept.
            UserError: the teacher cannot be used, or fails again and again.
        """
        before = self.tally.settled
        pending = self._pending(requests)
        workers = [
            threading.Thread(target=self._work, args=(pending,), daemon=True) for _ in range(self.backend.concurrent)
        ]
        try:
            for worker in workers:
                worker.start()
            _join(workers)
        except KeyboardInterrupt:
            self._stop.set()
            self.say("interrupted: waiting for the answers that are on their way; once more leaves at once")
            _join(workers)
            raise StoppedError("interrupted; all answers that came are kept") from None
        if self._error is not None:
            raise self._error
        return self.tally.settled - before

    def _pending(self, requests: Iterable[Kept]) -> Iterator[Kept]:
        for request in requests:
            key = request.request.stored_as
            if request.kept.answer is None and key not in self._tried:
                self._tried.add(key)
                yield request

    def _work(self, pending: Iterator[Kept]) -> None:
        try:
            while some := self._take(pending):
                if self.backend.at_once == 1:
                    self._ask_one(some[0])
                else:
                    self._ask_several(some)
        except BaseException as error:  # noqa: BLE001  # the main thread raises it
            self._give_up(error)

    def _give_up(self, error: BaseException) -> None:
        with self._lock:
            self._error = self._error or error
        self._stop.set()

    def _take(self, pending: Iterator[Kept]) -> list[Kept]:
        """The next requests: as many as the backend takes at once, all with the same parameters."""
        some: list[Kept] = []
        with self._lock:  # a generator can be asked by one thread at a time
            while not self._stop.is_set() and len(some) < self.backend.at_once:
                request = self._ahead or next(pending, None)
                self._ahead = None
                if request is None:
                    break
                if some and request.request.parameters != some[0].request.parameters:
                    self._ahead = request
                    break
                some.append(request)
        return some

    # --- one request to a server ---

    def _ask_one(self, request: Kept) -> None:
        sending = _Sending(self, request)
        try:
            for attempt in attempts(self.limits.retry_for, self._heed):
                with attempt:
                    if not sending.once(self._pace, self._stop):
                        return
        except FailedAttemptError as error:
            if error.fatal is not None:
                raise error.fatal from None
        self._settled(sending.kept)

    def _heed(self, error: FailedAttemptError) -> None:
        """A pause that a server asks for holds for all threads."""
        if error.again and error.after is not None:
            self._pace.hold(error.after)

    def no_budget(self) -> None:
        """A request does not fit any more, and nothing on its way can make room."""
        with self._lock:
            self.tally.out_of_budget = self.tally.out_of_budget or not self._stop.is_set()
        self._stop.set()

    # --- several, in this process ---

    def _ask_several(self, requests: list[Kept]) -> None:
        begun = time.monotonic()
        replies = self.backend.answer([request for request, _ in requests])
        seconds = (time.monotonic() - begun) / len(requests)
        kept = [
            kept.with_attempt(self.read(request, reply, seconds, 0.0))
            for (request, kept), reply in zip(requests, replies, strict=True)
        ]
        self.keep({request.stored_as: k for (request, _), k in zip(requests, kept, strict=True)})
        for settled in kept:
            self._settled(settled)

    # --- what came of it ---

    def keep(self, kept: Mapping[bytes, KeptRequest]) -> None:
        """Put requests on the disk, where they are worth it; else remember them."""
        if self.backend.kept:
            self.store.put(kept)
        else:
            self.remembered.update(kept)
        with self._lock:
            self.tally.attempts += len(kept)

    def read(self, request: TeacherRequest, reply: BackendReply, seconds: float, most: float) -> Attempt:
        """A reply as an attempt: whether it is an answer, and what it cost."""
        outcome, problem = _outcome(request, reply, self.form)
        known = reply.usage is not None or self.prices is None
        cost = (cost_of(reply.usage, self.prices) if reply.usage else 0.0) if known else None
        return Attempt(
            run=self.run,
            at=_now(),
            outcome=outcome,
            problem=problem,
            text=reply.text,
            given=reply.given,
            finish_reason=reply.finish_reason,
            usage=reply.usage,
            cost=cost,
            at_most=most if cost is None else 0.0,
            seconds=round(seconds, 4),
            response_id=reply.response_id,
            request_id=reply.request_id,
            system_fingerprint=reply.system_fingerprint,
            served_model=reply.served_model,
        )

    def failed(self, error: FailedAttemptError, seconds: float, most: float) -> Attempt:
        """A failure as an attempt. Where the server may have worked, it may have cost the worst case."""
        charged = error.may_have_cost and self.prices is not None
        return Attempt(
            run=self.run,
            at=_now(),
            outcome="failed",
            problem=error.problem,
            text=error.detail,
            cost=None if charged else 0.0,
            at_most=most if charged else 0.0,
            seconds=round(seconds, 4),
        )

    def _settled(self, kept: KeptRequest) -> None:
        answered = kept.answer is not None
        with self._lock:
            self.tally.settled += 1
            self.tally.answered += answered
            self.tally.failed += not answered
            last = kept.last
            failed = last is not None and last.outcome == "failed"
            if last is not None and failed and last.text and last.problem not in self._said:
                self._said.add(last.problem)
                self.say(f"{self.backend.model}: {last.problem}: {last.text}")
            self._failed_in_a_row = self._failed_in_a_row + 1 if failed else 0
            given_up = self._failed_in_a_row >= max(_IN_A_ROW, 2 * self.backend.concurrent)
            self.progress(self.tally)
        if given_up and self.backend.at_once == 1 and last is not None:
            detail = f"{last.problem}: {last.text}" if last.text else last.problem
            raise UserError(
                self.backend.model,
                expected="a teacher that answers",
                found=f"{self._failed_in_a_row} requests in a row that failed, the last with {detail}",
                fix="What was answered is kept. When the cause is gone, go on with --resume.",
            )


class _Sending:
    """One request on its way: reserved for, sent, kept and settled, once an attempt."""

    def __init__(self, sender: Sender, request: Kept) -> None:
        self._sender = sender
        self._request = request.request
        self.kept = request.kept
        self._most = most_cost(request.request.most_input_tokens, request.request.max_tokens, sender.prices)

    def once(self, pace: Pace, stop: threading.Event) -> bool:
        """One attempt, which is on the disk when this returns. False where it was not made.

        Raises:
            FailedAttemptError: it brought no reply.
        """
        sender, request = self._sender, self._request
        if not pace.wait(request.likely_tokens, stop):
            return False
        if not sender.ledger.reserve(self._most, stop.is_set):
            sender.no_budget()
            return False
        spent = self._most
        try:
            attempt, error = self._attempt(pace)
            spent = attempt.at_most if attempt.cost is None else attempt.cost
            self.kept = self.kept.with_attempt(attempt)
            sender.keep({request.stored_as: self.kept})
        finally:
            sender.ledger.settle(self._most, spent)
        if error is not None:
            raise error
        return True

    def _attempt(self, pace: Pace) -> tuple[Attempt, FailedAttemptError | None]:
        sender, request = self._sender, self._request
        begun = time.monotonic()
        try:
            (reply,) = sender.backend.answer([request])
        except FailedAttemptError as error:
            return sender.failed(error, time.monotonic() - begun, self._most), error
        if reply.pause:
            pace.hold(reply.pause)
        if reply.usage is not None:
            pace.correct(request.likely_tokens, reply.usage.input + reply.usage.output)
        return sender.read(request, reply, time.monotonic() - begun, self._most), None


def _outcome(request: TeacherRequest, reply: BackendReply, form: AnswerFormat | None) -> tuple[Outcome, str]:
    """Whether a reply is an answer; what is cut, refused or empty is none, and is asked for again another time."""
    if reply.finish_reason in _REFUSALS:
        return "refused", reply.finish_reason
    if reply.finish_reason in _CUTS:
        return "cut", "cut: length"
    if reply.given is not None:
        return "answered", ""
    if not reply.text.strip():
        return "failed", reply.finish_reason if reply.finish_reason not in (None, "stop") else "empty"
    return ("cut", "cut: ends within its JSON") if is_cut(request, reply.text, form) else ("answered", "")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _join(workers: list[threading.Thread]) -> None:
    for worker in workers:
        while worker.is_alive():
            worker.join(0.2)
