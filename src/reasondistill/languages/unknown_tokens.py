"""What a tokenizer loses of a text: tokens that are unknown to it, and the characters that stand in none it knows."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from reasondistill.languages.tokenizer_protocol import Tokenizer

UNREADABLE: Final = 0.1
"""A text that lost more than this share of its tokens, or of its characters, was not read."""
TOO_MANY: Final = 0.2
"""A metric that could not read more than this share of its rows is left out."""
READS_EVERYTHING: Final = (
    "A tokenizer that works on bytes loses nothing: `student.kind: scratch` makes one, and facebook/bart-base "
    "(`student.kind: hub`) has one; google/mt5-small was trained on 101 languages."
)
"""Which students read what others lose, as advice."""
RAISE: Final = "Raise max_source_length: prompts that differ at their end were cut."

WORTH_SAYING: Final = 0.001
"""A command warns when at least this share of the texts lost something; a few odd characters do no harm."""

_SHOWN: Final = 8  # characters that are named
_SHOWN_IDS: Final = 3  # sets of prompts that became the same, and prompts of each
_BATCH: Final = 1000
_NAMES: Final = {"\n": "line break", "\t": "tab"}


class Loss(NamedTuple):
    """What one text lost.

    ``tokens`` is their number without special ones, ``unknown`` how many of them are the unknown token, ``share`` the
    larger share that is lost of tokens and of characters (white space aside), ``characters`` those that are lost.
    """

    tokens: int
    unknown: int
    share: float
    characters: str


class Reader:
    """A tokenizer, and what it loses of texts.

    Args:
        tokenizer: of transformers, or a `students.package.tokenizer.PlainTokenizer`. Of a slow one only tokens
            are counted.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._backend = getattr(tokenizer, "backend_tokenizer", None) if getattr(tokenizer, "is_fast", False) else None
        self.unknown_id: int | None = getattr(tokenizer, "unk_token_id", None)
        self._spaces = [space for space in _NAMES if self.encode([f"a{space}a"]) == self.encode(["a a"])]

    def losses(self, texts: Sequence[str]) -> list[Loss]:
        """What each text loses."""
        return [loss for _, loss in self.read(texts)]

    def read(self, texts: Sequence[str]) -> list[tuple[list[int], Loss]]:
        """The tokens of each text, without special ones and uncut, and what it loses."""
        ids = self.encode(texts)
        if self._backend is None:
            return [(own, self._of_ids(own)) for own in ids]
        # Offsets take as long again: they are computed only for texts that may have lost characters.
        uncertain = [k for k, text in enumerate(texts) if self.unknown_id in ids[k] or not plain(text)]
        encoded = self._backend.encode_batch([texts[k] for k in uncertain], add_special_tokens=False)
        offsets = {k: encoding.offsets for k, encoding in zip(uncertain, encoded, strict=True)}
        return [(own, self._loss(texts[k], own, offsets.get(k))) for k, own in enumerate(ids)]

    def encode(self, texts: Sequence[str], *, special: bool = False) -> list[list[int]]:
        """The tokens of each text, uncut."""
        if not texts:
            return []
        if self._backend is None:
            ids: list[list[int]] = self._tokenizer(list(texts), add_special_tokens=special)["input_ids"]
            return ids
        if self._backend.truncation is not None:  # left behind by an earlier call
            self._backend.no_truncation()
        if self._backend.padding is not None:
            self._backend.no_padding()
        return [encoding.ids for encoding in self._backend.encode_batch_fast(list(texts), add_special_tokens=special)]

    def _of_ids(self, ids: Sequence[int]) -> Loss:
        unknown = sum(i == self.unknown_id for i in ids) if self.unknown_id is not None else 0
        return Loss(len(ids), unknown, unknown / len(ids) if ids else 0.0, "")

    def _loss(self, text: str, ids: Sequence[int], offsets: Sequence[tuple[int, int]] | None) -> Loss:
        counted = self._of_ids(ids)
        if offsets is None:
            return counted
        spaces = "".join(c for c in text if c in self._spaces)
        known = bytearray(len(text))
        # The unknown ones last: a piece that stands for a space alone claims the character after it.
        for i, (start, stop) in sorted(zip(ids, offsets, strict=True), key=lambda item: item[0] == self.unknown_id):
            known[start:stop] = bytes([i != self.unknown_id]) * (stop - start)
        visible = [place for place, character in enumerate(text) if _is_visible(character)]
        lost = [text[place] for place in visible if not known[place]]
        of_characters = len(lost) / len(visible) if visible else 0.0
        return counted._replace(share=max(counted.share, of_characters), characters="".join(lost) + spaces)


def plain(text: str) -> bool:
    """Whether a text has nothing but ASCII without line breaks and tabs: it loses unknown tokens or nothing."""
    return text.isascii() and not any(space in text for space in _NAMES)


def _is_visible(character: str) -> bool:
    """Not so: white space, control and joining characters, variation selectors, and accents put on a letter."""
    return not (
        character.isspace()
        or "\u0300" <= character <= "\u036f"
        or "\ufe00" <= character <= "\ufe0f"
        or unicodedata.category(character) in ("Cc", "Cf")
    )


