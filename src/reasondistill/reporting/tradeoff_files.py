"""The files that a comparison leaves behind where its systems have costs."""

from __future__ import annotations

from typing import Final

from reasondistill.comparison import Comparison
from reasondistill.contracts.tradeoffs import Tradeoffs
from reasondistill.reporting.degradation_figure import NAME, degradation_figure, degradation_panels, panel_figure
from reasondistill.reporting.markdown import to_markdown
from reasondistill.reporting.metrics_summary import metrics_summary
from reasondistill.reporting.pages.tradeoffs import GENERATOR, to_page
from reasondistill.reporting.tradeoff_document import to_document

SUMMARY, FIGURE, REPORT, PAGE = "metrics_summary.csv", f"{NAME}.png", "final_report.md", "report.html"
TRADEOFF_FILES: Final = (SUMMARY, FIGURE, REPORT, PAGE)


def tradeoff_files(found: Comparison, tradeoffs: Tradeoffs) -> tuple[dict[str, str], dict[str, bytes]]:
    """Texts and pictures by file name; without curves there is no picture."""
    panels = degradation_panels(tradeoffs)
    figure = degradation_figure(tradeoffs, panels) if panels else None
    whole = [] if figure is None else [figure]
    texts = {
        SUMMARY: metrics_summary(found, tradeoffs),
        REPORT: to_markdown(to_document(found, tradeoffs, whole), f"<!-- {GENERATOR} -->"),
        PAGE: to_page(found, tradeoffs, [panel_figure(tradeoffs, panel) for panel in panels]),
    }
    return texts, {} if figure is None else {FIGURE: figure.png}
