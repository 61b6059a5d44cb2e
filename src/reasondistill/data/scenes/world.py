"""The whole world of `scenes`: what can be asked, what makes it true and why, and what cannot hold together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Label = Literal["entailment", "neutral", "contradiction"]
LABELS: tuple[Label, ...] = ("entailment", "neutral", "contradiction")


Facts = Mapping[str, Mapping[str, str]]
"""predicate -> {what a caption says when it is true: why}"""


@dataclass(frozen=True, eq=False)  # each aspect is itself only, so that it can be a key
class Aspect:
    """One thing that a caption may say about its scene.

    Attributes:
        facts: what can be asked about it, and what answers that.
        position: where a caption says it: as its subject, before or after that, or after "is".
        there: its phrases need "there" to follow "is" on their own ("is there at noon").
        main: it is what happens, and can be asked about together with the place.
    """

    facts: Facts
    position: Literal["adjective", "subject", "modifier", "verb"] = "verb"
    there: bool = False
    main: bool = False


PERSON = Aspect(
    position="subject",
    facts={
        "an adult": {"a woman": "A woman is an adult", "a man": "A man is an adult"},
        "a child": {"a girl": "A girl is a child", "a boy": "A boy is a child"},
    },
)
ANIMAL = Aspect(
    position="subject",
    facts={
        "a dog": {"a poodle": "A poodle is a dog", "a terrier": "A terrier is a dog"},
        "a cat": {"a kitten": "A kitten is a cat", "a tomcat": "A tomcat is a cat"},
    },
)
MOOD = Aspect(
    position="adjective",
    facts={
        "happy": {"smiling": "A smile is a sign of joy", "cheerful": "A cheerful mood is a happy one"},
        "sad": {"crying": "Crying is a sign of sorrow", "gloomy": "A gloomy mood is a sad one"},
    },
)
FUR = Aspect(
    position="adjective",
    facts={
        "dirty": {"muddy": "Mud is dirt"},
        "clean": {"spotless": "Having no spots is being clean", "washed": "Washing is cleaning"},
    },
)
CLOTHES = Aspect(
    position="modifier",
    facts={
        "dressed for cold weather": {
            "in a wool coat": "A wool coat is for cold weather",
            "in a thick scarf": "A thick scarf is for cold weather",
        },
        "dressed for hot weather": {
            "in a swimsuit": "A swimsuit is for hot weather",
            "in shorts": "Shorts are for hot weather",
        },
    },
)
ACTIVITY = Aspect(
    main=True,
    facts={
        "making music": {
            "playing the guitar": "A guitar is an instrument",
            "playing the violin": "A violin is an instrument",
            "playing the drums": "Drums are an instrument",
        },
        "having food": {
            "eating a sandwich": "A sandwich is food",
            "eating soup": "Soup is food",
            "eating an apple": "An apple is food",
        },
        "exercising": {
            "lifting weights": "Lifting weights is exercise",
            "jumping rope": "Jumping rope is exercise",
            "doing yoga": "Yoga is exercise",
        },
    },
)
STANCE = Aspect(
    main=True,
    facts={
        "asleep": {"sleeping": "Sleeping is being asleep", "napping": "A nap is a short sleep"},
        "awake": {"walking": "Walking is done while awake", "running": "Running is done while awake"},
        "moving": {"walking": "Walking is a way to move", "running": "Running is a way to move"},
        "seated": {"sitting on a bench": "A bench is a seat", "sitting on a chair": "A chair is a seat"},
    },
)
ANIMAL_STANCE = Aspect(
    main=True, facts={predicate: answers for predicate, answers in STANCE.facts.items() if predicate != "seated"}
)
PLACE = Aspect(
    facts={
        "outdoors": {
            "on a beach": "A beach is outdoors",
            "on a pier": "A pier is outdoors",
            "in a park": "A park is outdoors",
        },
        "indoors": {
            "in a kitchen": "A kitchen is indoors",
            "in a bedroom": "A bedroom is indoors",
            "in a library": "A library is indoors",
        },
        "at the seaside": {"on a beach": "A beach is at the seaside", "on a pier": "A pier is at the seaside"},
        "in a house": {"in a kitchen": "A kitchen is in a house", "in a bedroom": "A bedroom is in a house"},
    }
)
COMPANY = Aspect(
    facts={
        "in company": {"with a friend": "A friend is company", "with a sister": "A sister is company"},
        "alone": {
            "without company": "Having no company is being alone",
            "without anyone else": "Having no one else there is being alone",
        },
    }
)
TIME = Aspect(
    there=True,
    facts={
        "there in the daytime": {
            "at noon": "Noon is in the middle of the day",
            "after breakfast": "Breakfast is early in the day",
        },
        "there at night": {
            "at midnight": "Midnight is in the middle of the night",
            "before dawn": "The hour before dawn is night",
        },
    },
)
PURPOSE = Aspect(
    there=True,
    facts={
        "celebrating": {
            "to celebrate a birthday": "A birthday is a reason to celebrate",
            "to celebrate a wedding": "A wedding is a reason to celebrate",
        },
        "working": {"to earn money": "Earning money is work", "to please a customer": "Pleasing a customer is work"},
    },
)

EXCLUSIVE: tuple[tuple[str, ...], ...] = (
    ("an adult", "a child"),
    ("a dog", "a cat"),
    ("happy", "sad"),
    ("dirty", "clean"),
    ("dressed for cold weather", "dressed for hot weather"),
    ("making music", "having food", "exercising"),
    ("asleep", "awake"),
    ("asleep", "moving", "seated"),
    ("outdoors", "indoors"),
    ("outdoors", "in a house"),
    ("at the seaside", "indoors"),
    ("in company", "alone"),
    ("there in the daytime", "there at night"),
    ("celebrating", "working"),
)
"""Predicates of which at most one can hold at a time."""


@dataclass(frozen=True)
class Frame:
    """A sort of scene: its aspects in a caption's word order, and how to speak of those whom it shows."""

    aspects: tuple[Aspect, ...]
    anyone: str
    someone: str
    everyone: str
    nobody: str

    @property
    def subject(self) -> Aspect:
        return next(aspect for aspect in self.aspects if aspect.position == "subject")

    @property
    def main(self) -> Aspect:
        return next(aspect for aspect in self.aspects if aspect.main)


PEOPLE = ("a person", "someone who", "everyone who", "nobody who")
ANIMALS = ("an animal", "an animal that", "every animal that", "no animal that")
FRAMES = (
    Frame((MOOD, PERSON, CLOTHES, ACTIVITY, PLACE, COMPANY, TIME, PURPOSE), *PEOPLE),
    Frame((PERSON, CLOTHES, STANCE, PLACE, COMPANY, TIME), *PEOPLE),
    Frame((FUR, ANIMAL, ANIMAL_STANCE, PLACE, COMPANY, TIME), *ANIMALS),
)


def entails(aspect: Aspect, phrase: str, predicate: str) -> bool:
    """Whether ``predicate`` has to hold where a caption says ``phrase``."""
    return phrase in aspect.facts[predicate]


def excludes(aspect: Aspect, phrase: str, predicate: str) -> bool:
    """Whether ``predicate`` cannot hold where a caption says ``phrase``."""
    implied = [other for other in aspect.facts if entails(aspect, phrase, other)]
    return any(predicate != other and predicate in group and other in group for other in implied for group in EXCLUSIVE)


def phrases(aspect: Aspect) -> list[str]:
    """All that a caption can say about an aspect, each phrase once."""
    return list(dict.fromkeys(phrase for answers in aspect.facts.values() for phrase in answers))
