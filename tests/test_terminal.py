"""How commands speak: a user's text as it is, streams that are closed or full, encodings, signals, help that fits."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import reasondistill.cli
from reasondistill.cli import app, main, terminal
from reasondistill.errors import StoppedError, UserError, system_error

MARKUP = ("[/x]", "[red]no", "[bold]a[/bold]", "\\[x]", ":smile:", "[link=file:///x]y", "$x_1$", "[]", "[/]", "{name}")
HEADER = "id,premise,hypothesis,label,explanation\n"
Run = Callable[..., tuple[int, str, str]]


# --- a user's text ---


@pytest.mark.parametrize("text", MARKUP)
def test_whatever_is_shown_is_shown_as_it_is(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.table import Table

    terminal.say(text)
    terminal.fact(text, text)
    terminal.stage(text)
    table = Table(text, title=text, caption=text)
    table.add_row(text)
    terminal.wide_say(table)
    with terminal.progress(text, 1) as advance:
        advance(1)
    terminal.complain(text)
    shown = capsys.readouterr()
    assert shown.out.count(text) == 8
    assert shown.err.count(text) == 2


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("over\rwritten", "over\\rwritten"),
        ("\x07\x00\x7f\x9b31m", "\\x07\\x00\\x7f\\x9b31m"),
        ("turned \u202eround", "turned \\u202eround"),
        ("half a \ud800", "half a \\ud800"),
        ("a\tb\nc é 日本 😀 \u200f", "a\tb\nc é 日本 😀 \u200f"),
    ],
)
def test_no_text_gives_a_terminal_orders(text: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.table import Table

    assert terminal.visible(text) == shown
    terminal.say(text)
    terminal.fact("name", text)
    terminal.complain(text)
    out, err = capsys.readouterr()
    assert out == f"{shown.expandtabs(8)}\nname  {shown}\n".replace("name  a\tb", "name  a b") or shown in out
    assert err == f"{shown}\n"
    table = Table("x")
    table.add_row(text)
    terminal.say(table)
    assert not set(capsys.readouterr().out) & set("\x1b\r\x07\x00\x7f\x9b\u202e\ud800")


def test_only_one_module_makes_consoles_and_nothing_is_marked_up() -> None:
    folder = Path(reasondistill.cli.__file__).parent
    for path in [*folder.glob("*.py"), folder.parent / "quickstart.py"]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\[(bold|dim|red|yellow|/)[\w ]*\]", text), path
        if path.name != "terminal.py":
            assert "Console(" not in text, path
            assert "Progress(" not in text, path


def test_names_with_markup_come_through_whole_commands(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "500")
    data = tmp_path / "[red]no [y] :smile: $x_1$.csv"
    data.write_text(HEADER + "[/x],[bold]A man.,[/] hat,neutral,\x1b[31m[/x]\n", encoding="utf-8")
    code, out, err = run("data", "show", data)
    assert (code, err) == (0, "")
    for text in ("[red]no [y] :smile: $x_1$: 1 examples", "[bold]A man.", "[/] hat", "\\x1b[31m[/x]"):
        assert text in out
    for command in (["convert", "--out", tmp_path / "[/x].jsonl"], ["split", "--out", tmp_path / "[/y]"]):
        code, out, err = run("data", command[0], data, *command[1:])
        assert (code, err) == (0, "")
        assert "/[/" in out
    code, _, err = run("data", "show", tmp_path / "[/z].csv")
    assert code == 2
    assert "[/z].csv: expected" in err
    code, _, err = run("data", "[/x]\x1b[31m")
    assert code == 2
    assert "No such command '[/x]\\x1b[31m'" in err


# --- help ---


def groups(command: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield above, command
    for name, below in getattr(command, "commands", {}).items():
        yield from groups(below, (*above, name))


@pytest.mark.parametrize("columns", [80, 120])
def test_help_shows_every_name_whole(run: Run, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    built = get_command(app)
    monkeypatch.setattr("reasondistill.cli.commands.app", built)
    monkeypatch.setenv("COLUMNS", str(columns))
    for words, command in groups(built):
        code, out, err = run(*words, "--help")
        assert (code, err) == (0, "")
        assert max(map(len, out.splitlines())) <= columns
        for parameter in command.params:
            for name in (*parameter.opts, *parameter.secondary_opts):
                if name.startswith("-"):
                    assert re.search(rf"(?m)^  .*{re.escape(name)}(?![\w-])", out), (words, name)
        for name, below in getattr(command, "commands", {}).items():
            first = " ".join(below.get_short_help_str(1000).split())
            assert f"{name} {first}" in " ".join(out.split()), (words, name)
        assert "..." not in out.replace("]...", "").replace("}...", "")


# --- the operating system, and bugs ---


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def load(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr("reasondistill.data.load", load)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/a/[/x]"), "/a/[/x]: Permission denied. Change its"),
        (OSError(errno.ENOSPC, "No space left on device"), "input or output: No space left on device. Make room."),
        (OSError(errno.ENOSPC, "No space left", "/part", None, "/whole"), "/whole: No space left. Make room."),
        (OSError(errno.EROFS, "Read-only file system", b"/a\xff"), "/a\\udcff: Read-only file system. Name a place"),
        (OSError(errno.EIO, "Input/output error", 3), "input or output: Input/output error"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "input or output: Broken pipe"),
        (OSError("what a library says"), "input or output: what a library says"),
        (TimeoutError(), "input or output: TimeoutError"),
        (MemoryError(), "memory: there is not enough of it. Take less at once."),
    ],
)
def test_what_the_system_refuses_is_a_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, message: str
) -> None:
    failing(monkeypatch, error)
    code, out, err = run("data", "show", "scenes:6")
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, KeyError("a bug"))
    monkeypatch.setattr("sys.argv", ["reasondistill", "data", "show", "scenes:6"])
    with pytest.raises(KeyError, match="a bug"):
        main()


def test_a_mistake_has_a_traceback_for_those_who_ask(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REASONDISTILL_DEBUG", "1")
    code, _, err = run("data", "show", "absent.csv")
    assert code == 2
    assert err.startswith("Traceback")
    assert "\nerror: absent.csv: expected a data file" in err
    assert "Traceback" in run("--nothing")[2]


def test_a_system_error_is_the_users_and_names_what_the_caller_knows() -> None:
    error = system_error(OSError(errno.ENAMETOOLONG, "File name too long"), "config.yaml")
    assert isinstance(error, UserError)
    assert str(error) == "config.yaml: File name too long. Choose a shorter name."


# --- signals ---


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Puts back what a stopped command leaves of Ctrl-C to its process."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (StoppedError("stopped after step 3 of 9, which is saved"), "stopped after step 3 of 9, which is saved; "),
        (KeyboardInterrupt(), "interrupted; "),
    ],
)
def test_a_stop_says_how_the_same_command_goes_on(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: BaseException, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    config = {
        "name": "x",
        "data": {"train": {"source": "scenes:6"}},
        "student": {"kind": "scratch"},
        "training": {"max_steps": 1},
        "runs_dir": "runs",
    }
    Path("x.yaml").write_text(json.dumps(config), encoding="utf-8")
    begun: list[bool] = []

    def train(*args: object, **kwargs: object) -> None:
        if begun:
            Path("runs/x").mkdir(parents=True, exist_ok=True)
            Path("runs/x/run.json").write_text("{}", encoding="utf-8")
        raise error

    monkeypatch.setattr("reasondistill.training.train.train", train)
    # Nothing is there yet: --resume would be refused.
    assert run("train", "x.yaml") == (130, "", f"{message}the same command begins anew\n")
    begun.append(True)
    assert run("train", "x.yaml") == (130, "", f"{message}the same command with --resume goes on\n")
    assert run("train", "x.yaml", "--resume") == (130, "", f"{message}the same command goes on\n")
    Path("runs/x/run.json").unlink()
    begun.clear()  # stopped before its first step, and not kept
    assert run("train", "x.yaml", "--resume") == (130, "", f"{message}the same command without --resume begins anew\n")
    code, _, err = run("quickstart", "--out", "q")
    assert (code, err) == (130, f"{message}the same command goes on from what is there\n")
    assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL  # a second Ctrl-C has no traceback


def test_the_quickstart_names_an_option_that_it_has(run: Run, tmp_path: Path) -> None:
    (tmp_path / "scenes").mkdir()
    (tmp_path / "scenes" / "notes.txt").write_text("not to be lost", encoding="utf-8")
    code, _, err = run("quickstart", "--out", tmp_path)
    assert code == 2
    assert "scenes: expected a new or empty folder" in err
    assert "--resume" not in err
    assert "--set" not in err


# --- processes of their own: streams, encodings, Ctrl-C ---

TEXT = "é 日本 😀"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "data.csv"
    path.write_text(HEADER + f"a,{TEXT},A hat,neutral,[/x]\n", encoding="utf-8")
    return path


def shell(line: str, **environment: str) -> tuple[int, bytes, bytes]:
    """A shell's line, in which $R is the command."""
    command = f"R='{sys.executable} -m reasondistill.cli'; {line}"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, env=os.environ | environment, timeout=300)
    assert b"Traceback" not in done.stdout + done.stderr
    assert b"Exception ignored" not in done.stdout + done.stderr
    return done.returncode, done.stdout, done.stderr


