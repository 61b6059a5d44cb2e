"""The service as its users meet it: a real process on loopback, asked over HTTP, held to `Student.predict`."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import reasondistill as rd
from reasondistill.contracts.feedback import Verdict
from reasondistill.contracts.records import Example
from reasondistill.data.scenes import generate
from reasondistill.errors import UserError
from reasondistill.evaluation.faithfulness.editing import without
from reasondistill.judges import Argued, Judge
from reasondistill.run_data import RunData
from reasondistill.runs import Run
from reasondistill.serving import ServiceError
from reasondistill.verification import PairProver
from reasondistill.verification.answer_verdicts import verdict_of
from services import EXAMPLE, Running, export_scenes, in_a_run, running, until

KEY = "a-key-of-forty-letters-and-some-digits-42"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_scenes(tmp_path_factory.mktemp("serving"))


@pytest.fixture(scope="module")
def student(package: Path) -> rd.Student:
    return rd.Student.load(package)


@pytest.fixture(scope="module")
def service(package: Path) -> Iterator[Running]:
    with running(package) as service:
        yield service


@pytest.fixture(scope="module")
def kept(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One that asks for keys, keeps feedback, logs texts, and has two students."""
    folder = tmp_path_factory.mktemp("kept")
    (folder / "keys").write_text(f"# who asks\n{KEY}\nanother-key-that-is-long-enough\n")
    words = ("--api-key-file", folder / "keys", "--feedback", folder / "feedback.sqlite", "--log-texts")
    with running(package, package.parent / "student", *words) as service:
        yield service


def same(answer: rd.Prediction | object, prediction: rd.Prediction) -> None:
    assert answer.label == prediction.label  # type: ignore[union-attr]
    assert answer.explanation == prediction.explanation  # type: ignore[union-attr]
    assert answer.probabilities == pytest.approx(prediction.probabilities, abs=1e-5)  # type: ignore[union-attr]


def test_one_example_and_several_are_answered_as_predict_does(service: Running, student: rd.Student) -> None:
    examples = generate(40, seed=7)
    predictions = student.predict(examples)
    with service.client() as client:
        for answer, prediction in zip(client.explain_many([e.fields for e in examples]), predictions, strict=True):
            same(answer, prediction)
            assert answer.student == student.fingerprint
        same(client.explain(examples[0].fields), predictions[0])
        same(
            client.explain(premise=examples[1].fields["premise"], hypothesis=examples[1].fields["hypothesis"]),
            predictions[1],
        )


def test_many_clients_at_once_get_their_own_answers_in_batches(service: Running, student: rd.Student) -> None:
    examples = generate(96, seed=8)
    with service.client() as client, ThreadPoolExecutor(24) as threads:
        answers = list(threads.map(lambda e: client.explain(e.fields), examples))
    for answer, prediction in zip(answers, student.predict(examples), strict=True):
        same(answer, prediction)
    figures = service.get("/metrics").text
    values = dict(line.rsplit(" ", 1) for line in figures.splitlines() if not line.startswith("#"))
    assert float(values["reasondistill_batch_jobs_sum"]) > float(values["reasondistill_batch_jobs_count"])
    assert values['reasondistill_requests_total{route="/v1/explain",status="200"}'] >= "96"


def test_a_precision_says_when_to_abstain_and_long_input_is_told(service: Running, student: rd.Student) -> None:
    with service.client() as client:
        answer = client.explain(EXAMPLE, precision=0.9)
        [prediction] = student.predict([rd.Example(id="1", fields=EXAMPLE)], precision=0.9)
        assert answer.abstained is (prediction.model_extra or {})["abstained"]
        assert answer.calibrated
        assert client.explain(EXAMPLE).abstained is None
        with pytest.raises(ServiceError, match=r"422.*precision"):
            client.explain(EXAMPLE, precision=0.5)
        for query, said in (
            ("precision=nan", "from 0 to 1"),
            ("precision=2", "from 0 to 1"),
            ("precison=0.9", "'precison'"),
        ):
            reply = service.post(f"/v1/explain?{query}", EXAMPLE)
            assert (reply.status_code, said in reply.json()["detail"]) == (422, True), reply.text
        assert not answer.input_truncated
        assert client.explain(premise="word " * 500, hypothesis="x").input_truncated


