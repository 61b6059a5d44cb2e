"""`scenes`: caption pairs with explanations, written by a small grammar. The quickstart's data, and every test's.

A caption says a few things about one scene::

    premise     A smiling woman in a wool coat is playing the guitar on a beach.
    hypothesis  A person is making music outdoors.
    label       entailment
    explained   Someone who is playing the guitar on a beach is making music outdoors.

Each thing that a caption can say belongs to an *aspect* of the scene: who is there, where, doing what, with whom, what
for. The tables below are the whole world: for each aspect, what can be asked, what makes it true, and why; and in
``EXCLUSIVE``, what cannot hold together. The labels follow from them:

* entailment: the premise says something that makes the hypothesis true (a beach is outdoors);
* contradiction: it says something that rules the hypothesis out (nobody is asleep and awake);
* neutral: it leaves that aspect open (not everyone on a beach is celebrating).

The hypothesis alone gives nothing away. Three of them, on three aspects, are drawn first, whatever their labels will
be; then one premise is written that entails the first, leaves the second open and rules the third out. So everything
that can be asked is asked equally often under each label, and a student has to read both sentences.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from reasondistill.contracts.records import Example, Explanation
from reasondistill.data.splits import split_of
from reasondistill.errors import ConfigError

Label = Literal["entailment", "neutral", "contradiction"]
LABELS: tuple[Label, ...] = ("entailment", "neutral", "contradiction")

# ------------------------------------------------------------------------------------------------- the world

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
        "happy": {
            "smiling": "A smile is a sign of joy",
            "cheerful": "A cheerful mood is a happy one",
        },
        "sad": {
            "crying": "Crying is a sign of sorrow",
            "gloomy": "A gloomy mood is a sad one",
        },
    },
)
FUR = Aspect(
    position="adjective",
    facts={
        "dirty": {
            "muddy": "Mud is dirt",
        },
        "clean": {
            "spotless": "Having no spots is being clean",
            "washed": "Washing is cleaning",
        },
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
        "asleep": {
            "sleeping": "Sleeping is being asleep",
            "napping": "A nap is a short sleep",
        },
        "awake": {
            "walking": "Walking is done while awake",
            "running": "Running is done while awake",
        },
        "moving": {
            "walking": "Walking is a way to move",
            "running": "Running is a way to move",
        },
        "seated": {
            "sitting on a bench": "A bench is a seat",
            "sitting on a chair": "A chair is a seat",
        },
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
        "at the seaside": {
            "on a beach": "A beach is at the seaside",
            "on a pier": "A pier is at the seaside",
        },
        "in a house": {
            "in a kitchen": "A kitchen is in a house",
            "in a bedroom": "A bedroom is in a house",
        },
    },
)
COMPANY = Aspect(
    facts={
        "in company": {
            "with a friend": "A friend is company",
            "with a sister": "A sister is company",
        },
        "alone": {
            "without company": "Having no company is being alone",
            "without anyone else": "Having no one else there is being alone",
        },
    },
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
        "working": {
            "to earn money": "Earning money is work",
            "to please a customer": "Pleasing a customer is work",
        },
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

# ------------------------------------------------------------------------------------------------- what follows


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


# ------------------------------------------------------------------------------------------------- drawing scenes


@dataclass(frozen=True)
class Question:
    """What one hypothesis asks."""

    aspect: Aspect
    predicate: str
    label: Label


@dataclass(frozen=True)
class Scene:
    """Three questions, and what the premise says so that each gets its label.

    Attributes:
        said: what the premise says, by aspect; the aspects that it leaves open are not in it.
        side: ``outdoors`` or ``indoors`` where the question about what happens asks that too; it is so.
        subject: of the hypotheses: the premise's own, or a wider one.
    """

    frame: Frame
    questions: tuple[Question, ...]
    said: dict[Aspect, str]
    side: str
    subject: str

    @property
    def noun(self) -> str:
        return self.said[self.frame.subject].split(maxsplit=1)[1]

    @property
    def premise(self) -> str:
        words = [_with_article(" ".join([*self._at("adjective"), self.noun])), *self._at("modifier"), "is"]
        return _sentence(" ".join([*words, *self._at("verb")]))

    def _at(self, position: str) -> list[str]:
        return [
            self.said[aspect] for aspect in self.frame.aspects if aspect.position == position and aspect in self.said
        ]


def _draw_scene(rng: random.Random) -> Scene:
    frame = rng.choice(FRAMES)
    asked = rng.sample(frame.aspects, len(LABELS))
    questions = tuple(
        Question(aspect, rng.choice(list(aspect.facts)), label) for aspect, label in zip(asked, LABELS, strict=True)
    )
    said: dict[Aspect, str] = {}
    for aspect, predicate, label in ((q.aspect, q.predicate, q.label) for q in questions):
        if label != "neutral":
            settles = entails if label == "entailment" else excludes
            said[aspect] = rng.choice([p for p in phrases(aspect) if settles(aspect, p, predicate)])
    free = [aspect for aspect in frame.aspects if aspect not in asked]

    side = ""
    if frame.main in asked and PLACE in free and rng.random() < 0.5:
        side = rng.choice(["outdoors", "indoors"])
        said[PLACE] = rng.choice(list(PLACE.facts[side]))
    if frame.main not in said and PLACE not in said:  # every caption says what happens, or where
        aspect = rng.choice([aspect for aspect in (frame.main, PLACE) if aspect in free])
        said[aspect] = rng.choice(phrases(aspect))
    more = [aspect for aspect in free if aspect not in said and aspect is not frame.subject]
    if more and len(said) < 3 and rng.random() < 0.5:
        aspect = rng.choice(more)
        said[aspect] = rng.choice(phrases(aspect))

    # A hypothesis names the premise's subject only where no question is about it; otherwise the name would tell.
    subject = frame.anyone
    if frame.subject in free:
        said[frame.subject] = rng.choice([frame.anyone, *phrases(frame.subject)])
        subject = rng.choice([frame.anyone, said[frame.subject]])
    said.setdefault(frame.subject, frame.anyone)
    return Scene(frame, questions, said, side, subject)


# ------------------------------------------------------------------------------------------------- words


@dataclass(frozen=True)
class Pair:
    """One question of a scene, in the words that its explanations are made of.

    Attributes:
        noun: whom the explanations speak of.
        said: what settles the question; where nothing does, the same as ``beside``.
        asked: what the hypothesis says.
        why: the reason that ``said`` makes ``asked`` true; empty where it does not.
        beside: what the premise says first after "is".
    """

    frame: Frame
    question: Question
    hypothesis: str
    noun: str
    said: str
    asked: str
    why: str
    beside: str


def _pair(scene: Scene, question: Question) -> Pair:
    frame, aspect, asked = scene.frame, question.aspect, question.predicate
    beside = next(_being(a, scene.said[a]) for a in frame.aspects if a.position == "verb" and a in scene.said)
    said = beside if question.label == "neutral" else _being(aspect, scene.said[aspect])
    why = aspect.facts[asked].get(scene.said.get(aspect, ""), "")
    hypothesis, noun = f"{scene.subject} is {asked}", scene.noun
    if aspect.position == "subject":
        hypothesis, noun = f"the picture shows {asked}", frame.anyone.split()[1]
    elif aspect.main and scene.side:
        hypothesis = f"{hypothesis} {scene.side}"
        if question.label == "entailment":  # then both halves need their reason
            place = scene.said[PLACE]
            said, asked = f"{said} {place}", f"{asked} {scene.side}"
            why = f"{why}, and {_lower(PLACE.facts[scene.side][place])}"
    return Pair(frame, question, _sentence(hypothesis), noun, said, asked, why, beside)


def _arguments(label: Label, pair: Pair) -> list[str]:
    """Ways to argue for ``label``, the plainest first; they are true where it is the pair's own."""
    frame, noun, said, asked = pair.frame, pair.noun, pair.said, pair.asked
    if label == "entailment":
        return [
            f"{frame.someone} is {said} is {asked}",
            f"to be {said} is to be {asked}",
            f"if the {noun} is {said}, then the {noun} is {asked}",
            *([f"{_lower(pair.why)}, so the {noun} is {asked}"] if pair.why else []),
        ]
    if label == "contradiction":
        return [
            f"{frame.anyone} cannot be {said} and {asked} at the same time",
            f"{frame.someone} is {said} is not {asked}",
            f"the {noun} is {said}, so the {noun} cannot be {asked}",
            f"either the {noun} is {said} or {asked}, but not both",
        ]
    return [
        f"not {frame.everyone} is {pair.beside} is {asked}",
        f"the {noun} may or may not be {asked}",
        f"{frame.someone} is {pair.beside} could be {asked}, but need not be",
        f"nothing tells us whether the {noun} is {asked}",
    ]


