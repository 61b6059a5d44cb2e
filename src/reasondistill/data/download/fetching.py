"""One file over HTTP, through connections that break: tried again, resumed where its hash is known, then given up.

Written on the standard library: the base install brings no HTTP client, and what is needed here is one GET with a
range. Proxies are taken from the environment (``https_proxy``, ``no_proxy``), as urllib does.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import TypedDict
from urllib.parse import urlsplit

from reasondistill.errors import OutputError, UserError

CHUNK = 1 << 16
"""Bytes read at once, at most."""

LONGEST_WAIT = 60.0
"""Seconds between two attempts, at most, whatever the server asks for."""

_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})

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


class FetchSettings(TypedDict):
    """How patient `fetch` is, and whom it tells how far it is."""

    timeout: float
    attempts: int
    delay: float
    progress: Progress | None


def fetch(
    url: str,
    part: Path,
    *,
    resume: bool,
    timeout: float = 30.0,
    attempts: int = 5,
    delay: float = 0.5,
    fix: str = "",
    progress: Progress | None = None,
) -> bool:
    """Bring a file's bytes into ``part``, completely.

    Breaks, stalls and passing errors (5xx, 429) are tried again, after waits that double.

    Args:
        resume: continue from the bytes that ``part`` holds. Only for a caller that knows the file's hash: these may be
            of another version. Without it every attempt begins anew, and the server has to say where the file ends.
        timeout: seconds without a byte after which the server counts as stalled.
        attempts: how many in a row may fail without getting any further.
        delay: seconds before the second attempt.
        fix: what the user can do if all of this fails.

    Returns:
        whether the bytes came in several pieces.

    Raises:
        AbsentError: the server has no such file, or does not hand it out.
        DownloadError: the server cannot be reached, goes on failing, or sends a web page.
        OutputError: ``part`` cannot be written.
    """
    _require_address(url)
    best, failures = _kept(part, resume), 0
    while True:
        try:
            return _attempt(url, part, resume, timeout, fix, progress)
        except _BrokenError as error:
            reached = _kept(part, resume)
            failures = 1 if reached > best else failures + 1
            best = max(best, reached)
            if failures >= attempts:
                if not resume:
                    part.unlink(missing_ok=True)
                again = f"Run it again to go on from the {reached:,} bytes in {part}. " if reached else ""
                raise DownloadError(
                    url,
                    expected="a server that sends the file",
                    found=f"{error}, {failures} times in a row",
                    fix=f"{again or 'Check the network. '}{fix}",
                ) from error
            time.sleep(min(max(delay * 2 ** (failures - 1), error.wait), LONGEST_WAIT))


def _attempt(url: str, part: Path, resume: bool, timeout: float, fix: str, progress: Progress | None) -> bool:
    """Ask once, from where ``part`` ends; True if that was not its start."""
    offset = _kept(part, resume)
    with _answer(url, part, offset, timeout, fix) as response:
        kind = response.headers.get_content_type()
        if kind in ("text/html", "application/xhtml+xml"):  # a page that says sorry, or asks to log in
            raise DownloadError(url, expected="the file", found=f"a web page ({kind})", fix=fix)
        resumed = response.status == 206
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
            part.unlink(missing_ok=True)
            raise _BrokenError("another part of the file than the one asked for")
        if response.length is None and not response.chunked and not resume:
            raise DownloadError(
                url,
                expected="a server that says how long the file is",
                found="none of Content-Length and chunks, so that a broken file would look whole",
                fix=fix,
            )
        _receive(response, part, offset if resumed else 0, timeout, progress)
    return resumed


def _answer(url: str, part: Path, offset: int, timeout: float, fix: str) -> HTTPResponse:
    request = urllib.request.Request(url, headers={"User-Agent": "reasondistill", "Accept-Encoding": "identity"})
    if offset:
        request.add_header("Range", f"bytes={offset}-")
    try:
        response: HTTPResponse = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        with error:
            status = f"the answer {error.code} {error.reason}".rstrip()
            if error.code == 416 and offset:  # nothing comes after these bytes: they are of another file, or all of it
                part.unlink()
                raise _BrokenError(status) from error
            if error.code in _TRANSIENT:
                wait = error.headers.get("Retry-After", "")
                raise _BrokenError(status, wait=float(wait) if wait.isdecimal() else 0.0) from error
            absent = error.code in (401, 403, 404, 410)
            raise (AbsentError if absent else DownloadError)(url, expected="the file", found=status, fix=fix) from error
    except (http.client.InvalidURL, ValueError) as error:
        raise DownloadError(url, expected="an address", found=str(error), fix="Check the spelling.") from error
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(url, error, timeout, fix) from error
    return response


def _receive(response: HTTPResponse, part: Path, offset: int, timeout: float, progress: Progress | None) -> None:
    expected = response.length
    total = None if expected is None else offset + expected
    reached = offset
    with _writing(part), part.open("ab" if offset else "wb") as stream:
        while total is None or reached < total:
            try:
                # read1 hands over what has come: read would wait for a full chunk, and lose it when the wait ends.
                chunk = response.read1(CHUNK if total is None else min(CHUNK, total - reached))
            except TimeoutError as error:
                raise _BrokenError(f"no byte for {timeout:g} seconds, after {reached:,}") from error
            except (OSError, http.client.HTTPException) as error:
                raise _BrokenError(f"a connection that broke off after {reached:,} bytes") from error
            if not chunk:
                break
            stream.write(chunk)
            reached += len(chunk)
            if progress is not None:
                progress(reached, total)
        stream.flush()
        os.fsync(stream.fileno())
    if total is not None and reached < total:
        raise _BrokenError(f"a connection that broke off after {reached:,} of {total:,} bytes")


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


def _require_address(url: str) -> None:
    try:
        pieces = urlsplit(url)
        usable = pieces.scheme in ("http", "https") and bool(pieces.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise DownloadError(repr(url), expected="an address that begins with https:// or http://", found=repr(url))


@contextlib.contextmanager
def _writing(part: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            part, expected="room and rights to write", found=error.strerror or str(error), fix="Make room, then go on."
        ) from error


def _kept(part: Path, resume: bool) -> int:
    """How many bytes there are to continue from."""
    return part.stat().st_size if resume and part.is_file() else 0
