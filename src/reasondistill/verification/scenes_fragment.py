"""The fragment of `scenes`: its grammar is known and its world is closed, so that every pair can be decided.

A caption speaks of one participant; each of its phrases is a condition. What follows from a phrase, and what excludes
what, are the tables of the world. Where neither label can be proved, the label neutral can: in this world, and only
there, the premise's own scene and the scene of both sentences are all the checker needs to see.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from reasondistill.contracts.lexical_relations import Relations
from reasondistill.contracts.proofs import Condition, Form, Kind, Proof
from reasondistill.data.scenes import EXCLUSIVE, FRAMES, Aspect, Frame, phrases
from reasondistill.verification.lexicon import Lexicon
from reasondistill.verification.pair_prover import PairOutcome, PairProver, ProofError
from reasondistill.verification.proof_checker import Checker
from reasondistill.verification.proving import prove
from reasondistill.verification.reading.drafts import OutsideError
from reasondistill.verification.wording import explanation_of

FRAGMENT: Final = "scenes-1"
CLOSED_WORLD: Final = "closed_world"


def _noun(phrase: str) -> str:
    """The noun of "a woman"."""
    return phrase.split(" ", 1)[1]


def _predicate(aspect: Aspect, phrase: str) -> str:
    return f"noun {_noun(phrase)}" if aspect.position == "subject" else f"adjective {phrase}"


def _relations() -> Relations:
    """The world's tables as relations."""
    isa: dict[str, dict[str, None]] = {}
    by_name: dict[str, str] = {}
    for frame in FRAMES:
        anyone = f"noun {_noun(frame.anyone)}"
        for aspect in frame.aspects:
            for claim, answers in aspect.facts.items():
                wide = by_name[claim] = _predicate(aspect, claim)
                for phrase in answers:
                    isa.setdefault(_predicate(aspect, phrase), {})[wide] = None
                if aspect.position == "subject":
                    isa.setdefault(wide, {})[anyone] = None
    sets = {
        f"{' / '.join(group)}": tuple((by_name[claim],) for claim in group)
        for group in EXCLUSIVE
        if all(claim in by_name for claim in group)
    }
    return Relations(isa={narrow: tuple(wide) for narrow, wide in isa.items()}, exclusive=sets)


class ScenesProver(PairProver):
    """Decides pairs of `scenes`."""

    fragment = FRAGMENT
    conclusions = ("entailment", "contradiction", "neutral")

    def __init__(self) -> None:
        relations = _relations()
        self.lexicon = Lexicon(relations)
        self._checker = Checker(relations)

    def outcome(self, premise: str, hypothesis: str) -> PairOutcome:
        """A proof of one of the three labels, for a pair of this grammar.

        Raises:
            ProofError: the checker refused the prover's proof, which is a mistake in this package.
        """
        try:
            given, wanted = read_premise(premise), read_hypothesis(hypothesis)
        except OutsideError as error:
            return PairOutcome(outside=str(error))
        proof = prove(given, wanted, self.lexicon, FRAGMENT) or self._neutral(given, wanted)
        if refusal := self._checker.refusal(proof, given, wanted):
            raise ProofError(f"{refusal}: {premise!r}, {hypothesis!r}")
        return PairOutcome(proof=proof, explanation=_explained(proof, hypothesis))

    def _neutral(self, premise: Form, hypothesis: Form) -> Proof:
        return Proof(
            fragment=FRAGMENT,
            lexicon_sha256=self.lexicon.sha256,
            assumptions=(CLOSED_WORLD, "same_scene"),
            premise=premise,
            hypothesis=hypothesis,
            same=((0, 0),),
            steps=(),
            conclusion="neutral",
        )


def _explained(proof: Proof, hypothesis: str) -> str:
    if proof.conclusion != "neutral":
        return explanation_of(proof, hypothesis)
    claim = hypothesis.rstrip(".")
    return f"It may or may not be so that {claim[:1].lower()}{claim[1:]}: the premise does not say."


def read_premise(text: str) -> Form:
    """A premise of `scenes` as a form.

    Raises:
        OutsideError: it is not of this grammar.
    """
    subject, _, rest = _words(text).partition(" is ")
    for frame in FRAMES:
        nouns = {_noun(phrase): phrase for phrase in (frame.anyone, *phrases(frame.subject))}
        before, noun, after = _around(subject.partition(" ")[2], nouns)
        if noun is None:
            continue
        adjectives = _phrases_in(before, frame, "adjective")
        modifiers = _phrases_in(after, frame, "modifier")
        verbs = _phrases_in(rest, frame, "verb")
        if adjectives is not None and modifiers is not None and verbs:
            predicates = [f"adjective {phrase}" for phrase in (*adjectives, *modifiers, *verbs)]
            return _form(f"the {noun}", [f"noun {noun}", *predicates])
    raise OutsideError("premise: not of the grammar of scenes")


def read_hypothesis(text: str) -> Form:
    """A hypothesis of `scenes` as a form.

    Raises:
        OutsideError: it is not of this grammar.
    """
    words = _words(text)
    if words.startswith("the picture shows "):
        noun = _noun(words.removeprefix("the picture shows "))
        if any(noun == _noun(claim) for frame in FRAMES for claim in frame.subject.facts):
            return _form(f"the {noun}", [f"noun {noun}"])
    subject, _, claimed = words.partition(" is ")
    for frame in FRAMES:
        if subject not in (frame.anyone, *phrases(frame.subject)):
            continue
        known = {claim for aspect in frame.aspects if aspect is not frame.subject for claim in aspect.facts}
        claims = _split(claimed, known)
        if claims:
            return _form(subject, [f"noun {_noun(subject)}", *(f"adjective {claim}" for claim in claims)])
    raise OutsideError("hypothesis: not of the grammar of scenes")


def _words(text: str) -> str:
    text = text.strip().rstrip(".")
    return text[:1].lower() + text[1:]


def _around(subject: str, nouns: Iterable[str]) -> tuple[str, str | None, str]:
    """What stands before a noun, the noun, and what stands after it."""
    words = subject.split()
    for place, word in enumerate(words):
        if word in nouns:
            return " ".join(words[:place]), word, " ".join(words[place + 1 :])
    return "", None, ""


def _phrases_in(text: str, frame: Frame, position: str) -> list[str] | None:
    """The phrases of a position that a text is made of; None where it is made of something else."""
    known = {phrase for aspect in frame.aspects if aspect.position == position for phrase in phrases(aspect)}
    return _split(text, known)


def _split(text: str, known: Iterable[str]) -> list[str] | None:
    if not text:
        return []
    for phrase in sorted(known, key=len, reverse=True):
        if text == phrase or text.startswith(phrase + " "):
            rest = _split(text[len(phrase) + 1 :], known)
            if rest is not None:
                return [phrase, *rest]
    return None


def _form(name: str, predicates: Iterable[str]) -> Form:
    return Form(participants=(name,), conditions=tuple(_conditions(predicates)))


def _conditions(predicates: Iterable[str]) -> Iterator[Condition]:
    for predicate in dict.fromkeys(predicates):
        kind: Kind = "noun" if predicate.startswith("noun ") else "adjective"
        yield Condition(kind=kind, word=predicate.split(" ", 1)[1], of=(0,))
