"""Random sentences of the fragment over a small vocabulary, and all small models of them: nothing of the prover's.

A model is a choice of which ground atoms hold over a domain of two; all models are looked at at once, as the entries of
boolean arrays.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from reasondistill.contracts.lexical_relations import Relations
from reasondistill.contracts.proofs import Condition, Form, Kind, Proof

Models = NDArray[np.bool_]

CHAIN = Relations(
    isa={
        "noun poodle": ("noun dog",), "noun dog": ("noun animal",), "verb jog": ("verb run",),
        "verb run": ("verb move",), "preposition in": ("preposition at",), "preposition at": ("preposition near",),
        "adjective tiny": ("adjective small",),
    },
    exclusive={"kinds": (("noun dog",), ("noun cat",)), "motion": (("verb move",), ("verb sleep", "adjective asleep"))},
    places={"adjective outdoors": ("noun park",)},
)  # fmt: skip
"""Relations without short cuts: a path between two predicates is the only one."""

_UNARY = (
    "noun poodle", "noun dog", "noun animal", "noun cat", "noun park", "verb jog", "verb run", "verb move",
    "verb sleep", "adjective tiny", "adjective small", "adjective outdoors", "adjective asleep",
)  # fmt: skip
_BINARY = ("preposition in", "preposition at", "preposition near", "verb run")
_NUMBERS = ("number 2", "number 3", "number exactly 2", "number exactly 3")


def random_pair(rng: random.Random) -> tuple[Form, Form]:
    """Two sentences over few predicates; the second is often made of the first, so that there is something to prove."""
    unary = rng.sample(_UNARY, 4) + rng.sample(_NUMBERS, rng.choice([0, 0, 1, 2]))
    binary = rng.sample(_BINARY, rng.choice([0, 1, 1]))
    kind = rng.choice(["some"] * 6 + ["no", "every"])
    premise = _random_form(rng, unary, binary, kind)
    if rng.random() < 0.7:
        return premise, _changed(rng, premise, unary)
    return premise, _random_form(rng, unary, binary, rng.choice(["some", "some", "no", "every"]))


def _random_form(rng: random.Random, unary: Sequence[str], binary: Sequence[str], quantifier: str) -> Form:
    n = rng.choice([1, 2, 2])
    conditions = [_condition(rng.choice(unary), rng.randrange(n)) for _ in range(rng.randint(1, 4))]
    if binary and n == 2:
        conditions += [_condition(rng.choice(binary), *rng.sample(range(2), 2)) for _ in range(rng.randint(0, 2))]
    if binary and n == 2 and rng.random() < 0.3:
        conditions += [_condition("noun park", 1), _condition(binary[0], 0, 1)]
    rng.shuffle(conditions)
    groups: tuple[tuple[int, tuple[int, ...]], ...] = ()
    if quantifier == "some" and n == 2 and rng.random() < 0.3:
        conditions.append(_condition("number 2", 2))
        groups, n = ((2, (0, 1)),), 3
    unique = tuple(dict.fromkeys(conditions))
    restrictor = rng.randint(1, len(unique)) if quantifier == "every" else 0
    names = tuple(f"x{k}" for k in range(n))
    form = Form(participants=names, conditions=unique, restrictor=restrictor, groups=groups)
    return form.model_copy(update={"quantifier": quantifier})


def _changed(rng: random.Random, form: Form, unary: Sequence[str]) -> Form:
    """The same with conditions left out, widened, added or given to others."""
    conditions = list(form.conditions)
    for _ in range(rng.randint(0, 2)):
        if len(conditions) > 1:
            conditions.pop(rng.randrange(len(conditions)))
    for k, condition in enumerate(conditions):
        wider = CHAIN.isa.get(condition.predicate)
        if wider and rng.random() < 0.5:
            conditions[k] = _condition(wider[0], *condition.of)
    if any(condition.predicate == "noun park" for condition in form.conditions) and rng.random() < 0.5:
        conditions = [_condition("adjective outdoors", 0)]
    if rng.random() < 0.4:
        conditions.append(_condition(rng.choice(unary), rng.randrange(len(form.participants))))
    if form.groups and rng.random() < 0.7:
        conditions = [
            _condition(c.predicate, 2, *c.of[1:]) if c.of[0] == 0 and 2 not in c.of else c for c in conditions
        ]
    unique = tuple(dict.fromkeys(conditions))
    restrictor = min(max(form.restrictor, 1), len(unique)) if form.quantifier == "every" else 0
    quantifier = "no" if form.quantifier == "some" and rng.random() < 0.1 else form.quantifier
    return form.model_copy(
        update={"conditions": unique, "groups": (), "restrictor": restrictor, "quantifier": quantifier}
    )


def _condition(predicate: str, *of: int) -> Condition:
    kind, _, word = predicate.partition(" ")
    known: dict[str, Kind] = {k: k for k in ("noun", "adjective", "verb", "preposition", "number")}
    return Condition(kind=known[kind], word=word, of=of)


class TooManyError(Exception):
    """There are too many models to look at all."""


class SmallModels:
    """All models of some predicates over a domain of ``size``, in which the relations hold.

    Raises:
        TooManyError: there are more than two to the power of ``most``.
    """

    def __init__(self, forms: Sequence[Form], relations: Relations, size: int = 2, most: int = 14) -> None:
        self._domain = range(size)
        atoms = {(c.predicate, len(c.of)) for form in forms for c in form.conditions}
        while (
            more := {(wide, arity) for predicate, arity in atoms for wide in relations.isa.get(predicate, ())} - atoms
        ):  # all that follows, so that the relations say something
            atoms |= more
        self._predicates = sorted(atoms)
        ground = [(p, xs) for p, arity in self._predicates for xs in itertools.product(self._domain, repeat=arity)]
        if len(ground) > most:
            raise TooManyError
        numbers = np.arange(2 ** len(ground))
        self._holds: dict[tuple[str, tuple[int, ...]], Models] = {
            atom: (numbers >> place) & 1 == 1 for place, atom in enumerate(ground)
        }
        self._none: Models = np.zeros(2 ** len(ground), dtype=bool)
        self._possible = ~self._none
        for law in self._laws(relations):
            self._possible &= law

    def _atom(self, predicate: str, xs: tuple[int, ...]) -> Models:
        return self._holds.get((predicate, xs), self._none)

    def _laws(self, relations: Relations) -> Iterator[Models]:
        names = {predicate for predicate, _ in self._predicates}
        for predicate, arity in self._predicates:
            for wide in relations.isa.get(predicate, ()):
                for xs in itertools.product(self._domain, repeat=arity):
                    yield ~self._atom(predicate, xs) | self._atom(wide, xs)
        for members in relations.exclusive.values():
            for one, other in itertools.combinations(members, 2):
                for x, p, q in itertools.product(self._domain, one, other):
                    yield ~(self._atom(p, (x,)) & self._atom(q, (x,)))
        for wide, nouns in relations.places.items():
            for noun, at in itertools.product(nouns, ("preposition at", "preposition near")):
                for x, y in itertools.product(self._domain, repeat=2):
                    if wide in names:
                        yield ~(self._atom(at, (x, y)) & self._atom(noun, (y,))) | self._atom(wide, (x,))
        yield from self._number_laws([name for name in names if name.startswith("number ")])

    def _number_laws(self, numbers: list[str]) -> Iterator[Models]:
        for one, other, x in itertools.product(numbers, numbers, self._domain):
            given, wanted = one.split()[-1], other.split()[-1]
            if "exactly" not in other and int(given) >= int(wanted):
                yield ~self._atom(one, (x,)) | self._atom(other, (x,))
            if "exactly" in one and "exactly" in other and given != wanted:
                yield ~(self._atom(one, (x,)) & self._atom(other, (x,)))

    def _body(self, form: Form, conditions: Sequence[Condition], who: Sequence[int]) -> Models:
        holds = self._possible.copy()
        for condition in conditions:
            holds &= self._atom(condition.predicate, tuple(who[of] for of in condition.of))
        for group, members in form.groups:  # what holds of each member, with the same others, holds of the group
            for predicate, arity in self._predicates:
                if not predicate.startswith("number "):
                    for rest in itertools.product(self._domain, repeat=arity - 1):
                        each = [self._atom(predicate, (who[member], *rest)) for member in members]
                        holds &= ~reduce(np.logical_and, each) | self._atom(predicate, (who[group], *rest))
        return holds

    def _some(self, form: Form, conditions: Sequence[Condition], fixed: dict[int, int]) -> Models:
        holds = self._none.copy()
        for who in itertools.product(self._domain, repeat=len(form.participants)):
            if all(who[k] == x for k, x in fixed.items()):
                holds |= self._body(form, conditions, who)
        return holds

    def true(self, form: Form) -> Models:
        """The models in which a sentence holds."""
        if form.quantifier == "some":
            return self._some(form, form.conditions, {})
        if form.quantifier == "no":
            return self._possible & ~self._some(form, form.conditions, {})
        restricting = form.conditions[: form.restrictor]
        bound = sorted({0} | {of for condition in restricting for of in condition.of})
        holds = self._possible.copy()
        for xs in itertools.product(self._domain, repeat=len(bound)):
            fixed = dict(zip(bound, xs, strict=True))
            who = [fixed.get(k, 0) for k in range(len(form.participants))]
            claimed = self._some(form, form.conditions[form.restrictor :], fixed)
            holds &= ~self._body(form, restricting, who) | claimed
        return holds

    def refutes(self, proof: Proof) -> bool:
        """Whether some model shows that the proof's conclusion does not follow."""
        premise, hypothesis = proof.premise, proof.hypothesis
        if proof.conclusion == "entailment":
            return bool((self.true(premise) & ~self.true(hypothesis)).any())
        if "same_scene" not in proof.assumptions:
            return bool((self.true(premise) & self.true(hypothesis)).any())
        for xs in itertools.product(self._domain, repeat=len(proof.same)):
            mine = {h: x for (h, _), x in zip(proof.same, xs, strict=True)}
            other = {p: x for (_, p), x in zip(proof.same, xs, strict=True)}
            both = self._some(premise, premise.conditions, other) & self._some(hypothesis, hypothesis.conditions, mine)
            if both.any():
                return True
        return False
