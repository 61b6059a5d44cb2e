"""Content hashes, and seals that show whether a file is as it was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path


def fingerprint(*parts: object) -> str:
    """A short content hash (16 hex digits of SHA-256) of values that JSON can hold."""
    text = json.dumps(parts, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def fingerprint_of_parts(parts: Iterable[object]) -> str:
    """The `fingerprint` of values that come one after the other and are not kept."""
    digest = hashlib.sha256(b"[")
    for place, part in enumerate(parts):
        digest.update((", " if place else "").encode())
        digest.update(json.dumps(part, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass"))
    digest.update(b"]")
    return digest.hexdigest()[:16]


def file_sha256(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def file_fingerprint(path: str | Path) -> str:
    """A short content hash (16 hex digits of SHA-256) of a file's bytes."""
    return file_sha256(path)[:16]


def seal_of(path: Path) -> dict[str, object]:
    """Size and hash of a file, by which `broken_seal` knows it again."""
    return {"bytes": path.stat().st_size, "sha256": file_sha256(path)}


def seal_of_bytes(content: bytes) -> dict[str, object]:
    """The `seal_of` a file that is yet to be written."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def broken_seal(path: Path, seal: Mapping[str, object]) -> str | None:
    """What became of a file since its seal was taken, in words; None where it is the same."""
    if not path.is_file():
        return f"{path.name} is not there"
    if path.stat().st_size != seal["bytes"]:
        return f"{path.name} has {path.stat().st_size} bytes instead of {seal['bytes']}"
    if file_sha256(path) != seal["sha256"]:
        return f"{path.name} has another content than was written"
    return None
