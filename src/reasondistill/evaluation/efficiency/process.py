"""The memory of this process, as the system counts it."""

from __future__ import annotations

import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def resident_bytes(status: Path = STATUS) -> int | None:
    """Resident bytes of this process; None if the system has no /proc."""
    return _field(status, "VmRSS")


def peak_resident_bytes(status: Path = STATUS) -> int | None:
    """The peak of this process's resident bytes; None if the system does not report it.

    On Linux it is VmHWM, as ``ru_maxrss`` does not work there: a new process inherits its parent's peak, and the parent
    has loaded PyTorch and a student.
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
