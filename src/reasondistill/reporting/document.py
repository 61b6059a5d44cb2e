"""The parts that a report is put together from, before it becomes Markdown or HTML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from reasondistill.contracts.scored_rows import ScoredRow
from reasondistill.reporting.figures import Drawing


class Cell(NamedTuple):
    """A table's cell; ``detail`` stands beneath it, ``flagged`` marks a baseline that reaches the student."""

    text: str
    detail: str = ""
    flagged: bool = False


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: str
    kind: ClassVar[str] = "paragraph"


@dataclass(frozen=True)
class Table:
    """Figures in rows; the first column names the row. ``groups`` are row numbers that a rule is drawn above."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    groups: frozenset[int] = frozenset()
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Facts:
    """Names and values; ``folded`` ones are shown on demand where the medium can fold."""

    title: str
    items: tuple[tuple[str, str], ...]
    folded: bool = False
    kind: ClassVar[str] = "facts"


@dataclass(frozen=True)
class Gallery:
    """Figures side by side where there is room; Markdown finds their files in ``folder``, beside itself."""

    drawings: tuple[Drawing, ...]
    folder: str = "figures/"
    kind: ClassVar[str] = "gallery"


@dataclass(frozen=True)
class Card:
    """One example: what the student read, what it answered, and the references."""

    id: str
    fields: Mapping[str, str]
    gold: str | None
    label: str | None
    correct: bool | None
    probabilities: tuple[tuple[str, float], ...]
    explanation: str
    references: tuple[str, ...]
    scores: tuple[tuple[str, str], ...]

    @property
    def verdict(self) -> str:
        """What is known of the label; the explanation has no verdict of its own."""
        if self.correct is None:
            return "no gold label" if self.gold is None else "label not judged"
        return "label right" if self.correct else "label wrong"


@dataclass(frozen=True)
class Cards:
    """Examples chosen by a rule, which ``rule`` states."""

    title: str
    rule: str
    cards: tuple[Card, ...]
    kind: ClassVar[str] = "cards"


@dataclass(frozen=True)
class Explorer:
    """Rows to filter, sort and read, on the page only.

    ``anchor`` is unique in the report; ``note`` says which rows these are. Without JavaScript the page shows
    ``plain``, the first of them, and the sentence ``without_script``. ``folded`` ones open on demand.
    """

    title: str
    anchor: str
    note: str
    rows: Sequence[ScoredRow]
    plain: Table
    without_script: str
    folded: bool = False
    kind: ClassVar[str] = "explorer"


@dataclass(frozen=True)
class Fold:
    """Details that a page shows on demand, under their title."""

    title: str
    blocks: tuple[Block, ...]
    kind: ClassVar[str] = "fold"


Block = Paragraph | Table | Facts | Gallery | Cards | Explorer | Fold


@dataclass(frozen=True)
class Section:
    """A titled stretch of a report; ``anchor`` is unique in it and made of letters, digits and hyphens.

    ``folded`` ones hold details: a page shows them on demand.
    """

    title: str
    anchor: str
    blocks: tuple[Block, ...]
    folded: bool = False


class Figure(NamedTuple):
    """One of the large figures; ``verdict`` is above, level or below what it has to beat, or None."""

    title: str
    value: str
    interval: str
    baseline: str
    verdict: str | None


class Sample(NamedTuple):
    """One answer and what it stands for, such as "typical"."""

    name: str
    card: Card


@dataclass(frozen=True)
class FirstScreen:
    """What a reader sees before anything else.

    ``rule`` says how the samples were chosen, ``cost`` what an answer costs; either may be empty.
    """

    figures: tuple[Figure, ...]
    verdict: str
    samples: tuple[Sample, ...]
    rule: str
    cost: str


@dataclass(frozen=True)
class Part:
    """All sections on one system, or on several side by side; ``title`` is empty in a report on one system."""

    title: str
    anchor: str
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class Document:
    """A report. ``standing`` is a short line under the title, ``summary`` one paragraph.

    Where there is a ``first`` screen, a page shows it in the summary's place, and folds the summary.
    """

    title: str
    standing: str
    summary: str
    parts: tuple[Part, ...]
    first: FirstScreen | None = None

    @property
    def drawings(self) -> list[Drawing]:
        """Every figure, in order."""
        return [d for block in self._blocks() if isinstance(block, Gallery) for d in block.drawings]

    @property
    def explorers(self) -> list[Explorer]:
        """Every table of rows, in order."""
        return [block for block in self._blocks() if isinstance(block, Explorer)]

    def _blocks(self) -> Iterator[Block]:
        return unfolded(block for part in self.parts for section in part.sections for block in section.blocks)


def unfolded(blocks: Iterable[Block]) -> Iterator[Block]:
    """Every block, those in folds too."""
    for block in blocks:
        if isinstance(block, Fold):
            yield from unfolded(block.blocks)
        else:
            yield block
