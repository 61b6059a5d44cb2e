"""Texts and explanations out of a row's cells: single texts, lists, and explanations with votes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from reasondistill.contracts.records import number_as_text
from reasondistill.data.own_columns import kind_of
from reasondistill.errors import DataError

ANNOTATORS = "annotators"
"""How many people judged each of a row's explanations; used with ``acceptable_votes``."""
_EXPLANATION = re.compile(r"explanation(?:_([0-9]{1,4}))?")


def is_explanation(column: str) -> bool:
    """Whether a column is called ``explanation``, ``explanation_1``, ``explanation_2``, …"""
    return _EXPLANATION.fullmatch(column) is not None


def explanations_of(row: Mapping[str, object], columns: Sequence[str], where: str) -> list[dict[str, object]]:
    """A row's explanations, as an `Example` takes them; blank ones too.

    Args:
        columns: of single explanations, or of lists; the column ``explanations`` is read besides.

    Raises:
        DataError: a cell is neither a text nor a list.
    """
    texts: list[dict[str, object]] = []
    for name in (name for name in columns if name in row):
        value = row[name]
        if isinstance(value, list):
            texts += [_listed(item, name, row) for item in value]
        else:
            texts.append({"text": cell_text(row, name, where), "source": name})
    several = row.get("explanations") if "explanations" not in columns else None
    if several is None or several == "":
        return texts
    if not isinstance(several, list):
        raise DataError(
            where,
            expected="a list of texts in 'explanations'",
            found=kind_of(several),
            fix='Write ["…", "…"], or name single texts explanation_1, explanation_2, ….',
        )
    return texts + [_listed(item, "explanations", row) for item in several]


def _listed(item: object, column: str, row: Mapping[str, object]) -> dict[str, object]:
    """An item of a list of explanations: a text, an explanation as it is, or one in the form of Wiegreffe et al. 2022,
    which says how many of a row's annotators accept it."""
    if not isinstance(item, dict):
        return {"text": item, "source": column}
    if "acceptable_votes" not in item:
        return {"source": column, **item}
    votes = {"acceptable": item["acceptable_votes"], "of": row.get(ANNOTATORS)}
    kept = {key: item[key] for key in ("text", "source", "label") if key in item}
    return {"source": column, **kept, "votes": votes}


def cell_text(row: Mapping[str, object], name: str, where: str) -> str:
    """A cell as text; "" where it is empty.

    Raises:
        DataError: it is neither a text nor a number.
    """
    value = row.get(name)
    if value is None or value != value:  # NaN stands for an empty cell in a frame
        return ""
    value = number_as_text(value)
    if isinstance(value, str):
        return value
    raise DataError(where, expected=f"a text in {name!r}", found=kind_of(value), fix="Write it as a text.")


def explanation_number(name: str) -> int:
    """The number in a column's name, 0 where it has none."""
    match = _EXPLANATION.fullmatch(name)
    return int(match[1]) if match and match[1] else 0
