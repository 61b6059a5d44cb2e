"""Predict human acceptance from the features of networks trained on good against corrupted explanations."""

from __future__ import annotations

import numpy as np

from reasondistill.judges.logistic_regression import FloatArray, fit_shares

STRENGTH = 0.1
"""Of the fit to standardised features: hundreds of features from some thousand explanations need strong
regularisation."""


class Acceptance:
    """Logistic regression on the networks' features.

    The networks do not change, so that the votes overwrite nothing that they know of spoiled explanations.

    Args:
        weights: of the features, (D,).
        bias: of the logit.
    """

    def __init__(self, weights: FloatArray, bias: float) -> None:
        self.weights, self.bias = weights, bias

    @classmethod
    def fit(cls, features: FloatArray, acceptable: FloatArray) -> Acceptance:
        """Fit to features (n, D) and the share of people who found each explanation acceptable, in [0, 1], (n,)."""
        mean, deviation = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
        weights, bias = fit_shares((features - mean) / deviation, acceptable, strength=STRENGTH)
        return cls(weights / deviation, bias - float(weights @ (mean / deviation)))

    def logits(self, features: FloatArray) -> FloatArray:
        """Of features (n, D), (n,)."""
        return np.asarray(features @ self.weights + self.bias, dtype=np.float64)

    def to_array(self) -> FloatArray:
        """The weights and, last, the bias: (D + 1)."""
        return np.append(self.weights, self.bias)

    @classmethod
    def from_array(cls, values: FloatArray) -> Acceptance:
        return cls(values[:-1], float(values[-1]))
