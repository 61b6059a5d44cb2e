"""Soundness: what the checker accepts holds in every small model and for z3, and changed proofs are refused."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from logic_of_proofs import Logic
from reasondistill.contracts.proofs import Proof
from reasondistill.verification import PairProver
from reasondistill.verification.lexicon import Lexicon
from reasondistill.verification.proof_checker import Checker
from reasondistill.verification.proving import prove
from small_models import CHAIN, SmallModels, TooManyError, random_pair

SEEDS = st.integers(0, 2**32)
LEXICON, CHECKER = Lexicon(CHAIN), Checker(CHAIN)

CAPTIONS = [
    ("A man plays the violin in a park.", "A man plays an instrument outdoors."),
    ("A black dog and a white dog are running.", "Two animals are running."),
    ("Three women in red shirts are sitting on a bench.", "Women are sitting."),
    ("A boy is asleep on a couch.", "A child is indoors."),
    ("A girl is walking on the beach.", "The girl is asleep."),
    ("A woman in a red shirt rides a bike.", "A woman is wearing a blue shirt."),
    ("A man is playing the guitar.", "A man is playing the drums."),
    ("Every dog runs.", "Every poodle runs."),
    ("No animal is sleeping.", "No dog is sleeping."),
    ("A dog is sleeping.", "No animal is sleeping."),
]


def proved(seed: int) -> Proof | None:
    """A proof of a random pair, which the checker accepts."""
    premise, hypothesis = random_pair(random.Random(seed))
    proof = prove(premise, hypothesis, LEXICON, "captions-1")
    if proof is not None:
        assert CHECKER.refusal(proof, premise, hypothesis) is None
    return proof


def require_sound(seed: int) -> bool:
    proof = proved(seed)
    if proof is None:
        return False
    try:
        models = SmallModels([proof.premise, proof.hypothesis], CHAIN)
    except TooManyError:
        return False
    assert not models.refutes(proof), proof.model_dump_json(indent=1)
    return True


@settings(max_examples=300, deadline=None)
@given(SEEDS)
def test_what_is_proved_holds_in_every_small_model(seed: int) -> None:
    require_sound(seed)


def test_some_of_the_random_pairs_are_proved_by_every_rule() -> None:
    """Else the tests of soundness would look at nothing."""
    proofs = [proof for seed in range(3_000) if (proof := proved(seed)) is not None]
    assert len(proofs) > 300
    assert sum(require_sound(seed) for seed in range(1_000)) > 100
    assert {step.rule for proof in proofs for step in proof.steps} == {"follows", "members", "exclusive"}
    assert {(p.premise.quantifier, p.hypothesis.quantifier) for p in proofs} == {
        ("some", "some"), ("no", "no"), ("every", "every"), ("some", "no"), ("no", "some"),
    }  # fmt: skip
    assert any(evidence.via for proof in proofs for step in proof.steps for evidence in step.evidence)


def test_the_small_models_refute_what_does_not_follow() -> None:
    """A proof with its conclusion's conditions exchanged for others is refuted by a model, as a check of the check."""
    refuted = 0
    for seed in range(2_000):
        proof = proved(seed)
        if proof is None or proof.conclusion != "entailment" or proof.premise.quantifier != "some":
            continue
        other = proof.hypothesis.conditions[0].model_copy(update={"kind": "noun", "word": "park"})
        wrong = proof.hypothesis.model_copy(update={"conditions": (other,), "groups": ()})
        if not proof.premise.groups and other not in proof.premise.conditions:
            with suppress(TooManyError):
                refuted += SmallModels([proof.premise, wrong], CHAIN).refutes(
                    proof.model_copy(update={"hypothesis": wrong})
                )
    assert refuted > 50


@pytest.mark.slow
@settings(max_examples=100_000, deadline=None)
@given(SEEDS)
def test_what_is_proved_holds_in_every_small_model_100_000_times(seed: int) -> None:
    require_sound(seed)


def z3_agrees(proof: Proof) -> bool:
    return Logic(pytest.importorskip("z3"), proof).holds()


