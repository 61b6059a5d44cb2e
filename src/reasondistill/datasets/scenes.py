"""`scenes`: caption pairs with explanations, written by a small grammar. The quickstart's data, and every test's.

A caption says a few things about one scene::

    premise     A smiling woman in a wool coat is playing the guitar on a beach.
    hypothesis  A person is making music outdoors.
    label       entailment
    explained   Someone who is playing the guitar on a beach is making music outdoors.

Each thing that can be said belongs to an *aspect* of the scene: where it is, what is done, with whom, why, … The
tables below are the whole world: which phrase makes which predicate true and why (``FACTS``), which predicates cannot
hold together (``EXCLUSIVE``), and what is a kind of what (``KIND_OF``). From them the labels follow:

* entailment: the caption says something that makes the hypothesis true (a beach is outdoors);
* contradiction: it says something that excludes the hypothesis (nobody is asleep and awake);
* neutral: it leaves that aspect open (not everyone on a beach is there to celebrate a birthday).

The hypothesis alone gives nothing away. Three of them, on three aspects, are drawn first, each without regard to the
label that it will get; then one premise is written that entails the first, excludes the second and leaves the third
open. So every predicate is as frequent under one label as under another, and a student has to read both sentences.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from reasondistill.datasets.splits import split_of
from reasondistill.errors import ConfigError
from reasondistill.records import Example, Explanation

Label = Literal["entailment", "neutral", "contradiction"]
LABELS: tuple[Label, ...] = ("entailment", "neutral", "contradiction")

# ------------------------------------------------------------------------------------------------- the world

Facts = Mapping[str, Mapping[str, str]]
"""predicate -> {what a caption says when it is true: why}"""


@dataclass(frozen=True, eq=False)  # each aspect is itself only, so that it can be a key
class Aspect:
    """One thing that a caption may say about its scene.

    Attributes:
        facts: what can be asked of this aspect, and what answers it.
        position: where a caption says it: as its subject, before or after that, or after "is".
        there: its phrases need "there" to follow "is" on their own ("is there at noon").
        exact: its phrases exclude one another and can be asked about as they stand ("is on a beach").
        main: it is what the caption is about, and can be asked about together with the place.
    """

    facts: Facts
    position: Literal["adjective", "subject", "modifier", "verb"] = "verb"
    there: bool = False
    exact: bool = False
    main: bool = False


PERSON = Aspect(
    position="subject",
    facts={
        "a person": {},
        "an adult": {"a woman": "A woman is an adult", "a man": "A man is an adult"},
        "a child": {"a girl": "A girl is a child", "a boy": "A boy is a child"},
        "a woman": {},
        "a man": {},
        "a girl": {},
        "a boy": {},
    },
)
ANIMAL = Aspect(
    position="subject",
    facts={
        "an animal": {},
        "a dog": {"a poodle": "A poodle is a dog", "a terrier": "A terrier is a dog"},
        "a cat": {"a kitten": "A kitten is a cat", "a tomcat": "A tomcat is a cat"},
        "a bird": {"a parrot": "A parrot is a bird", "a sparrow": "A sparrow is a bird"},
    },
)
MOOD = Aspect(
    position="adjective",
    facts={
        "happy": {
            "smiling": "A smile is a sign of joy",
            "laughing": "A laugh is a sign of joy",
            "cheerful": "A cheerful mood is a happy one",
        },
        "sad": {
            "crying": "Crying is a sign of sorrow",
            "weeping": "Weeping is a sign of sorrow",
            "gloomy": "A gloomy mood is a sad one",
        },
    },
)
FUR = Aspect(
    position="adjective",
    facts={
        "dirty": {
            "muddy": "Mud is dirt",
            "dusty": "Dust is dirt",
            "sooty": "Soot is dirt",
        },
        "clean": {
            "spotless": "Having no spots is being clean",
            "washed": "Washing is cleaning",
            "brushed": "Brushing is cleaning",
        },
    },
)
CLOTHES = Aspect(
    position="modifier",
    facts={
        "dressed for cold weather": {
            "in a wool coat": "A wool coat is for cold weather",
            "in a thick scarf": "A thick scarf is for cold weather",
            "in a fur hat": "A fur hat is for cold weather",
        },
        "dressed for hot weather": {
            "in a swimsuit": "A swimsuit is for hot weather",
            "in shorts": "Shorts are for hot weather",
            "in sandals": "Sandals are for hot weather",
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
        "making art": {
            "painting a picture": "Painting is an art",
            "drawing a horse": "Drawing is an art",
            "carving a statue": "Carving is an art",
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
            "dozing": "Dozing is a light sleep",
        },
        "awake": {
            "walking": "Walking is done awake",
            "running": "Running is done awake",
            "waving": "Waving is done awake",
        },
        "moving": {
            "walking": "Walking is a way to move",
            "running": "Running is a way to move",
        },
        "seated": {
            "sitting on a bench": "A bench is a seat",
            "sitting on a chair": "A chair is a seat",
            "sitting on a stool": "A stool is a seat",
        },
    },
)
ANIMAL_STANCE = Aspect(
    main=True,
    facts={
        **{predicate: STANCE.facts[predicate] for predicate in ("asleep", "moving")},
        "having food": {
            "eating seeds": "Seeds are food",
            "eating fish": "Fish is food",
        },
    },
)
PLACE = Aspect(
    exact=True,
    facts={
        "outdoors": {
            "on a beach": "A beach is outdoors",
            "on a street": "A street is outdoors",
            "in a park": "A park is outdoors",
            "in a garden": "A garden is outdoors",
            "in a forest": "A forest is outdoors",
        },
        "indoors": {
            "in a kitchen": "A kitchen is indoors",
            "in a bedroom": "A bedroom is indoors",
            "in a library": "A library is indoors",
            "in a museum": "A museum is indoors",
            "in a classroom": "A classroom is indoors",
        },
    },
)
COMPANY = Aspect(
    facts={
        "in company": {
            "with a friend": "A friend is company",
            "with a sister": "A sister is company",
            "with a neighbor": "A neighbor is company",
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
        "there by day": {
            "at noon": "Noon is in the middle of the day",
            "after breakfast": "Breakfast is early in the day",
        },
        "there by night": {
            "at midnight": "Midnight is in the middle of the night",
            "before dawn": "The hour before dawn is night",
        },
    },
)
PURPOSE = Aspect(
    there=True,
    exact=True,
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
    ("a woman", "a man"),
    ("a girl", "a boy"),
    ("a dog", "a cat", "a bird"),
    ("happy", "sad"),
    ("dirty", "clean"),
    ("dressed for cold weather", "dressed for hot weather"),
    ("making music", "having food", "making art", "exercising"),
    ("asleep", "awake"),
    ("asleep", "moving", "seated", "having food"),
    ("outdoors", "indoors"),
    ("in company", "alone"),
    ("there by day", "there by night"),
    ("celebrating", "working"),
)
"""Predicates of which at most one can hold at a time."""


@dataclass(frozen=True)
class Frame:
    """A sort of scene: what a caption says about it, in word order, and how to speak of those whom it shows."""

    aspects: tuple[Aspect, ...]
    root: str
    some: str
    every: str
    no: str

    @property
    def kind(self) -> Aspect:
        return next(aspect for aspect in self.aspects if aspect.position == "subject")


PEOPLE = ("a person", "someone who", "everyone who", "nobody who")
ANIMALS = ("an animal", "an animal that", "every animal that", "no animal that")
FRAMES = (
    Frame((MOOD, PERSON, CLOTHES, ACTIVITY, PLACE, COMPANY, TIME, PURPOSE), *PEOPLE),
    Frame((PERSON, CLOTHES, STANCE, PLACE, COMPANY, TIME), *PEOPLE),
    Frame((FUR, ANIMAL, ANIMAL_STANCE, PLACE, COMPANY, TIME), *ANIMALS),
)

# ------------------------------------------------------------------------------------------------- what follows


def entails(aspect: Aspect, phrase: str, predicate: str) -> bool:
    """Whether a scene of which a caption says ``phrase`` has to be ``predicate``."""
    return predicate in _implied(aspect, phrase)


def excludes(aspect: Aspect, phrase: str, predicate: str) -> bool:
    """Whether a scene of which a caption says ``phrase`` cannot be ``predicate``."""
    if aspect.exact and phrase != predicate and predicate not in aspect.facts:
        return True
    pairs = ((said, asked) for said in _implied(aspect, phrase) for asked in _implied(aspect, predicate))
    return any(said != asked and said in group and asked in group for said, asked in pairs for group in EXCLUSIVE)


def _implied(aspect: Aspect, phrase: str) -> list[str]:
    return [phrase, *(predicate for predicate, answers in aspect.facts.items() if phrase in answers)]


def _phrases(aspect: Aspect) -> list[str]:
    """All that a caption can say about an aspect, each once. A subject may also be named by its wider kind."""
    said = [phrase for answers in aspect.facts.values() for phrase in answers]
    return list(dict.fromkeys([*aspect.facts, *said] if aspect.position == "subject" else said))


# ------------------------------------------------------------------------------------------------- drawing scenes


@dataclass(frozen=True)
class Question:
    """One hypothesis of a scene: what is asked, drawn before its label means anything."""

    aspect: Aspect
    predicate: str
    label: Label


@dataclass(frozen=True)
class Scene:
    """Three questions and what the premise says so that each gets its label.

    Attributes:
        said: what the premise says of an aspect, in word order; aspects left open are not in it.
        side: ``outdoors`` or ``indoors``, which the question about the main aspect asks too, and which holds.
        subject: of the hypotheses.
    """

    frame: Frame
    questions: tuple[Question, ...]
    said: dict[Aspect, str]
    side: str
    subject: str

    @property
    def noun(self) -> str:
        return self.said[self.frame.kind].split(maxsplit=1)[1]

    @property
    def premise(self) -> str:
        parts: dict[str, list[str]] = {"adjective": [], "subject": [], "modifier": [], "verb": []}
        for aspect, phrase in self.said.items():
            parts[aspect.position].append(phrase)
        subject = " ".join([*parts["adjective"], self.noun])
        return _sentence(" ".join([_with_article(subject), *parts["modifier"], "is", *parts["verb"]]))


def _draw_scene(rng: random.Random) -> Scene:
    frame = rng.choices(FRAMES, weights=(2, 1, 1))[0]
    aspects = rng.sample(frame.aspects, 3)
    questions = tuple(
        Question(aspect, _draw_predicate(rng, aspect), label) for aspect, label in zip(aspects, LABELS, strict=True)
    )
    said = {question.aspect: _draw_answer(rng, question) for question in questions}
    main = next(aspect for aspect in frame.aspects if aspect.main)
    side = ""
    if main in aspects and PLACE not in aspects and rng.random() < 0.5:
        side = rng.choice([*PLACE.facts])
        said[PLACE] = rng.choice([*PLACE.facts[side]])
    # A caption always says what is done or where, and always whom it shows.
    for aspect in (main, PLACE) if rng.random() < 0.5 else (PLACE, main):
        if aspect not in aspects and not any(said.get(other) for other in (main, PLACE)):
            said[aspect] = rng.choice(_phrases(aspect))
    subject = frame.root
    if frame.kind not in aspects:
        said[frame.kind] = rng.choice(_phrases(frame.kind))
        subject = rng.choice([frame.root, said[frame.kind]])
    ordered = {aspect: said[aspect] for aspect in frame.aspects if said.get(aspect)}
    return Scene(frame, questions, ordered, side, subject)


def _draw_predicate(rng: random.Random, aspect: Aspect) -> str:
    if aspect.position == "subject":
        # The widest kind is left out: it is true of everything in the frame.
        return rng.choice(_phrases(aspect)[1:])
    if aspect.exact and rng.random() < 0.5:
        return rng.choice(_phrases(aspect))
    return rng.choice([*aspect.facts])


def _draw_answer(rng: random.Random, question: Question) -> str:
    """What the premise says so that the question gets its label; empty where it is to say nothing."""
    aspect, predicate = question.aspect, question.predicate
    phrases = _phrases(aspect)
    if question.label == "entailment":
        return rng.choice([phrase for phrase in phrases if entails(aspect, phrase, predicate)])
    if question.label == "contradiction":
        return rng.choice([phrase for phrase in phrases if excludes(aspect, phrase, predicate)])
    if aspect.position == "subject":
        open_kinds = [p for p in phrases if not entails(aspect, p, predicate) and not excludes(aspect, p, predicate)]
        return rng.choice(open_kinds)
    return ""


# ------------------------------------------------------------------------------------------------- words


@dataclass(frozen=True)
class Pair:
    """A premise and one hypothesis, in the words that explanations are made of.

    Attributes:
        said: what the premise says about the question; where it says nothing, what else it says of the subject.
        asked: the hypothesis' predicate.
        why: why ``said`` makes ``asked`` true; empty where it does not, or where they are the same.
    """

    frame: Frame
    hypothesis: str
    label: Label
    noun: str
    anchor: str
    said: str
    asked: str
    why: str


def _pair(scene: Scene, question: Question) -> Pair:
    frame, aspect = scene.frame, question.aspect
    anchor = next(_being(a, phrase) for a, phrase in scene.said.items() if a.position == "verb")
    said = _being(aspect, scene.said[aspect]) if question.label != "neutral" else anchor
    asked = _being(aspect, question.predicate)
    why = aspect.facts.get(question.predicate, {}).get(scene.said.get(aspect, ""), "")
    wanted = asked
    if aspect.main and scene.side:
        place = scene.said[PLACE]
        wanted = f"{asked} {scene.side}"
        if question.label == "entailment":
            said, asked = f"{said} {place}", wanted
            why = f"{why}, and {_lower(PLACE.facts[scene.side][place])}"
    start = "the picture shows" if aspect.position == "subject" else f"{scene.subject} is"
    return Pair(frame, _sentence(f"{start} {wanted}"), question.label, scene.noun, anchor, said, asked, why)


def _argue(label: Label, pair: Pair) -> list[str]:
    """Ways to argue for ``label``, the plainest first."""
    frame, noun, said, asked = pair.frame, pair.noun, pair.said, pair.asked
    if said == asked:
        verb = {"entailment": "says that", "contradiction": "denies that", "neutral": "leaves open whether"}[label]
        return [
            f"the caption {verb} the {noun} is {asked}",
            f"the premise {verb} the {noun} is {asked}",
            f"the first sentence {verb} the {noun} is {asked}",
        ]
    if label == "entailment":
        return [
            f"{frame.some} is {said} is {asked}",
            f"to be {said} is to be {asked}",
            f"if the {noun} is {said}, then the {noun} is {asked}",
            *([f"{_lower(pair.why)}, so the {noun} is {asked}"] if pair.why else []),
        ]
    if label == "contradiction":
        return [
            f"{frame.root} cannot be {said} and {asked} at the same time",
            f"{frame.some} is {said} is not {asked}",
            f"the {noun} is {said}, so the {noun} cannot be {asked}",
            f"either the {noun} is {said} or {asked}, but not both",
        ]
    return [
        f"not {frame.every} is {pair.anchor} is {asked}",
        f"the {noun} may or may not be {asked}",
        f"{frame.some} is {pair.anchor} could be {asked}, but need not be",
        f"nothing tells us whether the {noun} is {asked}",
    ]


def _true_explanations(rng: random.Random, pair: Pair) -> list[Explanation]:
    plainest, *others = _argue(pair.label, pair)
    chosen = rng.sample(others, rng.randint(1, len(others)))
    return [Explanation(text=_sentence(text), source="scenes") for text in (plainest, *chosen)]


def _wrong_explanations(rng: random.Random, scene: Scene, pair: Pair) -> list[Explanation]:
    wrong = [
        Explanation(text=_sentence(rng.choice(_argue(label, pair))), source="scenes/other-label", label=label)
        for label in LABELS
        if label != pair.label
    ]
    frame = pair.frame
    elsewhere = rng.choice([aspect for aspect in frame.aspects if aspect not in scene.said])
    predicate = rng.choice([*elsewhere.facts])
    phrase = _being(elsewhere, rng.choice([*elsewhere.facts[predicate]]))
    if pair.said == pair.asked:
        denied = f"the caption does not say that the {pair.noun} is {pair.asked}"
    else:
        denied = {
            "entailment": f"{frame.no} is {pair.said} is {pair.asked}",
            "contradiction": f"{frame.root} can be {pair.said} and {pair.asked} at the same time",
            "neutral": f"{frame.every} is {pair.anchor} is {pair.asked}",
        }[pair.label]
    texts = {
        "irrelevant": _sentence(f"{frame.some} is {phrase} is {_being(elsewhere, predicate)}"),
        "copied": pair.hypothesis,
        "contradictory": _sentence(denied),
    }
    return wrong + [Explanation(text=text, source=f"scenes/{how}", label="") for how, text in texts.items()]


def _being(aspect: Aspect, phrase: str) -> str:
    """A phrase or predicate as it follows "is"."""
    return f"there {phrase}" if aspect.there and phrase not in aspect.facts else phrase


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


# ------------------------------------------------------------------------------------------------- examples


def generate(n: int, *, seed: int = 0) -> list[Example]:
    """``n`` caption pairs; the first ones are the same for every ``n``.

    The rows of a premise follow one another, one for each label in random order, so labels are balanced to ±1. Every
    premise is in one part only (``group`` is its text, and ``split`` follows from it). No premise comes twice before
    some hundred thousand pairs; past that, premises recur.

    True explanations have the source ``scenes``; the plainest comes first, then one to three others. Wrong ones are
    left out of `Example.references`: ``scenes/other-label`` argues for the label that it bears, while
    ``scenes/irrelevant`` (true of other scenes), ``scenes/copied`` (the hypothesis) and ``scenes/contradictory`` (a
    true reason denied) bear the empty label: they argue for none.

    Raises:
        ConfigError: ``n`` is less than 1.
    """
    if n < 1:
        raise ConfigError("scenes", expected="a number of pairs of 1 or more", found=str(n), fix="Ask for at least 1.")
    examples: list[Example] = []
    for premise, pairs in _premises(seed):
        for explanations, pair in pairs:
            number = len(examples)
            examples.append(
                Example(
                    id=f"scenes-{seed}-{number:06d}",
                    fields={"premise": premise, "hypothesis": pair.hypothesis},
                    label=pair.label,
                    explanations=tuple(explanations),
                    group=premise,
                    split=split_of(premise),
                )
            )
            if len(examples) == n:
                return examples
    raise AssertionError("unreachable: premises never end")


def _premises(seed: int) -> Iterator[tuple[str, list[tuple[list[Explanation], Pair]]]]:
    rng = random.Random(f"scenes {seed}")
    seen: set[str] = set()
    while True:
        scene = _draw_scene(rng)
        for _ in range(20):
            if scene.premise not in seen:
                break
            scene = _draw_scene(rng)
        seen.add(scene.premise)
        pairs = [_pair(scene, question) for question in rng.sample(scene.questions, len(LABELS))]
        yield (
            scene.premise,
            [(_true_explanations(rng, pair) + _wrong_explanations(rng, scene, pair), pair) for pair in pairs],
        )
