"""What should not be sent to a service: each is answered, none with a 5xx, and the service goes on."""

from __future__ import annotations

import json
import random
import re
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services import EXAMPLE, Running, export_scenes, running

JSON = {"Content-Type": "application/json"}
GOOD = json.dumps(EXAMPLE).encode()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("hostile")
    with running(export_scenes(folder), "--feedback", folder / "feedback.sqlite") as service:
        yield service


def example(**changes: object) -> bytes:
    return json.dumps(EXAMPLE | changes).encode()


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "white space": b" \n\t ",
    "null": b"null",
    "a number": b"3",
    "a text": b'"premise"',
    "a list": b"[]",
    "an empty object": b"{}",
    "no inputs": b'{"inputs": []}',
    "inputs that are a text": b'{"inputs": "x"}',
    "inputs that are numbers": b'{"inputs": [1, 2]}',
    "inputs in inputs": b'{"inputs": [{"inputs": []}]}',
    "too many inputs": json.dumps({"inputs": [EXAMPLE] * 5000}).encode(),
    "truncated": GOOD[:-3],
    "more behind": GOOD + b"}",
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "deep in a field": example(premise="x").replace(b'"x"', b"[" * 20_000 + b"]" * 20_000),
    "a number of many digits": example().replace(b'"A man is asleep."', b"1" + b"0" * 10_000),
    "a huge exponent": example().replace(b'"A man is asleep."', b"1e999999"),
    "NaN": example().replace(b'"A man is asleep."', b"NaN"),
    "wrong types": example(premise=1, hypothesis=["x"]),
    "true": example(premise=True),
    "null in a field": example(premise=None),
    "an object in a field": example(premise={"$ne": None}),
    "an unknown field": example(admin="1"),
    "prototype": example(__proto__={"a": 1}, constructor="x"),
    "a field twice": b'{"premise": "a", "premise": "b", "hypothesis": "c"}',
    "half a surrogate": b'{"premise": "\\ud800", "hypothesis": "x"}',
    "half a surrogate in a key": b'{"premise": "a", "hypothesis": "x", "\\udfff": "y"}',
    "not UTF-8": b'{"premise": "\xff\xfe", "hypothesis": "\xc3("}',
    "UTF-16": json.dumps(EXAMPLE).encode("utf-16"),
    "UTF-32": json.dumps(EXAMPLE).encode("utf-32"),
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "too long a field": example(premise="x" * 30_000),
    "too long a body": example(premise="x" * 2_000_000),
    "a form": b"premise=a&hypothesis=b",
    "XML": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "a pickle": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94\x8c\x06system",
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xabV*(\xca\xcd",
}
TEXTS = {
    "NUL": "a\0b",
    "only NUL": "\0" * 50,
    "empty": "",
    "spaces": " \u00a0\u2003\n\t",
    "controls": "".join(map(chr, range(32))) + "\x7f\x9b",
    "right to left": "\u202e\u2066abc\u2069",
    "joined emoji": "👩‍👩‍👧‍👦" * 200,
    "combining": "e" + "\u0301" * 5_000,
    "unknown letters": "ሀሁሂ ⵣⵣ 𒀀𒀁 \U0010ffff\ufffe",
    "special tokens": "</s><pad><unk><extra_id_0>[MASK]{premise}{choices}%s%n",
    "the separator": "entailment explanation: label: neutral </s> explanation:",
    "markup": "</script><img src=x onerror=alert(1)>",
    "one long word": "x" * 20_000,
    "many words": "a " * 9_999,
    "surrogate pair": "\U0001f600",
    "line ends": "a\r\nb\u2028c\u2029d\x85e",
}
PATHS = ("explain", "attributions", "counterfactuals", "feedback")


def test_every_body_is_answered_with_what_is_wrong(service: Running) -> None:
    for name, body in BODIES.items():
        for path in PATHS:
            reply = service.http.post(f"/v1/{path}", content=body, headers=JSON)
            if name in ("a field twice", "UTF-16", "UTF-32", "a byte order mark"):
                assert reply.status_code in (200, 400, 422), (name, path, reply.text)
                continue
            assert reply.status_code in (400, 413, 422), (name, path, reply.text)
            problem = reply.json()
            assert reply.headers["content-type"] == "application/problem+json"
            assert problem["status"] == reply.status_code
            assert problem["type"].startswith("urn:reasondistill:problem:")
            assert len(reply.content) < 10_000
    assert service.post("/v1/explain", EXAMPLE).status_code == 200


