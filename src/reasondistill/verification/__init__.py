"""Proving pairs of sentences in a small fragment of English.

In come two texts; out goes a proof that a separate checker accepted, or a counter-model, or neither. `reading` makes
forms of texts, `proving` searches, `proof_checker` looks at what was found, `wording` says it in sentences, `lexicon`
knows what is a kind of what. What is guaranteed, and what is not: docs/verification.md.
"""

from reasondistill.verification.pair_prover import PairOutcome, PairProver, check

__all__ = ["PairOutcome", "PairProver", "check"]
