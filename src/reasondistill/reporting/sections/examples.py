"""Which examples a report shows: chosen by rules that it states, so that nobody picks them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

from reasondistill.contracts.scored_rows import ScoredRow
from reasondistill.metrics.text import is_among
from reasondistill.reporting.document import Card, Cards

EXAMPLES_EACH = 2


def choose_examples(
    rows: Sequence[ScoredRow], count: int = EXAMPLES_EACH, *, shown: Collection[str] = ()
) -> list[Cards]:
    """Groups of examples, each with its rule; groups that would be empty are left out.

    No example comes twice: those with the ids ``shown`` are on the page already.

    "First by hash" orders rows by the SHA-256 of their ids: the same for every system scored on the same rows.
    """
    by_hash = sorted(rows, key=_id_hash)
    right = [row for row in by_hash if row.correct]
    wrong = [row for row in by_hash if row.correct is False]
    unknown = [row for row in by_hash if row.correct is None]
    sure = sorted((row for row in wrong if row.confidence is not None), key=lambda row: -(row.confidence or 0.0))
    differing = [
        r for r in right if r.score("rougeL") is not None and not is_among(r.explanation or "", r.references or ())
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
    seen = set(shown)
    chosen_of: dict[str, list[ScoredRow]] = {}
    # The telling ones choose before those that are only the first of many.
    for title, _, candidates in sorted(groups, key=lambda group: group[1].startswith("The first")):
        chosen_of[title] = [row for row in candidates if row.id not in seen][:count]
        seen.update(row.id for row in chosen_of[title])
    cards = []
    for title, rule, candidates in groups:
        if chosen := chosen_of[title]:
            sentence = rule.format(len(chosen), f"{len(candidates):,}")
            left_out = any(row.id in seen and row not in chosen for row in candidates[: count + len(chosen)])
            note = f"{sentence} No example is shown twice." if left_out else sentence
            cards.append(Cards(title, note, tuple(card_of(row) for row in chosen)))
    return cards


def card_of(row: ScoredRow) -> Card:
    """One example, as a page shows it."""
    scores = (("ROUGE-L", row.score("rougeL")), ("BERTScore F1", row.score("bertscore_f1")))
    return Card(
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