def _denial(pair: Pair) -> str:
    """What the plainest argument says, denied."""
    frame = pair.frame
    return {
        "entailment": f"{frame.nobody} is {pair.said} is {pair.asked}",
        "contradiction": f"{frame.anyone} can be {pair.said} and {pair.asked} at the same time",
        "neutral": f"{frame.everyone} is {pair.beside} is {pair.asked}",
    }[pair.question.label]


def _elsewhere(rng: random.Random, scene: Scene, pair: Pair) -> str:
    """What is true of another scene: neither asked nor said here."""
    aspect = rng.choice([aspect for aspect in scene.frame.aspects if aspect is not pair.question.aspect])
    phrase = rng.choice([phrase for phrase in phrases(aspect) if phrase != scene.said.get(aspect)])
    predicate = next(predicate for predicate in aspect.facts if entails(aspect, phrase, predicate))
    return f"{pair.frame.someone} is {_being(aspect, phrase)} is {predicate}"


def _explanations(rng: random.Random, scene: Scene, pair: Pair) -> Iterator[Explanation]:
    own = pair.question.label
    plainest, *others = _arguments(own, pair)
    for text in (plainest, *rng.sample(others, rng.randint(1, len(others)))):
        yield Explanation(text=_sentence(text), source="scenes")
    for label in LABELS:
        if label != own:
            text = rng.choice(_arguments(label, pair))
            yield Explanation(text=_sentence(text), source="scenes/other-label", label=label)
    yield Explanation(text=_sentence(_elsewhere(rng, scene, pair)), source="scenes/irrelevant", label="")
    yield Explanation(text=pair.hypothesis, source="scenes/copied", label="")
    yield Explanation(text=_sentence(_denial(pair)), source="scenes/contradictory", label="")


