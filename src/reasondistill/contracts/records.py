"""Example, Explanation, Prediction: what flows between stages, keyed by id; reading and writing them as JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from reasondistill.contracts.notebook_tables import html_rows, html_table
from reasondistill.errors import CheckpointError, DataError, UserError
from reasondistill.storage.files import read_json, read_jsonl, write_jsonl
from reasondistill.storage.lazy_sequences import PickledSequence

if TYPE_CHECKING:
    import pandas as pd


def _no_lone_surrogates(text: str) -> str:
    # JSON can spell half a surrogate pair (\ud800); no tokenizer or UTF-8 file can hold it.
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError("holds half of a surrogate pair, which is no character") from error
    return text


def number_as_text(value: object) -> object:
    """A whole number as the text that stands for it (7 and 7.0 as "7"), and anything else as it is.

    Ids and labels are numbers in many files, and tables in which one is missing keep them as floats.
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


_EXACT = 2**53
"""From here on floats are not whole numbers one by one."""

OutputOrder = Literal["label_first", "explanation_first", "label_only", "explanation_only", "separate"]
"""After the self-rationalisation literature: I→OR, I→RO, I→O, I→R, and two prompts as in Distilling Step-by-Step."""

Text = Annotated[str, AfterValidator(_no_lone_surrogates)]
Name = Annotated[Text, BeforeValidator(number_as_text)]
"""A text that a file may write as a whole number: a label, a group."""
Id = Annotated[str, Field(min_length=1), AfterValidator(_no_lone_surrogates), BeforeValidator(number_as_text)]
_LARGEST = 2**31 - 1
_LARGEST_FILE = 2**26
"""Bytes of a file with settings; a judge's, the largest that there are, have some hundred thousand."""
Position = Annotated[int, Field(ge=0, le=_LARGEST)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]


_NAMES_SET: dict[frozenset[str], set[str]] = {}
_MOST_NAMES = 1_000
"""Sets that are shared; extra keys of predictions can make more."""


class _Light(BaseModel):
    """A frozen record that shares the set of the fields that it was given with all records that were given the same.

    Each set of its own takes up to 728 bytes, a quarter of a row. Nothing changes a set of a frozen record: copies get
    their own.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    def model_post_init(self, context: object, /) -> None:
        names = frozenset(self.model_fields_set)
        if names in _NAMES_SET or len(_NAMES_SET) < _MOST_NAMES:
            object.__setattr__(self, "__pydantic_fields_set__", _NAMES_SET.setdefault(names, set(names)))


class _Record(_Light):
    model_config = ConfigDict(extra="forbid")


class Votes(_Record):
    """How many of the asked annotators found an explanation acceptable."""

    acceptable: Annotated[int, Field(ge=0, le=_LARGEST)]
    of: Annotated[int, Field(ge=1, le=_LARGEST)]

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.acceptable > self.of:
            raise ValueError(f"acceptable ({self.acceptable}) is more than of ({self.of})")
        return self


class Explanation(_Record):
    """A free-text rationale.

    ``label`` is the label that it argues for where that is not the example's own: another label's explanation, or
    one that is wrong on purpose.
    """

    text: Text
    source: Text
    label: Name | None = None
    votes: Votes | None = None


class Example(_Record):
    """One row of a data set.

    ``group`` ties rows that must never be split apart (in e-SNLI, the captions of one image). ``highlights`` are
    word positions per field that annotators marked; they give the label away and are never fed to a model.
    """

    id: Id
    fields: dict[Text, Text]
    label: Name | None = None
    accepted: tuple[Name, ...] | None = Field(default=None, strict=False)
    """Further answers that count as right, where answers are texts; ``label`` is the one to learn."""
    choices: tuple[Name, ...] | None = Field(default=None, strict=False)
    explanations: tuple[Explanation, ...] = Field(default=(), strict=False)
    group: Name | None = None
    highlights: tuple[dict[Text, list[Position]], ...] | None = Field(default=None, strict=False)
    split: Name | None = None

    @property
    def references(self) -> list[Explanation]:
        """The explanations that argue for this example's own label, in order: what to learn and to compare with."""
        return [e for e in self.explanations if e.label is None or e.label == self.label]

    @property
    def answers(self) -> tuple[str, ...]:
        """Every answer that counts as right: ``label`` first; none where no label is known."""
        return () if self.label is None else (self.label, *(self.accepted or ()))

    @property
    def cluster(self) -> tuple[str, str]:
        """What it is resampled and compared with: its group, or itself alone, which no group's name can equal."""
        return ("id", self.id) if self.group is None else ("group", self.group)


