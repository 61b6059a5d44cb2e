"""Fetching published sets: from a server on this machine that breaks off, stalls, lies, or is not there at all."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reasondistill.data.download.fetching import fetch
from reasondistill.data.download.published import CHECKSUMS, SOURCES, DownloadError, RemoteFile, Source, download
from reasondistill.data.readers.esnli_hub import is_esnli_hub, read_esnli_hub
from reasondistill.errors import DataError, OutputError, UserError
from reasondistill.storage.files import file_sha256

HEADER = "pairID,gold_label,Sentence1,Sentence2,Explanation_1\n"
CSV = (HEADER + "".join(f"{n}.jpg#0,neutral,A man {n}.,A son {n}.,Not every man.\n" for n in range(4000))).encode()
PART = "esnli_dev.csv.part"


@dataclass
class Answer:
    """How the server answers one request: rightly, but for what is said here."""

    status: int | None = None
    stop_after: int | None = None
    """Break the connection off after so many bytes of the body."""
    stall_after: int | None = None
    ranges: bool = True
    body: bytes | None = None
    kind: str = "text/csv"
    length: bool = True
    chunked: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    content_range: str | None = None


class Server(ThreadingHTTPServer):
    """Gives each request the next answer of ``script``, then plain ones."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.script: list[Answer] = []
        self.always = Answer()
        self.requests: list[tuple[str, str | None]] = []
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        """A client that gave up is no error here."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.requests.append((self.path, asked))
        answer = self.server.script.pop(0) if self.server.script else self.server.always
        whole = answer.body if answer.body is not None else self.server.files.get(self.path)
        self.close_connection = True
        if answer.status is not None or whole is None:
            self.send_response(answer.status or 404)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        begin = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and answer.ranges else 0
        if begin and begin >= len(whole):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(whole)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = whole[begin:]
        self.send_response(206 if begin else 200)
        self.send_header("Content-Type", answer.kind)
        if begin:
            right = f"bytes {begin}-{len(whole) - 1}/{len(whole)}"
            self.send_header("Content-Range", answer.content_range or right)
        if answer.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif answer.length:
            self.send_header("Content-Length", str(len(body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        stop = min(x for x in (answer.stop_after, answer.stall_after, len(body)) if x is not None)
        self.send(body[:stop], answer.chunked)
        if answer.stall_after is not None:
            self.server.closing.wait(20)
        elif stop == len(body) and answer.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def send(self, body: bytes, chunked: bool) -> None:
        if body:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(body), body) if chunked else body)
            self.wfile.flush()


@pytest.fixture(autouse=True)
def _straight_to_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        running.files["/esnli_dev.csv"] = CSV
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield running
        running.closing.set()
        running.shutdown()
        thread.join()


def get(server: Server, out: Path, **changes: Any) -> list[Path]:
    settings: dict[str, Any] = {"split": "validation", "base_url": server.url, "timeout": 5.0, "delay": 0.001}
    return download("e-snli", out, **(settings | changes))


def known(out: Path) -> Path:
    """The folder, with the file's hash recorded in it: a broken download of it is resumed."""
    out.mkdir(parents=True, exist_ok=True)
    entry = {"sha256": hashlib.sha256(CSV).hexdigest()}
    (out / CHECKSUMS).write_text(json.dumps({"esnli_dev.csv": entry}), encoding="utf-8")
    return out


def recorded(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / CHECKSUMS).read_text(encoding="utf-8"))
    return found


def names(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir())


# --- what goes well ---