def _being(aspect: Aspect, phrase: str) -> str:
    """A phrase as it follows "is"."""
    return f"there {phrase}" if aspect.there else phrase


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


# ------------------------------------------------------------------------------------------------- examples


def generate(n: int, *, seed: int = 0) -> list[Example]:
    """``n`` caption pairs; a smaller ``n`` gives the beginning of the same list.

    The three pairs of a premise follow one another in random order, one for each label, so that labels are balanced
    to ±1. ``group`` is the premise, and ``split`` follows from it: a premise is in one part only. Premises do not
    recur in the first ten thousand pairs; the world has some tens of thousands of premises, and past that they do.

    True explanations have the source ``scenes``: the plainest first, then one to three others. The wrong ones are not
    among `Example.references`. ``scenes/other-label`` bears the label that it argues for. The others argue for none,
    and bear the empty label: ``scenes/irrelevant`` (true of another scene), ``scenes/copied`` (the hypothesis) and
    ``scenes/contradictory`` (a true reason, denied).

    Raises:
        ConfigError: ``n`` is less than 1.
    """
    if n < 1:
        raise ConfigError("scenes", expected="a number of pairs of 1 or more", found=str(n), fix="Ask for at least 1.")
    return list(itertools.islice(_examples(seed), n))


def _examples(seed: int) -> Iterator[Example]:
    rng = random.Random(f"scenes {seed}")
    number = itertools.count()
    seen: set[str] = set()
    while True:
        scene = _draw_unseen(rng, seen)
        seen.add(scene.premise)
        for question in rng.sample(scene.questions, len(LABELS)):
            pair = _pair(scene, question)
            yield Example(
                id=f"scenes-{seed}-{next(number):06d}",
                fields={"premise": scene.premise, "hypothesis": pair.hypothesis},
                label=question.label,
                explanations=tuple(_explanations(rng, scene, pair)),
                group=scene.premise,
                split=split_of(scene.premise),
            )


def _draw_unseen(rng: random.Random, seen: set[str]) -> Scene:
    """A scene whose premise is new, unless 20 draws do not find one."""
    for _ in range(20):
        scene = _draw_scene(rng)
        if scene.premise not in seen:
            break
    return scene
