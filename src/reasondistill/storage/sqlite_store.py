"""Bytes under keys in one SQLite file: vectors of a text, scores of a pair of texts, a judge's verdicts.

Any number of processes may read and write at once; a killed writer leaves the state of the last `Store.put_many`.
Every value has a checksum; a value that does not match it counts as absent. docs/design/stores.md says why SQLite, and
why not its write-ahead log.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import sqlite3
import time
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from reasondistill.errors import OutputError
from reasondistill.storage.arrow_cache import CACHE_VARIABLE
from reasondistill.storage.locks import held

T = TypeVar("T")

KEY_BYTES = 16  # of SHA-256: among 2**40 texts, two share a key with a chance of 2**-49

_TABLE = (
    "CREATE TABLE IF NOT EXISTS entries "
    "(key BLOB PRIMARY KEY, checksum INTEGER NOT NULL, used INTEGER NOT NULL, value BLOB NOT NULL)"
)
_PAGE_BYTES = 8192  # vectors of 25 KB: 4096 takes 1.3 times as long to write, 16384 takes 1.3 times the room
_HEAD = b"SQLite format 3\0"
_KEYS_AT_ONCE = 500  # in one query; old versions of SQLite take 999
_PATIENCE = 60.0  # seconds to wait for another process, which holds the file for one batch
_TOUCHED_AFTER = 3600  # seconds: precision of the time of a value's last use
_REFUSED = {  # by the system, not because of what is in the file
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOLFS,
    sqlite3.SQLITE_AUTH,
}


def content_key(*parts: str | bytes) -> bytes:
    """The key of a value that depends on ``parts``; their boundaries count."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.digest()[:KEY_BYTES]


