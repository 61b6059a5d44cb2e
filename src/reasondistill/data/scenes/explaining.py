"""A question of a scene as a hypothesis with its explanations, true and wrong ones."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from reasondistill.contracts.records import Explanation
from reasondistill.data.scenes.drawing import Question, Scene
from reasondistill.data.scenes.sentences import lower_first, sentence
from reasondistill.data.scenes.world import LABELS, PLACE, Aspect, Frame, Label, entails, phrases


@dataclass(frozen=True)
class Pair:
    """A question of a scene, in the words that its explanations are made of.

    Attributes:
        noun: whom the explanations speak of.
        evidence: what settles the question; where nothing does, the same as ``opening``.
        claim: what the hypothesis states.
        why: the reason that ``evidence`` makes ``claim`` true; empty where it does not.
        opening: what the premise states first after "is".
    """

    frame: Frame
    question: Question
    hypothesis: str
    noun: str
    evidence: str
    claim: str
    why: str
    opening: str


def question_pair(scene: Scene, question: Question) -> Pair:
    frame, aspect, claim = scene.frame, question.aspect, question.predicate
    opening = next(_being(a, scene.stated[a]) for a in frame.aspects if a.position == "verb" and a in scene.stated)
    evidence = opening if question.label == "neutral" else _being(aspect, scene.stated[aspect])
    why = aspect.facts[claim].get(scene.stated.get(aspect, ""), "")
    hypothesis, noun = f"{scene.subject} is {claim}", scene.noun
    if aspect.position == "subject":
        hypothesis, noun = f"the picture shows {claim}", frame.anyone.split()[1]
    elif aspect.main and scene.side:
        hypothesis = f"{hypothesis} {scene.side}"
        if question.label == "entailment":  # then both halves need their reason
            place = scene.stated[PLACE]
            evidence, claim = f"{evidence} {place}", f"{claim} {scene.side}"
            why = f"{why}, and {lower_first(PLACE.facts[scene.side][place])}"
    return Pair(frame, question, sentence(hypothesis), noun, evidence, claim, why, opening)


def _arguments(label: Label, pair: Pair) -> list[str]:
    """Ways to argue for ``label``, the plainest first; they are true where it is the pair's own."""
    frame, noun, evidence, claim = pair.frame, pair.noun, pair.evidence, pair.claim
    if label == "entailment":
        return [
            f"{frame.someone} is {evidence} is {claim}",
            f"to be {evidence} is to be {claim}",
            f"if the {noun} is {evidence}, then the {noun} is {claim}",
            *([f"{lower_first(pair.why)}, so the {noun} is {claim}"] if pair.why else []),
        ]
    if label == "contradiction":
        return [
            f"{frame.anyone} cannot be {evidence} and {claim} at the same time",
            f"{frame.someone} is {evidence} is not {claim}",
            f"the {noun} is {evidence}, so the {noun} cannot be {claim}",
            f"either the {noun} is {evidence} or {claim}, but not both",
        ]
    return [
        f"not {frame.everyone} is {pair.opening} is {claim}",
        f"the {noun} may or may not be {claim}",
        f"{frame.someone} is {pair.opening} could be {claim}, but need not be",
        f"nothing tells us whether the {noun} is {claim}",
    ]


def _denial(pair: Pair) -> str:
    """What the plainest argument says, denied."""
    frame = pair.frame
    return {
        "entailment": f"{frame.nobody} is {pair.evidence} is {pair.claim}",
        "contradiction": f"{frame.anyone} can be {pair.evidence} and {pair.claim} at the same time",
        "neutral": f"{frame.everyone} is {pair.opening} is {pair.claim}",
    }[pair.question.label]


def _elsewhere(rng: random.Random, scene: Scene, pair: Pair) -> str:
    """What is true of another scene, and has nothing to do with this pair."""
    aspect = rng.choice([aspect for aspect in scene.frame.aspects if aspect is not pair.question.aspect])
    phrase = rng.choice([phrase for phrase in phrases(aspect) if phrase != scene.stated.get(aspect)])
    predicate = next(predicate for predicate in aspect.facts if entails(aspect, phrase, predicate))
    return f"{pair.frame.someone} is {_being(aspect, phrase)} is {predicate}"


def explanations_of(rng: random.Random, scene: Scene, pair: Pair) -> Iterator[Explanation]:
    own = pair.question.label
    plainest, *others = _arguments(own, pair)
    for text in (plainest, *rng.sample(others, rng.randint(1, len(others)))):
        yield Explanation(text=sentence(text), source="scenes")
    for label in LABELS:
        if label != own:
            text = rng.choice(_arguments(label, pair))
            yield Explanation(text=sentence(text), source="scenes/other-label", label=label)
    yield Explanation(text=sentence(_elsewhere(rng, scene, pair)), source="scenes/irrelevant", label="")
    yield Explanation(text=pair.hypothesis, source="scenes/copied", label="")
    yield Explanation(text=sentence(_denial(pair)), source="scenes/contradictory", label="")


def _being(aspect: Aspect, phrase: str) -> str:
    """A phrase as it follows "is"."""
    return f"there {phrase}" if aspect.there else phrase
