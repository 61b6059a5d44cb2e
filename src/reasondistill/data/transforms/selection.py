"""Select training data: a share of the groups, and whose explanations."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from reasondistill.config import Source
from reasondistill.contracts.records import Example, Explanation, number_as_text, parse_record
from reasondistill.data.loaded import Loaded
from reasondistill.data.stored import SCHEMA, StoredExamples, content_hash, to_batches
from reasondistill.errors import DataError
from reasondistill.storage.files import read_jsonl

NOT_IN_FRACTION = "not in the fraction"
"""Why a row is dropped that the configuration excludes."""

_OUT_OF = 2**64

AnswersById = dict[str, list[tuple[str | None, str]]]
"""Id → labels argued for, with the explanations."""


def chosen(loaded: Loaded, source: Source, given: Mapping[str, str], seed: int) -> Loaded:
    """The examples of ``loaded`` as a configuration's source asks for them; all of it where it asks for nothing.

    Args:
        given: fields that every row gets.

    Raises:
        DataError: a teacher's file is broken, has none of the rows, or nothing is left; nobody whose explanations are
            asked for wrote any.
    """
    if source.fraction < 1.0:
        units = groups_of(loaded)
        kept = [in_fraction(unit, source.fraction, seed) for unit in units]
        if not any(kept):
            raise DataError(
                "fraction",
                expected=f"one group at least among a share of {source.fraction:g}",
                found=f"none of {len(set(units)):,}",
                fix="Ask for a larger share.",
            )
        loaded = loaded.only(kept, reason=NOT_IN_FRACTION)
    if not given and not source.teachers and source.explanations is None and source.min_acceptable is None:
        return loaded
    taught = {name: read_teacher(name, file) for name, file in source.teachers.items()}
    for name, file in source.teachers.items():
        if not any(identity in taught[name] for identity in loaded.stored.column("id")):
            raise DataError(
                file, expected=f"explanations of rows of {loaded.name}", found="none with an id of these rows"
            )
        if not any(_argue_for_its_label(example, taught[name]) for example in loaded.examples):
            labels = sorted({str(label) for of in taught[name].values() for label, _ in of})[:5]
            raise DataError(
                file,
                expected="explanations that argue for the labels of these rows, as only such are learned from",
                found=f"for the labels {labels}, or no text",
            )
    if source.explanations:
        _refuse_strangers(source.explanations, loaded.examples, taught)
    rows = _explained(loaded.examples, taught, source, given)
    table = pa.Table.from_batches(to_batches((e, content_hash(e)) for e in rows), schema=SCHEMA)
    return replace(loaded, examples=StoredExamples(table))


def groups_of(loaded: Loaded) -> list[str]:
    """Each row's group; the id of a row that belongs to none."""
    groups, ids = loaded.stored.column("group"), loaded.stored.column("id")
    return [identity if group is None else group for group, identity in zip(groups, ids, strict=True)]


def in_fraction(group: str, fraction: float, seed: int) -> bool:
    """Whether a group is among a share of all groups.

    The SHA-256 of seed and group, as a share of all hashes: what a smaller fraction holds, a larger one of the same
    seed holds too, and no group is torn apart. So the share is met on average, not to the row.
    """
    digest = hashlib.sha256(f"{seed}:{group}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") < fraction * _OUT_OF


def _explained(
    examples: Sequence[Example], taught: Mapping[str, AnswersById], source: Source, given: Mapping[str, str]
) -> Iterator[Example]:
    for example in examples:
        explanations = list(example.explanations)
        for name, of in taught.items():
            explanations += [
                Explanation(text=text, source=name, label=None if label == example.label else label)
                for label, text in of.get(example.id, ())
                if text.strip()
            ]
        if source.min_acceptable is not None:
            explanations = [e for e in explanations if _acceptable(e, source.min_acceptable)]
        if source.explanations is not None:
            # Only what argues for the example's own label is learned from, and counts.
            own = [e for e in explanations if e.label is None or e.label == example.label]
            explanations = [
                e for name, most in source.explanations.items() for e in [e for e in own if e.source == name][:most]
            ]
        yield example.model_copy(update={"explanations": tuple(explanations), "fields": {**example.fields, **given}})


def _argue_for_its_label(example: Example, taught: AnswersById) -> bool:
    return any(text.strip() and label in (None, example.label) for label, text in taught.get(example.id, ()))


def _refuse_strangers(names: Iterable[str], examples: Sequence[Example], taught: Mapping[str, AnswersById]) -> None:
    """A misspelt name would train on labels alone, without a word."""
    known = {explanation.source for example in examples for explanation in example.explanations} | set(taught)
    if strangers := [name for name in names if name not in known]:
        raise DataError(
            "explanations",
            expected=f"sources that wrote explanations here: {', '.join(sorted(known)) or 'none did'}",
            found=", ".join(strangers),
        )


def _acceptable(explanation: Explanation, share: float) -> bool:
    votes = explanation.votes
    return votes is None or votes.acceptable / votes.of >= share


def read_teacher(name: str, path: str | Path) -> AnswersById:
    """Each row's explanations with the labels that they argue for.

    Rows are predictions (``id``, ``label``, ``explanation``), or hold an explanation for each label, as NILE's do:
    ``id`` or ``pairID``, and ``explanations``, label → text; or several explanations of their label, as Examples do.

    Raises:
        DataError: a row is none of these, or an id occurs twice.
    """
    taught: AnswersById = {}
    for number, row in read_jsonl(path):
        where = f"{path}:{number}"
        identity, several = number_as_text(row.get("id", row.get("pairID"))), row.get("explanations")
        label = number_as_text(row.get("label"))
        pairs = list(several.items()) if isinstance(several, dict) else [(label, row.get("explanation"))]
        if isinstance(several, list) and all(isinstance(item, dict) for item in several):
            pairs = [(number_as_text(item.get("label", label)), item.get("text")) for item in several]
        sound = all(isinstance(text, str) and isinstance(label, str | None) for label, text in pairs)
        if not isinstance(identity, str) or not sound:
            raise DataError(
                where,
                expected=f"a row of the teacher {name}: id, label and explanation, or id and explanations by label",
                found=", ".join(row) or "an empty row",
            )
        if identity in taught:
            raise DataError(where, expected="each id once", found=f"{identity!r} again", fix="Keep one.")
        read = [parse_record(Explanation, {"text": t, "source": name, "label": label}, where) for label, t in pairs]
        taught[identity] = [(explanation.label, explanation.text) for explanation in read]
    return taught