def test_a_file_comes_whole_with_its_hash_beside_it(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    out = tmp_path / "new" / "folder"
    (path,) = get(server, out, progress=lambda *said: seen.append(said))
    assert path == out / "esnli_dev.csv"
    assert path.read_bytes() == CSV
    assert recorded(out) == {
        "esnli_dev.csv": {
            "sha256": hashlib.sha256(CSV).hexdigest(),
            "bytes": len(CSV),
            "from": f"{server.url}/esnli_dev.csv",
        }
    }
    assert names(out) == ["checksums.json", "esnli_dev.csv"]
    assert seen[-1] == ("esnli_dev.csv", len(CSV), len(CSV))
    assert [done for _, done, _ in seen] == sorted({done for _, done, _ in seen})


def test_all_parts_come_in_order_and_only_what_is_not_there(server: Server, tmp_path: Path) -> None:
    for file in SOURCES["e-snli"].files:
        server.files[f"/{file.name}"] = HEADER.encode() + file.name.encode()
    get(server, tmp_path)
    paths = get(server, tmp_path, split=None)
    assert [p.name for p in paths] == ["esnli_train_1.csv", "esnli_train_2.csv", "esnli_dev.csv", "esnli_test.csv"]
    assert [path for path, _ in server.requests].count("/esnli_dev.csv") == 1
    assert len(server.requests) == 4
    assert list(recorded(tmp_path)) == sorted(p.name for p in paths)


def test_what_is_there_and_matches_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    get(server, tmp_path)
    server.requests.clear()
    assert get(server, tmp_path) == [tmp_path / "esnli_dev.csv"]
    assert server.requests == []


def test_a_file_put_there_by_hand_is_taken(server: Server, tmp_path: Path) -> None:
    (tmp_path / "esnli_dev.csv").write_bytes(CSV)
    get(server, tmp_path)
    assert server.requests == []
    assert recorded(tmp_path)["esnli_dev.csv"]["sha256"] == hashlib.sha256(CSV).hexdigest()
    (tmp_path / "esnli_dev.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    (tmp_path / CHECKSUMS).unlink()
    with pytest.raises(DataError, match="found a file that begins with 'a,b'"):
        get(server, tmp_path)
    assert names(tmp_path) == ["esnli_dev.csv"]


def test_an_answer_in_chunks(server: Server, tmp_path: Path) -> None:
    server.script = [Answer(chunked=True)]
    (path,) = get(server, tmp_path)
    assert path.read_bytes() == CSV


# --- what breaks ---


def test_a_broken_connection_is_resumed_where_the_hash_is_known(server: Server, tmp_path: Path) -> None:
    script = [Answer(stop_after=1000), Answer(stop_after=0), Answer(stop_after=70_000)]
    server.script = list(script)
    (path,) = get(server, known(tmp_path))
    assert path.read_bytes() == CSV
    assert [asked for _, asked in server.requests] == [None, "bytes=1000-", "bytes=1000-", "bytes=71000-"]
    server.requests.clear()
    server.script = [*script, Answer(body=CSV.replace(b"man", b"cat"))]  # a newer version: the pieces are not joined
    (path,) = get(server, tmp_path / "unknown")
    assert path.read_bytes() == CSV.replace(b"man", b"cat")
    assert [asked for _, asked in server.requests] == [None] * 4


def test_a_server_that_gets_on_a_little_each_time_is_not_given_up(server: Server, tmp_path: Path) -> None:
    server.always = Answer(stop_after=len(CSV) // 10)
    (path,) = get(server, known(tmp_path), attempts=2)
    assert path.read_bytes() == CSV
    assert len(server.requests) >= 10


def test_a_stopped_download_goes_on_the_next_time(server: Server, tmp_path: Path) -> None:
    server.always = Answer(stop_after=0)
    server.script = [Answer(stop_after=5000)]
    with pytest.raises(DownloadError, match=r"3 times in a row. Run it again to go on from the 5,000 bytes in "):
        get(server, known(tmp_path), attempts=3)
    assert names(tmp_path) == [CHECKSUMS, PART]
    server.always = Answer()
    (path,) = get(server, tmp_path)
    assert path.read_bytes() == CSV
    assert server.requests[-1] == ("/esnli_dev.csv", "bytes=5000-")
    assert names(tmp_path) == [CHECKSUMS, "esnli_dev.csv"]


def test_what_cannot_be_resumed_is_not_kept(server: Server, tmp_path: Path) -> None:
    server.always = Answer(stop_after=5000)
    with pytest.raises(DownloadError, match=r"3 times in a row\. Check the network\."):
        get(server, tmp_path, attempts=3)
    assert names(tmp_path) == []


def test_a_stalled_server_is_given_up(server: Server, tmp_path: Path) -> None:
    server.script = [Answer(stall_after=2000)]
    server.always = Answer(stall_after=0)
    began = time.monotonic()
    with pytest.raises(DownloadError, match=r"found no byte for 0\.2 seconds, after 2,000, 3 times in a row"):
        get(server, known(tmp_path), timeout=0.2, attempts=3)
    assert time.monotonic() - began < 10
    assert not (tmp_path / "esnli_dev.csv").exists()


def test_a_server_that_stalls_once_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.script = [Answer(stall_after=2000)]
    (path,) = get(server, known(tmp_path), timeout=0.2)
    assert path.read_bytes() == CSV
    assert [asked for _, asked in server.requests] == [None, "bytes=2000-"]


def test_a_server_that_takes_the_connection_and_says_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(DownloadError, match=r"found no answer for 0\.2 seconds, 2 times in a row"):
            download("e-snli", tmp_path, split="test", base_url=url, timeout=0.2, attempts=2, delay=0.001)


def test_a_server_without_ranges_sends_the_whole_file_again(server: Server, tmp_path: Path) -> None:
    server.script = [Answer(stop_after=1000), Answer(stop_after=500, ranges=False), Answer(ranges=False)]
    (path,) = get(server, known(tmp_path))
    assert path.read_bytes() == CSV


@pytest.mark.parametrize("said", ["bytes 0-10/11", "nonsense", f"bytes 0-{len(CSV) - 1}/{len(CSV)}"])
def test_another_range_than_the_one_asked_for_starts_over(server: Server, tmp_path: Path, said: str) -> None:
    server.script = [Answer(stop_after=1000), Answer(content_range=said)]
    (path,) = get(server, known(tmp_path))
    assert path.read_bytes() == CSV
    assert [asked for _, asked in server.requests] == [None, "bytes=1000-", None]


@pytest.mark.parametrize("part", [CSV, CSV + b"more", b"x" * 1000])
def test_a_part_of_another_file_or_of_all_of_it_costs_one_more_download(
    server: Server, tmp_path: Path, part: bytes
) -> None:
    (known(tmp_path) / PART).write_bytes(part)
    (path,) = get(server, tmp_path)
    assert path.read_bytes() == CSV
    assert [asked for _, asked in server.requests] == [f"bytes={len(part)}-", None]


def test_a_part_of_a_file_without_a_known_hash_is_started_over(server: Server, tmp_path: Path) -> None:
    (tmp_path / PART).write_bytes(CSV[:1000])
    (path,) = get(server, tmp_path)
    assert path.read_bytes() == CSV
    assert server.requests == [("/esnli_dev.csv", None)]


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_an_error_that_passes_is_tried_again(server: Server, tmp_path: Path, status: int) -> None:
    server.script = [Answer(status=status), Answer(status=status)]
    (path,) = get(server, tmp_path)
    assert path.read_bytes() == CSV
    assert len(server.requests) == 3


def test_an_error_that_does_not_pass_is_said(server: Server, tmp_path: Path) -> None:
    server.always = Answer(status=503)
    with pytest.raises(DownloadError, match="found the answer 503 Service Unavailable, 4 times in a row"):
        get(server, tmp_path, attempts=4)
    assert len(server.requests) == 4


def test_waits_double_and_heed_the_server(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    server.script = [Answer(status=500)] * 3 + [Answer(status=503, headers={"Retry-After": "40"})]
    server.script += [Answer(status=503, headers={"Retry-After": "99999"})]
    get(server, tmp_path, delay=1.0, attempts=9)
    assert waits == [1.0, 2.0, 4.0, 40.0, 60.0]


@pytest.mark.parametrize("status", [404, 403, 410, 400, 501])
def test_a_file_that_is_not_there_is_not_asked_for_again(server: Server, tmp_path: Path, status: int) -> None:
    server.always = Answer(status=status)
    with pytest.raises(DownloadError, match=f"found the answer {status} ") as raised:
        get(server, tmp_path)
    assert len(server.requests) == 1
    assert "by hand from https://github.com/OanaMariaCamburu/e-SNLI" in str(raised.value)
    assert f"put it at {tmp_path / 'esnli_dev.csv'}" in str(raised.value)
    assert names(tmp_path) == []


def test_no_server_at_all(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(DownloadError) as raised:
        download("e-snli", tmp_path, base_url=f"http://127.0.0.1:{port}", attempts=2, delay=0.001)
    message = str(raised.value)
    assert f"http://127.0.0.1:{port}/esnli_train_1.csv: expected a server that sends the file" in message
    assert "found no connection to 127.0.0.1 (Connection refused), 2 times in a row" in message
    assert f"put it at {tmp_path / 'esnli_train_1.csv'}, and run this again" in message


def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    for name in SOURCES:
        with pytest.raises(DownloadError, match=r"\(Temporary failure in name resolution\).*by hand from https://"):
            download(name, tmp_path, attempts=2, delay=0.001)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "url", ["ftp://x.org", "file:///etc", "x", "http://", "http://[", "http://a b", "http://h:port"]
)
def test_what_is_no_address_is_refused_at_once(tmp_path: Path, url: str) -> None:
    with pytest.raises(DownloadError, match="expected an address"):
        download("e-snli", tmp_path, base_url=url, delay=1000.0)


# --- what is not what it should be ---


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "text/plain"])
def test_a_web_page_is_refused(server: Server, tmp_path: Path, kind: str) -> None:
    server.always = Answer(body=b"<!DOCTYPE html>\n<html>Sorry</html>\n" * 9, kind=kind)
    with pytest.raises(UserError, match=r"found (a web page \(text/html\)|a file that begins with '<!DOCTYPE html>)"):
        get(server, tmp_path)
    assert names(tmp_path) == []


def test_a_web_page_in_the_middle_costs_nothing(server: Server, tmp_path: Path) -> None:
    server.script = [Answer(stop_after=5000), Answer(body=b"<html>", kind="text/html", ranges=False)]
    with pytest.raises(DownloadError, match="found a web page"):
        get(server, known(tmp_path))
    get(server, tmp_path)
    assert server.requests[-1][1] == "bytes=5000-"


@pytest.mark.parametrize("body", [b"", b"\xff\xfe\0", b'"never closed', b"a,a\n", b"\n\n", b"pairID,gold_label\n"])
def test_what_is_no_e_snli_is_never_recorded(server: Server, tmp_path: Path, body: bytes) -> None:
    server.always = Answer(body=body)
    with pytest.raises(DataError, match="one of e-SNLI's CSVs"):
        get(server, tmp_path)
    assert names(tmp_path) == []


def test_a_file_of_unknown_length_could_be_a_broken_one(server: Server, tmp_path: Path) -> None:
    server.always = Answer(length=False)
    with pytest.raises(DownloadError, match="expected a server that says how long the file is"):
        get(server, tmp_path)
    server.always = Answer()
    get(server, tmp_path)
    (tmp_path / "esnli_dev.csv").unlink()
    server.always = Answer(length=False)  # its hash is known now
    (path,) = get(server, tmp_path)
    assert path.read_bytes() == CSV


def test_a_compressed_answer_is_refused(server: Server, tmp_path: Path) -> None:
    server.always = Answer(headers={"Content-Encoding": "gzip"}, body=gzip.compress(CSV))
    with pytest.raises(DataError, match="one of e-SNLI's CSVs"):
        get(server, tmp_path)
    assert names(tmp_path) == []


def test_a_wrong_byte_the_second_time_is_refused(server: Server, tmp_path: Path) -> None:
    (path,) = get(server, tmp_path)
    before = (tmp_path / CHECKSUMS).read_bytes()
    path.unlink()
    flipped = CSV[:500] + bytes([CSV[500] ^ 1]) + CSV[501:]
    server.always = Answer(body=flipped)
    with pytest.raises(DataError) as raised:
        get(server, tmp_path)
    message = str(raised.value)
    assert f"expected the SHA-256 {hashlib.sha256(CSV).hexdigest()}, recorded in {tmp_path / CHECKSUMS}" in message
    assert f"found {hashlib.sha256(flipped).hexdigest()}" in message
    assert f"delete the entry 'esnli_dev.csv' in {tmp_path / CHECKSUMS}" in message
    assert names(tmp_path) == [CHECKSUMS]
    assert (tmp_path / CHECKSUMS).read_bytes() == before
    (tmp_path / CHECKSUMS).write_text("{}", encoding="utf-8")  # as the message says
    assert get(server, tmp_path)[0].read_bytes() == flipped


def test_a_file_that_was_altered_is_refused(server: Server, tmp_path: Path) -> None:
    (path,) = get(server, tmp_path)
    path.write_bytes(CSV + b"\n")
    with pytest.raises(DataError, match=r"altered or is another one. Delete it to fetch it again; to accept"):
        get(server, tmp_path)
    assert path.read_bytes() == CSV + b"\n"
    path.unlink()
    assert get(server, tmp_path)[0].read_bytes() == CSV


def test_wrong_bytes_that_came_in_pieces_are_fetched_in_one(server: Server, tmp_path: Path) -> None:
    (path,) = get(server, tmp_path)
    path.unlink()
    server.requests.clear()
    newer = CSV.replace(b"man", b"cat")
    server.script = [Answer(stop_after=1000, body=newer)]
    assert get(server, tmp_path)[0].read_bytes() == CSV
    assert [asked for _, asked in server.requests] == [None, "bytes=1000-", None]


def test_the_publishers_files_are_known_by_their_hashes(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the official address, even the first download must be the file that has always been there."""
    known = hashlib.sha256(CSV).hexdigest()
    source = SOURCES["e-snli"]
    files = (RemoteFile("esnli_dev.csv", "validation", ("esnli_dev.csv",), known),)
    monkeypatch.setitem(SOURCES, "e-snli", Source(server.url, source.page, files, source.expected, source.problem_of))
    flipped = CSV.replace(b"man", b"men")
    server.script = [Answer(body=flipped)]
    with pytest.raises(DataError, match=f"the SHA-256 {known}, by which this file is known") as raised:
        get(server, tmp_path, base_url=None)
    assert names(tmp_path) == []
    entry = re.search(r"write (\S+: {\S+ \S+}) into", str(raised.value))
    assert entry is not None
    (tmp_path / CHECKSUMS).write_text(f"{{{entry[1]}}}", encoding="utf-8")
    server.script = [Answer(body=flipped)]
    assert get(server, tmp_path, base_url=None)[0].read_bytes() == flipped
    (tmp_path / CHECKSUMS).unlink()
    with pytest.raises(DataError, match="by which this file is known"):
        get(server, tmp_path, base_url=None)


@pytest.mark.parametrize("text", ["no json", "[]", '{"esnli_dev.csv": 7}', '{"esnli_dev.csv": {"sha256": "abc"}}'])
def test_hashes_that_are_none_are_said(server: Server, tmp_path: Path, text: str) -> None:
    (tmp_path / CHECKSUMS).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=CHECKSUMS):
        get(server, tmp_path)


# --- names and places ---


def test_unknown_names_and_parts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected one of e-snli, e-snli-hub, found 'mnli'"):
        download("mnli", tmp_path)
    with pytest.raises(DataError, match=r"the parts train, validation, test, found 'dev'"):
        download("e-snli", tmp_path, split="dev")


def test_places_that_cannot_be_written_to(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(OutputError, match="expected a folder to write to"):
        get(server, tmp_path / "file")
    (tmp_path / "esnli_dev.csv").mkdir()
    with pytest.raises(OutputError, match="found something else"):
        get(server, tmp_path)
    assert server.requests == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_full_disk_is_said(server: Server, tmp_path: Path) -> None:
    (tmp_path / PART).symlink_to("/dev/full")
    with pytest.raises(OutputError, match="expected room and rights to write, found No space left"):
        get(server, tmp_path)
    assert len(server.requests) == 1


def test_two_downloads_in_one_folder_do_not_meet(server: Server, tmp_path: Path) -> None:
    refused: list[Exception] = []

    def meanwhile(*_: Any) -> None:
        if not refused:
            with pytest.raises(OutputError, match="that no other download is at work in") as raised:
                get(server, tmp_path)
            refused.append(raised.value)

    (path,) = get(server, tmp_path, progress=meanwhile)
    assert refused
    assert path.read_bytes() == CSV


# --- any break at all ---

FAULTS = st.lists(
    st.builds(
        Answer,
        stop_after=st.integers(0, len(CSV)),
        ranges=st.booleans(),
        chunked=st.booleans(),
    )
    | st.builds(Answer, status=st.sampled_from([500, 502, 503, 429])),
    max_size=8,
)
numbers = itertools.count()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FAULTS, st.integers(1, 9), st.booleans())
def test_whatever_breaks_the_bytes_are_the_same(
    server: Server, tmp_path: Path, script: list[Answer], attempts: int, hash_known: bool
) -> None:
    """Runs that give up are begun again, as a user would; no run ever leaves a half file under the final name."""
    out = tmp_path / str(next(numbers))
    if hash_known:
        known(out)
    server.script = list(script)
    for _ in range(len(script) + 1):
        try:
            get(server, out, attempts=attempts)
            break
        except DownloadError:
            assert not (out / "esnli_dev.csv").exists()
    assert (out / "esnli_dev.csv").read_bytes() == CSV
    assert names(out) == ["checksums.json", "esnli_dev.csv"]


def test_a_killed_download_goes_on(server: Server, tmp_path: Path) -> None:
    """Whatever is between two writes: here, the process ends while bytes come."""

    class Killed(BaseException):
        pass

    def kill(done: int) -> Callable[[str, int, int | None], None]:
        def maybe(_: str, reached: int, __: int | None) -> None:
            if reached >= done:
                raise Killed

        return maybe

    for done in (1, 70_000, 140_000, len(CSV)):
        with pytest.raises(Killed):
            get(server, tmp_path, progress=kill(done))
        assert not (tmp_path / "esnli_dev.csv").exists()
    (path,) = get(server, tmp_path)
    assert path.read_bytes() == CSV


def test_fetch_says_whether_bytes_came_in_pieces(server: Server, tmp_path: Path) -> None:
    url = f"{server.url}/esnli_dev.csv"
    assert fetch(url, tmp_path / "a", resume=True, delay=0.001) is False
    server.script = [Answer(stop_after=10)]
    assert fetch(url, tmp_path / "b", resume=True, delay=0.001) is True


# --- the hub's Parquet ---

COLUMNS = ("premise", "hypothesis", "label", "explanation_1", "explanation_2", "explanation_3")
ROWS: list[dict[str, Any]] = [
    dict(zip(COLUMNS, values, strict=True))
    for values in (
        ("A man.", "A son.", 1, "Not every man.", "", ""),
        ("A man.", "A person.", 0, "a", "b", None),
        ("A cat.", "A dog.", 2, " ", "c", "d"),
        ("A cat.", "A tree.", -1, "e", "", ""),
        ("A cat.", "", None, "e", "", ""),
        ("A cat.", "", 0, "e", "", ""),
    )
]


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_the_hubs_rows_are_read_by_premise(tmp_path: Path) -> None:
    path = parquet(tmp_path / "esnli_test.parquet", [row | {"extra": 1} for row in ROWS])
    assert is_esnli_hub(path)
    loaded = read_esnli_hub(path)
    man, person, cat = loaded.examples
    assert loaded.name == "esnli_test"
    assert [e.id for e in (man, person, cat)] == [f"esnli_test.parquet:{n}" for n in (1, 2, 3)]
    assert [e.label for e in (man, person, cat)] == ["neutral", "entailment", "contradiction"]
    assert man.group == person.group == "A man."
    assert man.fields == {"premise": "A man.", "hypothesis": "A son."}
    assert [[x.text for x in e.explanations] for e in (man, person, cat)] == [
        ["Not every man."],
        ["a", "b"],
        ["c", "d"],
    ]
    assert {x.source for e in (man, person, cat) for x in e.explanations} == {"human"}
    assert loaded.set_aside == {"no gold label": 2, "empty explanation": 1, "empty hypothesis": 1}
    assert loaded.ignored_columns == ("extra",)


def test_a_users_own_table_is_not_taken_for_the_hubs(tmp_path: Path) -> None:
    words = [row | {"label": "neutral"} for row in ROWS]
    assert not is_esnli_hub(parquet(tmp_path / "words.parquet", words))
    assert not is_esnli_hub(parquet(tmp_path / "less.parquet", [{"premise": "a", "label": 1}]))
    assert not is_esnli_hub(parquet(tmp_path / "numbers.parquet", [dict.fromkeys(ROWS[0], 1)]))
    (tmp_path / "none.parquet").write_bytes(b"PAR1")
    assert not is_esnli_hub(tmp_path / "none.parquet")


def test_hub_rows_that_do_not_fit_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x.parquet:2: expected a label from 0 \(entailment\) .* found 3"):
        read_esnli_hub(parquet(tmp_path / "x.parquet", [ROWS[0], ROWS[1] | {"label": 3}]))
    with pytest.raises(DataError, match="without hypothesis, explanation_1"):
        read_esnli_hub(parquet(tmp_path / "y.parquet", [{"premise": "a", "label": 1}]))
    (tmp_path / "z.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="expected a Parquet file"):
        read_esnli_hub(tmp_path / "z.parquet")


def test_the_hubs_copy_is_fetched_under_either_name(server: Server, tmp_path: Path) -> None:
    body = parquet(tmp_path / "x.parquet", ROWS).read_bytes()
    server.files["/plain_text/train/0000.parquet"] = server.files["/default/test/0000.parquet"] = body
    for split in ("train", "test"):
        (path,) = download("e-snli-hub", tmp_path / "out", split=split, base_url=server.url, delay=0.001)
        assert path == tmp_path / "out" / f"esnli_{split}.parquet"
        assert len(read_esnli_hub(path).examples) == 3
    assert [path for path, _ in server.requests] == [
        "/plain_text/train/0000.parquet",
        "/plain_text/test/0000.parquet",
        "/default/test/0000.parquet",
    ]
    with pytest.raises(
        DownloadError, match=r"/default/validation/0000.parquet: expected the file, found the answer 404"
    ):
        download("e-snli-hub", tmp_path / "out", split="validation", base_url=server.url)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"PAR1", "a Parquet file that is broken or has other columns"),
        (b"PAR1 cut short", "a file that begins with b'PAR1' and not, at both ends"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a file that begins with b'vers' and not"),
        (b"", "a file that begins with b''"),
    ],
)
def test_what_is_no_parquet_is_never_recorded(server: Server, tmp_path: Path, body: bytes, found: str) -> None:
    server.always = Answer(body=body)
    with pytest.raises(DataError, match=f"expected a Parquet file with the columns premise.*, found {found}"):
        download("e-snli-hub", tmp_path, split="test", base_url=server.url)
    assert names(tmp_path) == []


def test_addresses_are_those_that_are_published() -> None:
    csv, hub = SOURCES["e-snli"], SOURCES["e-snli-hub"]
    assert [f"{csv.base_url}/{file.paths[0]}" for file in csv.files][2] == (
        "https://raw.githubusercontent.com/OanaMariaCamburu/e-SNLI/master/dataset/esnli_dev.csv"
    )
    assert f"{hub.base_url}/{hub.files[0].paths[0]}" == (
        "https://huggingface.co/datasets/esnli/esnli/resolve/refs%2Fconvert%2Fparquet/plain_text/train/0000.parquet"
    )


@pytest.mark.real
def test_the_known_hash_is_that_of_the_real_file(data_folder: Path) -> None:
    (file,) = [file for file in SOURCES["e-snli"].files if file.split == "validation"]
    assert file_sha256(data_folder / "e-snli" / "esnli_dev.csv") == file.sha256