class LossCount:
    """What a tokenizer loses of a data set's prompts and targets, and which prompts it makes the same.

    Args:
        tokenizer: see `Reader`.
        max_source_length: longer prompts lose their end, which can make them the same too.
    """

    def __init__(self, tokenizer: Tokenizer, max_source_length: int | None = None) -> None:
        self._reader = Reader(tokenizer)
        framed, bare = (self._reader.encode(["a"], special=special)[0] for special in (True, False))
        self._limit = None if max_source_length is None else max(0, max_source_length - len(framed) + len(bare))
        self._counts = {name: Counter[str]() for name in ("prompts", "targets")}
        self._characters: Counter[str] = Counter()
        self._first: dict[int, tuple[int, str]] = {}  # hash of a prompt's ids → hash of its text, id of its row
        self._same: dict[int, dict[int, str]] = {}
        self._cut: set[int] = set()  # keys of ``_same`` whose prompts lost their end
        self._waiting: tuple[list[tuple[str, str]], list[str]] = [], []

    def add(self, identity: str, prompt: str, targets: Iterable[str] = ()) -> None:
        """Count a prompt, of the row ``identity``, and the targets that follow it."""
        prompts, waiting = self._waiting
        prompts.append((identity, prompt))
        waiting.extend(targets)
        if len(prompts) + len(waiting) >= _BATCH:
            self._count()

    def _count(self) -> None:
        prompts, targets = self._waiting
        self._waiting = [], []
        read = self._reader.read([text for _, text in prompts])
        for (identity, text), (ids, loss) in zip(prompts, read, strict=True):
            self._note("prompts", loss)
            key, own = hash(tuple(ids[: self._limit])), hash(text)
            first, of_row = self._first.setdefault(key, (own, identity))
            if own != first:
                self._same.setdefault(key, {first: of_row}).setdefault(own, identity)
                if self._limit is not None and len(ids) > self._limit:
                    self._cut.add(key)
        for loss in self._reader.losses(targets):
            self._note("targets", loss)

    def _note(self, name: str, loss: Loss) -> None:
        self._counts[name].update(n=1, lossy=bool(loss.unknown or loss.characters))
        self._counts[name].update(with_unknown=bool(loss.unknown), tokens=loss.tokens, unknown=loss.unknown)
        self._characters.update(loss.characters)

    def totals(self) -> dict[str, Any]:
        """All counts, as JSON values.

        ``prompts`` and ``targets``: ``n``, ``lossy`` (how many lost something), ``with_unknown`` (of those, how many
        hold an unknown token), ``tokens`` and ``unknown``; ``characters``: the commonest lost ones with their number;
        ``same_prompts``: how many different prompts became another's tokens, ``cut``, how many of them as they lost
        their end, and ``ids`` of a few, by set.
        """
        self._count()
        keys = ("n", "lossy", "with_unknown", "tokens", "unknown")
        ranked = sorted(self._characters.items(), key=lambda item: (-item[1], item[0]))
        return {
            **{name: {key: counts[key] for key in keys} for name, counts in self._counts.items()},
            "characters": [[character, n] for character, n in ranked[:_SHOWN]],
            "same_prompts": {
                "n": sum(map(len, self._same.values())),
                "cut": sum(len(self._same[key]) for key in self._cut),
                "ids": [list(ids.values())[:_SHOWN_IDS] for ids in list(self._same.values())[:_SHOWN_IDS]],
            },
        }


def sentences(losses: Mapping[str, object], *, from_share: float = 0.0) -> list[str]:
    """`LossCount.totals` in sentences; losses in less than ``from_share`` of the texts are left out."""
    lost = lost_share(losses) >= from_share and loss_sentence(losses)
    return [sentence for sentence in (lost, same_sentence(losses)) if sentence]


def lost_share(losses: Mapping[str, Any]) -> float:
    """The share of prompts, or of targets, that lost something: the larger one."""
    return max(float(losses[name]["lossy"] / max(losses[name]["n"], 1)) for name in ("prompts", "targets"))


def loss_sentence(losses: Mapping[str, Any]) -> str:
    """How much was lost, and what most often; empty if nothing was."""
    parts = [
        f"{counts['lossy']:,} of {counts['n']:,} {name} ({counts['unknown']:,} of {counts['tokens']:,} tokens unknown)"
        for name in ("prompts", "targets")
        if (counts := losses[name])["lossy"]
    ]
    if not parts:
        return ""
    commonest = ", ".join(f"{shown(character)} {n:,}×" for character, n in losses["characters"])
    return (
        f"The tokenizer cannot read some characters in {' and in '.join(parts)}"
        f"{f'; most often lost: {commonest}' if commonest else ''}."
    )


def same_sentence(losses: Mapping[str, Any]) -> str:
    """Which prompts became the same; empty where none did."""
    same = losses["same_prompts"]
    if not same["n"]:
        return ""
    some = "; ".join(" = ".join(ids) for ids in same["ids"])
    more = "; …" if same["n"] > sum(map(len, same["ids"])) else ""
    return (
        f"{same['n']:,} prompts have the same tokens as a different prompt, so a student cannot tell them apart: "
        f"{some}{more}."
    )


def advice(losses: Mapping[str, Any]) -> str:
    """What to do about the losses of `LossCount.totals`."""
    same = losses["same_prompts"]
    lost = lost_share(losses) > 0 or same["n"] > same["cut"]
    return " ".join([*([RAISE] if same["cut"] else []), *([READS_EVERYTHING] if lost else [])])


def shown(character: str) -> str:
    """A character as a sentence can hold it."""
    if character in _NAMES:
        return _NAMES[character]
    # A combining mark alone would hang on the quote before it.
    circle = "\u25cc" if unicodedata.category(character).startswith("M") else ""
    return f"'{circle}{character}' (U+{ord(character):04X})"