def test_attributions_are_what_leaving_words_out_changes(service: Running, student: rd.Student) -> None:
    from math import log

    with service.client() as client:
        reply = client.attributions(EXAMPLE)
    assert [word.word for word in reply.words] == [*EXAMPLE["premise"].split(), *EXAMPLE["hypothesis"].split()]
    same(reply.answer, student.explain(EXAMPLE))
    example = Example(id="1", fields=EXAMPLE)
    from reasondistill.evaluation.faithfulness.editing import Place

    edited = [without(example, Place(word.field, word.number)) for word in reply.words]
    label, text = reply.answer.label, reply.answer.explanation
    assert label is not None
    for word, changed in zip(reply.words, student.probabilities(edited), strict=True):
        lost = log(reply.answer.probabilities[label]) - log(changed[label])
        assert word.label == pytest.approx(lost, abs=2e-3)
    [whole] = student.explanation_scores([example], [label], [text])
    for word, score in zip(reply.words, student.explanation_scores(edited, [label] * 8, [text] * 8), strict=True):
        assert word.explanation == pytest.approx(whole - score, abs=2e-3)


def test_an_edit_is_answered_beside_the_original_and_every_label_is_argued_for(
    service: Running, student: rd.Student
) -> None:
    edited = EXAMPLE | {"hypothesis": "A man is sleeping."}
    with service.client() as client:
        change = client.counterfactual(EXAMPLE, edited, every_label=True)
        assert client.counterfactual(EXAMPLE).edited is None
    assert change.edited is not None
    same(change.original, student.explain(EXAMPLE))
    same(change.edited, student.explain(edited))
    assert change.label_changed is (change.original.label != change.edited.label)
    assert sum(change.probability_change.values()) == pytest.approx(0, abs=1e-6)
    examples = [Example(id="1", fields=EXAMPLE)] * 3
    labels = student.task.labels or ()
    assert change.arguments == dict(zip(labels, student.explain_for(examples, labels), strict=True))


def test_the_description_has_the_tasks_own_fields_and_labels(service: Running, student: rd.Student) -> None:
    description = service.get("/openapi.json").json()
    models = description["components"]["schemas"]
    assert set(models["PackageExample"]["properties"]) == {"premise", "hypothesis"}
    assert models["PackageExample"]["required"] == ["premise", "hypothesis"]
    label = models["PackageAnswer"]["properties"]["label"]["anyOf"][0]
    assert tuple(label["enum"]) == student.task.labels
    assert "/v1/feedback" not in description["paths"]
    with service.client() as client:
        info = client.info()
        [served] = client.students()
    assert info.students == [served]
    assert (served.kind, served.fingerprint, served.precisions) == ("package", student.fingerprint, [0.9])
    assert not info.feedback


def test_every_reply_carries_the_headers_that_keep_browsers_safe(service: Running) -> None:
    for path in ("/health", "/nothing", "/v1/explain", "/openapi.json"):
        headers = service.get(path, headers={"Origin": "http://evil.example"}).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers
    assert service.get("/health", headers={"Host": "evil.example"}).status_code == 421
    assert service.get("/health", headers={"Host": f"localhost:{service.port}"}).status_code == 200


def test_logs_are_json_and_have_no_texts_unless_asked(service: Running, kept: Running) -> None:
    def lines(of: Running, route: str) -> list[dict[str, object]]:
        until(lambda: any(f'"{route}"' in line for line in of.log), f"a line of {route}")
        return [json.loads(line) for line in of.log]

    service.post("/v1/explain", EXAMPLE)
    service.post("/asleep-and-more", EXAMPLE)
    kept.post("/v1/explain", EXAMPLE, headers={"Authorization": f"Bearer {KEY}"})
    quiet, loud = lines(service, "other"), lines(kept, "/v1/explain")
    assert any(line["route"] == "/v1/explain" and line["rows"] == 1 for line in quiet)
    assert "asleep" not in json.dumps(quiet)
    assert any(line.get("fields") == [EXAMPLE] for line in loud)


def test_keys_are_asked_for_and_students_have_paths_of_their_own(kept: Running, student: rd.Student) -> None:
    for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": f"Bearer {KEY}x"}, {"Authorization": KEY}):
        reply = kept.post("/v1/explain", EXAMPLE, headers=headers)
        assert reply.status_code == 401
        assert reply.headers["content-type"] == "application/problem+json"
    assert kept.get("/ready").status_code == 200
    with kept.client(key=KEY) as client:
        first, second = client.students()
        assert (first.kind, second.kind) == ("package", "checkpoint")
        for served in (first, second):
            with kept.client(key=KEY, student=served.name) as own:
                answer = own.explain(EXAMPLE)
            assert answer.student == served.fingerprint
            assert answer.label == student.explain(EXAMPLE).label
        assert client.explain(EXAMPLE).student == first.fingerprint