def outside(examples: Iterable[Example], scored: Iterable[Example]) -> Sequence[Example]:
    """The examples of other clusters than those that are scored: what may be looked at beforehand."""
    if examples is scored:
        return ()
    clusters = {example.cluster for example in scored}
    return PickledSequence(example for example in examples if example.cluster not in clusters)


class Prediction(_Light):
    """What a system answers for one example. Extra keys are kept; ``label`` is None where a system gives none."""

    model_config = ConfigDict(extra="allow")

    id: Id
    label: Name | None
    explanation: Text = ""
    probabilities: dict[Text, Probability] = Field(default_factory=dict)
    probability: Probability | None = None
    """Of a written answer, which has no ``probabilities``: that of its sequence of tokens."""
    raw_output: Text | None = None
    parsed_label: Name | None = None
    truncated: bool = False
    confidence_phrase: Text | None = None
    """Words at the end of ``explanation`` for how sure the system is; "" where it should have written some."""
    stated_confidence: Probability | None = None
    """The probability that these words, or figures, state."""
    structure: dict[Text, Text] | None = None
    """``relation``, ``from`` and ``to``, of which ``explanation`` is the text; see `tasks.structures`."""

    def _repr_html_(self) -> str:
        sure = {f"p({label})": f"{probability:.3f}" for label, probability in self.probabilities.items()}
        sure |= {} if self.probability is None else {"probability": f"{self.probability:.3f}"}
        return html_table(f"Prediction {self.id}", {"label": self.label, **sure, "explanation": self.explanation})

    @property
    def confidence(self) -> float | None:
        """The probability of the answer that was given, chosen or written; None where there is none."""
        return self.probability if self.probability is not None else self.probabilities.get(self.label or "")

    @property
    def states(self) -> bool:
        """Whether it states a confidence, or should have."""
        return self.confidence_phrase is not None or self.stated_confidence is not None

    @property
    def reasons(self) -> str:
        """``explanation`` without ``confidence_phrase`` at its end: what is compared with references."""
        phrase = self.confidence_phrase
        return self.explanation.removesuffix(phrase).rstrip() if phrase else self.explanation


class Predictions(list[Prediction]):
    """A student's answers: a list that becomes a frame, and shows itself in a notebook."""

    def to_pandas(self) -> pd.DataFrame:
        """A row for each answer: ``id``, ``label``, ``probability`` (of the label), ``explanation`` and, where they are
        there, further keys such as ``abstained``."""
        import pandas as pd

        rows = [dict(zip(_HEAD, _cells(p), strict=True)) | (p.model_extra or {}) for p in self]
        return pd.DataFrame(rows, columns=None if rows else _HEAD)

    def _repr_html_(self) -> str:
        title = f"{len(self):,} predictions{f', the first {_SHOWN}' if len(self) > _SHOWN else ''}"
        return html_rows(title, _HEAD, map(_cells, self[:_SHOWN]))


_HEAD = ("id", "label", "probability", "explanation")
_SHOWN = 20
"""Predictions that a notebook shows of a list."""


def _cells(prediction: Prediction) -> tuple[str, str | None, float | None, str]:
    """What a table shows of a prediction, by `_HEAD`: the probability is that of its label."""
    return prediction.id, prediction.label, prediction.confidence, prediction.explanation


R = TypeVar("R", bound=BaseModel)


