"""The form of ``audit.json``: a data set in numbers, and what is wrong with it."""

from __future__ import annotations

from typing import Literal

from reasondistill.contracts.audit_numbers import (
    Baselines,
    ChoiceCounts,
    Duplicates,
    ExplanationTexts,
    Highlights,
    Ids,
    IdSets,
    Language,
    Leakage,
    Lengths,
    NoBaselines,
    Phrases,
    SplitCounts,
)
from reasondistill.contracts.base import Block, Count, Versioned, rename_keys
from reasondistill.contracts.lost_texts import Lost
from reasondistill.storage.files import JsonObject

Severity = Literal["problem", "warning", "note"]


class ShownRow(Block):
    """A row that shows a finding; long texts are cut. Up to three ``explanations``, where the finding is about them."""

    id: str
    fields: dict[str, str]
    label: str | None = None
    explanations: list[str] = []


class Finding(Block):
    """What is wrong or worth knowing, and what to do about it.

    ``section`` has the tables and figures behind it; ``examples`` are the first of ``ids`` with their texts.
    """

    severity: Severity
    what: str
    numbers: dict[str, int | float | str | None] = {}
    ids: Ids | IdSets = []
    advice: str
    section: str = ""
    examples: list[ShownRow] = []


class Limits(Block):
    """The longest prompt and the longest target that a student reads and writes, in tokens."""

    max_source_length: int
    max_target_length: int


class DoubtedLabel(Block):
    """A row whose label is not the one that is proved; ``explanation`` is the proof as a sentence."""

    id: str
    label: str
    proved: str
    explanation: str
    assumptions: tuple[str, ...]


class LabelProofs(Block):
    """What proofs say of the labels of ``rows`` pairs; ``doubted``: the worst first."""

    rows: Count
    proved: Count
    agreeing: Count
    doubted: list[DoubtedLabel] = []


class AuditSettings(Block):
    """``order`` is what prompts and targets were made for; ``sample`` rows gave phrases, language and token lengths."""

    order: str
    seed: int
    limits: Limits | None = None
    sample: Count


def _from_version_1(value: JsonObject) -> JsonObject:
    """Parts are splits, what was set aside is dropped, and no field's name is a key beside fixed ones."""
    leakage, duplicates = value["leakage"], value["duplicates"]
    rename_keys(value, parts="splits", set_aside="dropped")
    rename_keys(leakage, train_part="train_split", between_parts="between_splits")
    rename_keys(leakage["groups"], in_several_parts="in_several_splits")
    rename_keys(duplicates["near"], across_parts="across_splits")
    del duplicates["near"]["rows_left_out"], duplicates["normalised"]["n_distinct"]
    for copies in value["explanations"]["copies"].values():
        copies["fields"] = {name: copies.pop(name) for name in value["fields"]}
    for texts in value["lengths"].values():
        for lengths in (texts or {}).values():
            rename_keys(lengths["histogram"], **{"from": "starts"})
            if "limit" in lengths:
                rename_keys(lengths, share_over="share")
                lengths["cut"] = {key: lengths.pop(key) for key in ("limit", "over", "share")}
    return value


class Audit(Versioned):
    """A data set in numbers, and the findings, worst first.

    ``labels``: label → rows, ``"(none)"`` for rows without one. ``dropped``: why → rows that reading left out.
    """

    what = "an audit"
    again = "reasondistill data audit"
    migrations = {1: _from_version_1}

    schema_version: int = 2
    kind: Literal["audit"] = "audit"
    name: str
    fingerprint: str
    task: str
    fields: list[str]
    n: Count
    settings: AuditSettings
    findings: list[Finding] = []
    labels: dict[str, int]
    choices: ChoiceCounts | None
    splits: SplitCounts
    dropped: dict[str, int]
    duplicates: Duplicates
    leakage: Leakage
    explanations: ExplanationTexts
    phrases: Phrases
    highlights: Highlights | None
    lengths: Lengths
    lost: Lost | None
    baselines: Baselines | NoBaselines
    language: Language
    proofs: LabelProofs | None = None