def test_feedback_is_kept_once(kept: Running) -> None:
    with kept.client(key=KEY) as client:
        answer = client.explain(EXAMPLE)
        for status in ("kept", "known"):
            receipt = client.feedback(EXAMPLE, answer, "wrong", label="contradiction", explanation="Asleep.", by="Ada")
            assert receipt.status == status
        with pytest.raises(ServiceError, match="422"):
            client.feedback(EXAMPLE, answer, "wrong", label="no such label")
        assert answer.label is not None
        other = next(label for label in answer.probabilities if label != answer.label)
        contradictions: list[tuple[Verdict, str]] = [("right", other), ("wrong", answer.label)]
        for verdict, label in contradictions:
            with pytest.raises(ServiceError, match=r"422.*answer that is"):
                client.feedback(EXAMPLE, answer, verdict, label=label)
        assert client.feedback(EXAMPLE, answer, "wrong", label=answer.label, explanation="So it is.").status == "kept"
        with pytest.raises(ServiceError, match="422"):
            client.explain({**EXAMPLE, "hypothesis": " "})
    description = kept.get("/openapi.json", headers={"Authorization": f"Bearer {KEY}"}).json()
    assert "/v1/feedback" in description["paths"]


def test_a_run_shows_what_it_learned_a_judge_weighs_arguments_and_a_prover_proves(
    package: Path, service: Running, tmp_path: Path, command: Callable[..., tuple[int, str]]
) -> None:
    judge = Judge.load("builtin:scenes")
    placed = in_a_run(package, tmp_path)
    learned = list(RunData(Run(placed.parent)).training())
    with (
        running(placed, "--near", "--prover", "--judge", "builtin:scenes") as richer,
        richer.client() as client,
    ):
        own = learned[17]
        nearest, *others = client.near(own.fields)
        assert (nearest.fields, nearest.label) == (own.fields, own.label)
        assert nearest.explanation == own.explanations[0].text
        assert nearest.similarity == pytest.approx(1, abs=1e-6)
        assert [each.similarity for each in others] == sorted((each.similarity for each in others), reverse=True)
        assert client.near(premise="qwertz", hypothesis="uiopü") == []
        change = client.counterfactual(EXAMPLE, every_label=True)
        assert change.arguments is not None
        argued = [Argued((EXAMPLE["premise"], EXAMPLE["hypothesis"]), *each) for each in change.arguments.items()]
        assert list((change.support or {}).values()) == pytest.approx(judge.support(argued), abs=1e-4)
        for hypothesis in ("A man is awake.", "A man is asleep.", "A man is swimming quickly."):
            outcome = PairProver().outcome(EXAMPLE["premise"], hypothesis)
            answer = client.explain(EXAMPLE | {"hypothesis": hypothesis})
            assert answer.proved == (outcome.proof and outcome.proof.conclusion)
            assert answer.verdict == verdict_of(answer.proved, answer.label)
            assert answer.proof == (outcome.lines if outcome.proof else [])
        beside = client.attributions(EXAMPLE).answer, client.counterfactual(EXAMPLE).original
        assert {each.verdict for each in beside} == {client.explain(EXAMPLE).verdict} != {None}
        [served] = client.students()
        assert (served.name, served.near, served.judge) == ("run", True, judge.info.name)
    assert service.post("/v1/near", EXAMPLE).status_code == 404
    assert service.client().explain(EXAMPLE).verdict is None
    status, output = command("serve", package, "--near")
    assert (status, "--near" in output) == (2, True)


def test_the_rate_of_a_caller_is_limited(package: Path) -> None:
    with running(package, "--rate", 5) as service:
        replies = [service.post("/v1/explain", EXAMPLE) for _ in range(7)]
    assert [reply.status_code for reply in replies[:5]] == [200] * 5
    assert replies[-1].status_code == 429
    assert 1 <= int(replies[-1].headers["retry-after"]) <= 60


