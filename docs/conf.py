"""The documentation's site: `make docs` builds it, strictly. Pages of reference/ are written by reference_pages.py."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING

from pygments.lexers.special import TextLexer

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS))

import reference_pages  # noqa: E402  # it stands beside this file

if TYPE_CHECKING:
    from sphinx.application import Sphinx

REPOSITORY = "https://github.com/reasondistill/reasondistill"

project = "reasondistill"
author = "The reasondistill authors"
release = version = installed_version("reasondistill")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "reasondistill"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_theme_options = {"source_repository": f"{REPOSITORY}/", "source_branch": "main", "source_directory": "docs/"}

nitpicky = False  # types of other libraries have no page here; links of our own are checked by MyST
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]
copybutton_prompt_text = ">>> "
# Docstrings are plain English with names in single backticks.
default_role = "code"
smartquotes = False  # options begin with two hyphens
autodoc_preserve_defaults = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_use_rtype = False


_OUTSIDE = re.compile(r"\]\((\.\./[^)#]*)(#[^)]*)?\)")


def _links_to_repository(app: Sphinx, docname: str, source: list[str]) -> None:
    """Links of a page to files of the repository outside docs/ lead to the repository; one to no file is an error."""

    def address(link: re.Match[str]) -> str:
        path, anchor = link.groups(default="")
        target = (Path(app.env.doc2path(docname)).parent / path).resolve()
        if target.is_relative_to(DOCS):
            return link[0]
        if not target.exists():
            raise ValueError(f"{docname}: the link {path} leads to no file")
        return f"]({REPOSITORY}/{'tree' if target.is_dir() else 'blob'}/main/{target.relative_to(DOCS.parent)}{anchor})"

    source[0] = _OUTSIDE.sub(address, source[0])


def setup(app: Sphinx) -> None:
    app.add_lexer("csv", TextLexer)  # Pygments has none
    app.connect("builder-inited", lambda app: reference_pages.write(DOCS / "reference"))
    app.connect("source-read", _links_to_repository)
