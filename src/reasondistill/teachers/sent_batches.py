"""Batches of a teaching run: what is sent, what is on its way, what came back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from reasondistill.contracts.teacher_replies import Attempt, KeptRequest, SentBatch, SentBatches
from reasondistill.errors import UserError
from reasondistill.teachers.backends.backend import BackendReply
from reasondistill.teachers.backends.batches import MOST_IN_A_BATCH, BatchBackend, BatchState
from reasondistill.teachers.retrying import FailedAttemptError
from reasondistill.teachers.sending import Sender
from reasondistill.teachers.spending import most_cost
from reasondistill.teachers.teacher_questions import Kept
from reasondistill.teachers.teacher_requests import TeacherRequest

BATCHES_FILE = "batches.json"


@dataclass
class Batching:
    """The batches of one teacher in a run's folder.

    Attributes:
        sender: says what a reply is worth, and keeps it.
        say: called with a sentence on each batch.
    """

    backend: BatchBackend
    sender: Sender
    folder: Path
    teacher: str
    say: Callable[[str], None]

    def __post_init__(self) -> None:
        path = self.folder / BATCHES_FILE
        self._batches = SentBatches.load(path).batches if path.is_file() else []

    @property
    def on_their_way(self) -> list[SentBatch]:
        return [batch for batch in self._batches if batch.teacher == self.teacher and not batch.collected]

    def collect(self, requests: Iterable[Kept]) -> bool:
        """Take down what is done.

        Args:
            requests: all requests of the teacher.

        Returns:
            whether anything is still on its way.

        Raises:
            UserError: the server does not say how its batches are.
        """
        if not (waiting := self.on_their_way):
            return False
        try:
            states = self.backend.states({batch.mark for batch in waiting})
            by_key = {kept.request.key: kept for kept in requests} if any(s.done for s in states.values()) else {}
            for batch in waiting:
                if (state := states.get(batch.mark)) is None:
                    self._forget(batch)  # the process ended before it was sent
                elif state.done:
                    self._take_down(batch, state, by_key)
                else:
                    self.say(f"batch {state.id}: {state.status}, {len(batch.keys):,} requests")
        except FailedAttemptError as error:
            raise error.fatal or _no_batches(self.backend.model, error) from error
        return bool(self.on_their_way)

    def _take_down(self, batch: SentBatch, state: BatchState, requests: Mapping[str, Kept]) -> None:
        kept: dict[bytes, KeptRequest] = {}
        of_batch = {*batch.keys}
        for key, reply in self.backend.replies(state):
            if key in of_batch and key in requests:
                of_batch.discard(key)
                self._add(kept, requests[key], reply, batch.mark)
        for key in sorted(of_batch & requests.keys()):
            lost = FailedAttemptError(f"batch {state.status}")
            self._add(kept, requests[key], lost, batch.mark)
        self.sender.keep(kept)
        self._replace(batch, batch.model_copy(update={"collected": True}))
        problem = f" ({state.problem})" if state.problem else ""
        self.say(f"batch {state.id}: {state.status}{problem}, {len(batch.keys):,} requests")

    def _add(
        self, kept: dict[bytes, KeptRequest], kept_request: Kept, reply: BackendReply | FailedAttemptError, mark: str
    ) -> None:
        request, before = kept_request
        if any(attempt.batch == mark for attempt in before.attempts):
            return  # the process ended between keeping it and writing that down
        most = self._most(request)
        attempt: Attempt
        if isinstance(reply, FailedAttemptError):
            attempt = self.sender.failed(reply, 0.0, most)
        else:
            attempt = self.sender.read(request, reply, 0.0, most)
        kept[request.stored_as] = before.with_attempt(attempt.model_copy(update={"batch": mark}))

    def submit(self, requests: Iterable[Kept], run: str) -> bool:
        """Send all that is neither answered nor on its way. False where the budget did not allow all of it.

        Raises:
            UserError: the server did not take a batch.
        """
        away = {key for batch in self.on_their_way for key in batch.keys}
        reserved = sum(batch.most for batch in self.on_their_way)  # they may cost that yet
        pending = (kept.request for kept in requests if kept.kept.answer is None)
        total, fits = reserved, True

        def affordable() -> Iterable[TeacherRequest]:
            nonlocal total, fits
            for request in pending:
                if request.key in away:
                    continue  # on its way, also for a row with the same words
                total += self._most(request)
                if not self.sender.ledger.fits(total):
                    fits = False
                    return
                away.add(request.key)
                yield request

        affordable_requests = iter(affordable())
        while some := list(islice(affordable_requests, MOST_IN_A_BATCH)):
            mark = f"{run}-{len(self._batches)}"
            most = sum(map(self._most, some))
            batch = SentBatch(mark=mark, teacher=self.teacher, keys=[r.key for r in some], most=most)
            self._save([*self._batches, batch])
            try:
                state = self.backend.submit(some, mark)
            except FailedAttemptError as error:
                raise error.fatal or _no_batches(self.backend.model, error) from error
            self.say(f"batch {state.id}: sent, {len(some):,} requests")
        return fits

    def _most(self, request: TeacherRequest) -> float:
        return most_cost(request.most_input_tokens, request.max_tokens, self.sender.prices)

    def _forget(self, batch: SentBatch) -> None:
        self._save([other for other in self._batches if other.mark != batch.mark])

    def _replace(self, batch: SentBatch, by: SentBatch) -> None:
        self._save([by if other.mark == batch.mark else other for other in self._batches])

    def _save(self, batches: list[SentBatch]) -> None:
        self._batches = batches
        SentBatches(batches=batches).save(self.folder / BATCHES_FILE)


def _no_batches(model: str, error: FailedAttemptError) -> UserError:
    detail = f"{error.problem}: {error.detail}" if error.detail else error.problem
    return UserError(
        model,
        expected="a server that takes and gives batches",
        found=detail,
        fix="Batches that were sent stay there; when the cause is gone: reasondistill teach collect.",
    )
