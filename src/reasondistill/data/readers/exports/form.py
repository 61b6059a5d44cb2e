"""What every export has: a name, how it is recognised, and the flat rows that one of its rows becomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from reasondistill.data.column_names import is_called
from reasondistill.data.readers.flat_rows import Cells, Row
from reasondistill.errors import DataError

_SHORT = 6
"""Words of an answer from which on it is no label."""

SEVERAL = "several labels"
"""Why a row is left out whose tool lets people choose more than one."""


Flatten: TypeAlias = Callable[[Cells, Counter[str]], list[dict[str, object]]]
"""The flat rows of one row; those that are no examples, it leaves out and counts."""


class Export(NamedTuple):
    """The form of one tool's rows.

    Attributes:
        name: as it is said to the user.
        recognises: whether a source's first row is of this form.
        flatten: makes flat rows of one row.
        of_all: gives what does so, where all rows have to be looked at first.
    """

    name: str
    recognises: Callable[[Cells], bool]
    flatten: Flatten
    of_all: Callable[[Iterator[Row]], Flatten] | None = None

    def reader(self, source: str, read: Callable[[], Iterator[Row]]) -> Callable[[Counter[str]], Iterator[Row]]:
        """What reads the flat rows. Where one row becomes several, they share a group and get ids of their own.

        Args:
            source: what ids begin with where rows have none.
            read: begins to read the tool's rows anew.
        """

        def rows(counts: Counter[str]) -> Iterator[Row]:
            flatten = self.flatten if self.of_all is None else self.of_all(read())
            for number, row in read():
                flattened = self._flattened(flatten, row, counts, f"{source}:{number}")
                identity = row.get("id") if isinstance(row.get("id"), str | int) else f"{source}:{number}"
                for place, item in enumerate(flattened, start=1):
                    own = {"group": str(identity), "id": f"{identity}.{place}"} if len(flattened) > 1 else {}
                    yield number, {**own, **item, **({"id": own["id"]} if own else {})}

        return rows

    def _flattened(
        self, flatten: Flatten, row: Mapping[str, object], counts: Counter[str], where: str
    ) -> list[dict[str, object]]:
        try:
            return flatten(row, counts)
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            raise DataError(
                where,
                expected=f"a row as in {self.name}",
                found=f"another ({type(error).__name__}: {error})",
                fix="Export it again, or remove the row.",
            ) from error


class Given(NamedTuple):
    """One person's answer to one question about a row.

    Attributes:
        is_text: whether it is one to write, not to choose; None where the tool does not say.
    """

    who: object
    question: str
    value: object
    is_text: bool | None = None


def joined(answers: Iterable[Given], counts: Counter[str]) -> dict[str, object]:
    """What several people answered about one row, by question.

    Of what is chosen, the answer of more than half of them; where there is none, that is counted. Of texts all, as a
    list where there are several, but for those of people who chose otherwise: these explain another label, and are
    counted.
    """
    questions: dict[str, list[Given]] = {}
    for answer in answers:
        own = questions.setdefault(answer.question, [])
        if answer.value is not None and answer.value != "":
            own.append(answer)
    written = {name: own for name, own in questions.items() if any(map(_is_text, own))}
    chosen = {name: _majority(own, counts) for name, own in questions.items() if name not in written}
    against = _against([(chosen[name], own) for name, own in questions.items() if chosen.get(name) is not None])
    texts: dict[str, object] = {}
    for name, own in written.items():
        kept = list(dict.fromkeys(str(answer.value) for answer in own if answer.who not in against))
        texts[name] = kept if len(kept) > 1 else kept[0] if kept else None
        if lost := sum(answer.who in against for answer in own):
            counts["explanation of an annotator who chose another label"] += lost
    return {name: texts[name] if name in texts else chosen[name] for name in questions}


def _is_text(answer: Given) -> bool:
    """Whether an answer is written; where its tool does not say, by the question's name, its words or its full stop."""
    if answer.is_text is not None or not isinstance(answer.value, str):
        return bool(answer.is_text)
    words = answer.value.split()
    ended = len(words) > 1 and words[-1].endswith((".", "!", "?", "。"))
    return is_called("explanation", answer.question) or len(words) >= _SHORT or ended


def _majority(answers: Sequence[Given], counts: Counter[str]) -> object:
    if not answers:
        return None
    keys = [repr(answer.value) for answer in answers]
    key, times = Counter(keys).most_common(1)[0]
    if 2 * times > len(keys):
        return answers[keys.index(key)].value
    counts["annotators who do not agree"] += 1
    return None


def _against(decided: Sequence[tuple[object, Sequence[Given]]]) -> set[object]:
    """Who chose something else than was decided; by a number, as how hard a row is, only where nothing else decides."""
    named = [(value, answers) for value, answers in decided if isinstance(value, str)]
    others: set[object] = set()
    for value, answers in named or decided:
        others |= {answer.who for answer in answers} - {answer.who for answer in answers if answer.value == value}
    return others


def only(values: object) -> object:
    """The one item of a list of one; None of an empty one; anything else as it is."""
    if not isinstance(values, list):
        return values
    return values[0] if len(values) == 1 else values or None


def without(row: Mapping[str, object], names: frozenset[str]) -> dict[str, object]:
    """A row without the columns that a tool keeps for itself: the named ones, and those that begin with ``_``."""
    return {name: value for name, value in row.items() if name not in names and not name.startswith("_")}
