"""What is wrong with a data set before a student learns it: duplicates, leaks, give-aways, templates, lengths.

Each subject has a module that measures it, judges it, and makes the tables and figures that show it.
"""

from reasondistill.contracts.audit import Audit, Limits
from reasondistill.data.audit.auditing import audit, sections

__all__ = ["Audit", "Limits", "audit", "sections"]
