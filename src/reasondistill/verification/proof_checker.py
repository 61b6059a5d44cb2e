"""The checker: reads a proof and sees for itself that it is one. It shares no code with the prover, nor its lexicon.

It trusts its own reading of WordNet's table and of the relations, the forms that it is given beside the proof, and the
rules below; docs/verification.md states them. At most 300 lines, so that they can be read at one sitting.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise

from reasondistill.contracts.lexical_relations import Relations
from reasondistill.contracts.proofs import Condition, Evidence, Form, Proof, Step

FRAGMENTS = ("captions-1", "scenes-1")
SENSES = {"noun": ("n", 1), "verb": ("v", 1), "adjective": ("a", 1)}
"""The letter of a kind of word in the table, and how many of a word's first senses a proof may use."""


class _RefusedError(Exception):
    """The proof is none; the message says where it fails."""


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise _RefusedError(otherwise)


class Checker:
    """Checks proofs against one lexicon.

    Args:
        relations: laid over the table's.
        table: the lines of the pruned WordNet, sorted.
        content: the table's bytes, for the hash.
    """

    def __init__(self, relations: Relations, table: Sequence[str] = (), content: bytes = b"") -> None:
        self._relations, self._table = relations, table
        self._sha256 = hashlib.sha256(content + relations.model_dump_json().encode()).hexdigest()

    def refusal(self, proof: Proof, premise: Form, hypothesis: Form) -> str | None:
        """Why it is no proof of these two sentences; None for one that is."""
        try:
            self._check(proof, premise, hypothesis)
        except _RefusedError as refused:
            return str(refused)
        return None

    def _check(self, proof: Proof, premise: Form, hypothesis: Form) -> None:
        _require(proof.fragment in FRAGMENTS, "another fragment")
        _require(proof.lexicon_sha256 == self._sha256, "another lexicon")
        _require(proof.premise == premise and proof.hypothesis == hypothesis, "other sentences")
        for form in (premise, hypothesis):
            _check_form(form)
        _require(not hypothesis.skipped, "the hypothesis was not read whole")
        _require(not premise.skipped or premise.quantifier == "some", "a premise with a quantifier was read in part")
        kinds = premise.quantifier, hypothesis.quantifier
        if proof.conclusion == "neutral":
            self._check_neutral(proof)
            return
        if kinds == ("some", "some") and proof.conclusion == "contradiction":
            used = self._check_clash(proof)
        else:
            used = self._check_maps(proof, kinds)
        _require(list(proof.same) == sorted(used), "who is who is not what the steps use")
        needed = set().union(*(self._assumed(step) for step in proof.steps))
        if kinds == ("some", "some") and proof.conclusion == "contradiction":
            needed.add("same_scene")
        _require(list(proof.assumptions) == sorted(needed), "the assumptions are not those that the steps use")

    def _check_maps(self, proof: Proof, kinds: tuple[str, str]) -> set[tuple[int, int]]:
        """Each condition of one side follows from the other side; returns who is who, the hypothesis's first."""
        premise, hypothesis = proof.premise, proof.hypothesis
        of_premise = [("premise", k) for k in range(len(premise.conditions))]
        of_hypothesis = [("hypothesis", k) for k in range(len(hypothesis.conditions))]
        wanted = {
            ("some", "some", "entailment"): of_hypothesis,
            ("no", "no", "entailment"): of_premise,
            ("no", "some", "contradiction"): of_premise,
            ("some", "no", "contradiction"): of_hypothesis,
            ("every", "every", "entailment"): of_premise[: premise.restrictor] + of_hypothesis[hypothesis.restrictor :],
        }.get((*kinds, proof.conclusion))
        _require(wanted is not None, "no rule for these quantifiers")
        _require([(step.side, step.goal) for step in proof.steps] == wanted, "not one step for each condition")
        every = kinds == ("every", "every")
        pairs: set[tuple[int, int]] = {(0, 0)} if every else set()
        for step in proof.steps:
            if every:
                self._check_every(proof, step)
            paired = self._step_pairs(step, *_sides(step, premise, hypothesis))
            pairs |= paired if step.side == "hypothesis" else {(other, mine) for mine, other in paired}
        for side in {step.side for step in proof.steps}:
            at = 0 if side == "hypothesis" else 1
            goals = {of for step in proof.steps if step.side == side for of in _goal(step, premise, hypothesis).of}
            images = [[pair for pair in pairs if pair[at] == goal] for goal in goals]
            _require(all(len(image) == 1 for image in images), "one participant stands for two")
        return pairs

    def _check_neutral(self, proof: Proof) -> None:
        """In the closed world of scenes: the premise's scene lacks what the other says, and one of both is possible."""
        _require(proof.fragment == "scenes-1" and proof.same == ((0, 0),) and not proof.steps, "neutral is not proved")
        _require(proof.assumptions == ("closed_world", "same_scene"), "the assumptions are not those of neutral")
        forms = proof.premise, proof.hypothesis
        _require(all(c.of == (0,) for form in forms for c in form.conditions), "more than one participant")
        given, wanted = ([c.predicate for c in form.conditions] for form in forms)
        _require(not set(wanted) <= self._implied(given), "the hypothesis follows")
        both = self._implied([*given, *wanted])
        for members in self._relations.exclusive.values():
            _require(sum(bool(both & set(member)) for member in members) < 2, "both cannot hold")

    def _implied(self, predicates: list[str]) -> set[str]:
        implied = list(dict.fromkeys(predicates))
        for predicate in implied:  # grows
            implied += [wide for wide in self._relations.isa.get(predicate, ()) if wide not in implied]
        return set(implied)

    @staticmethod
    def _check_every(proof: Proof, step: Step) -> None:
        """What restricts follows from what restricts, and claims from claims, of their own participants."""
        premise, hypothesis = proof.premise, proof.hypothesis
        used = {k for evidence in step.evidence for k in evidence.conditions}
        if step.side == "premise":
            _require(all(k < hypothesis.restrictor for k in used), "evidence from outside what restricts")
            return
        _require(all(k >= premise.restrictor for k in used), "evidence from what restricts")
        for form, claimed in ((premise, used), (hypothesis, {step.goal})):
            bound = {of for condition in form.conditions[: form.restrictor] for of in condition.of} - {0}
            spoken_of = {of for k in claimed for of in form.conditions[k].of}
            _require(not bound & spoken_of, "a claim about what restricts")

    def _step_pairs(self, step: Step, goals: Form, givens: Form) -> set[tuple[int, int]]:
        """Check a step of the rules ``follows`` and ``members``; who of the goal is whom of the evidence."""
        goal = goals.conditions[step.goal]
        _require(step.name == "", "a name where there is no set")
        targets = [self._participants(evidence, givens, near=True) for evidence in step.evidence]
        _require(all(e.path[-1] == goal.predicate for e in step.evidence), "the evidence is of something else")
        if step.rule == "follows":
            _require(len(targets) == 1, "one piece of evidence was expected")
            image = targets[0]
        else:
            _require(step.rule == "members" and goal.kind != "number" and len(targets) > 1, "no such rule here")
            members = tuple(target[0] for target in targets)
            group = next((of for of, consists in givens.groups if consists == members), None)
            _require(group is not None, "no such group")
            _require(all(target[1:] == targets[0][1:] for target in targets), "members of different things")
            image = (group if group is not None else -1, *targets[0][1:])
        _require(len(image) == len(goal.of), "another number of participants")
        return set(zip(goal.of, image, strict=True))

    def _check_clash(self, proof: Proof) -> set[tuple[int, int]]:
        """Two pieces of evidence of one participant that exclude each other; returns who is who."""
        _require(len(proof.steps) == 1 and proof.steps[0].side == "hypothesis", "one step was expected")
        step = proof.steps[0]
        _require(len(step.evidence) == 2, "two pieces of evidence were expected")
        given, wanted = step.evidence
        of = self._participants(given, proof.premise, near=False)
        mine = self._participants(wanted, proof.hypothesis, near=False)
        _require(len(of) == len(mine) == 1, "the evidence is of two participants")
        _require(step.goal == wanted.conditions[0], "the goal is not in the evidence")
        first, second = given.path[-1], wanted.path[-1]
        if step.rule == "exclusive":
            _require(self._exclude(step.name, first, second), "the two do not exclude each other")
        else:
            _require(step.rule == "antonyms" and step.name == "", "no such rule here")
            _require(len(given.path) == len(wanted.path) == 1, "antonyms of something else")
            _require(self._antonyms(first, second), "not antonyms")
        self._check_same(proof, (mine[0], of[0]))
        return set(proof.same)

    def _check_same(self, proof: Proof, clashing: tuple[int, int]) -> None:
        """The subject is one of the premise's participants; an object is the one of the same relation to that."""
        _require(bool(proof.same) and proof.same[0][0] == 0, "the subject is nobody of the premise")
        subject = proof.same[0]
        if len(proof.same) == 1:
            _require(clashing == subject, "the clash is of others")
            return
        _require(len(proof.same) == 2 and clashing == proof.same[1] and clashing[0] != 0, "the clash is of others")
        mine = {c.predicate for c in proof.hypothesis.conditions if c.of == (0, clashing[0])}
        given = {c.predicate for c in proof.premise.conditions if c.of == (subject[1], clashing[1])}
        _require(bool(mine & given), "the objects have nothing in common")

    def _participants(self, evidence: Evidence, form: Form, *, near: bool) -> tuple[int, ...]:
        """Check a piece of evidence; whom it is of."""
        _require(all(k < len(form.conditions) for k in evidence.conditions), "no such condition")
        conditions = [form.conditions[k] for k in evidence.conditions]
        _require(bool(conditions) and bool(evidence.path), "no evidence")
        _require(evidence.path[0] == conditions[0].predicate, "the path begins with something else")
        self._check_never(evidence.path)
        if len(conditions) == 1:
            _require(not evidence.via, "a way to a place that is not there")
            self._check_path(evidence.path)
            return conditions[0].of
        _require(len(conditions) == 2, "more evidence than there are rules for")
        noun, at = conditions
        _require(noun.kind == "noun" and len(at.of) == 2 and at.of[1:] == noun.of, "nobody is there")
        *way, wide = evidence.path
        _require(bool(way) and way[-1] in self._relations.places.get(wide, ()), "no such place")
        self._check_path(tuple(way))
        ends = ("preposition at", "preposition near") if near else ("preposition at",)
        _require(
            bool(evidence.via) and evidence.via[0] == at.predicate and evidence.via[-1] in ends, "not at the place"
        )
        self._check_never(evidence.via)
        self._check_path(evidence.via)
        return at.of[:1]

    def _check_never(self, path: tuple[str, ...]) -> None:
        barred = self._relations.never.get(path[0], ())
        _require(not any(station in barred for station in path), "a relation that is ruled out")

    def _check_path(self, path: tuple[str, ...]) -> None:
        _require(len(set(path)) == len(path), "a path in a circle")
        for narrow, wide in pairwise(path):
            _require(self._edge(narrow, wide), f"{wide} does not follow from {narrow}")

    def _edge(self, narrow: str, wide: str) -> bool:
        """One step of a path: a relation, a word's first sense, a hypernym, a word of that first sense, a number."""
        if narrow.startswith("number ") or wide.startswith("number "):
            return _at_least(narrow.split(" "), wide.split(" "))
        if " " in narrow:
            return wide in self._relations.isa.get(narrow, ()) or wide in self._senses(narrow)
        if " " in wide:
            return narrow in self._senses(wide)
        return any(wide in row[2].split() for row in self._rows(narrow) if row[1] == ">")

    def _senses(self, predicate: str) -> list[str]:
        kind, _, word = predicate.partition(" ")
        letter, most = SENSES.get(kind, ("", 0))
        rows = [row for row in self._rows(word.replace(" ", "_")) if row[1] == letter]
        return rows[0][3].split()[:most] if rows else []

    def _rows(self, key: str) -> Iterator[list[str]]:
        place = bisect_left(self._table, key + "\t")
        while place < len(self._table) and self._table[place].startswith(key + "\t"):
            yield self._table[place].split("\t")
            place += 1

    def _exclude(self, name: str, first: str, second: str) -> bool:
        if name == "exact numbers":
            return first != second and all(p.startswith("number exactly ") for p in (first, second))
        members = self._relations.exclusive.get(name, ())
        mine = [k for k, member in enumerate(members) if first in member]
        others = [k for k, member in enumerate(members) if second in member]
        return len(mine) == len(others) == 1 and mine != others

    def _antonyms(self, first: str, second: str) -> bool:
        (kind, _, word), (other_kind, _, other) = first.partition(" "), second.partition(" ")
        letter = SENSES.get(kind, ("", 0))[0]
        rows = self._rows(word.replace(" ", "_"))
        known = any(row[1] == "!" and row[2] == letter and other.replace(" ", "_") in row[3].split() for row in rows)
        return kind == other_kind and known

    @staticmethod
    def _assumed(step: Step) -> set[str]:
        """By name, what a step takes for granted."""
        names: set[str] = set()
        for path in [path for evidence in step.evidence for path in (evidence.path, evidence.via)]:
            for narrow, wide in pairwise(path):
                if not narrow.startswith("number "):
                    names.add("relations" if " " in narrow and " " in wide else "first_senses")
        if step.rule == "exclusive":
            names.add(f"exclusive: {step.name}")
        if step.rule == "antonyms":
            names.add("antonyms: " + "/".join(evidence.path[-1].partition(" ")[2] for evidence in step.evidence))
        return names


