"""How long OpenMP's threads spin while they wait. libgomp reads it when it is loaded, so set it before.

By default libgomp's threads, which PyTorch, CTranslate2 and scikit-learn compute with on Linux, spin for milliseconds
while they wait. Where other processes want the cores, a training step then takes many times as long: threads that only
wait keep the cores from those that have work. Threads that sleep at once (``OMP_WAIT_POLICY=PASSIVE``) lose time on an
idle machine, since waking them takes longer than the gap between two operations. A brief spin does neither
(docs/performance.md, "Beside other work").
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

WAIT_POLICY = "OMP_WAIT_POLICY"
SPIN_COUNT = "GOMP_SPINCOUNT"
BRIEF_SPIN = "8000"
"""Rounds of the loop; libgomp's own default is 300,000."""


def shorten_spinning(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set ``GOMP_SPINCOUNT`` for this process and those it starts, unless the user has set it or the policy."""
    if WAIT_POLICY not in environment and SPIN_COUNT not in environment:
        environment[SPIN_COUNT] = BRIEF_SPIN
