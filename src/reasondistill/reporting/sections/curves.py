"""Learning curves from ``metrics.jsonl``: one panel a quantity, training beside validation, or run beside run."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeGuard

from reasondistill.reporting.figures import Drawing, Line, learning_curve
from reasondistill.reporting.inputs import Source

POINTS: Final = 120
"""Longer training series are averaged over equal stretches of log rows, to at most this many points."""

Log = Sequence[Mapping[str, object]]


class _Panel(NamedTuple):
    name: str
    title: str
    caption: str
    series: tuple[tuple[str, str], ...]
    unit: str = "nats a token"
    unit_scale: bool = False


_JOINT: Final = (
    _Panel(
        "label-loss",
        "Label loss",
        "Mean over the label's tokens.",
        (("label_loss", "training"), ("eval_label_loss", "validation")),
    ),
    _Panel(
        "explanation-loss",
        "Explanation loss",
        "Mean over the explanation's tokens.",
        (("explanation_loss", "training"), ("eval_explanation_loss", "validation")),
    ),
    _Panel(
        "label-accuracy",
        "Label accuracy",
        "In training, of the next token; on validation, of whole labels or answers.",
        (("label_token_accuracy", "training"), ("eval_label_accuracy", "validation")),
        unit="share right",
        unit_scale=True,
    ),
    _Panel("gradient-norm", "Gradient norm", "At each logged step.", (("grad_norm", "gradient norm"),), unit="norm"),
    _Panel("learning-rate", "Learning rate", "As scheduled.", (("learning_rate", "learning rate"),), unit="rate"),
    _Panel(
        "loss-weights",
        "Loss weights",
        "How much each of the two losses counts.",
        (("alpha", "α, label"), ("beta", "β, explanation")),
        unit="weight",
    ),
)
_DENOISING: Final = _Panel(
    "denoising-loss",
    "Denoising loss",
    "The phase before: restoring masked sentences.",
    (("loss", "training"), ("eval_loss", "validation")),
)
_COMPARED: Final = (
    _Panel(
        "label-accuracy",
        "Label accuracy",
        "On validation, of whole labels or answers.",
        (("eval_label_accuracy", ""),),
        unit="share right",
        unit_scale=True,
    ),
    _Panel("label-loss", "Label loss", "On validation.", (("eval_label_loss", ""),)),
    _Panel("explanation-loss", "Explanation loss", "On validation.", (("eval_explanation_loss", ""),)),
    _Panel(
        "training-explanation-loss",
        "Explanation loss",
        "In training.",
        (("explanation_loss", ""),),
    ),
)


def learning_curves(source: Source, prefix: str) -> list[Drawing]:
    """The panels that a run's log has rows for; a denoising phase is drawn apart, its loss being another one."""
    log = source.log or ()
    joint = [row for row in log if not _is_denoising(row)]
    denoising = [row for row in log if _is_denoising(row)]
    best = source.run.best if source.run else None
    drawings = []
    for panel, rows in [*((panel, joint) for panel in _JOINT), (_DENOISING, denoising)]:
        lines = [
            _line(rows, key, label, colour, marked=key.startswith("eval_"))
            for colour, (key, label) in enumerate(panel.series)
        ]
        # Only where validation was drawn does a mark for its choice mean something.
        step = best.step if best and any(line and line.marked for line in lines) and panel is not _DENOISING else None
        drawings += _draw(panel, [line for line in lines if line], prefix, best_step=step)
    return drawings


def compared_curves(sources: Sequence[Source], prefix: str) -> list[Drawing]:
    """The same quantity of several runs in one panel; panels that fewer than two runs have are left out."""
    drawings = []
    for panel in _COMPARED:
        ((key, _),) = panel.series
        lines = [
            _line(
                [row for row in source.log or () if not _is_denoising(row)],
                key, source.name, colour, marked=key.startswith("eval_"),
            )
            for colour, source in enumerate(sources)
        ]  # fmt: skip
        if sum(line is not None for line in lines) > 1:
            drawings += _draw(panel, [line for line in lines if line], prefix)
    return drawings


def _draw(panel: _Panel, lines: Sequence[Line], prefix: str, best_step: float | None = None) -> list[Drawing]:
    if not lines:
        return []
    drawing = learning_curve(
        f"{prefix}{panel.name}", panel.title, panel.caption, lines,
        unit=panel.unit, best_step=best_step, unit_scale=panel.unit_scale,
    )  # fmt: skip
    return [drawing]


def _line(rows: Log, key: str, label: str, colour: int, *, marked: bool) -> Line | None:
    pairs = ((row.get("step"), row.get(key)) for row in rows)
    points = [(step, value) for step, value in pairs if _is_number(step) and _is_number(value)]
    if not points:
        return None
    if not marked and len(points) > POINTS:
        points = _averaged(points)
    steps, values = zip(*points, strict=True)
    return Line(label, steps, values, colour, marked)


def _averaged(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    bounds = [len(points) * i // POINTS for i in range(POINTS + 1)]
    stretches = [points[low:high] for low, high in itertools.pairwise(bounds)]
    return [(sum(s for s, _ in part) / len(part), sum(v for _, v in part) / len(part)) for part in stretches]


def _is_denoising(row: Mapping[str, object]) -> bool:
    return str(row.get("phase", "joint")).startswith("denois")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
