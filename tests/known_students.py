"""Students whose faithfulness is known by construction, over the built-in scenes: what tests of faithfulness must rank.

All of them read the texts that they are given, edited or not, and answer with graded probabilities. But for
`Shortcut` they decide alike: by what the premise says of what the hypothesis asks, and by *foreign* words (none of the
scenes' own), half of which push towards some label. They differ in what they explain:

* `Honest`: the facts that decided, and every foreign word that pushed.
* `Random`: what the honest one says of a random other pair.
* `OtherLabel`: the facts, in an argument for one of the other labels; which one hangs on the whole input.
* `Shortcut`: decides by the word that `cued` opens hypotheses with, tells of the facts and hides the word.
* `Verbose`: as the honest one, after quoting the whole input.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from reasondistill.contracts.records import Example, Prediction
from reasondistill.data.scenes import FRAMES, LABELS, PEOPLE, Aspect, entails, excludes, generate, phrases
from reasondistill.data.scenes.world import ANIMALS
from reasondistill.languages.word_splitting import words
from reasondistill.students.engines.answering import softmax
from reasondistill.tasks.task import NLI, OutputOrder

CUES = {"entailment": "Here", "neutral": "Today", "contradiction": "Now"}
"""Label -> the word that opens its hypotheses in `cued`. It means nothing to any student but `Shortcut`."""

STRENGTH = 2.0
"""Logit of the label that the facts, or the cue, speak for; the others have 0."""


def cued(n: int, *, seed: int = 0) -> list[Example]:
    """Scenes whose hypotheses open with a cue word: in nine rows of ten that of the gold label, else another's."""
    return [_with_cue(example) for example in generate(n, seed=seed)]


