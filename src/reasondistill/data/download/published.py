"""Published data sets from their publishers, held to their hashes."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reasondistill.data.download.fetching import AbsentError, DownloadError, FetchSettings, fetch
from reasondistill.data.readers.csv_files import read_table
from reasondistill.data.readers.esnli import REQUIRED, is_esnli
from reasondistill.data.readers.esnli_hub import EXPLANATIONS, FIELDS, is_esnli_hub
from reasondistill.errors import DataError, OutputError
from reasondistill.storage.files import file_sha256, read_json, write_json
from reasondistill.storage.locks import held
from reasondistill.storage.packed import holds_packed

__all__ = ["CHECKSUMS", "SOURCES", "DownloadError", "RemoteFile", "Source", "download"]

CHECKSUMS = "checksums.json"
"""In the folder of a download: file name → its SHA-256, size in bytes, and where it came from."""

LOCK = ".download.lock"
"""In the same folder: held while a download is at work there, since two would write to the same partial file."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class RemoteFile:
    """A file that a publisher offers.

    Attributes:
        name: what it is called here.
        split: the part of the set that it belongs to.
        paths: where it lies below the base address; the second where the first is absent, and so on.
        sha256: of what has been published since the set came out; None where nobody has written that down.
    """

    name: str
    split: str
    paths: tuple[str, ...]
    sha256: str | None = None


@dataclass(frozen=True)
class Source:
    """A published set.

    Attributes:
        base_url: what the files' paths begin with.
        page: where a person finds them.
        expected: what each of them is.
        problem_of: what a file is instead, or None if it is what it should be.
    """

    base_url: str
    page: str
    files: tuple[RemoteFile, ...]
    expected: str
    problem_of: Callable[[Path], str | None]


def _no_esnli_csv(path: Path) -> str | None:
    if holds_packed(path):  # a server's compression, which would be kept as the file
        return "a compressed file"
    try:
        header, _ = read_table(path)
    except DataError as error:
        return error.found
    return None if is_esnli(header) else f"a file that begins with {','.join(header)[:60]!r}"


def _no_esnli_parquet(path: Path) -> str | None:
    with path.open("rb") as stream:
        begins = stream.read(4)
        stream.seek(max(path.stat().st_size - 4, 0))
        if begins != b"PAR1" or stream.read(4) != b"PAR1":
            return f"a file that begins with {begins!r} and not, at both ends, with b'PAR1'"
    return None if is_esnli_hub(path) else "a Parquet file that is broken or has other columns"


def _hub_file(split: str) -> RemoteFile:
    # The hub makes these files itself, and has called a set's only configuration by either name.
    paths = tuple(f"{configuration}/{split}/0000.parquet" for configuration in ("plain_text", "default"))
    return RemoteFile(f"esnli_{split}.parquet", split, paths)


SOURCES = {
    "e-snli": Source(
        base_url="https://raw.githubusercontent.com/OanaMariaCamburu/e-SNLI/master/dataset",
        page="https://github.com/OanaMariaCamburu/e-SNLI/tree/master/dataset",
        files=tuple(
            RemoteFile(name, split, (name,), sha256)
            # The hashes that TensorFlow Datasets and Hugging Face's first loader both recorded for these addresses.
            for name, split, sha256 in (
                ("esnli_train_1.csv", "train", "7311c7bc16ad9f6a9adcd116a62ef991e1803dc0d71e253ce66b975c2aba8ee5"),
                ("esnli_train_2.csv", "train", "c8827fa2ba1ef5891f077d6fafbfc2fdb6cab1271968b74257e08d3b2b3cbacc"),
                ("esnli_dev.csv", "validation", "d7a656d196eea18fd827d6f5486b00f5d4cf469dbf13a252cc211495a186bcb4"),
                ("esnli_test.csv", "test", "9269aa8075dbfed0fa8a5012eb2ac9c18a92be139671f05df897f69092592927"),
            )
        ),
        expected=f"one of e-SNLI's CSVs, with the columns {', '.join(REQUIRED)}",
        problem_of=_no_esnli_csv,
    ),
    "e-snli-hub": Source(
        base_url="https://huggingface.co/datasets/esnli/esnli/resolve/refs%2Fconvert%2Fparquet",
        page="https://huggingface.co/datasets/esnli/esnli/tree/refs%2Fconvert%2Fparquet",
        files=tuple(map(_hub_file, ("train", "validation", "test"))),
        expected=f"a Parquet file with the columns {', '.join((*FIELDS, 'label', *EXPLANATIONS))}",
        problem_of=_no_esnli_parquet,
    ),
}
"""Sets that can be fetched: ``e-snli`` is its authors' CSVs, ``e-snli-hub`` Hugging Face's Parquet copy."""


