"""The audit of a data set as a page: what is wrong first, then the numbers behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from reasondistill.data.audit.findings import SEVERITIES, percent
from reasondistill.data.audit.profile import COPIES, NO_LABEL
from reasondistill.data.audit.table import audit_table
from reasondistill.data.audit.texts import FLAWS
from reasondistill.errors import DataError, OutputError
from reasondistill.reporting.document import Block, Cell, Document, Facts, Gallery, Paragraph, Part, Section, Table
from reasondistill.reporting.figures import MUTED, SERIES, drawing, short_label
from reasondistill.reporting.formatting import flatten, printable
from reasondistill.reporting.html import render
from reasondistill.storage.files import atomic_write, read_json, write_json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GENERATOR: Final = "reasondistill data audit"
"""The page's ``generator``: how a later audit knows this one, and may put itself in its place."""
_HEAD: Final = 2048
_SHOWN_TEMPLATES: Final = 12
_COPY_TITLES: Final = {"equal": "equals it", "part_of_field": "is part of it", "holds_field": "holds it whole"}

Found = Mapping[str, Any]


class AuditFiles(NamedTuple):
    """Where an audit lies."""

    json: Path
    html: Path


def write_audit(found: Found, out_folder: str | Path) -> AuditFiles:
    """Write audit.json and audit.html, which needs nothing else. An earlier audit is replaced, nothing else is.

    Args:
        found: what `data.audit.audit` returns.

    Raises:
        OutputError: the folder cannot be written to, or an audit.json or audit.html there is no audit.
    """
    out = Path(out_folder)
    if out.exists() and not out.is_dir():
        raise OutputError(out, expected="a folder", found="a file", fix="Name another folder.")
    files = AuditFiles(out / "audit.json", out / "audit.html")
    for path, ours in ((files.json, _is_our_json), (files.html, _is_our_page)):
        if path.exists() and not ours(path):
            raise OutputError(
                path,
                expected="nothing, or an earlier audit",
                found="something that `reasondistill data audit` did not make",
                fix="Name another folder, or move it away: nothing is overwritten.",
            )
    page = to_page(found)
    write_json(files.json, found)
    with atomic_write(files.html) as stream:
        stream.write(page)
    return files


def _is_our_json(path: Path) -> bool:
    try:
        return read_json(path).get("kind") == "audit"
    except DataError:
        return False


def _is_our_page(path: Path) -> bool:
    with path.open(encoding="utf-8", errors="replace") as stream:
        return f'name="generator" content="{GENERATOR}"' in stream.read(_HEAD)


def to_page(found: Found) -> str:
    """The page of an audit."""
    severities = [one["severity"] for one in found["findings"]]
    return render(
        "audit.html.j2",
        document=compose(found),
        findings=[row._asdict() for row in audit_table(found)],
        tally=[(severity, severities.count(severity)) for severity in SEVERITIES],
        generator=GENERATOR,
        flag="",
    )


def compose(found: Found) -> Document:
    """The numbers behind the findings, in sections."""
    drafted: list[tuple[str, str, list[Block | None]]] = [
        ("Labels and parts", "labels", [_balance(found), _parts(found)]),
        ("Give-aways", "give-aways", [_give_aways(found), _baselines(found), _highlights(found)]),
        ("Explanations", "explanations", [
            _explanation_facts(found), _template_figure(found), _templates(found), _copies(found), _label_words(found),
            _edges(found),
        ]),
        ("Duplicates and leaks", "leaks", [_duplicates(found), _leaks(found)]),
        ("Lengths", "lengths", [_length_figures(found), _lengths(found)]),
        ("Language and characters", "language", [_languages(found), _flaws(found)]),
        ("How it was made", "settings", [_settings(found)]),
    ]  # fmt: skip
    sections = []
    for title, anchor, blocks in drafted:
        if kept := tuple(block for block in blocks if block is not None):
            sections.append(Section(title, anchor, kept))
    counts = [f"task {found['task']}", f"{found['n']:,} examples", f"{found['explanations']['n']:,} explanations"]
    groups = found["leakage"]["groups"]["groups"]
    standing = " · ".join([*counts, *([f"{groups:,} groups"] if groups else [])])
    return Document(str(found["name"]), standing, "", (Part("", "audit", tuple(sections)),))


# Labels and parts


