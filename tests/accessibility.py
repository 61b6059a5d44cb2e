"""axe-core on a page in headless Chromium; it is an npm package, and a test without it skips (see CONTRIBUTING.md)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Protocol

import pytest

PLACES = ("node_modules/axe-core/axe.min.js", "axe-core/axe.min.js")
"""Where the script lies below the checkout, or below the folder that AXE_CORE names."""


class Scripted(Protocol):
    """A page that runs JavaScript, such as `test_explorer_browser.Browser`."""

    driver: Any


def axe_script() -> str:
    """axe-core's script; skips where it is not to be had."""
    roots = [Path(os.environ["AXE_CORE"])] if "AXE_CORE" in os.environ else []
    roots.append(Path(__file__).resolve().parents[1])
    for file in (root / place for root in roots for place in (*PLACES, "axe.min.js")):
        if file.is_file():
            return file.read_text(encoding="utf-8")
    pytest.skip("no axe-core: `npm install --no-save axe-core` in the checkout, or its folder in AXE_CORE")


def violations(browser: Scripted) -> list[str]:
    """What axe-core finds on the page that is open, in both colour schemes, a line each.

    The script goes in over the debugger: pages forbid every script but their own.
    """
    script = axe_script()
    found: list[str] = []
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        _evaluate(browser, script)
        answer = _evaluate(browser, "axe.run(document, {resultTypes: ['violations']}).then(r => JSON.stringify(r))")
        for rule in json.loads(answer["value"])["violations"]:
            nodes = "; ".join(str(node["target"]) for node in rule["nodes"][:3])
            found.append(f"{scheme}: {rule['id']} ({len(rule['nodes'])}): {rule['help']}: {nodes}")
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    return found


def _evaluate(browser: Scripted, expression: str) -> dict[str, Any]:
    options = {"expression": expression, "awaitPromise": True, "returnByValue": True}
    answer = browser.driver.execute_cdp_cmd("Runtime.evaluate", options)
    assert "exceptionDetails" not in answer, answer
    result: dict[str, Any] = answer["result"]
    return result
