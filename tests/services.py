"""A real service for the tests: the command in a process of its own, on loopback, at a free port."""

from __future__ import annotations

import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

import reasondistill as rd
from forked import Forked
from packaging_helpers import calibration
from reasondistill.exporting import export, load_sample
from reasondistill.runs import Run
from reasondistill.serving import Client
from reasondistill.students.calibration import checkpoint_fingerprint
from reasondistill.students.package.manifest import Quantization
from trainings import training_config

EXAMPLE = {"premise": "A man is asleep.", "hypothesis": "A man is swimming."}
STARTING = 120


def until(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait for a condition; asks again every twentieth of a second."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} within {seconds} seconds"
        time.sleep(0.05)


class Running:
    """A service that listens, its address, and what it has logged."""

    def __init__(self, process: Forked, url: str) -> None:
        self.process, self.url = process, url
        self.port = int(url.rpartition(":")[2])
        self.log: list[str] = []
        self.http = httpx.Client(base_url=url, timeout=60, limits=httpx.Limits(max_connections=200))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stderr:
            self.log.append(line)

    def client(self, **options: object) -> Client:
        return Client(self.url, **options)  # type: ignore[arg-type]

    def post(self, path: str, body: object = None, **options: object) -> httpx.Response:
        return self.http.post(path, json=body, **options)  # type: ignore[arg-type]

    def get(self, path: str, **options: object) -> httpx.Response:
        return self.http.get(path, **options)  # type: ignore[arg-type]

    def raw(self, data: bytes, seconds: float = 20) -> bytes:
        """What comes back for bytes as they are, until the service closes the connection or is done with it."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            connection.sendall(data)
            with suppress(OSError):  # it has closed the connection already
                connection.shutdown(socket.SHUT_WR)
            received = b""
            try:
                while piece := connection.recv(65536):
                    received += piece
            except (TimeoutError, ConnectionResetError):
                pass
            return received

    def stop(self, how: int = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(timeout=60)


@contextmanager
def running(*words: object, seconds: float = STARTING) -> Iterator[Running]:
    """`reasondistill serve …` at a free port; killed at the end if it is still there."""
    process = Forked(["serve", *words, "--port", "0"])
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("page"):
            break
    timer.cancel()
    if not lines or not lines[-1].startswith("page"):
        process.kill()
        raise AssertionError(f"the service did not start: {lines} {process.stderr.read()}")
    try:
        yield Running(process, lines[-1].split()[-1])
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def in_a_run(package: Path, folder: Path) -> Path:
    """The package as that of a run, which knows what it learned from: 240 scenes."""
    run = Run.create(training_config(folder))
    return Path(shutil.copytree(package, run.package))


def export_scenes(folder: Path, quantization: Quantization = "float32") -> Path:
    """A package of the library's own student, with abstain thresholds, in ``folder / "package"``."""
    student = folder / "student"
    shutil.copytree(Path(rd.__file__).parent / "builtin" / "scenes", student)
    calibration(checkpoint_fingerprint(student)).save(student)
    sample = load_sample(student, None, split=None, columns=None, limit=4)
    return export(student, folder / "package", quantization=quantization, sample=sample).folder