def _balance(found: Found) -> Block | None:
    if found["choices"] is not None:
        position = found["choices"]["position"]
        if not position:
            return None
        shares = {f"choice {int(place) + 1}": count for place, count in position.items()}
        drawing = _bars(
            "positions", "Place of the right answer", "Rows, by which of its choices is the right one.", shares
        )
        return Gallery((drawing,))
    parts = found["parts"]["counts"]
    labels = [label for label in found["labels"] if any(counts.get(label) for counts in parts.values())]
    if labels in ([], [NO_LABEL]):
        return None
    caption = "Share of each label in each part."
    return Gallery((_shares("balance", "Labels by part", caption, parts, labels),))


def _parts(found: Found) -> Block:
    labels = list(found["labels"])
    rows = [
        (Cell(part), *(Cell(f"{counts.get(label, 0):,}") for label in labels), Cell(f"{sum(counts.values()):,}"))
        for part, counts in {**found["parts"]["counts"], "all": found["labels"]}.items()
    ]
    by = {"the rows": "Each row names its part.", "both": "Some rows name their part, others go by the hash rule."}
    note = by.get(found["parts"]["by"], "No row names a part: these go by the hash rule on groups, 70/10/20.")
    aside = ", ".join(f"{count:,} × {reason}" for reason, count in found["set_aside"].items())
    note += f" Set aside on reading: {aside}." if aside else ""
    return Table("Rows", ("", *labels, "all"), tuple(rows), note, groups=frozenset({len(rows) - 1}))


# Give-aways


def _give_aways(found: Found) -> Block | None:
    drawings = []
    if "scores" in found["baselines"]:
        caption = "Accuracy of linear models that see only this, with 95% intervals; dashed: the majority answer."
        drawings.append(_baseline_figure("baselines", "What simple models guess", caption, found["baselines"]))
    if found["highlights"] is not None:
        caption = "Share of annotations with a highlighted word in the field, by label."
        drawings.append(_grid("highlights", "Highlights", caption, found["highlights"]["marked"]))
    return Gallery(tuple(drawings)) if drawings else None


def _baselines(found: Found) -> Block:
    baselines = found["baselines"]
    if "left_out" in baselines:
        return Paragraph(f"Baselines were left out: {baselines['left_out']}.")
    rows = [
        (Cell(f"{name} alone" if name != "all fields" else "all fields, bag of words"), Cell(percent(s["accuracy"])),
         Cell(_interval(s["ci95"])), Cell(f"{s['n']:,}"))
        for name, s in {**baselines["scores"], "majority": baselines["majority"]}.items()
    ]  # fmt: skip
    rows[-1] = (Cell("majority answer"), *rows[-1][1:])
    train, scored = baselines["train"], baselines["scored"]
    note = (
        f"Trained on {_of(train)} rows, scored on {_of(scored)} ({train['how']}); intervals resample groups. "
        "Logistic regression on TF-IDF of words and word pairs."
    )
    return Table("Simple models", ("sees", "accuracy", "95% interval", "rows"), tuple(rows), note)


def _highlights(found: Found) -> Block | None:
    highlights = found["highlights"]
    if highlights is None or highlights["baseline"] is None:
        return None
    baseline = highlights["baseline"]
    return Paragraph(
        f"From the numbers of highlighted words alone, {percent(baseline['accuracy'])} of labels are guessed right, "
        f"where the majority label is right in {percent(baseline['majority'])} ({baseline['n']:,} annotations)."
    )


# Explanations


def _explanation_facts(found: Found) -> Block:
    e = found["explanations"]
    n = max(e["n"], 1)
    per_example = ", ".join(f"{number}: {count:,} rows" for number, count in e["per_example"].items())
    items = [
        ("explanations an example", per_example or "none"),
        ("sources", ", ".join(f"{name}: {count:,}" for name, count in e["sources"].items()) or "none"),
        ("for another label", f"{e['for_another_label']:,}"),
        ("empty", f"{e['empty']:,}"),
        ("under three words", f"{e['very_short']:,} ({percent(e['very_short'] / n)})"),
        ("word for word in several rows", f"{e['repeated']['n']:,} ({percent(e['repeated']['n'] / n)})"),
    ]
    return Facts("", tuple(items))


def _template_figure(found: Found) -> Block | None:
    templates = found["phrases"]["templates"][:_SHOWN_TEMPLATES]
    labels = [label for label in found["labels"] if label != NO_LABEL]
    if not templates or len(labels) < 2:
        return None
    caption = "Explanations that fit each template found, by label; “…” stands for words of the row's own."
    return Gallery((_template_bars("templates", "Templates", caption, templates, labels),))


