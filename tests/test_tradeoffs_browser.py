"""The page of trade-offs in a real browser: headless Chromium, driven through chromedriver, reading a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("selenium.webdriver", reason="selenium is not installed: it comes with the extra dev")

from costed import three_sizes
from reasondistill.comparison import ComparisonSettings, compare, load_systems
from reasondistill.data.scenes import generate
from reasondistill.reporting.pages.comparison import write_comparison
from test_explorer_browser import LUMINANCE, Browser

HOSTILE = "</script><img src=x onerror='window.hacked = 1'>"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    made = Browser(tmp_path_factory.mktemp("browser"))
    yield made
    made.driver.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sizes")
    large, middle, small = load_systems(three_sizes(folder, generate(60)))
    systems = [large, replace(middle, name=HOSTILE), small]
    settings = ComparisonSettings(resamples=100, swaps=99)
    found = compare(systems, metrics=["label_accuracy", "rougeL", "ece", "bleu"], settings=settings)
    written = write_comparison(found, folder / "out").page
    assert written is not None
    return written


@pytest.fixture
def opened(browser: Browser, page: Path) -> Browser:
    browser.open(page)
    return browser


def choose(browser: Browser, key: str, value: str) -> None:
    browser.js(
        "const select = document.querySelector(`select[data-key=${arguments[0]}]`);"
        "select.value = arguments[1]; select.dispatchEvent(new Event('change'))",
        key,
        value,
    )


def table(browser: Browser) -> list[list[str]]:
    rows: list[list[str]] = browser.js(
        "const rows = document.querySelectorAll('#tradeoffs table tr');"
        "return [...rows].map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    return rows


def names(browser: Browser) -> list[str]:
    texts = browser.js("return [...document.querySelectorAll('.dot .name')].map((text) => text.textContent)")
    return list(texts)


def test_the_page_opens_silently_and_asks_for_nothing(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.requests()
    browser.driver.refresh()
    choose(browser, "x", "latency_ms_p50")
    assert browser.messages() == []
    assert browser.requests() == [page.as_uri()]


def test_other_axes_draw_other_points(opened: Browser) -> None:
    head, *rows = table(opened)
    assert head == ["System", "Parameters", "Label accuracy", "95% interval", "Pareto front"]
    assert [row[1] for row in rows] == ["6 M", "24 M", "80 M"]
    assert [row[0] for row in rows] == ["small", HOSTILE, "large"]
    choose(opened, "x", "examples_per_second")
    choose(opened, "y", "rougeL")
    head, *rows = table(opened)
    assert head[1:3] == ["Throughput ↑", "ROUGE-L"]
    assert [row[0] for row in rows] == ["large", HOSTILE, "small"]  # by throughput now
    assert [row[4] for row in rows] == ["yes"] * 3
    assert opened.one(".front").get_attribute("d").count("V") == 2
    assert names(opened)[0] == "large"
    assert opened.messages() == []


def test_the_front_leaves_out_who_is_beaten(opened: Browser) -> None:
    """ECE is worst for the large one here: it is beaten, and drawn as a circle."""
    choose(opened, "y", "ece")
    assert [row[4] for row in table(opened)[1:]][-1] == "no"
    assert len(opened.all(".dot.kept rect.mark")) == len(opened.all(".dot")) - len(opened.all(".dot circle.mark"))
    assert opened.all(".dot circle.mark")


def test_shares_labels_and_compression(opened: Browser) -> None:
    choose(opened, "y", "rougeL")
    choose(opened, "x", "compression")
    choose(opened, "scale", "floor")
    assert len(opened.all("path.path")) == 1
    assert opened.all("path.front") == []
    assert table(opened)[1][2:4] == ["100.0%", "100.0% to 100.0%"]
    choose(opened, "part", "neutral")
    assert "has no figures on rows of gold label neutral" in opened.one("#tradeoffs .note").text
    assert opened.all(".dot") == []
    choose(opened, "scale", "nothing")
    assert len(opened.all(".dot")) == 3
    assert opened.messages() == []


def test_a_point_says_its_name_and_interval_to_pointer_and_keyboard(opened: Browser) -> None:
    dot = opened.all(".dot")[0]
    value, within = table(opened)[1][2:4]
    assert not opened.one(".tip").is_displayed()
    opened.js("arguments[0].focus()", dot)
    tip = opened.one(".tip")
    assert tip.is_displayed()
    assert tip.text.splitlines() == [
        "small", f"Label accuracy: {value} (95% interval {within})", "Parameters: 6 M", "on the Pareto front"
    ]  # fmt: skip
    assert dot.get_attribute("aria-label") == ", ".join(tip.text.splitlines())
    opened.js("arguments[0].blur()", dot)
    assert not tip.is_displayed()
    opened.js("arguments[0].dispatchEvent(new PointerEvent('pointerenter'))", opened.all(".dot")[1])
    assert tip.text.splitlines()[0] == HOSTILE
    assert opened.js("return window.hacked") is None


def test_a_link_brings_a_choice_back(browser: Browser, page: Path) -> None:
    browser.open(page)
    for key, value in (("x", "flops_per_example"), ("y", "bleu"), ("part", "entailment")):
        choose(browser, key, value)
    browser.click(browser.one(".choices input"))
    address = browser.js("return location.hash")
    shown = table(browser)
    browser.open(page, address.removeprefix("#"))
    assert table(browser) == shown
    assert not browser.one(".choices input").is_selected()
    browser.open(page, "chart?x=unknown&y=rougeL&log=7")
    assert table(browser)[0][1:3] == ["Parameters", "ROUGE-L"]
    assert browser.messages() == []


def test_without_javascript_figures_and_tables_stand_there(browser: Browser, page: Path) -> None:
    browser.command("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(page)
        assert "With JavaScript" in browser.one("#tradeoffs").text
        assert len(browser.all("figure svg")) == 5
        assert "explanations lose" in browser.one("#losses").text
    finally:
        browser.command("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 400])
def test_every_width_and_scheme_can_be_read(browser: Browser, page: Path, scheme: str, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.command("Emulation.setDeviceMetricsOverride", **size)
    browser.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    try:
        browser.open(page)
        assert browser.js("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        ratios = browser.js(LUMINANCE, "main :is(p, td, th, h2, small, label, select, a, dt, dd)")
        assert len(ratios) > 60
        assert min(ratios) >= 4.5
        outside = browser.js(
            "const plot = document.querySelector('.plot').getBoundingClientRect();"
            "return [...document.querySelectorAll('.plot text')].map((t) => t.getBoundingClientRect())"
            ".filter((b) => b.left < plot.left || b.right > plot.right || b.bottom > plot.bottom).length"
        )
        assert outside == 0
        browser.js("document.querySelectorAll('.dot')[2].focus()")
        box, plot = browser.one(".tip").rect, browser.one(".plot").rect
        assert box["x"] >= plot["x"]
        assert box["x"] + box["width"] <= plot["x"] + plot["width"]
    finally:
        browser.command("Emulation.clearDeviceMetricsOverride")
        browser.command("Emulation.setEmulatedMedia", features=[])
