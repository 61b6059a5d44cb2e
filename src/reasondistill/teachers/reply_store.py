"""Replies of teachers, kept for good and shared by runs: nothing that was paid for is lost or asked for again."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import ValidationError

from reasondistill.contracts.teacher_replies import KeptRequest
from reasondistill.storage.files import fingerprint
from reasondistill.storage.locks import held
from reasondistill.storage.sqlite_store import Store

STORE_FILE = "teacher_replies.sqlite"


class ReplyStore:
    """Requests with all their attempts, by key, in one SQLite file.

    Threads may `put` at once: what comes while the disk is busy is written together after it (group commit).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._store = Store(path)
        self._changed = threading.Condition()
        self._waiting: dict[bytes, bytes] = {}
        self._writing = False
        self._taken = self._written = 0  # numbers of batches
        self._errors: dict[int, BaseException] = {}

    def get(self, keys: Iterable[bytes]) -> dict[bytes, KeptRequest]:
        """What is kept of these requests; those of which nothing is are left out.

        Raises:
            OutputError: the file cannot be read.
        """
        kept: dict[bytes, KeptRequest] = {}
        for key, value in self._store.get_many(keys).items():
            with suppress(ValidationError):  # of another version: it is asked again
                kept[key] = KeptRequest.model_validate_json(value)
        return kept

    def put(self, requests: Mapping[bytes, KeptRequest]) -> None:
        """Keep them. They are on the disk when this returns.

        Raises:
            OutputError: the file cannot be written.
        """
        values = {key: request.model_dump_json().encode() for key, request in requests.items()}
        with self._changed:
            self._waiting.update(values)
            mine = self._taken + 1  # the batch that is written next has them
            while self._written < mine:
                if not self._writing:
                    self._write_waiting()
                else:
                    self._changed.wait()
            if error := self._errors.get(mine):
                raise error

    def _write_waiting(self) -> None:
        """Write what waits, as one batch; the condition is held before and after, not meanwhile."""
        batch, self._waiting = self._waiting, {}
        self._taken += 1
        self._writing = True
        self._changed.release()
        error: BaseException | None = None
        try:
            self._store.put_many(batch)
        except BaseException as caught:  # noqa: BLE001  # each of those whose values these are raises it
            error = caught
        finally:
            self._changed.acquire()
            self._writing = False
            self._written = self._taken
            if error is not None:
                self._errors[self._taken] = error
            self._changed.notify_all()

    @contextmanager
    def alone_with(self, model: str) -> Iterator[None]:
        """Keep other runs from asking this model at the same time: they could ask the same questions.

        Raises:
            BusyError: another process is asking it.
        """
        lock = self.path.with_name(f".{self.path.name}.{fingerprint(model)}.lock")
        with held(
            lock,
            of=self.path,
            expected=f"to be the only one that asks {model!r}",
            found="another teaching run that asks it",
            fix="Wait for it, or name another `store`.",
        ):
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
