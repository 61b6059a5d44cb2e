"""Data sets: any table, published set or built-in set becomes Examples.

In come paths or names; out goes a `Loaded`: examples, where they are from, and every dropped row, with its
reason. ``readers/`` know forms, ``transforms/`` select and reword, ``audit/`` finds faults, ``download/`` fetches.
"""

from reasondistill.data.dataset_loading import load_dataset
from reasondistill.data.description import describe
from reasondistill.data.loaded import Loaded
from reasondistill.data.sources import load, load_source, task_of
from reasondistill.data.splits import assign_splits, split_of

__all__ = ["Loaded", "assign_splits", "describe", "load", "load_dataset", "load_source", "split_of", "task_of"]
