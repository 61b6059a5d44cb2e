"""What is wrong with a data set before a student learns it: duplicates, leaks, give-aways, templates, lengths."""

from reasondistill.auditing.building import AUDIT_SCHEMA, audit
from reasondistill.auditing.lengths import Limits
from reasondistill.auditing.table import audit_table

__all__ = ["AUDIT_SCHEMA", "Limits", "audit", "audit_table"]
