"""A text as the tree of one SELECT, or why it is none; and trees that differ only in how they are written."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING

from reasondistill.errors import importing

if TYPE_CHECKING:
    from sqlglot import exp

LONGEST_QUERY = 20_000
"""Characters of a query that is looked at."""

_FORBIDDEN_FUNCTIONS = frozenset(
    {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer", "lsdir", "sqlar_uncompress", "randomblob"}
)


class NotASelectError(ValueError):
    """A text is not one SELECT that may be run; the message says what it is instead."""


def parse_select(query: str) -> exp.Query:
    """The tree of a text that is one SELECT (or several joined by UNION and the like) in SQLite's dialect.

    Raises:
        NotASelectError: it is anything else, or calls a function that reaches outside the database.
        MissingExtraError: sqlglot is not installed.
    """
    problem, tree = _parsed(query)
    if tree is None:
        raise NotASelectError(problem)
    return tree


@lru_cache(4096)
def _parsed(query: str) -> tuple[str, exp.Query | None]:
    with importing("answers that are queries", "sql"):
        import sqlglot
        from sqlglot import exp
    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of what is refused here anyway
    if len(query) > LONGEST_QUERY:
        return f"a text of {len(query):,} characters", None
    try:
        statements = sqlglot.parse(query, read="sqlite", error_level=sqlglot.ErrorLevel.RAISE)
    except (sqlglot.errors.SqlglotError, RecursionError, ValueError) as error:
        return f"no SQL: {str(error).splitlines()[0] if str(error) else type(error).__name__}", None
    if len(statements) != 1:
        return f"{len(statements)} statements", None
    tree = statements[0]
    if not isinstance(tree, exp.Query):
        return "no SELECT" if tree is None else f"not a SELECT: {type(tree).__name__.upper()}", None
    try:
        return _reaching_outside(tree), None if _reaching_outside(tree) else tree
    except RecursionError:
        return "a query of too many levels", None


def _reaching_outside(tree: exp.Query) -> str:
    """What in a query is more than reading the database's tables; "" where nothing is."""
    from sqlglot import exp

    allowed = (exp.Query, exp.Subquery, exp.CTE, exp.With)
    for node in tree.walk():
        if isinstance(node, exp.DDL | exp.DML | exp.Command | exp.Into) and not isinstance(node, allowed):
            return f"a {type(node).__name__.upper()} inside it"
        if isinstance(node, exp.Anonymous | exp.Func):
            name = node.name if isinstance(node, exp.Anonymous) else node.sql_name()
            if name.lower() in _FORBIDDEN_FUNCTIONS:
                return f"the function {name}"
        if isinstance(node, exp.Table) and (node.db or node.catalog or isinstance(node.this, exp.Func)):
            return f"the table {node.sql(dialect='sqlite')}, which is none of the database's own"
    return ""


def asks_for_order(query: str) -> bool:
    """Whether the rows of a query have an order: its outermost SELECT has ORDER BY."""
    return parse_select(query).args.get("order") is not None


def canonical(query: str) -> str:
    """A query as it is compared: names in lower case, tables' aliases numbered as they occur, one way of spacing.

    Raises:
        NotASelectError: as `parse_select`.
    """
    from sqlglot import exp

    tree = parse_select(query).copy()
    names: dict[str, str] = {}
    for alias in tree.find_all(exp.TableAlias):
        if alias.name:
            names.setdefault(alias.name.lower(), f"t{len(names)}")
    for identifier in tree.find_all(exp.Identifier):
        # A text between double quotes that names nothing is a text to SQLite: its case counts.
        if not identifier.args.get("quoted"):
            plain = identifier.name.lower()
            is_table = isinstance(identifier.parent, exp.TableAlias) or identifier.arg_key == "table"
            identifier.set("this", names.get(plain, plain) if is_table else plain)
    return str(tree.sql(dialect="sqlite", comments=False, normalize_functions="upper"))


def same_tree(query: str, other: str) -> bool:
    """Whether two queries have the same tree; what is no query has none."""
    try:
        return canonical(query) == canonical(other)
    except NotASelectError:
        return False
