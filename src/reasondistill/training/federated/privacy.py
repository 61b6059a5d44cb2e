"""Differential privacy for clients: clip each update, add noise to the sum, and account for what was spent.

DP-FedAvg (McMahan et al. 2018): each client takes part with the same probability, independently; the sum of clipped
updates gets Gaussian noise and is divided by the expected number of clients.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from reasondistill.config import Privacy
from reasondistill.errors import importing


def clipped(values: npt.NDArray[np.float64], clip: float) -> npt.NDArray[np.float64]:
    """Scale a vector down to the L2 norm ``clip`` where it is longer."""
    length = float(np.linalg.norm(values))
    return values if length <= clip else values * (clip / length)


def noise(n: int, privacy: Privacy, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Of the sum: ``n`` normal numbers with the standard deviation ``noise_multiplier * clip``."""
    return rng.normal(0.0, privacy.noise_multiplier * privacy.clip, size=n)


def spent(privacy: Privacy, participation: float, rounds: int) -> float:
    """ε at the configured δ after ``rounds``, by Opacus's accountant of Rényi differential privacy.

    Adding or removing all rows of one client is what cannot be told: clients are sampled, each with the probability
    ``participation`` (Mironov et al. 2019).

    Raises:
        MissingExtraError: Opacus is not installed.
    """
    accountants = _accountants()
    if rounds == 0:
        return 0.0
    accountant = accountants.RDPAccountant()
    accountant.history = [(privacy.noise_multiplier, participation, rounds)]
    return float(accountant.get_epsilon(privacy.delta))


def require_accountant() -> None:
    """Raise a MissingExtraError where Opacus is not installed."""
    _accountants()


def _accountants() -> Any:
    with importing("federation.privacy", "privacy"):
        from opacus import accountants
    return accountants
