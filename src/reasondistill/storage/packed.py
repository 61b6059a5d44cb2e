"""Files as they are, or packed by gzip, bzip2, xz or zstd: opened the same, known by their first bytes.

A ZIP file with one file in it is one too, where its name ends in ``.zip``: workbooks are ZIP files inside.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final, TypeAlias, cast

from reasondistill.errors import DataError

UNPACK: Final = {".gz": "gunzip -c", ".bz2": "bunzip2 -c", ".xz": "xz -dc", ".zst": "zstd -dc", ".zip": "unzip -p"}
"""What a packed file's name ends in → the command that writes its content."""


class _Zstd(io.RawIOBase):
    """What is in a zstd file; going back means to unpack it anew, as it does for gzip."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._begin()

    def _begin(self) -> None:
        import pyarrow

        self._unpacked, self._place = pyarrow.input_stream(self._path, compression="zstd"), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: Any) -> int:
        content = self._unpacked.read(len(buffer))
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)

    def close(self) -> None:
        self._unpacked.close()
        super().close()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            while self.read(io.DEFAULT_BUFFER_SIZE):
                pass
        place = offset if whence == io.SEEK_SET else self._place + offset
        if place < self._place:
            self._unpacked.close()
            self._begin()
        while self._place < place and self.read(min(place - self._place, io.DEFAULT_BUFFER_SIZE)):
            pass
        return self._place


def _open_zip(stream: IO[bytes], mode: str) -> IO[bytes]:
    archive = zipfile.ZipFile(stream)
    names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    if len(names) != 1:
        few = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        raise DataError(
            getattr(stream, "name", "a ZIP file"),
            expected="a ZIP file with one file in it",
            found=f"{len(names)}: {few}" if names else "an empty one",
            fix="Unpack it, and name the file that is meant.",
        )
    return archive.open(names[0])


Opener: TypeAlias = Callable[..., object]
"""Takes a packed stream and the mode ``rb``; each library has a class of its own for what it gives."""

_BEGINNINGS: Final[dict[bytes, Opener]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"\x28\xb5\x2f\xfd": lambda stream, mode: io.BufferedReader(_Zstd(str(stream.name))),
}
_ZIP: Final = b"PK"
_BLOCK: Final = b"1AY&SY"  # of bzip2, after a digit: a text may begin with BZh
BROKEN: Final = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,  # of zipfile: encrypted, or packed in a way that it does not know
    lzma.LZMAError,
    zlib.error,
    zipfile.BadZipFile,
)


@contextlib.contextmanager
def unpacked(path: str | Path) -> Iterator[IO[bytes]]:
    """A file's content.

    Raises:
        DataError: it is packed, and torn.
    """
    path = Path(path)
    with path.open("rb") as stream:
        opened = _opener(stream)
        if opened is None:
            yield stream
            return
        with _says_torn(path):
            content = cast("IO[bytes]", opened(stream, "rb"))
        with contextlib.closing(content):
            yield cast("IO[bytes]", _Content(content, path))


def holds_packed(path: str | Path) -> bool:
    """Whether a file begins as a packed one does, whatever its name."""
    with Path(path).open("rb") as stream:
        return _opener(stream) is not None


def _opener(stream: IO[bytes]) -> Opener | None:
    """What unpacks a stream; None where it is not packed. The stream stands at its beginning before and after."""
    head = stream.read(10)
    stream.seek(0)
    if head.startswith(_ZIP) and Path(str(getattr(stream, "name", ""))).suffix.lower() == ".zip":
        return _open_zip
    opener = next((function for begin, function in _BEGINNINGS.items() if head.startswith(begin)), None)
    return None if opener is bz2.open and head[4:] != _BLOCK else opener


class _Content:
    """What is in a packed file; what its library raises over a torn one becomes a sentence."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._stream, self._path = stream, path

    def __iter__(self) -> Iterator[bytes]:
        while line := self._held(self._stream.readline):
            yield line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def read(self, size: int = -1) -> bytes:
        return self._held(lambda: self._stream.read(size))

    read1 = read

    def _held(self, read: Callable[[], bytes]) -> bytes:
        with _says_torn(self._path):
            return read()


@contextlib.contextmanager
def _says_torn(path: Path) -> Iterator[None]:
    try:
        yield
    except BROKEN as error:
        raise DataError(
            path,
            expected="a packed file that can be unpacked",
            found=f"a torn one ({error})",
            fix="Fetch or pack it again.",
        ) from error


def is_packed(path: str | Path) -> bool:
    """Whether a file's name says that it is packed."""
    return Path(path).suffix.lower() in UNPACK


def plain_suffix(path: str | Path) -> str:
    """The suffix of what is in a file: ``.csv`` of ``t.CSV.gz``."""
    path = Path(path)
    return (Path(path.stem) if is_packed(path) else path).suffix.lower()


def plain_stem(path: str | Path) -> str:
    """A file's name without its suffixes: ``t`` of ``t.csv.gz``."""
    path = Path(path)
    return Path(path.stem).stem if is_packed(path) else path.stem
