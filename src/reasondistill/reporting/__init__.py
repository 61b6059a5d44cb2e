"""Reports: results as Markdown and as HTML pages that need nothing beside them.

In come files of runs, results, comparisons and sweeps; out go documents and figures. A section makes a `Document` of
typed blocks, which `html.py` and `markdown.py` write. Needs no model.
"""

from reasondistill.reporting.report import ReportFiles, build_report, source_folders
from reasondistill.reporting.sections.headline import HeadlineRow, headline

__all__ = ["HeadlineRow", "ReportFiles", "build_report", "headline", "source_folders"]
