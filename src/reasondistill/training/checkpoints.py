"""Atomic checkpoints: written to a temporary folder, sealed with their files' hashes, renamed, verified.

transformers writes a checkpoint in place and takes the highest-numbered folder as the last, complete or not.
"""

from __future__ import annotations

import os
import re
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from reasondistill.errors import CheckpointError, OutputError, UserError
from reasondistill.storage.files import broken_seal, read_json, seal_of, write_json

MANIFEST = "manifest.json"
SCHEMA_VERSION = 1
GO_ON = "`train` goes on with --resume, `quickstart` and `sweep` with the same command"
"""For advice where nothing says which command is running."""
_DAMAGED = "damaged-"
_FROM_TORCH = re.compile("inline_container|PytorchStreamWriter|unexpected pos")
"""In what torch says when a file cannot be written to its end."""


def place_of(checkpoints: Path, step: int) -> Path:
    """The folder of the checkpoint of a step; its name is transformers'."""
    return checkpoints / f"checkpoint-{step}"


def step_of(checkpoint: str | Path) -> int:
    """The step of a checkpoint's folder."""
    return int(Path(checkpoint).name.rpartition("-")[2])


def part_of(checkpoint: Path) -> Path:
    """The folder that a checkpoint is written into first; transformers takes none of that name for a checkpoint."""
    return checkpoint.with_name(f".{checkpoint.name}.part")


def seal(part: Path, checkpoint: Path) -> None:
    """Make a checkpoint out of the folder that it was written into: hash its files, flush them, rename the folder.

    Raises:
        OSError: the disk is full, or fails.
    """
    files = sorted(path for path in part.rglob("*") if path.is_file())
    for path in files:
        _flush(path)
    write_json(
        part / MANIFEST,
        {
            "schema_version": SCHEMA_VERSION,
            "step": step_of(checkpoint),
            "files": {path.relative_to(part).as_posix(): seal_of(path) for path in files},
        },
    )
    _flush(part / MANIFEST)
    _flush(part)
    if checkpoint.exists():  # of the same step: `last_good` ends this, where it is cut off
        shutil.rmtree(checkpoint)
    part.rename(checkpoint)
    _flush(checkpoint.parent)


def damage(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint, in words; None for one that is whole."""
    try:
        manifest = read_json(checkpoint / MANIFEST)
        files = manifest["files"]
        if manifest["schema_version"] != SCHEMA_VERSION or not files:
            return f"{MANIFEST} is of another schema version"
        for name, recorded_seal in files.items():
            if (problem := broken_seal(checkpoint / name, recorded_seal)) is not None:
                return problem
    except (UserError, KeyError, TypeError, AttributeError) as error:
        return (
            f"{MANIFEST} cannot be read ({error})" if (checkpoint / MANIFEST).exists() else f"{MANIFEST} is not there"
        )
    except OSError as error:
        return str(error)
    return None


def last_good(checkpoints: Path) -> Path | None:
    """The newest checkpoint that is whole; None where there never was one.

    Damaged ones are reported and renamed to ``damaged-checkpoint-…``, so that nothing takes them for checkpoints. A
    checkpoint that was being written when a run was killed is removed, or renamed if it is complete.

    Raises:
        CheckpointError: there are checkpoints, and none is whole.
    """
    if not checkpoints.is_dir():
        return None
    for part in checkpoints.glob(".checkpoint-*.part"):
        checkpoint = part.with_name(part.name.removeprefix(".").removesuffix(".part"))
        if damage(part) is None:
            shutil.rmtree(checkpoint, ignore_errors=True)
            part.rename(checkpoint)
        else:
            shutil.rmtree(part, ignore_errors=True)
    folders = [path for path in checkpoints.glob("checkpoint-*") if path.is_dir() and path.name[11:].isdecimal()]
    refused: list[str] = []
    for checkpoint in sorted(folders, key=step_of, reverse=True):
        wrong = damage(checkpoint)
        if wrong is None:
            return checkpoint
        refused.append(f"{checkpoint.name}: {wrong}")
        aside = checkpoint.with_name(_DAMAGED + checkpoint.name)
        if aside.exists():
            shutil.rmtree(aside)
        checkpoint.rename(aside)
        warnings.warn(f"{checkpoint} is damaged ({wrong}); it is kept as {aside.name} and not used.", stacklevel=2)
    if refused:
        raise CheckpointError(
            checkpoints,
            expected="a whole checkpoint to go on from",
            found="; ".join(refused),
            fix=f"Begin a new run under another name, or go on once more: this one begins at its first step ({GO_ON}).",
        )
    return None


def require_whole(checkpoint: Path) -> None:
    """Refuse a damaged checkpoint.

    Raises:
        CheckpointError: it is damaged.
    """
    if (wrong := damage(checkpoint)) is not None:
        raise CheckpointError(
            checkpoint,
            expected="the checkpoint that validation selected",
            found=f"a damaged one ({wrong})",
            fix="The checkpoints beside it are students, too: `predict` takes their folders. Or train again "
            "under another name.",
        )


@contextmanager
def room_for(
    what: str, path: Path, *, removed: Path | None = None, kept: str = "all that was saved before is whole"
) -> Iterator[None]:
    """Say in a sentence that what is written inside did not fit, whoever wrote it: torch and safetensors wrap it.

    Args:
        what: is written, in words.
        path: where.
        removed: a half-written folder that goes, to make room.
        kept: what is not lost.

    Raises:
        OutputError: the disk is full, or fails.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError, OutputError) as error:
        if removed is not None:
            shutil.rmtree(removed, ignore_errors=True)
        if isinstance(error, OutputError) or (isinstance(error, RuntimeError) and not _FROM_TORCH.search(str(error))):
            raise
        raise OutputError(
            path,
            expected=f"room for {what}",
            found=str(error).strip().split("\n")[0],
            fix=f"Make room and go on ({GO_ON}); {kept}.",
        ) from error


def _flush(path: Path) -> None:
    if os.name == "nt" and path.is_dir():  # Windows opens no folders
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
