"""The components of support, each a score of an explanation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from reasondistill.judges.acceptance import Acceptance
from reasondistill.judges.argued import Argued
from reasondistill.judges.encoders import Encoded
from reasondistill.judges.logistic_regression import FloatArray
from reasondistill.judges.network import Network, collate
from reasondistill.judges.patterns import Delexicalizer, PatternModel, Verdict

RELEVANCE = "relevance"
"""To all fields; ``relevance_2`` is to the second, as a judge with votes has it."""
COMPONENTS = ("coherence", "evidence", "wording", "contrast", RELEVANCE)
ACCEPTANCE, VERDICT = "acceptance", "verdict"
"""Components of judges with votes only."""
_ROWS_PER_BATCH = 128


@dataclass(frozen=True)
class Models:
    """What components are had from."""

    networks: tuple[Network, ...]
    delexicalizer: Delexicalizer
    patterns: PatternModel
    verdict: Verdict | None = None
    acceptance: Acceptance | None = None


def component_values(
    models: Models, rows: Sequence[Argued], encoded: dict[str, Encoded], components: Sequence[str]
) -> FloatArray:
    """The values of ``components`` for each row, (n, C): logits, nats, or a mean cosine."""
    if not rows:
        return np.zeros((0, len(components)))
    return Components(models, rows, encoded).table(components)


class Components:
    """The components of some rows; what several of them need is computed once.

    Args:
        models: that compute them.
        rows: the explanations (n).
        encoded: every text of the rows.
    """

    def __init__(self, models: Models, rows: Sequence[Argued], encoded: dict[str, Encoded]) -> None:
        self._models, self._rows, self._encoded = models, rows, encoded

    @cached_property
    def patterns(self) -> list[list[str]]:
        return [self._models.delexicalizer.pattern(row) for row in self._rows]

    @cached_property
    def features(self) -> FloatArray:
        """The networks' last features, given the fields, concatenated, (n, members · 2 · hidden)."""
        return self._outputs[0]

    @cached_property
    def _outputs(self) -> tuple[FloatArray, FloatArray]:
        return network_outputs(self._models.networks, self._rows, self._encoded, with_fields=True)

    def of(self, models: Models, places: NDArray[np.intp]) -> Components:
        """Some of the rows with other models that share the networks and the patterns' words: nothing is run again."""
        some = Components(models, [self._rows[k] for k in places], self._encoded)
        some.patterns = [self.patterns[k] for k in places]
        some._outputs = (self._outputs[0][places], self._outputs[1][places])
        return some

    def values(self, name: str) -> FloatArray:
        """Of one component, (n,)."""
        models = self._models
        if name == "coherence":
            return self._outputs[1]
        if name == "evidence":
            return network_outputs(models.networks, self._rows, self._encoded, with_fields=False)[1]
        if name.startswith(RELEVANCE):
            return _relevance(self._rows, self._encoded, name.removeprefix(f"{RELEVANCE}_"))
        if name == ACCEPTANCE and models.acceptance is not None:
            return models.acceptance.logits(self.features)
        if name == VERDICT and models.verdict is not None:
            return self._of_patterns(models.verdict.logit)
        if name == "wording":
            return self._of_patterns(models.patterns.score)
        if name == "contrast":
            return self._of_patterns(models.patterns.contrast)
        raise ValueError(f"this judge has no component {name!r}")

    def table(self, names: Sequence[str]) -> FloatArray:
        """Of several components, (n, C)."""
        return np.stack([self.values(name) for name in names], axis=1)

    def _of_patterns(self, score: Callable[[Sequence[str], str], float]) -> FloatArray:
        return np.array([score(pattern, row.label) for pattern, row in zip(self.patterns, self._rows, strict=True)])


def network_outputs(
    networks: Sequence[Network], rows: Sequence[Argued], encoded: dict[str, Encoded], *, with_fields: bool
) -> tuple[FloatArray, FloatArray]:
    """The networks' features of each row, (n, members · 2 · hidden), and the mean of their logits, (n,)."""
    length = [sum(len(encoded[t].ids) for t in (*(row.fields if with_fields else ()), row.explanation)) for row in rows]
    order = sorted(range(len(rows)), key=length.__getitem__)
    features: list[FloatArray] = []
    logits = np.zeros(len(rows))
    with torch.inference_mode():
        for start in range(0, len(order), _ROWS_PER_BATCH):
            places = order[start : start + _ROWS_PER_BATCH]
            batch = collate([rows[k] for k in places], encoded, with_fields=with_fields)
            of_each = [network.features(batch) for network in networks]
            features.append(torch.cat(of_each, dim=1).double().numpy())
            logits_of_members = [network.logit(states) for network, states in zip(networks, of_each, strict=True)]
            logits[places] = torch.stack(logits_of_members).mean(dim=0).double().numpy()
    back = np.argsort(order)
    return np.concatenate(features)[back], logits


def _relevance(rows: Sequence[Argued], encoded: dict[str, Encoded], which: str) -> FloatArray:
    """The mean cosine between the explanation's and the fields' mean states; 0 where a text has no token.

    Args:
        rows: (n).
        encoded: every text of the rows.
        which: the number of one field, from 1; anything else means all fields.
    """
    vectors: dict[str, FloatArray] = {}

    def vector(text: str) -> FloatArray:
        if text not in vectors:
            states = encoded[text].states
            if states is None or not len(states):
                vectors[text] = np.zeros(1)
            else:
                mean = states.double().mean(dim=0)
                vectors[text] = (mean / mean.norm().clamp(min=1e-9)).numpy()
        return vectors[text]

    def cosine(a: FloatArray, b: FloatArray) -> float:
        return float(a @ b) if len(a) == len(b) else 0.0

    def chosen(row: Argued) -> Sequence[str]:
        return row.fields[int(which) - 1 : int(which)] if which.isdecimal() else row.fields

    return np.array(
        [
            float(np.mean([cosine(vector(text), vector(row.explanation)) for text in chosen(row)] or [0.0]))
            for row in rows
        ]
    )
