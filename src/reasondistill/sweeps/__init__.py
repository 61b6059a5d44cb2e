"""Sweeps: a grid of configurations -> runs -> one comparison.

In comes one YAML file; out go a run for each cell and a summary of all. A stopped sweep continues where it was; a cell
that failed is reported and stops no other.
"""

from reasondistill.contracts.sweep import SweepSummary as SweepSummary
from reasondistill.sweeps.grid import Cell as Cell
from reasondistill.sweeps.grid import Sweep as Sweep
from reasondistill.sweeps.grid import load_sweep as load_sweep
from reasondistill.sweeps.settings import SweepSettings as SweepSettings
