"""One file over HTTP, through lines that break: resumed, retried, given up in the end, never mixed of two versions.

Written on the standard library: the base install brings no HTTP client, and what is needed here is one GET with a
range. Proxies are taken from the environment (``https_proxy``, ``no_proxy``), as urllib does.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from reasondistill.errors import OutputError, UserError
from reasondistill.storage.files import read_json, write_json

CHUNK = 1 << 16
"""Bytes read at once, at most."""

LEAST_BYTES = 1024
"""A server that sends fewer in the time limit counts as stalled, though it never falls silent."""

LONGEST_WAIT = 60.0
"""Seconds between two attempts, at most, whatever the server asks for."""

MOST_ATTEMPTS = 200
"""Attempts in all, for a server that breaks off again and again but gets on a little each time."""

_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there, and how many there will be where the server says so."""


class DownloadError(UserError):
    """A file cannot be fetched: no network, no such server, no such file, or something else in its place."""


class AbsentError(DownloadError):
    """The server is there, but not the file."""


class _BrokenError(Exception):
    """This attempt failed; another may not.

    Attributes:
        wait: seconds that the server asks for before the next attempt.
    """

    def __init__(self, what: str, *, wait: float = 0.0) -> None:
        super().__init__(what)
        self.wait = wait


@dataclass(frozen=True)
class _Origin:
    """Where the bytes of a partial file come from; kept beside it, so that they are never joined with others."""

    url: str
    etag: str | None
    total: int | None


def fetch(
    url: str,
    part: Path,
    *,
    timeout: float = 30.0,
    attempts: int = 5,
    delay: float = 0.5,
    checked: bool = False,
    fix: str = "",
    progress: Progress | None = None,
) -> bool:
    """Bring a file's bytes into ``part``, completely.

    What ``part`` already holds is gone on from, with a Range request, where the server's ETag proves that it is the
    same file still, or where the caller checks the outcome anyway. A server that answers with the whole file is
    right as well: it is taken from its start. Breaks, stalls and passing errors (5xx, 429) are tried again, after
    waits that double.

    Args:
        timeout: seconds without a byte (or with fewer than `LEAST_BYTES`) after which the server counts as stalled.
        attempts: how many in a row may fail without getting any further.
        delay: seconds before the second attempt.
        checked: the caller knows the file's hash; then the end of a file whose length the server does not say
            needs no proof here either.
        fix: what the user can do if all of this fails.

    Returns:
        whether the bytes came in several pieces.

    Raises:
        AbsentError: the server has no such file, or does not hand it out.
        DownloadError: the server cannot be reached, goes on failing, or sends a web page.
        OutputError: ``part`` cannot be written.
    """
    _require_address(url)
    best, failures, joined = _size(part), 0, False
    for _ in range(MOST_ATTEMPTS):
        try:
            return _attempt(url, part, timeout, checked, fix, progress) or joined
        except _BrokenError as error:
            reached = _size(part)
            joined = joined or reached > 0
            failures = 1 if reached > best else failures + 1
            best = max(best, reached)
            if failures >= attempts:
                raise DownloadError(
                    url,
                    expected="a server that sends the file",
                    found=f"{error}, {failures} times in a row",
                    fix=f"{_kept(part)}{fix}",
                ) from error
            # A little chance in it, so that many clients of a server that broke down do not all come back at once.
            wait = delay * 2 ** (failures - 1) * random.uniform(0.75, 1.25)
            time.sleep(min(max(wait, error.wait), LONGEST_WAIT))
    raise DownloadError(url, expected="a whole file", found=f"{MOST_ATTEMPTS} broken connections", fix=fix)


def discard(part: Path) -> None:
    """Remove a partial file and what is known of it."""
    part.unlink(missing_ok=True)
    _origin_file(part).unlink(missing_ok=True)


def settle(part: Path, target: Path) -> None:
    """Give a complete file its final name."""
    part.replace(target)
    _origin_file(part).unlink(missing_ok=True)


def _attempt(url: str, part: Path, timeout: float, checked: bool, fix: str, progress: Progress | None) -> bool:
    """Ask once, from where ``part`` ends; True if that was not its start."""
    offset, origin = _resumable(url, part, checked)
    if origin is not None and offset == origin.total:
        return True
    request = urllib.request.Request(url, headers={"User-Agent": "reasondistill", "Accept-Encoding": "identity"})
    if offset:
        request.add_header("Range", f"bytes={offset}-")
        if origin is not None and origin.etag is not None:
            request.add_header("If-Range", origin.etag)
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416 and offset and _is_whole(error.headers, offset, origin):
                return True
            raise _refused(url, error, part, offset, fix) from error
    except (http.client.InvalidURL, ValueError) as error:
        raise DownloadError(url, expected="an address", found=str(error), fix="Check the spelling.") from error
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(url, error, timeout, fix) from error
    with response:
        _require_file(url, response.headers, fix)
        resumed: bool = response.status == 206
        if resumed and not _goes_on(response.headers, offset, origin):
            discard(part)
            raise _BrokenError("another part of the file than the one asked for")
        if not resumed:
            offset = 0
            length = response.length
            if length is None and not response.chunked and not checked:
                raise DownloadError(
                    url,
                    expected="a server that says how long the file is",
                    found="none of Content-Length and chunks, so that a broken file would look whole",
                    fix=fix,
                )
            _begin(part, _Origin(url, _strong(response.headers.get("ETag")), length))
        _receive(response, part, offset, timeout, progress)
    return resumed


