"""A small Hugging Face hub on loopback: what `huggingface_hub` asks of one to upload a folder and download it again."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

TOKEN = "hf_loopback"


class Hub(ThreadingHTTPServer):
    """Repositories as ``name → branch → path → content``; who does not show `TOKEN` is refused."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, dict[str, dict[str, bytes]]] = {}
        self.private: dict[str, bool] = {}
        self.messages: list[str] = []
        self.large: dict[str, bytes] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def commits(self, repository: str) -> dict[str, dict[str, bytes]]:
        """The branches, and the states of them by their hash."""
        branches = self.repositories[repository]
        return branches | {commit_of(files): files for files in branches.values()}


def commit_of(files: dict[str, bytes]) -> str:
    return hashlib.sha1(b"".join(name.encode() + hashlib.sha256(f).digest() for name, f in files.items())).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self, status: int, value: Any = b"", **headers: str) -> None:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _words(self) -> list[str]:
        return [unquote(word) for word in urlsplit(self.path).path.strip("/").split("/")]

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_POST(self) -> None:
        body = self._body()
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._answer(401, {"error": "Invalid username or password."})
        match self._words():
            case ["api", "repos", "create"]:
                asked = json.loads(body)
                name = f"{asked['organization']}/{asked['name']}"
                if name in self.server.repositories:
                    return self._answer(409, {"error": "exists", "url": f"{self.server.url}/{name}"})
                self.server.repositories[name] = {"main": {".gitattributes": b"*.safetensors filter=lfs\n"}}
                self.server.private[name] = asked.get("visibility") == "private"
                return self._answer(200, {"url": f"{self.server.url}/{name}"})
            case ["api", "validate-yaml"]:
                metadata = yaml.safe_load(json.loads(body)["content"].split("---")[1])
                return self._answer(200 if isinstance(metadata, dict) else 400, {"errors": [], "warnings": []})
            case ["api", "models", owner, name, "branch", branch]:
                branches = self.server.repositories[f"{owner}/{name}"]
                branches.setdefault(branch, dict(branches["main"]))
                return self._answer(200, {})
            case ["api", "models", _, _, "preupload", _]:
                files = [
                    {"path": f["path"], "uploadMode": _mode(f["path"]), "shouldIgnore": False}
                    for f in json.loads(body)["files"]
                ]
                return self._answer(200, {"files": files})
            case [_, _, "info", "lfs", "objects", "batch"]:
                objects = [
                    o | {"actions": {"upload": {"href": f"{self.server.url}/large/{o['oid']}"}}}
                    for o in json.loads(body)["objects"]
                ]
                return self._answer(200, {"transfer": "basic", "objects": objects})
            case ["api", "models", owner, name, "commit", branch]:
                return self._commit(f"{owner}/{name}", branch, body)
        return self._answer(404, {"error": self.path})

    def _commit(self, repository: str, branch: str, body: bytes) -> None:
        files = self.server.repositories[repository][branch]
        for operation in map(json.loads, body.splitlines()):
            value = operation["value"]
            if operation["key"] == "header":
                self.server.messages.append(value["summary"])
            elif operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            else:
                files[value["path"]] = self.server.large[value["oid"]]
        commit = commit_of(files)
        address = f"{self.server.url}/{repository}/commit/{commit}"
        self._answer(200, {"commitUrl": address, "commitOid": commit, "success": True})

    def do_PUT(self) -> None:
        content = self._body()
        oid = self._words()[-1]
        assert hashlib.sha256(content).hexdigest() == oid
        self.server.large[oid] = content
        self._answer(200)

    def do_GET(self) -> None:
        repository, words = "", self._words()
        if words[:2] == ["api", "models"]:
            repository, words = "/".join(words[2:4]), ["api", *words[4:]]
        elif len(words) > 3:
            repository, words = "/".join(words[:2]), words[2:]
        hidden = self.server.private.get(repository) and self.headers.get("Authorization") != f"Bearer {TOKEN}"
        if repository not in self.server.repositories or hidden:
            return self._answer(401, {"error": "not found"}, X_Error_Code="RepoNotFound")
        commits = self.server.commits(repository)
        match words:
            case ["api"] | ["api", "revision", _]:
                revision = words[-1] if len(words) > 1 else "main"
                if revision not in commits:
                    return self._answer(404, {"error": "no revision"}, X_Error_Code="RevisionNotFound")
                return self._answer(200, {"id": repository, "sha": commit_of(commits[revision]), "siblings": []})
            case ["api", "tree", revision]:
                return self._answer(200, [_entry(name, f) for name, f in commits[revision].items()])
            case ["resolve", revision, name] if name in commits[revision]:
                content = commits[revision][name]
                etag = f'"{hashlib.sha256(content).hexdigest()}"'
                return self._answer(200, content, ETag=etag, X_Repo_Commit=commit_of(commits[revision]))
        return self._answer(404, {"error": self.path}, X_Error_Code="EntryNotFound")

    def do_HEAD(self) -> None:
        self.do_GET()


def _mode(path: str) -> str:
    return "lfs" if path.endswith((".safetensors", ".bin")) else "regular"


def _entry(name: str, content: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(content)}
    entry["oid"] = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    if _mode(name) == "lfs":
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return entry


@contextmanager
def running() -> Iterator[Hub]:
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, daemon=True)
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()
