"""Reports: what a run or a results file shows, as Markdown and as one self-contained HTML page."""

from reasondistill.reporting.report import ReportFiles, build_report
from reasondistill.reporting.sections.headline import HeadlineRow, headline

__all__ = ["HeadlineRow", "ReportFiles", "build_report", "headline"]
