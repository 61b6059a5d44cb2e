"""Exporting: a student becomes a package that runs without PyTorch.

In come a student and a sample of rows; out goes a folder with converted weights, and the measured differences between
both. One that differs by more than the limits is not kept.
"""

from reasondistill.exporting.packaging import Exported, export, load_sample
from reasondistill.exporting.parity import Sample, limits_for

__all__ = ["Exported", "Sample", "export", "limits_for", "load_sample"]