def _at_least(given: list[str], wanted: list[str]) -> bool:
    """Whether "at least n" follows: from a number that is as large, exact or not."""
    if given[0] != "number" or wanted[0] != "number" or len(wanted) != 2:
        return False
    return given[-1].isdigit() and wanted[1].isdigit() and int(given[-1]) >= int(wanted[1])


def _sides(step: Step, premise: Form, hypothesis: Form) -> tuple[Form, Form]:
    """The form with the goals, and the one with the evidence."""
    return (hypothesis, premise) if step.side == "hypothesis" else (premise, hypothesis)


def _goal(step: Step, premise: Form, hypothesis: Form) -> Condition:
    return _sides(step, premise, hypothesis)[0].conditions[step.goal]


def _check_form(form: Form) -> None:
    """A form is a list of conditions on participants that are there."""
    there = set(range(len(form.participants)))
    for condition in form.conditions:
        most = 2 if condition.kind in ("verb", "preposition") else 1
        _require(1 <= len(condition.of) <= most and set(condition.of) <= there, "a condition of nobody")
    _require(bool(form.conditions), "a sentence that says nothing")
    _require(form.restrictor <= len(form.conditions), "more conditions restrict than there are")
    _require(form.quantifier == "every" or not form.restrictor, "only “every” restricts")
    for group, members in form.groups:
        _require(form.quantifier == "some" and group in there and set(members) <= there - {group}, "a group of nobody")
