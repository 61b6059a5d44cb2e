"""What a student costs: parameters, memory, latency, throughput, FLOPs, size on disk and energy."""

from reasondistill.contracts.efficiency import Efficiency, EfficiencySettings
from reasondistill.evaluation.efficiency.measuring import measure

__all__ = ["Efficiency", "EfficiencySettings", "measure"]
