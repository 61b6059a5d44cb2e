"""A sequence classifier of transformers as a teacher: labels with probabilities, no explanations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from reasondistill.contracts.teacher_replies import GivenAnswer
from reasondistill.errors import CheckpointError, TaskError, importing, refused
from reasondistill.tasks.task import Task
from reasondistill.teachers.answer_formats import Parts
from reasondistill.teachers.backends.backend import BackendReply
from reasondistill.teachers.teach_settings import ClassifierTeacher
from reasondistill.teachers.teacher_requests import TeacherRequest

if TYPE_CHECKING:
    import torch


class ClassifierBackend:
    """Reads the task's first field, and its second beside it, as BERT-like models of pairs do."""

    concurrent = 1
    kept = True

    def __init__(self, teacher: ClassifierTeacher, task: Task) -> None:
        with importing("a classifier as a teacher", "train"):
            import torch
            from transformers import AutoModelForSequenceClassification, AutoTokenizer
        if task.labels is None or len(task.fields) > 2:
            expected = "a task with labels of its own and one or two fields, as a classifier reads them"
            raise TaskError(task.name, expected=expected, found=f"the fields {', '.join(task.fields)}")
        with refused(teacher.checkpoint, "a sequence classifier of transformers"):
            loading = {"revision": teacher.revision}
            self._tokenizer = AutoTokenizer.from_pretrained(teacher.checkpoint, **loading)
            self._model = AutoModelForSequenceClassification.from_pretrained(teacher.checkpoint, **loading).eval()
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model.to(self._device)
        self._fields = task.fields
        self._max_length = teacher.max_length
        self.at_once = teacher.batch_size
        self._labels = _labels(teacher, self._model.config.id2label, task.labels)
        self.model = f"{teacher.checkpoint}@{teacher.revision}:{_checksum(self._model)}"

    def parameters(self, sample: int, parts: Parts, labels: Sequence[str]) -> Mapping[str, object]:
        return {"max_length": self._max_length, "labels": self._labels}

    def answer(self, requests: Sequence[TeacherRequest]) -> list[BackendReply]:
        import torch

        texts = [[request.question.example.fields[name] for request in requests] for name in self._fields]
        limits = {"truncation": True, "padding": True, "max_length": self._max_length}
        batch = self._tokenizer(*texts, return_tensors="pt", **limits).to(self._device)
        with torch.inference_mode():
            rows = self._model(**batch).logits.float().softmax(-1).cpu().tolist()
        return [self._reply(row) for row in rows]

    def _reply(self, row: list[float]) -> BackendReply:
        probabilities = dict(zip(self._labels, row, strict=True))
        label = max(probabilities, key=lambda name: probabilities[name])
        return BackendReply(given=GivenAnswer(label=label, probabilities=probabilities), finish_reason="stop")

    def close(self) -> None:
        pass


def _labels(teacher: ClassifierTeacher, names: Mapping[int, str], labels: Sequence[str]) -> list[str]:
    """The task's labels in the order of the model's outputs; case does not count."""
    known = {label.casefold(): label for label in labels}
    ours = [teacher.labels.get(names[k], names[k]) for k in range(len(names))]
    ordered = [known.get(name.casefold(), name) for name in ours]
    if sorted(ordered) == sorted(labels):
        return ordered
    raise CheckpointError(
        teacher.checkpoint,
        expected=f"the task's labels {list(labels)}",
        found=f"the labels {[*names.values()]}",
        fix="Say which is which: labels: {LABEL_0: …}.",
    )


def _checksum(model: torch.nn.Module) -> str:
    """Of the weights: a checkpoint that was trained on is another teacher."""
    from reasondistill.storage.files import fingerprint

    sums = [
        [name, float(value.double().sum()), float(value.double().abs().sum())]
        for name, value in model.state_dict().items()
    ]
    return fingerprint(sums)
