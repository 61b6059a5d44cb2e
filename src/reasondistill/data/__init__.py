"""Raw files and built-in sets → Examples."""

from reasondistill.data.loaded import Loaded
from reasondistill.data.sources import load, load_source, task_of
from reasondistill.data.splits import assign_splits, split_of
from reasondistill.data.summary import describe

__all__ = ["Loaded", "assign_splits", "describe", "load", "load_source", "split_of", "task_of"]
