"""The report's table of rows in a real browser: headless Chromium, driven through chromedriver, reading a file."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: it comes with the extra dev")

from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

from reasondistill.contracts.scored_rows import ScoredRow  # noqa: E402
from reasondistill.reporting import build_report  # noqa: E402
from reasondistill.reporting.document import Document, Part, Section  # noqa: E402
from reasondistill.reporting.html import to_html  # noqa: E402
from reasondistill.reporting.inputs import Scored, Source  # noqa: E402
from reasondistill.reporting.viewer.rows import explorers  # noqa: E402
from test_reporting import make_rows, small_results, write_small  # noqa: E402

# The driver's path is given: nothing is to be looked for, fetched or counted.
os.environ.update(SE_OFFLINE="true", SE_AVOID_STATS="true")

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
VIEW = 10
"""Rows that are shown at a time."""
HOSTILE = "</script><script>window.hacked = 1</script><!-- <img src=x onerror='window.hacked = 2'> & \"q\""
TEXTS = {
    "markup": HOSTILE,
    "hebrew": "שתי נשים מחוץ לבניין",
    "emoji": "a 👩‍👩‍👧‍👦 family 🏳️‍🌈 é = é",
    "separators": "one\u2028two\u2029three\x85four\x07five\u202esix",
    "long": "word " * 20_000 + "end",
    "unbroken": "x" * 3_000,
    "empty": "",
    "formula": '=1+1,"quoted"\r\nsecond line',
}


def chromium() -> str:
    found = [path for name in BROWSERS if (path := shutil.which(name))]
    if not found:
        pytest.skip(f"no Chromium on the path ({', '.join(BROWSERS)}): see CONTRIBUTING.md")
    return found[0]


def chromedriver() -> str:
    found = shutil.which("chromedriver")
    if not found:
        pytest.skip("no chromedriver on the path: see CONTRIBUTING.md")
    return found


class Browser:
    """Headless Chromium, and what the tests do with a page in it."""

    def __init__(self, folder: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = chromium()
        for argument in (
            "--headless=new",
            "--no-sandbox",  # tests may run as root
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--disable-background-networking",
            "--no-first-run",
            f"--user-data-dir={folder / 'profile'}",
            "--window-size=1200,1000",
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.downloads = folder / "downloads"
        self.downloads.mkdir()
        self.driver = webdriver.Chrome(options=options, service=Service(chromedriver()))
        self.driver.set_page_load_timeout(60)
        self.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads))

    def command(self, name: str, **values: Any) -> Any:
        return self.driver.execute_cdp_cmd(name, values)

    def open(self, page: Path, view: str = "") -> None:
        self.driver.get("about:blank")
        self.messages()
        self.driver.get(page.as_uri() + (f"#{view}" if view else ""))

    def messages(self) -> list[str]:
        """What the console holds since this was last asked."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Every address asked for since this was last asked."""
        entries = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [e["params"]["request"]["url"] for e in entries if e["method"] == "Network.requestWillBeSent"]

    def js(self, code: str, *values: Any) -> Any:
        return self.driver.execute_script(code, *values)

    def all(self, css: str) -> list[Any]:
        return list(self.driver.find_elements(By.CSS_SELECTOR, css))

    def one(self, css: str) -> Any:
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def click(self, element: Any) -> None:
        self.js("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        element.click()

    def button(self, words: str, within: str = ".explorer") -> Any:
        return next(e for e in self.all(f"{within} button") if words in e.get_attribute("textContent"))

    def control(self, title: str) -> Any:
        """The control with this label."""
        label = next(e for e in self.all(".controls label, .ranges label") if e.text.splitlines()[0] == title)
        return label.find_element(By.CSS_SELECTOR, "select, input")

    def choose(self, title: str, words: str) -> None:
        self.js(
            "const [select, words] = arguments;"
            "select.selectedIndex = [...select.options].findIndex((o) => o.text.startsWith(words));"
            "select.dispatchEvent(new Event('change'))",
            self.control(title),
            words,
        )

    def type(self, element: Any, text: str) -> None:
        self.js("arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))", element, text)

    def search(self, text: str) -> None:
        self.type(self.one(".search input"), text)

    def column(self, key: str) -> list[str]:
        """The cells of a column of the first table, on its page of rows that is shown."""
        cells: list[str] = self.js(
            "const table = document.querySelector('.explorer table');"
            "const at = [...table.tHead.rows[0].cells].findIndex((cell) => cell.dataset.key === arguments[0]);"
            "return [...table.tBodies[0].rows].map((row) => row.cells[at].textContent)",
            key,
        )
        return cells

    @property
    def count(self) -> str:
        return str(self.one(".tally").text)

    def means(self) -> dict[str, str]:
        tiles = self.one(".means").find_elements(By.CSS_SELECTOR, "div")
        return {t.get_attribute("data-key"): " ".join(t.find_element(By.TAG_NAME, "dd").text.split()) for t in tiles}

    def address(self) -> str:
        """The page's link, once the page has taken it up."""
        time.sleep(0.4)
        return unquote_plus(str(self.js("return location.hash")))

    def exported(self, words: str, ending: str) -> str:
        for old in self.downloads.iterdir():
            old.unlink()
        self.click(self.button(words))
        wait_for(lambda: any(p.suffix == ending for p in self.downloads.iterdir()))
        (file,) = self.downloads.iterdir()
        return file.read_bytes().decode("utf-8")


def wait_for(done: Callable[[], bool], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    made = Browser(tmp_path_factory.mktemp("browser"))
    yield made
    made.driver.quit()


def scored_rows() -> list[dict[str, Any]]:
    """150 rows with everything that a row may have, and some of it absent from some."""
    rows = make_rows(150, seed=5)
    for number, row in enumerate(rows):
        poor = row["rougeL"] < 0.4
        row["error"] = {(True, False): "none", (True, True): "explanation", (False, False): "label"}.get(
            (row["correct"], poor), "both"
        )
        row["slices"] = [name for name, step in (("negation", 3), ("long premise", 7)) if number % step == 0]
        row["length"] = len(row["explanation"].split())
        row["copy"] = number % 10 == 0
    for row in rows[140:]:
        row |= {"rougeL": None, "bertscore_f1": None, "references": []}
    rows[0] |= {"gold": None, "correct": None}
    return rows


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return scored_rows()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> Path:
    """A whole report: figures, cards and two tables of rows."""
    run = tmp_path_factory.mktemp("run")
    (run / "run.json").write_text(
        json.dumps({"schema_version": 1, "name": "captions", "status": "finished"}), encoding="utf-8"
    )
    write_small(run / "results" / "test", rows=rows)
    validation = {"name": "captions", "split": "validation", "fingerprint": "f" * 16, "n": 30}
    write_small(run / "results" / "validation", rows=make_rows(30, 8), dataset=validation)
    return build_report([run], tmp_path_factory.mktemp("report")).html


def rows_page(path: Path, systems: dict[str, list[dict[str, Any]]]) -> Path:
    """A page that holds nothing but tables of rows: drawing figures takes most of a report's time."""
    parts = []
    for number, (name, rows) in enumerate(systems.items(), start=1):
        scored = Scored(name, small_results(), tuple(ScoredRow.model_validate(row) for row in rows))
        tables = explorers(Source(name, None, None, {name: scored}), f"{number}-", 20_000)
        parts.append(Part(name, f"part-{number}", (Section("Every example", f"section-{number}", tuple(tables)),)))
    path.write_text(to_html(Document("Rows", "", "", tuple(parts))), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        {
            "id": f"{name} {HOSTILE}",
            "gold": HOSTILE,
            "label": "__proto__",
            "correct": False,
            "probabilities": {HOSTILE: 0.25, "__proto__": 0.75},
            "explanation": text,
            "references": [text, HOSTILE],
            "fields": {"__proto__": text, HOSTILE: HOSTILE, "label": name},
            "error": HOSTILE,
            "slices": [HOSTILE],
            "rougeL": 0.5,
            HOSTILE: 0.25,
        }
        for name, text in TEXTS.items()
    ]
    return rows_page(tmp_path_factory.mktemp("hostile") / "page.html", {HOSTILE: rows})


@pytest.fixture
def first(browser: Browser, page: Path) -> Browser:
    browser.open(page)
    return browser


def mean(rows: list[dict[str, Any]], key: str) -> str:
    values = [row[key] for row in rows if row[key] is not None]
    return f"{statistics.fmean(values):.3f} n {len(values)}"


# Opening


def test_a_page_opens_without_a_word_on_the_console_and_asks_for_nothing(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.requests()
    browser.driver.refresh()
    browser.search("boys")
    assert browser.count.endswith("of 150 rows.")
    assert browser.messages() == []
    assert browser.requests() == [page.as_uri()]


def test_only_one_page_of_rows_is_drawn_and_the_rest_are_a_step_away(
    first: Browser, rows: list[dict[str, Any]]
) -> None:
    assert first.count == "150 of 150 rows."
    assert first.column("id") == [row["id"] for row in rows[:VIEW]]
    assert first.column("gold")[:2] == ["–", rows[1]["gold"]]
    assert first.all(".plain") == []
    first.click(first.button("Next rows"))
    assert first.column("id") == [row["id"] for row in rows[VIEW : 2 * VIEW]]
    for _ in range(len(rows) // VIEW - 2):
        first.click(first.button("Next rows"))
    assert first.column("id") == [row["id"] for row in rows[-VIEW:]]
    assert not first.button("Next rows").is_enabled()


def test_without_javascript_the_first_rows_stand_there(
    browser: Browser, page: Path, rows: list[dict[str, Any]]
) -> None:
    browser.command("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(page)
        assert browser.all(".controls") == []
        plain = browser.one(".plain")
        assert "here are the first 25 of 150" in plain.text
        lines = plain.find_elements(By.CSS_SELECTOR, "tbody tr")
        assert [line.text.split()[0] for line in lines] == [row["id"] for row in rows[:25]]
        assert rows[24]["explanation"] in lines[24].text
    finally:
        browser.command("Emulation.setScriptExecutionDisabled", value=False)


# Filters, means and order


def test_choices_narrow_the_rows_and_the_means_follow(first: Browser, rows: list[dict[str, Any]]) -> None:
    assert first.means()["rougeL"] == mean(rows, "rougeL")
    assert first.means()["rougeL"].endswith("n 140")
    first.choose("Gold", "neutral")
    first.choose("Correct", "✗ wrong")
    kept = [row for row in rows if row["gold"] == "neutral" and row["correct"] is False]
    assert first.count == f"{len(kept)} of 150 rows."
    assert first.column("id") == [row["id"] for row in kept[:VIEW]]
    assert first.means()["rougeL"] == f"{mean(kept, 'rougeL')} · all {mean(rows, 'rougeL').split()[0]}"
    assert first.means()["correct"].startswith("0.0%")
    first.click(first.button("Clear filters"))
    assert first.count == "150 of 150 rows."


@pytest.mark.parametrize(
    ("title", "choice", "fits"),
    [
        ("Label", "contradiction", lambda row: row["label"] == "contradiction"),
        ("Error", "both", lambda row: row["error"] == "both"),
        ("Slices", "long premise", lambda row: "long premise" in row["slices"]),
        ("Correct", "not judged", lambda row: row["correct"] is None),
        ("Gold", "absent", lambda row: row["gold"] is None),
    ],
)
def test_each_choice_keeps_the_rows_that_it_names(
    first: Browser, rows: list[dict[str, Any]], title: str, choice: str, fits: Callable[[dict[str, Any]], bool]
) -> None:
    first.choose(title, choice)
    kept = [row["id"] for row in rows if fits(row)]
    assert 0 < len(kept) < 150
    assert first.count == f"{len(kept)} of 150 rows."
    assert first.column("id") == kept[:VIEW]


def test_a_range_of_a_score_leaves_out_rows_without_it(first: Browser, rows: list[dict[str, Any]]) -> None:
    first.js("document.querySelector('.folds details').open = true")
    first.one("[aria-label='ROUGE-L, at least']").send_keys("0.6")
    first.one("[aria-label='Words, at most']").send_keys("11")
    kept = [r["id"] for r in rows if r["rougeL"] is not None and r["rougeL"] >= 0.6 and r["length"] <= 11]
    assert kept
    assert first.column("id") == kept[:VIEW]
    first.choose("Copy", "yes")
    copied = [row["id"] for row in rows if row["id"] in kept and row["copy"]]
    assert first.column("id") == copied


def test_half_a_number_is_left_to_its_writer(first: Browser, rows: list[dict[str, Any]]) -> None:
    first.js("document.querySelector('.folds details').open = true")
    box = first.one("[aria-label='ROUGE-L, at most']")
    box.send_keys("-")
    assert first.count == "150 of 150 rows."
    box.send_keys("0.5")
    assert first.count == "0 of 150 rows: none fits these filters."
    box.send_keys(Keys.HOME, Keys.DELETE)
    assert first.count == f"{sum(r['rougeL'] is not None and r['rougeL'] <= 0.5 for r in rows)} of 150 rows."


def test_where_rows_bring_their_own_choices_a_label_is_typed(browser: Browser, tmp_path: Path) -> None:
    rows = [
        {"id": str(n), "gold": f"word {n}", "label": f"word {n % 70}", "correct": n < 70}
        | {"probabilities": {f"word {n}": 0.25, f"word {n % 70}": 0.75} if n >= 70 else {f"word {n}": 1.0}}
        for n in range(140)
    ]
    browser.open(rows_page(tmp_path / "page.html", {"own": rows}))
    box = browser.control("Label")
    box.send_keys("word 6")
    assert browser.column("id") == ["6", "76"]
    box.send_keys("x")
    assert browser.js("return arguments[0].validity.valid", box) is False
    assert browser.column("confidence") == ["1.000", "0.750"]
    lines = list(csv.DictReader(io.StringIO(browser.exported("Download CSV", ".csv"), newline="")))
    assert [json.loads(line["probabilities"]) for line in lines] == [{"word 6": 1}, {"word 76": 0.25, "word 6": 0.75}]
    assert browser.address() == "#1-rows-1-own?is.label=word 6"


def test_a_search_looks_into_every_text_for_every_word(first: Browser, rows: list[dict[str, Any]]) -> None:
    def texts(row: dict[str, Any]) -> str:
        return "\n".join([row["id"], *row["fields"].values(), row["explanation"], *row["references"]]).lower()

    first.one(".search input").send_keys("BASKET old")
    kept = [row["id"] for row in rows if "basket" in texts(row) and "old" in texts(row)]
    assert first.column("id") == kept[:VIEW]
    assert kept
    first.search('"old basket"')
    assert first.count == "0 of 150 rows: none fits these filters."
    assert first.means()["rougeL"].startswith("– n 0")
    first.search(rows[77]["id"])
    assert first.column("id") == [rows[77]["id"]]


def test_a_head_sorts_by_keyboard_and_says_so(first: Browser, rows: list[dict[str, Any]]) -> None:
    head = first.one("th[data-key='rougeL']")
    there = [row for row in rows if row["rougeL"] is not None]
    ascending = [row["id"] for row in sorted(there, key=lambda row: round(row["rougeL"], 5))]
    head.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    assert head.get_attribute("aria-sort") == "ascending"
    assert first.column("id") == ascending[:VIEW]
    first.driver.switch_to.active_element.send_keys(Keys.SPACE)
    assert head.get_attribute("aria-sort") == "descending"
    assert first.column("id") == ascending[::-1][:VIEW]
    for _ in range(len(rows) // VIEW - 1):
        first.click(first.button("Next rows"))
    assert first.column("id")[-10:] == [row["id"] for row in rows[140:]]
    head.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    assert head.get_attribute("aria-sort") is None
    assert first.column("id") == [row["id"] for row in rows[:VIEW]]


def test_columns_can_be_shown_and_hidden(first: Browser, rows: list[dict[str, Any]]) -> None:
    first.js("document.querySelectorAll('.folds details')[1].open = true")
    boxes = {label.text: label for label in first.all(".box")}
    first.click(boxes["References"])
    first.click(boxes["premise"])
    assert first.column("references")[1] == " · ".join(rows[1]["references"])
    heads = [cell.get_attribute("data-key") for cell in first.all(".explorer thead th")]
    assert "fields.premise" not in heads[:12]
    assert first.address() == "#rows-1-test?hide=fields.premise&show=references"


# Reading


def test_a_row_opens_to_read_and_keys_lead_on(first: Browser, rows: list[dict[str, Any]]) -> None:
    first.choose("Correct", "✗ wrong")
    kept = [row for row in rows if row["correct"] is False]
    assert len(kept) > VIEW
    first.click(first.all(".explorer tbody tr")[VIEW - 1].find_elements(By.CSS_SELECTOR, "td")[2])
    read = first.one("dialog[open]")

    def shows(row: dict[str, Any]) -> bool:
        parts = [row["id"], row["explanation"], *row["references"], *row["fields"].values(), row["label"], row["error"]]
        return all(part in read.text for part in parts)

    assert shows(kept[VIEW - 1])
    assert f"{VIEW} of {len(kept)}" in read.text
    bars = {li.text.split()[0]: li for li in read.find_elements(By.CSS_SELECTOR, ".bars li")}
    for label, p in kept[VIEW - 1]["probabilities"].items():
        bar, track = (bars[label].find_element(By.CSS_SELECTOR, name).size["width"] for name in (".fill", ".track"))
        assert bar / track == pytest.approx(p, abs=0.01)
    assert "chosen" in bars[kept[VIEW - 1]["label"]].get_attribute("class")
    first.driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert shows(kept[VIEW])
    first.driver.switch_to.active_element.send_keys("j")
    assert shows(kept[VIEW + 1])
    first.driver.switch_to.active_element.send_keys("k")
    assert first.address() == f"#rows-1-test?is.correct=false&page=2&row={kept[VIEW]['id']}"
    first.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert first.all("dialog[open]") == []
    # The dialog's event of its closing, which gives the focus back, comes after the key's.
    wait_for(lambda: first.driver.switch_to.active_element.text == kept[VIEW]["id"])
    assert "row=" not in first.address()


def test_the_first_and_the_last_row_are_the_ends(first: Browser, rows: list[dict[str, Any]]) -> None:
    first.search(f"{rows[3]['id']}")
    first.all(".explorer tbody th button")[0].send_keys(Keys.ENTER)
    assert not first.button("Previous", "dialog").is_enabled()
    assert not first.button("Next", "dialog").is_enabled()
    first.driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert rows[3]["id"] in first.one("dialog[open]").text
    first.click(first.button("Close", "dialog"))
    assert first.all("dialog[open]") == []


# Links


def test_a_link_brings_the_view_back(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.search('basket "an old"')
    browser.choose("Gold", "entailment")
    browser.js("document.querySelector('.folds details').open = true")
    browser.type(browser.one("[aria-label='Confidence, at least']"), "0.5")
    browser.click(browser.one("th[data-key='confidence'] button"))
    browser.click(browser.one("th[data-key='confidence'] button"))
    view, ids, count = browser.address(), browser.column("id"), browser.count
    raw = browser.js("return location.hash")
    assert view == '#rows-1-test?q=basket "an old"&is.gold=entailment&min.confidence=0.5&sort=-confidence'
    assert ids
    browser.open(page, raw.removeprefix("#"))
    assert browser.column("id") == ids
    assert browser.count == count
    assert browser.one(".search input").get_attribute("value") == 'basket "an old"'
    assert browser.one("th[data-key='confidence']").get_attribute("aria-sort") == "descending"
    browser.js("location.hash = '#rows-1-test?no.gold=1'")
    wait_for(lambda: browser.count == "1 of 150 rows.")
    assert browser.messages() == []


def test_a_link_to_another_part_opens_it_and_what_is_unknown_is_named(browser: Browser, page: Path) -> None:
    browser.open(page, "rows-2-validation?is.gold=neutral&is.gold=lost&min.rougeL=much&sort=-none&odd=1")
    fold = next(f for f in browser.all("details.fold") if f.find_elements(By.CSS_SELECTOR, ".explorer"))
    assert fold.get_attribute("open") is not None
    words = fold.find_element(By.CSS_SELECTOR, ".tally").text
    expected = sum(row["gold"] == "neutral" for row in make_rows(30, 8))
    assert words.startswith(f"{expected} of 30 rows.")
    for part in ("is.gold=lost", "min.rougeL=much", "sort=-none", "odd=1"):
        assert part in words
    assert browser.count == "150 of 150 rows."
    assert browser.js("return document.querySelectorAll('.explorer')[1].getBoundingClientRect().top") < 900


# Export


def test_filtered_rows_are_exported_in_their_order(first: Browser, rows: list[dict[str, Any]]) -> None:
    first.choose("Gold", "neutral")
    first.click(first.one("th[data-key='length'] button"))
    kept = sorted((row for row in rows if row["gold"] == "neutral"), key=lambda row: row["length"])
    lines = [json.loads(line) for line in first.exported("Download JSONL", ".jsonl").splitlines()]
    assert [line["id"] for line in lines] == [row["id"] for row in kept]
    for line, row in zip(lines, kept, strict=True):
        for key in ("gold", "label", "correct", "explanation", "references", "fields", "error", "slices", "copy"):
            assert line[key] == row[key], key
        assert line["rougeL"] == (None if row["rougeL"] is None else round(row["rougeL"], 5))
        assert line["probabilities"] == {k: round(p, 5) for k, p in row["probabilities"].items()}
    table = list(csv.DictReader(io.StringIO(first.exported("Download CSV", ".csv"), newline="")))
    for cells, row in zip(table, kept, strict=True):
        assert cells["id"] == row["id"]
        assert cells["fields.premise"] == row["fields"]["premise"]
        assert cells["references.3"] == (row["references"][2] if row["references"] else "")
        assert cells["correct"] == str(row["correct"]).lower()
        assert cells["slices"] == "; ".join(row["slices"])
        assert float(cells["probabilities.neutral"]) == round(row["probabilities"]["neutral"], 5)
    assert f"{len(kept)} rows written" in first.all(".explorer > .bar")[1].text


def test_filtered_rows_are_copied(first: Browser) -> None:
    first.search("caption-0007")
    first.js("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    first.click(first.button("Copy as CSV"))
    wait_for(lambda: "1 rows copied." in first.all(".explorer > .bar")[1].text)
    assert first.js("return window.copied") == first.exported("Download CSV", ".csv")


# Text from data


def test_any_text_is_shown_as_it_is_and_never_obeyed(browser: Browser, hostile: Path) -> None:
    browser.open(hostile)
    assert browser.count == f"{len(TEXTS)} of {len(TEXTS)} rows."
    assert len(browser.column("id")) == len(TEXTS)
    for position, text in enumerate(TEXTS.values()):
        browser.js("document.querySelectorAll('.explorer tbody th button')[arguments[0]].click()", position)
        shown = "const d = document.querySelector('dialog[open]'); return "
        assert browser.js(shown + "d.querySelector('blockquote').textContent") == (text or "(empty)")
        assert browser.js(shown + "[...d.querySelectorAll('li')].at(-1).textContent") == HOSTILE
        assert browser.js(shown + "d.querySelector('.pair dd').textContent") == text
        assert browser.js("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        browser.js("document.querySelector('dialog[open]').close()")
    direction = (
        "return getComputedStyle(document.querySelectorAll('td.text:last-of-type div, td.text div')[arguments[0]])"
    )
    cells = browser.js("return [...document.querySelectorAll('td.text div')].map((d) => d.textContent)")
    assert browser.js(direction + ".direction", cells.index(TEXTS["hebrew"])) == "rtl"
    assert browser.js("return window.hacked") is None
    assert browser.js("return document.querySelectorAll('.explorer img, .explorer script').length") == 0
    assert browser.messages() == []
    lines = [json.loads(line) for line in browser.exported("Download JSONL", ".jsonl").split("\n")[:-1]]
    assert [line["explanation"] for line in lines] == list(TEXTS.values())
    assert lines[0]["fields"] == {"__proto__": HOSTILE, HOSTILE: HOSTILE, "label": "markup"}
    table = list(csv.DictReader(io.StringIO(browser.exported("Download CSV", ".csv"), newline="")))
    assert [cells["explanation"] for cells in table] == list(TEXTS.values())


def test_a_link_may_hold_any_text(browser: Browser, hostile: Path) -> None:
    browser.open(hostile)
    browser.choose("Gold", "</script>")
    browser.search(TEXTS["emoji"])
    view = browser.js("return new Promise((done) => setTimeout(() => done(location.hash), 400))")
    browser.open(hostile, view.removeprefix("#"))
    assert browser.column("id") == [f"emoji {HOSTILE}"]


def test_the_page_itself_forbids_requests_and_other_scripts(first: Browser) -> None:
    forbidden = """
        const done = arguments[arguments.length - 1];
        const said = [];
        document.addEventListener("securitypolicyviolation", (event) => said.push(event.effectiveDirective));
        document.body.append(Object.assign(document.createElement("script"), { textContent: "window.hacked = 3" }));
        const image = Object.assign(new Image(), { src: "http://127.0.0.1:9/x.png" });
        fetch("http://127.0.0.1:9/").catch(() => setTimeout(() => done(said), 100));
    """
    said = first.driver.execute_async_script(forbidden)
    assert {"script-src-elem", "img-src", "connect-src"} <= set(said)
    assert first.js("return window.hacked") is None


# Looks


LUMINANCE = """
    const light = (colour) => {
      const parts = colour.match(/[\\d.]+/g).map(Number);
      const [r, g, b] = parts.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (e) => {
      const colour = getComputedStyle(e).backgroundColor;
      return /, 0\\)$/.test(colour) && e.parentElement ? ground(e.parentElement) : colour;
    };
    return [...document.querySelectorAll(arguments[0])].filter((e) => e.innerText?.trim() && !e.disabled).map((e) => {
      const pair = [light(getComputedStyle(e).color), light(ground(e))].sort((a, b) => b - a);
      return (pair[0] + 0.05) / (pair[1] + 0.05);
    });
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 400])
def test_every_width_and_scheme_can_be_read(browser: Browser, page: Path, scheme: str, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.command("Emulation.setDeviceMetricsOverride", **size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.command("Emulation.setEmulatedMedia", features=features)
    try:
        browser.open(page)
        browser.js("document.querySelectorAll('details').forEach((fold) => (fold.open = true))")
        assert browser.js("return innerWidth") == width
        assert browser.js("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        for opened in (False, True):
            if opened:
                browser.js("document.querySelector('.explorer tbody th button').click()")
            ratios = browser.js(LUMINANCE, ".explorer :is(button, span, p, dt, dd, small, td, th, li, summary, select)")
            assert len(ratios) > 100
            assert min(ratios) >= 4.5
        box = browser.one("dialog[open]").rect
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert browser.js("return getComputedStyle(document.body).backgroundColor") == (
            "rgb(247, 248, 249)" if scheme == "light" else "rgb(20, 24, 28)"
        )
    finally:
        browser.command("Emulation.clearDeviceMetricsOverride")
        browser.command("Emulation.setEmulatedMedia", features=[])


def test_every_control_has_a_name(first: Browser) -> None:
    nameless = first.js(
        "return [...document.querySelectorAll('.explorer :is(input, select, button)')].filter((control) =>"
        "!control.labels?.[0]?.textContent.trim() && !control.ariaLabel && !control.textContent.trim())"
        ".map((control) => control.outerHTML)"
    )
    assert nameless == []


# Size


def test_ten_thousand_rows_of_two_systems_can_be_used(browser: Browser, tmp_path: Path) -> None:
    rows = make_rows(10_000, seed=2)
    browser.open(rows_page(tmp_path / "page.html", {"one": rows, "two": rows}))
    assert browser.count == "10,000 of 10,000 rows."
    browser.choose("Correct", "✗ wrong")
    browser.search("kite")
    wrong = [row for row in rows if not row["correct"]]
    kept = [r for r in wrong if "kite" in json.dumps([r["explanation"], r["references"], r["fields"]]).lower()]
    assert browser.count == f"{len(kept):,} of 10,000 rows."
    browser.click(browser.one("th[data-key='explanation'] button"))
    assert browser.column("explanation") == sorted(row["explanation"] for row in kept)[:VIEW]
    assert len(browser.all(".explorer tbody tr")) == 2 * VIEW
    assert browser.messages() == []
