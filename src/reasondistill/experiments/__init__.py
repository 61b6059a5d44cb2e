"""A grid of configurations -> runs -> one comparison; what was stopped goes on, what failed stands apart."""

from reasondistill.experiments.grid import Cell as Cell
from reasondistill.experiments.grid import Sweep as Sweep
from reasondistill.experiments.grid import load_sweep as load_sweep
from reasondistill.experiments.schema import SweepSummary as SweepSummary
from reasondistill.experiments.settings import SweepSettings as SweepSettings
