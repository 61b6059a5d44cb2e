"""`reasondistill compare`: systems on the same rows, or one system on two splits."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasondistill.cli.next_steps import new_place, say_next
from reasondistill.cli.shared import print_blocks
from reasondistill.cli.terminal import fact, say, stage, wide_say
from reasondistill.errors import DataError
from reasondistill.metrics.registry import known_metrics

if TYPE_CHECKING:
    from reasondistill.comparison import Comparison, Generalisation, Shift, System
    from reasondistill.contracts.tradeoffs import Tradeoffs

_METRIC_HELP = (
    "Only this metric, chosen before looking; repeatable. Of those that both results have (docs/metrics.md): "
    f"{', '.join(m.name for m in known_metrics() if not m.not_resampled)}."
)
ResultsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="RESULTS…",
        help="Folders written by `evaluate`, or runs: PATH or NAME=PATH. The first is the baseline.",
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        help="A new folder for report.html, final_report.md and comparison.json. Default: beside the first of RESULTS."
    ),
]
BaselineOption = Annotated[str | None, typer.Option(metavar="NAME", help="Compare every other system with this one.")]
BaseOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME[=PARAMETERS]",
        help="Reference for compression: a compared system, or any other with its size. Default: the largest.",
    ),
]
PartsOption = Annotated[
    bool,
    typer.Option(
        "--parts",
        help="RESULTS are one system on two splits, such as train and test: report the gap, first minus second. "
        "With three or more, the others are sets of other kinds, each held against the first.",
    ),
]
SliceOption = Annotated[
    str | None,
    typer.Option("--slice", metavar="NAME", help="Only the rows of this slice of the data: 'language: German'."),
]
MetricsOption = Annotated[
    list[str] | None,
    typer.Option("--metric", metavar="NAME", help=_METRIC_HELP),
]


def compare(
    results: ResultsArgument,
    out: OutOption = None,
    baseline: BaselineOption = None,
    all_pairs: Annotated[bool, typer.Option("--all-pairs", help="Compare every pair, later against earlier.")] = False,
    base: BaseOption = None,
    parts: PartsOption = False,
    metrics: MetricsOption = None,
    within: SliceOption = None,
    resamples: Annotated[int, typer.Option(min=1, help="Bootstrap resamples, for intervals.")] = 10_000,
    swaps: Annotated[int, typer.Option(min=1, help="Permutations, for p-values.")] = 9_999,
    seed: Annotated[int, typer.Option(min=0, help="Seed of bootstrap and permutation test.")] = 0,
) -> None:
    """Compare systems on the same rows: differences with intervals, paired tests with Holm's correction, effect sizes.

    Refuses results of different rows. Writes report.html and the same as final_report.md. If at least two systems have
    recorded costs, these stand beside the quality, and metrics_summary.csv and degradation_curves.png are written too.

    With --parts: one system on two splits, which may share no row and no group; or on several sets, which may.
    """
    from reasondistill.comparison import ComparisonSettings, generalisation, load_systems, shift
    from reasondistill.comparison import compare as run_comparison
    from reasondistill.reporting.pages.comparison import write_comparison
    from reasondistill.storage.files import require_new_folder

    _require(results, parts=parts, in_pairs=any((baseline, all_pairs, base, within)))
    settings = ComparisonSettings(resamples=resamples, swaps=swaps, seed=seed)
    if out is not None:
        require_new_folder(out)
    systems = load_systems(results)
    out = require_new_folder(out or _beside(systems))
    comparison: Comparison | Generalisation | Shift
    if parts and len(systems) > 2:
        comparison = shift(systems[0], systems[1:], metrics=metrics or None, settings=settings)
        files = write_comparison(comparison, out)
        print_shift(comparison)
    elif parts:
        comparison = generalisation(systems[0], systems[1], metrics=metrics or None, settings=settings)
        files = write_comparison(comparison, out)
        _print_gaps(comparison)
    else:
        comparison = run_comparison(
            systems,
            baseline=baseline,
            all_pairs=all_pairs,
            metrics=metrics or None,
            settings=settings,
            base=base,
            within=within,
            progress=stage,
        )
        files = write_comparison(comparison, out)
        _print_pairs(comparison)
    for what, file in (("page", files.page), ("summary", files.summary), (comparison.kind, files.markdown)):
        if file is not None:
            fact(what, file)
    say_next("report", *(system.source for system in systems), "--out", new_place(out / "report"))


def _require(results: list[str], *, parts: bool, in_pairs: bool) -> None:
    """Raise a DataError for too few results, or for options that do not go together."""
    if len(results) < 2:
        expected = f"at least two results folders{' of one system' if parts else ''}"
        raise DataError("RESULTS", expected=expected, found=f"{len(results)}: {', '.join(results)}")
    if parts and in_pairs:
        problem = "excludes --baseline, --base, --all-pairs and --slice"
        raise DataError("--parts", problem=problem, fix="The gap is first minus second.")


def _beside(systems: list[System]) -> Path:
    """A folder of the systems' names, where the first one's run or results are."""
    first = systems[0].run or systems[0].folder
    names = "_".join(re.sub(r"[^\w.-]+", "-", system.name) for system in systems)
    return new_place(first.parent / f"comparison_{names}"[:100])


def _print_pairs(comparison: Comparison) -> None:
    from rich.table import Table

    from reasondistill.reporting.sections.compared import HEAD, difference_row, mcnemar_text, summary

    for pair in comparison.pairs:
        # With long names, the title shows which is baseline and which is system; the column heads may not.
        table = Table(*HEAD, title=f"{pair.system} against {pair.baseline}", title_justify="left")
        for name, test in pair.metrics.items():
            table.add_row(*difference_row(name, test))
        wide_say(table)
        if pair.mcnemar is not None:
            say(mcnemar_text(pair, pair.mcnemar))
        for name, reason in pair.left_out.items():
            fact("not compared", f"{name}: {reason}", style="yellow")
    say(summary(comparison))
    if comparison.tradeoffs is not None:
        _print_tradeoffs(comparison.tradeoffs)


def _print_tradeoffs(tradeoffs: Tradeoffs) -> None:
    from reasondistill.reporting.tradeoff_words import answer_text, reservations

    for what, reasons in (("no costs", tradeoffs.left_out), ("cost not compared", tradeoffs.costs_left_out)):
        for name, reason in reasons.items():
            fact(what, f"{name}: {reason}", style="yellow")
    for text in (*tradeoffs.notes, answer_text(tradeoffs), reservations(tradeoffs)):
        if text:
            say(text)


def print_shift(shift: Shift) -> None:
    """Show each metric on each set, and what could not be compared."""
    from reasondistill.reporting.sections.under_shift import blocks

    print_blocks(blocks(shift))
    for part in shift.sets:
        for name, reason in part.left_out.items():
            fact("not compared", f"{part.second.name}, {name}: {reason}", style="yellow")


def _print_gaps(gaps: Generalisation) -> None:
    from reasondistill.reporting.sections.generalisation import blocks

    print_blocks(blocks(gaps))
    for name, reason in gaps.left_out.items():
        fact("not compared", f"{name}: {reason}", style="yellow")
    for note in gaps.notes:
        say(note)