needs_dev_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")


@needs_dev_full
def test_streams_that_cannot_be_written_to(table: Path) -> None:
    closed = b"error: standard output: expected a place to write to, found closed."
    full = b"error: standard output: expected a place to write to, found No space left on device."
    for redirected, message in ((">&-", closed), (">/dev/full", full)):
        code, _, err = shell(f"$R data show {table} {redirected}")
        assert code == 2
        assert err.startswith(message)
    assert shell("$R --help >/dev/full")[0] == 2
    for redirected in ("2>&- >&-", "2>/dev/full"):
        assert shell(f"$R data show absent.csv {redirected}") == (2, b"", b"")


def test_a_reader_that_goes_away_ends_no_work(tmp_path: Path) -> None:
    rows = "\n".join(json.dumps({"id": str(i), "label": "neutral"}) for i in range(3))
    data = HEADER + "\n".join(f"{i},A man {i}.,A hat {i}.,neutral,x" for i in range(3)) + "\n"
    (tmp_path / "p.jsonl").write_text(rows, encoding="utf-8")
    (tmp_path / "d.csv").write_text(data, encoding="utf-8")
    line = f"cd {tmp_path}; {{ $R evaluate p.jsonl d.csv --out out --no-bertscore; echo $? >code; }} | true"
    assert shell(line) == (0, b"", b"")
    assert (tmp_path / "code").read_text() == "0\n"
    assert (tmp_path / "out" / "results.json").is_file()


