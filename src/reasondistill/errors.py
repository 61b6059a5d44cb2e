"""Exceptions for user mistakes, in words that users know.

Each of them ends a command with exit status 2 and only its message. A message has up to four parts: where (file, line
or key), what was expected, what was found, and how to fix it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class UserError(Exception):
    """A mistake that the user can fix.

    Args:
        where: the file, ``file:line``, configuration key or argument at fault.
        expected: what would have been right.
        found: what is there instead.
        fix: what to do about it.
    """

    status = 2
    """What a command ends with."""
    agreed = False
    """Whether all processes of a training raise it: the first of them says it."""
    of_one_process = False
    """Whether one of several processes raises it, and has to say so itself."""

    def __init__(self, where: object, *, expected: str = "", found: str = "", fix: str = "", problem: str = "") -> None:
        self.where = str(where)
        self.expected, self.found, self.fix, self.problem = expected, found, fix, problem
        super().__init__(self._message())

    def _message(self) -> str:
        parts = [self.problem] if self.problem else []
        if self.expected:
            parts.append(f"expected {self.expected}")
        if self.found:
            parts.append(f"found {self.found}")
        message = f"{self.where}: {', '.join(parts)}"
        return f"{message}. {self.fix}" if self.fix else message

    def __reduce__(self) -> tuple[object, ...]:  # keyword-only arguments do not survive Exception's own pickling
        return _rebuild, (type(self), self.__dict__)


def _rebuild(kind: type[UserError], state: dict[str, str]) -> UserError:
    error = kind.__new__(kind)
    error.__dict__.update(state)
    Exception.__init__(error, error._message())
    return error


class DataError(UserError):
    """A data or predictions file does not hold what it should."""


class NoSuchSplitError(DataError):
    """A data set has no rows of the split."""


class ConfigError(UserError):
    """A configuration is invalid; all its mistakes are named at once."""

    @classmethod
    def gather(cls, where: object, problems: Iterable[str], fix: str = "") -> ConfigError:
        """One error for several mistakes, each on its own line, and below them what helps with all."""
        listed = list(problems)
        count = "1 mistake" if len(listed) == 1 else f"{len(listed)} mistakes"
        below = f"\n{fix}" if fix else ""
        return cls(where, problem="\n  - ".join([count, *listed]) + below)


class TaskError(UserError):
    """A task is not usable as described: labels that clash, fields that are missing."""


class CheckpointError(UserError):
    """A model folder or hub id is not a student that this library can use."""


class OutputError(UserError):
    """An output cannot be written where it should go, often because something is there already."""


class ParityError(UserError):
    """An exported package does not answer as its student does."""


class StoppedError(Exception):
    """A command was stopped by a signal: not a mistake, but no result either. The message says what is saved.

    The command adds how to continue.
    """


class MissingExtraError(UserError):
    """A command needs an optional part of the installation."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            what,
            problem=f"needs the extra '{extra}', which is not installed",
            fix=f'Install it with: pip install "reasondistill[{extra}]"',
        )


@contextmanager
def importing(what: str, extra: str) -> Iterator[None]:
    """Around imports of an extra's packages, which ``what`` needs.

    Raises:
        MissingExtraError: they cannot be imported.
        ImportError: a module of reasondistill cannot, which is no user's mistake.
    """
    try:
        yield
    except ImportError as error:
        if (error.name or "").partition(".")[0] == __name__.partition(".")[0]:
            raise
        raise MissingExtraError(what, extra) from error


_FIXES = {
    errno.EACCES: "Change its permissions, or name another place.",
    errno.EPERM: "Change its permissions, or name another place.",
    errno.EROFS: "Name a place that can be written to.",
    errno.ENOENT: "Check the spelling.",
    errno.ENOTDIR: "A part of the path is a file: check the spelling.",
    errno.EISDIR: "Name a file.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.ELOOP: "Repair the links in the path: they lead in a circle.",
    errno.ENOSPC: "Make room.",
    errno.EFBIG: "Make room, or raise the limit on the size of files.",
    errno.EMFILE: "Close other programs, or raise the limit on open files (ulimit -n).",
    errno.ENOMEM: "Close other programs, or process less at once.",
}


def system_error(error: OSError, where: object = None) -> UserError:
    """An error of the operating system as a `UserError`: with the path, and what to do about it.

    Args:
        where: named in the message if the error itself has no path.
    """
    path = error.filename2 if error.filename2 is not None else error.filename
    if isinstance(path, str | bytes) and path:
        where = os.fsdecode(path)
    problem = (error.strerror or str(error) or type(error).__name__).strip()
    return UserError(where or "input or output", problem=problem, fix=_FIXES.get(error.errno or 0, ""))


@contextmanager
def refused(where: object, expected: str) -> Iterator[None]:
    """Turn whatever libraries raise on unforeseen values into one sentence.

    Raises:
        CheckpointError: something was raised inside. A `UserError` passes unchanged.
    """
    try:
        yield
    except (UserError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic of tokenizers is not an Exception
        raise CheckpointError(where, expected=expected, found=first_line(error)) from error


def first_line(error: BaseException) -> str:
    """The first line of an error's message; the error's name if the message is empty."""
    lines = [line.strip() for line in str(error).strip().split("\n")]
    text = f"{lines[0]} {lines[1]}" if lines[0].endswith(":") and len(lines) > 1 else lines[0]
    text = text or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]}…"
