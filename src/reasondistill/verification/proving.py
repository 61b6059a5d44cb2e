"""The search for a proof: a map of one sentence's participants to the other's, and a reason for each condition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from typing import Final, Literal, NamedTuple

from reasondistill.contracts.proofs import CounterModel, Evidence, Form, Proof, Rule, Side, Step
from reasondistill.verification.lexicon import OWN_EDGE, WORDNET_EDGE, Lexicon

_MOST_MAPS: Final = 2_000
"""Maps that are tried for a pair; captions need a handful."""

SAME_SCENE: Final = "same_scene"
_PERSON: Final = "noun person"
_PLURALS: Final = {
    "men": "man",
    "women": "woman",
    "people": "person",
    "children": "child",
    "another": "person",
    "others": "person",
}


class _Reason(NamedTuple):
    """What follows from conditions of one sentence: `Evidence` that is not yet written, and whom it is of."""

    conditions: tuple[int, ...]
    path: tuple[str, ...]
    via: tuple[str, ...]
    of: tuple[int, ...]

    def evidence(self) -> Evidence:
        return Evidence(conditions=self.conditions, path=self.path, via=self.via)


class _Support(NamedTuple):
    """What makes a condition hold, and which participants of the goal's form are which of the other's."""

    goal: int
    rule: Rule
    reasons: tuple[_Reason, ...]
    pairs: tuple[tuple[int, int], ...]

    def step(self, side: Side) -> Step:
        evidence = tuple(reason.evidence() for reason in self.reasons)
        return Step(side=side, goal=self.goal, rule=self.rule, evidence=evidence)


class _Outcome(NamedTuple):
    conclusion: Literal["entailment", "contradiction"]
    same: set[tuple[int, int]]
    steps: list[Step]
    same_scene: bool = False


def prove(premise: Form, hypothesis: Form, lexicon: Lexicon, fragment: str) -> Proof | None:
    """A proof that the hypothesis follows, else one that both cannot hold; None where there is none."""
    search = _Search(premise, hypothesis, lexicon)
    outcome = search.entailment() or search.contradiction()
    if outcome is None:
        return None
    assumed = {SAME_SCENE} if outcome.same_scene else set()
    return Proof(
        fragment=fragment,
        lexicon_sha256=lexicon.sha256,
        assumptions=tuple(sorted(assumed.union(*map(_assumptions, outcome.steps)))),
        premise=premise,
        hypothesis=hypothesis,
        same=tuple(sorted(outcome.same)),
        steps=tuple(outcome.steps),
        conclusion=outcome.conclusion,
    )


def _assumptions(step: Step) -> set[str]:
    """What a step's paths and sets take for granted."""
    names: set[str] = set()
    for evidence in step.evidence:
        for path in (evidence.path, evidence.via):
            for one, following in pairwise(path):
                if not one.startswith("number "):
                    names.add(OWN_EDGE if " " in one and " " in following else WORDNET_EDGE)
    if step.rule == "exclusive":
        names.add(f"exclusive: {step.name}")
    elif step.rule == "antonyms":
        words = (evidence.path[-1].split(" ", 1)[1] for evidence in step.evidence)
        names.add(f"antonyms: {'/'.join(words)}")
    return names


