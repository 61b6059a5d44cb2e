"""`serve --mcp` and `--mcp-http` as an agent meets them: the protocol's own client, over both ways."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import reasondistill as rd
from reasondistill.contracts.service import Answer, Attributions, Counterfactual
from reasondistill.errors import UserError
from reasondistill.serving.hosting import Hosts
from reasondistill.serving.service_settings import ServiceSettings
from reasondistill.serving.tool_server import student_tools, tool_server
from reasondistill.tasks.task import Task
from services import EXAMPLE, Running, export_scenes, running, until

KEY = "a-key-of-this-test-alone"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_scenes(tmp_path_factory.mktemp("tools"))


def with_client(test: Callable[[Any], Awaitable[None]], *students: object) -> None:
    mcp = pytest.importorskip("mcp", reason="the extra mcp is not installed")
    command = mcp.StdioServerParameters(
        command=sys.executable,
        args=["-m", "reasondistill.cli", "serve", *map(str, students), "--mcp"],
        env=dict(os.environ),
    )

    async def run() -> None:
        async with mcp.Client(command, read_timeout_seconds=120) as client:
            await test(client)

    asyncio.run(run())


def test_an_agent_finds_the_tasks_own_fields_and_gets_what_predict_says(package: Path) -> None:
    student = rd.Student.load(package)

    async def test(client: Any) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"explain", "attributions", "counterfactuals"}
        schema = tools["explain"].input_schema
        assert set(schema["properties"]) == {"premise", "hypothesis", "precision"}
        assert schema["required"] == ["premise", "hypothesis"]
        assert schema["properties"]["precision"]["enum"] == [0.9]
        labels = tools["explain"].output_schema["properties"]["label"]["anyOf"][0]["enum"]
        assert tuple(labels) == student.task.labels

        answer = Answer.model_validate((await client.call_tool("explain", EXAMPLE)).structured_content)
        expected = student.explain(EXAMPLE)
        assert (answer.label, answer.explanation) == (expected.label, expected.explanation)
        assert answer.probabilities == pytest.approx(expected.probabilities, abs=1e-5)
        assert answer.abstained is None
        wary = await client.call_tool("explain", EXAMPLE | {"precision": 0.9})
        assert wary.structured_content["abstained"] in (True, False)

        words = await client.call_tool("attributions", EXAMPLE)
        assert len(Attributions.model_validate(words.structured_content).words) == 8
        arguments = {"original": EXAMPLE, "edited": None, "every_label": True}
        change = Counterfactual.model_validate(
            (await client.call_tool("counterfactuals", arguments)).structured_content
        )
        assert set(change.arguments or {}) == set(student.task.labels or ())

    with_client(test, package)


def test_an_agents_mistakes_are_told_to_it_and_the_next_call_is_answered(package: Path) -> None:
    mistakes = {
        "hypothesis": {"premise": "A man."},
        "Input should be a valid string": EXAMPLE | {"premise": 3},
        "Extra inputs": EXAMPLE | {"admin": "1"},
        "precision": EXAMPLE | {"precision": 0.5},
        "a number": EXAMPLE | {"precision": "most"},
        "at most 20,000": EXAMPLE | {"premise": "x" * 20_001},
    }

    async def test(client: Any) -> None:
        from mcp import MCPError

        for problem, arguments in mistakes.items():
            result = await client.call_tool("explain", arguments)
            assert result.is_error
            assert problem in result.content[0].text
        long = await client.call_tool("attributions", EXAMPLE | {"premise": "a " * 300})
        assert "at most 200" in long.content[0].text
        with pytest.raises(MCPError, match="attributions_package-2"):
            await client.call_tool("no_such_tool", {})
        assert not (await client.call_tool("explain_package-2", EXAMPLE)).is_error

    with_client(test, package, package)


@pytest.fixture(scope="module")
def keyed(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service with tools for agents that answers only those who have a key."""
    pytest.importorskip("mcp", reason="the extra mcp is not installed")
    keys = tmp_path_factory.mktemp("keys") / "keys.txt"
    keys.write_text(f"{KEY}\n", encoding="utf-8")
    with running(package, "--mcp-http", "--api-key-file", keys) as service:
        yield service


