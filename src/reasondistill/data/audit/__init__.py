"""What is wrong with a data set before a student learns it: duplicates, leaks, give-aways, templates, lengths."""

from reasondistill.data.audit.auditing import AUDIT_SCHEMA, audit
from reasondistill.data.audit.lengths import Limits
from reasondistill.data.audit.table import audit_table

__all__ = ["AUDIT_SCHEMA", "Limits", "audit", "audit_table"]
