"""The README.md that lies in a package."""

from __future__ import annotations

from jinja2 import Environment, StrictUndefined

from reasondistill.students.package.manifest import Manifest, describe
from reasondistill.students.student_task import StudentTask

_TEMPLATE = """\
# {{ settings.task.name }} student, {{ m.quantization }}, for CTranslate2

Made by `reasondistill export` of the student {{ m.student.fingerprint }} ({{ m.student.family }}, \
{{ "{:,}".format(m.student.parameters) }} parameters).
It answers the task `{{ settings.task.name }}` with a label, a probability and an explanation, without PyTorch and
transformers:

```bash
pip install "reasondistill[serve]"
reasondistill explain path/to/this/folder{% for f in settings.task.fields %} {{ f }}="…"{% endfor %}
```

From Python, `Student.load("path/to/this/folder")` takes it as it takes a student. `package.json` names every file with
its size and SHA-256; a package with a changed file is refused.

## Compared with the student

On {{ m.parity.n }} rows of {{ m.parity.data.name }}{{ ", " ~ m.parity.data.split if m.parity.data.split }} \
(fingerprint {{ m.parity.data.fingerprint }}), when it was made:

| | found | limit |
| --- | --- | --- |
{% for name, value in figures.items() -%}
| {{ name }} | {{ "%.4g" | format(value) }} | {{ limits[name] if name in limits else "–" }} |
{% endfor %}
`greedy_identity` is the share of explanations of the student's own label that are equal to the letter with one beam.
`explanation_identity` and `explanation_rougeL` compare what both write with {{ m.parity.generation.num_beams }} beam\
{{ "s" if m.parity.generation.num_beams != 1 }}. Another processor may round int8 otherwise.

## Limits

They are the student's. An explanation is written to fit the decided label or beside it; nothing here shows that it is \
what moved the label.
"""


def package_card(manifest: Manifest, settings: StudentTask) -> str:
    """The card of a package, out of its manifest and its task."""
    environment = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
    return environment.from_string(_TEMPLATE).render(
        m=manifest, settings=settings, figures=describe(manifest.parity), limits=manifest.parity.limits.model_dump()
    )
