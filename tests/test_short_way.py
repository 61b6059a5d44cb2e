"""The short way of a request around FastAPI: the same answers and refusals, and bugs that are told of."""

import asyncio
import logging
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel
from starlette.responses import Response

from reasondistill.errors import DataError
from reasondistill.serving import problems
from reasondistill.serving.problems import RequestError
from reasondistill.serving.short_way import BodyRoute, ShortWay


class Named(BaseModel):
    name: str


MISTAKES = {
    "busy": RequestError(429, "queue-full", "Later.", retry_after=7),
    "mistaken": DataError("row 1", expected="a", found="b"),
    "broken": ValueError("secret"),
}


def client(short: bool) -> httpx.AsyncClient:
    app = FastAPI()
    problems.install(app)
    router = APIRouter(prefix="/v1", route_class=BodyRoute)

    @router.post("/greet")
    async def greet(body: Named) -> Response:
        if body.name in MISTAKES:
            raise MISTAKES[body.name]
        return Response(f"Hello {body.name}")

    app.include_router(router)
    routes = {route.path: route for route in router.routes if isinstance(route, BodyRoute)}
    transport = httpx.ASGITransport(ShortWay(app, routes if short else {}), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://short")


def replies(short: bool) -> list[tuple[int, str, Any]]:
    """Status, what says when to ask again, and body of a good request and of others."""

    async def ask() -> list[httpx.Response]:
        async with client(short) as asking:
            bodies = [{"name": name} for name in ("Ada", *MISTAKES)]
            posted = [await asking.post("/v1/greet", json=body) for body in bodies]
            return [*posted, await asking.get("/v1/greet"), await asking.post("/v1/other", json={})]

    return [(each.status_code, each.headers.get("retry-after", ""), each.text) for each in asyncio.run(ask())]


def test_it_answers_as_fastapi_does_and_says_nothing_of_a_bug(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="uvicorn.error"):
        short = replies(short=True)
    assert [status for status, *_ in short] == [200, 429, 422, 500, 405, 404]
    assert short[1][1] == "7"
    assert short == replies(short=False)
    assert "secret" not in short[3][2]
    assert "secret" in caplog.text


def test_what_cannot_be_read_is_refused_with_the_fields_name() -> None:
    async def ask() -> None:
        async with client(short=True) as asking:
            for content, kind, problem in (
                (b'{"name": 3}', "application/json", "body.name"),
                (b"{}", "application/problem+json; charset=utf-8", "body.name"),
                (b"{", "application/json", "JSON"),
                (b"", "application/json", "JSON"),
                (b'{"name": "a"}', "text/plain", "Content-Type"),
                (b'{"name": "a"}', "", "Content-Type"),
            ):
                reply = await asking.post("/v1/greet", content=content, headers={"Content-Type": kind})
                assert reply.status_code == 422
                assert problem in reply.text
                assert reply.headers["content-type"] == "application/problem+json"

    asyncio.run(ask())
