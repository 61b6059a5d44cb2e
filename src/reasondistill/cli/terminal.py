"""How commands speak: text as it is, on any terminal; standard streams that may be full, closed or of any encoding."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

from reasondistill.errors import OutputError, StoppedError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

# What moves the cursor, colours, or turns the direction of all that follows, and bytes of a name that are not UTF-8.
# A line's end and a tab may stay.
_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """``text`` with each character that a terminal would obey written out, as in ``\\x1b[31m``."""
    return _COMMANDS.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def console(*, stderr: bool = False, soft_wrap: bool = False, width: int | None = None) -> Console:
    """A console that shows every string as it is: no markup, no emoji codes, nothing that a terminal would obey.

    What is to look otherwise is a `rich.text.Text`, as `fact` makes one.
    """
    from rich.console import Console
    from rich.text import Text

    class PlainConsole(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            plain = {"emoji": False, "markup": False, "highlight": False}
            return super().render_str(visible(text), **(options | plain))

    return PlainConsole(highlight=False, stderr=stderr, soft_wrap=soft_wrap, width=width)


def say(what: object) -> None:
    """Print a string, which is shown as it is, or something that rich knows how to show, such as a table."""
    console(soft_wrap=True).print(what)


def wide_say(what: object) -> None:
    """Print a table whose cells hold sentences: folded to the terminal's width, or to 160 columns in a file."""
    terminal = console()
    console(width=terminal.width if terminal.is_terminal else 160).print(what)


def fact(name: str, value: object, *, style: str = "bold") -> None:
    """Print a name that stands out, and what it stands for."""
    from rich.text import Text

    say(Text.assemble((visible(name), style), f"  {visible(str(value))}"))


def stage(text: str) -> None:
    """Print, dimly, what is being done."""
    from rich.text import Text

    say(Text(visible(text), "dim"))


def say_json(value: object) -> None:
    """Print JSON; characters that the output's encoding lacks are written as JSON's own escapes."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2)
    print(text)


def drawn(character: str, instead: str) -> str:
    """``character``, or what to draw with where the output's encoding lacks it."""
    try:
        character.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return instead
    return character


def complain(text: str) -> None:
    """Print to standard error, if that is possible."""
    with suppress(OSError, ValueError):
        print(visible(text), file=sys.stderr, flush=True)


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error; in a file or pipe one plain line. Gives a function that takes how much is done."""
    if not console(stderr=True).is_terminal:
        complain(f"{title}: {total:,} rows")
        yield lambda done: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TimeElapsedColumn, TimeRemainingColumn

    with progress_bar(BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()) as bar:
        job = bar.add_task(visible(title), total=total)
        yield lambda done: bar.update(job, completed=done)


def progress_bar(*columns: ProgressColumn) -> Progress:
    """rich's Progress on standard error: each job's title as it is, then ``columns``."""
    from rich.progress import Progress, TextColumn

    return Progress(TextColumn("{task.description}", markup=False), *columns, console=console(stderr=True))


@contextmanager
def going_on(advice: Callable[[], str]) -> Iterator[None]:
    """Say, where a command is stopped inside, how it can go on; ``advice`` is asked then.

    Raises:
        StoppedError: a signal came.
    """
    try:
        yield
    except (StoppedError, KeyboardInterrupt) as error:
        raise StoppedError(f"{str(error) or 'interrupted'}; {advice()}") from error


class _Sink(io.RawIOBase):
    """A standard stream that never raises: after the first error nothing more is written, and the error is kept.

    So a command whose reader went away (`… | head`) or whose terminal is full does its work to the end.
    """

    def __init__(self, raw: Any, error: OSError | None = None) -> None:
        self._raw, self.error = raw, error

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._raw is not None and bool(self._raw.isatty())

    def fileno(self) -> int:
        return int(self._raw.fileno()) if self._raw is not None else super().fileno()

    def write(self, data: Any) -> int:
        if self.error is None:
            try:
                return int(self._raw.write(data) or 0)
            except OSError as error:
                self.error = error
        return len(data)


def stand_up_streams() -> Callable[[], None]:
    """Make standard output and error ones that can always be written to, whatever is said in whichever encoding.

    Only a process's own streams are replaced: not those that a caller put in their place.

    Returns:
        A function to call at the end. It raises OutputError if not all of standard output could be written and the
        reader did not just go away.
    """
    _fill_descriptors()
    sinks: dict[str, _Sink] = {}
    for name in ("stdout", "stderr"):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:
            sinks[name] = _Sink(None, OSError("closed"))
            encoding, line_buffering = "utf-8", False
        elif stream is getattr(sys, f"__{name}__") and isinstance(stream, io.TextIOWrapper):
            stream.flush()
            sinks[name] = _Sink(getattr(stream.buffer, "raw", stream.buffer))
            encoding, line_buffering = stream.encoding, stream.line_buffering
        else:
            continue
        sink = io.BufferedWriter(sinks[name])
        replaced = io.TextIOWrapper(sink, encoding, "backslashreplace", line_buffering=line_buffering)
        setattr(sys, name, replaced)

    def finish() -> None:
        sys.stdout.flush()
        error = sinks["stdout"].error if "stdout" in sinks else None
        if error is not None and not isinstance(error, BrokenPipeError):
            raise OutputError(
                "standard output",
                expected="a place to write to",
                found=error.strerror or str(error),
                fix="Not all was shown; files are written all the same. Send what you do not need to /dev/null.",
            )

    return finish


def _fill_descriptors() -> None:
    """Open what is closed of the first three: else the next file to be opened is what others take for the terminal."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
