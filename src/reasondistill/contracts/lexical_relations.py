"""The form of a YAML file of relations between words, which are laid over WordNet's."""

from __future__ import annotations

import re
from typing import Annotated, Final, get_args

from pydantic import AfterValidator, BeforeValidator

from reasondistill.contracts.base import Block
from reasondistill.contracts.proofs import Kind
from reasondistill.errors import DataError

_PREDICATE: Final = re.compile(f"(?:{'|'.join(get_args(Kind))}) \\S.*")


def _predicate(text: str) -> str:
    if not _PREDICATE.fullmatch(text):
        kinds = ", ".join(get_args(Kind)[:4])
        raise ValueError(f"expected a kind of word ({kinds}) and a word, as in 'noun dog'; found {text!r}")
    return text


def require_predicate(text: str) -> str:
    """The predicate that a user typed.

    Raises:
        DataError: it has no kind of word before the word.
    """
    try:
        return _predicate(text)
    except ValueError:
        kinds = ", ".join(get_args(Kind)[:4])
        raise DataError(
            repr(text), expected=f"a kind of word ({kinds}) and a word", found="another text", fix="Write 'noun dog'."
        ) from None


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Predicate = Annotated[str, AfterValidator(_predicate)]
Predicates = Annotated[tuple[Predicate, ...], BeforeValidator(_listed)]


class Relations(Block):
    """Relations between predicates, such as ``noun dog``; what stands here wins over WordNet.

    Attributes:
        isa: a predicate → wider ones: whatever the first is true of, the others are.
        never: a predicate → ones that it does not imply, whatever WordNet says.
        exclusive: a set's name → its members, of which at most one holds of a participant at a time. A member may be
            several predicates, each of which implies it.
        places: what somebody is who is at such a place → nouns of places.
    """

    isa: dict[Predicate, Predicates] = {}
    never: dict[Predicate, Predicates] = {}
    exclusive: dict[str, tuple[Predicates, ...]] = {}
    places: dict[Predicate, Predicates] = {}

    def overlaid(self, own: Relations) -> Relations:
        """These and ``own`` ones, which win: a set of the same name replaces this one's."""
        never = {key: tuple(w for w in value if w not in own.isa.get(key, ())) for key, value in self.never.items()}
        isa = {key: tuple(w for w in value if w not in own.never.get(key, ())) for key, value in self.isa.items()}
        return Relations(
            isa=_joined(isa, own.isa),
            never=_joined(never, own.never),
            exclusive={**self.exclusive, **own.exclusive},
            places=_joined(self.places, own.places),
        )


def _joined(first: dict[str, tuple[str, ...]], second: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    keys = [*first, *(key for key in second if key not in first)]
    return {key: tuple(dict.fromkeys([*first.get(key, ()), *second.get(key, ())])) for key in keys}
