"""HTTP of uvicorn, with a reply's head and body in one write: a second one costs a system call, and may wait 40 ms."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol


class OneWriteProtocol(H11Protocol):
    """Collects what is written until the event loop goes on."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Collecting(transport))  # type: ignore[arg-type]


class _Collecting:
    """A transport that writes what it was given in one turn of the event loop at once."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport, self._parts = transport, bytearray()
        self._loop = asyncio.get_running_loop()

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not data:
            return
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts += data

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._parts:
            self._transport.write(bytes(self._parts))
            self._parts.clear()
