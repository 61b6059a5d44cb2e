"""The page of a service, and one answer as a page, in headless Chromium: what people see, click and share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import reasondistill as rd
from reasondistill.data.feedback_rows import read_feedback
from services import Running, export_scenes, in_a_run, running
from test_explorer_browser import HOSTILE, Browser

KEY = "a-key-of-forty-letters-and-some-digits-42"


class Page:
    """The page in a browser, and how to wait for what it does."""

    def __init__(self, browser: Browser, address: str) -> None:
        self.browser, self.address = browser, address

    def open(self, view: str = "") -> None:
        self.browser.driver.get("about:blank")
        self.browser.messages()
        self.browser.requests()
        self.browser.driver.get(self.address + view)

    def wait(self, code: str, seconds: float = 30) -> Any:
        until = time.monotonic() + seconds
        while not (value := self.browser.js(f"return {code}")):
            assert time.monotonic() < until, f"{code}: {self.text()}"
            time.sleep(0.05)
        return value

    def text(self) -> str:
        return str(self.browser.js("return document.body.innerText"))

    def fill(self, **fields: str) -> None:
        self.wait("document.querySelector('form textarea')")
        for name, text in fields.items():
            self.browser.js("document.getElementById(arguments[0]).value = arguments[1]", f"field-{name}", text)

    def ask(self, **fields: str) -> None:
        self.fill(**fields)
        self.browser.js("document.getElementById('result').replaceChildren()")
        self.browser.js("document.querySelector('form').requestSubmit()")
        self.wait("document.querySelectorAll('.side').length === 2")

    def press(self, words: str) -> None:
        self.browser.click(self.browser.button(words, "main"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.driver.quit()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def package(folder: Path) -> Path:
    return export_scenes(folder)


@pytest.fixture(scope="module")
def service(folder: Path, package: Path) -> Iterator[Running]:
    with running(package, "--examples", "scenes:6", "--feedback", folder / "feedback.sqlite") as service:
        yield service


@pytest.fixture
def page(browser: Browser, service: Running) -> Iterator[Page]:
    page = Page(browser, service.url)
    page.open()
    yield page
    assert browser.messages() == []
    asked = [url for url in browser.requests() if not url.startswith(("about:", "data:", "chrome:"))]
    assert {url.startswith(service.url) for url in asked} <= {True}


def test_an_example_is_answered_and_its_words_are_coloured_side_by_side(page: Page, package: Path) -> None:
    page.wait("document.querySelectorAll('.examples button').length === 6")
    page.browser.click(page.browser.all(".examples button")[0])
    page.wait("document.querySelectorAll('.side').length === 2")
    fields = {
        name: page.browser.js(f"return document.getElementById('field-{name}').value")
        for name in ("premise", "hypothesis")
    }
    answer = rd.Student.load(package).explain(fields)
    assert page.browser.one(".given").text == answer.label
    assert page.browser.one("#result blockquote").text == answer.explanation
    bars = [(bar.text.split("\n")[0], bar.text.split("\n")[-1]) for bar in page.browser.all(".bars li")]
    assert bars == [(label, f"{p:.2f}") for label, p in answer.probabilities.items()]
    words = [word.text for word in page.browser.all(".side:first-child .word")]
    assert words == " ".join(fields.values()).split()
    assert page.browser.all(".word.for")
    assert "Measured on examples it had not seen" in page.text()
    assert page.browser.js("return document.activeElement.id") != "result"


def test_a_word_is_clicked_edited_and_what_changed_is_marked(page: Page) -> None:
    page.ask(premise="A man is asleep.", hypothesis="A man is swimming.")
    page.browser.click(page.browser.all(".side:first-child .word")[-1])
    selected = "const e = document.activeElement; return e.value.slice(e.selectionStart, e.selectionEnd)"
    assert page.browser.js(selected) == "swimming."
    page.browser.driver.switch_to.active_element.send_keys("sleeping.")
    page.ask()
    assert page.browser.one("#result .pair del").text == "swimming."
    assert page.browser.one("#result .pair ins").text == "sleeping."
    assert "Compared with your question before" in page.text()
    # A script without spaces: a character is a word.
    page.ask(premise="他有 iPhone手机。", hypothesis="他走。")
    words = page.browser.all(".side:first-child .word")
    assert [word.text for word in words] == ["他", "有", "iPhone", "手", "机。", "他", "走。"]
    page.browser.click(words[3])
    assert page.browser.js(selected) == "手"
    page.browser.driver.switch_to.active_element.send_keys("司")
    page.ask()
    assert page.browser.one("#result .pair del").text == "手"
    assert page.browser.one("#result .pair ins").text == "司"


def test_it_argues_for_every_label_and_takes_feedback(page: Page, folder: Path) -> None:
    page.ask(premise="A dog runs.", hypothesis="A dog sleeps.")
    page.press("argue for every label")
    page.wait("document.body.innerText.includes('If it had to argue')")
    assert all(label in page.text() for label in ("entailment", "neutral", "contradiction"))
    page.browser.js("document.querySelector('.feedback').parentElement.open = true")
    page.browser.js("document.querySelector('.feedback input[value=wrong]').checked = true")
    page.browser.js("document.getElementById('right-label').value = 'contradiction'")
    page.browser.js("document.getElementById('by').value = 'Ada'")
    page.browser.js("document.querySelector('.feedback').requestSubmit()")
    page.wait("document.body.innerText.includes('Thank you')")
    [said] = read_feedback(folder / "feedback.sqlite")
    assert (said.by, said.verdict, said.corrected_label) == ("Ada", "wrong", "contradiction")
    assert said.fields == {"premise": "A dog runs.", "hypothesis": "A dog sleeps."}
    assert said.group


def test_what_it_learned_from_and_a_judges_support_are_shown(browser: Browser, package: Path, tmp_path: Path) -> None:
    with running(in_a_run(package, tmp_path), "--near", "--judge", "builtin:scenes") as service:
        page = Page(browser, service.url)
        page.open()
        page.ask(premise="A man in a wool coat is in a kitchen.", hypothesis="A man is asleep.")
        page.wait("document.querySelectorAll('.near > li').length === 3")
        assert "Examples it learned from" in page.text()
        page.press("argue for every label")
        page.wait("(document.body.innerText.match(/support [01]\\.\\d\\d/g) ?? []).length === 3")
        assert "scenes" in page.text()
    assert browser.messages() == []


def test_abstaining_is_said_in_plain_words(page: Page) -> None:
    page.wait("document.getElementById('precision')")
    page.browser.js(
        "const fetched = window.fetch; window.fetch = async (path, options) => {"
        "const reply = await fetched(path, options); if (!path.includes('precision=0.9')) return reply;"
        "return new Response(JSON.stringify({...await reply.json(), abstained: true}), {status: 200}); }"
    )
    page.browser.js("document.getElementById('precision').value = '0.9'")
    page.ask(premise="A dog runs.", hypothesis="A cat.")
    assert "It would rather not answer." in page.text()


def test_a_session_is_shared_by_its_link_and_holds_text_only(page: Page) -> None:
    page.ask(premise=HOSTILE, hypothesis="A man 👩‍👧 שלום.")
    page.ask(premise="Second.", hypothesis="Question.")
    page.press("Copy a link")
    link = page.browser.js("return location.hash")
    page.open(f"/{link}")
    page.wait("document.querySelectorAll('#history ol li').length === 2")
    page.browser.click(page.browser.all("#history ol button")[0])
    page.wait("document.getElementById('result').innerText.includes('window.hacked')")
    assert page.browser.js("return window.hacked") is None
    for damaged in ("#h=%00", "#h=e30", "#h=W3siZmllbGRzIjp7fX1d", "#h=" + "A" * 5000, "#x"):
        page.open(f"/{damaged}")
        page.wait("document.querySelector('form textarea')")


def test_a_full_service_is_asked_again_and_a_broken_one_is_said(page: Page) -> None:
    page.wait("document.querySelector('form textarea')")
    page.browser.js(
        "const fetched = window.fetch; let times = 0;"
        "window.fetch = (path, options) => times++ ? fetched(path, options)"
        ": Promise.resolve(new Response('{}', {status: 429, headers: {'Retry-After': '1'}}))"
    )
    page.fill(premise="A.", hypothesis="B.")
    page.browser.js("document.querySelector('form').requestSubmit()")
    page.wait("document.getElementById('status').innerText.includes('full')")
    page.wait("document.querySelector('.given')")
    page.wait("!document.querySelector('button.main').disabled")
    page.browser.js("window.fetch = () => Promise.reject(new TypeError())")
    page.browser.js("document.querySelector('form').requestSubmit()")
    page.wait("document.getElementById('status').innerText.includes('does not answer')")
    assert page.browser.js("return document.querySelector('button.main').disabled") is False


NAMELESS = """
const named = (e) => e.labels?.length || e.getAttribute('aria-label') || e.innerText.trim();
const controls = [...document.querySelectorAll('input, select, textarea, button')];
return controls.filter((e) => !named(e)).map((e) => e.outerHTML);
"""


@pytest.mark.parametrize("width", [390, 1600])
def test_it_fits_every_width_and_everything_has_a_name(page: Page, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    page.browser.command("Emulation.setDeviceMetricsOverride", **size)
    try:
        page.ask(premise="x" * 300, hypothesis="A man is there in the daytime, " * 5)
        page.browser.js("document.querySelectorAll('details').forEach((each) => { each.open = true })")
        assert page.browser.js("return document.documentElement.scrollWidth") <= width
        assert page.browser.js(NAMELESS) == []
        levels = page.browser.js(
            "return [...document.querySelectorAll('h1,h2,h3,h4')].map((h) => Number(h.tagName[1]))"
        )
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
    finally:
        page.browser.command("Emulation.clearDeviceMetricsOverride")


def test_a_service_with_keys_asks_for_one(browser: Browser, package: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{KEY}\n")
    with running(package, "--api-key-file", tmp_path / "keys") as service:
        page = Page(browser, service.url)
        page.open()
        for key in ("wrong", KEY):
            page.wait("document.getElementById('key')")
            browser.js("document.getElementById('key').value = arguments[0]", key)
            browser.js("document.querySelector('form').requestSubmit()")
            if key == "wrong":
                page.wait("document.getElementById('status').innerText.includes('does not know')")
        page.ask(premise="A dog runs.", hypothesis="A dog sleeps.")


def test_one_answer_is_a_page_that_asks_for_nothing(
    browser: Browser, package: Path, tmp_path: Path, command: Callable[..., tuple[int, str]]
) -> None:
    out = tmp_path / "answer.html"
    fields = {"premise": f"A man sleeps. {HOSTILE}", "hypothesis": "A man rests."}
    words = [f"{name}={text}" for name, text in fields.items()]
    status, output = command("explain", package, *words, "--html", out)
    assert status == 0, output
    browser.requests()
    browser.open(out)
    assert browser.messages() == []
    assert [url for url in browser.requests() if not url.startswith(("file:", "data:", "about:"))] == []
    answer = rd.Student.load(package).explain(fields)
    assert browser.one(".given").text == answer.label
    assert len(browser.all(".side")) == 2
    assert browser.all("form, textarea") == []
    assert browser.js("return window.hacked") is None
