"""How names, figures, times and sizes are written in a report."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

METRIC_TITLES: Final = {
    "label_accuracy": "Label accuracy",
    "label_macro_f1": "Label macro-F1",
    "parse_rate": "Parse rate",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "bleu": "BLEU",
    "chrf": "chrF",
    "bertscore_f1": "BERTScore F1",
    "support": "Support",
    "student_teacher_label_agreement": "Label agreement with the teacher",
    "student_teacher_agreement": "Agreement with the teacher (BERTScore F1)",
    "faithfulness": "Faithfulness (argues for the given label)",
    "simulatability": "Simulatability",
    "las": "LAS",
    "label_sensitivity": "Label sensitivity",
    "conditioned_faithfulness": "Argues for a forced label",
    "robustness_agreement": "Robustness agreement",
    "label_stability": "Labels kept under noise",
    "explanation_stability": "Explanations kept under noise",
    "importance_agreement": "Importance agreement",
    "cct": "CCT",
    "phi_cct": "φ-CCT",
    "ct_unfaithfulness": "CT, unfaithful",
    "insertion_mention_rate": "Inserted words mentioned",
    "insertion_mention_rate_unmoved": "Inserted words mentioned that moved nothing",
    "reconstruction_consistency": "Rebuilt inputs keep the label",
    "reconstruction_coverage": "Explanations that can be rebuilt",
    "inconsistency": "Contradicting explanations",
    "inconsistency_coverage": "Pairs that can be read",
    "distinct_2": "Distinct-2",
    "copy_rate": "Copy rate",
    "ece": "ECE",
    "brier": "Brier score",
    "aurc": "AURC",
    "stated_rate": "States how sure it is",
    "stated_ece": "ECE of stated confidence",
    "stated_auroc": "AUROC of stated confidence",
    "confidence_auroc": "AUROC of probabilities",
    "coverage": "Coverage (share answered)",
    "selective_accuracy": "Accuracy of what is answered",
    "f1": "F1",
    "explanation_length": "Explanation length, words",
    "empty_rate": "Empty explanations",
}
FLOOR_TITLES: Final = {
    "majority_label": "Majority label",
    "template": "Commonest template",
    "references": "References against each other",
    "student_fewer_references": "Student against as many references",
}
LOWER_IS_BETTER: Final = frozenset(
    {"ece", "stated_ece", "brier", "aurc", "empty_rate", "copy_rate", "ct_unfaithfulness", "inconsistency"}
)
_SOURCES: Final = 3  # of the references, that are named
_OTHER_SCALES: Final = frozenset({"bleu", "chrf", "explanation_length"})  # the rest lie in [0, 1]
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    """``text`` with every character that neither HTML nor XML can hold replaced by U+FFFD."""
    return _UNPRINTABLE.sub("\ufffd", text)


def metric_title(name: str) -> str:
    """A metric's name as readers know it; one unknown here loses its underscores."""
    return METRIC_TITLES.get(name) or _sentence(name)


def floor_title(name: str) -> str:
    """A floor's or control's name in words."""
    return FLOOR_TITLES.get(name) or _sentence(name)


def metric_value(name: str, value: float) -> str:
    """A figure with three decimals, or one on the scales that run past 1; a dash where it is no number."""
    if not math.isfinite(value):
        return "–"
    return f"{value:,.1f}" if name in _OTHER_SCALES else f"{value:.3f}"


def on_unit_scale(name: str) -> bool:
    """Whether a metric's values lie in [0, 1]."""
    return name not in _OTHER_SCALES


def interval(name: str, ci95: tuple[float, float] | None) -> str:
    """A 95% interval as ``low–high``, or nothing."""
    return "" if ci95 is None else "–".join(metric_value(name, bound) for bound in ci95)


def duration(seconds: float) -> str:
    """Seconds as a person says them: ``4.2 s``, ``3 min 05 s``, ``1 h 02 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    if round(seconds) < 3600:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min"


def size(n_bytes: int) -> str:
    """Bytes in binary units: ``80.1 MiB``."""
    value = float(n_bytes)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def listing(items: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def references_of(settings: Mapping[str, Any]) -> str:
    """``references`` and, in brackets, whose they are, where ``results.settings`` says so."""
    sources = settings.get("reference_sources")
    if not isinstance(sources, Mapping) or not sources:
        return "references"
    named = [str(source).strip() or "unnamed" for source in sources]
    return f"references ({listing(named[:_SOURCES] + ([f'{len(named) - _SOURCES} more'] if named[_SOURCES:] else []))})"


def flatten(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The leaves of nested dictionaries as ``("outer.inner", "value")``; lists are written on one line."""
    for key, inner in value.items():
        name = f"{prefix}{key}"
        if isinstance(inner, Mapping) and inner:
            yield from flatten(inner, f"{name}.")
        else:
            yield name, scalar(inner)


def scalar(value: object) -> str:
    """A configuration's value as YAML readers would write it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(scalar, value)) or "none"
    return str(value) if value != {} else "none"


def slug(text: str) -> str:
    """``text`` as letters, digits and hyphens, for an anchor; at most 40 of them, and never none."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40] or "system"


def _sentence(name: str) -> str:
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]
