"""Two or more systems on the same rows: differences with intervals, effect sizes, and tests corrected together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import combinations

from reasondistill.comparison.alignment import aligned
from reasondistill.comparison.measures import labels_of, measures
from reasondistill.comparison.one_slice import within_slice
from reasondistill.comparison.pairs import Measured, compare_pair
from reasondistill.comparison.system_costs import costs_of
from reasondistill.comparison.systems import System
from reasondistill.comparison.tradeoffs import tradeoffs
from reasondistill.contracts.comparison import Comparison, ComparisonSettings, Family, Groups, Pair, SystemInfo
from reasondistill.errors import DataError
from reasondistill.metrics.paired import holm
from reasondistill.metrics.registry import metric_of
from reasondistill.metrics.statistics import GroupBootstrap

_FEWEST_GROUPS = 6
"""With fewer groups, even a difference of the same sign in all of them has p = 2 / 2^groups > 0.05."""

_LEVEL = 0.05

FAMILY = (
    "every permutation test (one for each metric of each pair) and every McNemar test (one for each pair) of this "
    "comparison; intervals and differences per label are not tests and not corrected"
)
"""Which tests are corrected together."""


def compare(
    systems: Sequence[System],
    *,
    baseline: str | None = None,
    all_pairs: bool = False,
    metrics: Collection[str] | None = None,
    settings: ComparisonSettings | None = None,
    base: str | None = None,
    within: str | None = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> Comparison:
    """Compare systems that were scored on the same rows.

    Args:
        systems: at least two, of different names.
        baseline: the name of the one that each other is compared with; the first by default.
        all_pairs: compare every pair instead, the later with the earlier.
        metrics: only these; the family of tests is the smaller for it, if they were chosen before looking.
        base: what compression is counted from, of the systems that have costs; see `tradeoffs`.
        within: compare on the rows of this slice only, as ``language: German``; a slice of the data, not of answers.
        progress: called with a sentence as each stage begins.

    Raises:
        DataError: fewer than two systems; other ids, labels, references or groups; an unknown baseline, base, metric or
            slice.
    """
    settings = settings or ComparisonSettings()
    pairs = _pairs([system.name for system in systems], baseline, all_pairs=all_pairs)
    require_known(metrics, systems)
    same = [systems[0], *(aligned(system, systems[0]) for system in systems[1:])]
    labels = labels_of(same)
    measured: dict[str, Measured] = {}
    for system in same:
        progress(f"reading the scores of {system.name}")
        measured[system.name] = Measured(system, *measures(system, labels, metrics))
    on_slice = []
    if within is not None:
        of, measured = len(same[0].rows), within_slice(measured, within)
        same = [one.system for one in measured.values()]
        on_slice = [f"only the {len(same[0].rows):,} of {of:,} rows in the slice “{within}” are compared."]
    bootstrap = GroupBootstrap(
        [row.group_key for row in same[0].rows], resamples=settings.resamples, seed=settings.seed
    )
    compared, exact = [], True
    for name, other in pairs:
        progress(f"comparing {name} with {other}")
        pair, tried_all = compare_pair(measured[name], measured[other], bootstrap, settings)
        compared.append(pair)
        exact &= tried_all
    corrected, tests = correct(compared)
    weighed, missing_costs = None, list[str]()
    if within is None:  # costs are those of all rows
        if any(costs_of(system) for system in same):
            progress("weighing quality against cost")
        weighed, missing_costs = tradeoffs(list(measured.values()), bootstrap, base)
    groups, notes = groups_of(same[0]), notes_on_unread(same, metrics)
    return Comparison(
        systems=[SystemInfo(name=system.name, results=str(system.folder)) for system in same],
        dataset=same[0].results.dataset,
        groups=groups,
        settings=settings,
        exact=exact,
        family=Family(tests=tests, members=FAMILY),
        pairs=corrected,
        tradeoffs=weighed,
        notes=[
            *on_slice,
            *notes_on(groups),
            *notes_on_resolution(settings, tests, exact=exact),
            *notes,
            *missing_costs,
        ],
    )


def groups_of(system: System) -> Groups:
    """How the rows of a system hang together."""
    sizes = Counter(row.group_key for row in system.rows)
    without = sum(row.group is None for row in system.rows)
    return Groups(n=len(sizes), largest=max(sizes.values(), default=0), without=without)


def notes_on(groups: Groups, part: str = "") -> Iterator[str]:
    """What a reader has to know about the groups, in sentences."""
    of = f"{part}: " if part else ""
    rows = "one group" if groups.n == 1 else f"{groups.n} groups"
    if groups.n == 1:
        yield f"{of}all rows are of one group, which says nothing about chance: there is no interval and no test."
    elif groups.n < _FEWEST_GROUPS:
        yield (
            f"{of}with {rows} no difference can have p < 0.05 in the permutation test, and intervals are too narrow: "
            "read the differences only."
        )
    if groups.without and groups.without == groups.n:
        yield (
            f"{of}no row names a group, so rows are taken as independent: where some are alike, intervals are too "
            "narrow and p-values too small."
        )
    elif groups.without:
        yield f"{of}{groups.without} rows name no group and were taken as one each."


def notes_on_resolution(settings: ComparisonSettings, tests: int, *, exact: bool) -> Iterator[str]:
    """That p-values cannot become small enough, where that is so."""
    smallest = 2 / (settings.swaps + 1)
    if not exact and tests * smallest > _LEVEL:
        yield (
            f"with {settings.swaps:,} swaps the smallest p is {smallest:.2g}, which {tests} tests correct to more than "
            f"{_LEVEL}: draw more swaps, or choose fewer metrics or pairs beforehand."
        )


def notes_on_unread(systems: Sequence[System], metrics: Collection[str] | None) -> Iterator[str]:
    """Which metrics could not read some rows of a system."""
    for system in systems:
        unread = system.results.settings.get("unread", {})
        rows = {
            name: n
            for name, n in unread.get("rows", {}).items()
            if name in system.results.metrics and (metrics is None or name in metrics)
        }
        if rows:
            counted = ", ".join(f"{name} {n:,}" for name, n in rows.items())
            yield (
                f"Of {unread['of']:,} rows of {system.name} some could not be read ({counted}): a pair is compared on "
                "those that could be read for both."
            )


def require_known(metrics: Collection[str] | None, systems: Sequence[System]) -> None:
    """Refuse names that are no metric of any system, and names of which none can be compared.

    Raises:
        DataError: there are some.
    """
    there = {name: metric_of(name).not_resampled for system in systems for name in system.results.metrics}
    unknown = [name for name in metrics or () if name not in there]
    reasons = [f"{name}: {there[name]}" for name in metrics or () if there.get(name)]
    if unknown or (metrics and len(reasons) == len(metrics)):
        compared = ", ".join(name for name, reason in there.items() if not reason)
        raise DataError(
            "--metric",
            expected=f"metrics of the results that can be compared ({compared})",
            found="; ".join(unknown or reasons),
        )


def _pairs(names: Sequence[str], baseline: str | None, *, all_pairs: bool) -> list[tuple[str, str]]:
    """Pairs of (system, baseline)."""
    if len(names) < 2:
        raise DataError(
            "compare", expected="at least two systems", found=str(len(names)), fix="Name two results folders or more."
        )
    if len(set(names)) < len(names):
        raise DataError("compare", expected="each name once", found=", ".join(names), fix="Write NAME=PATH.")
    if baseline is not None and all_pairs:
        raise DataError("--baseline", problem="excludes --all-pairs", fix="Give one of the two.")
    if baseline is not None and baseline not in names:
        raise DataError("--baseline", expected=f"one of {', '.join(names)}", found=repr(baseline))
    if all_pairs:
        return [(later, earlier) for earlier, later in combinations(names, 2)]
    against = names[0] if baseline is None else baseline
    return [(name, against) for name in names if name != against]


def correct(pairs: Sequence[Pair]) -> tuple[list[Pair], int]:
    """The pairs with Holm's p-values over all their tests, and how many tests there were."""
    raw = [test.p for pair in pairs for test in (*pair.metrics.values(), pair.mcnemar) if test and test.p is not None]
    adjusted = iter(holm(raw))
    corrected = []
    for pair in pairs:
        metrics = {
            name: test if test.p is None else test.model_copy(update={"p_holm": next(adjusted)})
            for name, test in pair.metrics.items()
        }
        mcnemar = pair.mcnemar
        if mcnemar is not None and mcnemar.p is not None:
            mcnemar = mcnemar.model_copy(update={"p_holm": next(adjusted)})
        corrected.append(pair.model_copy(update={"metrics": metrics, "mcnemar": mcnemar}))
    return corrected, len(raw)
