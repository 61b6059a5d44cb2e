"""Sweeps: a grid of configurations -> runs -> one comparison.

In comes one YAML file; out go a run for each trial and a summary of all. A stopped sweep resumes; a failed trial is
reported and does not stop the others.
"""

from reasondistill.contracts.sweep import SweepSummary as SweepSummary
from reasondistill.sweeps.grid import Sweep as Sweep
from reasondistill.sweeps.grid import Trial as Trial
from reasondistill.sweeps.grid import load_sweep as load_sweep
from reasondistill.sweeps.settings import SweepSettings as SweepSettings
