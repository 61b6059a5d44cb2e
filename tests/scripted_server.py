"""A server on loopback that speaks OpenAI's protocol as a test scripts it, and keeps what it was sent."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from reasondistill.teachers.filters.registered_filters import known_filters

NO_FILTERS: dict[str, Any] = {
    "use": {kind.name: False for kind in known_filters() if not kind.required},
    "unexplained": "drop",
}
"""For tests of how teachers are asked: all that can be used is accepted."""

LABELS = ("entailment", "neutral", "contradiction")


@dataclass
class Sent:
    """A request as it came: ``number`` is how often the same body came before."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str]
    number: int
    at: float

    @property
    def question(self) -> str:
        """The last message, which differs from row to row."""
        messages = self.body.get("messages") or self.body.get("input") or [{"content": self.body.get("prompt", "")}]
        return str(messages[-1]["content"])

    @property
    def digest(self) -> int:
        return int(hashlib.sha256(json.dumps(self.body, sort_keys=True).encode()).hexdigest()[:12], 16)


@dataclass
class Reply:
    """What to answer: a status with a body, after a while, or a connection that breaks off."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    raw: bytes | None = None
    broken: bool = False


Script = Callable[[Sent], Reply]


def answer_text(sent: Sent, **changes: Any) -> str:
    """JSON with what the request's schema asks for, the same for the same request."""
    form = sent.body.get("response_format") or {}
    properties = form["json_schema"]["schema"]["properties"] if form else {"explanation": {}, "label": {}}
    values = {"label": LABELS[sent.digest % 3], "explanation": f"Because of {sent.digest % 9973}, as it says."}
    return json.dumps({name: values[name] for name in properties} | changes)


def completion(sent: Sent, text: str | None = None, **changes: Any) -> Reply:
    """A chat completion; ``finish_reason``, ``usage`` and others can be changed."""
    text = answer_text(sent) if text is None else text
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    choice["finish_reason"] = changes.pop("finish_reason", "stop")
    body = {
        "id": f"chatcmpl-{sent.digest:x}-{sent.number}",
        "object": "chat.completion",
        "created": 1,
        "model": sent.body["model"],
        "system_fingerprint": "fp_1",
        "choices": [choice],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
    }
    return Reply(body | changes)


class Batches:
    """The batch API: what is uploaded is answered by a script, once `finish` is called.

    Attributes:
        made: batches, in order, as the server shows them.
        files: their content, by id.
        break_off: drop the connection instead of saying that the next batch was made.
    """

    def __init__(self, script: Script = completion) -> None:
        self.script = script
        self.made: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.break_off = False

    def post(self, handler: Any) -> None:
        raw = handler.rfile.read(int(handler.headers["content-length"]))
        if handler.path.endswith("/files"):
            boundary = handler.headers["content-type"].partition("boundary=")[2].encode()
            parts = [part.partition(b"\r\n\r\n") for part in raw.split(b"--" + boundary)]
            name = f"file-{len(self.files)}"
            self.files[name] = next(body for head, _, body in parts if b"filename" in head).rstrip(b"\r\n")
            handler._write(200, json.dumps({"id": name, "object": "file", "purpose": "batch"}).encode(), {})
            return
        batch = json.loads(raw) | {"id": f"batch_{len(self.made)}", "object": "batch", "status": "in_progress"}
        self.made.insert(0, batch | {"output_file_id": None, "error_file_id": None, "errors": None})
        if self.break_off:
            handler.close_connection = True
            return
        handler._write(200, json.dumps(self.made[0]).encode(), {})

    def get(self, path: str) -> bytes | None:
        if "/batches" in path:
            return json.dumps({"object": "list", "data": self.made, "has_more": False}).encode()
        parts = path.split("/")
        return self.files[parts[3]] if parts[-1] == "content" else None

    def finish(self) -> None:
        """Answer all that was sent, in another order than it came, one line twice."""
        for number, batch in enumerate(self.made):
            if batch["status"] != "in_progress":
                continue
            lines: list[str] = []
            errors: list[str] = []
            for line in self.files[batch["input_file_id"]].splitlines():
                row = json.loads(line)
                reply = self.script(Sent(row["url"], row["body"], {}, 0, 0.0))
                response = {"status_code": reply.status, "request_id": "req", "body": reply.body}
                out = {"id": f"line_{len(lines)}", "custom_id": row["custom_id"], "response": response, "error": None}
                (lines if reply.status == 200 else errors).append(json.dumps(out))
            self.files[f"out-{number}"] = "\n".join([*reversed(lines), *lines[:1]]).encode()
            self.files[f"err-{number}"] = "\n".join(errors).encode()
            batch.update(status="completed", output_file_id=f"out-{number}", error_file_id=f"err-{number}")


class ScriptedServer:
    """Answers by a script; counts what it was asked and what it charged for.

    Attributes:
        answered: bodies → how often they were answered in full.
        at_once: the most requests that were on their way together.
    """

    def __init__(self, script: Script = completion) -> None:
        self.script = script
        self.batches: Batches | None = None
        self.sent: list[Sent] = []
        self.answered: Counter[str] = Counter()
        self.charged: list[Mapping[str, int]] = []
        self.at_once = 0
        self._open = 0
        self._lock = threading.Lock()
        self._seen: Counter[str] = Counter()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                body = owner.batches.get(self.path) if owner.batches is not None else None
                self._write(200, body or json.dumps({"object": "list", "data": []}).encode(), {})

            def do_POST(self) -> None:
                if owner.batches is not None:
                    owner.batches.post(self)
                else:
                    owner.handle(self)

            def log_message(self, *arguments: Any) -> None:
                pass

            def _write(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
                self.send_response(status)
                for name, value in {"content-type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *arguments: None  # type: ignore[method-assign]  # clients that were killed
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def handle(self, handler: Any) -> None:
        raw = handler.rfile.read(int(handler.headers["content-length"]))
        key = raw.decode()
        with self._lock:
            number = self._seen[key]
            self._seen[key] += 1
            self._open += 1
            self.at_once = max(self.at_once, self._open)
            sent = Sent(handler.path, json.loads(raw), dict(handler.headers.items()), number, time.monotonic())
            self.sent.append(sent)
        try:
            reply = self.script(sent)
            time.sleep(reply.delay)
            if isinstance(reply.body, dict) and "usage" in reply.body:
                with self._lock:
                    self.charged.append(reply.body["usage"])
            if reply.broken:
                handler.close_connection = True
                handler.wfile.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{"
                )
                return
            body = json.dumps(reply.body).encode() if reply.raw is None else reply.raw
            handler._write(reply.status, body, reply.headers)
            with self._lock:
                self.answered[key] += 1
        finally:
            with self._lock:
                self._open -= 1

    def cost(self, price_in: float, price_out: float) -> float:
        """What everything that was charged costs, at prices of a million tokens."""
        return sum(u["prompt_tokens"] * price_in + u["completion_tokens"] * price_out for u in self.charged) / 1e6

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def serving(script: Script = completion) -> Iterator[ScriptedServer]:
    server = ScriptedServer(script)
    server.start()
    try:
        yield server
    finally:
        server.stop()