@pytest.mark.parametrize(
    "environment",
    [{"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
)
def test_an_encoding_that_lacks_a_character(table: Path, environment: dict[str, str]) -> None:
    code, out, err = shell(f"$R data show {table} --json; $R data show {table}; $R data show 日本.csv", **environment)
    assert code == 2
    assert b"\\u65e5\\u672c \\U0001f600" in out
    assert err.startswith(b"error: ")
    assert not set(err) - set(range(32, 127)) - {10}
    shown, end, _ = out.partition(b"\n}\n")
    assert json.loads((shown + end).decode("latin-1"))["sample"][0]["fields"]["premise"] == TEXT


def last_step(run: Path) -> int:
    """The last step that a run has logged, 0 before its first."""
    log = run / "metrics.jsonl"
    return (
        max(map(int, re.findall(r'"step": (\d+)', log.read_text(encoding="utf-8"))), default=0) if log.exists() else 0
    )


def stopped(folder: Path, after: int, times: int) -> tuple[int, str]:
    """Start the quickstart, and send it SIGINT, so many times, as soon as it has logged a later step."""
    errors = folder / "stderr"
    with errors.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "reasondistill.cli", "quickstart"],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=stream,
        )
        try:
            while process.poll() is None and last_step(folder / "quickstart" / "scenes") <= after:
                time.sleep(0.1)
            for _ in range(times):
                process.send_signal(signal.SIGINT)
                time.sleep(0.3)
            process.wait(timeout=300)
        finally:
            process.kill()
    return process.returncode, errors.read_text()


@pytest.mark.slow  # three processes import torch and train
def test_a_stopped_quickstart_goes_on_when_its_advice_is_followed(tmp_path: Path) -> None:
    step = 0
    for _ in range(2):
        code, err = stopped(tmp_path, step, 1)
        assert code == 130
        assert "Traceback" not in err
        assert "--resume" not in err
        message = re.search(r"stopped after step (\d+) of \d+, which is saved; the same command goes on", err)
        assert message is not None, err
        assert int(message[1]) > step
        step = int(message[1])
    code, err = stopped(tmp_path, step, 2)  # a second Ctrl-C stops at once
    assert code in (130, -signal.SIGINT)
    assert "Traceback" not in err
