"""Augment training rows with small edits that preserve the label and its explanation."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from reasondistill.config import Augment, Edit
from reasondistill.contracts.records import Example
from reasondistill.data.loaded import Loaded
from reasondistill.data.stored import SCHEMA, StoredExamples, content_hash, to_batches

_ARTICLE = re.compile(r"\b(?:a|an|the)\s+(?=\w)", re.IGNORECASE)
_LONG_WORD = re.compile(r"[^\W\d_]{5,}")


def augmented(loaded: Loaded, settings: Augment, seed: int, *, as_given: Collection[str] = ()) -> Loaded:
    """The examples, and behind them their edited copies: same label, explanations and group, an id of their own.

    A copy for which no edit changes anything is left out. Fields named ``as_given`` stay as they are.
    """
    taken = set(loaded.stored.column("id"))
    copies = (with_free_id(copy, taken) for copy in _copies(loaded.examples, settings, seed, as_given))
    table = pa.Table.from_batches(to_batches((e, content_hash(e)) for e in copies), schema=SCHEMA)
    return replace(loaded, examples=loaded.stored.joined_with(StoredExamples(table)))


def with_free_id(copy: Example, taken: set[str]) -> Example:
    """The example under an id that is not taken yet; it then is. Data that were augmented before have such ids."""
    identity = copy.id
    while identity in taken:
        identity += "~"
    taken.add(identity)
    return copy if identity == copy.id else copy.model_copy(update={"id": identity})


def _copies(examples: Sequence[Example], settings: Augment, seed: int, as_given: Collection[str]) -> Iterator[Example]:
    for example in examples:
        for number in range(1, settings.copies + 1):
            key = f"{seed}\x1f{example.id}\x1f{number}".encode("utf-8", "surrogatepass")
            generator = np.random.default_rng(int.from_bytes(hashlib.sha256(key).digest()[:8]))
            fields = {
                name: text if name in as_given else _edited(text, settings.edits, generator)
                for name, text in example.fields.items()
            }
            if fields != example.fields:
                group = example.group if example.group is not None else example.id
                yield example.model_copy(
                    update={"id": f"{example.id}~{number}", "fields": fields, "group": group, "highlights": None}
                )


def _edited(text: str, edits: Sequence[Edit], generator: np.random.Generator) -> str:
    """``text`` after one of the edits, drawn among those that change it."""
    changed = [new for edit in edits if (new := edit_text(text, edit, generator)) != text]
    return changed[int(generator.integers(len(changed)))] if changed else text


def edit_text(text: str, edit: Edit, generator: np.random.Generator) -> str:
    """One edit of an English text; unchanged where it does not apply.

    ``case``: all in lower case. ``punctuation``: the final full stop goes, or comes. ``article``: one a, an or the is
    left out. ``typo``: two neighbouring letters inside a word of five letters or more change places.
    """
    if edit == "case":
        return text.lower()
    if edit == "punctuation":
        bare = text.rstrip()
        return bare[:-1].rstrip() if bare.endswith(".") else f"{bare}."
    matches = list((_ARTICLE if edit == "article" else _LONG_WORD).finditer(text))
    if not matches:
        return text
    match = matches[int(generator.integers(len(matches)))]
    if edit == "article":
        return text[: match.start()] + text[match.end() :]
    word = match[0]
    place = int(generator.integers(1, len(word) - 2))
    return (
        text[: match.start()] + word[:place] + word[place + 1] + word[place] + word[place + 2 :] + text[match.end() :]
    )
