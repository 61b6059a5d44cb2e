"""`serve --mcp` as an agent meets it: the protocol's own client, over standard input and output."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import reasondistill as rd
from reasondistill.contracts.service import Answer, Attributions, Counterfactual
from services import EXAMPLE, export_scenes


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
        "at most 20000": EXAMPLE | {"premise": "x" * 20_001},
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


def test_without_the_extra_a_sentence_says_what_to_install(
    package: Path, command: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mcp.server.stdio", None)
    status, output = command("serve", package, "--mcp")
    assert status == 2
    assert "reasondistill[mcp]" in output