class _Search:
    def __init__(self, premise: Form, hypothesis: Form, lexicon: Lexicon) -> None:
        self.premise, self.hypothesis, self.lexicon = premise, hypothesis, lexicon

    def entailment(self) -> _Outcome | None:
        kinds = self.premise.quantifier, self.hypothesis.quantifier
        if kinds == ("some", "some"):
            return self._outcome("entailment", "hypothesis")
        if kinds == ("no", "no"):
            return self._outcome("entailment", "premise")
        return self._every() if kinds == ("every", "every") else None

    def contradiction(self) -> _Outcome | None:
        kinds = self.premise.quantifier, self.hypothesis.quantifier
        if kinds == ("no", "some"):
            return self._outcome("contradiction", "premise")
        if kinds == ("some", "no"):
            return self._outcome("contradiction", "hypothesis")
        return self._same_scene() if kinds == ("some", "some") else None

    def _outcome(self, conclusion: Literal["entailment", "contradiction"], side: Side) -> _Outcome | None:
        """All conditions of one side follow from the other."""
        goal, given = self._sides(side)
        mapped = self._map(side, range(len(goal.conditions)), range(len(given.conditions)))
        if mapped is None:
            return None
        return _Outcome(conclusion, _pairs(mapped, side), [support.step(side) for support in mapped])

    def _every(self) -> _Outcome | None:
        """Every A is B: whom the hypothesis restricts, the premise does, and what it says of them suffices."""
        premise, hypothesis = self.premise, self.hypothesis
        restricted = self._map("premise", range(premise.restrictor), range(hypothesis.restrictor), root=True)
        if restricted is None:
            return None
        rest = range(hypothesis.restrictor, len(hypothesis.conditions))
        claimed = range(premise.restrictor, len(premise.conditions))
        scope = self._map("hypothesis", rest, claimed, root=True)
        bound = [{of for c in form.conditions[: form.restrictor] for of in c.of} for form in (hypothesis, premise)]
        if scope is None or any(
            mine in bound[0] or other in bound[1] for mine, other in _pairs(scope, "hypothesis") - {(0, 0)}
        ):
            return None
        steps = [support.step("premise") for support in restricted] + [support.step("hypothesis") for support in scope]
        return _Outcome("entailment", {(0, 0)} | _pairs(restricted, "premise") | _pairs(scope, "hypothesis"), steps)

    def _sides(self, side: Side) -> tuple[Form, Form]:
        """The form that has the goals, and the one that has the evidence."""
        return (self.premise, self.hypothesis) if side == "premise" else (self.hypothesis, self.premise)

    def _map(self, side: Side, goals: range, givens: range, *, root: bool = False) -> list[_Support] | None:
        """Supports of all goals that agree on who is who; ``root``: participant 0 is participant 0."""
        goal_form, given_form = self._sides(side)
        options: list[list[_Support]] = []
        for goal in goals:
            supports = list(self.supports(goal, goal_form, given_form, givens))
            if not supports:
                return None
            options.append(supports)
        options.sort(key=len)
        self._budget = _MOST_MAPS
        chosen: list[_Support] = []
        if not self._choose(options, chosen, {0: 0} if root else {}):
            return None
        return sorted(chosen, key=lambda support: support.goal)

    def _choose(self, options: Sequence[Sequence[_Support]], chosen: list[_Support], image: dict[int, int]) -> bool:
        if len(chosen) == len(options):
            return True
        self._budget -= 1
        if self._budget < 0:
            return False
        for support in options[len(chosen)]:
            added: list[int] = []
            for mine, other in support.pairs:
                if mine in image:
                    if image[mine] != other:
                        break
                elif other in image.values():  # two of one sentence are two of the other
                    break
                else:
                    image[mine] = other
                    added.append(mine)
            else:
                chosen.append(support)
                if self._choose(options, chosen, image):
                    return True
                chosen.pop()
            for mine in added:
                del image[mine]
        return False

    def supports(self, goal: int, goal_form: Form, given_form: Form, givens: range) -> Iterator[_Support]:
        """All that makes a condition hold."""
        wanted = goal_form.conditions[goal]
        reasons = list(self._reasons(wanted.predicate, len(wanted.of), given_form, givens))
        for reason in reasons:
            yield _Support(goal, "follows", (reason,), tuple(zip(wanted.of, reason.of, strict=True)))
        if wanted.kind != "number":
            for group, members in given_form.groups:
                yield from self._of_group(goal, wanted.of, reasons, group, members)

    def _of_group(
        self, goal: int, of: tuple[int, ...], reasons: list[_Reason], group: int, members: tuple[int, ...]
    ) -> Iterator[_Support]:
        """The same holds of each member as subject, with the same others."""
        others = {reason.of[1:] for reason in reasons if reason.of[0] == members[0]}
        for rest in sorted(others):
            each = [next((r for r in reasons if r.of == (member, *rest)), None) for member in members]
            held = tuple(reason for reason in each if reason is not None)
            if len(held) == len(members):
                yield _Support(goal, "members", held, tuple(zip(of, (group, *rest), strict=True)))

    def _reasons(self, wanted: str, participants: int, form: Form, givens: range) -> Iterator[_Reason]:
        path_to = self.lexicon.path
        for place in givens:
            given = form.conditions[place]
            if len(given.of) == participants and (path := path_to(given.predicate, wanted)):
                yield _Reason((place,), path, (), given.of)
        if participants == 1 and wanted in self.lexicon.relations.places:
            yield from self._placed(wanted, form, givens, near=True)

    def _placed(self, wanted: str, form: Form, givens: range, *, near: bool) -> Iterator[_Reason]:
        """Who is at a place that makes them so."""
        for where in givens:
            at = form.conditions[where]
            if len(at.of) != 2:
                continue
            for place in givens:
                noun = form.conditions[place]
                if noun.kind == "noun" and noun.of == at.of[1:]:
                    paths = self.lexicon.at_place(noun.predicate, at.predicate, wanted, near=near)
                    if paths is not None:
                        yield _Reason((place, where), *paths, at.of[:1])

    def _same_scene(self) -> _Outcome | None:
        """Evidence of one participant on both sides that cannot both hold, if the sentences show one scene."""
        for same in self._counterparts():
            mine, other = same[-1]
            for place, clash in self._clashes(other, mine):
                step = Step(
                    goal=place,
                    rule=clash[0],
                    evidence=(clash[2].evidence(), clash[3].evidence()),
                    name=clash[1],
                )
                return _Outcome("contradiction", set(same), [step], same_scene=True)
        return None

    def _clashes(self, other: int, mine: int) -> Iterator[tuple[int, tuple[Rule, str, _Reason, _Reason]]]:
        claims = [list(self._claims(form, of)) for form, of in ((self.premise, other), (self.hypothesis, mine))]
        predicates = [[reason.path[-1] for reason in side] for side in claims]
        for given, wanted in product(*claims):
            clash = self.lexicon.clash(given.path[-1], wanted.path[-1])
            if (
                clash is not None
                and not self._also(predicates[0], clash.second[-1])
                and not self._also(predicates[1], clash.first[-1])
            ):
                first = given._replace(path=(*given.path[:-1], *clash.first))
                second = wanted._replace(path=(*wanted.path[:-1], *clash.second))
                yield wanted.conditions[0], (clash.rule, clash.name, first, second)

    def _also(self, said: Sequence[str], member: str) -> bool:
        """Whether the same sentence says the other side of a clash, too, as "black and white" does."""
        return any(self.lexicon.path(claim, member) for claim in said)

    def _claims(self, form: Form, participant: int) -> Iterator[_Reason]:
        """What a sentence says of one participant alone, and what its place makes it."""
        everything = range(len(form.conditions))
        for place in everything:
            condition = form.conditions[place]
            if condition.of == (participant,):
                yield _Reason((place,), (condition.predicate,), (), condition.of)
        for wide in self.lexicon.relations.places:
            placed = self._placed(wide, form, everything, near=False)
            yield from (reason for reason in placed if reason.of == (participant,))

    def _counterparts(self) -> Iterator[list[tuple[int, int]]]:
        """Who of the hypothesis is whom of the premise, where only one can be meant: its subject, then its objects."""
        mine, others = _nouns(self.hypothesis), _nouns(self.premise)
        fitting = self._fitting(mine.get(0, ()), others)
        if len(fitting) != 1 or self._others_act() or self._skips_one(mine.get(0, ())):
            return
        subject = (0, fitting[0])
        yield [subject]
        for wanted in self.hypothesis.conditions:
            if len(wanted.of) == 2 and wanted.of[0] == 0:
                objects = {
                    given.of[1]
                    for given in self.premise.conditions
                    if given.predicate == wanted.predicate and len(given.of) == 2 and given.of[0] == fitting[0]
                }
                fit = [other for other in sorted(objects) if self._fit(mine[wanted.of[1]], others[other])]
                if len(fit) == 1:
                    yield [subject, (wanted.of[1], fit[0])]

    def _fitting(self, nouns: Sequence[str], others: dict[int, list[str]]) -> list[int]:
        """Who of the premise the hypothesis's subject may be: those of the same noun, else those whom it could be."""
        named = [other for other in others if set(nouns) & set(others[other])]
        related = [
            other
            for other in others
            if any(self.lexicon.path(a, b) or self.lexicon.path(b, a) for a in nouns for b in others[other])
        ]
        return named or related or [other for other in others if self._fit(nouns, others[other])]

    def _others_act(self) -> bool:
        """Whether the hypothesis has several subjects: then the first need not be the premise's."""
        return any(condition.kind == "verb" and condition.of[0] for condition in self.hypothesis.conditions)

    def _skips_one(self, nouns: Sequence[str]) -> bool:
        """Whether what was not read of the premise speaks of somebody whom the hypothesis may mean."""
        words = {word.removesuffix("s") for word in self.premise.skipped} | set(self.premise.skipped)
        return any(self._fit(nouns, [f"noun {_PLURALS.get(word, word)}"]) for word in words)

    def _fit(self, mine: Sequence[str], others: Sequence[str]) -> bool:
        """Whether two participants may be the same, or would be if they did not exclude each other."""
        lexicon = self.lexicon
        return any(
            lexicon.path(a, b)
            or lexicon.path(b, a)
            or lexicon.clash(b, a)
            or (lexicon.path(a, _PERSON) and lexicon.path(b, _PERSON))
            for a in mine
            for b in others
        )


