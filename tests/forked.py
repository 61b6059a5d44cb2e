"""Commands in processes of their own that begin at once: forked from one that has imported what takes seconds to.

They are processes like any other: they have an id, take signals and limits, can be killed, and are read by pipes. But
nothing is imported anew. Tests of how a command is begun, and of what it imports, begin Python.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    [
        "reasondistill.cli.commands",
        "reasondistill.training.train",
        "reasondistill.exporting",
        "reasondistill.serving.application",
        "transformers.models.t5.modeling_t5",
        "uvicorn",
    ]
)


class Forked:
    """`reasondistill` with these words, shown as `subprocess.Popen` shows a process."""

    def __init__(self, words: Sequence[object], limit_file_size: int | None = None) -> None:
        (out, writes_out), (err, writes_err) = SERVER.Pipe(duplex=False), SERVER.Pipe(duplex=False)
        begun = ([*map(str, words)], dict(os.environ), str(Path.cwd()), limit_file_size)
        self._process = SERVER.Process(target=_begin, args=(*begun, writes_out, writes_err))
        self._process.start()
        for end in (writes_out, writes_err):
            end.close()
        self.stdout, self.stderr = (_text(connection.fileno()) for connection in (out, err))
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if (status := self._process.exitcode) is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0.0)
        return status

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        with ThreadPoolExecutor(2) as readers:
            said = [readers.submit(stream.read) for stream in (self.stdout, self.stderr)]
            try:
                out, err = (of_stream.result(timeout) for of_stream in said)
            except TimeoutError:
                self.kill()
                raise
        self.wait(timeout)
        return out, err

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it may have ended since, or the server has not said so yet
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _text(descriptor: int) -> IO[str]:
    return os.fdopen(os.dup(descriptor), encoding="utf-8", errors="replace")


def _begin(
    words: list[str],
    environment: dict[str, str],
    folder: str,
    limit_file_size: int | None,
    out: Connection,
    err: Connection,
) -> None:
    for connection, descriptor in ((out, 1), (err, 2)):
        os.dup2(connection.fileno(), descriptor)
        connection.close()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    if limit_file_size is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then writing fails with an error, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_file_size, limit_file_size))
    sys.argv = ["reasondistill", *words]
    from reasondistill.cli.commands import main

    main()
