"""Exceptions for mistakes that a user can make, in words a user knows.

Every error here ends a command with exit status 2 and its message alone. A message has up to four parts: where
(file, line or key), what was expected, what was found, and how to mend it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class UserError(Exception):
    """A mistake that the user can mend.

    Args:
        where: the file, ``file:line``, configuration key or argument at fault.
        expected: what would have been right.
        found: what is there instead.
        fix: what to do about it.
    """

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


class ConfigError(UserError):
    """A configuration does not say what it should; all its mistakes are named at once."""

    @classmethod
    def gather(cls, where: object, problems: Iterable[str]) -> ConfigError:
        """One error out of several mistakes, each on a line of its own."""
        listed = list(problems)
        count = "1 mistake" if len(listed) == 1 else f"{len(listed)} mistakes"
        return cls(where, problem="\n  - ".join([count, *listed]))


class TaskError(UserError):
    """A task is not usable as described: labels that clash, fields that are missing."""


class CheckpointError(UserError):
    """A model folder or hub id is not a student that this library can use."""


class OutputError(UserError):
    """An output cannot be written where the user asked for it, often because something is there already."""


class ParityError(UserError):
    """An exported package does not answer as the student that it was made of."""


class StoppedError(Exception):
    """A command was stopped by a signal: no mistake, but no result either. Its message says what is saved.

    How to go on depends on the command that was given, which adds it.
    """


class MissingExtraError(UserError):
    """A command needs an optional part of the installation."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            what,
            problem=f"needs the extra '{extra}', which is not installed",
            fix=f'Install it with: pip install "reasondistill[{extra}]"',
        )


_FIXES = {
    errno.EACCES: "Change its permissions, or name another place.",
    errno.EPERM: "Change its permissions, or name another place.",
    errno.EROFS: "Name a place that can be written to.",
    errno.ENOENT: "Check the spelling.",
    errno.ENOTDIR: "A part of the path is a file: check the spelling.",
    errno.EISDIR: "Name a file.",
    errno.ENAMETOOLONG: "Take a shorter name.",
    errno.ELOOP: "Mend the links on the way: they lead in a circle.",
    errno.ENOSPC: "Make room.",
    errno.EFBIG: "Make room, or raise the limit on the size of files.",
    errno.EMFILE: "Close other programs, or raise the limit on open files (ulimit -n).",
    errno.ENOMEM: "Close other programs, or take less at once.",
}


def system_error(error: OSError, where: object = None) -> UserError:
    """What the operating system refuses, as a mistake of the user's: with the path, and what to do about it.

    Args:
        where: what to name where the error itself names no path.
    """
    path = error.filename2 if error.filename2 is not None else error.filename
    if isinstance(path, str | bytes) and path:
        where = os.fsdecode(path)
    problem = (error.strerror or str(error) or type(error).__name__).strip()
    return UserError(where or "input or output", problem=problem, fix=_FIXES.get(error.errno or 0, ""))


@contextmanager
def refused(where: object, expected: str) -> Iterator[None]:
    """Say in a sentence what the libraries below stumble over, whatever they raise on values that nobody foresaw.

    Raises:
        CheckpointError: something was raised inside. Errors of the user's pass as they are.
    """
    try:
        yield
    except (UserError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic of tokenizers is no Exception
        raise CheckpointError(where, expected=expected, found=first_line(error)) from error


def first_line(error: BaseException) -> str:
    """What an error says, without what it adds below; its name where it says nothing."""
    lines = [line.strip() for line in str(error).strip().split("\n")]
    text = f"{lines[0]} {lines[1]}" if lines[0].endswith(":") and len(lines) > 1 else lines[0]
    text = text or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]}…"
