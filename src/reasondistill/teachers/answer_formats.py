"""What a teacher's answer looks like: asked for in words or by a schema, written for few-shot examples, read back."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from reasondistill.storage.files import JsonObject
from reasondistill.teachers.teach_settings import AnswerFormat

Part = Literal["label", "explanation"]
Parts = tuple[Part, ...]
"""What an answer has, in its order."""

CUT = "cut"
"""The problem of an answer that ends in the middle; its request does not count as answered."""

_FENCE = re.compile(r"\A```(?:json|JSON)?[ \t]*\n(.*)\n[ \t]*```\Z", re.DOTALL)
_THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
"""What Qwen3 and others write before their answer, where the server does not take it away."""
_HALF_ESCAPE = re.compile(r"\\u[0-9a-fA-F]{0,4}\Z")
_LINE = re.compile(r"(?im)^[ \t]*(?:\*\*(label|explanation)(?:\*\*:|:\*\*)|(label|explanation)[ \t]*:)[ \t]*")


class Read(NamedTuple):
    """An answer as it was read; ``problem`` says why it cannot be used, and is empty where it can."""

    label: str | None = None
    explanation: str = ""
    problem: str = ""


def schema(parts: Parts, labels: Sequence[str]) -> JsonObject:
    """The JSON schema of an answer, its properties in the order in which they are to be written."""
    kinds: dict[Part, dict[str, object]] = {
        "label": {"type": "string", "enum": [*labels]},
        "explanation": {"type": "string"},
    }
    return {
        "type": "object",
        "properties": {part: kinds[part] for part in parts},
        "required": [*parts],
        "additionalProperties": False,
    }


def instruction(form: AnswerFormat, parts: Parts, labels: Sequence[str]) -> str:
    """What a prompt ends with: how to write the answer."""
    stand_for = {"label": " or ".join(map(repr, labels)) if len(labels) <= 5 else "one of the labels"}
    if form == "lines":
        lines = "\n".join(f"{part.capitalize()}: …" for part in parts)
        return f"Answer with {'this line' if len(parts) == 1 else 'these lines'} and nothing else:\n{lines}"
    shape = json.dumps({part: stand_for.get(part, "…") for part in parts}, ensure_ascii=False)
    return f"Answer with a JSON object and nothing else: {shape}"


def write(form: AnswerFormat, parts: Parts, label: str | None, explanation: str) -> str:
    """An answer as a teacher should write it; line breaks of an explanation become spaces in lines."""
    values: dict[Part, str] = {"label": label or "", "explanation": explanation}
    if form == "lines":
        return "\n".join(f"{part.capitalize()}: {' '.join(values[part].split())}" for part in parts)
    return json.dumps({part: values[part] for part in parts}, ensure_ascii=False)


def read(form: AnswerFormat, parts: Parts, text: str, labels: Sequence[str]) -> Read:
    """Read an answer, strictly: what is not there in full is not guessed.

    ``read(form, parts, write(form, parts, label, explanation), labels)`` gives both back, but for white space around
    explanations and, in lines, inside them.
    """
    text = _THOUGHTS.sub("", text).strip()
    if not text:
        return Read(problem="empty")
    values = _lines(text, parts) if form == "lines" else _object(text)
    if isinstance(values, str):
        return Read(problem=values)
    if missing := [part for part in parts if part not in values]:
        return Read(problem=f"no {missing[0]}")
    if set(values) - set(parts):
        return Read(problem="other keys")
    if odd := [part for part in parts if not isinstance(values[part], str)]:
        return Read(problem=f"{odd[0]} is no text")
    label = None
    if "label" in parts and (label := _match(values["label"], labels)) is None:
        return Read(problem="unknown label")
    explanation = values.get("explanation", "").strip()
    if "explanation" in parts and not explanation:
        return Read(problem="empty explanation")
    if not _is_text(explanation):
        return Read(problem="half of a surrogate pair")
    return Read(label, explanation)


def _is_text(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _object(text: str) -> JsonObject | str:
    """The JSON object that a text is, also one between code fences; or what is wrong with it."""
    if fenced := _FENCE.match(text):
        text = fenced[1].strip()
    keys: list[str] = []

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        keys.extend(key for key, _ in pairs)
        return dict(pairs)

    try:
        value = json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        return CUT if text.startswith("{") and _ends_early(text, error) else "no JSON"
    except (ValueError, RecursionError):  # a number of too many digits; too deep
        return "no JSON"
    if not isinstance(value, dict):
        return "no JSON object"
    return "a key twice" if len(set(keys)) < len(keys) else value


def _ends_early(text: str, error: json.JSONDecodeError) -> bool:
    """Whether the JSON was right until the text ended."""
    in_escape = error.msg.startswith("Invalid \\u") and _HALF_ESCAPE.search(text) is not None
    return error.pos >= len(text) or in_escape or error.msg.startswith("Unterminated string")


def _lines(text: str, parts: Parts) -> dict[str, str] | str:
    marks = list(_LINE.finditer(text))
    names = [(mark[1] or mark[2]).lower() for mark in marks]
    if len(parts) == 1 and not marks:
        return {parts[0]: text}  # the answer alone, as base models and few-shots write it
    if [name for name in names if name in parts] != [*parts] or names != [*parts]:
        return "no such lines"
    if text[: marks[0].start()].strip():
        return "text before the answer"
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    return {name: text[mark.end() : end].strip() for name, mark, end in zip(names, marks, ends, strict=True)}


def _match(text: str, labels: Sequence[str]) -> str | None:
    """The label that a text is; case, spacing, quotes and a full stop at its end do not count."""

    def plain(value: str) -> str:
        return " ".join(value.split()).casefold()

    texts = {plain(text), plain(text.strip().strip("\"'`*").removesuffix(".").strip("\"'`*"))}
    return next((label for label in labels if plain(label) in texts), None)