def _templates(found: Found) -> Block | None:
    phrases = found["phrases"]
    rows = [
        (Cell(one["template"]), Cell(f"{one['n']:,}"), Cell(percent(one["share"])),
         Cell(f"{percent(one['mostly_share'])} {one['mostly']}" if len(phrases["begin"]) > 1 else "–"))
        for one in phrases["templates"]
    ] + [
        (Cell(one["template"]), Cell(f"{one['n']:,}"), Cell(percent(one["share"])), Cell("quotes fields whole"))
        for one in phrases["quoting"]
    ]  # fmt: skip
    if not rows:
        return None
    shares = phrases["in_a_template"] if len(phrases["begin"]) > 1 else {"all": phrases["in_a_template"]["all"]}
    inside = ", ".join(f"{percent(share)} of {label}" for label, share in shares.items())
    note = f"Found in {phrases['n']:,} explanations. In at least one template: {inside}."
    return Table("Templates found", ("template", "explanations", "share", "label"), tuple(rows), note)


def _copies(found: Found) -> Block | None:
    copies, fields = found["explanations"]["copies"], found["fields"]
    if not any(one["any"] for one in copies.values()):
        return None
    head = ("", *(_COPY_TITLES[how] for how in COPIES), "any")
    rows: list[tuple[Cell, ...]] = []
    for label, one in copies.items():
        copied = Cell(f"{one['any']:,}", percent(one["any"] / max(one["n"], 1)))
        for field in fields:
            counts = [Cell(f"{one[field][how]:,}") for how in COPIES]
            name = f"{label}, the {field}" if len(copies) > 1 else f"the {field}"
            rows.append((Cell(name), *counts, copied if field == fields[0] else Cell("")))
    note = "Case, punctuation and articles do not count; stretches of fewer than three words are no copies."
    return Table("Explanations that copy a field", head, tuple(rows), note)


def _label_words(found: Found) -> Block | None:
    words = found["explanations"]["label_words"]
    if not any(one["own"] or one["other"] for one in words.values()):
        return None
    rows = [
        (Cell(label), Cell(f"{one['own']:,}", percent(one["own"] / max(one["n"], 1))),
         Cell(f"{one['other']:,}", percent(one["other"] / max(one["n"], 1))))
        for label, one in words.items()
    ]  # fmt: skip
    return Table("Label words in explanations", ("label", "its own name", "another's"), tuple(rows))


def _edges(found: Found) -> Block | None:
    items = []
    for where, verb in (("begin", "begin"), ("end", "end")):
        for label, phrases in found["phrases"][where].items():
            if phrases:
                listed = "; ".join(f"{one['phrase']} ({percent(one['share'])})" for one in phrases)
                items.append((f"{verb}, {label}", listed))
    return Facts("How explanations begin and end", tuple(items), folded=True) if items else None


# Duplicates and leaks


def _duplicates(found: Found) -> Block:
    d = found["duplicates"]
    rows = [
        (Cell(title), *(Cell(f"{d[kind][key]['sets']:,}", f"{d[kind][key]['rows']:,} rows")
                        for key in ("same_label", "conflicting_label")))
        for kind, title in (("exact", "the same fields"), ("normalised", "… but for case, punctuation, articles"))
    ]  # fmt: skip
    near = d["near"]
    rows.append(
        (Cell("nearly the same, pairs"), *(Cell(f"{near[k]['pairs']:,}") for k in ("same_label", "conflicting_label")))
    )
    note = (
        f"Near: every field shares at least {near['threshold']:.0%} of its words (Jaccard); a lower bound. "
        f"{near['across_parts']['pairs']:,} such pairs stand in different parts."
    )
    return Table("Rows that say the same", ("", "same label", "different labels"), tuple(rows), note)


def _leaks(found: Found) -> Block:
    leakage = found["leakage"]
    parts = list(leakage["between_parts"])
    rows = [
        (Cell(name), *(Cell(percent(leakage["between_parts"][part][name]["share"]),
                            f"{leakage['between_parts'][part][name]['rows']:,} rows") for part in parts),
         Cell(percent(leak["leaked"])), Cell(percent(leak["shared"])))
        for name, leak in leakage["random_split"].items()
    ]  # fmt: skip
    groups = leakage["groups"]
    note = f"{groups['groups']:,} groups, the largest of {groups['largest']:,} rows; {groups['in_several_parts']:,} in "
    note += f"more than one part. {groups['rows_without']:,} rows have no group."
    head = (
        "text of",
        *(f"{part} in {leakage['train_part']}" for part in parts),
        "of a random test part",
        "shared at all",
    )
    return Table("Texts that another part has, too", head, tuple(rows), note)


# Lengths


