"""Conversations: ShareGPT's ``conversations`` (from, value), and chat ``messages`` (role, content).

Each answer becomes an instruction with its output; the other turns before it are the input, a tool's among them. A turn
without text, as one that calls a tool, is no answer. A conversation without an answer, but with a label, is a text.
ShareGPT's form: https://github.com/lm-sys/FastChat; messages as in https://huggingface.co/docs/trl/dataset_formats
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

from reasondistill.data.readers.exports.form import Export, without
from reasondistill.data.readers.flat_rows import Cells

_ASKS = frozenset({"human", "user"})
_ANSWERS = frozenset({"gpt", "assistant", "chatgpt", "bing", "bard", "model"})


def _is_turns(row: Mapping[str, object], column: str, role: str) -> bool:
    turns = row.get(column)
    return isinstance(turns, list) and bool(turns) and all(isinstance(t, Mapping) and role in t for t in turns)


def _of_turns(row: Cells, counts: Counter[str], column: str, role: str, text: str) -> list[dict[str, object]]:
    columns = without(row, frozenset({column, "system", "tools"}))
    turns = [(str(turn[role]), _text(turn[text])) for turn in row[column]]
    if isinstance(row.get("system"), str) and row["system"]:
        turns.insert(0, ("system", row["system"]))
    answers = [
        {**columns, "instruction": turns[question][1], "input": _before(turns, question, place), "output": said}
        for place, (speaker, said) in enumerate(turns)
        if speaker in _ANSWERS and said.strip() and (question := _asked(turns[:place])) is not None
    ]
    if not answers and "label" in row:
        return [{**columns, "text": "\n".join(text for _, text in turns)}]
    if not answers:
        counts["conversation without an answer"] += 1
    return answers


def _asked(turns: Sequence[tuple[str, str]]) -> int | None:
    """Where the question to what follows stands."""
    return next((place for place in reversed(range(len(turns))) if turns[place][0] in _ASKS), None)


def _before(turns: Sequence[tuple[str, str]], question: int, place: int) -> str:
    """What stands before an answer beside its question: a system prompt alone as it is, turns with who speaks."""
    others = [(speaker, text) for speaker, text in (*turns[:question], *turns[question + 1 : place]) if text.strip()]
    if [speaker for speaker, _ in others] == ["system"]:
        return others[0][1]
    return "\n".join(f"{speaker}: {text}" for speaker, text in others)


def _text(content: object) -> str:
    """A turn's text; of one in several parts, those that are texts."""
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if part.get("type") == "text")
    return "" if content is None else str(content)


SHAREGPT = Export(
    "ShareGPT's conversations",
    partial(_is_turns, column="conversations", role="from"),
    partial(_of_turns, column="conversations", role="from", text="value"),
)
MESSAGES = Export(
    "chat messages",
    partial(_is_turns, column="messages", role="role"),
    partial(_of_turns, column="messages", role="role", text="content"),
)
