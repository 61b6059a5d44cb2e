"""A report as one HTML page that needs nothing else: no script, no request, light and dark, wide and narrow."""

from __future__ import annotations

from typing import Any

from reasondistill.reporting.document import Document
from reasondistill.reporting.formatting import printable
from reasondistill.reporting.tables import FLAG

GENERATOR = "reasondistill report"
"""The page's ``generator``: how a later report knows this one, and may put itself in its place."""


def to_html(document: Document) -> str:
    """The page. Every text is escaped by Jinja; only the SVGs, which this library draws, pass as they are."""
    import jinja2
    from markupsafe import Markup

    def clean(value: Any) -> Any:
        return printable(value) if type(value) is str else value

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reasondistill.reporting", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=clean,
    )
    template = environment.get_template("report.html.j2")
    return template.render(document=document, generator=GENERATOR, flag=FLAG, Markup=Markup)