def _length_figures(found: Found) -> Block | None:
    lengths = found["lengths"]
    drawings = []
    for unit in ("words", "tokens"):
        limits = found["settings"]["limits"]
        for name, key in (("prompt", "max_source_length"), ("target", "max_target_length")):
            described = (lengths[unit] or {}).get(name)
            if described:
                limit = limits[key] if limits and unit == "tokens" else None
                caption = "Past the 99th percentile they join the last bar" + ("; dashed: the limit." if limit else ".")
                drawings.append(
                    _histogram(f"{name}-{unit}", f"{name.capitalize()}s in {unit}", caption, described, unit, limit)
                )
    return Gallery(tuple(drawings)) if drawings else None


def _lengths(found: Found) -> Block | None:
    rows: list[tuple[Cell, ...]] = []
    ruled: set[int] = set()
    for unit in ("words", "tokens"):
        for name, described in (found["lengths"][unit] or {}).items():
            if unit == "tokens" and not ruled:
                ruled.add(len(rows))
            over = f"{described['over']:,}" if "over" in described else "–"
            detail = percent(described["share_over"]) if described.get("over") else ""
            percentiles = [Cell(f"{value:,}") for value in described["percentiles"].values()]
            rows.append((Cell(f"{name}, {unit}"), *percentiles, Cell(over, detail)))
    if not rows:
        return None
    first = next(iter((found["lengths"]["words"] or found["lengths"]["tokens"]).values()))
    names = [f"{p.removeprefix('p')}%" if p != "p100" else "longest" for p in first["percentiles"]]
    note = "Percentiles. Over the limit in words: cut for certain, as a word is a token or more."
    if found["lengths"]["tokens"] and found["settings"]["sample"] < found["n"]:
        note += f" Tokens are those of {found['settings']['sample']:,} sampled rows."
    return Table("Lengths", ("", *names, "over the limit"), tuple(rows), note, groups=frozenset(ruled))


# Language


def _languages(found: Found) -> Block | None:
    items = []
    for where in ("fields", "explanations"):
        counts = found["language"][where]
        total = sum(counts.values())
        if total:
            listed = ", ".join(f"{name} {percent(count / total)}" for name, count in list(counts.items())[:6])
            items.append((where, listed))
    return Facts("Language, by script and stop words", tuple(items)) if items else None


def _flaws(found: Found) -> Block | None:
    rows = [
        (Cell(FLAWS[flaw]), *(Cell(f"{where.get(name, 0):,}") for name in (*found["fields"], "explanation")))
        for flaw, where in found["language"]["flaws"].items()
        if where
    ]
    if not rows:
        return Paragraph("No text has characters of a wrong encoding, remains of HTML or invisible characters.")
    return Table("Texts with", ("", *found["fields"], "explanation"), tuple(rows))


def _settings(found: Found) -> Block:
    phrases = f"{found['phrases']['n']:,} explanations of {found['settings']['sample']:,} rows"
    near = found["duplicates"]["near"]
    return Facts(
        "",
        (
            ("fingerprint of the data", str(found["fingerprint"])),
            *flatten(found["settings"]),
            ("phrases, language from", phrases),
            ("near duplicates from", f"{near['compared']:,} of {near['candidates']:,} candidate pairs"),
        ),
    )


def _of(counted: Found) -> str:
    return f"{counted['n']:,}" if counted["n"] == counted["of"] else f"{counted['n']:,} of {counted['of']:,}"


def _interval(ci95: Sequence[float] | None) -> str:
    return "" if ci95 is None else f"{ci95[0]:.1%}–{ci95[1]:.1%}"


# Figures


def _percent_axis(axes: Axes) -> None:
    axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:g}%")
    axes.grid(axis="y", visible=False)
    axes.tick_params(length=0)


@drawing(height=2.4)
def _shares(figure: Figure, parts: Mapping[str, Mapping[str, int]], labels: Sequence[str]) -> None:
    """One bar a part, divided by label."""
    axes = figure.subplots()
    left = [0.0] * len(parts)
    for index, label in enumerate(labels):
        shares = [counts.get(label, 0) / max(sum(counts.values()), 1) for counts in parts.values()]
        colour = MUTED if label == NO_LABEL else SERIES[index % len(SERIES)]
        axes.barh(range(len(parts)), shares, left=left, height=0.62, color=colour, alpha=0.85,
                  label=printable(short_label(label)))  # fmt: skip
        left = [a + b for a, b in zip(left, shares, strict=True)]
    axes.set_yticks(
        range(len(parts)), [printable(short_label(f"{p} ({sum(c.values()):,})", 26)) for p, c in parts.items()]
    )
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    _percent_axis(axes)
    figure.legend(loc="outside upper left", ncols=3, handlelength=1.0, columnspacing=1.2)


