"""A proof, or a counter-model, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

from reasondistill.contracts.proofs import Condition, CounterModel, Evidence, Form, Proof, Step

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def explanation_of(proof: Proof, hypothesis: str) -> str:
    """The proof as an explanation of its label, in one sentence."""
    if proof.conclusion == "contradiction":
        return _contradiction(proof)
    reasons = list(dict.fromkeys(reason for step in proof.steps for reason in _reasons(proof, step)))
    claim = _inside(hypothesis)
    if not reasons:
        return f"The premise says so, among other things: {claim}."
    return _sentence(f"{_listed(reasons)}, so it follows that {claim}")


def proof_lines(proof: Proof) -> list[str]:
    """The proof step by step, each line a sentence."""
    premise, hypothesis = proof.premise, proof.hypothesis
    lines = [
        f"“{hypothesis.participants[mine]}” is “{premise.participants[other]}” of the premise."
        for mine, other in proof.same
    ]
    for step in proof.steps:
        lines += [f"{_sentence(reason)}" for reason in _reasons(proof, step)]
    if proof.conclusion == "contradiction":
        lines.append(_contradiction(proof))
    if proof.assumptions:
        lines.append(f"Assumed: {'; '.join(proof.assumptions)}.")
    return lines


def counter_text(model: CounterModel, hypothesis: Form) -> str:
    """The scene in which the premise holds and the hypothesis does not, as a sentence."""
    groups = {" and ".join(pair) for pair in permutations(model.participants, 2)}
    who = _listed([name for name in model.participants if name not in groups]) or "those of the premise"
    scene = f"There may be a scene with {who}, just as the premise says, in which"
    if not model.missing:
        return f"{scene} these things are not true of the same ones, and so the hypothesis does not hold."
    missing = [_absence(hypothesis.conditions[k], hypothesis) for k in model.missing[:2]]
    return f"{scene} {_listed(missing)}."


def _absence(condition: Condition, form: Form) -> str:
    names = [form.participants[of] for of in condition.of]
    if condition.kind == "noun":
        return f"nothing is {_with_article(condition.word)}"
    if len(names) == 1:
        return f"{_definite(names[0])} {_is(condition, form)} not {_said(condition.predicate)}"
    return f"{_definite(names[0])} {_is(condition, form)} not {_said(condition.predicate)} {_definite(names[1])}"


def _reasons(proof: Proof, step: Step) -> Iterator[str]:
    """What the paths of a step say, "a violin is an instrument"; nothing for the same word."""
    given = proof.premise if step.side == "hypothesis" else proof.hypothesis
    for place, evidence in enumerate(step.evidence):
        form = proof.hypothesis if proof.conclusion == "contradiction" and place == 1 else given
        if len(evidence.conditions) == 2:
            noun, at = (form.conditions[k] for k in evidence.conditions)
            yield f"whoever is {_said(at.predicate)} {_with_article(noun.word)} is {_said(evidence.path[-1])}"
        elif evidence.path[0] != evidence.path[-1] and not evidence.path[0].startswith("number "):
            yield _implies(evidence)
        elif evidence.path[0] != evidence.path[-1] and len(step.evidence) == 1:
            yield f"{_said(evidence.path[0])} are at least {_said(evidence.path[-1])}"


def _implies(evidence: Evidence) -> str:
    first, last = evidence.path[0], evidence.path[-1]
    kinds = first.split(" ")[0], last.split(" ")[0]
    if kinds == ("noun", "noun"):
        return f"{_with_article(first.split(' ', 1)[1])} is {_with_article(last.split(' ', 1)[1])}"
    if kinds[0] == "preposition" or (kinds[0], kinds[1]) == ("verb", "preposition"):
        return f"to be {_said(first)} something is to be {_said(last)} it"
    if kinds[0] == "noun":
        return f"{_with_article(first.split(' ', 1)[1])} is {_said(last)}"
    return f"to be {_said(first)} is to be {_said(last)}"


def _contradiction(proof: Proof) -> str:
    step = proof.steps[0]
    if step.rule not in ("exclusive", "antonyms"):  # "no" against "some"
        reasons = list(dict.fromkeys(reason for each in proof.steps for reason in _reasons(proof, each)))
        because = f"{_listed(reasons)}, and " if reasons else ""
        return _sentence(f"{because}one sentence says that there is none of what the other one says there is")
    paths = [evidence.path for evidence in step.evidence]
    if all(
        path[0].startswith("noun ") and len(evidence.conditions) == 1
        for path, evidence in zip(paths, step.evidence, strict=True)
    ):
        return _sentence(f"{_said(paths[0][0])} is not {_said(paths[1][0])}")
    of = proof.hypothesis.conditions[step.evidence[1].conditions[-1]].of[0]
    who = _definite(proof.hypothesis.participants[of])
    both = [_condition_said(form, evidence) for form, evidence in zip(
        (proof.premise, proof.hypothesis), step.evidence, strict=True
    )]  # fmt: skip
    return _sentence(f"{who} cannot be {both[0]} and {both[1]} at the same time")


def _condition_said(form: Form, evidence: Evidence) -> str:
    if len(evidence.conditions) == 2:
        noun, at = (form.conditions[k] for k in evidence.conditions)
        return f"{_said(at.predicate)} {_with_article(noun.word)}"
    return _said(evidence.path[0])


def _said(predicate: str) -> str:
    """A predicate as it follows "is": a dog, running, in, at least two."""
    kind, _, word = predicate.partition(" ")
    if kind == "noun":
        return _with_article(word)
    if kind == "verb":
        return word.removeprefix("be ") if word.startswith("be ") else _ing(word)
    if kind == "number":
        exact, number = word.startswith("exactly"), word.split()[-1]
        named = _NUMBERS[int(number)] if number.isdigit() and int(number) < len(_NUMBERS) else number
        return f"exactly {named}" if exact else named
    return word.replace("-", " ") if kind == "preposition" else word


def _is(condition: Condition, form: Form) -> str:
    subject = condition.of[0]
    plural = any(c.kind == "number" and c.word != "exactly 1" and c.of == (subject,) for c in form.conditions)
    return "are" if plural else "is"


def _ing(verb: str) -> str:
    first, _, rest = verb.partition(" ")
    if first.endswith("ie"):
        form = first[:-2] + "ying"
    elif first.endswith("e") and not first.endswith(("ee", "oe", "ye")):
        form = first[:-1] + "ing"
    elif _doubles(first):
        form = first + first[-1] + "ing"
    else:
        form = first + "ing"
    return f"{form} {rest}".strip()


def _doubles(verb: str) -> bool:
    vowels = "aeiou"
    short = len(verb) > 2 and verb[-1] not in vowels + "wxy" and verb[-2] in vowels and verb[-3] not in vowels
    return short and sum(letter in vowels for letter in verb) == 1


def _with_article(noun: str) -> str:
    if noun.endswith("s") and not noun.endswith("ss"):
        return noun
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


def _definite(name: str) -> str:
    first, _, rest = name.partition(" ")
    return f"the {rest}" if first in ("a", "an", "the", "some") and rest else f"the {name}" if name else "it"


def _inside(text: str) -> str:
    """A sentence as a clause of another."""
    text = text.strip().rstrip(".")
    first = text.split(" ", 1)[0]
    keep = first == "I" or first[1:] != first[1:].lower()
    return text if keep else text[:1].lower() + text[1:]


def _listed(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}" if texts else ""


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
