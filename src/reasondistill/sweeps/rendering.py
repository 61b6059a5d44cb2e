"""A sweep as a job for others to run: a Slurm script and a Ray driver that start the same cells by the same command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from reasondistill.sweeps.grid import Cell, Sweep

Renderer = Literal["slurm", "ray"]


def stages_of(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells that need no other, then those that need only these, and so on."""
    depth: dict[str, int] = {}
    for cell in cells:
        depth[cell.name] = 0 if cell.after is None else depth[cell.after] + 1
    return [[c for c in cells if depth[c.name] == d] for d in range(max(depth.values(), default=-1) + 1)]


def render(sweep: Sweep, kind: Renderer) -> str:
    """The text of a shell script that submits Slurm arrays, or of a Python file for ``ray job submit``."""
    return _slurm(sweep) if kind == "slurm" else _ray(sweep)


def _slurm(sweep: Sweep) -> str:
    command = shlex.join(["reasondistill", "sweep", *sweep.arguments])
    name = sweep.settings.name
    logs = shlex.quote(str(sweep.folder / "logs" / "slurm-%A_%a.out"))
    lines = [
        "#!/bin/bash",
        f"# Submits the {len(sweep.cells)} cells of the sweep {name}: bash THIS_FILE, on a machine that has sbatch.",
        "# Each task is one cell and one process; one that was stopped goes on when it is submitted again, and one",
        "# that is finished ends at once. Add to OPTIONS what your cluster wants: --partition, --time, --mem, --gpus.",
        "set -euo pipefail",
        f"mkdir -p {shlex.quote(str(sweep.folder / 'logs'))}",
        f"OPTIONS=(--job-name={shlex.quote(name)} --ntasks=1 --cpus-per-task=4 --signal=B:TERM@120)",
        "",
    ]
    before = ""
    for number, stage in enumerate(stages_of(sweep.cells), start=1):
        array = ",".join(str(cell.number) for cell in stage)
        wrapped = f'exec {command} --cell "$SLURM_ARRAY_TASK_ID"'  # exec: Slurm's signal reaches the cell
        wait = f' --dependency="afterany:${before}"' if before else ""
        lines += [
            f"# {', '.join(cell.name for cell in stage)}",
            f'stage{number}=$(sbatch --parsable "${{OPTIONS[@]}}" --array={array}{wait} --output={logs} \\',
            f"  --wrap={shlex.quote(wrapped)})",
            "",
        ]
        before = f"stage{number}"
    lines += [
        "# The comparison, once all have ended, however they did.",
        f'sbatch "${{OPTIONS[@]}}" --dependency="afterany:${before}" --wrap={shlex.quote(f"{command} --summary")}',
        "",
    ]
    return "\n".join(lines)


def _ray(sweep: Sweep) -> str:
    command = ["reasondistill", "sweep", *sweep.arguments]
    cells = [(cell.number, cell.name, cell.after) for cell in sweep.cells]
    rows = "\n".join(f"    {row!r}," for row in cells)
    return f'''"""The cells of the sweep {sweep.settings.name} as Ray tasks: ray job submit -- python THIS_FILE

Each task is one cell and one process, and works in FOLDER, which all nodes must share. Change num_cpus, or add
num_gpus, to what a cell needs.
"""

import os
import subprocess

import ray

FOLDER = {str(Path.cwd())!r}
COMMAND = {command!r}
CELLS = [  # number, name, the cell that it goes on from
{rows}
]


@ray.remote(num_cpus=1, max_retries=0)
def run(number, before):
    environment = {{**os.environ, "OMP_NUM_THREADS": "1"}}
    return subprocess.run([*COMMAND, "--cell", str(number)], cwd=FOLDER, env=environment).returncode


def status_of(task):
    try:
        return ray.get(task)
    except ray.exceptions.RayError as error:  # a worker or its machine died: the other cells go on
        print(error)
        return 1


def main():
    ray.init()
    tasks = {{}}
    for number, name, after in CELLS:
        tasks[name] = run.remote(number, tasks.get(after))
    failed = [name for name, task in tasks.items() if status_of(task) != 0]
    print(f"failed: {{', '.join(failed)}}" if failed else "all cells are finished")
    subprocess.run([*COMMAND, "--summary"], cwd=FOLDER, check=False)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
'''
