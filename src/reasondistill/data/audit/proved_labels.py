"""Labels that a proof contradicts: likely mistakes of annotators, or of the fragment's assumptions."""

from __future__ import annotations

from typing import Final

from reasondistill.contracts.audit import Audit, DoubtedLabel
from reasondistill.data.audit.findings import Evidence, FactList, NumberTable, Section, finding, number_of, percent

_LISTED: Final = 50
"""Doubted labels that a page lists."""


def proofs_section(audit: Audit) -> Section:
    """What proofs say of the labels; nothing where none were asked for."""
    proofs = audit.proofs
    if proofs is None:
        return Section("Proofs of labels", "proofs", [], [])
    findings = []
    if proofs.doubted:
        first = proofs.doubted[0]
        what = (
            f"{number_of(len(proofs.doubted), 'label')} of {proofs.proved:,} that could be proved contradict a proof; "
            f"the worst is called {first.label} where {first.proved} is proved"
        )
        advice = (
            "Read these rows with their proofs, and correct the label or reject an assumption. The worst come first."
        )
        findings.append(
            finding(
                "warning" if len(proofs.doubted) > proofs.proved / 100 else "note",
                what,
                advice,
                ids=[doubt.id for doubt in proofs.doubted],
                doubted=len(proofs.doubted),
                proved=proofs.proved,
            )
        )
    agreeing = percent(proofs.agreeing / proofs.proved) if proofs.proved else "–"
    facts = [
        ("Pairs looked at", f"{proofs.rows:,}"),
        ("Labels proved", f"{proofs.proved:,}"),
        ("Of these, the row's own", agreeing),
    ]
    evidence: list[Evidence | None] = [FactList(facts)]
    if proofs.doubted:
        rows = [_row(doubt) for doubt in proofs.doubted[:_LISTED]]
        note = "Proofs rest on named assumptions, which stand beneath each; docs/verification.md says what they claim."
        evidence.append(NumberTable("Doubted labels", ("Row", "Label", "Proved", "Proof"), rows, note=note))
    return Section("Proofs of labels", "proofs", findings, evidence)


def _row(doubt: DoubtedLabel) -> list[str | tuple[str, str]]:
    assumed = f"assumed: {', '.join(doubt.assumptions)}" if doubt.assumptions else ""
    return [doubt.id, doubt.label, doubt.proved, (doubt.explanation, assumed)]
