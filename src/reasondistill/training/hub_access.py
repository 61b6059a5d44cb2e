"""Whether a checkpoint can be had, found out in seconds: the hub's client tries for most of a minute."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from reasondistill.errors import CheckpointError, first_line
from reasondistill.training.recipes import needing_no_download

_SECONDS: Final = 10.0
"""Time limit of the one request."""


def require_reachable(checkpoint: str, revision: str = "main") -> None:
    """Refuse a hub id where the hub cannot be reached and the checkpoint was not downloaded before.

    Raises:
        CheckpointError: it names the students that need no download.
    """
    from huggingface_hub import constants, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    if Path(checkpoint).exists():
        return
    try:
        if isinstance(try_to_load_from_cache(checkpoint, "config.json", revision=revision), str):
            return
    except HFValidationError:
        return  # no id: loading it says so
    problem = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else _problem(constants.ENDPOINT)
    if problem is not None:
        raise CheckpointError(
            checkpoint,
            expected=f"a folder with a checkpoint, or a way to the Hugging Face hub ({constants.ENDPOINT})",
            found=f"neither: {problem}",
            fix=f"Students that need no download: {needing_no_download()}.",
        )


@cache
def _problem(endpoint: str) -> str | None:
    import httpx
    from huggingface_hub import get_session

    try:
        get_session().head(endpoint, timeout=_SECONDS)
    except (httpx.HTTPError, OSError) as error:
        return first_line(error)
    return None
