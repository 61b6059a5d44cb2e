"""Drawing a scene: three questions, and a premise that gives each its label."""

from __future__ import annotations

import random
from dataclasses import dataclass

from reasondistill.data.scenes.sentences import sentence, with_article
from reasondistill.data.scenes.world import FRAMES, LABELS, PLACE, Aspect, Frame, Label, entails, excludes, phrases


@dataclass(frozen=True)
class Question:
    """What a hypothesis states about an aspect, and the label that this gets."""

    aspect: Aspect
    predicate: str
    label: Label


@dataclass(frozen=True)
class Scene:
    """Three questions, and what the premise says so that each gets its label.

    Attributes:
        stated: what the premise states, by aspect; it lacks the aspects that the premise leaves open.
        side: ``outdoors`` or ``indoors`` where the question about what happens includes that, truly; else empty.
        subject: the hypotheses' subject: the premise's own, or a wider one.
    """

    frame: Frame
    questions: tuple[Question, ...]
    stated: dict[Aspect, str]
    side: str
    subject: str

    @property
    def noun(self) -> str:
        return self.stated[self.frame.subject].split(maxsplit=1)[1]

    @property
    def premise(self) -> str:
        words = [with_article(" ".join([*self._at("adjective"), self.noun])), *self._at("modifier"), "is"]
        return sentence(" ".join([*words, *self._at("verb")]))

    def _at(self, position: str) -> list[str]:
        return [
            self.stated[aspect]
            for aspect in self.frame.aspects
            if aspect.position == position and aspect in self.stated
        ]


def draw_scene(rng: random.Random) -> Scene:
    frame = rng.choice(FRAMES)
    questioned = rng.sample(frame.aspects, len(LABELS))
    questions = tuple(
        Question(aspect, rng.choice(list(aspect.facts)), label)
        for aspect, label in zip(questioned, LABELS, strict=True)
    )
    stated: dict[Aspect, str] = {}
    for aspect, predicate, label in ((q.aspect, q.predicate, q.label) for q in questions):
        if label != "neutral":
            settles = entails if label == "entailment" else excludes
            stated[aspect] = rng.choice([p for p in phrases(aspect) if settles(aspect, p, predicate)])
    free = [aspect for aspect in frame.aspects if aspect not in questioned]

    side = ""
    if frame.main in questioned and PLACE in free and rng.random() < 0.5:
        side = rng.choice(["outdoors", "indoors"])
        stated[PLACE] = rng.choice(list(PLACE.facts[side]))
    if frame.main not in stated and PLACE not in stated:  # every caption says what happens, or where
        aspect = rng.choice([aspect for aspect in (frame.main, PLACE) if aspect in free])
        stated[aspect] = rng.choice(phrases(aspect))
    more = [aspect for aspect in free if aspect not in stated and aspect is not frame.subject]
    if more and len(stated) < 3 and rng.random() < 0.5:
        aspect = rng.choice(more)
        stated[aspect] = rng.choice(phrases(aspect))

    # A hypothesis names the premise's subject only where no question is about it: the name would give the label away.
    subject = frame.anyone
    if frame.subject in free:
        stated[frame.subject] = rng.choice([frame.anyone, *phrases(frame.subject)])
        subject = rng.choice([frame.anyone, stated[frame.subject]])
    stated.setdefault(frame.subject, frame.anyone)
    return Scene(frame, questions, stated, side, subject)
