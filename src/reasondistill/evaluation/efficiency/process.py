"""How much memory this process has, as the system counts it."""

from __future__ import annotations

import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def resident_bytes(status: Path = STATUS) -> int | None:
    """Bytes of this process that are in memory now; None where the system has no /proc."""
    return _field(status, "VmRSS")


def peak_resident_bytes(status: Path = STATUS) -> int | None:
    """The most bytes that this process ever had in memory; None where the system does not tell.

    On Linux it is VmHWM. ``ru_maxrss`` will not do there: a process that another one starts takes over the peak of
    its parent, which here has loaded PyTorch and a student long since.
    """
    if (peak := _field(status, "VmHWM")) is not None:
        return peak
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in bytes there
    return None


def _field(status: Path, name: str) -> int | None:
    try:
        lines = status.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024  # "VmRSS:     1234 kB", and that kB is 1024 bytes
    return None
