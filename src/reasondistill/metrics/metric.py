"""One object per metric, with everything that evaluation, comparison, reports and docs need to know of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal

from reasondistill.contracts.scored_rows import ScoredRow
from reasondistill.metrics.measure import Given, Measure, mean_measure, summed_measure
from reasondistill.metrics.statistics import FloatArray

Family = Literal[
    "labels",
    "answers",
    "confidence",
    "references",
    "support",
    "wording",
    "structures",
    "teachers",
    "faithfulness",
    "own",
]
"""What a metric is about; ``own`` are metrics that a user registered."""

Need = Literal["gold labels", "probabilities", "stated confidence", "references", "a judge", "a teacher", "the student"]
"""What a metric needs besides predictions and data."""

NO_ROW_SCORE = "per_example.jsonl has no score of it for each row"
"""Why a figure of cases, of which a row can have several, is not compared."""

RANKS_ALL_ROWS = "it ranks all rows, and is no function of sums over them: compare its intervals"
"""Why a figure of an order is not."""


@dataclass(frozen=True)
class Metric:
    """What is known of a metric.

    Attributes:
        name: in results.json; it names one definition.
        title: in reports; by default the name without its underscores.
        summary: what the figure is, in one sentence.
        family: where docs and listings show it.
        about: whether it can be had from labels alone, or needs something written.
        range: the lowest and the highest value, infinite where there is none.
        unit: of the values, where they have one.
        higher_is_better: None where neither direction is.
        needs: what has to be at hand.
        score: the key in per_example.jsonl of which the figure is the mean; by default the name.
        score_title: of that score, where the score of a row reads otherwise than the mean.
        row_score: scores a row: a number, a truth value, or None where it says nothing of the row. Evaluation calls
            it and writes the scores; without it (and ``row_sums``) a stage of the evaluation knows how to.
        row_sums: of a figure that is no mean: what a row adds to each of its sums, or None.
        value: the figure out of ``row_sums`` added up over rows, (…, sums) -> (…,).
        columns: the same for all rows at once, for figures that need more than one row to know what it adds.
        not_resampled: why the figure cannot be had from a resample of rows, so that it is not compared.
        settings: what a metric of a user's was computed with, to be recorded in ``results.settings`` by its name.
        depends_on: the keys of ``results.settings`` that the figure depends on; by default the name. Figures that
            differ in one of them are not comparable.
        per_label_only: it stands in ``results.per_label`` alone.
        headline: reports show it first, beside its baselines.
        controlled: explanations that explain nothing have to lose on it.
        evidence: its place among the metrics that explanations are judged by, the strongest first: in errors, slices
            and trade-offs. None for all others.
        phrase: how a sentence names it; by default the title.
        weighed: it is weighed against what systems cost.
    """

    name: str
    title: str = ""
    summary: str = ""
    _: KW_ONLY
    family: Family = "own"
    about: Literal["labels", "explanations"] = "explanations"
    range: tuple[float, float] = (0.0, 1.0)
    unit: str = ""
    higher_is_better: bool | None = True
    needs: tuple[Need, ...] = ()
    score: str = ""
    score_title: str = ""
    row_score: Callable[[ScoredRow], float | bool | None] | None = None
    row_sums: Callable[[ScoredRow], Sequence[float] | None] | None = None
    value: Callable[[FloatArray], FloatArray] | None = None
    columns: Callable[[Sequence[ScoredRow], Given], Measure | None] | None = None
    not_resampled: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    depends_on: tuple[str, ...] = ()
    per_label_only: bool = False
    headline: bool = False
    controlled: bool = False
    evidence: int | None = None
    phrase: str = ""
    weighed: bool = False

    def __post_init__(self) -> None:
        words = self.name.replace("_", " ").strip()
        defaults = {"title": words[:1].upper() + words[1:], "score": self.name, "depends_on": (self.name,)}
        for name, default in defaults.items():
            if not getattr(self, name):
                object.__setattr__(self, name, default)
        for name in ("score_title", "phrase"):
            if not getattr(self, name):
                object.__setattr__(self, name, self.title)

    @property
    def lower_is_better(self) -> bool:
        """Whether less is known to be better."""
        return self.higher_is_better is False

    @property
    def on_unit_scale(self) -> bool:
        """Whether all values lie in [0, 1]."""
        return self.range == (0.0, 1.0)

    def measure(self, rows: Sequence[ScoredRow], given: Given) -> Measure | None:
        """The figure of some rows as columns that add up; None if no row has a value."""
        if self.columns is not None:
            return self.columns(rows, given)
        if self.row_sums is not None and self.value is not None:
            return summed_measure([self.row_sums(row) for row in rows], self.value)
        return mean_measure([row.score(self.score) for row in rows])

    def settings_in(self, settings: Mapping[str, Any]) -> dict[str, object]:
        """What its figure depends on in ``results.settings``; only figures with equal settings are comparable."""
        for test, how in settings.get("faithfulness", {}).items():
            if self.name in how["metrics"]:
                return {test: {key: value for key, value in how.items() if key != "metrics"}}
        return {key: settings[key] for key in self.depends_on if key in settings}

    @property
    def decimals(self) -> int:
        """The number of decimals to show."""
        return 3 if max(map(abs, self.range)) <= 1 else 1