class Store:
    """Values by key in one file. A damaged file is moved aside with a warning, and a new one started.

    Args:
        path: the file. The first `put_many` makes it, and its folder.
        limit: bytes on disk, beyond which the least recently used values are deleted. The store is then a cache, whose
            loss costs only time: writing does not wait for the disk, and an unusable file causes a warning. With None
            nothing is deleted, `put_many` returns when the values are on disk, and an unusable file is an
            `OutputError`.
    """

    def __init__(self, path: Path, limit: int | None = None) -> None:
        self.path = path
        self.limit = limit

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """The stored values, by key.

        Raises:
            OutputError: the store has no limit, and its file cannot be read.
        """
        wanted = list(dict.fromkeys(keys))
        return (self._attempt(lambda connection: self._get(connection, wanted)) if wanted else None) or {}

    def count(self) -> int:
        """How many values there are.

        Raises:
            OutputError: the store has no limit, and its file cannot be read.
        """
        return self._attempt(lambda connection: len(_all_keys(connection))) or 0

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Every value with its key, in the order in which they were first put; damaged ones are left out.

        Raises:
            OutputError: the store has no limit, and its file cannot be read.
        """
        for keys in _batches(self._attempt(_all_keys) or []):
            values = self.get_many(keys)
            yield from ((key, values[key]) for key in keys if key in values)

    def put_many(self, values: Mapping[bytes, bytes]) -> None:
        """Store ``values``: all or, if the process is killed, none.

        Raises:
            OutputError: the store has no limit, and its file cannot be written.
        """
        if values:
            self._attempt(lambda connection: self._put(connection, values), make=True)

    def _attempt(self, work: Callable[[sqlite3.Connection], T], *, make: bool = False) -> T | None:
        """The result of ``work``, on a new file if this one is damaged; None if no file can be used."""
        try:
            if make:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            inode = self._inode()
            if inode is None and not make:
                return None
            try:
                return self._connected(work)
            except sqlite3.Error as error:
                if not self._is_damaged(error):
                    raise
                self._set_aside(inode, error)
            return self._connected(work)
        except (OSError, sqlite3.Error, OutputError) as error:
            if self.limit is None:
                raise OutputError(
                    self.path,
                    expected="a file that can be read and written",
                    found=str(error),
                    fix="See that there is room for it, and that you have the rights.",
                ) from error
            warnings.warn(
                f"{self.path}: the cache cannot be used ({error}); going on without it. "
                f"{CACHE_VARIABLE} names another folder.",
                stacklevel=3,
            )
            return None

    def _inode(self) -> int | None:
        try:
            return self.path.stat().st_ino
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _connected(self, work: Callable[[sqlite3.Connection], T]) -> T:
        # A connection for each call: none is shared by threads, or inherited by a child process.
        with closing(sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None)) as connection:
            connection.text_factory = bytes  # damage can make text of a value, and text that is not UTF-8
            connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            connection.execute(f"PRAGMA synchronous = {'FULL' if self.limit is None else 'OFF'}")
            return work(connection)

    def _get(self, connection: sqlite3.Connection, keys: list[bytes]) -> dict[bytes, bytes]:
        if connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None:
            return {}  # a writer was killed before its first batch was complete
        now = int(time.time())
        values: dict[bytes, bytes] = {}
        unused: list[bytes] = []
        for some in _batches(keys):
            rows = f"FROM entries WHERE key IN ({', '.join('?' * len(some))})"
            for key, checksum, used, value in connection.execute(f"SELECT key, checksum, used, value {rows}", some):
                if isinstance(key, bytes) and isinstance(value, bytes) and checksum == _checksum(key, value):
                    values[key] = value
                    if used < now - _TOUCHED_AFTER:
                        unused.append(key)
        if self.limit is not None and unused:
            self._touch(connection, unused, now)
        return values

    def _touch(self, connection: sqlite3.Connection, keys: list[bytes], now: int) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("UPDATE entries SET used = ? WHERE key = ?", ((now, key) for key in keys))
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if self._is_damaged(error):
                raise
            # A file that may only be read serves all the same.

    def _put(self, connection: sqlite3.Connection, values: Mapping[bytes, bytes]) -> None:
        now = int(time.time())
        rows = ((key, _checksum(key, value), now, value) for key, value in values.items())
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_TABLE)
        connection.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)", rows)
        if self.limit is not None:
            _evict(connection, self.limit)
        connection.execute("COMMIT")

    def _is_damaged(self, error: sqlite3.Error) -> bool:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        if code == sqlite3.SQLITE_READONLY:  # what SQLite says of a version in the file's head that it does not know
            return os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK)
        return code & 0xFF not in _REFUSED

    def _set_aside(self, inode: int | None, error: sqlite3.Error) -> None:
        """Rename the file of that inode; another process may have done it by now."""
        lock = self.path.with_name(f"{self.path.name}.lock")
        busy = {"expected": "to be alone", "found": "a process that sets it aside", "fix": "Try again."}
        with held(lock, of=self.path, **busy):
            if self._inode() == inode:
                aside = self.path.with_name(f"{self.path.name}.damaged")
                numbers = itertools.count(2)
                while self.limit is None and aside.exists():  # what was paid for is not overwritten
                    aside = self.path.with_name(f"{self.path.name}.damaged-{next(numbers)}")
                journal = self.path.with_name(f"{self.path.name}-journal")
                if journal.exists():  # else the new file would be rolled back by the old one's journal
                    journal.replace(aside.with_name(f"{aside.name}-journal"))
                self.path.replace(aside)
                warnings.warn(
                    f"{self.path}: damaged ({error}); set aside as {aside.name}, and begun anew", stacklevel=4
                )
            lock.unlink(missing_ok=True)


def require_store(path: Path) -> Path:
    """``path``, if there is nothing yet, or a file of SQLite's: what `Store` writes to must not be a user's other file.

    Raises:
        OutputError: something else is there.
    """
    if path.exists() and not (path.is_file() and _is_sqlite(path)):
        raise OutputError(
            path, expected="a new name, or a SQLite file", found="something else", fix="Name another place."
        )
    return path


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(_HEAD)) in (b"", _HEAD)


def _all_keys(connection: sqlite3.Connection) -> list[bytes]:
    if connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None:
        return []
    return [key for (key,) in connection.execute("SELECT key FROM entries ORDER BY rowid") if isinstance(key, bytes)]


def _checksum(key: bytes, value: bytes) -> int:
    return zlib.crc32(value, zlib.crc32(key))


def _batches(keys: list[bytes]) -> Iterator[list[bytes]]:
    rest = iter(keys)
    while some := list(itertools.islice(rest, _KEYS_AT_ONCE)):
        yield some


def _evict(connection: sqlite3.Connection, limit: int) -> None:
    """Delete the tenth that was not used for longest, until the rest is within ``limit`` bytes."""

    def pragma(name: str) -> int:
        return int(connection.execute(f"PRAGMA {name}").fetchone()[0])

    while (pragma("page_count") - pragma("freelist_count")) * pragma("page_size") > limit:
        (count,) = connection.execute("SELECT count(*) FROM entries").fetchone()
        if not count:
            return
        oldest = "SELECT rowid FROM entries ORDER BY used, rowid LIMIT ?"
        connection.execute(f"DELETE FROM entries WHERE rowid IN ({oldest})", (max(1, count // 10),))
