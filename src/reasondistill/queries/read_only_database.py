"""Queries to rows: each runs read-only in a process of its own, within limits of time, rows and memory."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from shlex import quote
from types import TracebackType
from typing import NamedTuple, Self

from reasondistill.errors import DataError
from reasondistill.queries.parsing import NotASelectError, asks_for_order, parse_select

Value = str | int | float | None

SECONDS = 5.0
MOST_ROWS = 10_000
MEMORY = 2**30
_GRACE = 5.0  # seconds beyond a query's own before its process is killed
_DIGITS = 6  # of numbers with a point, when rows are compared


class Outcome(NamedTuple):
    """What a query returns: its rows, or ``problem``, why there are none."""

    rows: tuple[tuple[Value, ...], ...] | None
    problem: str = ""


def _is_database(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(16).startswith(b"SQLite format 3")


class Database:
    """A SQLite file to ask. It is opened in another process, which lives until the database is closed.

    >>> with Database("geography.sqlite") as database:
    ...     database.ask("SELECT capital FROM state WHERE state_name = 'texas'").rows
    (('austin',),)

    Args:
        path: the file; it is never written to.
        seconds, most_rows, memory: of one query, and of its process in bytes.

    Raises:
        DataError: there is no such file, or it is no SQLite database.
    """

    def __init__(
        self, path: str | Path, *, seconds: float = SECONDS, most_rows: int = MOST_ROWS, memory: int = MEMORY
    ) -> None:
        self.path = Path(path)
        if not _is_database(self.path):
            raise DataError(
                path,
                expected="a SQLite database",
                found="another file" if self.path.is_file() else "no such file",
                fix="Name it with --database FILE (in a configuration, evaluation: {database: FILE}).",
            )
        for suffix in ("-wal", "-journal"):  # the file is read as it is, without what waits beside it
            beside = self.path.with_name(self.path.name + suffix)
            if beside.is_file() and beside.stat().st_size:
                raise DataError(
                    path,
                    expected="a database that holds all that was written to it",
                    found=f"{beside.name} beside it, which is not written into it yet",
                    fix="Close the programs that use it, or run: "
                    f"sqlite3 {quote(str(path))} 'PRAGMA wal_checkpoint(TRUNCATE)'",
                )
        self._limits = (seconds, most_rows, memory)
        self._process: subprocess.Popen[str] | None = None
        self._ask = cache(self._asked)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def ask(self, query: str) -> Outcome:
        """Run a query that `parse_select` takes; anything else is not run."""
        try:
            parse_select(query)
        except NotASelectError as error:
            return Outcome(None, f"not run: {error}")
        return self._ask(query)

    def _asked(self, query: str) -> Outcome:
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(query) + "\n")
            process.stdin.flush()
            with selectors.DefaultSelector() as selector:
                selector.register(process.stdout, selectors.EVENT_READ)
                line = process.stdout.readline() if selector.select(self._limits[0] + _GRACE) else ""
        except OSError:
            line = ""
        if not line:  # it hangs in one instruction, or was killed for its memory
            self.close()
            return Outcome(None, "its process was killed: it hung, or ran out of memory")
        answer = json.loads(line)
        rows = answer.get("rows")
        return Outcome(None if rows is None else tuple(map(tuple, rows)), answer.get("problem", ""))

    def _start(self) -> subprocess.Popen[str]:
        seconds, most_rows, memory = self._limits
        place = os.fspath(self.path.resolve()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(Path(__file__).with_name("worker.py")), place]
            + [str(limit) for limit in (seconds, most_rows, memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            cwd="/",
            env={},
        )
        return self._process


def same_rows(rows: Sequence[Sequence[Value]], others: Sequence[Sequence[Value]], *, ordered: bool) -> bool:
    """Whether two results are equal: as multisets of rows, or in their order."""
    plain, other = ([tuple(map(_plain, row)) for row in of] for of in (rows, others))
    return plain == other if ordered else Counter(plain) == Counter(other)


def _plain(value: Value) -> Value:
    # 3 and 3.0 are one number, and sums in another order differ in their last digits.
    return round(float(value), _DIGITS) if isinstance(value, int | float) else value


def same_result(database: Database, query: str, gold: str) -> bool | None:
    """Whether a query returns what the gold one returns, in its order where that asks for one.

    None if the gold query itself cannot be run: nothing can be said of the row.
    """
    wanted = database.ask(gold)
    if wanted.rows is None:
        return None
    given = database.ask(query)
    return given.rows is not None and same_rows(given.rows, wanted.rows, ordered=asks_for_order(gold))
