"""What `evaluate` and `teach` show of what goes on: a line for each piece of work, with a bar on terminals alone."""

from __future__ import annotations

import pytest

from reasondistill.cli import status
from reasondistill.counted import Counted, with_note

NOTED = with_note(Counted("BERTScore", 2, 4, "pairs"), "3 s left")


def _work() -> None:
    with status.status_line() as tell:
        tell("loading [red]the encoder")
        for done in (0, 2, 3):
            tell(Counted("BERTScore", done, 4, "pairs"))
        tell(NOTED)  # from further back: compared once more
        tell("looking for slices")
        tell(Counted("support", 0, 1_000))


def test_a_note_leaves_the_numbers_as_they_are() -> None:
    assert NOTED == "BERTScore: 2 of 4 pairs, 3 s left"
    assert isinstance(NOTED, Counted)
    assert (NOTED.work, NOTED.done, NOTED.total) == ("BERTScore", 2, 4)
    assert with_note("loading", "3 s left") == "loading, 3 s left"


def test_a_pipe_gets_a_line_as_long_work_ends(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _work()
    assert capsys.readouterr().err == ""  # all of it was short
    monkeypatch.setattr(status, "_WORTH_A_LINE", 0.0)
    _work()
    shown = capsys.readouterr()
    assert shown.out.splitlines() == ["loading [red]the encoder", "looking for slices"]
    assert [line.rsplit("  ", 1)[0] for line in shown.err.splitlines()] == [
        "BERTScore  4 pairs",
        "BERTScore  4 pairs",
        "support  1,000",
    ]


def test_a_terminal_keeps_a_full_bar_of_each_piece_of_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    _work()
    shown = capsys.readouterr()
    assert shown.out == ""
    last = shown.err.split("\x1b[1A")[-1]  # what stands there when all is done
    assert last.count("4/4 pairs") == 2
    assert "1,000/1,000" in last
    assert "slices" not in last
    assert "encoder" not in last