def test_every_text_with_words_is_read(service: Running) -> None:
    for name in ("empty", "spaces"):
        for path in ("/v1/explain", "/v1/attributions"):
            reply = service.post(path, EXAMPLE | {"premise": TEXTS[name]})
            assert reply.status_code == 422
            assert "no words" in reply.text
    for name, text in TEXTS.items():
        if not text.strip():
            continue
        for field in EXAMPLE:
            reply = service.post("/v1/explain", EXAMPLE | {field: text})
            assert reply.status_code == 200, (name, reply.text)
            assert sum(reply.json()["probabilities"].values()) == pytest.approx(1)
        reply = service.post("/v1/attributions", EXAMPLE | {"premise": text})
        assert reply.status_code == (422 if name == "many words" else 200), (name, reply.text)
        change = service.post("/v1/counterfactuals", {"original": EXAMPLE, "edited": EXAMPLE | {"premise": text}})
        assert change.status_code == 200, (name, change.text)


def test_other_types_of_content_and_methods_are_refused(service: Running) -> None:
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "a/b; charset=💥",
        "",
    ):
        reply = service.http.post("/v1/explain", content=GOOD, headers={b"Content-Type": kind.encode()})
        assert reply.status_code in (400, 415, 422), (kind, reply.text)
    for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "PROPFIND", "BREW"):
        assert service.http.request(method, "/v1/explain", content=GOOD).status_code == 405


TRICKS = (
    *("/../../etc/passwd", "/v1/../../etc/passwd", "/v1/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/v1/explain/"),
    *(
        "/v1/explain/..;/",
        "/%00",
        "/v1/explain%00",
        "/v1/explain\\..\\",
        "/%ff%fe",
        "/admin/reload",
        "/docs",
        "/static/x",
    ),
    *(
        "/.env",
        "/v1/students/x/explain",
        "/v1/models/../info/x",
        "/" + "a" * 9_000,
        "/?" + "a=b&" * 2_000 + "x",
        "/;a=b",
    ),
    *("/v1/explain?precision=%00", "/v1/explain?precision=%ff", "/v1/explain?precision=" + "9" * 5_000),
)


def test_path_tricks_lead_nowhere(service: Running) -> None:
    for path in TRICKS:
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(GOOD)}\r\n\r\n"
        reply = service.raw(head.encode("latin-1") + GOOD)
        status = int(reply.split(b" ", 2)[1])
        assert status in (400, 404, 405, 422), (path, reply[:200])
        assert b"root:" not in reply


POST = b"POST /v1/explain HTTP/1.1\r\nHost: 127.0.0.1\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
RAW = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
    "garbage": bytes(range(256)) * 10,
    "a head too long": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunks": POST + b"Content-Length: 1\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "a negative length": POST + b"Content-Length: -1\r\n\r\n",
    "a length of many digits": POST + b"Content-Length: " + b"9" * 3_000 + b"\r\n\r\n",
    "a bad chunk": POST + CHUNKED + b"\r\nzz\r\n",
    "no host": b"GET /health HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil\r\n\r\n",
    "an upgrade": b"GET / HTTP/1.1\r\nHost: evil\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "a proxy's request": b"GET http://169.254.169.254/latest HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n",
}


def test_what_is_hardly_http_is_refused(service: Running) -> None:
    for name, data in RAW.items():
        reply = service.raw(data)
        assert reply == b"" or reply.split(b" ", 2)[1].startswith(b"4"), (name, reply[:200])
    assert service.post("/v1/explain", EXAMPLE).status_code == 200


def test_a_body_that_does_not_come_holds_nobody_up(service: Running) -> None:
    head = POST + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    waiting = [socket.create_connection(("127.0.0.1", service.port), timeout=30) for _ in range(50)]
    for connection in waiting:
        connection.sendall(head)
    assert service.post("/v1/explain", EXAMPLE).status_code == 200
    for connection in waiting[1:]:
        connection.close()
    assert waiting[0].recv(1000).startswith(b"HTTP/1.1 408")
    waiting[0].close()


def test_random_bytes_in_good_requests(service: Running) -> None:
    random_bytes = random.Random(5)
    for _ in range(150):
        body = bytearray(GOOD)
        for _ in range(random_bytes.randint(1, 6)):
            body[random_bytes.randrange(len(body))] = random_bytes.randrange(256)
        reply = service.http.post("/v1/explain", content=bytes(body), headers=JSON)
        assert reply.status_code in (200, 400, 422), body


