"""The libraries' bars are kept out while something is loaded, and are there again for who wanted them."""

from __future__ import annotations

import datasets
import pytest
from transformers.utils import logging as of_transformers

from reasondistill.quiet import quietly


@pytest.mark.parametrize("wanted", [True, False])
def test_what_a_user_had_set_comes_back(wanted: bool) -> None:
    before = of_transformers.is_progress_bar_enabled()
    try:
        (of_transformers.enable_progress_bar if wanted else of_transformers.disable_progress_bar)()
        datasets.enable_progress_bars()
        with quietly():
            assert not of_transformers.is_progress_bar_enabled()
            assert datasets.are_progress_bars_disabled()
        assert of_transformers.is_progress_bar_enabled() is wanted
        assert not datasets.are_progress_bars_disabled()
    finally:
        (of_transformers.enable_progress_bar if before else of_transformers.disable_progress_bar)()
