"""Exporting: a student becomes a package that runs without PyTorch, and is compared with what it was."""

from reasondistill.export.packaging import Exported, export, load_sample
from reasondistill.export.parity import Sample, limits_for

__all__ = ["Exported", "Sample", "export", "limits_for", "load_sample"]