SETTINGS = "[checks]\nnegative_data_rejection.expected-statuses = [400, 404, 405, 413, 415, 422]\n"
"""schemathesis does not expect 413 by itself, which is what a body gets that is larger than the service reads."""


def ask_by_description(service: Running, folder: Path, examples: int) -> None:
    (folder / "schemathesis.toml").write_text(SETTINGS)
    command = Path(sys.executable).parent / "schemathesis"
    if not command.exists():
        pytest.skip("schemathesis is not installed: it comes with the extra dev")
    options = [f"--max-examples={examples}", "--seed=3", "--no-color", "--phases=examples,coverage,fuzzing"]
    done = subprocess.run(
        [command, "--config-file", folder / "schemathesis.toml", "run", f"{service.url}/openapi.json", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_the_description_is_kept(service: Running, tmp_path: Path) -> None:
    ask_by_description(service, tmp_path, 15)


EDIT = {"original": EXAMPLE, "edited": EXAMPLE | {"premise": "A man is awake."}, "every_label": True}
VERDICT = {"example": EXAMPLE, "answer": {"label": "neutral", "explanation": "x"}, "verdict": "wrong", "why": "y"}
SENT = {"explain": EXAMPLE, "attributions": EXAMPLE, "counterfactuals": EDIT, "feedback": VERDICT}
WRONG: tuple[object, ...] = (None, True, -1, 1e308, [], {}, [EXAMPLE], {"$ne": 1}, "", "\0", [[[[]]]], {"inputs": [{}]})
TYPES = ("application/json", "application/json; charset=utf-16", "application/x+json", "text/plain", "", "a/b;c=\xff")
QUERIES = (
    "",
    "",
    "",
    "?precision=0.9",
    "?precision=nan",
    "?precision=",
    "?precision=1&precision=2",
    "?%00=%ff",
    "?a[]=1",
)


def damaged(chance: random.Random, body: object) -> bytes:
    """A good body with one thing wrong: a value, a text, its bytes, its encoding, its end."""

    def anywhere(value: object) -> object:
        if isinstance(value, dict) and value and chance.random() < 0.8:
            name = chance.choice([*value])
            return value | {name: anywhere(value[name])}
        return chance.choice([*WRONG, *TEXTS.values()])

    data = json.dumps(anywhere(body) if chance.random() < 0.5 else body, ensure_ascii=chance.random() < 0.5)
    raw = bytearray(data.encode(chance.choice(["utf-8"] * 12 + ["utf-16", "utf-32", "utf-7", "utf-8-sig"])))
    for _ in range(chance.choice([0, 0, 0, 0, 1, 3, 30])):
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    if chance.random() < 0.1:
        del raw[chance.randrange(len(raw)) :]
    if chance.random() < 0.05:
        place = chance.randrange(len(raw) + 1)
        raw[place:place] = chance.choice([b"\0", b"\\ud800", b"\xff\xfe", b"[" * 5_000, b'{"a":' * 5_000, b"9" * 5_000])
    return bytes(raw)


def ask_hostile(service: Running, number: int) -> int:
    chance = random.Random(number)
    path = chance.choice(["explain"] * 6 + [*SENT])
    kind = chance.choice([TYPES[0]] * 24 + [*TYPES])
    reply = service.http.post(
        f"/v1/{path}{chance.choice(QUERIES)}",
        content=damaged(chance, SENT[path]),
        headers={b"Content-Type": kind.encode("latin-1")},
    )
    assert reply.status_code < 500, (number, reply.text)
    return reply.status_code


@pytest.mark.slow
def test_ten_thousand_requests_are_answered_and_none_with_a_5xx(service: Running, tmp_path: Path) -> None:
    """By what the description allows and forbids, and by what it has no words for: each costs schemathesis 40 ms."""
    before = _requests(service)
    ask_by_description(service, tmp_path, 300)
    described = _requests(service) - before
    assert described >= 1_000
    hostile = range(int(10_000 - described))
    with ThreadPoolExecutor(16) as threads:
        statuses = Counter(threads.map(lambda number: ask_hostile(service, number), hostile))
    assert statuses.total() == len(hostile)
    assert set(statuses) <= {200, 201, 400, 409, 413, 422, 429}
    assert min(statuses[200], statuses[422]) > len(hostile) / 10
    assert _requests(service) - before >= 10_000
    assert not re.search(r'status="5', service.get("/metrics").text)
    assert service.post("/v1/explain", EXAMPLE).status_code == 200


def _requests(service: Running) -> float:
    figures = service.get("/metrics").text
    lines = [line for line in figures.splitlines() if line.startswith("reasondistill_requests_total{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)
