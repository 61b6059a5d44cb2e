"""What a run learns from and selects on: its parts, what they lack, and which of their rows cannot be decided."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from reasondistill.config import TrainConfig, Update
from reasondistill.contracts.records import Example
from reasondistill.contracts.run import DataPart
from reasondistill.data import Loaded, load_source
from reasondistill.data.loaded import counted
from reasondistill.data.transforms.selection import NOT_IN_FRACTION
from reasondistill.errors import DataError
from reasondistill.students.build import choice_problems
from reasondistill.students.codec import Codec
from reasondistill.tasks.verbalized_confidence import Phrase
from reasondistill.training.continual.lineage import apart, joined, kept_sets
from reasondistill.training.continual.replaying import replayed

_LOG = logging.getLogger(__name__)

UNDECIDABLE = "choices that the student cannot decide between"
"""Why a row is dropped, in ``run.json``: the tokenizer cannot write a choice, or cannot tell two of them apart."""

_NAMED = 3
"""Rows that a message names."""


class Parts(NamedTuple):
    """What a run learns from, one data set for each of its sources, and what it selects on.

    What an update learns again comes after its own sources.
    """

    train: list[Loaded]
    validation: Loaded | None = None

    @property
    def examples(self) -> Sequence[Example]:
        """The training examples of all sources, one source after the other."""
        first, *others = self.train
        for other in others:
            first = first.joined_with(other)
        return first.examples

    @property
    def phrases(self) -> tuple[Phrase, ...]:
        """How the explanations of one of the sources say how sure a student was, where they do."""
        return next((part.phrases for part in self.train if part.phrases), ())

    @property
    def labels(self) -> dict[str, dict[str, int]]:
        """Split → label → how many rows; ``""`` counts rows without one."""
        labels = {"train": Counter[str]()}
        for part in self.train:
            labels["train"].update(label or "" for label in part.stored.column("label"))
        if self.validation is not None:
            labels["validation"] = Counter(label or "" for label in self.validation.stored.column("label"))
        return {split: dict(sorted(counts.items())) for split, counts in labels.items()}

    def decidable(self, config: TrainConfig, codec: Codec) -> Parts:
        """Without the rows between whose own choices a student cannot decide: they are counted, and named.

        Raises:
            DataError: no other rows are left.
        """
        data = config.data
        names = [source.source for source in data.train_sources]
        names += [part.name for part in self.train[len(names) :]]
        train = [_decidable(part, name, config, codec) for part, name in zip(self.train, names, strict=True)]
        if self.validation is None or data.validation is None:
            return Parts(train)
        return Parts(train, _decidable(self.validation, data.validation.source, config, codec))

    def facts(self) -> dict[str, DataPart]:
        """What run.json keeps of them, by part; joined sources are ``train 1``, ``train 2`` …"""
        numbered = ["train"] if len(self.train) == 1 else [f"train {i}" for i in range(1, len(self.train) + 1)]
        parts = {name: facts(part) for name, part in zip(numbered, self.train, strict=True)}
        return parts | ({"validation": facts(self.validation)} if self.validation else {})


def load_parts(config: TrainConfig) -> Parts:
    """The training part and, where the configuration names one, the validation part.

    Where several sources are joined, rows of a file other than the validation part's are dropped, and counted, that
    have its groups or its texts: a set of SNLI revisions holds SNLI's own captions.

    An update also learns what it replays, and never a row that it is tested on; it selects on the new rows together
    with some of each set that it has to hold, which then do not decide whether it held.

    Raises:
        DataError: a source cannot be read, or groups of the validation part are in the training part too.
    """
    parts = _own_parts(config)
    return parts if config.update is None else _beside_kept(parts, config, config.update)


def _beside_kept(parts: Parts, config: TrainConfig, update: Update) -> Parts:
    kept = kept_sets(config, update)
    train = [apart(part, kept) for part in (*parts.train, *replayed(config, update))]
    if parts.validation is None:
        return Parts(train)
    new = apart(parts.validation, [of._replace(selection=None) for of in kept])
    return Parts(train, joined(new, (of.selection for of in kept if of.selection is not None)))


def _own_parts(config: TrainConfig) -> Parts:
    train = [load_source(source, config.task, config.seed) for source in config.data.train_sources]
    if config.data.validation is None:
        return Parts(train)
    validation = load_source(config.data.validation, config.task, config.seed)
    first = config.task.fields[0]
    groups = {hash(e.group) for e in validation.examples if e.group}
    texts = {hash(e.fields[first]) for e in validation.examples}
    for place, (source, loaded) in enumerate(zip(config.data.train_sources, train, strict=True)):
        if len(train) > 1 and source.source != config.data.validation.source:
            kept = [hash(e.group) not in groups and hash(e.fields[first]) not in texts for e in loaded.examples]
            train[place] = loaded.only(kept, reason="row with a text of the validation part")
            continue
        shared = {group for group in loaded.stored.column("group") if group and hash(group) in groups}
        if shared:
            raise DataError(
                "data.validation",
                expected="groups that the training part does not have",
                found=f"{len(shared)} that it has too, such as {min(map(str, shared))!r}",
                fix="Take another split or file.",
            )
    return Parts(train, validation)


_FEW = 20
"""Training rows from which on nothing is said of how few they are."""


def left_out(parts: Parts, config: TrainConfig) -> list[str]:
    """What cannot be learned, in sentences: labels that no row has, and rows that lack something or were dropped."""
    named = [("train", part) for part in parts.train] + ([("validation", parts.validation)] if parts.validation else [])
    sentences: list[str] = []
    if config.order != "explanation_only":
        taught = {label for part in parts.train for label in part.stored.column("label")}
        if untaught := [label for label in config.task.labels or () if label not in taught]:
            sentences.append(f"train: no row has the label {', '.join(map(repr, untaught))}, so it cannot be learned")
        if len(config.task.labels or ()) and len(taught - {None}) == 1:
            (only,) = taught - {None}
            sentences.append(f"train: every row with a label has {only!r}: there is nothing to tell apart")
    if (rows := sum(len(part.examples) for part in parts.train)) < _FEW:
        sentences.append(f"train: {rows} rows show that all runs, and teach next to nothing: hundreds are a beginning")
    for name, part in named:
        labels = part.stored.column("label")
        if config.task.has_answers and config.order != "explanation_only" and (without := labels.count(None)):
            teach = "nothing" if config.order == "label_only" else "their explanation only"
            use = f"they teach {teach}" if name == "train" else "they do not count for labels"
            sentences.append(f"{part.name}, {name}: {without:,} of {len(labels):,} rows have no label; {use}")
        # A fraction was asked for, and what cannot be decided is said where it is found.
        known = (UNDECIDABLE, NOT_IN_FRACTION)
        dropped = counted({reason: count for reason, count in part.set_aside.items() if reason not in known})
        if dropped and (sentence := f"{part.name}: dropped: {dropped}") not in sentences:
            sentences.append(sentence)
    return sentences


def _decidable(part: Loaded, source: str, config: TrainConfig, codec: Codec) -> Loaded:
    problems = choice_problems(codec, config.task, config.order, part.examples)
    if not any(problems):
        return part
    ids = [identity for identity, problem in zip(part.stored.column("id"), problems, strict=True) if problem]
    reasons = [problem for problem in problems if problem]
    places = zip(part.places(ids[:_NAMED]), reasons, strict=False)
    named = "; ".join(f"{place}: {reason}".rstrip(".") for place, reason in places)
    if len(ids) == len(problems):
        raise DataError(
            source,
            expected="choices that the student's tokenizer can write and tell apart, in at least one row",
            found=f"none in {len(ids):,} rows, such as {named}",
            fix="Reword the choices, or take another student.",
        )
    _LOG.warning(
        "%s: %d of %d rows are dropped, whose choices the student's tokenizer cannot write or tell apart: %s%s",
        source,
        len(ids),
        len(problems),
        named,
        " …" if len(ids) > _NAMED else "",
    )
    return part.only([problem is None for problem in problems], reason=UNDECIDABLE)


def facts(part: Loaded) -> DataPart:
    """What run.json keeps of one part."""
    counts = {"dropped": part.set_aside, "phrases": {phrase.text: phrase.value for phrase in part.phrases}}
    known = {name: value for name, value in counts.items() if value}
    return DataPart.model_validate(
        {"source": part.name, "fingerprint": part.fingerprint, "n": len(part.examples), **known}
    )


def shuffle_labels(examples: Sequence[Example], seed: int) -> list[Example]:
    """The examples with their labels permuted; explanations stay with the texts that they explain."""
    order = np.random.default_rng(seed).permutation(len(examples))
    return [
        # Only what argued for the true label stays: another label's explanation might fit the new one.
        e.model_copy(update={"label": examples[i].label, "explanations": tuple(e.references)})
        for e, i in zip(examples, order.tolist(), strict=True)
    ]
