"""``run.json``: what a training depended on, how far it came, and what it made."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from reasondistill.contracts.base import Block, Count, Versioned, rename_keys
from reasondistill.contracts.efficiency import Hardware
from reasondistill.contracts.lost_texts import Lost
from reasondistill.storage.files import JsonObject, write_json

RUN_FILE = "run.json"


class DataPart(Block):
    """Rows that a run read as one of its parts; ``dropped`` counts others by the reason why they were not read."""

    source: str
    fingerprint: str
    n: Count
    dropped: dict[str, Count] = {}
    phrases: dict[str, float] = {}
    """Words at the end of explanations for how sure a teacher was → the probability that they state."""


class Truncated(Block):
    """How many prompts (``sources``) of ``of_sources``, and ``targets`` of ``of``, were too long."""

    sources: Count
    of_sources: Count
    targets: Count
    of: Count


class StudentSize(Block):
    """Parameters of the student, how many of them were ``trained``, and the bytes of its folder."""

    parameters: Count
    trained: Count | None = None
    bytes: Count | None = None


class Best(Block):
    """The checkpoint that validation selected."""

    step: Count
    metric: str
    value: float


def _from_version_1(value: JsonObject) -> JsonObject:
    """Rows that were dropped were called set aside."""
    for part in value.get("data", {}).values():
        if "set_aside" in part:
            rename_keys(part, set_aside="dropped")
    return value


class RunInfo(Versioned):
    """What ``run.json`` says. What is not known yet is left out of the file."""

    what = "a run"
    again = "reasondistill train"
    migrations = {1: _from_version_1}

    schema_version: int = 2

    name: str
    created: str | None = None
    """When it was begun, as ISO 8601."""
    status: Literal["running", "stopped", "finished"]
    config: dict[str, object] = {}
    """The whole configuration, defaults included."""
    seed: int | None = None
    versions: dict[str, str] = {}
    git_commit: str | None = None
    hardware: Hardware | None = None
    timings: dict[str, float] = {}
    """Seconds, by phase."""
    data: dict[str, DataPart] = {}
    """By part; several training sources are ``train 1``, ``train 2`` …"""
    columns: dict[str, str | list[str] | dict[str, str]] | None = None
    """What → its column in data that were given in memory, whose rows the run keeps as examples."""
    truncated: Truncated | None = None
    lost: Lost | None = None
    processes: Count = 1
    """That began it; a step has as many rows in however many it goes on."""
    launch: str = ""
    """The launcher's start that it was last worked on by: only that one's restarts go on with it unasked."""
    stepped: bool = False
    """Whether a step of training was made."""
    student: StudentSize | None = None
    steps: int | None = None
    best: Best | None = None

    def save(self, path: str | Path) -> None:
        """Write the file, atomically.

        Raises:
            OutputError: it cannot be written there.
        """
        write_json(path, self.model_dump(mode="json", exclude_unset=True))

    @classmethod
    def repair(cls) -> str:
        return "Use the version of reasondistill that made it, or train anew: `reasondistill train`."


class RunSummary(TypedDict):
    """What `list_runs` says of a run; only the first three where something is wrong with it."""

    name: str
    folder: str
    problem: str | None
    created: NotRequired[str | None]
    status: NotRequired[str]
    parameters: NotRequired[int | None]
    steps: NotRequired[int | None]
    best: NotRequired[dict[str, Any] | None]
    results: NotRequired[dict[str, dict[str, float]]]
    bytes: NotRequired[int]
