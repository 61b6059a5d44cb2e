"""A finished run goes on with new data, and its student is published only where it holds what its parent knew.

In come a run, new data and what keeps it from forgetting; out go a run, what both answer to old and new rows, and a
verdict in ``update.json``.
"""

from reasondistill.updating.going_on import plan_update, update
from reasondistill.updating.verdicts import Updated, carry_out

__all__ = ["Updated", "carry_out", "plan_update", "update"]
