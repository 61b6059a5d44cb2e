"""A proof as first-order logic for z3: both sentences, and only the laws that its steps name."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from reasondistill.contracts.proofs import Condition, Form, Proof


class Logic:
    """Translates one proof; z3's own expressions have no types."""

    def __init__(self, z3: Any, proof: Proof) -> None:
        self._z3, self._proof = z3, proof
        self._sort = z3.DeclareSort("participant")
        self._names = 0

    def holds(self) -> bool:
        """Whether the premise, the laws and the denied conclusion cannot hold together."""
        z3, proof = self._z3, self._proof
        solver = z3.Solver()
        solver.set("timeout", 10_000)
        solver.add(*self._laws())
        if proof.conclusion == "entailment":
            solver.add(self._sentence(proof.premise), z3.Not(self._sentence(proof.hypothesis)))
        elif "same_scene" in proof.assumptions:
            given, wanted = self._constants(proof.premise), self._constants(proof.hypothesis)
            solver.add(self._body(proof.premise, proof.premise.conditions, given))
            solver.add(self._body(proof.hypothesis, proof.hypothesis.conditions, wanted))
            solver.add(*(wanted[mine] == given[other] for mine, other in proof.same))
        else:
            solver.add(self._sentence(proof.premise), self._sentence(proof.hypothesis))
        return bool(solver.check() == z3.unsat)

    def _predicate(self, name: str, *of: Any) -> Any:
        return self._z3.Function(f"{name}/{len(of)}", *[self._sort] * len(of), self._z3.BoolSort())(*of)

    def _constants(self, form: Form) -> list[Any]:
        self._names += 1
        return [self._z3.Const(f"x{self._names}_{k}", self._sort) for k in range(len(form.participants))]

    def _body(self, form: Form, conditions: tuple[Condition, ...], who: list[Any]) -> Any:
        parts = [self._predicate(c.predicate, *(who[of] for of in c.of)) for c in conditions]
        return self._z3.And(*parts, *(law for g, members in form.groups for law in self._group(who, g, members)))

    def _group(self, who: list[Any], group: int, members: tuple[int, ...]) -> list[Any]:
        z3, laws = self._z3, []
        for step in self._proof.steps:
            if step.rule == "members":
                goal = self._proof.hypothesis.conditions[step.goal]
                rest = [z3.Const(f"y{k}", self._sort) for k in range(len(goal.of) - 1)]
                each = z3.And(*(self._predicate(goal.predicate, who[member], *rest) for member in members))
                law = z3.Implies(each, self._predicate(goal.predicate, who[group], *rest))
                laws.append(z3.ForAll(rest, law) if rest else law)
        return laws

    def _sentence(self, form: Form) -> Any:
        z3, who = self._z3, self._constants(form)
        if form.quantifier != "every":
            some = z3.Exists(who, self._body(form, form.conditions, who))
            return some if form.quantifier == "some" else z3.Not(some)
        restricting = form.conditions[: form.restrictor]
        bound = sorted({0} | {of for condition in restricting for of in condition.of})
        free = [x for k, x in enumerate(who) if k not in bound]
        claim = self._body(form, form.conditions[form.restrictor :], who)
        claim = z3.Exists(free, claim) if free else claim
        return z3.ForAll([who[k] for k in bound], z3.Implies(self._body(form, restricting, who), claim))

    def _laws(self) -> list[Any]:
        z3 = self._z3
        x, y = z3.Const("x", self._sort), z3.Const("y", self._sort)
        laws: list[Any] = []
        for step in self._proof.steps:
            for evidence in step.evidence:
                way = evidence.path[:-1] if evidence.via else evidence.path
                for path in (way, evidence.via):
                    for narrow, wide in pairwise(path):
                        laws += [
                            z3.ForAll([x], z3.Implies(self._predicate(narrow, x), self._predicate(wide, x))),
                            z3.ForAll([x, y], z3.Implies(self._predicate(narrow, x, y), self._predicate(wide, x, y))),
                        ]
                if evidence.via:
                    there = z3.And(self._predicate(evidence.via[-1], x, y), self._predicate(way[-1], y))
                    laws.append(z3.ForAll([x, y], z3.Implies(there, self._predicate(evidence.path[-1], x))))
            if step.rule in ("exclusive", "antonyms"):
                one, other = (evidence.path[-1] for evidence in step.evidence)
                laws.append(z3.ForAll([x], z3.Not(z3.And(self._predicate(one, x), self._predicate(other, x)))))
        return laws
