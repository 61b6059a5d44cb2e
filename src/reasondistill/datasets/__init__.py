"""Raw files and built-in sets → Examples."""

from reasondistill.datasets.loaded import Loaded
from reasondistill.datasets.sources import load, load_source, task_of
from reasondistill.datasets.splits import assign_splits, split_of
from reasondistill.datasets.summary import describe

__all__ = ["Loaded", "assign_splits", "describe", "load", "load_source", "split_of", "task_of"]
