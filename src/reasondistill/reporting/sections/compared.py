"""Who is better at what, by how much and how sure that is: sections and sentences on a comparison."""

from __future__ import annotations

from typing import Final

from reasondistill.contracts.comparison import Comparison, Effect, McNemar, Pair, TestedDifference
from reasondistill.metrics.registry import headline_metrics, metric_of
from reasondistill.reporting.document import Block, Cell, Facts, Paragraph, Section, Table
from reasondistill.reporting.formatting import listing, marked_title, metric_title, metric_value
from reasondistill.reporting.signed import difference_value, p_value, signed_interval

LEVEL: Final = 0.05
"""What corrected p-values are held to."""
EFFECT_NAMES: Final = {"cohens_d_z": "d_z", "cohens_g": "g"}
FEW: Final = 8
"""Up to so many metrics of a pair all stand in the first table, else the headline's; details have all."""
HEAD: Final = ("Metric", "Baseline", "System", "Difference", "95% interval", "p", "p (Holm)", "Effect")


def summary(comparison: Comparison) -> str:
    """What the corrected tests show, in a paragraph; what no test tells apart is called neither better nor worse."""
    sentences = [_verdict_sentence(pair) for pair in comparison.pairs]
    if comparison.family.tests:
        tests = "1 test" if comparison.family.tests == 1 else f"{comparison.family.tests} tests"
        sentences.append(f"Told apart means p < {LEVEL} after Holm's correction over {tests}.")
    return " ".join([*sentences, *(note[:1].upper() + note[1:] for note in comparison.notes)])


def _verdict_sentence(pair: Pair) -> str:
    tested = {name: test for name, test in pair.metrics.items() if test.p_holm is not None}
    if not tested:
        return f"{pair.system} against {pair.baseline}: no test was possible."
    by_verdict: dict[str, list[str]] = {}
    for name, test in tested.items():
        by_verdict.setdefault(verdict(name, test), []).append(name)
    clauses = [
        f"{word} {'at' if word in ('better', 'worse') else 'in'} {listing([_by_how_much(n, tested[n]) for n in names])}"
        for word in ("better", "worse", "higher", "lower")
        if (names := by_verdict.get(word))
    ]
    sentence = f"{pair.system} against {pair.baseline}: {'; '.join(clauses) or 'no test tells the two apart'}."
    level = by_verdict.get("not told apart", [])
    return sentence + (f" Not told apart: {', '.join(map(metric_title, level))}." if level and clauses else "")


def _by_how_much(name: str, test: TestedDifference) -> str:
    within = f" ({difference_value(name, test.difference)}, {signed_interval(name, test.ci95)})"
    return metric_title(name) + (within if name in headline_metrics() else "")


def verdict(name: str, test: TestedDifference) -> str:
    """``better``, ``worse``, for a metric without a direction ``higher`` or ``lower``, or ``not told apart``."""
    if test.p_holm is None or test.p_holm >= LEVEL or test.difference == 0:
        return "not told apart"
    higher = test.difference > 0
    better = metric_of(name).higher_is_better
    if better is None:
        return "higher" if higher else "lower"
    return "better" if higher == better else "worse"


def difference_row(name: str, test: TestedDifference) -> tuple[str, ...]:
    """One metric of a pair as text, in the order of `HEAD`."""
    return (
        marked_title(name),
        metric_value(name, test.baseline),
        metric_value(name, test.system),
        difference_value(name, test.difference),
        signed_interval(name, test.ci95) or "–",
        p_value(test.p),
        p_value(test.p_holm),
        effect_text(test.effect),
    )


def effect_text(effect: Effect | None) -> str:
    """``d_z +0.21 (+0.15 to +0.26)``."""
    if effect is None:
        return "–"
    name = EFFECT_NAMES[effect.name]
    if effect.value is None:
        return f"{name} infinite"
    value, *bounds = (difference_value(effect.name, x, 2) for x in (effect.value, *(effect.ci95 or ())))
    return f"{name} {value}" + (f" ({bounds[0]} to {bounds[1]})" if bounds else "")


