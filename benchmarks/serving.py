"""What does the service cost over `Student.predict`, and what happens when more is asked than it can answer?

    python benchmarks/serving.py [--student PACKAGE] [--rows 512] [--clients 64] [--seconds 10] [--json out.json]

Starts `reasondistill serve` on loopback and asks it from this process, over connections that stay open, with requests
that are written beforehand: what clients take of the machine that they share with the service is measured, too. Without
--student the package's own student of scenes is exported; its answers take a few milliseconds, so that HTTP weighs as
much as it can. ``--student flan-t5-small`` is one of that shape, with random weights.

- throughput: --clients clients, each asking again as soon as it is answered, against `predict` on the same rows, in
  turn; median, smallest and largest ratio of --repeats rounds
- latency of one client against that of `predict` on one row, in turn
- by load: requests that arrive at random, at shares of that throughput: median, 99th percentile, what was refused
- attributions of a pair of 33 words; the service's memory before and after all of it
- --memory N: N more requests, and the memory after each tenth of them
- --plain [CHECKPOINT]: a plain FastAPI endpoint over `generate` of transformers (plain_endpoint.py), same clients
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import reasondistill as rd
from reasondistill.contracts.records import Example
from reasondistill.data.scenes import generate

SHAPE = "flan-t5-small"
LOADS = (0.25, 0.5, 0.9, 1.2, 2.0)
PAIR = {"premise": "A man in a red coat is walking his dog along the wide river early in the morning",
        "hypothesis": "A person is outside with an animal near some water before the day has begun"}  # fmt: skip


@dataclass
class Served:
    """A service in a process of its own."""

    process: subprocess.Popen[Any]
    port: int

    def memory(self) -> float:
        """Resident MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        match = re.search(r"VmRSS:\s+(\d+)", status)
        return int(match[1]) / 1000 if match else 0.0

    def processor(self) -> float:
        """Seconds of processor time so far, of all threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def request(self, path: str, body: object) -> bytes:
        data = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(data)}"
        )
        return head.encode() + b"\r\n\r\n" + data


@contextmanager
def served(student: str, *options: str) -> Iterator[Served]:
    command = [sys.executable, "-m", "reasondistill.cli", "serve", student, "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        line = next((line for line in process.stdout if line.startswith("page")), None)
        if line is None:
            raise SystemExit("the service did not start")
        yield Served(process, int(line.rpartition(":")[2]))
    finally:
        process.terminate()
        process.wait()


class Connection:
    """HTTP as far as it is needed here."""

    async def open(self, port: int) -> Connection:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        return self

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None
        return int(head[9:12]), await self.reader.readexactly(int(length[1]))

    def close(self) -> None:
        self.writer.close()


def at_once(port: int, requests: Sequence[bytes], clients: int) -> float:
    """Requests a second of clients that ask again as soon as they are answered.

    Plain sockets, as an event loop's streams would take half as much time as the service itself.
    """
    pending = list(reversed(requests))
    answers = selectors.DefaultSelector()
    begun = time.perf_counter()
    for _ in range(min(clients, len(requests))):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(pending.pop())
        answers.register(connection, selectors.EVENT_READ, bytearray())
    while answers.get_map():
        for key, _ in answers.select():
            connection, received = cast(socket.socket, key.fileobj), key.data
            received += connection.recv(65_536)
            if not _whole(received):
                continue
            assert received[9:12] == b"200", bytes(received)
            received.clear()
            if pending:
                connection.sendall(pending.pop())
            else:
                answers.unregister(connection)
                connection.close()
    return len(requests) / (time.perf_counter() - begun)


def _whole(received: bytearray) -> bool:
    end = received.find(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", received[: max(0, end)])
    return length is not None and len(received) >= end + 4 + int(length[1])


async def one_by_one(service: Served, requests: Sequence[bytes]) -> list[float]:
    """Seconds of each request of one client."""
    connection = await Connection().open(service.port)
    seconds = []
    for request in requests:
        begun = time.perf_counter()
        await connection.ask(request)
        seconds.append(time.perf_counter() - begun)
    connection.close()
    return seconds


async def arriving(service: Served, requests: Sequence[bytes], rate: float, seconds: float) -> dict[str, Any]:
    """Requests that arrive at random, ``rate`` a second, each whether or not those before are answered."""
    chance = random.Random(1)
    idle: list[Connection] = []
    statuses: Counter[int] = Counter()
    latencies: list[float] = []

    async def ask(request: bytes) -> None:
        begun = time.perf_counter()
        connection = idle.pop() if idle else await Connection().open(service.port)
        status, _ = await connection.ask(request)
        idle.append(connection)
        statuses[status] += 1
        if status == 200:
            latencies.append(time.perf_counter() - begun)

    tasks, begun, due = [], time.perf_counter(), 0.0
    while due < seconds:
        due += chance.expovariate(rate)
        await asyncio.sleep(max(0.0, begun + due - time.perf_counter()))
        tasks.append(asyncio.create_task(ask(chance.choice(requests))))
    await asyncio.gather(*tasks)
    for connection in idle:
        connection.close()
    return {
        "rate": rate,
        "p50": statistics.median(latencies),
        "p99": statistics.quantiles(latencies, n=100)[98],
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
    }


def predicted(student: rd.Student, examples: Sequence[Example]) -> float:
    """Rows a second of `predict`."""
    begun = time.perf_counter()
    student.predict(examples)
    return len(examples) / (time.perf_counter() - begun)


def latencies_of(student: rd.Student, examples: Sequence[Example]) -> list[float]:
    seconds = []
    for example in examples:
        begun = time.perf_counter()
        student.predict([example])
        seconds.append(time.perf_counter() - begun)
    return seconds


def packaged(place: Path, *, shaped: bool) -> str:
    """The package's own student of scenes, exported; ``shaped``, one with random weights of FLAN-T5-small's shape."""
    from reasondistill.exporting import export
    from reasondistill.students.package.manifest import ParityLimits

    if not shaped:
        return str(export("builtin:scenes", place / "package").folder)
    from transformers import AutoTokenizer, T5ForConditionalGeneration

    from reasondistill.config import Generation
    from reasondistill.students.checkpoint import Checkpoint
    from reasondistill.students.student_task import StudentTask
    from reasondistill.tasks.task import NLI
    from training_students import make_student

    checkpoint = make_student(SHAPE, generate(2000), place / "checkpoint")
    # It never ends an explanation by itself: 20 tokens are as long as those of scenes and e-SNLI.
    lengths: dict[str, Any] = {"max_source_length": 128, "max_target_length": 64}
    generation = Generation(num_beams=1, max_new_tokens=20)
    settings = StudentTask(task=NLI, order="label_first", generation=generation, **lengths)
    model = T5ForConditionalGeneration.from_pretrained(checkpoint)
    Checkpoint(model, AutoTokenizer.from_pretrained(checkpoint), settings).save(place / "student")
    anything = ParityLimits(label_agreement=0, probability_difference=1, greedy_identity=0, explanation_rougeL=0)
    return str(export(place / "student", place / "package", quantization="int8", limits=anything).folder)


def against_plain(
    options: argparse.Namespace, service: Served, student: rd.Student, checkpoint: str | Path
) -> list[float]:
    """Answers a second of the service and of a plain endpoint, by the same clients, one after the other."""
    examples = generate(options.rows, seed=11)
    texts = [student.task.render_prompts(student.order, example)["label"] for example in examples]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = Path(__file__).with_name("plain_endpoint.py")
    command = [sys.executable, str(script), str(checkpoint), str(port), str(student.generation.max_new_tokens)]
    process = subprocess.Popen(command)
    try:
        plain = Served(process, port)
        asked = [plain.request("/v1/explain", {"text": text}) for text in texts]
        while True:
            try:
                at_once(port, asked[:8], 8)
                break
            except ConnectionRefusedError:
                time.sleep(0.5)
        of_service = at_once(
            service.port, [service.request("/v1/explain", e.fields) for e in examples], options.clients
        )
        return [of_service, at_once(port, asked, options.clients)]
    finally:
        process.terminate()
        process.wait()


def memory_over(service: Served, requests: Sequence[bytes], count: int, clients: int) -> list[float]:
    """Resident MB before ``count`` requests, and after each tenth of them."""
    memory = [service.memory()]
    for _ in range(10):
        at_once(service.port, [requests[place % len(requests)] for place in range(count // 10)], clients)
        memory.append(service.memory())
    return memory


def measure(options: argparse.Namespace, folder: str, checkpoint: str | Path | None) -> dict[str, Any]:
    examples = generate(options.rows, seed=11)
    student = rd.Student.load(folder)
    predicted(student, examples[:64])
    with served(folder, "--timeout", str(options.timeout)) as service:
        requests = [service.request("/v1/explain", example.fields) for example in examples]
        at_once(service.port, requests[:64], 8)
        memory = service.memory()
        rounds = []
        worked, asking, own = service.processor(), 0.0, 0.0
        for _ in range(options.repeats):  # in turn, so that both meet the same machine
            begun = time.process_time()
            answered = at_once(service.port, requests, options.clients)
            asking += time.process_time() - begun
            begun = time.process_time()
            rounds.append((answered, predicted(student, examples)))
            own += time.process_time() - begun
        rows = options.repeats * len(examples)
        processor = [(service.processor() - worked) / rows, own / rows, asking / rows]
        alone, engine = [], []
        for place in range(0, options.single, 10):
            alone += asyncio.run(one_by_one(service, requests[place : place + 10]))
            engine += latencies_of(student, examples[place : place + 10])
        throughput = statistics.median(of_service for of_service, _ in rounds)
        loads = [asyncio.run(arriving(service, requests, load * throughput, options.seconds)) for load in LOADS]
        words = statistics.median(asyncio.run(one_by_one(service, [service.request("/v1/attributions", PAIR)] * 5)))
        return {
            "throughput": throughput,
            "predict": statistics.median(of_predict for _, of_predict in rounds),
            "ratios": sorted(a / b for a, b in rounds),
            "processor": processor,
            "alone": statistics.median(alone),
            "engine": statistics.median(engine),
            "loads": loads,
            "attributions": words,
            "memory": [memory, service.memory()],
            "plain": None if checkpoint is None else against_plain(options, service, student, checkpoint),
            "memory_over": memory_over(service, requests, options.memory, options.clients) if options.memory else None,
        }


def show(found: dict[str, Any], clients: int) -> None:
    print(f"{clients} clients     {found['throughput']:8.1f} answers a second")
    ratios = found["ratios"]
    print(
        f"predict        {found['predict']:8.1f} rows a second; the service reaches {statistics.median(ratios):.0%} "
        f"of it ({ratios[0]:.0%} to {ratios[-1]:.0%} in {len(ratios)} rounds)"
    )
    of_service, of_predict, of_clients = (1e3 * seconds for seconds in found["processor"])
    print(
        f"processor      {of_service:8.2f} ms for an answer of the service, {of_predict:.2f} ms for a row of predict, "
        f"{of_clients:.2f} ms for a request of the clients"
    )
    added = 1e3 * (found["alone"] - found["engine"])
    print(
        f"one client     {1e3 * found['alone']:8.1f} ms, the engine {1e3 * found['engine']:.1f} ms: {added:.1f} ms more"
    )
    words = sum(len(text.split()) for text in PAIR.values())
    print(f"attributions   {1e3 * found['attributions']:8.1f} ms for a pair of {words} words")
    print(f"memory         {found['memory'][0]:8.1f} MB before, {found['memory'][1]:.1f} MB after")
    print("load    p50 ms   p99 ms   answered   429")
    for load, row in zip(LOADS, found["loads"], strict=True):
        answered, refused = (row["statuses"].get(status, 0) for status in ("200", "429"))
        print(f"{load:4.2f} {1e3 * row['p50']:9.1f} {1e3 * row['p99']:8.1f} {answered:10} {refused:5}")
    if found["plain"]:
        of_service, of_plain = found["plain"]
        print(
            f"plain endpoint {of_plain:8.1f} answers a second, the service {of_service:.1f}: "
            f"{of_service / of_plain:.1f} times as many"
        )
    if found["memory_over"]:
        print("memory over requests, MB: " + ", ".join(f"{each:.1f}" for each in found["memory_over"]))
    others = {status for row in found["loads"] for status in row["statuses"]} - {"200", "429"}
    if others:
        print(f"other statuses: {', '.join(sorted(others))}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--student", help=f"a package of the task nli, or {SHAPE}; that of scenes by default")
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--single", type=int, default=100, help="requests of the one client")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each load")
    parser.add_argument("--timeout", type=float, default=30, help="the service's; where a student is slow, more")
    parser.add_argument("--memory", type=int, default=0, metavar="N", help="N more requests, for the memory over them")
    plain = "also a plain endpoint over transformers; of which checkpoint, where --student names a package"
    parser.add_argument("--plain", nargs="?", const="", metavar="CHECKPOINT", help=plain)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as place:
        folder, checkpoint = options.student, options.plain or Path(rd.__file__).parent / "builtin" / "scenes"
        if folder is None or folder == SHAPE:
            checkpoint = options.plain or Path(place) / "student" if folder == SHAPE else checkpoint
            folder = packaged(Path(place), shaped=folder == SHAPE)
        elif options.plain == "":
            parser.error("--plain CHECKPOINT: name the one that the package was made of")
        found = measure(options, folder, None if options.plain is None else checkpoint)
    show(found, options.clients)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
