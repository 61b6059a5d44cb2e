"""A pair of sentences -> a proof that the checker accepted, or a counter-model, or why it is outside the fragment."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from reasondistill.contracts.proofs import CounterModel, Form, Proof
from reasondistill.errors import DataError
from reasondistill.verification.lexicon import Lexicon, lexicon_parts
from reasondistill.verification.proof_checker import Checker
from reasondistill.verification.proving import counter_model, prove
from reasondistill.verification.reading import OutsideError, read
from reasondistill.verification.reading.drafts import FRAGMENT
from reasondistill.verification.wording import counter_text, explanation_of, proof_lines

_REMEMBERED = 4_096
"""Premises whose forms are kept, as pairs of one premise often follow one another."""


@dataclass(frozen=True)
class PairOutcome:
    """What became of a pair.

    Attributes:
        proof: accepted by the checker; None without one.
        counter_model: where there is no proof and both sentences were read whole.
        outside: which sentence was not read, and why; None where both were.
        explanation: the proof, or the counter-model, as a sentence; empty without either.
    """

    proof: Proof | None = None
    counter_model: CounterModel | None = None
    outside: str | None = None
    explanation: str = ""

    @property
    def lines(self) -> list[str]:
        """The proof step by step."""
        return proof_lines(self.proof) if self.proof else [self.explanation] if self.explanation else []


class PairProver:
    """Proves pairs of sentences, and has the checker look at each proof.

    Args:
        relations: a YAML file of relations that are laid over the shipped ones.

    Raises:
        DataError, ConfigError: that file is not there, or there are mistakes in it.
    """

    fragment: ClassVar[str] = FRAGMENT
    conclusions: ClassVar[tuple[str, ...]] = ("entailment", "contradiction")

    def __init__(self, relations: str | Path | None = None) -> None:
        parts = lexicon_parts(relations)
        self.lexicon = Lexicon(*parts)
        self._checker = Checker(*parts)
        self._premise = lru_cache(_REMEMBERED)(self._read_premise)

    def outcome(self, premise: str, hypothesis: str) -> PairOutcome:
        """What can be proved of a pair.

        Raises:
            ProofError: the checker refused the prover's proof, which is a mistake in this package.
        """
        given = self._premise(premise)
        if isinstance(given, str):
            return PairOutcome(outside=f"premise: {given}")
        try:
            wanted = read(hypothesis, self.lexicon, whole=True)
        except OutsideError as error:
            return PairOutcome(outside=f"hypothesis: {error}")
        proof = prove(given, wanted, self.lexicon, self.fragment)
        if proof is None:
            model = counter_model(given, wanted, self.lexicon)
            if model is None:
                return PairOutcome()
            text = counter_text(model, wanted)
            return PairOutcome(counter_model=model.model_copy(update={"text": text}), explanation=text)
        if refusal := self._checker.refusal(proof, given, wanted):
            raise ProofError(f"{refusal}: {premise!r}, {hypothesis!r}")
        return PairOutcome(proof=proof, explanation=explanation_of(proof, hypothesis))

    def _read_premise(self, text: str) -> Form | str:
        try:
            return read(text, self.lexicon, whole=False)
        except OutsideError as error:
            return str(error)


class ProofError(Exception):
    """The checker refused a proof of the prover: never the user's mistake."""


def check(proof: Proof, premise: str, hypothesis: str, relations: str | Path | None = None) -> str | None:
    """Why a proof, as from ``verify.jsonl``, is none of these two sentences; None for one that is.

    Raises:
        DataError, ConfigError: the file of relations is not there, or there are mistakes in it.
    """
    parts = lexicon_parts(relations)
    lexicon = Lexicon(*parts)
    try:
        forms = read(premise, lexicon, whole=False), read(hypothesis, lexicon, whole=True)
    except OutsideError as error:
        raise DataError("sentences", expected="two in the fragment", found=str(error)) from error
    return Checker(*parts).refusal(proof, *forms)
