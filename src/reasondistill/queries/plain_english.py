"""A query read out in plain English, from its tree alone: the same tree always gives the same words.

It is the explanation of a query that can be checked: what a student says of its query is compared with what its query
says. ``the city name of city where the state name is 'texas', sorted by the population from the largest, only the
first 1``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from reasondistill.queries.parsing import NotASelectError, parse_select

if TYPE_CHECKING:
    from sqlglot import exp

_COMPARED = {
    "EQ": "is", "NEQ": "is not", "GT": "is more than", "LT": "is less than", "GTE": "is at least", "LTE": "is at most",
    "Like": "looks like", "Glob": "looks like", "Is": "is",
}  # fmt: skip
_COUNTED = {"Max": "the largest", "Min": "the smallest", "Sum": "the total", "Avg": "the average"}
_COMPUTED = {"Add": "plus", "Sub": "minus", "Mul": "times", "Div": "divided by"}
_JOINED = {"Union": "and also", "Intersect": "of which are also among", "Except": "but not"}


def reading(query: str) -> str:
    """The query in words.

    Raises:
        NotASelectError: it is no query that can be read.
    """
    tree = parse_select(query)
    return f"the query {tree.sql()}" if _goes_beyond_words(tree) else _query(tree)


def says_the_same(explanation: str, query: str) -> bool:
    """Whether an explanation is the reading of a query, but for case and spaces; False where that is no query."""
    try:
        return "".join(explanation.lower().split()) == "".join(reading(query).lower().split())
    except (NotASelectError, RecursionError):
        return False


def _goes_beyond_words(tree: exp.Expr) -> bool:
    """Whether a query has something that the words would leave out: it is quoted then."""
    for node in tree.walk():
        kind = type(node).__name__
        if kind in ("With", "Offset", "Glob") or (kind in ("Max", "Min") and node.expressions):
            return True
        if kind == "Join" and (node.args.get("using") or node.args.get("side")):
            return True
        if kind in _JOINED and not node.args.get("distinct", True):
            return True
        if kind in _JOINED and (node.args.get("order") or node.args.get("limit")):
            return True
    return False


def _query(tree: exp.Expr) -> str:
    kind = type(tree).__name__
    if kind in _JOINED:
        return f"{_query(tree.left)} {_JOINED[kind]} {_query(tree.right)}"  # type: ignore[attr-defined]
    if kind == "Subquery":
        return _query(tree.this)
    parts = [", ".join(_value(column) for column in tree.expressions)]
    if tree.args.get("distinct"):
        parts.insert(0, "each different one of")
    if sources := _sources(tree):
        parts.append(f"of {sources}")
    if (where := tree.args.get("where")) is not None:
        parts.append(f"where {_condition(where.this)}")
    text = " ".join(parts)
    if (group := tree.args.get("group")) is not None:
        text += f", for each {' and '.join(_bare(column) for column in group.expressions)}"
    if (having := tree.args.get("having")) is not None:
        text += f", if {_condition(having.this)}"
    if (order := tree.args.get("order")) is not None:
        text += f", sorted by {' and then '.join(map(_sorted, order.expressions))}"
    if (limit := tree.args.get("limit")) is not None:
        text += f", only the first {_value(limit.expression)}"
    return text


def _sources(tree: exp.Expr) -> str:
    begin = tree.args.get("from_") or tree.args.get("from")
    joins = tree.args.get("joins") or []
    tables = [source for source in (begin, *joins) if source is not None]
    words = []
    for number, source in enumerate(tables):
        word = _source(source.this)
        if number and (on := source.args.get("on")) is not None:
            word += f" such that {_condition(on)}"
        words.append(word)
    return " with ".join(words)


def _source(table: exp.Expr) -> str:
    if type(table).__name__ == "Subquery":
        return f"({_query(table.this)})"
    return _words(table.name)


def _sorted(term: exp.Expr) -> str:
    return f"{_value(term.this)} from the {'largest' if term.args.get('desc') else 'smallest'}"


def _condition(tree: exp.Expr) -> str:
    kind = type(tree).__name__
    if kind == "And":
        return f"{_condition(tree.left)} and {_condition(tree.right)}"  # type: ignore[attr-defined]
    if kind == "Or":
        return f"either {_condition(tree.left)} or {_condition(tree.right)}"  # type: ignore[attr-defined]
    if kind == "Not":
        return f"not {_condition(tree.this)}"
    if kind == "Paren":
        return f"({_condition(tree.this)})"
    if kind in _COMPARED:
        return f"{_value(tree.this)} {_COMPARED[kind]} {_value(tree.expression)}"
    if kind == "In":
        inner = tree.args.get("query")
        among = _value(inner) if inner is not None else " or ".join(map(_value, tree.expressions))
        return f"{_value(tree.this)} is among {among}"
    if kind == "Between":
        return f"{_value(tree.this)} is from {_value(tree.args['low'])} to {_value(tree.args['high'])}"
    if kind == "Exists":
        return f"there is ({_query(tree.this)})"
    return _value(tree)


def _value(tree: exp.Expr) -> str:
    kind = type(tree).__name__
    if kind in _COMPUTED:
        return f"{_value(tree.this)} {_COMPUTED[kind]} {_value(tree.expression)}"
    special = _SPECIAL.get(kind)
    if special is not None:
        return special(tree)
    if kind in _COUNTED:
        return f"{_COUNTED[kind]} {_bare(tree.this)}"
    return str(tree.sql(dialect="sqlite"))


def _count(tree: exp.Expr) -> str:
    counted = tree.this
    if type(counted).__name__ in ("Star", "Literal"):
        return "the number of rows"
    return f"the number of {_bare(counted)}"


def _bare(tree: exp.Expr) -> str:
    """A value without its article."""
    if type(tree).__name__ == "Distinct":
        return f"different {' and '.join(map(_bare, tree.expressions))}"
    return _value(tree).removeprefix("the ")


def _column(tree: exp.Expr) -> str:
    identifier = tree.this
    # SQLite takes a name between double quotes that is none for a text, and such queries mean texts.
    if identifier.args.get("quoted") and not tree.args.get("table"):
        return f"'{identifier.name}'"
    return f"the {_words(identifier.name)}{_whose(tree)}"


def _whose(column: exp.Expr) -> str:
    """Of which table a column is, where its SELECT has several."""
    select, alias = column.parent_select, column.args.get("table")
    if select is None or alias is None:
        return ""
    begin = select.args.get("from_") or select.args.get("from")
    sources = [source.this for source in (begin, *(select.args.get("joins") or [])) if source is not None]
    if len(sources) < 2:
        return ""
    table = next((s.name for s in sources if s.alias_or_name.lower() == alias.name.lower()), alias.name)
    return f" of {_words(table or alias.name)}"


def _words(name: str) -> str:
    return " ".join(name.replace("_", " ").lower().split())


_SPECIAL: dict[str, Callable[[exp.Expr], str]] = {
    "Alias": lambda tree: _value(tree.this),
    "Column": _column,
    "Count": _count,
    "Literal": lambda tree: f"'{tree.name}'" if tree.args.get("is_string") else tree.name,
    "Neg": lambda tree: f"minus {_value(tree.this)}",
    "Null": lambda tree: "nothing",
    "Paren": lambda tree: f"({_value(tree.this)})",
    "Star": lambda tree: "everything",
    "Select": lambda tree: f"({_query(tree)})",
    "Subquery": lambda tree: f"({_query(tree.this)})",
}
