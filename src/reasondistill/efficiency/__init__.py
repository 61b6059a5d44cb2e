"""What a student costs: parameters, memory, latency, throughput, FLOPs, size on disk and energy."""

from reasondistill.efficiency.measuring import measure
from reasondistill.efficiency.schema import Efficiency, EfficiencySettings

__all__ = ["Efficiency", "EfficiencySettings", "measure"]
