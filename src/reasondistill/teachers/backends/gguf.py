"""A GGUF file as a teacher: llama.cpp's own server, in this process and on loopback only."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from reasondistill.errors import CheckpointError, first_line, importing
from reasondistill.storage.files import file_fingerprint, require_file
from reasondistill.teachers.answer_formats import Parts
from reasondistill.teachers.backends.backend import BackendReply
from reasondistill.teachers.backends.chat import Chat
from reasondistill.teachers.backends.openai_client import ApiBackend
from reasondistill.teachers.teach_settings import ApiTeacher, GgufTeacher, Limits
from reasondistill.teachers.teacher_requests import TeacherRequest


class GgufBackend:
    """Asked by chat completions, with a JSON schema where the format is that."""

    at_once = 1
    kept = True

    def __init__(self, teacher: GgufTeacher) -> None:
        with importing("a GGUF file as a teacher", "local"):
            import xllamacpp
        path = require_file(teacher.file, what="a GGUF file")
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.hostnames = ["127.0.0.1"]
        params.port = 0  # any that is free
        params.n_ctx = teacher.context * teacher.concurrent
        params.n_parallel = teacher.concurrent
        params.cpuparams.n_threads = teacher.threads or os.cpu_count() or 1
        params.verbosity = -1
        try:
            self._server = xllamacpp.Server(params)
        except Exception as error:  # of C++, of any kind
            expected = "a GGUF file that llama.cpp can load"
            raise CheckpointError(path, expected=expected, found=first_line(error)) from error
        self.model = f"{Path(path).name}@{file_fingerprint(path)}"
        self.concurrent = teacher.concurrent
        self._teacher = teacher
        self._dialect = Chat()
        shown = ApiTeacher(
            name=teacher.name,
            model=self.model,
            base_url=f"{self._server.listening_address.rstrip('/')}/v1",
            key_env="REASONDISTILL_NO_KEY",
            limits=Limits(concurrent=teacher.concurrent, timeout=3600),
        )
        self._api = ApiBackend(shown, self._dialect)

    def parameters(self, sample: int, parts: Parts, labels: Sequence[str]) -> Mapping[str, object]:
        return self._dialect.parameters(self._teacher, sample, parts, labels)

    def answer(self, requests: Sequence[TeacherRequest]) -> list[BackendReply]:
        return self._api.answer(requests)

    def close(self) -> None:
        self._api.close()
