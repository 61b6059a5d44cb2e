"""`python -m reasondistill.evaluation.efficiency.child REQUEST ANSWER`: the fresh process whose memory is measured.

REQUEST and ANSWER are JSON files. A student is loaded and answers as the request says; see `memory.py`.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from reasondistill.config import Generation
from reasondistill.contracts.records import Example
from reasondistill.evaluation.efficiency.engine_costs import EngineCosts, costs_of
from reasondistill.evaluation.efficiency.process import peak_resident_bytes, resident_bytes
from reasondistill.storage.files import JsonObject, read_json, write_json
from reasondistill.students.student import Student


def at_rest(request: JsonObject) -> JsonObject:
    """Load the student twice: how much does the process grow with the second copy?

    The first copy also loads parts of the libraries, 140 MB for the student of scenes (transformers 5.23, PyTorch
    2.13), which do not belong to the student.
    """
    _, first = _load(request)
    before, allocated = resident_bytes(), first.accelerator_bytes()
    _, second = _load(request)
    after, allocated_after = resident_bytes(), second.accelerator_bytes()
    return {
        "loaded_bytes": before,
        "rest_bytes": None if before is None or after is None else after - before,
        "accelerator": None if allocated is None or allocated_after is None else allocated_after[0] - allocated[0],
    }


def at_peak(request: JsonObject) -> JsonObject:
    """Load the student once and answer, first one by one, then with the best batch size."""
    student, costs = _load(request)
    examples = [Example.model_validate(row) for row in request["examples"]]
    for example in examples:
        student.predict([example])
    peak, peak_allocated = peak_resident_bytes(), costs.accelerator_bytes()
    limited = costs.limited(request["max_rows"])
    if limited is not None:
        replace(student, engine=limited).predict(examples)
    batch, batch_allocated = peak_resident_bytes(), costs.accelerator_bytes()
    return {
        "peak_bytes": peak,
        "peak_at_best_batch_bytes": batch,
        "accelerator": None
        if peak_allocated is None or batch_allocated is None
        else [peak_allocated[1], batch_allocated[1]],
    }


def _load(request: JsonObject) -> tuple[Student, EngineCosts]:
    student = Student.load(request["student"], calibrated=False)
    student = replace(student, generation=Generation.model_validate(request["generation"]))
    costs = costs_of(student.engine)
    costs.use(request["device"], request["threads"])
    costs.touch()
    return student, costs


def main(request_file: Path, answer_file: Path) -> None:
    request = read_json(request_file)
    write_json(answer_file, {"at_rest": at_rest, "at_peak": at_peak}[request["mode"]](request))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
