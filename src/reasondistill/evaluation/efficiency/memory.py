"""The memory of a student, measured in new processes: this one has loaded libraries, and perhaps other models."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from reasondistill.config import Generation
from reasondistill.contracts.efficiency import AcceleratorMemory, Memory
from reasondistill.contracts.records import Example, as_row
from reasondistill.errors import CheckpointError
from reasondistill.storage.files import JsonObject, read_json, write_json

CHILD = (sys.executable, "-m", "reasondistill.evaluation.efficiency.child")


def measure_memory(
    folder: str | Path,
    examples: Sequence[Example],
    *,
    max_rows: int,
    generation: Generation,
    device: str | None,
    threads: int | None,
    command: Sequence[str] = CHILD,
) -> Memory | None:
    """Load the student of ``folder`` in fresh processes and let one of them answer ``examples``.

    Args:
        folder: the student's.
        examples: answered one by one, then at most ``max_rows`` at once.
        max_rows: the best batch size.
        generation: how explanations are written.
        device: where the student runs.
        threads: threads per operation.
        command: the command to start; two file names are added.

    Returns:
        None if the system does not report a process's memory.

    Raises:
        CheckpointError: a process ended without an answer.
    """
    request = {
        "student": str(folder),
        "examples": [as_row(example) for example in examples],
        "max_rows": max_rows,
        "generation": generation.model_dump(mode="json"),
        "device": device,
        "threads": threads,
    }
    rest, peak = (ask({"mode": mode, **request}, command) for mode in ("at_rest", "at_peak"))
    if peak["peak_bytes"] is None:
        return None
    accelerator = None
    if rest["accelerator"] is not None and peak["accelerator"] is not None:
        peak_bytes, batch = peak["accelerator"]
        accelerator = AcceleratorMemory(
            rest_bytes=rest["accelerator"], peak_bytes=peak_bytes, peak_at_best_batch_bytes=batch
        )
    return Memory(
        rest_bytes=rest["rest_bytes"],
        loaded_bytes=rest["loaded_bytes"],
        peak_bytes=peak["peak_bytes"],
        peak_at_best_batch_bytes=peak["peak_at_best_batch_bytes"],
        accelerator=accelerator,
    )


def ask(request: JsonObject, command: Sequence[str] = CHILD) -> JsonObject:
    """Start a process with ``request`` and return its answer.

    Raises:
        CheckpointError: it ended without one.
    """
    with tempfile.TemporaryDirectory(prefix="reasondistill-") as folder:
        request_file, answer_file = Path(folder) / "request.json", Path(folder) / "answer.json"
        write_json(request_file, request)
        done = subprocess.run(
            [*command, str(request_file), str(answer_file)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        if done.returncode == 0 and answer_file.is_file():
            return read_json(answer_file)
    killed = "The system mostly kills processes that run out of memory: measure fewer examples, or smaller batches."
    raise CheckpointError(
        request["student"],
        expected="a process that loads the student, answers and reports its memory",
        found=_ending(done.returncode, done.stderr),
        fix=killed if done.returncode < 0 else "",
    )


def _ending(status: int, stderr: str) -> str:
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = "unknown"
        return f"a process that was ended by signal {-status} ({name})"
    last = (stderr.strip().splitlines() or ["nothing on its error stream"])[-1]
    return f"a process that ended with status {status}: {last}"
