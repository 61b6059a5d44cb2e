"""No kind of page that this library writes violates a rule of axe-core, with every fold open, light and dark."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from accessibility import axe_script, violations
from costed import three_sizes
from reasondistill.comparison import ComparisonSettings, compare, load_systems
from reasondistill.data import load
from reasondistill.data.audit import audit
from reasondistill.data.scenes import generate
from reasondistill.reporting import build_report
from reasondistill.reporting.pages.audit import write_audit
from reasondistill.reporting.pages.comparison import write_comparison
from services import export_scenes, running
from test_explorer_browser import Browser

pytestmark = pytest.mark.slow
WIDTHS = (1280, 390)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    axe_script()
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.driver.quit()


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("sizes")
    three_sizes(folder, generate(60))
    return [folder / name for name in ("large", "middle", "small")]


def look(browser: Browser, address: str) -> list[str]:
    found = []
    for width in WIDTHS:
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.driver.get(address)
        for _ in range(200):  # the service's page is put together by its script
            if browser.js("return document.querySelector('h1') !== null"):
                break
            time.sleep(0.05)
        browser.js("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
        found += [f"{width}: {line}" for line in violations(browser)]
    return found


def test_a_report(browser: Browser, sizes: list[Path], tmp_path: Path) -> None:
    assert look(browser, build_report(sizes[:1], tmp_path / "out").html.as_uri()) == []


def test_a_report_on_several_systems(browser: Browser, sizes: list[Path], tmp_path: Path) -> None:
    assert look(browser, build_report(sizes, tmp_path / "out").html.as_uri()) == []


def test_a_comparison(browser: Browser, sizes: list[Path], tmp_path: Path) -> None:
    settings = ComparisonSettings(resamples=50, swaps=99)
    page = write_comparison(compare(load_systems(sizes), settings=settings), tmp_path / "out").page
    assert page is not None
    assert look(browser, page.as_uri()) == []


def test_an_audit(browser: Browser, tmp_path: Path) -> None:
    data = load("scenes:200")
    assert data.task is not None
    write_audit(audit(data, task=data.task), tmp_path / "out")
    assert look(browser, (tmp_path / "out" / "audit.html").as_uri()) == []


def test_the_page_of_a_service(browser: Browser, tmp_path: Path) -> None:
    with running(export_scenes(tmp_path / "package")) as service:
        assert look(browser, service.url) == []
