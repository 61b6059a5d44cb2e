"""The audit of a data set as a page: what is wrong first, then the numbers behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from reasondistill.contracts.audit import Audit
from reasondistill.data.audit import sections
from reasondistill.data.audit.findings import SEVERITIES, Evidence, FactList, Figure, NumberTable, number_of
from reasondistill.errors import DataError, OutputError
from reasondistill.reporting.audit_figures import draw
from reasondistill.reporting.document import Block, Cell, Document, Facts, Gallery, Paragraph, Part, Section, Table
from reasondistill.reporting.formatting import flatten
from reasondistill.reporting.html import render
from reasondistill.storage.files import atomic_write, read_json

GENERATOR: Final = "reasondistill data audit"
"""The page's ``generator``: how a later audit knows this one, and may put itself in its place."""
_HEAD: Final = 2048


class AuditFiles(NamedTuple):
    """Where an audit lies."""

    json: Path
    html: Path


def write_audit(audit: Audit, out_folder: str | Path) -> AuditFiles:
    """Write audit.json and audit.html, which needs nothing else. An earlier audit is replaced, nothing else is.

    Raises:
        OutputError: the folder cannot be written to, or an audit.json or audit.html there is no audit.
    """
    out = Path(out_folder)
    if out.exists() and not out.is_dir():
        raise OutputError(out, expected="a folder", found="a file", fix="Name another folder.")
    files = AuditFiles(out / "audit.json", out / "audit.html")
    for path, ours in ((files.json, _is_our_json), (files.html, _is_our_page)):
        if path.exists() and not ours(path):
            raise OutputError(
                path,
                expected="nothing, or an earlier audit",
                found="something that `reasondistill data audit` did not make",
                fix="Name another folder, or move it away: nothing is overwritten.",
            )
    page = to_page(audit)
    audit.save(files.json)
    with atomic_write(files.html) as stream:
        stream.write(page)
    return files


def _is_our_json(path: Path) -> bool:
    try:
        return read_json(path).get("kind") == "audit"
    except DataError:
        return False


def _is_our_page(path: Path) -> bool:
    with path.open(encoding="utf-8", errors="replace") as stream:
        return f'name="generator" content="{GENERATOR}"' in stream.read(_HEAD)


def to_page(audit: Audit) -> str:
    """The page of an audit."""
    document = compose(audit)
    severities = [finding.severity for finding in audit.findings]
    return render(
        "audit.html.j2",
        document=document,
        findings=audit.findings,
        titles={section.anchor: section.title for section in document.parts[0].sections},
        tally=[(severity, severities.count(severity)) for severity in SEVERITIES],
        generator=GENERATOR,
        flag="",
    )


def compose(audit: Audit) -> Document:
    """The numbers behind the findings, in sections."""
    composed = [
        Section(section.title, section.anchor, tuple(_blocks(item for item in section.evidence if item is not None)))
        for section in sections(audit)
    ]
    facts = (
        ("fingerprint of the data", audit.fingerprint),
        *flatten(audit.settings.model_dump()),
        ("phrases and language from", f"{audit.phrases.n:,} explanations of {number_of(audit.settings.sample, 'row')}"),
    )
    composed.append(Section("How it was made", "settings", (Facts("", facts),)))
    counts = [
        f"task {audit.task}",
        number_of(audit.n, "example"),
        number_of(audit.explanations.n, "explanation"),
        *([number_of(groups, "group")] if (groups := audit.leakage.groups.groups) else []),
    ]
    kept = tuple(section for section in composed if section.blocks)
    return Document(audit.name, " · ".join(counts), "", (Part("", "audit", kept),))


def _blocks(evidence: Iterable[Evidence]) -> Iterator[Block]:
    """Evidence as a page shows it; figures that follow each other stand side by side."""
    for are_figures, items in groupby(evidence, key=lambda item: isinstance(item, Figure)):
        if are_figures:
            yield Gallery(tuple(draw(item) for item in items if isinstance(item, Figure)))
        else:
            yield from map(_block, items)


def _block(item: Evidence) -> Block:
    match item:
        case NumberTable():
            rows = tuple(
                tuple(Cell(cell) if isinstance(cell, str) else Cell(*cell) for cell in row) for row in item.rows
            )
            return Table(item.title, tuple(item.head), rows, item.note, item.ruled)
        case FactList():
            return Facts(item.title, tuple(item.items), item.folded)
        case str():
            return Paragraph(item)
    raise TypeError(type(item).__name__)
