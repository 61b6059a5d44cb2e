"""The numbers of an audit, subject by subject: blocks of ``audit.json``.

Shares and accuracies are in [0, 1]. ``ids`` are at most ten rows, or ten sets of rows that belong together.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reasondistill.contracts.base import Block, Count, Interval

Share = Annotated[float, Field(ge=0, le=1)]
Ids = list[str]
IdSets = list[list[str]]


class ChoiceCounts(Block):
    """Number of choices → rows, and place of the right one, from 0 → rows."""

    number: dict[int, int]
    position: dict[int, int]


class SplitCounts(Block):
    """Split → label → rows, and what decided the splits."""

    by: Literal["the rows", "the hash rule", "both"]
    counts: dict[str, dict[str, int]]


class RowSets(Block):
    """Sets of equal rows."""

    sets: Count
    rows: Count
    ids: IdSets = []


class SameRows(RowSets):
    """``repeats`` are the rows less one a set; a set conflicts where two of its rows have different labels."""

    repeats: Count
    same_label: RowSets
    conflicting_label: RowSets


class NearPairs(Block):
    """Pairs of alike rows, the most alike first."""

    pairs: Count
    ids: IdSets
    similarity: list[float]


class NearRows(Block):
    """Rows whose every field is at least ``threshold`` alike (Jaccard similarity of word sets), but not the same.

    A lower bound. Where fewer pairs were ``compared`` than there are ``candidates``, counts are scaled up.
    """

    pairs: Count
    rows: Count
    same_label: NearPairs
    conflicting_label: NearPairs
    across_splits: NearPairs
    candidates: Count
    compared: Count
    threshold: Share


class Duplicates(Block):
    """``exact``: the same fields and choices; ``normalised``: but for case, punctuation and articles."""

    exact: SameRows
    normalised: SameRows
    near: NearRows


class GroupCounts(Block):
    """Groups, those in several splits, and the ``rows`` of those."""

    groups: Count
    rows_without: Count
    largest: Count
    in_several_splits: Count
    rows: Count
    ids: IdSets


class SharedTexts(Block):
    """``rows`` of a split whose text is in the training split too; ``ids`` pair each with its twin there."""

    rows: Count
    of: Count
    share: Share
    ids: IdSets


class RandomSplit(Block):
    """``shared``: rows whose text another row has, some of them paired in ``ids``.

    ``leaked``: the expected share of test rows whose text is in training, if 70% of the rows were drawn for training
    without regard to groups.
    """

    shared: Share
    leaked: Share
    ids: IdSets = []


class Leakage(Block):
    """What splits share: split → field, or ``all fields`` → texts that are in the training split too."""

    train_split: str
    groups: GroupCounts
    between_splits: dict[str, dict[str, SharedTexts]]
    random_split: dict[str, RandomSplit]


class RepeatedTexts(Block):
    """``n`` explanations whose text another row's has too; the commonest is in ``most`` rows, those of ``ids``."""

    n: Count
    most: Count
    ids: Ids


class LabelNames(Block):
    """Of ``n`` explanations, how many hold their ``own`` label's name, and how many another's."""

    n: Count
    own: Count
    other: Count


class FieldCopies(Block):
    """How many explanations are a field, are a stretch of it, or hold all of it."""

    equal: Count
    part_of_field: Count
    holds_field: Count


class Copies(Block):
    """Of ``n`` explanations, how many copy ``any`` field, and how, by field."""

    n: Count
    any: Count
    fields: dict[str, FieldCopies]


class ExplanationTexts(Block):
    """Reference explanations: number a row → rows, source → number; ``label_words`` and ``copies`` are by label."""

    n: Count
    per_example: dict[int, int]
    sources: dict[str, int]
    for_another_label: Count
    empty: Count
    very_short: Count
    repeated: RepeatedTexts
    label_words: dict[str, LabelNames]
    copies: dict[str, Copies]
    ids: dict[str, Ids]


class EdgePhrase(Block):
    """How some explanations begin or end; ``…`` stands for words of the row's own."""

    phrase: str
    n: Count
    share: Share


class Quoting(Block):
    """A template that quotes fields whole; ``{field}`` is a slot."""

    template: str
    n: Count
    share: Share
    ids: Ids


class Template(Quoting):
    """A template of explanations; ``…`` is a slot, ``mostly`` the label of most of them."""

    labels: dict[str, int]
    mostly: str
    mostly_share: Share
    example: str


class Phrases(Block):
    """What ``n`` explanations have in common: by label, their beginnings, ends, and the share that fits a template."""

    n: Count
    begin: dict[str, list[EdgePhrase]]
    end: dict[str, list[EdgePhrase]]
    templates: list[Template]
    in_a_template: dict[str, Share]
    quoting: list[Quoting]


class HighlightBaseline(Block):
    """How well the numbers of highlighted words guess the label of ``n`` annotations."""

    accuracy: Share
    majority: Share
    n: Count


class Highlights(Block):
    """Field → label → share of annotations with a word ``marked`` there, and ``mean`` number of words (5 at most)."""

    n: Count
    annotations: dict[str, int]
    marked: dict[str, dict[str, Share]]
    mean: dict[str, dict[str, float]]
    baseline: HighlightBaseline | None


class LengthLimit(Block):
    """How many texts are ``over`` a limit in tokens; of lengths in words, how many are for certain."""

    limit: Count
    over: Count
    share: Share
    ids: Ids = []


class Histogram(Block):
    """Bars of equal ``width`` from each of ``starts``; what is above the 99th percentile is in the last one."""

    starts: list[int]
    width: int
    counts: list[int]


class TextLengths(Block):
    """Lengths of one kind of text, in words or tokens."""

    n: Count
    mean: float
    percentiles: dict[str, int]
    histogram: Histogram
    cut: LengthLimit | None = None


class Lengths(Block):
    """Kind of text (a field, explanation, prompt, target) → lengths; ``tokens`` is None without a tokenizer."""

    words: dict[str, TextLengths]
    tokens: dict[str, TextLengths] | None


class Accuracy(Block):
    """How many labels are guessed right; ``ci95`` resamples groups."""

    accuracy: Share
    ci95: Interval | None
    n: Count


class Majority(Accuracy):
    """Of the commonest ``label`` in training, or where rows have choices, ``position``; ``chance`` is 1/choices."""

    label: str | None = None
    position: int | None = None
    chance: Share | None = None


class SampledRows(Block):
    """``n`` rows ``of`` those that there are, and ``how`` training rows were chosen."""

    n: Count
    of: Count
    how: str = ""


class Baselines(Block):
    """What simple models guess: what they see (a field, ``all fields``, ``explanation``, ``choices``) → accuracy."""

    majority: Majority
    scores: dict[str, Accuracy]
    train: SampledRows
    scored: SampledRows


class NoBaselines(Block):
    """Why there are no baselines."""

    left_out: str


class Language(Block):
    """Language → texts of the sample; flaw → kind of text → texts, of all rows."""

    fields: dict[str, int]
    explanations: dict[str, int]
    texts: dict[str, int]
    flaws: dict[str, dict[str, int]]
    flaw_ids: dict[str, Ids]
