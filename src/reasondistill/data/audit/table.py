"""An audit's findings as rows for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from reasondistill.data.audit.findings import Severity

_SHOWN = 3


class AuditRow(NamedTuple):
    """One finding: how bad, what, what to do, and some ids that show it."""

    severity: Severity
    what: str
    advice: str
    ids: str


def audit_table(found: Mapping[str, Any]) -> list[AuditRow]:
    """The findings, worst first; a row of one note where nothing was found."""
    rows = [
        AuditRow(one["severity"], one["what"], one["advice"], _listed(one["ids"])) for one in found["findings"]
    ]  # fmt: skip
    return rows or [AuditRow("note", "nothing was found", "", "")]


def _listed(ids: list[Any]) -> str:
    shown = [" = ".join(one) if isinstance(one, list) else str(one) for one in ids[:_SHOWN]]
    return ", ".join(shown) + (", …" if len(ids) > _SHOWN else "")
