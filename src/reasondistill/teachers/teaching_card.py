"""The data card of accepted rows: who wrote them, how they were asked for, what they cost, under which licence."""

from __future__ import annotations

from collections.abc import Mapping

from jinja2 import Environment, StrictUndefined

from reasondistill.contracts.filtering import Filtering
from reasondistill.contracts.teaching import Teaching

_TEMPLATE = """\
# {{ t.name }}

{{ "{:,}".format(t.accepted) }} of {{ "{:,}".format(t.data.n) }} rows of `{{ t.data.source }}` \
(fingerprint {{ t.data.fingerprint }}) with explanations by {{ t.teachers | map(attribute="name") | join(", ") }}, \
written from {{ t.created[:10] }} to {{ (t.finished or t.created)[:10] }} with reasondistill \
{{ t.versions.get("reasondistill", "") }}. They were written by machines and may be wrong.

| teacher | model | mode | answers | of requests | cost | licence of outputs |
| --- | --- | --- | --- | --- | --- | --- |
{% for a in t.teachers -%}
| {{ a.name }} | {{ a.model }} | {{ a.mode }} | {{ "{:,}".format(a.answered) }} | {{ "{:,}".format(a.requests) }} \
| {{ "%.4f" | format(a.cost) }} | {{ a.license or "not stated" }} |
{% endfor %}
- prompts: hash {{ t.prompts_hash }}, {{ t.shots | length }} few-shot examples, all from the training split
- cost: {{ "%.4f" | format(t.cost) }}, at most {{ "%.4f" | format(t.cost_at_most) }} with attempts of unknown cost
- answers that cannot be used: {% if t.problems %}\
{% for why, count in t.problems.items() %}{{ why }} ({{ "{:,}".format(count) }}){{ ", " if not loop.last }}{% endfor %}\
{% else %}none{% endif %}

| label | rows | accepted |
| --- | --- | --- |
{% for label, (rows, kept) in coverage.items() -%}
| {{ label }} | {{ "{:,}".format(rows) }} | {{ "{:,}".format(kept) }} |
{% endfor %}
## Filters

Each saw what those before it kept. {{ "{:,}".format(f.coverage.kept) }} of {{ "{:,}".format(f.answers) }} answers \
were kept, for {{ "{:,}".format(f.coverage.examples_kept) }} of {{ "{:,}".format(f.coverage.examples) }} rows that \
were answered; {{ "{:,}".format(f.label_only) }} accepted rows have a label and no explanation.

| filter | settings | answers kept | rows kept | why rejected |
| --- | --- | --- | --- | --- |
{% for name, o in f.filters.items() -%}
| {{ name }} | {% for key, value in o.settings.items() %}{{ key }} {{ value }}{{ ", " if not loop.last }}{% endfor %} \
| \
{% if o.left_out %}left out: {{ o.left_out }} | | |
{% else %}{{ "{:,}".format(o.coverage.kept) }} of {{ "{:,}".format(o.coverage.answers) }} | \
{{ "{:,}".format(o.coverage.examples_kept) }} of {{ "{:,}".format(o.coverage.examples) }} | \
{% for why, n in o.reasons.items() %}{{ why }} ({{ "{:,}".format(n) }}){{ ", " if not loop.last }}{% endfor %} |
{% endif -%}
{% endfor %}
| rows with the label | answers kept | rows kept |
| --- | --- | --- |
{% for label, c in f.by_label.items() -%}
| {{ label }} | {{ "{:,}".format(c.kept) }} of {{ "{:,}".format(c.answers) }} | \
{{ "{:,}".format(c.examples_kept) }} of {{ "{:,}".format(c.examples) }} |
{% endfor -%}
{% if f.taught_labels %}
- rows without a label: {{ "{:,}".format(f.taught_labels.rows) }}, labelled by teachers: \
{{ "{:,}".format(f.taught_labels.labelled) }} (`labels.jsonl`)
- votes: {{ "{:,}".format(f.taught_labels.votes) }}, mean probability of the label: \
{{ "%.3f" | format(f.taught_labels.confidence.value) if f.taught_labels.confidence else "none" }}
{% endif -%}
"""


def teaching_card(teaching: Teaching, coverage: Mapping[str, tuple[int, int]], filtering: Filtering) -> str:
    """The card, in Markdown.

    Args:
        coverage: label → rows, and accepted rows.
        filtering: what filters kept.
    """
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)  # it is no HTML
    return environment.from_string(_TEMPLATE).render(t=teaching, coverage=coverage, f=filtering)
