"""What filters kept of teachers' answers, in a table."""

from __future__ import annotations

from reasondistill.cli.terminal import fact, wide_say
from reasondistill.contracts.filtering import Coverage, Filtering, FilterOutcome


def print_filtering(filtering: Filtering) -> None:
    """Print a row for each filter, with its first reject, and what is kept of each label."""
    from rich.table import Table

    table = Table("filter", "answers kept", "rows kept", "why rejected", "for example", title="filters")
    for name, outcome in filtering.filters.items():
        if outcome.left_out:
            table.add_row(name, "–", "–", f"left out: {outcome.left_out}", "")
        else:
            reasons = "\n".join(f"{why} ({count:,})" for why, count in outcome.reasons.items())
            table.add_row(name, *_kept(outcome.coverage), reasons, _example(outcome))
    table.add_row("all", *_kept(filtering.coverage), "", "")
    wide_say(table)
    labels = Table("label", "answers kept", "rows kept", title="kept by label", title_justify="left")
    for label, coverage in filtering.by_label.items():
        labels.add_row(label, *_kept(coverage))
    wide_say(labels)
    if (taught := filtering.taught_labels) is not None:
        sure = f", mean probability {taught.confidence.value:.3f}" if taught.confidence is not None else ""
        fact(
            "labels",
            f"{taught.labelled:,} of {taught.rows:,} rows without one got one, by {taught.votes:,} votes{sure}",
        )
    alone = f"; {filtering.label_only:,} of them have a label only" if filtering.label_only else ""
    fact("accepted", f"{filtering.accepted:,} rows{alone}")


def _kept(coverage: Coverage) -> tuple[str, str]:
    answers = f"{coverage.kept:,} of {coverage.answers:,}"
    return answers, f"{coverage.examples_kept:,} of {coverage.examples:,}"


def _example(outcome: FilterOutcome) -> str:
    if not outcome.shown:
        return ""
    first = outcome.shown[0]
    return f"{first.id}: {first.explanation[:120] or '(empty)'}"
