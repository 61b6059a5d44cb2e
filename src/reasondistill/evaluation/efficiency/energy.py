"""Energy, if the machine counts it: RAPL for processors, NVML for Nvidia's accelerators."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


class Unreadable(Exception):  # noqa: N818 - not a mistake
    """Energy cannot be read; the message says why."""


@dataclass(frozen=True)
class Counter:
    """A counter of used energy, which starts again at 0 after ``wraps_at`` units."""

    name: str
    read: Callable[[], int]
    joules_per_unit: float
    wraps_at: int

    def joules(self, before: int, after: int) -> float:
        """The energy between two readings, with at most one wrap between them."""
        used = after - before if after >= before else after - before + self.wraps_at
        return used * self.joules_per_unit


class EnergyMeter:
    """Counters that are read together. They cover the whole machine, not only this process."""

    def __init__(self, counters: Sequence[Counter]) -> None:
        self.counters = tuple(counters)

    @property
    def names(self) -> list[str]:
        return [counter.name for counter in self.counters]

    def readings(self) -> list[int]:
        return [counter.read() for counter in self.counters]

    def joules_since(self, before: Sequence[int]) -> float:
        """The energy since the readings ``before``, summed over the counters."""
        now = self.readings()
        return sum(c.joules(b, a) for c, b, a in zip(self.counters, before, now, strict=True))


def find_meter(device: str | None, powercap: Path = POWERCAP) -> EnergyMeter:
    """The counters for a student on ``device``: the processor's packages and memory, and the accelerator.

    Raises:
        Unreadable: there is no counter that this user may read.
    """
    reasons: list[str] = []
    counters: list[Counter] = []
    looked_at: list[Callable[[], list[Counter]]] = [lambda: list(rapl_counters(powercap))]
    if device is not None and device.startswith("cuda"):
        looked_at.append(lambda: [nvml_counter(device)])
    for look in looked_at:
        try:
            counters += look()
        except Unreadable as error:
            reasons.append(str(error))
    if not counters:
        raise Unreadable("; ".join(reasons))
    return EnergyMeter(counters)


def rapl_counters(powercap: Path = POWERCAP) -> Iterator[Counter]:
    """The RAPL counters of the processor's packages and of their memory.

    See Linux, Documentation/power/powercap/powercap.rst. Other zones lie within a package (core, uncore) or around it
    (psys), and would be counted twice.

    Raises:
        Unreadable: there are none, or they cannot be read.
    """
    zones = sorted(powercap.glob("intel-rapl:*"))  # AMD's processors are under the same name
    if not zones:
        raise Unreadable(f"no RAPL counters in {powercap}")
    any_counter = False
    for zone in zones:
        try:
            name = (zone / "name").read_text(encoding="utf-8").strip()
            if not name.startswith(("package", "dram")):
                continue
            file, limit = zone / "energy_uj", int((zone / "max_energy_range_uj").read_text(encoding="utf-8"))
            _read_number(file)
        except OSError as error:
            raise Unreadable(f"{zone / 'energy_uj'} cannot be read ({error.strerror})") from error
        any_counter = True
        socket = zone.name.removeprefix("intel-rapl:").partition(":")[0]
        label = name if name.startswith("package") else f"{name} of package-{socket}"
        yield Counter(label, lambda file=file: _read_number(file), 1e-6, wraps_at=limit)  # type: ignore[misc]
    if not any_counter:
        raise Unreadable(f"no RAPL counter of a package in {powercap}")


def nvml_counter(device: str) -> Counter:
    """NVML's counter of a CUDA device, in millijoules since the driver was loaded.

    Raises:
        Unreadable: pynvml is not installed, or the device has no such counter (those before Volta).
    """
    try:
        import pynvml
    except ImportError as error:
        raise Unreadable("the accelerator's energy needs the package nvidia-ml-py") from error
    try:
        import torch
    except ImportError as error:
        raise Unreadable("the accelerator's energy needs PyTorch, to identify the device") from error

    try:
        pynvml.nvmlInit()
        # By its UUID: CUDA_VISIBLE_DEVICES renumbers CUDA's devices, and not NVML's.
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError as error:
        raise Unreadable(f"NVML does not report the accelerator's energy ({error})") from error
    name = f"NVML's of {device}"
    return Counter(name, lambda: int(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)), 1e-3, wraps_at=2**64)


def _read_number(file: Path) -> int:
    return int(file.read_text(encoding="utf-8"))
