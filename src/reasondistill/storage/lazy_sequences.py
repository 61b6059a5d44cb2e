"""Sequences that take less memory than their items: kept pickled, or made when they are asked for."""

from __future__ import annotations

import pickle
import zlib
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, Generic, TypeVar, overload

T = TypeVar("T")
S = TypeVar("S")

_ITEMS_IN_A_PART: Final = 64
"""Items that are pickled together: they share the names of their classes and keys. A walk over parts of 1,024 takes
four times as long: they outgrow the processor's cache and a generation of the garbage collector.
"""
_PARTS_AT_HAND: Final = 4
"""Parts that are unpickled at one time, so that several walks at once unpickle none twice."""


class LazySequence(Sequence[T]):
    """A sequence of which a slice is a list, and which equals any sequence of the same items."""

    @abstractmethod
    def _item(self, place: int) -> T:
        """The item at a place from 0 to the last."""

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> list[T]: ...
    def __getitem__(self, place: int | slice) -> T | list[T]:
        places = range(len(self))[place]
        return [self._item(k) for k in places] if isinstance(places, range) else self._item(places)

    def __iter__(self) -> Iterator[T]:
        return (self._item(k) for k in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # compared by content, as lists are

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self):,} items>"


class PickledSequence(LazySequence[T]):
    """Items that are kept pickled and packed, a part at a time: a tenth of the memory of records, or less.

    Walk through it in order: each part is unpickled once then, and anew for every few items in any other order.

    Args:
        items: of any class that can be pickled.
    """

    def __init__(self, items: Iterable[T]) -> None:
        rest = iter(items)
        self._parts: list[bytes] = []
        self._n = 0
        while part := list(islice(rest, _ITEMS_IN_A_PART)):
            self._parts.append(zlib.compress(pickle.dumps(part, pickle.HIGHEST_PROTOCOL), level=1))
            self._n += len(part)
        self._at_hand: dict[int, list[T]] = {}

    def __len__(self) -> int:
        return self._n

    def _item(self, place: int) -> T:
        number, within = divmod(place, _ITEMS_IN_A_PART)
        return self._part(number)[within]

    def _part(self, number: int) -> list[T]:
        part = self._at_hand.get(number)
        if part is None:
            part = pickle.loads(zlib.decompress(self._parts[number]))
            for earliest in list(self._at_hand)[: 1 - _PARTS_AT_HAND]:
                self._at_hand.pop(earliest, None)
            self._at_hand[number] = part
        return part

    def __iter__(self) -> Iterator[T]:
        for number in range(len(self._parts)):
            yield from self._part(number)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_at_hand": {}}


class Mapped(LazySequence[T], Generic[S, T]):
    """What a function makes of each item, made anew whenever it is asked for.

    Args:
        make: gives the same for the same item.
        items: n of them.
    """

    def __init__(self, make: Callable[[S], T], items: Sequence[S]) -> None:
        self._make, self._items = make, items

    def __len__(self) -> int:
        return len(self._items)

    def _item(self, place: int) -> T:
        return self._make(self._items[place])

    def __iter__(self) -> Iterator[T]:
        return map(self._make, self._items)

    def __reduce__(self) -> tuple[type[list[T]], tuple[list[T]]]:
        return list, ([*self],)  # functions within functions cannot be pickled


def repeatable(items: Iterable[T]) -> Sequence[T]:
    """Items that can be walked through again: themselves if they are a sequence, else a list of them."""
    return items if isinstance(items, Sequence) else list(items)
