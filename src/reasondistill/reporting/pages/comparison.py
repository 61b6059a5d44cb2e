"""comparison.json and comparison.md: who is better at what, by how much, and how sure that is."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from reasondistill.comparison import Comparison, Generalisation
from reasondistill.contracts.comparison import Effect, McNemar, Pair, TestedDifference
from reasondistill.contracts.tradeoffs import Tradeoffs
from reasondistill.metrics.registry import metric_of
from reasondistill.reporting.degradation_figure import NAME, degradation_figure, degradation_panels, panel_figure
from reasondistill.reporting.document import Block, Cell, Document, Facts, Paragraph, Part, Section, Table
from reasondistill.reporting.formatting import listing, marked_title, metric_title, metric_value
from reasondistill.reporting.html import to_html
from reasondistill.reporting.markdown import to_markdown
from reasondistill.reporting.metrics_summary import metrics_summary
from reasondistill.reporting.sections import generalisation
from reasondistill.reporting.signed import difference_value, p_value, signed_interval
from reasondistill.reporting.tradeoff_document import to_document as weighed_document
from reasondistill.storage.files import atomic_folder, atomic_write

GENERATOR = "reasondistill compare"
_SUMMARY, _FIGURE, _REPORT, _PAGE = "metrics_summary.csv", f"{NAME}.png", "final_report.md", "report.html"
_FOOTER = (
    "Made by reasondistill from the results alone; the same results give the same page. Every figure is in "
    "comparison.json."
)
LEVEL = 0.05
"""What corrected p-values are held to in the summary."""
EFFECT_NAMES = {"cohens_d_z": "d_z", "cohens_g": "g"}


class ComparisonFiles(NamedTuple):
    """Where a comparison lies; the rest is None where there are no costs to weigh quality against."""

    json: Path
    markdown: Path
    summary: Path | None = None
    figure: Path | None = None
    report: Path | None = None
    page: Path | None = None


def write_comparison(found: Comparison | Generalisation, out: str | Path) -> ComparisonFiles:
    """Write comparison.json and comparison.md (or generalisation.…) into the new folder ``out``, all or nothing.

    Where a comparison holds trade-offs, metrics_summary.csv, degradation_curves.png (if there are curves),
    final_report.md and report.html join them.

    Raises:
        OutputError: ``out`` is there already and holds something.
    """
    out = Path(out)
    document = to_document(found) if isinstance(found, Comparison) else generalisation.to_document(found)
    texts = {f"{found.kind}.md": to_markdown(document, f"<!-- {GENERATOR} -->")}
    pictures: dict[str, bytes] = {}
    if isinstance(found, Comparison) and found.tradeoffs is not None:
        more, pictures = _weighed_files(found, found.tradeoffs)
        texts |= more
    with atomic_folder(out) as folder:
        found.save(folder / f"{found.kind}.json")
        for name, text in texts.items():
            with atomic_write(folder / name) as stream:
                stream.write(text)
        for name, content in pictures.items():
            (folder / name).write_bytes(content)
    named = {
        name: out / name if name in {**texts, **pictures} else None for name in (_SUMMARY, _FIGURE, _REPORT, _PAGE)
    }
    return ComparisonFiles(out / f"{found.kind}.json", out / f"{found.kind}.md", *named.values())


def _weighed_files(found: Comparison, tradeoffs: Tradeoffs) -> tuple[dict[str, str], dict[str, bytes]]:
    """Texts and pictures by file name; without curves there is no picture."""
    panels = degradation_panels(tradeoffs)
    whole = [degradation_figure(tradeoffs, panels)] if panels else []
    page = weighed_document(found, tradeoffs, [panel_figure(tradeoffs, panel) for panel in panels])
    texts = {
        _SUMMARY: metrics_summary(found, tradeoffs),
        _REPORT: to_markdown(weighed_document(found, tradeoffs, whole), f"<!-- {GENERATOR} -->"),
        _PAGE: to_html(page, generator=GENERATOR, kicker="Quality against cost", footer=_FOOTER),
    }
    return texts, {_FIGURE: whole[0].png} if whole else {}


def to_document(found: Comparison) -> Document:
    """A part for each pair, after a summary in words."""
    dataset, groups = found.dataset, found.groups
    standing = " · ".join(
        [
            f"{dataset.name}, {dataset.split} part" if dataset.split else dataset.name,
            f"{dataset.n:,} examples in {groups.n:,} groups, fingerprint {dataset.fingerprint}",
        ]
    )
    parts = [_part(pair, found, number) for number, pair in enumerate(found.pairs, start=1)]
    parts.append(Part("How it was tested", "tested", (Section("Tests", "tests", tuple(_tests(found))),)))
    return Document(listing([system.name for system in found.systems]), standing, summary(found), tuple(parts))


def summary(found: Comparison) -> str:
    """What the corrected tests show, a sentence each pair."""
    sentences = [_verdict(pair) for pair in found.pairs]
    return " ".join([*sentences, *found.notes])


def _verdict(pair: Pair) -> str:
    tested = {name: test for name, test in pair.metrics.items() if test.p_holm is not None}
    if not tested:
        return f"{pair.system} against {pair.baseline}: no test was possible."
    shown = {name: test for name, test in tested.items() if test.p_holm is not None and test.p_holm < LEVEL}
    groups: dict[str, list[str]] = {"higher": [], "lower": []}
    for name, test in shown.items():
        groups["higher" if test.difference > 0 else "lower"].append(
            metric_title(name) + (" (lower is better)" if metric_of(name).lower_is_better else "")
        )
    said = [f"{way} on {listing(names)}" for way, names in groups.items() if names]
    rest = [metric_title(name) for name in tested if name not in shown]
    sentence = f"{pair.system} against {pair.baseline}, p after Holm < {LEVEL}: {'; '.join(said) or 'no difference'}."
    return sentence + (f" Not shown to differ on {listing(rest)}." if rest else "")


HEAD = ("Metric", "Baseline", "System", "Difference", "95% interval", "p", "p (Holm)", "Effect")


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


def mcnemar_text(pair: Pair, found: McNemar) -> str:
    """The rows that only one has right, and what McNemar's test says of them, in a sentence."""
    text = (
        f"Only {pair.system} has the right label in {found.system_only:,} rows, only {pair.baseline} in "
        f"{found.baseline_only:,}"
    )
    if found.p is not None:
        text += f"; exact McNemar test p {p_value(found.p)}, after Holm {p_value(found.p_holm)}"
    if found.odds_ratio_ci95 is not None:
        low, high = found.odds_ratio_ci95
        ratio = "infinite" if found.odds_ratio is None else f"{found.odds_ratio:.2f}"
        text += f"; odds ratio {ratio} (95% interval {low:.2f} to {'infinity' if high is None else f'{high:.2f}'})"
    return f"{text}. It takes rows as independent."


