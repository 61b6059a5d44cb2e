"""Bytes on disk under the hash of what they were computed from: vectors of a text, the score of a pair.

A cache is a folder of segments. Each is an Arrow stream that is written aside, takes its name whole, and never changes
again, so that any number of processes may read and add at once. Every entry carries a checksum; one that does not hold,
like a file that cannot be read, counts as absent: what it held is computed again. Deleting the folder costs time, never
results.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
import warnings
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from reasondistill.storage.arrow_cache import CACHE_VARIABLE, cache_folder, map_table

KEY_BYTES = 16  # of SHA-256: among 2**40 texts, two share a key with a chance of 2**-49

_SCHEMA = pa.schema([("key", pa.binary(KEY_BYTES)), ("checksum", pa.uint32()), ("value", pa.large_binary())])
_SMALL = 2**22  # segments of less than 4 MiB are joined when there are many
_MANY = 32
_ABANDONED = 24 * 3600.0  # seconds after which a half-written file is that of a killed process


def content_key(*parts: str | bytes) -> bytes:
    """The key of what depends on ``parts``; their borders count."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.digest()[:KEY_BYTES]


class ContentCache:
    """Values of one kind in the cache folder (`arrow_cache.cache_folder`).

    Args:
        kind: the name of their folder.
        limit: bytes on disk; beyond it, the segments that have not been used for longest go.
    """

    def __init__(self, kind: str, limit: int) -> None:
        self.kind = kind
        self.limit = limit

    @property
    def folder(self) -> Path:
        return cache_folder() / self.kind

    def find(self, keys: Iterable[bytes]) -> dict[bytes, memoryview]:
        """The values that are there, by key, as views into mapped files."""
        missing = list(dict.fromkeys(keys))
        values: dict[bytes, memoryview] = {}
        for path in self._segments():
            if not missing:
                break
            here = _look_up(path, missing)
            if here:
                with contextlib.suppress(OSError):
                    os.utime(path)  # used: the last to go
                values.update(here)
                missing = [key for key in missing if key not in here]
        return values

    def add(self, values: Mapping[bytes, bytes]) -> None:
        """Store ``values``. If the folder cannot be written to (permissions, full disk), warn and store nothing."""
        if not values:
            return
        try:
            self._write(values)
            self._join_small()
            self._prune()
        except OSError as error:
            warnings.warn(
                f"{self.folder}: the cache cannot be written to ({error}); going on without it. "
                f"{CACHE_VARIABLE} names another folder.",
                stacklevel=2,
            )

    def _segments(self) -> list[Path]:
        """Those there now, the last used first."""
        aged = []
        with contextlib.suppress(OSError):
            for path in self.folder.glob("*.arrow"):
                with contextlib.suppress(OSError):  # another process may have removed it
                    aged.append((path.stat().st_mtime_ns, path))
        return [path for _, path in sorted(aged, reverse=True)]

    def _write(self, values: Mapping[bytes, bytes]) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        checksums = [_checksum(key, value) for key, value in values.items()]
        batch = pa.record_batch([list(values), checksums, list(values.values())], schema=_SCHEMA)
        # The name follows from the content: two processes that compute the same write the same file.
        path = self.folder / f"{content_key(*values).hex()}.arrow"
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=self.folder)
        os.close(descriptor)
        try:
            with pa.OSFile(name, "wb") as sink, pa.ipc.new_stream(sink, _SCHEMA) as writer:
                writer.write_batch(batch)
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink(missing_ok=True)
            raise
        return path

    def _join_small(self) -> None:
        """Put many small segments into one: a file for each evaluation would make looking things up slow."""
        small = [path for path in self._segments() if _size(path) < _SMALL]
        if len(small) <= _MANY:
            return
        joined: dict[bytes, bytes] = {}
        for path in small:
            joined.update((key, bytes(value)) for key, value in _all_entries(path).items())
        kept = self._write(joined) if joined else None
        for path in small:
            if path != kept:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

    def _prune(self) -> None:
        total = 0
        for path in self._segments():
            total += _size(path)
            if total > self.limit:
                with contextlib.suppress(OSError):  # on Windows, not while a process has it mapped
                    path.unlink(missing_ok=True)
        for path in self.folder.glob(".*.part"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _ABANDONED:
                    path.unlink(missing_ok=True)


def _checksum(key: bytes, value: bytes | memoryview) -> int:
    return zlib.crc32(value, zlib.crc32(key))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _open(path: Path) -> pa.Table | None:
    """A segment, or None where it cannot be read as one."""
    try:
        table = map_table(path)
        if table.schema != _SCHEMA:
            return None
        table.validate(full=True)
    except (OSError, pa.ArrowException):
        return None
    return table


def _look_up(path: Path, keys: list[bytes]) -> dict[bytes, memoryview]:
    table = _open(path)
    if table is None or not table.num_rows:
        return {}
    places = pc.index_in(pa.array(keys, pa.binary(KEY_BYTES)), value_set=table["key"])
    return _entries(
        table, {key: place for key, place in zip(keys, places.to_pylist(), strict=True) if place is not None}
    )


def _all_entries(path: Path) -> dict[bytes, memoryview]:
    table = _open(path)
    return {} if table is None else _entries(table, {key: row for row, key in enumerate(table["key"].to_pylist())})


def _entries(table: pa.Table, places: Mapping[bytes, int]) -> dict[bytes, memoryview]:
    """The values in those rows of a segment whose checksums hold."""
    checksums = table["checksum"].to_numpy()
    values = table["value"]
    entries = {}
    for key, place in places.items():
        buffer = values[place].as_buffer()
        value = memoryview(b"" if buffer is None else buffer)
        if _checksum(key, value) == checksums[place]:
            entries[key] = value
    return entries
