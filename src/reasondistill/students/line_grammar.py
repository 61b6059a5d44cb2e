"""What a student may write next: the grammar of ``relation | from | to`` over token ids, for one example.

Each of the three parts is one of a list: the relations of the decided label, the spans of a field. The lists are
encoded as they stand in a target and laid into tries, so that a path through all three is a target that could have
been learned, token by token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from reasondistill.errors import ConfigError, TaskError
from reasondistill.students.codec import Codec
from reasondistill.tasks.structures import Structure

Allowed = Callable[[Sequence[int]], list[int]]
"""The ids that may follow those written so far, never none: after the end, the end again."""

Trie = dict[int, "Trie"]  # a node's children by token id; a leaf has none


class LineGrammar:
    """The lines that an explanation of one example may be.

    Args:
        codec: of the student that writes.
        structure: of its task.
        prefix: the text that the line follows, as `tasks.explanation_prefix` gives it.
        ending: the text that follows the line, if any, before the student stops.
        room: tokens that may be written. Spans are left out that would not leave the other one room for as many.
    """

    def __init__(self, codec: Codec, structure: Structure, *, prefix: str = "", ending: str = "", room: int) -> None:
        self._codec = codec
        self._structure = structure
        self._prefix = f"{prefix} " if prefix else ""
        self._ending = ending
        self._room = room
        self._spans: dict[tuple[str, bool, int], Trie] = {}

    def rule(self, fields: Mapping[str, str], label: str | None) -> Allowed | None:
        """What may be written for an example with a decided label; None where a field has no span to copy.

        Raises:
            TaskError: the tokenizer cannot write a relation.
            ConfigError: there is no room for a relation and two spans of a token each.
        """
        relations = self._relations(label)
        longest = max(map(_depth, relations.values()), default=0) + 1
        parts = [relations, *self._both_spans(fields, (self._room - longest) // 2)]
        return None if not all(parts) else lambda written: self._next(parts, written)

    def _next(self, parts: Sequence[Trie], written: Sequence[int]) -> list[int]:
        remaining = iter(parts)
        node = next(remaining)
        for token in written:
            if not node:
                node = next(remaining, {})
            node = node.get(token, {})
        return list(node or next(remaining, {})) or [self._codec.eos_token_id]

    def _relations(self, label: str | None) -> Trie:
        names = self._structure.relations_for(label)
        paths = continuations(self._codec, self._prefix.rstrip(), [f"{self._prefix}{name} |" for name in names])
        if len(paths) < len(names):
            raise TaskError(
                "structure",
                expected=f"relations, and |, that the tokenizer can write: {', '.join(names)}",
                found=f"unknown tokens in {len(names) - len(paths)} of them",
                fix="Rename them, or choose another student.",
            )
        return _trie(paths)

    def _both_spans(self, fields: Mapping[str, str], room: int) -> list[Trie]:
        tries = []
        for name, last in ((self._structure.from_field, False), (self._structure.to_field, True)):
            key = fields[name], last, room
            if key not in self._spans:
                self._spans[key] = self._span_trie(*key)
            tries.append(self._spans[key])
        return tries

    def _span_trie(self, field: str, last: bool, room: int) -> Trie:
        before = f"{self._prefix}{next(iter(self._structure.relations))} |"
        after = self._ending if last else " |"
        spans = list(dict.fromkeys(self._structure.spans(field)))
        end = [self._codec.eos_token_id] if last else []
        texts = [f"{before} {span}{after}" for span in spans]
        paths = [[*path, *end] for path in continuations(self._codec, before, texts)]
        fitting = [path for path in paths if len(path) <= room]
        if paths and not fitting:
            needed = 2 * min(map(len, paths)) + self._room - 2 * room
            raise ConfigError(
                "generation.max_new_tokens",
                expected=f"room for a relation and two spans, at least {needed}",
                found=str(self._room),
                fix="Raise it.",
            )
        return _trie(fitting)


def continuations(codec: Codec, before: str, texts: Sequence[str]) -> list[list[int]]:
    """What each text, which begins with ``before``, adds to the ids of that; texts with unknown tokens are left out."""
    known = codec.encode_prefix(before)
    unknown = codec.tokenizer.unk_token_id
    paths = [ids[len(known) :] for ids in codec.encode_prefixes(texts) if ids[: len(known)] == known]
    return [path for path in paths if path and unknown not in path]


def _trie(paths: Iterable[Sequence[int]]) -> Trie:
    root: Trie = {}
    for path in sorted(paths, key=len):
        node, fresh = root, False
        for place, token in enumerate(path):
            if place and not node and not fresh:  # a shorter path ends here, and would never be told from this one
                break
            fresh = fresh or token not in node
            node = node.setdefault(token, {})
    return root


def _depth(trie: Trie) -> int:
    return 1 + max(map(_depth, trie.values())) if trie else 0