def _part(pair: Pair, found: Comparison, number: int) -> Part:
    title = f"{pair.system} against {pair.baseline}"
    sections = []
    if pair.metrics:
        rows = tuple(tuple(map(Cell, difference_row(name, test))) for name, test in pair.metrics.items())
        note = (
            f"Difference: {pair.system} minus {pair.baseline}. ↓: lower is better. Effect: Cohen's d_z for scores, "
            "Cohen's g for what is true or false of a row."
        )
        blocks: list[Block] = [Table("Differences", HEAD, rows, note=note)]
        if pair.mcnemar is not None:
            blocks.append(Paragraph(mcnemar_text(pair, pair.mcnemar)))
        sections.append(Section("Differences", f"{number}-differences", tuple(blocks)))
    if table := _per_label(pair):
        sections.append(Section("By gold label", f"{number}-labels", (table,)))
    if pair.left_out:
        items = tuple((metric_title(name), reason) for name, reason in pair.left_out.items())
        sections.append(Section("Not compared", f"{number}-left-out", (Facts("", items),)))
    return Part(title, f"pair-{number}", tuple(sections))


def _per_label(pair: Pair) -> Table | None:
    names = [name for name in pair.metrics if any(name in found for found in pair.per_label.values())]
    if not names:
        return None
    rows = [
        (
            Cell(metric_title(name)),
            *(
                Cell(
                    difference_value(name, found[name].difference) if name in found else "–",
                    signed_interval(name, found[name].ci95) if name in found else "",
                )
                for found in pair.per_label.values()
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


def _tests(found: Comparison) -> list[Block]:
    settings = found.settings
    drawn = "every swap of groups was tried" if found.exact else f"{settings.swaps:,} random swaps of groups"
    facts = (
        ("Intervals", f"paired bootstrap over groups, {settings.resamples:,} resamples, 2.5th to 97.5th percentile"),
        ("p", f"paired permutation test, two-sided: {drawn}"),
        ("p (Holm)", f"corrected over {found.family.tests} tests: {found.family.members}"),
        ("Seed", str(settings.seed)),
        *((f"Results of {system.name}", system.results) for system in found.systems),
    )
    return [Facts("", facts)]
