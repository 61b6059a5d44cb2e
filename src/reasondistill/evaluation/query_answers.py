"""Metrics of answers that are SQL queries: what they return, their trees, and whether their explanations read them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from reasondistill.contracts.records import Prediction
from reasondistill.errors import DataError
from reasondistill.evaluation.pairing import Row
from reasondistill.evaluation.scored import Scored
from reasondistill.metrics.statistics import GroupBootstrap, mean
from reasondistill.queries.parsing import same_tree
from reasondistill.queries.plain_english import says_the_same
from reasondistill.queries.read_only_database import MEMORY, MOST_ROWS, SECONDS, Database, same_result
from reasondistill.storage.files import file_fingerprint
from reasondistill.storage.lazy_sequences import Mapped

Scores = dict[str, bool | None]
_VERDICTS = ("execution_accuracy", "query_match")
"""What tells whether a query is right, the surest first."""
_NO_DATABASE = "no database is named (--database FILE): trees are compared, results are not"


def judged_queries(
    rows: Sequence[Row], database: str | Path | None, scored: Scored, bootstrap: GroupBootstrap
) -> Sequence[Row]:
    """Add the figures of queries to ``scored``, and give each row its verdict: by result where one can be had, else
    by tree.

    Raises:
        DataError: the database is none.
        MissingExtraError: sqlglot is not installed.
    """
    figures = _figures(rows, database)
    how: dict[str, object] = {"left_out": _NO_DATABASE}
    if database is not None:
        how = {"database": file_fingerprint(database), "seconds": SECONDS, "rows": MOST_ROWS, "memory": MEMORY}
        how |= {
            "gold_returns_nothing": sum(f["execution_empty"] is not None for f in figures),
            "gold_does_not_run": sum(f["execution_empty"] is f["execution_accuracy"] is None for f in figures),
        }
        if how["gold_does_not_run"] == len(figures):
            raise DataError(
                database,
                expected="the database of the data's queries",
                found="one on which none of them runs",
                fix="Name the one that belongs to them: --database FILE.",
            )
    for row, of_row in zip(scored.rows, figures, strict=True):
        row.update(of_row)
    for name in figures[0]:
        values = [None if f[name] is None else float(bool(f[name])) for f in figures]
        if any(value is not None for value in values):
            scored.metrics[name] = mean(values, bootstrap)
    scored.settings["queries"] = {"sqlglot": version("sqlglot"), **how}
    return Mapped(lambda place: rows[place]._replace(right=_verdict(figures[place])), range(len(rows)))


def right_by_one_query(query: str, rows: Sequence[Row], database: str | Path | None) -> dict[str, float]:
    """How often one and the same query answers the rows: what a system has to beat."""
    answered = [row._replace(prediction=Prediction(id=row.example.id, label=query)) for row in rows]
    figures = _figures(answered, database)
    shares = {name: [f[name] for f in figures if f.get(name) is not None] for name in _VERDICTS}
    return {name: sum(map(bool, verdicts)) / len(verdicts) for name, verdicts in shares.items() if verdicts}


def _figures(rows: Sequence[Row], database: str | Path | None) -> list[Scores]:
    if database is None:
        return [_without_database(row) for row in rows]
    with Database(database) as opened:
        return [_on_database(row, opened) for row in rows]


def _verdict(figures: Scores) -> bool | None:
    return next((right for name in _VERDICTS if (right := figures.get(name)) is not None), None)


def _without_database(row: Row) -> Scores:
    answer, gold = row.prediction.label or "", row.example.answers
    explained = row.prediction.explanation.strip()
    return {
        "query_match": any(same_tree(answer, query) for query in gold) if gold else None,
        "explanation_matches_answer": says_the_same(row.prediction.explanation, answer) if explained else None,
    }


def _on_database(row: Row, database: Database) -> Scores:
    answer, gold = row.prediction.label or "", row.example.answers
    results = [query for query in gold if database.ask(query).rows is not None]
    returning = [query for query in results if database.ask(query).rows]
    given = database.ask(answer)
    same: dict[str, bool | None] = {"execution_accuracy": None, "execution_empty": None}
    if returning:
        same["execution_accuracy"] = any(same_result(database, answer, query) for query in returning)
    elif results:
        same["execution_empty"] = given.rows == ()
    return {**same, "query_runs": given.rows is not None, **_without_database(row)}
