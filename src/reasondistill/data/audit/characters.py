"""In which languages texts are, what is broken in them, and what a tokenizer cannot read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from reasondistill.contracts.audit import Audit, Finding, Severity
from reasondistill.contracts.audit_numbers import Language
from reasondistill.contracts.lost_texts import Lost
from reasondistill.contracts.records import Example
from reasondistill.data.audit.duplicates import GetIds
from reasondistill.data.audit.findings import Evidence, FactList, NumberTable, Section, finding, number_of, percent
from reasondistill.data.audit.profile import Columns
from reasondistill.data.audit.texts import FLAWS
from reasondistill.languages.detection import UNKNOWN, language
from reasondistill.languages.unknown_tokens import READS_EVERYTHING, WORTH_SAYING, advice, loss_sentence, lost_share


def count_languages(columns: Columns, examples: Iterable[Example], get_ids: GetIds) -> Language:
    """Languages of some examples, the commonest first, and the flaws of all texts."""
    fields, explanations = Counter[str](), Counter[str]()
    for example in examples:
        # A row's fields together: a short one alone says little of its language.
        fields[language(" ".join(example.fields[name] for name in columns.fields))] += 1
        explanations.update(language(explanation.text) for explanation in example.explanations)
    kinds = (*columns.fields, "explanation")
    return Language(
        fields=_ranked(fields),
        explanations=_ranked(explanations),
        texts=dict(columns.texts),
        flaws={flaw: {k: columns.flaws[k, flaw] for k in kinds if columns.flaws[k, flaw]} for flaw in FLAWS},
        flaw_ids={flaw: get_ids(columns.rows.get(flaw, [])) for flaw in FLAWS},
    )


def _ranked(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def characters_section(audit: Audit) -> Section:
    """Languages, broken characters, lost characters."""
    places = {"fields": audit.language.fields, "explanations": audit.language.explanations}
    findings = [*_flaws(audit.language)]
    for place, languages in places.items():
        findings += _foreign(place, languages)
    if audit.lost:
        findings += _lost(audit.lost)
    evidence = [_languages(places), _flaw_table(audit)]
    return Section("Language and characters", "language", findings, evidence)


def _flaws(texts: Language) -> Iterator[Finding]:
    total = sum(texts.texts.values())
    for flaw, kinds in texts.flaws.items():
        if not (count := sum(kinds.values())):
            continue
        severe = count >= 0.01 * total and flaw != "edge_space" and not (flaw == "non_latin" and count > 0.95 * total)
        yield finding(
            "warning" if severe else "note",
            f"{number_of(count, 'text')} ({percent(count / total)}) with {FLAWS[flaw]} "
            f"({', '.join(f'{n:,} in {kind}' for kind, n in kinds.items())})",
            "Choose a student whose tokenizer knows the script."
            if flaw == "non_latin"
            else "Clean them before training.",
            ids=texts.flaw_ids[flaw],
            texts=count,
        )


def _foreign(place: str, languages: Mapping[str, int]) -> Iterator[Finding]:
    known = {name: count for name, count in languages.items() if name != UNKNOWN}
    total, (main, *others) = sum(known.values()), [*known, ""]
    foreign = total - known.get(main, 0)
    if foreign >= max(0.02 * total, 10):
        listed = ", ".join(f"{name} {percent(known[name] / total)}" for name in others[:4] if name)
        yield finding(
            "warning" if foreign >= 0.1 * total else "note",
            f"{foreign:,} of {total:,} {place} do not seem to be in {main}: {listed}",
            "A guess from stop words and script: look at some, and choose a student that knows these languages.",
            share=foreign / total,
        )


def _lost(lost: Lost) -> Iterator[Finding]:
    counts = lost.model_dump()
    if sentence := loss_sentence(counts):
        share = lost_share(counts)
        tokens = {
            f"{name}_{key}": counts[name][key] for name in ("prompts", "targets") for key in ("unknown", "tokens")
        }
        severity: Severity = "problem" if share >= 0.1 else "warning" if share >= WORTH_SAYING else "note"
        yield finding(severity, sentence[0].lower() + sentence[1:].rstrip("."), READS_EVERYTHING, share=share, **tokens)
    if same := lost.same_prompts.n:
        share = same / lost.prompts.n
        yield finding(
            "problem" if share >= 0.1 else "warning",
            f"{number_of(same, 'prompt')} ({percent(share)}) with the tokens of another, different prompt",
            f"A student cannot tell them apart. {advice(counts)}",
            ids=lost.same_prompts.ids,
            prompts=same,
        )


def _languages(places: Mapping[str, Mapping[str, int]]) -> Evidence | None:
    items = [
        (place, ", ".join(f"{name} {percent(n / sum(counts.values()))}" for name, n in list(counts.items())[:6]))
        for place, counts in places.items()
        if counts
    ]
    return FactList(items, "Language, by script and stop words") if items else None


def _flaw_table(audit: Audit) -> Evidence:
    kinds = (*audit.fields, "explanation")
    rows = [
        (FLAWS[flaw], *(f"{counts.get(kind, 0):,}" for kind in kinds))
        for flaw, counts in audit.language.flaws.items()
        if counts
    ]
    if not rows:
        return "No text has characters of a wrong encoding, remains of HTML or invisible characters."
    return NumberTable("Texts with", ("", *kinds), rows)