def download(
    name: str,
    out: str | Path,
    *,
    split: str | None = None,
    base_url: str | None = None,
    timeout: float = 30.0,
    attempts: int = 5,
    delay: float = 0.5,
    progress: Callable[[str, int, int | None], None] | None = None,
) -> list[Path]:
    """Fetch a published data set into a folder, and hold its files to their hashes from then on.

    A file that is there and matches is not fetched again; a file put there by hand is taken. Until a download is whole
    and is what it should be, it is called ``<file>.part``; where the file's hash is known, a broken one goes on from
    there. Each file's SHA-256 is kept in ``checksums.json`` when it comes first, and what comes later must match it.
    From the publishers' own address, the first download too is held to the hash that the file is known by, where there
    is one.

    Args:
        name: one of `SOURCES`.
        out: the folder; it is made if it is not there.
        split: only the files of this part (``train``, ``validation``, ``test``).
        base_url: a mirror, in place of the publishers' address.
        timeout, attempts, delay: as in `fetching.fetch`.
        progress: called with a file's name, the bytes that are there, and how many there will be (None: unknown).

    Returns:
        the files, in the order of the set.

    Raises:
        DownloadError: a file cannot be fetched; the message says how to get it by hand.
        DataError: a file is not what it should be, or has other bytes than those recorded.
        OutputError: the folder cannot be written to, or another download is at work in it.
    """
    source, files = _source_files(name, split)
    out = _made(Path(out))

    def obtained(file: RemoteFile) -> Path:
        kept = _Held(out, file, source, official=base_url is None)
        if not kept.is_there():
            urls = [f"{(base_url or source.base_url).rstrip('/')}/{path}" for path in file.paths]
            report = None if progress is None else lambda done, total: progress(file.name, done, total)
            kept.fetch(urls, {"timeout": timeout, "attempts": attempts, "delay": delay, "progress": report})
        return kept.target

    with held(
        out / LOCK,
        of=out,
        expected="a folder that no other download is at work in",
        found="another one",
        fix="Wait for it, or name another folder.",
    ):
        try:
            return [obtained(file) for file in files]
        finally:
            with contextlib.suppress(OSError):  # Windows removes no file that is open
                (out / LOCK).unlink()


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(folder, expected="a folder to write to", found=error.strerror or str(error)) from error
    return folder


def _source_files(name: str, split: str | None) -> tuple[Source, list[RemoteFile]]:
    source = SOURCES.get(name)
    if source is None:
        raise DataError(repr(name), expected=f"one of {', '.join(SOURCES)}", found=repr(name))
    files = [file for file in source.files if split in (None, file.split)]
    if not files:
        parts = ", ".join(dict.fromkeys(file.split for file in source.files))
        raise DataError(name, expected=f"one of the parts {parts}", found=repr(split))
    return source, files


class _Held:
    """A file in the folder, and what it is held to."""

    def __init__(self, folder: Path, file: RemoteFile, source: Source, *, official: bool) -> None:
        self.file, self.source = file, source
        self.target = folder / file.name
        self.checksums = folder / CHECKSUMS
        self.published = file.sha256 if official else None
        self.expected = self._recorded() or self.published

    def is_there(self) -> bool:
        """Whether the file is there, and as it should be."""
        if not os.path.lexists(self.target):
            return False
        if not self.target.is_file():
            raise OutputError(self.target, expected="a file, or nothing", found="something else", fix="Move it away.")
        checksum = file_sha256(self.target)
        if self.expected is not None and checksum != self.expected:
            raise DataError(
                self.target,
                expected=f"the SHA-256 {self.expected}, {self._whose()}",
                found=checksum,
                fix=f"The file was altered or is another one. Delete it to fetch it again; {self._accept(checksum)}",
            )
        if checksum != self._recorded():
            self._require_content(self.target)
            self._record(self.target, checksum, "by hand")
        return True

    def fetch(self, urls: list[str], settings: FetchSettings) -> None:
        """Fetch the file, make sure that it is the right one, record its hash, and only then give it its name."""
        part = self.target.with_name(f"{self.target.name}.part")
        for again in (True, False):
            url, joined = self._fetch_any(urls, part, settings)
            try:
                checksum = self._verified(part, url)
            except DataError:
                part.unlink()
                if joined and again:  # its pieces may be of two versions
                    continue
                raise
            self._record(part, checksum, url)
            part.replace(self.target)
            return

    def _fetch_any(self, urls: list[str], part: Path, settings: FetchSettings) -> tuple[str, bool]:
        by_hand = f"Or get it by hand from {self.source.page}, put it at {self.target}, and run this again."
        for url in urls[:-1]:
            with contextlib.suppress(AbsentError):
                return url, fetch(url, part, resume=self.expected is not None, fix=by_hand, **settings)
        return urls[-1], fetch(urls[-1], part, resume=self.expected is not None, fix=by_hand, **settings)

    def _verified(self, part: Path, url: str) -> str:
        self._require_content(part, url)
        checksum = file_sha256(part)
        if self.expected is not None and checksum != self.expected:
            raise DataError(
                url,
                expected=f"the SHA-256 {self.expected}, {self._whose()}",
                found=checksum,
                fix=f"Nothing was kept. If the publishers changed the file, {self._accept(checksum)}",
            )
        return checksum

    def _require_content(self, path: Path, where: object = None) -> None:
        if problem := self.source.problem_of(path):
            raise DataError(
                where or path, expected=self.source.expected, found=problem, fix=f"Compare it with {self.source.page}."
            )

    def _whose(self) -> str:
        return f"recorded in {self.checksums}" if self._recorded() else "by which this file is known"

    def _accept(self, checksum: str) -> str:
        if self.published is None:
            return f"to accept what is there now, delete the entry {self.file.name!r} in {self.checksums}."
        entry = f'"{self.file.name}": {{"sha256": "{checksum}"}}'
        return f"to accept what is there now, write {entry} into {self.checksums}."

    def _recorded(self) -> str | None:
        entry = self._entries().get(self.file.name)
        if entry is None:
            return None
        value = entry.get("sha256") if isinstance(entry, dict) else None
        if not isinstance(value, str) or not _SHA256.fullmatch(value):
            raise DataError(
                self.checksums,
                expected=f'"{self.file.name}": {{"sha256": 64 hexadecimal digits}}',
                found=repr(entry)[:80],
                fix="Mend the entry or delete it.",
            )
        return value

    def _record(self, path: Path, sha256: str, origin: str) -> None:
        if self._recorded() == sha256:
            return
        entry = {"sha256": sha256, "bytes": path.stat().st_size, "from": origin}
        write_json(self.checksums, dict(sorted({**self._entries(), self.file.name: entry}.items())))

    def _entries(self) -> dict[str, object]:
        return read_json(self.checksums) if self.checksums.exists() else {}
