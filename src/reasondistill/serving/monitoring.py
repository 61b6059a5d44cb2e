"""What operators see: figures for Prometheus, and one line of JSON for each request, without its texts."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from reasondistill.contracts.service import ServedStudent

LOG: Final = logging.getLogger("reasondistill.serving")
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Monitor:
    """Counts and times; one for each service, so that two in one process do not share figures."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()

        def name(text: str) -> str:
            return f"reasondistill_{text}"

        self._requests = Counter(name("requests"), "Requests.", ["route", "status"], registry=registry)
        self._seconds = Histogram(
            name("request_seconds"), "Time to answer.", ["route"], buckets=_SECONDS, registry=registry
        )
        self._queue = Gauge(name("queue_rows"), "Examples that wait.", registry=registry)
        self._batch_rows = Histogram(name("batch_rows"), "Examples in a batch.", buckets=_ROWS, registry=registry)
        self._batch_jobs = Histogram(name("batch_jobs"), "Requests in a batch.", buckets=_ROWS, registry=registry)
        self._batch_seconds = Histogram(
            name("batch_seconds"), "Time to compute a batch.", buckets=_SECONDS, registry=registry
        )
        self._dropped = Counter(name("dropped"), "Requests not computed.", ["reason"], registry=registry)
        self._feedback = Counter(name("feedback"), "Feedback by status.", ["status"], registry=registry)
        self._student = Gauge(name("student"), "Students.", ["name", "fingerprint", "task"], registry=registry)

    def queue_changed(self, rows: int) -> None:
        self._queue.set(rows)

    def batch_done(self, rows: int, jobs: int, seconds: float) -> None:
        self._batch_rows.observe(rows)
        self._batch_jobs.observe(jobs)
        self._batch_seconds.observe(seconds)

    def dropped(self, reason: str) -> None:
        self._dropped.labels(reason).inc()

    def feedback(self, status: str) -> None:
        self._feedback.labels(status).inc()

    def answered(self, route: str, status: int, seconds: float) -> None:
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def students(self, served: list[ServedStudent]) -> None:
        """The students that are there now."""
        self._student.clear()
        for each in served:
            self._student.labels(each.name, each.fingerprint, each.task).set(1)

    def page(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self.registry)


class _JsonLines(logging.Formatter):
    """A line of JSON for each record; those of uvicorn, too."""

    def format(self, record: logging.LogRecord) -> str:
        if record.name == LOG.name:
            return record.getMessage()
        facts = {"event": record.name, "level": record.levelname, "message": record.getMessage()}
        if record.exc_info:
            facts["traceback"] = self.formatException(record.exc_info)
        return json.dumps({"time": _now(), **facts}, ensure_ascii=True)


def log_to_stderr() -> None:
    """Have this process log in lines of JSON; once is enough."""
    for name, level in ((LOG.name, logging.INFO), ("uvicorn.error", logging.WARNING)):
        logger = logging.getLogger(name)
        if not logger.handlers:
            handler = logging.StreamHandler(sys.stderr)
            handler.setFormatter(_JsonLines())
            logger.addHandler(handler)
            logger.setLevel(level)
            logger.propagate = False


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def log(event: str, **facts: object) -> None:
    """Write one line of JSON."""
    line = {"time": _now(), "event": event, **facts}
    LOG.info(json.dumps(line, ensure_ascii=True))
