"""What a student may write next where it writes steps: ``sent1 & sent3 -> int1: text ; int1 -> hypothesis``.

The words of a step are enumerated for the example: premises that are there, the next conclusion's name, the goal. A
conclusion's text is free, without a semicolon. There is always room left to use every conclusion and to reach the goal,
so whatever is written is a tree. A word's tokens are taken to be the same wherever it stands, as for all tokenizers
that split at spaces.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from reasondistill.errors import ConfigError, TaskError
from reasondistill.students.codec import Codec
from reasondistill.students.line_grammar import Allowed, continuations
from reasondistill.tasks.step_structures import StepStructure

_MARK = ";"
_AFTER = ("&", "->")
"""What may follow a premise."""


class _Word(NamedTuple):
    """A way to go on: its tokens, what it names, and the mark behind that."""

    path: tuple[int, ...]
    name: str
    mark: str


class StepGrammar:
    """The steps that an explanation of one example may be.

    Args:
        codec, structure, prefix, ending, room: as `line_grammar.LineGrammar` takes them.

    Raises:
        TaskError: the tokenizer cannot write what steps are made of.
    """

    def __init__(
        self, codec: Codec, structure: StepStructure, *, prefix: str = "", ending: str = "", room: int
    ) -> None:
        self._codec = codec
        self._structure = structure
        self._prefix = prefix
        self._paths: dict[tuple[str, bool], tuple[int, ...]] = {}
        self.room = room
        goal = structure.goal_field
        self.goal = _Word((*self._path(f"{goal}{ending}"), codec.eos_token_id), goal, "")
        self.eos = codec.eos_token_id
        self.end_of_text = self._path(_MARK)[-1]
        self.text = [token for token, piece in codec.pieces.items() if _MARK not in piece]
        self.text_or_end = sorted({*self.text, self.end_of_text})
        self.solid = [token for token in self.text if any(map(str.isalnum, codec.pieces[token]))]
        self.solid_set = frozenset(self.solid)

    def rule(self, fields: Mapping[str, str], label: str | None) -> Allowed | None:
        """What may be written for an example; None where its field has no sentences to start from.

        Raises:
            TaskError: the tokenizer cannot write a number.
            ConfigError: there is no room for a step.
        """
        names = [*self._structure.sentences(fields)]
        if not names:
            return None
        walk = _Walk(self, names)
        if not walk.words:
            raise ConfigError(
                "generation.max_new_tokens",
                expected=f"room for a step, at least {walk.reserve()}",
                found=str(self.room),
                fix="Raise it.",
            )

        def allowed(written: Sequence[int]) -> list[int]:
            nonlocal walk
            if [*written[: len(walk.written)]] != walk.written:
                walk = _Walk(self, names)
            for token in written[len(walk.written) :]:
                walk.take(token)
            return walk.allowed()

        return allowed

    def premise(self, name: str, mark: str, *, first: bool) -> _Word:
        """A premise and the mark behind it, in the middle of a line or at its start."""
        return _Word(self._path(f"{name} {mark}", first=first), name, mark)

    def conclusion(self, name: str) -> _Word:
        """The name of a conclusion whose text follows."""
        return _Word(self._path(f"{name}:"), name, ":")

    def _path(self, text: str, *, first: bool = False) -> tuple[int, ...]:
        if (text, first) not in self._paths:
            before = self._prefix if first else f"{self._prefix} {_AFTER[0]}".lstrip()
            paths = continuations(self._codec, before, [f"{before} {text}".lstrip()])
            if not paths:
                raise TaskError(
                    "structure",
                    expected=f"a tokenizer that can write {text!r}",
                    found="unknown tokens in it",
                    fix="Choose another student.",
                )
            self._paths[text, first] = tuple(paths[0])
        return self._paths[text, first]


class _Walk:
    """Where the writing of one example has got to: in one of ``words``, in a conclusion's text, or at the end."""

    def __init__(self, grammar: StepGrammar, names: Sequence[str]) -> None:
        self.grammar = grammar
        self.written: list[int] = []
        self.known = [*names]
        self.concluded = 0
        self.unused: frozenset[str] = frozenset()
        self.premises: frozenset[str] = frozenset()
        self.in_text = self.has_text = False
        self.reserved = 0
        self.partial: tuple[int, ...] = ()
        self.words = self._premises()

    @property
    def room(self) -> int:
        return self.grammar.room - len(self.written)

    def reserve(self, unused: Collection[str] = (), name: str | None = None) -> int:
        """Tokens that it takes to use all that is unused in one step, and to reach the goal."""
        names = self.known if name is None else [*self.known, name]
        lengths = [len(self.grammar.premise(n, mark, first=not self.written).path) for n in names for mark in _AFTER]
        return max(1, len(unused)) * max(lengths) + len(self.grammar.goal.path)

    def allowed(self) -> list[int]:
        """The tokens that may come next."""
        if not self.in_text:
            place = len(self.partial)
            return sorted({word.path[place] for word in self.words}) or [self.grammar.eos]
        spare = self.room - self.reserved - 1  # the end of the text needs one
        if self.has_text:
            return self.grammar.text_or_end if spare > 0 else [self.grammar.end_of_text]
        return self.grammar.text if spare > 1 else self.grammar.solid

    def take(self, token: int) -> None:
        """Note a token that was written."""
        self.written.append(token)
        if not self.in_text:
            self.partial += (token,)
            self.words = [word for word in self.words if word.path[: len(self.partial)] == self.partial]
            if whole := next((word for word in self.words if word.path == self.partial), None):
                self.partial = ()
                self._go_on_after(whole)
        elif token != self.grammar.end_of_text:
            self.has_text = self.has_text or token in self.grammar.solid_set
        else:
            self.in_text = self.has_text = False
            self.words = self._premises()

    def _go_on_after(self, word: _Word) -> None:
        if word.mark == ":":
            self.concluded += 1
            self.known.append(word.name)
            self.unused |= {word.name}
            self.premises, self.words = frozenset(), []
            self.in_text, self.reserved = True, self.reserve(self.unused)
        elif word.mark:
            self.unused -= {word.name}
            self.premises |= {word.name}
            self.words = self._premises() if word.mark == _AFTER[0] else self._conclusions(self.unused, self.room)
        else:
            self.words = []  # the goal is reached

    def _premises(self) -> list[_Word]:
        """The premises that may come next, each with the marks behind it after which all can be finished."""
        left = [name for name in self.known if name not in self.premises]
        words = []
        for name in left:
            unused = self.unused - {name}
            more, last = (self.grammar.premise(name, mark, first=not self.written) for mark in _AFTER)
            if len(left) > 1 and self.room - len(more.path) >= self.reserve(unused):
                words.append(more)
            if self._conclusions(unused, self.room - len(last.path)):
                words.append(last)
        return words

    def _conclusions(self, unused: frozenset[str], room: int) -> list[_Word]:
        """What may be concluded with so much room: the goal, if all is used, and what can be used before it."""
        goal = [self.grammar.goal] if not unused and room >= len(self.grammar.goal.path) else []
        inner = self.grammar.conclusion(f"int{self.concluded + 1}")
        needed = len(inner.path) + 2 + self.reserve({*unused, inner.name}, inner.name)
        return [*goal, inner] if room >= needed else goal
