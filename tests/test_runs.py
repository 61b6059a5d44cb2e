"""Runs: a folder that is begun once, added to, never overwritten, and that names what it was made with."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from make import facts_of
from reasondistill.config import Schedule, TrainConfig
from reasondistill.contracts.run import RunInfo
from reasondistill.errors import DataError, OutputError
from reasondistill.runs import Run, find_student, git_commit, hardware, list_runs, versions
from reasondistill.storage.files import read_jsonl, write_jsonl
from reasondistill.storage.layered_yaml import validate_config


def config(folder: Path, **more: Any) -> TrainConfig:
    values = {
        "name": "first",
        "runs_dir": str(folder / "runs"),
        "data": {"train": {"source": "scenes"}},
        "student": {"kind": "scratch"},
        "loss": {"alpha": {"start": 0.8, "end": 0.2}},
    }
    return validate_config(TrainConfig, values | more, where="test")


def test_a_new_run_says_what_it_depends_on(tmp_path: Path) -> None:
    asked = config(tmp_path, seed=7)
    run = Run.create(asked)
    info = json.loads((tmp_path / "runs" / "first" / "run.json").read_text(encoding="utf-8"))
    assert RunInfo.model_validate(info) == run.info()
    assert (info["schema_version"], info["name"], info["status"], info["seed"]) == (2, "first", "running", 7)
    assert info["timings"] == {}
    assert info["versions"] == versions()
    assert info["hardware"] == hardware().model_dump(exclude_unset=True)
    assert datetime.now(UTC) - datetime.fromisoformat(info["created"]) < timedelta(minutes=1)
    assert run.config() == asked
    assert run.config().loss.alpha == Schedule(start=0.8, end=0.2)


def test_paths_of_a_run(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert run.student == tmp_path / "student"
    assert run.checkpoints == tmp_path / "checkpoints"
    assert run.metrics == tmp_path / "metrics.jsonl"
    assert run.predictions("test") == tmp_path / "predictions" / "test.jsonl"
    assert run.results("test") == tmp_path / "results" / "test"


def test_a_run_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    before = (Run.create(config(tmp_path, seed=1)).folder / "run.json").read_bytes()
    with pytest.raises(
        OutputError, match=r"runs/first: expected a new run, found one that exists and was stopped before .*--set name="
    ):
        Run.create(config(tmp_path, seed=2))
    assert (tmp_path / "runs" / "first" / "run.json").read_bytes() == before
    assert Run.create(config(tmp_path, name="second")).folder.name == "second"


def test_another_folder_of_that_name_is_not_written_into(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "first"
    folder.mkdir(parents=True)
    (folder / "thesis.tex").write_text("years of work", encoding="utf-8")
    with pytest.raises(OutputError, match=r"found something that is no run\. Move it away"):
        Run.create(config(tmp_path))
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]


def test_an_empty_folder_may_become_a_run(tmp_path: Path) -> None:
    (tmp_path / "runs" / "first").mkdir(parents=True)
    assert Run.create(config(tmp_path)).info().name == "first"


def test_what_a_process_left_that_was_killed_as_it_began_is_no_run(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "first"
    folder.mkdir(parents=True)
    (folder / ".run.json.abc.part").write_text("{", encoding="utf-8")
    assert Run.create(config(tmp_path)).info().name == "first"
    assert [path.name for path in folder.iterdir()] == ["run.json"]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({}, "stopped before its first step. --resume begins it"),
        ({"stepped": True}, "found one that exists. Go on with it (--resume)"),
        ({"status": "finished", "stepped": True}, "is finished. Its student is"),
    ],
)
def test_what_is_in_the_way_of_a_run_is_said_with_what_works(tmp_path: Path, facts: dict[str, Any], said: str) -> None:
    run = Run.create(config(tmp_path))
    run.write(**facts)
    with pytest.raises(OutputError, match=re.escape(said)):
        Run.require_new(config(tmp_path))
    with run.locked(), pytest.raises(OutputError, match=r"that another process is training\. Wait for it or stop it"):
        Run.require_new(config(tmp_path))


def test_a_run_that_finishes_while_it_is_looked_at_is_not_called_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run.create(config(tmp_path))

    def ends(self: Run) -> bool:
        run.write(status="finished")
        return False

    monkeypatch.setattr(Run, "in_use", property(ends))
    assert [found["status"] for found in list_runs(run.folder.parent)] == ["finished"]


def test_facts_replace_each_other_and_timings_are_added(tmp_path: Path) -> None:
    run = Run.create(config(tmp_path))
    run.write(status="stopped", timings={"denoising": 1.5, "training": 2.0})
    run.write(status="finished", steps=3, timings={"training": 4.0})
    run.write(student={"parameters": 9})
    info = facts_of(run)
    assert info["timings"] == {"denoising": 1.5, "training": 4.0}
    assert (info["status"], info["steps"], info["student"]) == ("finished", 3, {"parameters": 9})
    assert info["config"]["name"] == "first"


def test_opening_a_run(tmp_path: Path) -> None:
    run = Run.create(config(tmp_path))
    assert Run.open(run.folder).info() == run.info()


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(DataError, match=r"expected a run folder \(with run\.json in it\), found none"):
            Run.open(folder)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"schema_version": 3}', "expected a run of schema version 1 or 2, found version 3"),
        ("{}", "expected a run of schema version 1 or 2, found version None"),
        ("[]", "expected a JSON object"),
        ('{"schema_version": 1', "expected a JSON object"),
        ("", "found an empty file"),
    ],
)
def test_a_run_of_another_form_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "run.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=re.escape(message)):
        Run.open(tmp_path)


def test_steps_that_will_be_done_again_are_forgotten(tmp_path: Path) -> None:
    run = Run(tmp_path)
    rows = [
        {"phase": "denoising", "step": 10, "loss": 4.0},
        {"phase": "denoising", "step": 300, "loss": 2.0},
        {"phase": "joint", "step": 10, "loss": 3.0},
        {"phase": "joint", "step": 20, "loss": 2.0},
        {"phase": "joint", "step": 30, "loss": 1.0},
    ]
    write_jsonl(run.metrics, rows)
    run.forget_after(20)
    assert [row for _, row in read_jsonl(run.metrics)] == rows[:4]
    run.forget_after(0)
    assert [row for _, row in read_jsonl(run.metrics)] == rows[:2]


def test_a_run_without_a_log_has_nothing_to_forget(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.forget_after(5)
    assert not run.metrics.exists()
    run.metrics.touch()
    run.forget_after(5)
    assert run.metrics.stat().st_size == 0


def test_a_student_is_found_by_its_run_and_by_its_folder(tmp_path: Path) -> None:
    run = Run.create(config(tmp_path))
    assert find_student(run.folder) == run.folder  # no student yet: its absence is named with the path as given
    run.student.mkdir()
    assert find_student(run.folder) == run.student
    assert find_student(str(run.folder)) == run.student
    assert find_student(run.student) == run.student
    other = tmp_path / "other"
    (other / "student").mkdir(parents=True)
    assert find_student(other) == other  # no run


def test_versions_are_those_installed() -> None:
    found = versions()
    assert found["python"] == platform.python_version()
    assert re.match(r"\d+\.\d+", found["reasondistill"])
    assert re.match(r"\d+\.\d+", found["numpy"])
    assert all(isinstance(version, str) and version for version in found.values())


def test_hardware_is_this_machines() -> None:
    found = hardware()
    assert found.cpu
    assert found.cores is not None
    assert 1 <= found.cores <= (os.cpu_count() or 1)
    assert found.memory_gib is None or 0.1 < found.memory_gib < 2**20


def test_the_commit_is_named_inside_a_checkout_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_commit() is None


def test_a_commit_with_changed_files_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    monkeypatch.chdir(tmp_path)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    settings = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]

    def git(*arguments: str) -> None:
        subprocess.run(["git", *settings, *arguments], check=True, capture_output=True)

    file = tmp_path / "file.txt"
    file.write_text("one", encoding="utf-8")
    git("init")
    git("add", "file.txt")
    git("commit", "--no-verify", "-m", "first")
    clean = git_commit()
    assert clean is not None
    assert re.fullmatch(r"[0-9a-f]{40,64}", clean)
    (tmp_path / "untracked.txt").write_text("not counted", encoding="utf-8")
    assert git_commit() == clean
    file.write_text("two", encoding="utf-8")
    assert git_commit() == clean + "+"
