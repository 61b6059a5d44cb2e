"""A report as Markdown, with its figures as files beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reasondistill.reporting.document import (
    Block,
    Card,
    Cards,
    Document,
    Explorer,
    Facts,
    FirstScreen,
    Fold,
    Gallery,
    Paragraph,
    Table,
)
from reasondistill.reporting.formatting import printable
from reasondistill.reporting.sections.tables import FLAG

GENERATOR = "<!-- reasondistill report -->"
"""The first line: how a later report knows this one, and may put itself in its place."""
_SPECIAL = re.compile(r"([\\`*_\[\]|~#$])")


def to_markdown(document: Document, generator: str = GENERATOR) -> str:
    """The same text and tables as the page; figures are read from ``figures/<name>.png``."""
    lines = [generator, "", f"# {escape(document.title)}", "", escape(document.standing), ""]
    lines += [*_first(document.first), escape(document.summary), ""]
    for part in document.parts:
        if part.title:
            lines += [f"## {escape(part.title)}", ""]
        for section in part.sections:
            if section.blocks and all(isinstance(block, Explorer) for block in section.blocks):
                continue  # a section of its own on the page, where rows can be filtered
            lines += [f"{'###' if part.title else '##'} {escape(section.title)}", ""]
            for block in section.blocks:
                lines += block_lines(block)
    return "\n".join(lines).rstrip() + "\n"


def _first(first: FirstScreen | None) -> Iterator[str]:
    if first is None:
        return
    if first.verdict:
        yield from (f"**{escape(first.verdict)}**", "")
    for figure in first.figures:
        details = "; ".join(text for text in (figure.interval, figure.baseline) if text)
        yield f"- {escape(figure.title)}: **{escape(figure.value)}**" + (f" ({escape(details)})" if details else "")
    yield ""
    for name, card in first.samples:
        yield f"- {name}: {escape(card.explanation)} (`{escape(card.label or 'no label')}`, {card.verdict})"
    yield from ("", escape(first.rule), "") if first.samples else ()
    yield from (escape(first.cost), "") if first.cost else ()


def escape(text: str) -> str:
    """``text`` on one line, shown by Markdown as it is: no mark-up, no HTML, no table cell broken."""
    line = " ".join(printable(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", line)


def block_lines(block: Block) -> Iterator[str]:
    """The lines of one block."""
    match block:
        case Paragraph(text):
            yield from (escape(text), "")
        case Table():
            yield from _table(block)
        case Facts(title, items):
            if title:
                yield from (f"**{escape(title)}**", "")
            yield from ("| | |", "|:--|:--|")
            yield from (f"| {escape(name)} | {escape(text)} |" for name, text in items)
            yield ""
        case Gallery(drawings, folder):
            for drawing in drawings:
                yield from (f"**{escape(drawing.title)}.** {escape(drawing.caption)}", "")
                yield from (f"![{escape(drawing.title)}]({folder}{drawing.name}.png)", "")
        case Fold(title, blocks):
            yield from (f"**{escape(title)}**", "")
            for inner in blocks:
                yield from block_lines(inner)
        case Cards(title, rule, cards):
            yield from (f"**{escape(title)}.** {escape(rule)}", "")
            for card in cards:
                yield from _card(card)
            yield ""


def _table(table: Table) -> Iterator[str]:
    yield from (f"**{escape(table.title)}**", "")
    yield _row([escape(name) for name in table.head])
    yield _row([":--", *["--:"] * (len(table.head) - 1)])
    for row in table.rows:
        cells = [
            escape(cell.text)
            + (f" {FLAG}" if cell.flagged else "")
            + (f" ({escape(cell.detail)})" if cell.detail else "")
            for cell in row
        ]
        yield _row(cells)
    yield ""
    if table.note:
        yield from (escape(table.note), "")


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _card(card: Card) -> Iterator[str]:
    yield f"- **{escape(card.id)}** ({card.verdict})"
    for name, text in card.fields.items():
        yield f"  - {escape(name)}: {escape(text)}"
    if card.gold is not None:
        yield f"  - gold label: {escape(card.gold)}"
    probabilities = ", ".join(f"{escape(label)} {p:.2f}" for label, p in card.probabilities)
    yield f"  - predicted label: {escape(card.label or 'none')}" + (f" ({probabilities})" if probabilities else "")
    scores = escape(", ".join(f"{name} {value}" for name, value in card.scores))
    yield f"  - explanation: {escape(card.explanation) or '(empty)'}" + (f" ({scores})" if scores else "")
    for text in card.references:
        yield f"  - reference: {escape(text)}"
