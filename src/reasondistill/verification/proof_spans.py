"""Which words of two sentences a proof rests on: spans of the premise, and what they bear on in the hypothesis."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from reasondistill.contracts.proofs import Condition, Evidence, Form, Proof, Step
from reasondistill.verification.lexicon import Lexicon
from reasondistill.verification.reading.word_forms import forms_of

_WORD: Final = re.compile(r"[\w'’-]+")


class Spans(NamedTuple):
    """A span of the premise, and the span of the hypothesis that follows from it or cannot hold beside it."""

    from_span: str
    to_span: str


def spans_of(proof: Proof, premise: str, hypothesis: str, lexicon: Lexicon) -> list[Spans]:
    """The spans of a proof's steps, those of the longest path first: they say most.

    Steps are left out that go from the hypothesis to the premise ("no", "every"), that need several members of a
    group, and whose words stand otherwise in the sentences ("outside" is read as "outdoors").
    """
    steps = sorted(proof.steps, key=lambda step: -max(len(evidence.path) for evidence in step.evidence))
    of_steps = (_of_step(step, proof, premise, hypothesis, lexicon) for step in steps)
    return list(dict.fromkeys(spans for spans in of_steps if spans is not None))


def _of_step(step: Step, proof: Proof, premise: str, hypothesis: str, lexicon: Lexicon) -> Spans | None:
    if step.rule in ("exclusive", "antonyms") and len(step.evidence) == 2:
        given, against = step.evidence
        spans = (
            _of_evidence(given, proof.premise, premise, lexicon),
            _of_evidence(against, proof.hypothesis, hypothesis, lexicon),
        )
    elif step.rule == "follows" and step.side == "hypothesis":
        spans = (
            _of_evidence(step.evidence[0], proof.premise, premise, lexicon),
            _of_condition(proof.hypothesis.conditions[step.goal], hypothesis, lexicon),
        )
    else:
        return None
    start, end = spans
    return None if start is None or end is None else Spans(start, end)


def _of_evidence(evidence: Evidence, form: Form, text: str, lexicon: Lexicon) -> str | None:
    first, *others = (form.conditions[place] for place in evidence.conditions)
    if not others:
        return _of_condition(first, text, lexicon)
    # Somebody at a place: what puts one there stands before the place.
    places = list(_occurrences(first.word, text, lexicon))
    before = [span for span in _occurrences(others[0].word, text, lexicon) if places and span[0] < places[0][0]]
    return text[before[-1][0] : places[0][1]] if before else None


def _of_condition(condition: Condition, text: str, lexicon: Lexicon) -> str | None:
    if condition.kind == "number":
        return None
    return next((text[start:end] for start, end in _occurrences(condition.word, text, lexicon)), None)


def _occurrences(lemma: str, text: str, lexicon: Lexicon) -> Iterator[tuple[int, int]]:
    """Where words stand in a text that a lemma, of one word or several, is read from."""
    words, wanted = list(_WORD.finditer(text)), lemma.split()
    for first in range(len(words) - len(wanted) + 1):
        here = words[first : first + len(wanted)]
        if all(_is_form(word[0].lower(), part, lexicon) for word, part in zip(here, wanted, strict=True)):
            yield here[0].start(), here[-1].end()


def _is_form(word: str, lemma: str, lexicon: Lexicon) -> bool:
    forms = forms_of(word, lexicon)
    return lemma in (word, forms.noun, forms.verb, forms.adjective)
