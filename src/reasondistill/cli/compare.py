"""`reasondistill compare`: systems on the same rows, or one system on two splits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasondistill.cli.shared import print_blocks
from reasondistill.cli.terminal import fact, say, stage, wide_say
from reasondistill.errors import DataError
from reasondistill.metrics.registry import known_metrics

if TYPE_CHECKING:
    from reasondistill.comparison import Comparison, Generalisation
    from reasondistill.contracts.tradeoffs import Tradeoffs

_METRIC_HELP = (
    "Only this metric, chosen before looking; repeatable. Of those that both results have (docs/metrics.md): "
    f"{', '.join(m.name for m in known_metrics() if not m.not_resampled)}."
)


def compare(
    results: Annotated[
        list[str],
        typer.Argument(
            metavar="RESULTS…",
            help="Folders written by `evaluate`, or runs: PATH or NAME=PATH. The first is the baseline.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="A new folder for comparison.json, comparison.md and, where costs are known, the trade-off files."
        ),
    ],
    baseline: Annotated[
        str | None, typer.Option(metavar="NAME", help="Compare every other system with this one.")
    ] = None,
    all_pairs: Annotated[bool, typer.Option("--all-pairs", help="Compare every pair, later against earlier.")] = False,
    base: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[=PARAMETERS]",
            help="Reference for compression: a compared system, or any other with its size. Default: the largest.",
        ),
    ] = None,
    parts: Annotated[
        bool,
        typer.Option(
            "--parts",
            help="RESULTS are one system on two splits, such as train and test: report the gap, first minus second.",
        ),
    ] = False,
    metrics: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="NAME", help=_METRIC_HELP),
    ] = None,
    resamples: Annotated[int, typer.Option(min=1, help="Bootstrap resamples, for intervals.")] = 10_000,
    swaps: Annotated[int, typer.Option(min=1, help="Permutations, for p-values.")] = 9_999,
    seed: Annotated[int, typer.Option(min=0, help="Seed of bootstrap and permutation test.")] = 0,
) -> None:
    """Compare systems on the same rows: differences with intervals, paired tests with Holm's correction, effect sizes.

    Refuses results of different rows. If at least two systems have recorded costs, also writes compression, Pareto
    fronts and degradation curves to metrics_summary.csv, degradation_curves.png, final_report.md and report.html.

    With --parts: one system on two splits, which may share no row and no group.
    """
    from reasondistill.comparison import ComparisonSettings, generalisation, load_systems
    from reasondistill.comparison import compare as run_comparison
    from reasondistill.reporting.pages.comparison import write_comparison
    from reasondistill.storage.files import require_new_folder

    require_new_folder(out)
    if len(results) < 2 or (parts and len(results) > 2):
        expected = "two results folders of one system" if parts else "at least two results folders"
        raise DataError("RESULTS", expected=expected, found=f"{len(results)}: {', '.join(results)}")
    if parts and (baseline is not None or all_pairs or base is not None):
        problem = "excludes --baseline, --base and --all-pairs"
        raise DataError("--parts", problem=problem, fix="The gap is first minus second.")
    settings = ComparisonSettings(resamples=resamples, swaps=swaps, seed=seed)
    systems = load_systems(results)
    comparison: Comparison | Generalisation
    if parts:
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
            progress=stage,
        )
        files = write_comparison(comparison, out)
        _print_pairs(comparison)
        if comparison.tradeoffs is not None:
            _print_tradeoffs(comparison.tradeoffs)
    for file in (files.report, files.page, files.summary):
        if file is not None:
            fact("trade-offs", file)
    fact(comparison.kind, files.markdown)


def _print_pairs(comparison: Comparison) -> None:
    from rich.table import Table

    from reasondistill.reporting.pages.comparison import HEAD, difference_row, mcnemar_text, summary

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


def _print_tradeoffs(tradeoffs: Tradeoffs) -> None:
    from reasondistill.reporting.tradeoff_words import answer_text, reservations

    for what, reasons in (("no costs", tradeoffs.left_out), ("cost not compared", tradeoffs.costs_left_out)):
        for name, reason in reasons.items():
            fact(what, f"{name}: {reason}", style="yellow")
    for text in (*tradeoffs.notes, answer_text(tradeoffs), reservations(tradeoffs)):
        if text:
            say(text)


def _print_gaps(gaps: Generalisation) -> None:
    from reasondistill.reporting.sections.generalisation import blocks

    print_blocks(blocks(gaps))
    for name, reason in gaps.left_out.items():
        fact("not compared", f"{name}: {reason}", style="yellow")
    for note in gaps.notes:
        say(note)
