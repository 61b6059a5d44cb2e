"""`scenes`: caption pairs with explanations, written by a small grammar. The quickstart's data, and every test's.

A caption says a few things about one scene::

    premise     A smiling woman in a wool coat is playing the guitar on a beach.
    hypothesis  A person is making music outdoors.
    label       entailment
    explained   Someone who is playing the guitar on a beach is making music outdoors.

Whatever a caption can say belongs to an *aspect* of the scene: who is there, where, doing what, with whom, what for.
The tables in ``world`` are the whole world: for each aspect, its predicates, what makes them true, and why; and in
``EXCLUSIVE``, what cannot hold together. The labels follow from them:

* entailment: the premise says something that makes the hypothesis true (a beach is outdoors);
* contradiction: it says something that rules the hypothesis out (nobody is asleep and awake);
* neutral: it leaves that aspect open (not everyone on a beach is celebrating).

The hypothesis alone gives nothing away. Three hypotheses, on three aspects, are drawn first, whatever their labels will
be; then a premise is written that entails the first, leaves the second open and rules the third out. So every predicate
occurs equally often under each label, and a student has to read both sentences.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

from reasondistill.contracts.records import Example
from reasondistill.data.scenes.drawing import Scene, draw_scene
from reasondistill.data.scenes.explaining import explanations_of, question_pair
from reasondistill.data.scenes.world import LABELS
from reasondistill.data.splits import split_of
from reasondistill.errors import ConfigError


def generate(n: int, *, seed: int = 0) -> list[Example]:
    """``n`` caption pairs; a smaller ``n`` gives the beginning of the same list.

    The three pairs of a premise follow one another in random order, one for each label, so that labels are balanced
    to ±1. ``group`` is the premise, and ``split`` follows from it: a premise is in one split only. No premise recurs
    in the first ten thousand pairs; the world has some tens of thousands of premises, and beyond that they do.

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
            pair = question_pair(scene, question)
            yield Example(
                id=f"scenes-{seed}-{next(number):06d}",
                fields={"premise": scene.premise, "hypothesis": pair.hypothesis},
                label=question.label,
                explanations=tuple(explanations_of(rng, scene, pair)),
                group=scene.premise,
                split=split_of(scene.premise),
            )


def _draw_unseen(rng: random.Random, seen: set[str]) -> Scene:
    """A scene whose premise is new, or a known one after 20 draws."""
    for _ in range(20):
        scene = draw_scene(rng)
        if scene.premise not in seen:
            break
    return scene