def test_a_full_queue_is_a_429_and_the_client_asks_again(package: Path) -> None:
    examples = generate(48, seed=9)
    with running(package, "--max-queue", 8, "--max-batch", 4) as service:
        with ThreadPoolExecutor(48) as threads:
            statuses = list(threads.map(lambda e: service.post("/v1/explain", e.fields), examples))
            codes = {reply.status_code for reply in statuses}
            assert codes <= {200, 429}
            assert 200 in codes
            assert all("retry-after" in reply.headers for reply in statuses if reply.status_code == 429)
        assert 429 in codes
        with service.client(retries=50) as client, ThreadPoolExecutor(12) as threads:
            assert all(a.label for a in threads.map(lambda e: client.explain(e.fields), examples[:24]))


def test_what_waits_past_its_deadline_or_whose_client_has_gone_is_dropped(package: Path) -> None:
    long = {"inputs": [e.fields for e in generate(64, seed=10)]}
    with running(package, "--timeout", 0.05, "--max-queue", 5000, "--max-batch", 64) as service:
        with ThreadPoolExecutor(30) as threads:
            replies = list(threads.map(lambda _: service.post("/v1/explain", long), range(30)))
        assert {reply.status_code for reply in replies} == {200, 503}
        late = next(reply for reply in replies if reply.status_code == 503)
        assert late.json()["type"].endswith(":deadline")
        assert "retry-after" in late.headers
    with running(package, "--max-queue", 5000, "--max-batch", 64) as service:
        body = json.dumps(long).encode()
        head = b"POST /v1/explain HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        head += b"Content-Length: %d\r\n\r\n"
        for _ in range(30):
            with socket.create_connection(("127.0.0.1", service.port)) as connection:
                connection.sendall(head % len(body) + body)
        assert service.post("/v1/explain", EXAMPLE).status_code == 200
        figures = service.get("/metrics").text
        assert 'reasondistill_dropped_total{reason="client_gone"}' in figures
    assert all(line.startswith("{") for line in service.log), "not all of the log is lines of JSON"


def test_python_serves_as_the_command_does(package: Path) -> None:
    code = "import reasondistill as rd, sys; rd.serve(sys.argv[1], port=0, started=lambda url: print(url, flush=True))"
    command = [sys.executable, "-c", code, str(package)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        with rd.Client(process.stdout.readline().strip()) as client:
            assert client.ready()
            assert client.explain(EXAMPLE).label
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
    with pytest.raises(UserError, match="max_queue"):
        rd.serve(package, max_inputs=100, max_queue=10)


def test_what_cannot_be_served_is_refused_in_a_sentence(
    tmp_path: Path, package: Path, command: Callable[..., tuple[int, str]]
) -> None:
    (tmp_path / "short").write_text("short\n")
    (tmp_path / "notes.txt").write_text("not a store")
    for words, sentence in (
        ((tmp_path / "none",), "no such folder"),
        ((package, "--api-key-file", tmp_path / "short"), "16 to 200"),
        ((package, "--feedback", tmp_path / "notes.txt"), "SQLite"),
    ):
        status, output = command("serve", *words)
        assert status == 2
        assert sentence in output
    assert (tmp_path / "notes.txt").read_text() == "not a store"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, output = command("serve", package, "--port", taken.getsockname()[1])
    assert (status, "--port" in output) == (2, True)


def test_a_client_says_what_it_cannot_reach() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with rd.Client(f"http://127.0.0.1:{port}", retries=0) as client:
        assert not client.ready()
        with pytest.raises(UserError, match="does not answer"):
            client.explain(premise="a", hypothesis="b")


def test_the_docs_name_the_paths_and_options_that_are_there(
    kept: Running, command: Callable[..., tuple[int, str]]
) -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "serving.md").read_text(encoding="utf-8")
    _, help_text = command("serve", "--help")
    options = set(re.findall(r"`(--[a-z-]+)", page)) - {"--html"}
    assert len(options) > 10
    assert {option for option in options if option not in help_text} == set()
    described = kept.get("/openapi.json", headers={"Authorization": f"Bearer {KEY}"}).json()["paths"]
    paths = set(re.findall(r"`(?:POST |GET )?(/(?:v1|info|health|ready)[a-z0-9/]*)", page))
    assert len(paths) >= 8
    assert {path for path in paths if path not in described} == {
        "/v1/students/",
        "/v1/near",
    }  # a name is behind the one; the other is on with --near
