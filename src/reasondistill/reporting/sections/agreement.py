"""The section "Agreement with teachers": labels, explanations and style beside each teacher that was named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from reasondistill.contracts.agreement import Agreement, Bins, Sides, Style, StyleFeature, TeacherAgreement
from reasondistill.contracts.results import Results
from reasondistill.reporting.document import Block, Cell, Gallery, Paragraph, Table
from reasondistill.reporting.figures import SERIES, Drawing, drawing, short_label
from reasondistill.reporting.formatting import baseline_title, interval, listing, metric_title, metric_value, printable
from reasondistill.reporting.sections.tables import FLAG
from reasondistill.reporting.signed import difference_value

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEATURE_TITLES: Final = {
    "words": "Words",
    "depth": "Clauses opened, a sentence",
    "connectives": "Connectives in 100 words",
    "negations": "Negations in 100 words",
    "new_words": "New content words, share",
    "rarity": "Rarity of content words",
    "variety": "Distinct words, share",
    "copying": "Words in a field's order, share",
}
_BINS: Final = ("All rows", "Teacher right", "Teacher wrong")
_FEW: Final = 10  # connectives in the figure


def agreement_section(results: Results, prefix: str) -> list[Block]:
    """For each teacher what it is, agreement in a table, style in a table and figures; none without teachers."""
    blocks: list[Block] = []
    for number, (name, agreement) in enumerate(results.agreement.items(), start=1):
        blocks += [Paragraph(text) for text in (_whose(name, agreement), _warning(agreement)) if text]
        blocks += [table for table in (_agreement(name, agreement), _controls(name, agreement)) if table]
        if (style := agreement.style) is not None:
            blocks += [_style(name, style), Paragraph(_apart(name, style))]
            blocks.append(Gallery(tuple(_figures(f"{prefix}teacher-{number}-", name, style))))
    return blocks


def _whose(name: str, agreement: TeacherAgreement) -> str:
    rows, accuracy = agreement.rows, agreement.teacher_accuracy
    total = rows.answered + rows.lacking
    text = f"The teacher {name} has answers to {rows.answered:,} of {total:,} rows"
    if rows.lacking:
        text += f"; the other {rows.lacking:,} are left out"
    for part, n in (("label", rows.without_label), ("explanation", rows.without_explanation)):
        if n:
            text += f"; without {part}: {n:,}"
    text += "."
    if agreement.note:
        return f"{text} {agreement.note}"
    if accuracy.value is not None:
        text += f" Its label is the gold one for {accuracy.value:.1%} of {accuracy.n:,} rows."
    return text


def _warning(agreement: TeacherAgreement) -> str:
    """What agreement with a wrong teacher looks like, where there is any."""
    if agreement.label is None:
        return ""
    wrong, right = agreement.label.agreement.teacher_wrong, agreement.label.student_accuracy.teacher_wrong
    if not wrong.n:
        return ""
    return (
        f"Agreement with a wrong teacher is no merit: on the {wrong.n:,} rows where it was wrong, the student gives "
        f"its label for {wrong.value:.1%} and the gold one for {right.value:.1%}."
    )


def _agreement(name: str, agreement: TeacherAgreement) -> Table | None:
    label = agreement.label
    rows = []
    if label is not None:
        rows.append((Cell("Label agreement"), *_binned(label.agreement)))
        if (kappa := label.kappa) is not None and kappa.value is not None:
            rows.append((Cell("Cohen's kappa"), _figure(kappa), Cell(""), Cell("")))
        rows.append((Cell("Student's accuracy"), *_binned(label.student_accuracy)))
    rows += [(Cell(metric_title(metric)), *_binned(bins)) for metric, bins in agreement.explanation.items()]
    note = (
        "Beneath each figure: its 95% interval, and the rows behind it. BERTScore and ROUGE-L: the student's "
        "explanation against the teacher's."
    )
    note += "".join(f" {metric_title(metric)} is left out: {why}" for metric, why in agreement.left_out.items())
    return Table(f"Agreement with {name}", ("", *_BINS), tuple(rows), note=note) if rows else None


def _controls(name: str, agreement: TeacherAgreement) -> Table | None:
    metrics = list(agreement.explanation)
    rows = [(Cell("Student"), *(_figure(agreement.explanation[metric].all) for metric in metrics))]
    for control, values in agreement.controls.items():
        cells = (
            Cell(metric_value(metric, of.value), f"n = {of.n:,}", control in agreement.fooled.get(metric, ()))
            if (of := values.get(metric)) is not None
            else Cell("–")  # too few rows of it could be read
            for metric in metrics
        )
        rows.append((Cell(baseline_title(control)), *cells))
    note = (
        "Shuffled: the student's explanation against the teacher's of another row of the same label; copied: a field "
        f"of the input against the teacher's. {FLAG} marks what reaches the student on the same rows."
    )
    head = ("", *map(metric_title, metrics))
    title = f"What explains nothing, beside {name}"
    return Table(title, head, tuple(rows), note=note, groups=frozenset({1})) if agreement.controls else None


def _binned(bins: Bins) -> list[Cell]:
    return [_figure(figure) for figure in (bins.all, bins.teacher_right, bins.teacher_wrong)]


def _figure(figure: Agreement) -> Cell:
    if figure.value is None:
        return Cell("–", "no rows")
    bounds = f"{interval('', figure.ci95)}; " if figure.ci95 else ""
    return Cell(metric_value("", figure.value), f"{bounds}n = {figure.n:,}")


def _style(name: str, style: Style) -> Table:
    rows = [
        (
            Cell(FEATURE_TITLES.get(feature, feature)),
            Cell(_number(of.student)),
            Cell(_number(of.teacher)),
            Cell(difference_value("", of.difference, 2), _bounds(of.difference_ci95)),
            Cell(metric_value("", of.distance)),
        )
        for feature, of in style.features.items()
    ]
    beside = {"All features, mean": (style.style_distance, "")}
    if halves := style.beside.get("teacher_halves"):
        beside["Two halves of the teacher's own"] = (halves.style_distance, f"95% below {halves.p95:.3f}")
    for control, value in style.beside.items():
        if control != "teacher_halves" and value is not None:
            beside[f"{baseline_title(control)} against the teacher"] = (value.style_distance, "")
    blank = Cell("")
    rows += [
        (Cell(title), blank, blank, blank, Cell(metric_value("", value), detail))
        for title, (value, detail) in beside.items()
    ]
    texts = style.texts
    note = (
        f"Means over {texts.student:,} explanations of the student's and {texts.teacher:,} of the teacher's, on "
        f"{style.rows:,} rows; the difference with its 95% interval. Distance: 0 for the same distribution, 1 for "
        "two different constants; below the line, what to read it by."
    )
    if style.left_out:
        languages = listing([f"{language} for the {who}" for who, language in style.languages.items()])
        note += f" Left out, as their lists are English and the language is {languages}: {listing(style.left_out)}."
    else:
        note += " Lists of English words tell clauses, connectives, negations and content; no parser does."
    head = ("Style", "Student", "Teacher", "Difference", "Distance")
    return Table(f"Style beside {name}", head, tuple(rows), note=note, groups=frozenset({len(style.features)}))


def _number(value: float) -> str:
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _bounds(ci95: Sequence[float] | None) -> str:
    return " to ".join(difference_value("", bound, 2) for bound in ci95) if ci95 else ""


def _apart(name: str, style: Style) -> str:
    auc = style.style_auc
    if auc is None:
        return "There is too little text to ask a classifier whether it can tell the two apart."
    within = f" (95% interval {interval('', auc.ci95)})" if auc.ci95 else ""
    text = (
        f"A classifier of words and word pairs tells the student's explanations from {name}'s with an AUC of "
        f"{auc.value:.3f}{within} on groups that it has not seen; at 0.5 it cannot."
    )
    telling = [
        f"the {who} by {listing([f'“{phrase}”' for phrase in phrases])}"
        for who, phrases in (("student", style.telling.student), ("teacher", style.telling.teacher))
        if phrases
    ]
    return f"{text} Fitted on all, it knows {listing(telling)}." if telling else text


def _figures(prefix: str, name: str, style: Style) -> list[Drawing]:
    caption = "Share of explanations by value; what is rarely larger joins the last bar."
    drawings = [distributions(f"{prefix}style", f"Style beside {name}", caption, style.features, name)]
    if style.connectives:
        caption = "Share of explanations that hold each, the teacher's commonest first."
        drawings.append(connectives(f"{prefix}connectives", "Connectives", caption, style.connectives, name))
    return drawings


@drawing(height=6.2)
def distributions(figure: Figure, features: Mapping[str, StyleFeature], teacher: str) -> None:
    """A small histogram for each feature: the student filled, the teacher as a line."""
    panels = figure.subplots(-(-len(features) // 2), 2, squeeze=False).flat
    names = {"student": "student", "teacher": printable(short_label(teacher, 24))}
    for (feature, of), axes in zip(features.items(), panels, strict=False):
        bars = of.histogram
        axes.stairs(bars.student, bars.edges, color=SERIES[0], fill=True, alpha=0.35, label=names["student"])
        axes.stairs(bars.teacher, bars.edges, color=SERIES[1], linewidth=1.3, label=names["teacher"])
        axes.set_title(FEATURE_TITLES.get(feature, feature), fontsize=8)
        axes.set_ylim(0, None)
        axes.tick_params(labelsize=7, length=0)
        axes.locator_params(nbins=4)
        axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    for axes in list(panels):  # one is over where their number is odd
        axes.set_visible(False)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)


@drawing(height=3.4)
def connectives(figure: Figure, shares: Mapping[str, Sides], teacher: str) -> None:
    """Two bars for each connective."""
    axes = figure.subplots()
    shown = list(shares.items())[:_FEW]
    for values, colour, shift, label in (
        ([of.student for _, of in shown], SERIES[0], -0.19, "student"),
        ([of.teacher for _, of in shown], SERIES[1], 0.19, printable(short_label(teacher, 24))),
    ):
        places = [y + shift for y in range(len(shown))]
        axes.barh(places, values, 0.36, color=colour, alpha=0.75, label=label)
    axes.set_yticks(range(len(shown)), [phrase for phrase, _ in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.tick_params(length=0)
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    figure.legend(loc="outside upper left", ncols=2)
