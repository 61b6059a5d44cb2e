"""What a teacher was asked and what it cost, counted from the store: exact however often a run was stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from reasondistill.contracts.teacher_replies import Attempt, KeptRequest, TokenUsage
from reasondistill.contracts.teaching import TeacherAccount
from reasondistill.teachers.teacher_questions import NOT_ASKED, Asking, Kept


class Accounting:
    """Counts requests as they go by.

    Args:
        run: whose attempts are counted; those of others are only seen to have answered.
    """

    def __init__(self, asking: Asking, run: str) -> None:
        self._asking = asking
        self._run = run
        self._seen: set[bytes] = set()
        self._outcomes: Counter[str] = Counter()
        self._unanswered: Counter[str] = Counter()
        self._tokens = np.zeros(3, dtype=np.int64)
        self._seconds: list[float] = []
        self._response_ids: Counter[str] = Counter()
        self._fingerprints: dict[str, None] = {}
        self._models: dict[str, None] = {}
        self.answered = self.reused = 0
        self.largest = 0
        """Most input tokens of a request without an answer."""
        self.cost = self.cost_at_most = 0.0

    def passing(self, requests: Iterable[Kept]) -> Iterator[Kept]:
        """Count what goes by."""
        for request in requests:
            if request.request.stored_as not in self._seen:
                self._seen.add(request.request.stored_as)
                self._count(request.kept)
                if request.kept.answer is None:
                    self.largest = max(self.largest, request.request.most_input_tokens)
            yield request

    @property
    def requests(self) -> int:
        return len(self._seen)

    @property
    def spent(self) -> float:
        """What this run can have spent so far."""
        return self.cost + self.cost_at_most

    def _count(self, kept: KeptRequest) -> None:
        if (answer := kept.answer) is not None:
            self.answered += 1
            self.reused += answer.run != self._run
        else:
            self._unanswered[kept.last.problem if kept.last else NOT_ASKED] += 1
        for attempt in kept.attempts:
            if attempt.run == self._run:
                self._count_attempt(attempt)

    def _count_attempt(self, attempt: Attempt) -> None:
        self._outcomes[attempt.problem or attempt.outcome] += 1
        self.cost += attempt.cost or 0.0
        self.cost_at_most += attempt.at_most
        if attempt.usage is not None:
            self._tokens += [attempt.usage.input, attempt.usage.output, attempt.usage.cached]
        if attempt.outcome == "answered" and attempt.batch is None:
            self._seconds.append(attempt.seconds)
        if attempt.response_id is not None:
            self._response_ids[attempt.response_id] += 1
        self._fingerprints.update({attempt.system_fingerprint: None} if attempt.system_fingerprint else {})
        self._models.update({attempt.served_model: None} if attempt.served_model else {})

    def account(self) -> TeacherAccount:
        """The counts so far."""
        teacher, tokens = self._asking.teacher, self._tokens.tolist()
        return TeacherAccount(
            name=teacher.name,
            kind=teacher.kind,
            model=self._asking.backend.model,
            mode=self._asking.mode,
            license=teacher.license,
            requests=self.requests,
            answered=self.answered,
            reused=self.reused,
            attempts=self._outcomes.total(),
            outcomes=dict(sorted(self._outcomes.items())),
            unanswered=dict(sorted(self._unanswered.items())),
            usage=TokenUsage(input=tokens[0], output=tokens[1], cached=tokens[2]),
            cost=self.cost,
            cost_at_most=self.cost_at_most,
            latency=_latency(self._seconds),
            system_fingerprints=[*self._fingerprints],
            served_models=[*self._models],
            doubled_ids=sum(count - 1 for count in self._response_ids.values()),
        )


def _latency(seconds: list[float]) -> tuple[float, float] | None:
    if not seconds:
        return None
    median, high = np.percentile(seconds, [50, 95])
    return round(float(median), 4), round(float(high), 4)
