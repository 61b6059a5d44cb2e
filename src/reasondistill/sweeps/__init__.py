"""A grid of configurations -> runs -> one comparison; what was stopped goes on, what failed stands apart."""

from reasondistill.contracts.sweep import SweepSummary as SweepSummary
from reasondistill.sweeps.grid import Cell as Cell
from reasondistill.sweeps.grid import Sweep as Sweep
from reasondistill.sweeps.grid import load_sweep as load_sweep
from reasondistill.sweeps.settings import SweepSettings as SweepSettings