def _receive(response: Any, part: Path, offset: int, timeout: float, progress: Progress | None) -> None:
    expected: int | None = response.length
    total = None if expected is None else offset + expected
    received, window, in_window = 0, time.monotonic(), 0
    with _open(part) as stream:
        while expected is None or received < expected:
            try:
                # read1 hands over what has come: read would wait for a full chunk, and lose it when the wait ends.
                chunk = response.read1(CHUNK if expected is None else min(CHUNK, expected - received))
            except TimeoutError as error:
                raise _BrokenError(f"no byte for {timeout:g} seconds, after {offset + received:,}") from error
            except (OSError, http.client.HTTPException) as error:
                raise _BrokenError(f"a connection that broke off after {offset + received:,} bytes") from error
            if not chunk:
                break
            with _writing(part):
                stream.write(chunk)
            received, in_window = received + len(chunk), in_window + len(chunk)
            if progress is not None:
                progress(offset + received, total)
            if (now := time.monotonic()) - window > timeout:
                if in_window < LEAST_BYTES:
                    raise _BrokenError(f"only {in_window} bytes in {timeout:g} seconds, after {offset + received:,}")
                window, in_window = now, 0
        with _writing(part):
            stream.flush()
            os.fsync(stream.fileno())
    if expected is not None and received < expected:
        raise _BrokenError(f"a connection that broke off after {offset + received:,} of {total:,} bytes")


def _resumable(url: str, part: Path, checked: bool) -> tuple[int, _Origin | None]:
    """How many bytes of ``part`` can be gone on from, and where they come from."""
    offset = _size(part)
    if not offset:
        return 0, None
    try:
        match read_json(_origin_file(part)):
            case {"url": str(address), "etag": str() | None as etag, "total": int() | None as total}:
                origin = _Origin(address, etag, total)
            case _:
                return 0, None
    except UserError:
        return 0, None
    same = checked or (origin.url == url and origin.etag is not None)
    if not same or (origin.total is not None and offset > origin.total):
        return 0, None
    return offset, origin if origin.url == url else _Origin(url, None, origin.total)


def _goes_on(headers: Any, offset: int, origin: _Origin | None) -> bool:
    """Whether an answer of status 206 is the rest of the file that the first bytes are from."""
    match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    if match is None or match[1] is None or int(match[1]) != offset or origin is None:
        return False
    if origin.total is not None and match[3] not in ("*", str(origin.total)):
        return False
    etag = headers.get("ETag")
    return origin.etag is None or etag is None or etag == origin.etag


def _is_whole(headers: Any, offset: int, origin: _Origin | None) -> bool:
    """Whether a range that cannot be satisfied (416) means that all bytes are there."""
    match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    etag = headers.get("ETag")
    same = origin is None or origin.etag is None or etag is None or etag == origin.etag
    return match is not None and match[3] == str(offset) and same


def _refused(url: str, error: urllib.error.HTTPError, part: Path, offset: int, fix: str) -> Exception:
    status = f"the answer {error.code} {error.reason}".rstrip()
    if error.code == 416 and offset:  # more bytes than the file has: it is another one now
        discard(part)
        return _BrokenError(status)
    if error.code in _TRANSIENT:
        asked = error.headers.get("Retry-After", "")
        return _BrokenError(status, wait=float(asked) if asked.isdecimal() else 0.0)
    kind = AbsentError if error.code in (401, 403, 404, 410) else DownloadError
    return kind(url, expected="the file", found=status, fix=fix)


def _unreachable(url: str, error: Exception, timeout: float, fix: str) -> Exception:
    reason = getattr(error, "reason", error)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return DownloadError(
            url,
            expected="a server whose certificate can be verified",
            found=reason.verify_message or str(reason),
            fix=f"Install your system's certificates, or name a file of them in SSL_CERT_FILE. {fix}",
        )
    if isinstance(reason, TimeoutError):
        return _BrokenError(f"no answer for {timeout:g} seconds")
    what = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason) or repr(reason)
    return _BrokenError(f"no connection to {urlsplit(url).hostname} ({what})")


def _require_file(url: str, headers: Any, fix: str) -> None:
    kind = headers.get_content_type()
    if kind in ("text/html", "application/xhtml+xml"):  # a page that says sorry, or asks to log in
        raise DownloadError(url, expected="the file", found=f"a web page ({kind})", fix=fix)
    encoding = headers.get("Content-Encoding", "identity")
    if encoding != "identity":  # its lengths and ranges count other bytes than those that are kept
        raise DownloadError(url, expected="the file's own bytes", found=f"the encoding {encoding!r}", fix=fix)


def _require_address(url: str) -> None:
    try:
        pieces = urlsplit(url)
        usable = pieces.scheme in ("http", "https") and bool(pieces.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise DownloadError(repr(url), expected="an address that begins with https:// or http://", found=repr(url))


def _begin(part: Path, origin: _Origin) -> None:
    with _writing(part):
        discard(part)
        write_json(_origin_file(part), asdict(origin))


def _open(part: Path) -> Any:
    with _writing(part):
        return part.open("ab")


@contextlib.contextmanager
def _writing(part: Path) -> Any:
    try:
        yield
    except OSError as error:
        raise OutputError(
            part, expected="room and rights to write", found=error.strerror or str(error), fix="Make room, then go on."
        ) from error


def _strong(etag: str | None) -> str | None:
    """An ETag that stands for the exact bytes; a weak one (W/"…") may stay while they change."""
    return etag if etag is not None and etag.startswith('"') else None


def _origin_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _kept(part: Path) -> str:
    size = _size(part)
    return f"Run it again to go on from the {size:,} bytes in {part}. " if size else "Check the network. "
