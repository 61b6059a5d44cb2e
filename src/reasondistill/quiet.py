"""Keep the libraries' own progress bars and notices out: what goes on is said once, by this package."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_CHATTY = ("huggingface_hub", "transformers")
"""Loggers that repeat what a `UserError` says, or remark on what a user cannot change."""


@contextmanager
def quietly() -> Iterator[None]:
    """While it lasts, transformers shows no bars and no notices, and `datasets`, where it is imported, no bars.

    What a user had set comes back afterwards.
    """
    from transformers.utils import logging as of_transformers

    levels = {name: logging.getLogger(name).level for name in _CHATTY}
    datasets = sys.modules.get("datasets")
    shown = of_transformers.is_progress_bar_enabled()
    shown_by_datasets = datasets is not None and not datasets.are_progress_bars_disabled()
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    of_transformers.disable_progress_bar()
    if datasets is not None:
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        if shown:
            of_transformers.enable_progress_bar()
        if datasets is not None and shown_by_datasets:
            datasets.enable_progress_bars()
