"""Predict on more than one machine: Ray Data reads the examples, actors hold a student each, order is kept.

    reasondistill data convert DATA --out examples.jsonl
    python examples/predict_with_ray.py STUDENT examples.jsonl --out predictions.jsonl --actors 2

Each actor loads the student once, on one core: as many actors as there are cores, less one to read, keep a cluster
busy. STUDENT and the examples must be where all machines see them, and `reasondistill` and `ray[data]` be installed on
each. On one machine Ray starts by itself; in a cluster, run it on the head with `--address auto`. See
docs/many_machines.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import reasondistill as rd

BATCH = 512
"""Examples that an actor answers at once: sorted by length there, so more of them pad less."""


class Answerer:
    """An actor: a student that is loaded once and answers batch after batch."""

    def __init__(self, student: str) -> None:
        self.student = rd.Student.load(student)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[str]]:
        """Lines of examples in; for each a line of the predictions file out."""
        examples = [self.student.task.check(rd.Example.model_validate_json(line)) for line in batch["text"]]
        return {"line": [_line(prediction) for prediction in self.student.predict(examples)]}


def _line(prediction: rd.Prediction) -> str:
    row = {"id": prediction.id, "label": None} | prediction.model_dump(mode="json", exclude_none=True)
    return json.dumps(row, ensure_ascii=False) + "\n"


def predict(student: str, examples: str, out: str | Path, *, actors: int = 2, batch: int = BATCH) -> Path:
    """Write the predictions for a file of examples, in its order, with Ray's actors.

    Args:
        student: a student's folder, a run or a package.
        examples: as `reasondistill data convert` writes them.
        out: a new file; it appears whole or not at all.
        actors: how many students answer side by side, each on one core.
        batch: how many examples one of them is given at once.

    Raises:
        OutputError: something is there already.
    """
    import ray

    out = Path(out)
    if out.exists():
        raise rd.errors.OutputError(out, expected="a new file", found="one that is there already", fix="Name another.")
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    answered = (
        ray.data.read_text(examples)
        .repartition(target_num_rows_per_block=batch)
        .map_batches(
            Answerer,
            fn_constructor_kwargs={"student": student},
            batch_size=batch,
            compute=ray.data.ActorPoolStrategy(size=actors),
            num_cpus=1,  # Ray sets OMP_NUM_THREADS to it
        )
    )
    part = out.with_name(f"{out.name}.part")
    with part.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(_lines(answered))
    return part.replace(out)


def _lines(answered: Any) -> Iterator[str]:
    for batch in answered.iter_batches(batch_size=BATCH):
        yield from batch["line"]


def main() -> None:
    import ray

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("student", help="a student's folder, a run or a package")
    parser.add_argument("examples", help="a .jsonl file that `reasondistill data convert` wrote")
    parser.add_argument("--out", required=True, help="a new .jsonl file")
    parser.add_argument("--actors", type=int, default=2, help="students side by side")
    parser.add_argument("--address", help="of a cluster, or auto for the one at hand; by default this machine alone")
    options = parser.parse_args()
    # Reading is a task of its own, which would wait for ever for a core if the actors held all that Ray counts.
    ray.init(address=options.address or "local", num_cpus=None if options.address else options.actors + 1)
    print(predict(options.student, options.examples, options.out, actors=options.actors))


if __name__ == "__main__":
    main()
