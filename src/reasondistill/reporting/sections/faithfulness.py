"""The section "Faithfulness": what each test of `evaluate --student` found, what that proves, and what it does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from reasondistill.contracts.results import Metric, Results
from reasondistill.reporting.document import Block, Cell, Facts, Gallery, Paragraph, Table
from reasondistill.reporting.figures import SERIES, drawing
from reasondistill.reporting.formatting import flatten, interval, listing, metric_title, metric_value, references_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Told(NamedTuple):
    """What a reader has to know of a test."""

    title: str
    meaning: str


TESTS: Final = {
    "label_consistency": Told(
        "Does the explanation argue for the label?",
        "Proves: a judge that is not asked whether the label is right takes this share of the explanations for "
        "arguments for it. Does not prove: that an explanation is true, or is why the label was given: a student that "
        "decides by something else and then argues for its label scores as high.",
    ),
    "simulatability": Told(
        "Does the explanation help to foretell the label?",
        "Proves: a light simulator foretells the student's label better with the explanation. LAS weighs explanations "
        "that give the label away and those that do not alike; the second bin is mostly small, so see its size. "
        "Does not prove: that the explanation is the cause; with a simulator that learns little from the input, LAS is "
        "above 0 for explanations of other examples too, so read it beside that control.",
    ),
    "label_conditioned": Told(
        "Can it argue for any label?",
        "Proves: how far explanations follow the label that is forced on the student, with the input as it was. A "
        "student that argues for every label as well writes explanations that follow the label, not what decided it. "
        "Does not prove: which of its explanations is right. Neither high nor low is good by itself.",
    ),
    "robustness": Told(
        "Do label and explanation break together?",
        "Proves: inputs whose label suffers most from noise are those whose explanation does (1: always; 0: "
        "unrelated). Necessary for a common cause. Does not prove one: both can hang on how hard an input is to read.",
    ),
    "importance": Told(
        "Do the same words matter for both?",
        "Proves: the words without which the label loses most are those without which its explanation does (1: the "
        "same order; 0: unrelated). Necessary, not sufficient. Does not prove that the explanation mentions them.",
    ),
    "insertion": Told(
        "Does it mention a word that moved the label?",
        "Proves: an inserted word is mentioned the likelier, the more it moved the label (CCT; 0: mentioned "
        "regardless). Does not prove: anything of causes other than inserted words; a student that repeats the "
        "whole input mentions all of them, and has no correlation.",
    ),
    "reconstruction": Told(
        "Does the explanation by itself lead to the label?",
        "Proves: inputs rebuilt from what explanations state get the same label. Covers explanations of known forms "
        "only: see the coverage. Does not prove: that the statement is true of the original input.",
    ),
    "inconsistency": Told(
        "Does it contradict itself?",
        "Proves: explanations of related inputs state opposite things, where templates can read both. Tests "
        "consistency, not causes: a consistent student can be wrong about itself every time.",
    ),
}
"""Test -> its title and meaning; one that is unknown here is shown under its own name."""

_QUOTES: Final = {
    "insertion": {
        "unmentioned": "Inserted words that are not mentioned, the largest shifts first",
        "mentioned": "Inserted words that are mentioned, the largest shifts first",
    },
    "reconstruction": {
        "lost": "Rebuilt inputs that got another label",
        "kept": "Rebuilt inputs that kept their label",
    },
    "inconsistency": {"quoted": "Explanations that contradict each other"},
}
"""Test -> what it quotes, and its heading."""
_VIEWS: Final = {"input": "Input", "explanation": "Explanation", "both": "Both"}


def trust_section(results: Results, prefix: str) -> list[Block]:
    """Every test: figures with intervals, what they mean, controls, coverage, quoted examples."""
    tests = results.faithfulness
    if not tests:
        return []
    applied = {name: found for name, found in tests.items() if "left_out" not in found}
    reasons = tuple((_told(name).title, str(t["left_out"])) for name, t in tests.items() if "left_out" in t)
    blocks: list[Block] = [
        Paragraph(
            f"{len(applied)} of {len(tests)} tests were done. Each looks at a sample of whole groups of "
            "examples, chosen by hash. No single one proves faithfulness, but a student that fails one is not to be "
            "trusted in that respect."
        )
    ]
    for name in sorted(applied, key=lambda name: ([*TESTS, name].index(name), name)):
        blocks += _test(name, applied[name], results.metrics, results.settings, prefix)
    cut = tuple((_told(name).title, str(t["shortened"])) for name, t in applied.items() if "shortened" in t)
    lists = (("Tests cut short", cut), ("Tests that were not done", reasons))
    return [*blocks, *(Facts(title, items) for title, items in lists if items)]


def _told(name: str) -> Told:
    return TESTS.get(name) or Told(metric_title(name), "")


def _test(
    name: str,
    found: Mapping[str, Any],
    metrics: Mapping[str, Metric],
    settings: Mapping[str, Any],
    prefix: str,
) -> Iterator[Block]:
    title, meaning = _told(name)
    rows = [
        (
            Cell(metric_title(metric)),
            Cell(metric_value(metric, metrics[metric].value)),
            Cell(interval(metric, metrics[metric].ci95) or "–"),
            Cell(f"{metrics[metric].n:,}"),
        )
        for metric in found.get("metrics", ())
        if metric in metrics
    ]
    beside = [
        (Cell(text), Cell(f"{value:.3f}" if isinstance(value, float) else str(value)), Cell(""), Cell(""))
        for text, value in _beside(found, references_of(settings))
    ]
    yield Table(
        title,
        ("", "Value", "95% interval", "n"),
        (*rows, *beside),
        note=meaning,
        groups=frozenset({len(rows)} if rows and beside else ()),
    )
    if name == "simulatability":
        yield from _bins(found)
    if name == "robustness":
        caption = (
            "Share of labels kept, likeness (ROUGE-L) of explanations to those without noise, and label accuracy where "
            "there are gold labels, by the share of the input's words that was replaced; bands are 95% intervals."
        )
        yield Gallery((robustness_figure(f"{prefix}robustness", "Under noise", caption, found.get("curves") or ()),))
    if name == "label_conditioned":
        yield from _conditioned(found)
    elif name == "importance":
        yield from _words(found)
    for key, quotes in _QUOTES.get(name, {}).items():
        if found.get(key):
            yield Facts(quotes, tuple(_quote(one) for one in found[key]), folded=True)


def _beside(found: Mapping[str, Any], references: str) -> Iterator[tuple[str, float | int]]:
    """Controls and coverage: every number that a test tells beside its metrics, at the top or as a control."""
    for name, value in (found.get("controls") or {}).items():
        inner = value.items() if isinstance(value, Mapping) else [("", value)]
        for metric, figure in inner:
            if figure is not None:
                yield f"Control: {name}{f' ({metric_title(metric)})' if metric else ''}", float(figure)
    if isinstance(found.get("people"), Mapping) and found["people"].get("value") is not None:
        yield f"The {references}, for the gold label", float(found["people"]["value"])
    for key, value in found.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield metric_title(key), value


def _bins(found: Mapping[str, Any]) -> Iterator[Table]:
    """Accuracies of the simulator, over all examples and in both bins."""
    parts = {"All": {"accuracy": found.get("accuracy") or {}}, **(found.get("bins") or {})}
    rows = []
    for name, part in parts.items():
        size = f"{part['n']:,} examples, {part['share']:.1%}" if "n" in part else ""
        figures = [part["accuracy"].get(view) for view in _VIEWS] + [part.get("gain")]
        rows.append((Cell(name.replace("_", " ").capitalize(), size), *map(_figure, figures)))
    note = (
        "How often the simulator gives the student's label. Leaking: it does from the explanation alone. Gain: with "
        "both, less with the input alone."
    )
    yield Table("The simulator, and the bins of LAS", ("", *_VIEWS.values(), "Gain"), tuple(rows), note=note)


def _figure(metric: Mapping[str, Any] | None) -> Cell:
    if metric is None:
        return Cell("–")
    ci95 = metric.get("ci95")
    return Cell(f"{metric['value']:.3f}", interval("", tuple(ci95)) if ci95 else "")


def _conditioned(found: Mapping[str, Any]) -> Iterator[Facts]:
    for one in found.get("quoted") or ():
        texts = " / ".join(str(text) for text in one["fields"].values())
        items = []
        for label, text in one["explanations"].items():
            given = ", as given" if label == one["label"] else ""
            read = one.get("argues_for") or {}
            argued = f" (the judge reads: {read[label] or 'none'})" if label in read else ""
            items.append((f"{label}{given}", f"{text}{argued}"))
        yield Facts(f"Made to argue for each label: {texts}", tuple(items), folded=True)


def _words(found: Mapping[str, Any]) -> Iterator[Facts]:
    items = []
    for one in found.get("quoted") or ():
        most = {
            side: [w["word"] for w in sorted(one["words"], key=lambda w, side=side: -w[side])[:4]]  # type: ignore[misc]
            for side in ("label", "explanation")
        }
        agreement = "no order" if one["agreement"] is None else f"agreement {one['agreement']:.2f}"
        items.append(
            (
                str(one["id"]),
                f"{one['label']}: most for the label {listing(most['label'])}; most for the explanation "
                f"{listing(most['explanation'])} ({agreement}). {one['explanation']}",
            )
        )
    if items:
        yield Facts("Words that matter most", tuple(items), folded=True)


def _quote(one: Mapping[str, Any]) -> tuple[str, str]:
    texts = [f"{name.replace('_', ' ')}: {value}" for name, value in flatten(one) if name != "id"]
    return str(one.get("id", "")), "; ".join(texts)


@drawing()
def robustness_figure(figure: Figure, curves: Sequence[Mapping[str, Any]]) -> None:
    """What is kept of labels and explanations as more and more words are replaced."""
    axes = figure.subplots()
    series = {
        "label_stability": "label kept",
        "explanation_stability": "explanation kept",
        "label_accuracy": "accuracy",
    }
    # Of a student that is always right, accuracy is the share of labels kept: dashes let the line beneath show.
    for colour, style, (name, label) in zip(SERIES, ("-", "-", "--"), series.items(), strict=False):
        points = [(row["share"], row[name]) for row in curves if row.get(name)]
        banded = [(share, *metric["ci95"]) for share, metric in points if metric.get("ci95")]
        if banded:
            shares, low, high = zip(*banded, strict=True)
            axes.fill_between(shares, low, high, color=colour, alpha=0.16, linewidth=0)
        if points:
            shares, figures = zip(*points, strict=True)
            axes.plot(
                shares,
                [m["value"] for m in figures],
                color=colour,
                linestyle=style,
                marker="o",
                markersize=3.6,
                label=label,
            )
    axes.set(xlabel="share of words replaced", ylim=(-0.02, 1.02))
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    figure.legend(loc="outside upper left", ncols=3, handlelength=1.6)