def parse_record(kind: type[R], row: Mapping[str, object], where: str) -> R:
    """Build a record from a row of a file.

    Raises:
        DataError: keys are missing, unknown or of the wrong type; all of them are named.
    """
    try:
        return kind.model_validate(row)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'row'}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()
        )
        keys = ", ".join(kind.model_fields)
        raise DataError(
            where,
            expected=f"{kind.__name__} with the keys {keys}",
            found=f"a row that does not fit ({problems})",
            fix="docs/data_formats.md describes the format.",
        ) from error


def read_model(kind: type[R], path: str | Path, version: int | tuple[int, ...], *, expected: str, fix: str) -> R:
    """Read one JSON file of a student, a judge or a package. Types are held to: no ``"4"`` or ``true`` for a number.

    Args:
        version: the schema version that is read, or all of them.
        expected: what the file is, in words.
        fix: what to do about a broken one.

    Raises:
        CheckpointError: it is torn, of another schema version, or values are missing, unknown or out of range.
    """
    size = Path(path).stat().st_size if Path(path).is_file() else 0
    if size > _LARGEST_FILE:
        found = f"a file of {size:,} bytes, and no more than {_LARGEST_FILE:,} are read"
        raise CheckpointError(path, expected=expected, found=found, fix=fix)
    try:
        value = read_json(path)
        versions, actual = version if isinstance(version, tuple) else (version,), value.get("schema_version")
        if actual not in versions:
            wanted = f"{expected}, schema version {' or '.join(map(str, versions))}"
            raise CheckpointError(path, expected=wanted, found=f"version {actual!r}", fix=fix)
        return kind.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        raise CheckpointError(path, expected=expected, found=problems_of(error), fix=fix) from error
    except UserError as error:
        raise CheckpointError(error.where, expected=error.expected, found=error.found, fix=fix) from error


def problems_of(error: ValidationError, most: int = 5) -> str:
    """The first mistakes of a file's values, each with its key, in one line."""
    listed = error.errors(include_url=False)
    named = [f"{'.'.join(map(str, e['loc'])) or 'value'}: {e['msg'].removeprefix('Value error, ')}" for e in listed]
    first = "; ".join(text if len(text) <= 300 else f"{text[:300]}…" for text in named[:most])
    return f"{first}; and {len(named) - most} more" if len(named) > most else first


def read_examples(path: str | Path) -> Iterator[Example]:
    """Read examples from JSON Lines, refusing doubled ids.

    Raises:
        DataError: a row does not fit, or an id occurs twice.
    """
    return _read(Example, path)


def read_predictions(path: str | Path) -> Iterator[Prediction]:
    """Read predictions from JSON Lines, refusing doubled ids.

    Raises:
        DataError: a row does not fit, or an id occurs twice.
    """
    return _read(Prediction, path)


def write_records(path: str | Path, records: Iterable[Example] | Iterable[Prediction]) -> None:
    """Write examples or predictions as JSON Lines, atomically; keys at their default None are left out."""
    write_jsonl(path, (as_row(record) for record in records))


def as_row(record: Example | Prediction) -> dict[str, object]:
    """The JSON object of a record: None values are left out, but a prediction's label, which is always said."""
    row = record.model_dump(mode="json", exclude_none=True)
    if isinstance(record, Prediction):
        row.setdefault("label", None)
    return row


def doubled_id(where: str, identity: str, earlier: str) -> DataError:
    """What a second row with the id of an earlier one is refused with."""
    return DataError(
        where,
        expected="ids that occur once",
        found=f"the id {identity!r}, which {earlier} has too",
        fix="Give each row an id of its own.",
    )


def unique_ids(records: Iterable[tuple[str, R]]) -> Iterator[R]:
    """Pass on records of ``(where, record)``, refusing an id that came before.

    Raises:
        DataError: an id occurs twice; both places are named.
    """
    seen: dict[str, str] = {}
    for where, record in records:
        identity: str = record.id  # type: ignore[attr-defined]
        if identity in seen:
            raise doubled_id(where, identity, seen[identity])
        seen[identity] = where
        yield record


def _read(kind: type[R], path: str | Path) -> Iterator[R]:
    rows = ((f"{path}:{number}", row) for number, row in read_jsonl(path))
    return unique_ids((where, parse_record(kind, row, where)) for where, row in rows)
