"""Runs in a process of its own: reads queries as JSON lines and answers each with rows, or with what went wrong.

Started as a script, without the package: it imports nothing but the standard library. Whatever a query holds, this
process can only read one database: SQLite is opened read-only, an authorizer refuses everything but reading tables,
and the operating system refuses to write files or to take more memory.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sqlite3
import sys
import time
from collections.abc import Callable

_STEPS = 2_000  # SQLite's instructions between two looks at the clock
_LONGEST_VALUE = 1_000_000  # bytes of a text or blob
_ALLOWED = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)
_REFUSED = ("load_extension", "readfile", "writefile", "edit", "fts3_tokenizer")


def _authorize(action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> int:
    if action not in _ALLOWED or (action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _REFUSED):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _open(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True, isolation_level=None)
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA query_only = ON")
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
    connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, _LONGEST_VALUE)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100)
    connection.text_factory = lambda text: text.decode("utf-8", "replace")
    connection.set_authorizer(_authorize)
    return connection


def _answer(connection: sqlite3.Connection, query: str, seconds: float, most_rows: int) -> dict[str, object]:
    end = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
    try:
        rows = connection.execute(query).fetchmany(most_rows + 1)
    except sqlite3.Error as error:
        slow = time.monotonic() > end
        return {"problem": f"stopped after {seconds:g} seconds" if slow else f"{type(error).__name__}: {error}"}
    except MemoryError:
        return {"problem": "it takes more memory than it may"}
    if len(rows) > most_rows:
        return {"problem": f"more than {most_rows:,} rows"}
    return {"rows": [[value.hex() if isinstance(value, bytes) else value for value in row] for row in rows]}


def main(write: Callable[[str], object]) -> None:
    path, seconds, most_rows, memory = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    connection = _open(path)
    with contextlib.suppress(ValueError, OSError):  # a limit that is lower already stays
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    for line in sys.stdin:
        write(json.dumps(_answer(connection, json.loads(line), seconds, most_rows)))


if __name__ == "__main__":
    main(lambda text: print(text, flush=True))
