"""Engine + Examples -> Prediction rows: the student as its users see it, and predictions files that survive a stop."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasondistill.config import Generation
from reasondistill.engines import Answer, Engine, answer
from reasondistill.errors import DataError, MissingExtraError, OutputError
from reasondistill.files import fingerprint, json_line, read_json, read_jsonl, write_json
from reasondistill.records import Example, Prediction, as_row, parse_record, write_records
from reasondistill.runs import find_student
from reasondistill.tasks import OutputOrder, Task

_CHUNK = 128
"""Examples answered between two writes: what a stop loses at most."""


@dataclass(frozen=True)
class Student:
    """A student that answers and explains.

    >>> student = Student.load("experiments/runs/quickstart")
    >>> student.explain(premise="A man is asleep.", hypothesis="A man is swimming.").label
    'contradiction'
    """

    engine: Engine
    task: Task
    order: OutputOrder
    generation: Generation
    fingerprint: str

    @classmethod
    def load(cls, path: str | Path) -> Student:
        """Load a student from its folder or from the run that made it.

        Raises:
            CheckpointError: there is none.
            MissingExtraError: PyTorch or transformers is not installed.
        """
        folder = find_student(path)
        try:
            from reasondistill.engines.pytorch import TorchEngine
            from reasondistill.students.checkpoint import checkpoint_fingerprint, load_checkpoint
        except ImportError as error:
            raise MissingExtraError(f"running the student {folder}", "train") from error
        checkpoint = load_checkpoint(folder)
        checkpoint.model.eval()
        asked = checkpoint.asked
        return cls(
            engine=TorchEngine(checkpoint.model, checkpoint.codec),
            task=asked.task,
            order=asked.order,
            generation=asked.generation,
            fingerprint=checkpoint_fingerprint(folder),
        )

    def explain(self, *, choices: Sequence[str] | None = None, **fields: str) -> Prediction:
        """Answer one example, its fields given by name.

        Raises:
            DataError: a field of the task is missing, or one is given that it does not have.
        """
        if unknown := sorted(set(fields) - set(self.task.fields)):
            raise DataError(
                "explain", expected=f"the fields {list(self.task.fields)}", found=f"{unknown}", fix="Leave them out."
            )
        example = Example(id="1", fields=fields, choices=tuple(choices) if choices else None)
        return self.predict([self.task.check(example)])[0]

    def predict(
        self, examples: Sequence[Example], *, generation: Generation | None = None, free: bool = False
    ) -> list[Prediction]:
        """Answer examples, in their order; what `engines.answer` says of the arguments holds here."""
        answers = answer(self.engine, self.task, self.order, examples, generation or self.generation, free=free)
        return [_prediction(example, a) for example, a in zip(examples, answers, strict=True)]


def _prediction(example: Example, a: Answer) -> Prediction:
    return Prediction(id=example.id, **a._asdict())


def predict_file(
    student: Student,
    examples: Sequence[Example],
    out: str | Path,
    *,
    facts: dict[str, Any],
    generation: Generation | None = None,
    free: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> Path:
    """Write predictions for examples to ``out``, and what they depend on to ``<out>.meta.json`` beside it.

    Rows are kept in ``<out>.part`` while the job runs. The same call after a stop goes on where it ended. The file
    that appears at the end has the order of ``examples``.

    Args:
        student: who answers.
        examples: what is asked.
        out: a new file, or one that the same call has finished before: then nothing is done.
        facts: what else the predictions depend on, such as the data's name and fingerprint.
        generation: how explanations are written, if not as the student's own settings say.
        free: see `engines.answer`.
        progress: called with how many examples are done.

    Raises:
        OutputError: predictions of another student, data or setting are there.
    """
    out = Path(out)
    settings = generation or student.generation
    meta = {
        "schema_version": 1,
        "student": student.fingerprint,
        "task": fingerprint(student.task.model_dump(mode="json"), student.order),
        "generation": settings.model_dump(mode="json"),
        "free": free,
        **facts,
    }
    part, meta_file = out.with_name(f"{out.name}.part"), out.with_name(f"{out.stem}.meta.json")
    _claim(out, part, meta_file, meta)
    if out.exists():
        progress(len(examples))
        return out
    done = {p.id: p for p in _read_part(part)}
    progress(len(done))
    # Long prompts first: batches are full of alike lengths, and a lack of memory shows at once.
    waiting = [example for example in examples if example.id not in done]
    waiting.sort(key=lambda e: -sum(map(len, e.fields.values())))
    with part.open("a", encoding="utf-8") as stream:
        for begin in range(0, len(waiting), _CHUNK):
            for row in student.predict(waiting[begin : begin + _CHUNK], generation=settings, free=free):
                done[row.id] = row
                stream.write(json_line(as_row(row)))
            stream.flush()
            progress(len(done))
    write_records(out, (done[example.id] for example in examples))
    part.unlink()
    return out


def _claim(out: Path, part: Path, meta_file: Path, meta: dict[str, Any]) -> None:
    """Begin, or go on with, the job that ``meta`` describes."""
    if meta_file.exists():
        before = read_json(meta_file)
        differing = sorted(key for key in before.keys() | meta.keys() if before.get(key) != meta.get(key))
        if differing:
            raise OutputError(
                out,
                expected="predictions of this student, data and settings, or none",
                found=f"ones that differ in {', '.join(differing)} (see {meta_file.name})",
                fix="Name another file with --out, or move the old predictions away.",
            )
    elif out.exists():
        raise OutputError(
            out, expected="a new file", found="one without a record of how it was made", fix="Name another file."
        )
    else:
        part.unlink(missing_ok=True)
        write_json(meta_file, meta)


def _read_part(part: Path) -> Iterator[Prediction]:
    """Whole rows of a part file; a last line that a stop cut off is dropped, from the file too."""
    if not part.exists() or part.stat().st_size == 0:
        return
    text = part.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if len(whole) < len(text):
        part.write_bytes(whole)
    if whole:
        for number, row in read_jsonl(part):
            yield parse_record(Prediction, row, f"{part}:{number}")


def dump(predictions: Iterable[Prediction]) -> str:
    """Predictions as JSON, for a screen."""
    return json.dumps([as_row(p) for p in predictions], ensure_ascii=False, indent=2)
