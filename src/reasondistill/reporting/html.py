"""A report as one HTML page that needs nothing else: no request, light and dark, wide and narrow.

A page with tables of rows holds one script, which it allows by its hash; every other script, and every request, is
forbidden by the page itself.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Final

from reasondistill.reporting.document import Document
from reasondistill.reporting.formatting import printable
from reasondistill.reporting.sections.tables import FLAG
from reasondistill.reporting.viewer.columns import page_data

GENERATOR: Final = "reasondistill report"
"""The page's ``generator``: how a later report knows this one, and may put itself in its place."""
KICKER: Final = "Student report"
FOOTER: Final = "Made by reasondistill from the files of the run; the same files give the same page."
SCRIPT_FILES: Final = ("element.js", "parts.js", "table.js", "state.js", "reader.js", "controls.js", "explorer.js")
"""The parts of the page's script, in ``reporting/viewer/explorer_js/``, in the order in which they need each other."""
_EXPLORER: Final = tuple(f"explorer_js/{name}" for name in SCRIPT_FILES)
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def to_html(document: Document, *, generator: str = GENERATOR, kicker: str = KICKER, footer: str = FOOTER) -> str:
    """The page of a report; ``kicker`` is the line above its title."""
    from markupsafe import Markup

    explorers = document.explorers
    script = page_script() if explorers else ""
    return render(
        "report.html.j2",
        document=document,
        generator=generator,
        kicker=kicker,
        footer=footer,
        flag=FLAG,
        rows=Markup(page_data(explorers)),
        script=Markup(script),
        policy=content_policy(script),
    )


def page_script(files: Sequence[str] = _EXPLORER) -> str:
    """The script of a page out of files of ``viewer/``; by default the one that filters, sorts and shows rows."""
    folder = resources.files("reasondistill.reporting") / "viewer"
    parts = [folder.joinpath(*name.split("/")).read_text(encoding="utf-8") for name in files]
    # In a function of its own, so that nothing in the page can reach or change its names.
    return "\n".join(['(() => {\n"use strict";', *parts, "})();\n"])


def content_policy(script: str = "", *, asks: bool = False) -> str:
    """What the page allows itself: no request of any kind, and only this script, by its hash.

    A page that ``asks`` may send requests to where it came from.

    The hash is that of the text between the tags in UTF-8 (CSP level 3, section 6.7.3); lines must end in \\n, since
    that is what a browser turns other ends into before it hashes.
    """
    if not script:
        return _POLICY
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return f"{_POLICY}; script-src 'sha256-{digest}'" + ("; connect-src 'self'" if asks else "")


def render(template: str, **values: object) -> str:
    """A page out of a template.

    Jinja escapes every text. Only what this library makes passes as it is: SVGs, the policy, the script and the JSON
    of its rows.
    """
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
    values.setdefault("policy", content_policy())
    values["policy"] = Markup(values["policy"])
    return environment.get_template(template).render(Markup=Markup, **values)
