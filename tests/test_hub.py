"""Students on the hub, against one on loopback that speaks the paths which `huggingface_hub` uses."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import model_hub
import reasondistill as rd
from reasondistill.storage.hub import is_hub_id

Script = Callable[[str], str]

ASKED = 'explain(premise="A man is asleep.", hypothesis="A man is swimming.")'


@pytest.fixture
def hub() -> Iterator[model_hub.Hub]:
    with model_hub.running() as hub:
        yield hub


@pytest.fixture
def script(hub: model_hub.Hub, tmp_path: Path) -> Script:
    """Runs Python in a process for which the hub is the one on loopback."""

    def run(code: str) -> str:
        environment = os.environ | {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",  # the hub of the test speaks Git LFS
            "NO_PROXY": "127.0.0.1",
        }
        code = f"import reasondistill as rd\ntoken = {model_hub.TOKEN!r}\n{code}"
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_a_student_goes_to_the_hub_and_comes_back(hub: model_hub.Hub, script: Script) -> None:
    printed = script(
        f"""
student = rd.Student.load("builtin:scenes")
print(student.push_to_hub("me/scenes", token=token, private=True, commit_message="The first one"))
back = rd.Student.from_pretrained("me/scenes", token=token)
assert back.fingerprint == student.fingerprint and back.task == student.task
assert back.{ASKED} == student.{ASKED}
fitted = rd.calibrate(student, rd.load_dataset("scenes:1200", split="validation"))
fitted.push_to_hub("me/scenes", token=token, revision="calibrated")
assert rd.Student.from_pretrained("me/scenes", revision="calibrated", token=token).calibration == fitted.calibration
assert rd.Student.from_pretrained("me/scenes", token=token).calibration == student.calibration
assert rd.Student.from_pretrained("me/scenes", token=token, local_files_only=True).fingerprint == student.fingerprint
for call in (
    lambda: rd.Student.from_pretrained("me/scenes", cache_dir="elsewhere"),  # not what is in the cache
    lambda: rd.Student.load("me/nothing"),
    lambda: rd.Student.from_pretrained("me/scenes", revision="absent", token=token),
    lambda: student.push_to_hub("me/scenes", token="hf_wrong"),
):
    try:
        call()
    except rd.errors.CheckpointError as error:
        print(error)
for call in (rd.Student.from_pretrained, student.push_to_hub):
    try:
        call("me/scenes", spam=1)
    except TypeError as error:
        assert "spam" in str(error)
    else:
        raise AssertionError(call)
"""
    )
    address, *errors = printed.splitlines()
    assert address.startswith(f"{hub.url}/me/scenes/commit/")
    assert len(errors) == 4
    assert all("on the hub" in error and "token=" in error for error in errors)
    assert hub.private == {"me/scenes": True}
    assert hub.messages[0] == "The first one"
    files = hub.repositories["me/scenes"]["main"]
    assert {"model.safetensors", "task.json", "seal.json", "README.md", ".gitattributes"} <= files.keys()
    assert hub.repositories["me/scenes"]["calibrated"]["calibration.json"] != files.get("calibration.json")


def test_a_path_is_not_taken_for_an_id_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    assert not is_hub_id("runs/mistyped")
    assert not is_hub_id("builtin:scenes")
    assert not is_hub_id(tmp_path / "absent")
    assert is_hub_id("me/scenes")
    with pytest.raises(rd.errors.CheckpointError, match="no such folder, and on the hub"):
        rd.Student.load("me/scenes")  # tests are offline
