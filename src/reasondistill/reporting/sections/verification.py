"""The section "Verified answers": what was proved, how often that is the gold label, and proofs to read."""

from __future__ import annotations

from collections.abc import Iterator

from reasondistill.contracts.results import MetricValue, Results
from reasondistill.contracts.verification import Hybrid, ShownProof, Verification
from reasondistill.reporting.document import Block, Card, Cards, Cell, Paragraph, Table

GUARANTEE = (
    "“Verified” means that a proof of the answer's label, in a small fragment of English captions, was accepted by a "
    "checker that shares no code with the prover. It says nothing of the world, of what the sentences mean outside the "
    "fragment, or of the student's inner reasons. “Conflict”: another label was proved. “Unknown”: no proof was found."
)


def verification_section(results: Results) -> list[Block]:
    """Shares, precisions, the hybrid, and proofs; none where nothing was looked at."""
    summary = results.verification
    if summary is None:
        return []
    blocks: list[Block] = [Paragraph(GUARANTEE), _verdicts(summary), _labels(summary)]
    if summary.hybrid is not None:
        blocks.append(_hybrid(summary.hybrid))
    if summary.shown:
        rule = "The first of each verdict. The explanation is rendered from the proof, or from the counter-model."
        blocks.append(Cards("Proofs to read", rule, tuple(_card(proof) for proof in summary.shown)))
    if summary.assumptions:
        used = "; ".join(f"{name} ({n:,})" for name, n in list(summary.assumptions.items())[:12])
        blocks.append(Paragraph(f"Assumptions and the number of proofs that use them: {used}."))
    return blocks


def figure_text(figure: MetricValue | None) -> str:
    """A share with its interval, for a terminal."""
    if figure is None:
        return "–"
    bounds = "" if figure.ci95 is None else f" ({figure.ci95[0]:.1%} to {figure.ci95[1]:.1%})"
    return f"{figure.value:.1%}{bounds}"


def label_rows(summary: Verification) -> Iterator[tuple[str, str, str]]:
    """For each label, how often it is proved and how often that is right."""
    for label, figures in summary.labels.items():
        yield label, figure_text(figures.proved), figure_text(figures.right)


def _cell(figure: MetricValue | None) -> Cell:
    if figure is None:
        return Cell("–")
    bounds = "" if figure.ci95 is None else f"{figure.ci95[0]:.1%} to {figure.ci95[1]:.1%}; "
    return Cell(f"{figure.value:.1%}", f"{bounds}n = {figure.n:,}")


def _verdicts(summary: Verification) -> Table:
    rows = (
        (Cell("Verified"), _cell(summary.verified), _cell(summary.verified_right)),
        (Cell("Conflict"), _cell(summary.conflict), _cell(summary.conflict_right)),
        (Cell("Unknown"), _cell(summary.unknown), Cell("–")),
    )
    note = f"Beneath each figure: its 95% interval and its rows. {summary.read.value:.1%} of the pairs were read."
    return Table("What was proved of the answers", ("", "Of all rows", "Proved label is gold"), rows, note=note)


def _labels(summary: Verification) -> Table:
    rows = tuple(
        (
            Cell(label),
            _cell(of.proved),
            _cell(of.right),
            _cell(of.recall),
            _cell(of.verified_right),
            _cell(of.conflict_right),
        )
        for label, of in summary.labels.items()
    )
    head = ("Label", "Proved", "Right", "Of gold rows", "If verified", "In conflict")
    return Table("By label, whatever the system said", head, rows)


def _hybrid(hybrid: Hybrid) -> Table:
    rows = [
        (Cell("Student alone, all rows"), _cell(hybrid.student)),
        (Cell("Proved labels replace the student's"), _cell(hybrid.hybrid)),
        (Cell("Difference, paired"), _cell(hybrid.difference)),
        (Cell("Rows left without conflicts"), _cell(hybrid.coverage)),
        (Cell("Student on those"), _cell(hybrid.without_conflicts)),
        (Cell("Student on as many of its surest rows"), _cell(hybrid.surest)),
        (Cell("Difference at equal coverage"), _cell(hybrid.surest_difference)),
    ]
    shown = tuple(row for row in rows if row[1].text != "–")
    return Table("Prover and student together", ("", "Label accuracy"), shown)


def _card(proof: ShownProof) -> Card:
    """A pair, the answer, and the proof in words; its scores say what was proved, under which assumptions."""
    scores = [("Verdict", proof.verdict), ("Proved", proof.proved or "nothing")]
    if proof.assumptions:
        scores.append(("Assumed", ", ".join(proof.assumptions)))
    return Card(
        id=proof.id,
        fields={"premise": proof.premise, "hypothesis": proof.hypothesis},
        gold=proof.gold,
        label=proof.label,
        correct=None if proof.gold is None or proof.label is None else proof.gold == proof.label,
        probabilities=(),
        explanation=proof.text,
        references=(),
        scores=tuple(scores),
    )
