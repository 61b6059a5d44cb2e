"""A teaching run from configuration to files: `teach`."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from reasondistill.contracts.records import Example, parse_record
from reasondistill.contracts.row_files import write_rows
from reasondistill.contracts.run import DataPart
from reasondistill.contracts.teacher_replies import KeptRequest
from reasondistill.contracts.teaching import ACCEPTED_FILE, ANSWERS_FILE, TEACHING_FILE, Teaching
from reasondistill.data import Loaded
from reasondistill.errors import OutputError, StoppedError, UserError
from reasondistill.runs import versions
from reasondistill.storage.files import read_jsonl, require_new_folder
from reasondistill.storage.locks import held
from reasondistill.teachers.accounts import Accounting
from reasondistill.teachers.backends.batches import BatchBackend
from reasondistill.teachers.outputs import counts_of, write_answers, write_card, write_filtered
from reasondistill.teachers.reply_store import ReplyStore
from reasondistill.teachers.sending import Sender, Tally
from reasondistill.teachers.sent_batches import BATCHES_FILE, Batching
from reasondistill.teachers.spending import Ledger, most_cost
from reasondistill.teachers.teach_settings import ApiTeacher, Limits, TeachConfig, TeacherSettings, price_of
from reasondistill.teachers.teacher_questions import Asking
from reasondistill.teachers.teaching_material import Material, folder_of, material, store_of
from reasondistill.training.signals import terminating_like_ctrl_c

Status = Literal["stopped", "budget", "waiting", "finished"]


@dataclass(frozen=True)
class Progress:
    """How far one teacher is.

    Attributes:
        requests: of this teacher, so far as they are known; hints come on top.
        answered: before this session and in it.
        spent: by the whole run, in all its sessions.
        budget: None where there is none.
    """

    teacher: str
    requests: int
    answered: int
    failed: int
    spent: float
    budget: float | None


@dataclass(frozen=True)
class TeachingResult:
    """A teaching run that has ended, or was stopped."""

    folder: Path
    teaching: Teaching

    @property
    def accepted(self) -> list[Example]:
        """The examples that can be learned from."""
        path = self.folder / ACCEPTED_FILE
        if not path.stat().st_size:
            return []
        return [parse_record(Example, row, f"{path}:{number}") for number, row in read_jsonl(path)]


def teach(
    config: TeachConfig,
    *,
    data: Loaded | None = None,
    resume: bool = False,
    send: bool = True,
    limit: int | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
    say: Callable[[str], None] = lambda text: None,
) -> TeachingResult:
    """Ask the teachers of a configuration; what is in the store is not asked again.

    Args:
        data: instead of what the configuration names.
        resume: go on with the run of this name.
        send: ask what is not answered yet; else only batches are collected, and the files written anew.
        limit: ask about at most this many rows, from the start.
        progress: called after each request, from any thread, one call at a time.
        say: called with a sentence now and then.

    Raises:
        StoppedError: Ctrl-C; all answers that came are kept, and the files are written.
        UserError: configuration, data or a teacher cannot be used.
    """
    folder = folder_of(config)
    before = _begun(folder, resume)
    ready = material(config, data, limit)
    for rule in config.filters.chosen():
        rule.prepare(config.task)
    if before is not None and before.asked_as != ready.asked_as:
        raise OutputError(
            folder,
            expected="the configuration that this run was begun with",
            found="one that asks something else (task, data, teachers, mode, prompts, samples or shots)",
            fix="Give the run another name: what is in the store is not asked again.",
        )
    lock = folder.parent / f".{folder.name}.lock"
    busy = {"expected": "to be alone", "found": "another process that works on it", "fix": "Wait for it."}
    with terminating_like_ctrl_c(), ExitStack() as stack:
        session = _Session(ready, folder, store_of(config), before, progress, say, stack)
        session.open_servers()
        stack.enter_context(held(lock, of=folder, **busy))
        stack.callback(lock.unlink, missing_ok=True)
        return session.run(send=send)


def _begun(folder: Path, resume: bool) -> Teaching | None:
    if resume and (folder / TEACHING_FILE).is_file():
        return Teaching.load(folder / TEACHING_FILE)
    if not resume and (folder / TEACHING_FILE).is_file():
        raise OutputError(
            folder,
            expected="a new folder",
            found="a teaching run",
            fix="Go on with it: --resume. Or give this one another name: what is in the store is not asked again.",
        )
    require_new_folder(folder)
    return None


class _Session:
    """One call of `teach`."""

    def __init__(
        self,
        ready: Material,
        folder: Path,
        store: ReplyStore,
        before: Teaching | None,
        progress: Callable[[Progress], None],
        say: Callable[[str], None],
        stack: ExitStack,
    ) -> None:
        self.ready, self.folder, self.store = ready, folder, store
        self.config = ready.config
        self.examples = ready.rows.examples
        self.progress, self.say, self.stack = progress, say, stack
        self.teaching = self._first_record() if before is None else before
        self.opened: dict[str, Asking] = {}
        self.locked: set[str] = set()
        self.remembered: dict[str, dict[bytes, KeptRequest]] = {}
        self.is_new, self.answered = before is None, 0

    def _first_record(self) -> Teaching:
        config, rows = self.config, self.ready.rows
        data = DataPart(source=rows.name, fingerprint=rows.fingerprint, n=len(rows), dropped=rows.set_aside)
        return Teaching(
            name=config.name,
            run=uuid.uuid4().hex,
            status="running",
            asked_as=self.ready.asked_as,
            created=_now(),
            config=config.model_dump(mode="json"),
            prompts_hash=self.ready.templates.hash,
            versions=versions(),
            data=data,
            shots=[shot.id for shot in self.ready.shots.candidates[: self.ready.shots.count]],
        )

    def open_servers(self) -> None:
        """Reach all servers before any is asked; models in this process are loaded when their turn comes."""
        for teacher in self.config.teachers:
            if isinstance(teacher, ApiTeacher):
                self._open(teacher)

    def _open(self, teacher: TeacherSettings) -> Asking:
        asking = self.opened.get(teacher.name)
        if asking is None:
            self.say(f"opening {teacher.name}")
            asking = self.ready.asking(teacher)
            self.opened[teacher.name] = asking
            self.stack.callback(asking.backend.close)
        return asking

    def _be_alone_with(self, asking: Asking) -> None:
        if (model := asking.backend.model) not in self.locked:
            self.stack.enter_context(self.store.alone_with(model))
            self.locked.add(model)

    def run(self, *, send: bool) -> TeachingResult:
        for asking in self.opened.values():
            self._be_alone_with(asking)
        surveys = {name: self._survey(asking) for name, asking in self.opened.items()}
        lost = self.teaching.lost_at_most
        if self.teaching.status == "running":  # the last session was killed
            lost += self.teaching.in_flight_at_most
        ledger = Ledger(self.config.budget, lost + sum(survey.spent for survey in surveys.values()))
        rows = self.ready.rows
        self._save(
            status="running",
            lost_at_most=lost,
            in_flight_at_most=max((self._in_flight(name, there) for name, there in surveys.items()), default=0.0),
            config=self.config.model_dump(mode="json"),
            data=DataPart(source=rows.name, fingerprint=rows.fingerprint, n=len(rows), dropped=rows.set_aside),
        )
        status: Status = "finished"
        error: StoppedError | UserError | None = None
        for teacher in self.config.teachers:
            try:
                asking = self._open(teacher)
                self._be_alone_with(asking)
                ended = self._ask(asking, ledger, send=send)
                status = ended if status == "finished" else status
                if ended == "budget":
                    status = "budget"
                    break
            except (StoppedError, UserError) as caught:
                status, error = "stopped", caught
                break
        came_to_nothing = self.is_new and not self.answered and not ledger.spent
        if isinstance(error, UserError) and came_to_nothing and not (self.folder / BATCHES_FILE).exists():
            shutil.rmtree(self.folder)  # there is nothing to go on with: a key, a model's name or a file was wrong
            raise error
        self._finish(status)
        if error is not None:
            raise error
        return TeachingResult(self.folder, self.teaching)

    def _in_flight(self, name: str, there: Accounting) -> float:
        """What a teacher's requests on their way can cost at most; batches are counted by themselves."""
        asking = self.opened[name]
        most = most_cost(there.largest, getattr(asking.teacher, "max_tokens", 0), price_of(asking.teacher))
        return 0.0 if isinstance(asking.backend, BatchBackend) else most * asking.backend.concurrent

    def _survey(self, asking: Asking) -> Accounting:
        """What is there of this teacher, in this run and in others."""
        accounting = Accounting(asking, self.teaching.run)
        for _ in accounting.passing(asking.requests(self.examples, self._lookup(asking))):
            pass
        return accounting

    def _lookup(self, asking: Asking) -> Callable[[Iterable[bytes]], Mapping[bytes, KeptRequest]]:
        if asking.backend.kept:
            return self.store.get
        remembered = self.remembered.setdefault(asking.teacher.name, {})
        return lambda keys: {key: remembered[key] for key in keys if key in remembered}

    def _ask(self, asking: Asking, ledger: Ledger, *, send: bool) -> Status:
        """Ask one teacher all that it was not asked yet; how that ended."""
        there, teacher = self._survey(asking), asking.teacher
        lookup = self._lookup(asking)

        self.answered += there.answered

        def tell(tally: Tally) -> None:
            self.answered += tally.answered > 0
            answered = there.answered + tally.answered
            spent, budget = ledger.spent, self.config.budget
            self.progress(Progress(teacher.name, there.requests, answered, tally.failed, spent, budget))

        sender = Sender(
            asking.backend,
            self.store,
            ledger,
            price_of(teacher),
            getattr(teacher, "limits", Limits()),
            self.teaching.run,
            asking.form,
            progress=tell,
            say=self.say,
            remembered=self.remembered.setdefault(teacher.name, {}),
        )
        if isinstance(asking.backend, BatchBackend):
            return self._ask_in_batches(asking, asking.backend, sender, send=send)
        while send and sender.send(asking.requests(self.examples, lookup)) and asking.mode == "hint_after_error":
            pass  # what was just answered wrongly is asked again with a hint
        return "budget" if sender.tally.out_of_budget else "finished"

    def _ask_in_batches(self, asking: Asking, backend: BatchBackend, sender: Sender, *, send: bool) -> Status:
        batching = Batching(backend, sender, self.folder, asking.teacher.name, self.say)
        lookup = self._lookup(asking)
        batching.collect(asking.requests(self.examples, lookup))
        fits = not send or batching.submit(asking.requests(self.examples, lookup), self.teaching.run)
        return "waiting" if batching.on_their_way else "finished" if fits else "budget"

    def _finish(self, status: Status) -> None:
        """Write the files from what the store has, whatever was asked in this session."""
        self.say("writing")
        accounts, parts = [], []
        for number, asking in enumerate(self.opened[t.name] for t in self.config.teachers if t.name in self.opened):
            accounting = Accounting(asking, self.teaching.run)
            rows = accounting.passing(asking.requests(self.examples, self._lookup(asking)))
            part = self.folder / f".{number}.part"
            write_rows(part, map(asking.answer, rows))
            accounts.append(accounting.account())
            parts.append(part)
        write_answers(self.folder, self.examples, parts)
        filtering = write_filtered(
            self.folder / ANSWERS_FILE, self.folder, self.examples, self.config.task, self.config.filters, self.say
        )
        self._save(
            status=status,
            finished=_now(),
            teachers=accounts,
            without_label=self._without_label(),
            in_flight_at_most=0.0,
            **counts_of(filtering),
        )
        write_card(self.folder, self.teaching, self.examples, filtering)

    def _without_label(self) -> int:
        askings = list(self.opened.values())
        return (
            0
            if not askings
            else sum(not any(asking.questions(example) for asking in askings) for example in self.examples)
        )

    def _save(self, **changes: object) -> None:
        self.teaching = self.teaching.model_copy(update=changes)
        self.teaching.save(self.folder / TEACHING_FILE)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
