"""Locks on files: one process at a time, and what is said where a file cannot be locked."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import filelock
import pytest

from reasondistill.errors import OutputError
from reasondistill.storage.locks import held, is_held

SAID = {"expected": "nobody", "found": "somebody", "fix": "Wait."}


def test_one_holds_it_and_others_are_told(tmp_path: Path) -> None:
    file = tmp_path / "new" / "a.lock"
    assert not is_held(file, unsure=True)
    with held(file, of=tmp_path, **SAID):
        assert is_held(file, unsure=False)
        with (
            pytest.raises(OutputError, match=r"expected nobody, found somebody\. Wait\."),
            held(file, of=tmp_path, **SAID),
        ):
            pass
    assert not is_held(file, unsure=True)


def test_a_file_that_its_holder_removed_is_no_lock(tmp_path: Path) -> None:
    """Who waited for it would hold a lock that nobody else can see."""
    file = tmp_path / "a.lock"
    waits, together = threading.Event(), []

    def hold() -> None:
        waits.set()
        with held(file, of=tmp_path, **SAID):
            together.append(is_held(file, unsure=False))

    with held(file, of=tmp_path, **SAID):
        waiting = threading.Thread(target=hold)
        waiting.start()
        waits.wait(20)
        time.sleep(0.1)  # it has opened the file by now; where it has not, the test asks less
        file.unlink()
    waiting.join()
    assert together == [True]  # the lock that it held is the one that others find


def test_a_file_that_cannot_be_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.lock"
    file.touch()

    def refuse(self: object, *given: object, **named: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    assert [is_held(file, unsure=unsure) for unsure in (True, False)] == [True, False]
    with (
        pytest.raises(OutputError, match=r"a file system that locks files.*Permission denied"),
        held(file, of=file, **SAID),
    ):
        pass
