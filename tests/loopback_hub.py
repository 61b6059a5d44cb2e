"""A hub on this machine, as much of it as `datasets` asks for: the files of data sets, by their ids."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

_COMMIT = "a" * 40


@contextlib.contextmanager
def loopback_hub(sets: Mapping[str, Mapping[str, bytes]]) -> Iterator[dict[str, str]]:
    """Serve data sets, as id → path → content; the value is the environment in which `datasets` asks this hub."""

    class Hub(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            path, _, query = unquote(self.path).partition("?")
            for identity, files in sets.items():
                if path.startswith(f"/api/datasets/{identity}/tree/"):
                    under = path.partition(_COMMIT)[2].strip("/")
                    return self._json(_entries(files, under, recursive="recursive=true" in query.lower()))
                if path.startswith(f"/api/datasets/{identity}"):
                    siblings = [{"rfilename": name} for name in files]
                    return self._json({"id": identity, "sha": _COMMIT, "private": False, "siblings": siblings})
                if path.startswith(f"/datasets/{identity}/resolve/"):
                    name = path.split("/resolve/")[1].partition("/")[2]
                    if name in files:
                        return self._reply(files[name], ETag=f'"{hashlib.sha1(files[name]).hexdigest()}"')
            return self._reply(b"", 404, X_Error_Code="EntryNotFound")

        do_HEAD = do_GET  # noqa: N815

        def _json(self, value: object) -> None:
            self._reply(json.dumps(value).encode(), Content_Type="application/json")

        def _reply(self, body: bytes, status: int = 200, **headers: str) -> None:
            self.send_response(status)
            for name, value in ({"X_Repo_Commit": _COMMIT} | headers).items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1"}
    finally:
        server.shutdown()
        server.server_close()


def _entries(files: Mapping[str, bytes], under: str, *, recursive: bool) -> list[dict[str, Any]]:
    begin = f"{under}/" if under else ""
    inside = {name: content for name, content in files.items() if name.startswith(begin)}
    folders = {begin + name.removeprefix(begin).partition("/")[0] for name in inside if "/" in name.removeprefix(begin)}
    shown = inside if recursive else {name: c for name, c in inside.items() if "/" not in name.removeprefix(begin)}
    return [
        *({"type": "directory", "path": name, "oid": "0" * 40} for name in sorted(folders)),
        *(
            {"type": "file", "path": name, "size": len(c), "oid": hashlib.sha1(c).hexdigest()}
            for name, c in shown.items()
        ),
    ]
