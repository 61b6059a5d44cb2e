"""Locks on files: one process at a time, and what is said where a file cannot be locked."""

from __future__ import annotations

from pathlib import Path

import filelock
import pytest

from reasondistill.errors import OutputError
from reasondistill.locks import held, is_held

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
