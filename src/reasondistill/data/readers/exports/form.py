"""What every export has: a name, how it is recognised, and the flat rows that one of its rows becomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from reasondistill.data.readers.flat_rows import Cells, Row
from reasondistill.errors import DataError

_SHORT = 6
"""Words of an answer from which on it is no label."""

SEVERAL = "several labels"
"""Why a row is left out whose tool lets people choose more than one."""


class Export(NamedTuple):
    """The form of one tool's rows.

    Attributes:
        name: as it is said to the user.
        recognises: whether a source's first row is of this form.
        flatten: the flat rows of one row; those that are no examples, it leaves out and counts.
    """

    name: str
    recognises: Callable[[Cells], bool]
    flatten: Callable[[Cells, Counter[str]], list[dict[str, object]]]

    def reader(self, source: str, read: Callable[[], Iterator[Row]]) -> Callable[[Counter[str]], Iterator[Row]]:
        """What reads the flat rows. Where one row becomes several, they share a group and get ids of their own.

        Args:
            source: what ids begin with where rows have none.
            read: begins to read the tool's rows anew.
        """

        def rows(counts: Counter[str]) -> Iterator[Row]:
            for number, row in read():
                flattened = self._flattened(row, counts, f"{source}:{number}")
                identity = row.get("id") if isinstance(row.get("id"), str | int) else f"{source}:{number}"
                for place, item in enumerate(flattened, start=1):
                    own = {"group": str(identity), "id": f"{identity}.{place}"} if len(flattened) > 1 else {}
                    yield number, {**own, **item, **({"id": own["id"]} if own else {})}

        return rows

    def _flattened(self, row: Mapping[str, object], counts: Counter[str], where: str) -> list[dict[str, object]]:
        try:
            return self.flatten(row, counts)
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            raise DataError(
                where,
                expected=f"a row as in {self.name}",
                found=f"another ({type(error).__name__}: {error})",
                fix="Export it again, or remove the row.",
            ) from error


def agreed(values: Sequence[object], counts: Counter[str]) -> object:
    """What several people answered to one question: the answer of more than half of them; of long texts all, as a list.

    Where short answers have no majority, there is none, and that is counted.
    """
    texts = [value for value in values if value is not None and value != ""]
    if not texts:
        return None
    keys = [repr(text) for text in texts]
    key, times = Counter(keys).most_common(1)[0]
    if 2 * times > len(keys):
        return texts[keys.index(key)]
    if any(isinstance(text, str) and len(text.split()) >= _SHORT for text in texts):
        return texts
    counts["annotators who do not agree"] += 1
    return None


def only(values: object) -> object:
    """The one item of a list of one; None of an empty one; anything else as it is."""
    if not isinstance(values, list):
        return values
    return values[0] if len(values) == 1 else values or None


def without(row: Mapping[str, object], names: frozenset[str]) -> dict[str, object]:
    """A row without the columns that a tool keeps for itself: the named ones, and those that begin with ``_``."""
    return {name: value for name, value in row.items() if name not in names and not name.startswith("_")}
