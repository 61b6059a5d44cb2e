"""Which examples a report shows: chosen by rules that it states, so that nobody picks them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from reasondistill.contracts.scored_rows import ScoredRow
from reasondistill.metrics.text import is_one_of
from reasondistill.reporting.document import Card, Cards

EXAMPLES_EACH = 4


def choose_examples(rows: Sequence[ScoredRow], count: int = EXAMPLES_EACH) -> list[Cards]:
    """Groups of examples, each with its rule; groups that would be empty are left out.

    "First by hash" orders rows by the SHA-256 of their ids: the same for every system scored on the same rows.
    """
    by_hash = sorted(rows, key=_id_hash)
    right = [row for row in by_hash if row.correct]
    wrong = [row for row in by_hash if row.correct is False]
    unknown = [row for row in by_hash if row.correct is None]
    sure = sorted((row for row in wrong if row.confidence is not None), key=lambda row: -(row.confidence or 0.0))
    differing = [
        r for r in right if r.score("rougeL") is not None and not is_one_of(r.explanation or "", r.references or ())
    ]
    poor = sorted(differing, key=lambda row: row.score("rougeL") or 0.0)
    groups = [
        ("Right label", "The first {} of {} rightly labelled examples, ordered by the SHA-256 of their ids.", right),
        ("Wrong label", "The first {} of {} wrongly labelled examples, ordered by the SHA-256 of their ids.", wrong),
        ("Most confident errors", "The {} with the highest probability on a wrong label, of {}.", sure),
        (
            "Right label, explanation furthest from the references",
            "The {} with the lowest ROUGE-L among {} rightly labelled examples whose explanation equals no reference.",
            poor,
        ),
        (
            "Examples whose label was not judged" if any(r.gold for r in unknown) else "Examples without a gold label",
            "The first {} of {}, ordered by the SHA-256 of their ids.",
            unknown,
        ),
    ]
    return [
        Cards(title, rule.format(len(chosen[:count]), f"{len(chosen):,}"), tuple(_cards(chosen[:count])))
        for title, rule, chosen in groups
        if chosen
    ]


def _cards(rows: Iterable[ScoredRow]) -> Iterable[Card]:
    for row in rows:
        scores = (("ROUGE-L", row.score("rougeL")), ("BERTScore F1", row.score("bertscore_f1")))
        yield Card(
            id=row.id,
            fields=row.fields,
            gold=row.gold,
            label=row.label,
            correct=row.correct,
            probabilities=tuple((row.probabilities or {}).items()),
            explanation=row.explanation or "",
            references=tuple(row.references or ()),
            scores=tuple((name, f"{value:.3f}") for name, value in scores if value is not None),
        )


def _id_hash(row: ScoredRow) -> str:
    return hashlib.sha256(row.id.encode("utf-8")).hexdigest()
