"""`Teacher`: a teacher in Python, which explains data."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path

from reasondistill.contracts.teaching import AskingMode
from reasondistill.data.dataset_loading import Source, load_dataset
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.teachers.teach_settings import TeachConfig
from reasondistill.teachers.teaching_material import in_folder
from reasondistill.teachers.teaching_run import Progress, TeachingResult, teach


class Teacher:
    """Somebody who explains: a model behind a server, a model on this machine, a classifier, a student, a file.

    >>> teacher = Teacher(model="Qwen/Qwen3-8B", base_url="http://localhost:8000/v1", temperature=0.7)
    >>> taught = teacher.explain(data["train"], out="taught", budget=2.0)
    >>> run = rd.train(taught.accepted)

    Args:
        **settings: keys of a teacher in `teach`'s YAML: ``model``, ``base_url``, ``prices``, ``limits`` …, or ``kind``
            with the keys of that kind. Its ``name`` is that of the model, file or student where none is given.
    """

    def __init__(self, **settings: object) -> None:
        named = next((settings[key] for key in _NAMING if settings.get(key)), "teacher")
        self.settings: dict[str, object] = {"name": str(named), **settings}

    def explain(
        self,
        data: Source,
        *,
        out: str | PathLike[str],
        mode: AskingMode | None = None,
        samples: int = 1,
        shots: int = 0,
        budget: float | None = None,
        limit: int | None = None,
        progress: Callable[[Progress], None] = lambda progress: None,
        **changes: object,
    ) -> TeachingResult:
        """Ask about each row. Called again with the same folder, it goes on from what is there.

        Args:
            data: as `load_dataset` takes it.
            out: the folder of the run.
            mode: how to ask; ``given_label`` where rows have labels, else ``explanation_then_label``.
            samples: answers to the same question.
            shots: answered training rows of the data to put before each question.
            budget: in the currency of ``prices``; a request that could pass it is not sent.
            limit: ask about the first rows only.
            progress: called after each request, from any thread.
            **changes: other keys of `teach`'s YAML, such as ``prompts``.

        Returns:
            the run: ``accepted`` examples, and ``teaching`` with what was asked and what it cost.

        Raises:
            UserError: settings, data or the teacher cannot be used.
        """
        loaded = load_dataset(data)
        assert loaded.task is not None  # `load_dataset` gives one
        labelled = any(example.label is not None for example in loaded.examples)
        value = {
            "name": "teaching",
            "task": loaded.task,
            "data": {"source": loaded.name},
            "teachers": [self.settings],
            "mode": mode or ("given_label" if labelled else "explanation_then_label"),
            "samples": samples,
            "shots": {"count": shots} if shots else None,
            "budget": budget,
            **changes,
        }
        config = in_folder(validate_config(TeachConfig, value, where="Teacher"), Path(out))
        return teach(config, data=loaded, resume=True, limit=limit, progress=progress)


_NAMING = ("name", "model", "checkpoint", "student", "file")
