"""Does `teach` keep to the limits that it was given, and reach them? Against a server on loopback.

    python benchmarks/teaching.py [--seconds 20] [--requests-per-minute 1200] [--tokens-per-minute 90000]

The server answers after a tenth of a second, with as many tokens as the request's own hash says (not what `teach`
estimates). Two runs: one with the limit on requests, one with that on tokens. Each prints what the server saw in a
minute, from its first request to its last, as a share of the limit. 95% to 100% is what is wanted: a real server would
refuse more.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from reasondistill.contracts.records import Example
from reasondistill.data import load_dataset
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.teachers.filters.registered_filters import known_filters
from reasondistill.teachers.teach_settings import TeachConfig
from reasondistill.teachers.teaching_run import teach

SECONDS_AN_ANSWER = 0.1


class Server(ThreadingHTTPServer):
    """Keeps when requests came, and how many tokens each took."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[float, int]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer({"object": "list", "data": []})

    def do_POST(self) -> None:
        came = time.monotonic()
        body = self.rfile.read(int(self.headers["content-length"]))
        tokens = 100 + zlib.crc32(body) % 200
        assert isinstance(self.server, Server)
        self.server.seen.append((came, tokens))
        time.sleep(SECONDS_AN_ANSWER)
        message = {"role": "assistant", "content": json.dumps({"explanation": "It says so.", "label": "neutral"})}
        usage = {"prompt_tokens": tokens - 20, "completion_tokens": 20, "total_tokens": tokens}
        self._answer({"id": str(came), "choices": [{"message": message, "finish_reason": "stop"}], "usage": usage})

    def _answer(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


def share(limits: dict[str, float], rows: int, folder: Path) -> tuple[int, float, float]:
    """Ask about ``rows`` rows: requests, and what the server saw of requests and tokens per minute."""
    server = Server()
    teacher = {"name": "t", "model": "m", "base_url": server.url, "limits": {"concurrent": 32, **limits}}
    config = validate_config(
        TeachConfig,
        {
            "name": "run",
            "teaching_dir": str(folder),
            "data": {"source": "data"},
            "teachers": [teacher],
            "filters": {"use": {kind.name: False for kind in known_filters() if not kind.required}},
        },
        where="benchmark",
    )
    examples = [Example(id=str(k), fields={"premise": f"P{k}.", "hypothesis": f"H{k}."}) for k in range(rows)]
    teach(config, data=load_dataset(examples, task="nli"))
    server.shutdown()
    times = [came for came, _ in server.seen]
    minutes = (max(times) - min(times)) / 60
    # The last request's share of time comes after it: n requests have n - 1 gaps.
    tokens = sum(tokens for _, tokens in sorted(server.seen)[:-1])
    return len(times), (len(times) - 1) / minutes, tokens / minutes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--requests-per-minute", type=float, default=1200)
    parser.add_argument("--tokens-per-minute", type=float, default=90_000)
    options = parser.parse_args()
    by_requests = int(options.requests_per_minute * options.seconds / 60)
    by_tokens = int(options.tokens_per_minute * options.seconds / 60 / 200)
    with tempfile.TemporaryDirectory() as folder:
        for name, limit, rows in (
            ("requests_per_minute", options.requests_per_minute, by_requests),
            ("tokens_per_minute", options.tokens_per_minute, by_tokens),
        ):
            count, requests, tokens = share({name: limit}, rows, Path(folder) / name)
            seen = requests if name == "requests_per_minute" else tokens
            print(f"{name} {limit:,.0f}: {count} requests, {seen:,.0f} a minute: {seen / limit:.1%} of the limit")


if __name__ == "__main__":
    main()