@drawing(height=2.4)
def _bars(figure: Figure, counts: Mapping[str, int]) -> None:
    axes = figure.subplots()
    total = max(sum(counts.values()), 1)
    axes.barh(
        range(len(counts)), [count / total for count in counts.values()], height=0.62, color=SERIES[0], alpha=0.85
    )
    axes.set_yticks(range(len(counts)), list(counts))
    axes.invert_yaxis()
    axes.set_xlim(0, None)
    _percent_axis(axes)


@drawing(height=2.6)
def _baseline_figure(figure: Figure, baselines: Found) -> None:
    """Accuracies with intervals, beside the majority answer's."""
    axes = figure.subplots()
    scores = baselines["scores"]
    for y, score in enumerate(scores.values()):
        if score["ci95"] is not None:
            axes.plot(score["ci95"], [y, y], color=SERIES[0], linewidth=2.4, alpha=0.45, solid_capstyle="butt")
        axes.plot([score["accuracy"]], [y], "o", color=SERIES[0], markersize=5.5)
        beyond = score["accuracy"] > 0.85
        axes.annotate(
            f"{score['accuracy']:.0%}", (score["accuracy"], y), (-8 if beyond else 8, 0), textcoords="offset points",
            ha="right" if beyond else "left", va="center", fontsize=9,
        )  # fmt: skip
    axes.axvline(baselines["majority"]["accuracy"], color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
    axes.set_yticks(range(len(scores)), [printable(short_label(name, 32)) for name in scores])
    axes.set_ylim(len(scores) - 0.5, -0.5)
    axes.set_xlim(0, 1.02)
    axes.set_xlabel("labels guessed right")
    _percent_axis(axes)


@drawing(height=2.4)
def _grid(figure: Figure, shares: Mapping[str, Mapping[str, float]]) -> None:
    """A cell for each field and label, as dark as its share."""
    from matplotlib.patches import Rectangle

    axes = figure.subplots()
    fields, labels = list(shares), list(next(iter(shares.values())))
    for y, field in enumerate(fields):
        for x, label in enumerate(labels):
            share = shares[field][label]
            axes.add_patch(Rectangle((x - 0.47, y - 0.46), 0.94, 0.92, facecolor=SERIES[0], alpha=0.03 + 0.47 * share))
            axes.text(x, y, percent(share), ha="center", va="center")
    axes.set_xlim(-0.5, len(labels) - 0.5)
    axes.set_ylim(len(fields) - 0.5, -0.5)
    axes.set_xticks(range(len(labels)), [printable(short_label(label)) for label in labels])
    axes.set_yticks(range(len(fields)), [printable(short_label(field)) for field in fields])
    axes.grid(False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


@drawing(height=3.8)
def _template_bars(figure: Figure, templates: Sequence[Found], labels: Sequence[str]) -> None:
    """One bar a template, divided by label."""
    axes = figure.subplots()
    left = [0.0] * len(templates)
    for index, label in enumerate(labels):
        shares = [one["share"] * one["labels"].get(label, 0) / one["n"] for one in templates]
        axes.barh(range(len(templates)), shares, left=left, height=0.66, color=SERIES[index % len(SERIES)], alpha=0.85,
                  label=printable(short_label(label)))  # fmt: skip
        left = [a + b for a, b in zip(left, shares, strict=True)]
    axes.set_yticks(range(len(templates)), [printable(short_label(one["template"], 34)) for one in templates])
    axes.invert_yaxis()
    axes.set_xlim(0, None)
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel("explanations")
    _percent_axis(axes)
    figure.legend(loc="outside upper left", ncols=3, handlelength=1.0, columnspacing=1.2)


@drawing(height=2.4)
def _histogram(figure: Figure, described: Found, unit: str, limit: int | None) -> None:
    axes = figure.subplots()
    histogram = described["histogram"]
    starts, width = histogram["from"], histogram["width"]
    shares = [count / described["n"] for count in histogram["counts"]]
    axes.bar([start + (width - 1) / 2 for start in starts], shares, width * 0.9, color=SERIES[0], alpha=0.75)
    if limit is not None:
        axes.axvline(limit + 0.5, color=SERIES[1], linewidth=1.4, linestyle=(0, (3, 3)))
    axes.locator_params(axis="x", integer=True)
    axes.set_xlabel(unit)
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.grid(axis="x", visible=False)
