"""Explanations that are one pattern filled in."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Annotated

from pydantic import Field

from reasondistill.metrics.baselines import quotes_every_field, to_template
from reasondistill.metrics.text import is_empty
from reasondistill.teachers.filters.filter_definition import Filter, Pool, Verdict


class Templates(Filter):
    """Explanations that quote every field whole, or share their wording with many other rows'.

    Attributes:
        max_share: most of the rows that may share a pattern (the text with ``{field}`` where it quotes one).
        least: so many rows at least make a pattern.
    """

    name = "templates"
    title = "Is it more than a pattern filled in?"
    meaning = (
        "Rejects explanations that quote each of several fields whole, and patterns that many rows have in common. A "
        "pattern whose words change a little passes."
    )
    turn = 80

    max_share: Annotated[float, Field(gt=0, le=1)] = 0.05
    least: Annotated[int, Field(ge=2)] = 10

    def verdicts(self, pool: Pool) -> list[Verdict]:
        rows_of: dict[str, set[str]] = defaultdict(set)
        patterns: list[str] = []
        for example, answer in pool.candidates:
            fields = {name: example.fields[name] for name in pool.task.fields}
            pattern = to_template(answer.explanation, fields).casefold()
            patterns.append(pattern)
            rows_of[pattern].add(example.id)
        rows = len({example.id for example, _ in pool.candidates})
        common = Counter({pattern: len(ids) for pattern, ids in rows_of.items()})
        verdicts = []
        for (example, answer), pattern in zip(pool.candidates, patterns, strict=True):
            fields = {name: example.fields[name] for name in pool.task.fields}
            if is_empty(answer.explanation):
                verdicts.append(Verdict())
            elif quotes_every_field(answer.explanation, fields):
                verdicts.append(Verdict("quotes every field whole", 0.0))
            else:
                often = common[pattern] >= self.least and common[pattern] > self.max_share * rows
                verdicts.append(Verdict("a pattern of many rows" if often else "", 1 / common[pattern]))
        return verdicts