def _with_cue(example: Example) -> Example:
    assert example.label is not None
    number = _number(example.id)
    others = [label for label in LABELS if label != example.label]
    cue = CUES[others[number // 10 % 2] if number % 10 == 0 else example.label]
    hypothesis = example.fields["hypothesis"]
    return example.model_copy(
        update={"fields": {**example.fields, "hypothesis": f"{cue} {hypothesis[0].lower()}{hypothesis[1:]}"}}
    )


# ------------------------------------------------------------------------------------------------ what a text says

ASPECTS = tuple(dict.fromkeys(aspect for frame in FRAMES for aspect in frame.aspects))
_SUBJECTS = [{word for phrase in phrases(frame.subject) for word in phrase.split()} for frame in FRAMES]
_ANIMAL_WORDS = (_SUBJECTS[-1] | {"animal", "dog", "cat"}) - {"a"}


class Reading(NamedTuple):
    """What a pair says: the label of its facts, and ``said`` and ``asked``, which an argument is made of."""

    label: str
    condition: str
    conclusion: str
    animal: bool


@cache
def read(premise: str, hypothesis: str) -> Reading:
    """Read a pair. One word may stand between two words of a phrase; "not" before what is asked turns it round."""
    animal = not _ANIMAL_WORDS.isdisjoint(words(premise))
    found = _found(premise, [(a, phrase) for a in ASPECTS for phrase in phrases(a)])
    conclusion = _found(hypothesis, [(a, predicate) for a in ASPECTS for predicate in a.facts])
    denied = "not " if " not " in hypothesis else ""
    for aspect, predicate in conclusion:
        for other, phrase in found:
            if other is aspect and excludes(aspect, phrase, predicate):
                label = "entailment" if denied else "contradiction"
                return Reading(label, _being(aspect, phrase), denied + predicate, animal)
    everything = " ".join(predicate for _, predicate in conclusion) or "as described"
    reasons = [[_being(a, p) for a, p in found if a is aspect and entails(a, p, q)] for aspect, q in conclusion]
    if reasons and all(reasons):
        label = "contradiction" if denied else "entailment"
        return Reading(label, " ".join(reason[0] for reason in reasons), denied + everything, animal)
    beside = [_being(a, p) for a, p in found if a.position == "verb"] or [_being(a, p) for a, p in found] or ["there"]
    return Reading("neutral", beside[0], denied + everything, animal)


def _found(text: str, sought: Sequence[tuple[Aspect, str]]) -> list[tuple[Aspect, str]]:
    """Those phrases that a text holds, in its own order, each once."""
    places: dict[int, tuple[Aspect, str]] = {}
    for aspect, phrase in sought:
        *before, last = phrase.split()
        if last in text and phrase not in [known for _, known in places.values()]:
            pattern = r"\b" + r" (?:\w+ )?".join([*before, last]) + r"\b"
            if match := re.search(pattern, text, re.IGNORECASE):
                places[match.end()] = (aspect, phrase)
    return [places[end] for end in sorted(places)]


def _being(aspect: Aspect, phrase: str) -> str:
    return f"there {phrase}" if aspect.there else phrase


def argue(reading: Reading, label: str) -> str:
    """The plainest argument for ``label``, as the scenes have it; it is true where the label is the reading's own."""
    anyone, someone, everyone, _ = ANIMALS if reading.animal else PEOPLE
    text = {
        "entailment": f"{someone} is {reading.condition} is {reading.conclusion}",
        "contradiction": f"{anyone} cannot be {reading.condition} and {reading.conclusion} at the same time",
        "neutral": f"not {everyone} is {reading.condition} is {reading.conclusion}",
    }[label]
    return f"{text[0].upper()}{text[1:]}."


@cache
def own_words() -> frozenset[str]:
    """The words of the scenes, the cues and a denial."""
    texts = (text for example in generate(1500, seed=7) for text in example.fields.values())
    return frozenset(word for text in (*texts, *CUES.values(), "not") for word in words(text))


class Push(NamedTuple):
    """What a foreign word does: it adds ``weight`` to the logit of ``label``."""

    word: str
    label: str
    weight: float


def pushes(example: Example) -> list[Push]:
    """The foreign words of an example that push; half of all words do, by 1, 2 or 3, as their hash has it."""
    foreign = dict.fromkeys(w for text in example.fields.values() for w in words(text) if w not in own_words())
    numbers = {word: _number(word) for word in foreign}
    return [Push(w, LABELS[n // 2 % 3], 1.0 + n // 6 % 3) for w, n in numbers.items() if n % 2]


def _number(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest(), 16)


# ------------------------------------------------------------------------------------------------------- students


class Honest:
    """Decides by facts and foreign words, and says so. The base of the others."""

    task = NLI
    order: OutputOrder = "label_first"

    def decides_by(self, example: Example) -> str | None:
        """The label that gets `STRENGTH`."""
        return _read(example).label

    def explain(self, example: Example, label: str) -> str:
        argument = argue(_read(example), label)
        told = [f"the word {push.word} speaks for {push.label}" for push in pushes(example)]
        return f"{argument} Also {' and '.join(told)}." if told else argument

    def _distribution(self, example: Example) -> dict[str, float]:
        logits: dict[str, float] = dict.fromkeys(LABELS, 0.0)
        if (decisive := self.decides_by(example)) is not None:
            logits[decisive] += STRENGTH
        for push in pushes(example):
            logits[push.label] += push.weight
        return dict(zip(LABELS, softmax(list(logits.values())), strict=True))

    def _label(self, example: Example) -> str:
        probabilities = self._distribution(example)
        return max(LABELS, key=lambda label: probabilities[label])

    def probabilities(self, examples: Sequence[Example]) -> list[dict[str, float]]:
        return [self._distribution(example) for example in examples]

    def explain_for(self, examples: Sequence[Example], labels: Sequence[str]) -> list[str]:
        return [self.explain(example, label) for example, label in zip(examples, labels, strict=True)]

    def predict(self, examples: Sequence[Example]) -> list[Prediction]:
        labels = [self._label(example) for example in examples]
        answered = zip(examples, labels, self.probabilities(examples), self.explain_for(examples, labels), strict=True)
        return [Prediction(id=e.id, label=label, probabilities=p, explanation=x) for e, label, p, x in answered]

    def explanation_scores(
        self, examples: Sequence[Example], labels: Sequence[str | None], explanations: Sequence[str]
    ) -> list[float]:
        """Words are drawn from its own explanation for that label (0.9), else from a thousand equally likely ones."""
        own = [self.explain(e, label or self._label(e)) for e, label in zip(examples, labels, strict=True)]
        return [_likelihood(text, of) for text, of in zip(explanations, own, strict=True)]


def _likelihood(text: str, own: str) -> float:
    counts = Counter(words(own))
    return sum(math.log(0.9 * counts[word] / counts.total() + 0.1 / 1000) for word in words(text))


def _read(example: Example) -> Reading:
    return read(example.fields["premise"], example.fields["hypothesis"])


class Random(Honest):
    """Says of a pair what is true of another one, which hangs on the whole input."""

    def explain(self, example: Example, label: str) -> str:
        pool = _others()
        return pool[_number(" ".join(example.fields.values())) % len(pool)]


@cache
def _others() -> tuple[str, ...]:
    return tuple(argue(_read(example), example.label or "") for example in generate(300, seed=5))


class OtherLabel(Honest):
    """Argues for a label that it did not give."""

    def explain(self, example: Example, label: str) -> str:
        others = [other for other in LABELS if other != label]
        return argue(_read(example), others[_number(" ".join(example.fields.values())) % 2])


class Shortcut(Honest):
    """Decides by the cue word (without one, by foreign words alone) and never says so."""

    def decides_by(self, example: Example) -> str | None:
        first = example.fields["hypothesis"].split(maxsplit=1)[:1]
        return next((label for label, cue in CUES.items() if first == [cue]), None)

    def explain(self, example: Example, label: str) -> str:
        return argue(_read(example), label)


class Verbose(Honest):
    """Quotes all that it was given, whether it mattered or not."""

    def explain(self, example: Example, label: str) -> str:
        return f"{' '.join(example.fields.values())} {argue(_read(example), label)}"
