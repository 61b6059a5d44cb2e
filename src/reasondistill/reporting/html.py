"""A report as one HTML page that needs nothing else: no script, no request, light and dark, wide and narrow."""

from __future__ import annotations

from typing import Any

from reasondistill.reporting.document import Document
from reasondistill.reporting.formatting import printable
from reasondistill.reporting.tables import FLAG

GENERATOR = "reasondistill report"
"""The page's ``generator``: how a later report knows this one, and may put itself in its place."""


def to_html(document: Document) -> str:
    """The page of a report."""
    return render("report.html.j2", document=document, generator=GENERATOR, flag=FLAG)


def render(template: str, **values: Any) -> str:
    """A page out of a template. Jinja escapes every text; only the SVGs, which this library draws, pass as they are."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reasondistill.reporting", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    return environment.get_template(template).render(Markup=Markup, **values)