def _pairs(mapped: Sequence[_Support], side: Side) -> set[tuple[int, int]]:
    """Who is who, the hypothesis's participant first."""
    pairs = {pair for support in mapped for pair in support.pairs}
    return pairs if side == "hypothesis" else {(other, mine) for mine, other in pairs}


def _nouns(form: Form) -> dict[int, list[str]]:
    nouns: dict[int, list[str]] = defaultdict(list)
    for condition in form.conditions:
        if condition.kind == "noun":
            nouns[condition.of[0]].append(condition.predicate)
    return nouns


def counter_model(premise: Form, hypothesis: Form, lexicon: Lexicon) -> CounterModel | None:
    """The premise's own scene, with all that it makes true of what the hypothesis speaks of.

    It is one only where the hypothesis was not proved. None where the premise was read in part, or a sentence is not
    about some participants: then this scene would not be one of all that the sentences say.
    """
    if premise.skipped or premise.quantifier != "some" or hypothesis.quantifier != "some":
        return None
    search = _Search(premise, hypothesis, lexicon)
    givens = range(len(premise.conditions))
    facts = dict.fromkeys(premise.conditions)
    missing: list[int] = []
    for goal, wanted in enumerate(hypothesis.conditions):
        supports = list(search.supports(goal, hypothesis, premise, givens))
        if not supports:
            missing.append(goal)
        for support in supports:
            facts[wanted.model_copy(update={"of": tuple(other for _, other in support.pairs)})] = None
    return CounterModel(participants=premise.participants, facts=tuple(facts), missing=tuple(missing), text="")
