"""The audit of a data set: one pass, a sample for what needs the texts, and what is wrong in order of weight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from reasondistill.contracts.audit import Audit, AuditSettings, Finding, LabelProofs, Limits, ShownRow
from reasondistill.contracts.audit_numbers import Lengths
from reasondistill.contracts.records import Example
from reasondistill.data.audit.balance import balance_section, count_choices, count_labels, count_splits
from reasondistill.data.audit.characters import characters_section, count_languages
from reasondistill.data.audit.duplicates import duplicates_section, find_duplicates
from reasondistill.data.audit.explanation_texts import count_explanations, explanations_section
from reasondistill.data.audit.findings import SEVERITIES, Section
from reasondistill.data.audit.highlights import count_highlights, highlights_section
from reasondistill.data.audit.leakage import find_leaks, leakage_section
from reasondistill.data.audit.lengths import lengths_section, token_lengths, word_lengths
from reasondistill.data.audit.phrases import find_phrases, templates_section
from reasondistill.data.audit.profile import Ints, gather_columns
from reasondistill.data.audit.proved_labels import proofs_section
from reasondistill.data.audit.simple_models import give_aways_section, run_baselines
from reasondistill.data.loaded import Loaded
from reasondistill.data.stored import StoredExamples
from reasondistill.errors import DataError
from reasondistill.languages.tokenizer_protocol import Tokenizer
from reasondistill.tasks.task import OutputOrder, Task

LabelProver = Callable[[Sequence[Example], Task], LabelProofs]
SAMPLE: Final = 50_000
"""Rows that phrases, language and token lengths are taken from, if there are more."""
MOST_SHOWN: Final = 2
"""Rows of a finding that are shown with their texts."""
LONGEST_SHOWN: Final = 200
"""Characters of a shown text; longer ones are cut."""
_SECTIONS: Final[tuple[Callable[[Audit], Section], ...]] = (
    balance_section, leakage_section, duplicates_section, give_aways_section, highlights_section,
    explanations_section, templates_section, lengths_section, characters_section, proofs_section,
)  # fmt: skip


def audit(
    loaded: Loaded,
    *,
    task: Task,
    tokenizer: Tokenizer | None = None,
    limits: Limits | None = None,
    order: OutputOrder | None = None,
    seed: int = 0,
    prove: LabelProver | None = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> Audit:
    """Look for what is wrong with a data set. Half a million rows take about a minute and some hundred megabytes.

    The same data, arguments and library versions give the same result.

    Args:
        task: what the rows are read as; the fields that it does not name are not looked at.
        tokenizer: of transformers, to count tokens with; without one, lengths are in words only.
        limits: of the student that is to be trained.
        order: what prompts and targets are made for; by default ``label_first``, without labels or
            answers ``explanation_only``.
        seed: of samples and baselines.
        prove: proves labels of a sample of pairs, as `verification.doubted_labels` does; without it none are proved.
        progress: called with a sentence as each stage begins.

    Raises:
        DataError: there are no examples.
    """
    if not len(loaded.examples):
        raise DataError(loaded.name, expected="at least one example", found="none", fix="Name another split or file.")
    answered = task.labels != () or (task.writes_answers and any(loaded.stored.column("label")))
    order = order or ("label_first" if answered else "explanation_only")
    settings = AuditSettings(order=order, seed=seed, limits=limits, sample=min(len(loaded.examples), SAMPLE))
    numbers = _measure(loaded, task, tokenizer, settings, order, prove, progress)
    return numbers.model_copy(update={"findings": _findings(numbers, loaded.stored)})


def _measure(
    loaded: Loaded,
    task: Task,
    tokenizer: Tokenizer | None,
    settings: AuditSettings,
    order: OutputOrder,
    prove: LabelProver | None,
    progress: Callable[[str], None],
) -> Audit:
    """Everything but the findings."""
    stored, seed, limits = loaded.stored, settings.seed, settings.limits

    def get_ids(rows: Sequence[int]) -> list[str]:
        return [str(value) for value in stored.take(stored.rows[np.asarray(rows, np.int64)]).column("id")]

    def take(rows: Ints) -> Sequence[Example]:
        return stored if len(rows) == len(stored) else stored.take(stored.rows[rows])

    progress(f"reading {len(stored):,} examples")
    columns = gather_columns(stored, stored.parts(), task=task, order=order, progress=progress)
    progress("looking for duplicates and leaks")
    leakage = find_leaks(columns, get_ids)
    duplicates = find_duplicates(columns, get_ids, seed=seed)
    sample = np.arange(columns.n)
    if columns.n > SAMPLE:
        sample = np.sort(np.random.default_rng(seed).choice(columns.n, SAMPLE, replace=False))
    progress(f"looking for phrases in {len(sample):,} examples")
    phrases = find_phrases(zip(sample.tolist(), take(sample), strict=True), task, get_ids)
    tokens = lost = None
    if tokenizer is not None:
        progress(f"counting tokens of {len(sample):,} examples")
        tokens, lost = token_lengths(take(sample), task, order, tokenizer, limits)
    proofs = None
    if prove is not None:
        progress(f"proving labels of {len(sample):,} examples")
        proofs = prove(take(sample), task)
    return Audit(
        name=loaded.name,
        fingerprint=loaded.fingerprint,
        task=task.name,
        fields=list(task.fields),
        n=columns.n,
        settings=settings,
        labels=count_labels(columns.label, columns),
        choices=count_choices(columns),
        splits=count_splits(columns),
        dropped=dict(loaded.set_aside),
        duplicates=duplicates,
        leakage=leakage,
        explanations=count_explanations(columns, get_ids),
        phrases=phrases,
        highlights=count_highlights(columns, leakage.train_split),
        lengths=Lengths(words=word_lengths(columns, limits, get_ids), tokens=tokens),
        lost=lost,
        baselines=run_baselines(columns, leakage.train_split, take, task, seed=seed, progress=progress),
        language=count_languages(columns, take(sample), get_ids),
        proofs=proofs,
    )


def sections(audit: Audit) -> list[Section]:
    """The subjects of an audit, each with its findings and the tables and figures that show them."""
    return [make(audit) for make in _SECTIONS]


def _findings(numbers: Audit, stored: StoredExamples) -> list[Finding]:
    """All findings, worst first; equally bad ones in the order of the sections."""
    named = [(section, finding) for section in sections(numbers) for finding in section.findings]
    wanted = {identity for _, finding in named for identity in _first_ids(finding)}
    places = [row for row, identity in enumerate(stored.values("id")) if identity in wanted]
    rows = {example.id: example for example in stored.take(stored.rows[np.asarray(places, np.int64)])}

    def complete(section: Section, finding: Finding) -> Finding:
        examples = [_shown(rows[identity], numbers.fields, section) for identity in _first_ids(finding)]
        return finding.model_copy(update={"section": section.anchor, "examples": examples})

    return sorted((complete(*pair) for pair in named), key=lambda finding: SEVERITIES.index(finding.severity))


def _first_ids(finding: Finding) -> list[str]:
    """The rows of the first set, or the first rows."""
    rows = [[row] if isinstance(row, str) else row for row in finding.ids[:MOST_SHOWN]]
    sets = rows[:1] if rows and len(rows[0]) > 1 else rows
    return [identity for row_set in sets for identity in row_set[:MOST_SHOWN]]


def _shown(example: Example, fields: Sequence[str], section: Section) -> ShownRow:
    return ShownRow(
        id=example.id,
        fields={name: _cut(example.fields[name]) for name in fields},
        label=example.label,
        explanations=[_cut(e.text) for e in example.references[:3]] if section.about_explanations else [],
    )


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"
