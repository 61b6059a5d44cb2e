"""A proof that a sentence follows from another, or that both cannot hold: written by a prover, read by a checker.

A sentence's form lists conditions on its participants: `man(0), ride(0, 1), bicycle(1)`. A *predicate* is the kind and
the word of a condition, ``noun man``; predicates and WordNet's senses (``man.n.1``) are the stations of a path.
"""

from __future__ import annotations

from typing import Literal

from reasondistill.contracts.base import Block, Count
from reasondistill.contracts.records import Text

Kind = Literal["noun", "adjective", "verb", "preposition", "number"]
Quantifier = Literal["some", "every", "no"]
Conclusion = Literal["entailment", "contradiction", "neutral"]
Rule = Literal["follows", "members", "exclusive", "antonyms"]
Side = Literal["premise", "hypothesis"]


class Condition(Block):
    """What a sentence says of one participant, or of two.

    A number n says that a participant is a group of at least n; "exactly n", that it has no more.
    """

    kind: Kind
    word: Text
    of: tuple[Count, ...]

    @property
    def predicate(self) -> str:
        """Its kind and its word."""
        return f"{self.kind} {self.word}"


class Form(Block):
    """A sentence in the fragment.

    Attributes:
        quantifier: ``some``: there are participants of whom all conditions hold. ``no``: there are none. ``every``: of
            each participant 0 for whom, with others, the first ``restrictor`` conditions hold, the rest hold too.
        participants: a few words for each, to read by.
        restrictor: how many conditions restrict participant 0; 0 unless the quantifier is ``every``.
        groups: a participant and those whom it consists of ("a man and a woman"): what holds of each, holds of it.
        skipped: words that were not read; a sentence without them says less. A hypothesis has none.
    """

    quantifier: Quantifier = "some"
    participants: tuple[Text, ...]
    conditions: tuple[Condition, ...]
    restrictor: Count = 0
    groups: tuple[tuple[Count, tuple[Count, ...]], ...] = ()
    skipped: tuple[Text, ...] = ()


class Evidence(Block):
    """Conditions of one sentence, and what follows from them of the participant, or the participants, they are of.

    Attributes:
        conditions: their places: one; or two for somebody at a place: the place's noun, and what puts one there.
        path: from the first one's predicate to what follows from it.
        via: with two conditions, from the second one's predicate to ``preposition at``.
    """

    conditions: tuple[Count, ...]
    path: tuple[Text, ...]
    via: tuple[Text, ...] = ()


class Step(Block):
    """One condition and what makes it hold, or two that cannot both hold.

    Attributes:
        side: whose condition ``goal`` is.
        goal: the place of a condition in that form.
        rule: ``follows``: it follows from one piece of evidence of the other sentence. ``members``: it is of a group,
            and follows for each member. ``exclusive``, ``antonyms``: the premise's evidence, which comes first, and
            the hypothesis's cannot hold of one participant.
        evidence: see ``rule``.
        name: the exclusive set's; else empty.
    """

    side: Side = "hypothesis"
    goal: Count
    rule: Rule
    evidence: tuple[Evidence, ...]
    name: Text = ""


class Proof(Block):
    """What a checker needs to see for itself that the conclusion follows.

    Attributes:
        fragment: version of the fragment, which fixes how forms are read.
        lexicon_sha256: of the words and relations that the steps rest on.
        assumptions: that the steps use, by name, sorted; docs/verification.md says what each claims.
        same: pairs of a hypothesis's participant and the premise's that it is.
    """

    fragment: str
    lexicon_sha256: str
    assumptions: tuple[Text, ...]
    premise: Form
    hypothesis: Form
    same: tuple[tuple[Count, Count], ...]
    steps: tuple[Step, ...]
    conclusion: Conclusion


class CounterModel(Block):
    """A scene in which the premise holds and the hypothesis does not: that the fragment proves no entailment.

    Attributes:
        participants: of the scene; those of the premise.
        facts: all that holds there, as far as the hypothesis speaks of it.
        missing: places of the hypothesis's conditions that nothing there fulfils on its own.
        text: the same as a sentence.
    """

    participants: tuple[Text, ...]
    facts: tuple[Condition, ...]
    missing: tuple[Count, ...]
    text: Text
