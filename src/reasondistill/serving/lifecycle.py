"""Whether a service is ready, leaving, or gone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Lifecycle:
    """What the signal handler, the gate and the routes know of it.

    Attributes:
        ready: its students are loaded.
        draining: it was told to leave, answers what it took, and wants no more.
        requests: that are being answered now.
    """

    ready: bool = False
    draining: bool = False
    requests: int = 0
