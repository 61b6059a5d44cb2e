"""How OpenMP's threads wait for work. It is settled when a library that has such threads is loaded, so set it before.

By default libgomp's threads, which PyTorch, CTranslate2 and scikit-learn compute with on Linux, go round in a loop
while they wait. Where other processes want the cores, a step then takes many times as long: the threads that have work
wait for those that only wait. With ``OMP_WAIT_POLICY=PASSIVE`` they sleep.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

_OWN = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
"""libgomp reads both, and the second goes before the first. ``KMP_BLOCKTIME``, another library's, it ignores."""


def let_threads_sleep(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set ``OMP_WAIT_POLICY`` to ``PASSIVE``, for this process and those that it starts, unless the user says how."""
    if not any(name in environment for name in _OWN):
        environment["OMP_WAIT_POLICY"] = "PASSIVE"
