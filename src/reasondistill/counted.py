"""How far a piece of work is: a sentence that carries its numbers, so that a terminal can draw a bar of them."""

from __future__ import annotations


class Counted(str):
    """A sentence such as ``BERTScore: 1,000 of 2,000 pairs``, for whoever takes plain text too.

    Attributes:
        work: what is done, the same from beginning to end.
        done, total: how many of how many.
        unit: what is counted; may be empty.
        note: what else is to be said, such as the time left.
    """

    work: str
    done: int
    total: int
    unit: str
    note: str

    def __new__(cls, work: str, done: int, total: int, unit: str = "", note: str = "") -> Counted:
        words = f"{work}: {done:,} of {total:,} {unit}".rstrip()
        counted = super().__new__(cls, f"{words}, {note}" if note else words)
        counted.work, counted.done, counted.total, counted.unit, counted.note = work, done, total, unit, note
        return counted


def with_note(text: str, note: str) -> str:
    """The same sentence with a note behind it; its numbers stay."""
    if isinstance(text, Counted):
        return Counted(text.work, text.done, text.total, text.unit, note)
    return f"{text}, {note}"
