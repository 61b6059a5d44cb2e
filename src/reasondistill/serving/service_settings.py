"""What an operator can set: the address, the limits, who may ask, where feedback goes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field

from reasondistill.contracts.base import Block

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]


class ServiceSettings(Block):
    """How a service runs. What stands below a field is also the help text of its option on the command line."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    host: str = "127.0.0.1"
    """Address to listen on; 127.0.0.1 is this machine alone, 0.0.0.0 is open."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """Port to listen on; 0 takes a free one."""
    api_key_file: Path | None = None
    """Only answer requests that carry one of the keys in this file, one a line."""
    feedback: Path | None = None
    """Keep what people say of answers in this SQLite file; off by default."""
    judge: Path | None = None
    """A judge's folder, or builtin:scenes: the support of arguments for labels."""
    prover: bool = False
    """For pairs of sentences, show which answers can be proved, and how."""
    near: bool = False
    """Show rows that a run learned from and that are near to a question."""
    mcp_http: bool = False
    """Also offer tools for agents (Model Context Protocol), at /mcp."""
    max_batch: Count = 32
    """Compute at most N examples at once."""
    batch_wait_ms: Annotated[float, Field(ge=0, le=1000)] = 4.0
    """How long a busy service waits for a batch to fill."""
    max_queue: Count = 256
    """Let at most N examples wait; more are answered with 429."""
    timeout: Seconds = 30.0
    """Seconds that a request may wait before it is dropped with 503."""
    rate: Annotated[int, Field(ge=0)] = 0
    """Requests a minute for each key, or each address without keys. 0: no limit."""
    drain_seconds: Annotated[float, Field(ge=0)] = 1.0
    """How long to go on taking requests after SIGTERM, no longer ready."""
    allowed_hosts: tuple[str, ...] = ()
    """Names that the service goes by, beside this machine's own."""
    log_texts: bool = False
    """Also log what is asked."""
    max_batch_characters: Count = 65_536
    """Of a batch: its rows times the longest. The engine cuts batches further, by tokens."""
    max_body_bytes: Count = 1_000_000
    """Of a request."""
    body_seconds: Seconds = 10.0
    """Seconds that sending a body may take."""
    max_field_characters: Count = 20_000
    """Of one field of an example."""
    max_inputs: Count = 128
    """Examples in one request; no more than `max_queue`."""
    max_words: Count = 200
    """Words of an example of which each is left out in turn."""
    max_feedback: Count = 100_000
    """Rows in the file for feedback."""
    shutdown_seconds: Seconds = 60.0
    """How long it takes at most, after `drain_seconds`, to answer what it took."""
