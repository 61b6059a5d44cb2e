"""Tables on disk, keyed by what they were made from and read without being loaded into memory.

What is costly to make (examples from a large file, token ids from examples) is written once, batch by batch, as an
Arrow stream into the cache folder, under a hash of everything it depends on, and mapped into memory from there.
Deleting the folder costs time, never results.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from reasondistill.errors import OutputError, UserError
from reasondistill.storage.files import JsonObject, read_json, write_json

CACHE_VARIABLE = "REASONDISTILL_CACHE"


def cache_folder() -> Path:
    """Where tables are kept: ``$REASONDISTILL_CACHE``, else ``reasondistill`` in the user's cache folder."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "reasondistill"


class TableCache:
    """Tables of one kind in the cache folder.

    Args:
        kind: the name of their folder.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def path(self, key: str) -> Path:
        return cache_folder() / self.kind / f"{key}.arrow"

    def get(self, key: str) -> tuple[pa.Table, JsonObject] | None:
        """The table of that key with its facts; None if there is none, or if it cannot be read."""
        path = self.path(key)
        facts = path.with_suffix(".json")
        if not (path.is_file() and facts.is_file()):
            return None
        try:
            description = read_json(facts)
            # The two files are written one after the other: a table that does not match its facts is made again.
            if path.stat().st_size != description.get("bytes"):
                return None
            return map_table(path), dict(description["facts"])
        except (OSError, KeyError, TypeError, pa.ArrowException, UserError):
            return None

    def make(
        self, key: str | None, schema: pa.Schema, fill: Callable[[], tuple[Iterator[pa.RecordBatch], JsonObject]]
    ) -> tuple[pa.Table, JsonObject]:
        """Make a table and keep it under ``key``; None keeps it in memory only.

        Args:
            schema: of the batches.
            fill: returns a fresh iterator of batches, and facts that are complete once it is exhausted. If the cache
                folder cannot be written to (permissions, full disk), warns once and makes the table in memory.
        """
        if key is not None:
            try:
                return self._keep(self.path(key), schema, fill)
            except (OSError, OutputError) as error:
                warnings.warn(
                    f"{self.path(key).parent}: the cache cannot be written to ({error}); continuing without it. "
                    f"{CACHE_VARIABLE} names another folder.",
                    stacklevel=2,
                )
        batches, facts = fill()
        table = pa.Table.from_batches(list(batches), schema=schema)
        return table, facts

    def _keep(
        self, path: Path, schema: pa.Schema, fill: Callable[[], tuple[Iterator[pa.RecordBatch], JsonObject]]
    ) -> tuple[pa.Table, JsonObject]:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(descriptor)
        temporary = Path(name)
        try:
            batches, facts = fill()
            with pa.OSFile(name, "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
                for batch in batches:
                    writer.write_batch(batch)
            write_json(path.with_suffix(".json"), {"bytes": temporary.stat().st_size, "facts": facts})
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        return map_table(path), facts


def map_table(path: Path) -> pa.Table:
    """An Arrow stream's table, mapped into memory: rows are read from disk when they are used."""
    with pa.memory_map(str(path), "r") as source:
        return pa.ipc.open_stream(source).read_all()
