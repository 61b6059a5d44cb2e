"""The README.md that lies in a student's folder, in the form that the Hugging Face hub shows."""

from __future__ import annotations

import re
from os import PathLike
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from reasondistill.contracts.run import RunInfo
from reasondistill.errors import OutputError
from reasondistill.runs import find_student
from reasondistill.storage.files import atomic_write
from reasondistill.storage.hub import is_hub_id
from reasondistill.students.calibration import Calibration
from reasondistill.students.package import is_package
from reasondistill.students.student_task import StudentTask

_TEMPLATE = """\
---
library_name: transformers
pipeline_tag: text2text-generation
tags:
- reasondistill
- rationale-distillation
- {{ settings.task.name }}
---

# {{ run.name }}

An encoder-decoder of {{ "{:,}".format(run.student.parameters) }} parameters that answers the task \
`{{ settings.task.name }}` with a label, a probability and an explanation, distilled by \
[reasondistill](https://pypi.org/project/reasondistill/) {{ run.versions.get("reasondistill", "") }}.

## Use

```python
from reasondistill import Student

student = Student.load("path/to/this/folder")
prediction = student.explain({% for f in settings.task.fields %}{{ f }}="…"{{ ", " if not loop.last }}{% endfor %})
print(prediction.label, prediction.probabilities, prediction.explanation)
```

The folder is a plain transformers checkpoint: `AutoModelForSeq2SeqLM.from_pretrained` loads it, and it expects

    {{ settings.task.prompt if settings.order != "separate" else settings.task.label_prompt }}

Output order: `{{ settings.order }}`. \
{% if settings.task.labels %}Labels: {{ settings.task.labels | join(", ") }}.{% endif %} \
The label is decided by scoring each label, not by reading the generated text.

## Training

| | |
| --- | --- |
{% for name, part in run.data.items() -%}
| {{ name }} data | {{ part.source }}, {{ "{:,}".format(part.n) }} examples, fingerprint {{ part.fingerprint }} |
{% endfor -%}
| loss weights | alpha {{ weight(run.config.loss.alpha) }}, beta {{ weight(run.config.loss.beta) }} |
| steps | {{ run.steps }} |
{% if run.best -%}
| selected | step {{ run.best.step }}, {{ run.best.metric }} {{ "%.4f" | format(run.best.value) }} on validation |
{% endif -%}
| seed | {{ run.seed }} |
| hardware | {{ run.hardware.cpu }}, {{ run.hardware.cores }} cores |

## Limits

The explanation is written after the label was decided (`label_first`) or beside it; nothing here shows that it is \
what moved the label. Text overlap with reference explanations is not evidence of sound reasoning. Evaluate the \
student on your own data before you rely on either.
"""


def model_card(run: RunInfo, settings: StudentTask, calibration: Calibration | None = None) -> str:
    """The card of a student, out of its run's facts and its calibration."""
    environment = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
    card = environment.from_string(_TEMPLATE).render(run=run, settings=settings, weight=_weight)
    return card if calibration is None else with_calibration(card, calibration)


def own_folder(student: str | PathLike[str]) -> Path:
    """The folder of a student that may be given a calibration.

    Raises:
        OutputError: it is none of the user's own, or a package.
    """
    if is_hub_id(student):
        raise OutputError(student, expected="a student of yours", found="no folder here", fix="Copy its folder.")
    folder = find_student(student)
    if folder == find_student("builtin:scenes"):
        raise OutputError(student, expected="a student of yours", found="one of the package", fix="Copy its folder.")
    if is_package(folder):
        raise OutputError(
            folder, expected="a student", found="a package", fix="Calibrate the student and export it again."
        )
    return folder


def keep_calibration(folder: Path, calibration: Calibration) -> None:
    """Write a calibration into a student's folder, its seal anew, and what its card says of it."""
    calibration.save(folder)
    card = folder / "README.md"
    if card.is_file():
        text = with_calibration(card.read_text(encoding="utf-8"), calibration)
        with atomic_write(card) as stream:
            stream.write(text)


def with_calibration(card: str, calibration: Calibration) -> str:
    """A card whose section on calibration says what ``calibration`` holds; it stands before the limits, or last."""
    without = re.sub(r"^## Calibration\n.*?(?=^## |\Z)", "", card, flags=re.MULTILINE | re.DOTALL)
    data = calibration.data
    part = f"{data.name}, {data.split}" if data.split is not None else data.name
    reached = [row for row in calibration.thresholds if row.threshold is not None]
    section = (
        "## Calibration\n\n"
        f"`reasondistill` divides the label scores by the temperature {calibration.temperature:.3f} of\n"
        f"`calibration.json`, fitted on {calibration.n:,} rows of {part} (fingerprint {data.fingerprint}): there the "
        f"expected\ncalibration error went from {calibration.ece.before:.3f} to {calibration.ece.after:.3f}. "
        "Plain transformers knows nothing of it.\n\n"
    )
    if reached:
        section += "| wanted precision | answer from confidence | share answered on these rows |\n| --- | --- | --- |\n"
        rows = (f"| {row.precision:g} | {row.threshold:.3f} | {row.coverage:.3f} |\n" for row in reached)
        section += "".join(rows) + "\n"
    before, limits, after = without.partition("## Limits\n")
    return f"{before.rstrip()}\n\n{section}{limits}{after}"


def _weight(value: object) -> str:
    return f"{value['start']} to {value['end']}" if isinstance(value, dict) else str(value)