def mcnemar_text(pair: Pair, test: McNemar) -> str:
    """The rows that only one has right, and what McNemar's test says of them, in a sentence."""
    text = (
        f"Only {pair.system} has the right label in {test.system_only:,} rows, only {pair.baseline} in "
        f"{test.baseline_only:,}"
    )
    if test.p is not None:
        text += f"; exact McNemar test p {p_value(test.p)}, after Holm {p_value(test.p_holm)}"
    if test.odds_ratio_ci95 is not None:
        low, high = test.odds_ratio_ci95
        ratio = "infinite" if test.odds_ratio is None else f"{test.odds_ratio:.2f}"
        text += f"; odds ratio {ratio} (95% interval {low:.2f} to {'infinity' if high is None else f'{high:.2f}'})"
    return f"{text}. It takes rows as independent."


def comparison_section(comparison: Comparison) -> Section:
    """The comparison itself: a table for each pair."""
    return Section("Who is better at what", "comparison", tuple(_first_table(pair) for pair in comparison.pairs))


def _first_table(pair: Pair) -> Table:
    chosen = [name for name in headline_metrics() if name in pair.metrics]
    names = list(pair.metrics) if len(pair.metrics) <= FEW or not chosen else chosen
    rows = []
    for name in names:
        test = pair.metrics[name]
        p = "" if test.p_holm is None else f"p {p_value(test.p_holm)}"
        rows.append(
            (
                Cell(marked_title(name)),
                Cell(verdict(name, test), p),
                Cell(difference_value(name, test.difference), signed_interval(name, test.ci95)),
                Cell(metric_value(name, test.baseline)),
                Cell(metric_value(name, test.system)),
            )
        )
    note = f"Difference: {pair.system} minus {pair.baseline}, with its 95% interval; p after Holm. ↓: lower is better."
    if len(names) < len(pair.metrics):
        note += " All metrics are in the details."
    head = ("Metric", "Verdict", "Difference", pair.baseline, pair.system)
    return Table(f"{pair.system} against {pair.baseline}", head, tuple(rows), note=note)


def details(comparison: Comparison) -> list[Section]:
    """Folded: every difference with its test, by gold label, what is not compared, and how it was tested."""
    sections = []
    for number, pair in enumerate(comparison.pairs, start=1):
        if blocks := _pair_details(pair):
            title = f"Every difference: {pair.system} against {pair.baseline}"
            sections.append(Section(title, f"pair-{number}", tuple(blocks), folded=True))
    return [*sections, Section("How it was tested", "tested", (_tests(comparison),), folded=True)]


def _pair_details(pair: Pair) -> list[Block]:
    blocks: list[Block] = []
    if pair.metrics:
        rows = tuple(tuple(map(Cell, difference_row(name, test))) for name, test in pair.metrics.items())
        note = "Effect: Cohen's d_z for scores, Cohen's g for what is true or false of a row."
        blocks.append(Table("Differences", HEAD, rows, note=note))
    if pair.mcnemar is not None:
        blocks.append(Paragraph(mcnemar_text(pair, pair.mcnemar)))
    if table := _per_label(pair):
        blocks.append(table)
    if pair.left_out:
        blocks.append(
            Facts("Not compared", tuple((metric_title(name), reason) for name, reason in pair.left_out.items()))
        )
    return blocks


def _per_label(pair: Pair) -> Table | None:
    names = [name for name in pair.metrics if any(name in of_label for of_label in pair.per_label.values())]
    if not names:
        return None
    rows = [
        (
            Cell(metric_title(name)),
            *(
                Cell(difference_value(name, of_label[name].difference), signed_interval(name, of_label[name].ci95))
                if name in of_label
                else Cell("–")
                for of_label in pair.per_label.values()
            ),
        )
        for name in names
    ]
    return Table(
        "Differences by gold label",
        ("Metric", *pair.per_label),
        tuple(rows),
        note="With 95% intervals, which are not tests and not corrected: where to look, not what is shown.",
    )


def _tests(comparison: Comparison) -> Facts:
    settings = comparison.settings
    drawn = "every swap of groups was tried" if comparison.exact else f"{settings.swaps:,} random swaps of groups"
    return Facts(
        "",
        (
            (
                "Intervals",
                f"paired bootstrap over groups, {settings.resamples:,} resamples, 2.5th to 97.5th percentile",
            ),
            ("p", f"paired permutation test, two-sided: {drawn}"),
            ("p (Holm)", f"corrected over {comparison.family.tests} tests: {comparison.family.members}"),
            ("Seed", str(settings.seed)),
            *((f"Results of {system.name}", system.results) for system in comparison.systems),
        ),
    )
