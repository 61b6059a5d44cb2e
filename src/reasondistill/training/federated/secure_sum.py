"""A sum whose terms nobody sees: pairwise masks over quantised numbers, which cancel in the sum (Bonawitz et al. 2017).

A simulation in one process: it shows that the sum is exact and what it costs in bytes. There is no key agreement, no
recovery of dropped clients' masks by shared secrets, and no protection against a server that does not keep to it. The
masks are of numpy's Philox generator, which is not a cryptographic one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

SCALE = 2.0**32
"""Steps of a quantised number in one unit."""

Integers = npt.NDArray[np.uint64]


def quantised(values: npt.NDArray[np.float64], clients: int) -> Integers:
    """Round to multiples of 1 / `SCALE`, as integers modulo 2^64.

    Args:
        values: one client's.
        clients: how many are summed, for which the range has to do.

    Raises:
        OverflowError: a value is so large that the sum could leave the range.
    """
    scaled = np.rint(values * SCALE)
    if float(np.abs(scaled).max(initial=0.0)) * clients >= 2.0**63:
        raise OverflowError(f"{np.abs(values).max():.3g} is too large for the sum of {clients} quantised numbers")
    return scaled.astype(np.int64).view(np.uint64)


def masked(values: Integers, client: str, clients: Sequence[str], shared: str) -> Integers:
    """What a client sends: its integers, plus a mask for each other client, which that one subtracts.

    Args:
        shared: what all pairs' seeds depend on: the run's seed and the round.
    """
    total = values.copy()
    for other in clients:
        if other != client:
            mask = _mask(min(client, other), max(client, other), shared, len(values))
            total = total + mask if client < other else total - mask
    return total


def summed(sent: Mapping[str, Integers]) -> npt.NDArray[np.float64]:
    """The sum of what the clients quantised: their masks cancel modulo 2^64."""
    total = np.zeros_like(next(iter(sent.values())))
    for values in sent.values():
        total = total + values
    return total.view(np.int64).astype(np.float64) / SCALE


def _mask(first: str, second: str, shared: str, n: int) -> Integers:
    digest = hashlib.sha256("\0".join((shared, first, second)).encode()).digest()
    generator = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16])))
    return generator.integers(0, 2**64, size=n, dtype=np.uint64)