def test_z3_agrees_with_proofs_of_random_pairs_and_of_captions() -> None:
    proofs = [proof for seed in range(400) if (proof := proved(seed)) is not None][:40]
    prover = PairProver()
    for premise, hypothesis in CAPTIONS:
        proof = prover.outcome(premise, hypothesis).proof
        assert proof is not None, (premise, hypothesis)
        proofs.append(proof)
    assert all(map(z3_agrees, proofs))


def test_z3_refuses_a_proof_without_its_laws() -> None:
    proof = PairProver().outcome("A man plays the violin.", "A man plays an instrument.").proof
    assert proof is not None
    bare = [
        step.model_copy(update={"evidence": tuple(e.model_copy(update={"path": e.path[:1]}) for e in step.evidence)})
        for step in proof.steps
    ]
    assert z3_agrees(proof)
    assert not z3_agrees(proof.model_copy(update={"steps": tuple(bare)}))


@pytest.mark.slow
def test_z3_agrees_with_2_000_proofs() -> None:
    count = 0
    for seed in range(100_000):
        proof = proved(seed)
        if proof is not None:
            assert z3_agrees(proof), proof.model_dump_json(indent=1)
            count += 1
        if count == 2_000:
            return
    raise AssertionError(f"only {count} proofs")


def changes(value: Any, rng: random.Random) -> Iterator[Callable[[], object]]:
    """Ways to change one thing somewhere in nested values, in place."""
    items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    for key, inner in items:
        if isinstance(inner, dict | list):
            yield from changes(inner, rng)
            if isinstance(inner, list) and inner:
                yield partial(inner.pop, rng.randrange(len(inner)))
                yield partial(inner.append, json.loads(json.dumps(rng.choice(inner))))
            if isinstance(inner, list) and len(inner) > 1 and inner[0] != inner[-1]:
                yield inner.reverse
        else:
            yield partial(value.__setitem__, key, other_than(inner, rng))


def other_than(value: object, rng: random.Random) -> object:
    if isinstance(value, int):
        return value + rng.choice([-1, 1, 2])
    pool = ["noun cat", "noun animal", "verb move", "some", "no", "every", "exclusive", "follows", "members", "premise",
            "captions-0", "entailment", "contradiction", "hypothesis", "same_scene", "motion", "dog.n.1"]  # fmt: skip
    return rng.choice([text for text in pool if text != value])


def changed(proof: Proof, rng: random.Random) -> Proof | None:
    """A proof with one change somewhere; None where the form of proofs itself refuses it."""
    content = proof.model_dump(mode="json")
    rng.choice(list(changes(content, rng)))()
    try:
        return Proof.model_validate(content)
    except ValidationError:
        return None


def require_refused(times: int) -> None:
    rng = random.Random(7)
    proofs = [proof for seed in range(1_500) if (proof := proved(seed)) is not None]
    refused = 0
    while refused < times:
        proof = rng.choice(proofs)
        other = changed(proof, rng)
        if other == proof:
            continue
        if other is not None:
            problem = CHECKER.refusal(other, proof.premise, proof.hypothesis)
            assert problem is not None, (proof.model_dump_json(indent=1), other.model_dump_json(indent=1))
        refused += 1


def test_changed_proofs_are_refused() -> None:
    require_refused(600)


@pytest.mark.slow
def test_10_000_changed_proofs_are_refused() -> None:
    require_refused(10_000)


def test_a_proof_under_another_lexicon_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("never:\n  noun violin: noun instrument\n", encoding="utf-8")
    proof = PairProver().outcome("A man plays the violin.", "A man plays an instrument.").proof
    assert proof is not None
    assert PairProver(own).outcome("A man plays the violin.", "A man plays an instrument.").proof is None
    from reasondistill.verification import check

    assert check(proof, "A man plays the violin.", "A man plays an instrument.") is None
    assert check(proof, "A man plays the violin.", "A man plays an instrument.", own) == "another lexicon"
    assert check(proof, "A man plays the flute.", "A man plays an instrument.") == "other sentences"


def test_the_checker_is_short_and_shares_no_code_with_the_prover() -> None:
    from reasondistill.verification import proof_checker

    text = Path(proof_checker.__file__).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    imports = [line for line in text.splitlines() if line.startswith("from reasondistill")]
    assert imports
    assert all(line.startswith("from reasondistill.contracts") for line in imports)