def test_over_http_an_agent_gets_what_the_service_answers(keyed: Running) -> None:
    from mcp.client.streamable_http import streamable_http_client

    async def ask() -> None:
        import httpx2
        import mcp
        from mcp_types import TextContent

        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}) as http:
            transport = streamable_http_client(f"{keyed.url}/mcp", http_client=http)
            async with mcp.Client(transport, read_timeout_seconds=120) as client:
                assert {tool.name for tool in (await client.list_tools()).tools} >= {"explain", "attributions"}
                both = await asyncio.gather(*(client.call_tool("explain", EXAMPLE) for _ in range(2)))
                words = await client.call_tool("attributions", EXAMPLE)
                wrong = await client.call_tool("explain", {"premise": "A man."})
        over_http = keyed.post("/v1/explain", EXAMPLE, headers={"Authorization": f"Bearer {KEY}"}).json()
        assert [each.structured_content for each in both] == [over_http, over_http]
        assert len(Attributions.model_validate(words.structured_content).words) == 8
        assert wrong.is_error
        assert isinstance(problem := wrong.content[0], TextContent)
        assert "hypothesis" in problem.text

    asyncio.run(ask())


def test_over_http_keys_hosts_origins_and_methods_are_held_to(keyed: Running) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accepted = {"Accept": "application/json, text/event-stream"}
    assert keyed.post("/mcp", call, headers=accepted).status_code == 401
    known = accepted | {"Authorization": f"Bearer {KEY}"}
    assert keyed.post("/mcp", call, headers=known | {"Host": "evil.example"}).status_code == 421
    assert keyed.post("/mcp", call, headers=known | {"Origin": "http://evil.example"}).status_code == 403
    assert keyed.post("/mcp", call, headers=known | {"Origin": keyed.url}).status_code == 200
    assert keyed.get("/mcp", headers=known).status_code == 405
    assert keyed.post("/mcp", None, headers=known, content=b"\xff{").status_code == 400
    until(lambda: any('"route": "/mcp"' in line for line in keyed.log), "a line in the log")


def test_what_fits_some_students_stands_beside_those(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    other = replace(
        rd.Student.load("builtin:scenes"), task=Task(name="tone", fields=["text"], labels=["good", "bad"]), folder=None
    )
    hosts = Hosts.load(["builtin:scenes", other], judge="builtin:scenes", prover=True)
    assert [(h.judge is None, h.proofs is None) for h in hosts] == [(False, False), (True, True)]
    assert "served without --judge" in caplog.text
    assert "served without --prover" in caplog.text
    with pytest.raises(rd.errors.DataError, match="Leave out --prover"):
        Hosts.load([other], prover=True)
    with pytest.raises(rd.errors.DataError, match="explanations of the task"):
        Hosts.load([other], judge="builtin:scenes")


def test_a_full_queue_is_told_to_an_agent() -> None:
    """With a stand-in for the queue, which no call can be relied on to fill."""
    mcp = pytest.importorskip("mcp", reason="the extra mcp is not installed")
    student = rd.Student.load("builtin:scenes")
    tools = student_tools(Hosts.load([student]), ServiceSettings())

    async def full(compute: object, rows: int, length: int) -> Any:
        raise UserError("the service", problem="is busy")

    async def ask() -> None:
        async with mcp.Client(tool_server(tools, full)) as client:
            result = await client.call_tool("explain", EXAMPLE)
            assert result.is_error
            assert result.content[0].text == "the service: is busy"

    asyncio.run(ask())


def test_proofs_reach_an_agent(package: Path) -> None:
    async def test(client: Any) -> None:
        answer = await client.call_tool("explain", {"premise": "A man sleeps.", "hypothesis": "A man sleeps."})
        assert answer.structured_content["verdict"] in ("verified", "conflict")  # as its label is
        assert answer.structured_content["proof"]

    with_client(test, package, "--prover")


def test_without_the_extra_a_sentence_says_what_to_install(
    package: Path, command: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mcp.server.stdio", None)
    status, output = command("serve", package, "--mcp")
    assert status == 2
    assert "reasondistill[mcp]" in output
