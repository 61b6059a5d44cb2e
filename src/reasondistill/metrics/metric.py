"""One object a metric: everything that evaluation, comparison, reports and docs have to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Family = Literal["labels", "confidence", "references", "support", "wording", "teachers", "faithfulness", "own"]
"""What a metric looks at; ``own`` are those that a user has registered."""

Need = Literal["gold labels", "probabilities", "stated confidence", "references", "a judge", "a teacher", "the student"]
"""What has to be at hand besides predictions and data."""


@dataclass(frozen=True, kw_only=True)
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
        not_resampled: why the figure cannot be had from a resample of rows, so that it is not compared.
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
    family: Family = "own"
    about: Literal["labels", "explanations"] = "explanations"
    range: tuple[float, float] = (0.0, 1.0)
    unit: str = ""
    higher_is_better: bool | None = True
    needs: tuple[Need, ...] = ()
    score: str = ""
    score_title: str = ""
    not_resampled: str = ""
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
        for field, default in defaults.items():
            if not getattr(self, field):
                object.__setattr__(self, field, default)
        for field in ("score_title", "phrase"):
            if not getattr(self, field):
                object.__setattr__(self, field, self.title)

    @property
    def lower_is_better(self) -> bool:
        """Whether it is known that less is better."""
        return self.higher_is_better is False

    @property
    def on_unit_scale(self) -> bool:
        """Whether all values lie in [0, 1]."""
        return self.range == (0.0, 1.0)

    @property
    def decimals(self) -> int:
        """How many decimals tell one figure from another."""
        return 3 if max(map(abs, self.range)) <= 1 else 1
