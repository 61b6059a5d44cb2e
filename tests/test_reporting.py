"""Reports: what a page shows, that it needs nothing else, and that it never touches what is not its own."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import random
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from make import change_json
from reasondistill.contracts.results import Confusion, MetricValue, Results
from reasondistill.contracts.scored_rows import ScoredRow
from reasondistill.errors import DataError, OutputError
from reasondistill.reporting import ReportFiles, build_report, headline
from reasondistill.reporting.document import Card, Cards, Document, Facts, Paragraph, Part, Section
from reasondistill.reporting.figures import Line, confusion, learning_curve
from reasondistill.reporting.formatting import duration, flatten, printable, size
from reasondistill.reporting.html import to_html
from reasondistill.reporting.inputs import Scored, Source, load_sources
from reasondistill.reporting.markdown import escape, to_markdown
from reasondistill.reporting.sections.curves import POINTS, learning_curves
from reasondistill.reporting.sections.examples import EXAMPLES_EACH, choose_examples
from reasondistill.reporting.sections.first_screen import first_screen
from reasondistill.reporting.sections.headline import summarise, summarise_several
from reasondistill.reporting.sections.tables import beside_baselines

LABELS = ("entailment", "neutral", "contradiction")
SCRIPT = "<script>alert('x')</script> & \"quoted\""
PLACES = ("on a beach", "in a kitchen", "beside a lake", "at a market", "in a library", "on a stage")
DOINGS = ("reading a book", "playing a drum", "carrying a basket", "painting a fence", "feeding a horse")
PEOPLE = ("a woman in a red coat", "two boys", "an old man", "a girl with a kite", "three musicians")


def make_rows(n: int, seed: int, accuracy: float = 0.78) -> list[dict[str, Any]]:
    """Made-up scored examples in the form of per_example.jsonl."""
    rng = random.Random(seed)
    rows = []
    for number in range(n):
        gold = rng.choice(LABELS)
        right = rng.random() < accuracy
        label = gold if right else rng.choice([x for x in LABELS if x != gold])
        confidence = min(0.98, max(0.36, rng.gauss(0.8 if right else 0.62, 0.13)))
        rest = rng.random() * (1 - confidence)
        others = iter((rest, 1 - confidence - rest))
        person, doing, place = rng.choice(PEOPLE), rng.choice(DOINGS), rng.choice(PLACES)
        elsewhere = rng.choice([x for x in PLACES if x != place])
        rows.append(
            {
                "id": f"caption-{number:04d}",
                "gold": gold,
                "label": label,
                "correct": right,
                "probabilities": {x: confidence if x == label else next(others) for x in LABELS},
                "explanation": f"{person} {doing} {place} cannot be {elsewhere} at the same time"
                if label == "contradiction"
                else f"not everyone {doing} {place} is {rng.choice(('tired', 'on holiday', 'waiting for a friend'))}",
                "references": [
                    f"Someone {place} is not {elsewhere}.",
                    f"{person.capitalize()} can be {doing} without being {elsewhere}.",
                    f"The place differs: {place} is not {elsewhere}.",
                ],
                "fields": {"premise": f"{person} {doing} {place}.", "hypothesis": f"Somebody is {elsewhere}."},
                "rougeL": rng.betavariate(5, 5),
                "bertscore_f1": rng.betavariate(20, 6),
                "copy": 0.0,
            }
        )
    return rows


def make_results(rows: list[dict[str, Any]], split: str = "test", shift: float = 0.0) -> Results:
    """Results that fit ``rows`` where they are simple to work out, and are made up where they are not."""
    n = len(rows)
    share = sum(row["correct"] for row in rows) / n
    counts = [[sum(r["gold"] == g and r["label"] == p for r in rows) for p in LABELS] for g in LABELS]

    def metric(value: float, half: float = 0.012) -> MetricValue:
        return MetricValue(value=value + shift, ci95=(value + shift - half, value + shift + half), n=n)

    edges = [i / 15 for i in range(16)]
    bins: list[dict[str, Any]] = []
    for low, high in itertools.pairwise(edges):
        inside = [r for r in rows if low < r["probabilities"][r["label"]] <= high]
        bins.append(
            {
                "low": low,
                "high": high,
                "n": len(inside),
                "confidence": sum(r["probabilities"][r["label"]] for r in inside) / len(inside) if inside else None,
                "accuracy": sum(r["correct"] for r in inside) / len(inside) if inside else None,
            }
        )
    return Results.model_validate(
        {
            "dataset": {"name": "captions", "split": split, "fingerprint": "0123456789abcdef", "n": n},
            "settings": {
                "aggregate": "max",
                "stemmer": True,
                "references_used": {"min": 3, "max": 3, "mean": 3.0},
                "bertscore": {"layer": 5},
            },
            "metrics": {
                "label_accuracy": {"value": share, "ci95": (share - 0.035, share + 0.035), "n": n},
                "label_macro_f1": metric(0.774, 0.03),
                "parse_rate": MetricValue(value=1.0, n=n),
                "rouge1": metric(0.55),
                "rouge2": metric(0.31),
                "rougeL": metric(0.49),
                "bleu": {"value": 26.6 + shift, "ci95": (25.4, 27.9), "n": n},
                "chrf": {"value": 48.1, "ci95": (47.0, 49.2), "n": n},
                "bertscore_f1": metric(0.781, 0.006),
                "distinct_2": metric(0.24),
                "copy_rate": metric(0.052),
                "ece": metric(0.043),
                "brier": metric(0.17),
                "explanation_length": {"value": 11.9, "ci95": (11.6, 12.2), "n": n},
            },
            "per_label": {
                label: {
                    name: metric(value + 0.03 * i, 0.03)
                    for name, value in (
                        ("precision", 0.74),
                        ("recall", 0.72),
                        ("f1", 0.73),
                        ("rougeL", 0.45),
                        ("bertscore_f1", 0.75),
                    )
                }
                for i, label in enumerate(LABELS)
            },
            "confusion": {"labels": LABELS, "counts": counts},
            "baselines": {
                "majority_label": {"label_accuracy": 0.343, "label_macro_f1": 0.170},
                "template": {"rougeL": 0.41, "bleu": 17.2, "chrf": 39.0, "bertscore_f1": 0.701},
                "copied_premise": {"rougeL": 0.37, "bleu": 15.9, "chrf": 41.3, "bertscore_f1": 0.69},
                "copied_hypothesis": {"rougeL": 0.50, "bleu": 27.6, "chrf": 45.5, "bertscore_f1": 0.738},
                "references": {"rougeL": 0.437, "bleu": 22.4, "chrf": 43.9, "bertscore_f1": 0.775},
                "student_fewer_references": {"rougeL": 0.472, "bleu": 24.1, "chrf": 46.0, "bertscore_f1": 0.772},
            },
            "controls": {"shuffled within the label": {"rougeL": 0.36, "bertscore_f1": 0.68}},
            "calibration": {"bins": bins, "ece": 0.043},
        }
    )


def make_log(steps: int = 1000, best: float = 0.78, seed: int = 0) -> list[dict[str, Any]]:
    """A training log with a denoising phase, training rows and evaluation rows."""
    rng = random.Random(seed)
    log: list[dict[str, Any]] = [
        {"phase": "denoising", "step": step, "loss": 5.2 * math.exp(-step / 150) + 2.1 + rng.gauss(0, 0.08)}
        for step in range(10, 401, 10)
    ]
    for step in range(5, steps + 1, 5):
        fall = math.exp(-step / (steps / 4))
        explanation_loss = 2.3 * fall + 2.0 + rng.gauss(0, 0.1)
        log.append(
            {
                "phase": "joint",
                "step": step,
                "epoch": step / steps * 3,
                "loss": 0.7 * fall + 1.4,
                "label_loss": 0.75 * fall + 0.36 + rng.gauss(0, 0.07),
                "explanation_loss": explanation_loss,
                "label_token_accuracy": best + 0.06 - 0.45 * fall + rng.gauss(0, 0.04),
                "explanation_perplexity": math.exp(explanation_loss),
                "grad_norm": 1.2 + 2.5 * fall + abs(rng.gauss(0, 0.35)),
                "learning_rate": 6e-4 * min(step / 100, (steps - step) / (steps - 100)),
                "alpha": 0.7 - 0.4 * step / steps,
                "beta": 0.3 + 0.4 * step / steps,
                "unheard_of": "ignored",
            }
        )
        if step % (steps // 10) == 0:
            log.append(
                {
                    "step": step,
                    "eval_label_accuracy": best - 0.42 * fall + rng.gauss(0, 0.006),
                    "eval_label_loss": 0.6 * fall + 0.56 + 0.00006 * step,
                    "eval_explanation_loss": 2.2 * fall + 2.15,
                    "eval_perplexity": float("nan"),
                }
            )
    return log


def run_json(name: str = "captions-warm-start") -> dict[str, Any]:
    return {
        "schema_version": 1,
        "name": name,
        "created": "2025-05-04T09:30:00+00:00",
        "status": "finished",
        "config": {
            "task": "nli",
            "student": {"kind": "warm_start", "decoder_layers": 3, "vocabulary": "task"},
            "training": {"max_steps": 1000, "learning_rate": 0.0006, "bf16": False, "alpha": [0.7, 0.3]},
            "extra": {},
        },
        "seed": 13,
        "data": {
            "train": {"source": "captions.csv", "fingerprint": "aa11bb22cc33dd44", "n": 6900},
            "validation": {"source": "captions.csv", "fingerprint": "0011223344556677", "n": 980},
        },
        "versions": {"reasondistill": "0.1.0", "torch": "2.9.0", "transformers": "5.2.0"},
        "git_commit": "c0ffee0123456789",
        "hardware": {"cpu": "A processor", "cores": 2, "memory_gib": 7.8, "accelerator": None},
        "timings": {"denoise": 421.3, "train": 3725.0, "predict": 88.4},
        "student": {"parameters": 21_350_400, "bytes": 85_401_600},
        "best": {"step": 900, "metric": "label_accuracy", "value": 0.7791},
    }


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_results(folder: Path, rows: list[dict[str, Any]], **changes: Any) -> Path:
    make_results(rows, **changes).save(folder / "results.json")
    write_jsonl(folder / "per_example.jsonl", rows)
    return folder


def write_run(folder: Path, *, name: str = "captions-warm-start", seed: int = 0, shift: float = 0.0) -> Path:
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(run_json(name)), encoding="utf-8")
    write_jsonl(folder / "metrics.jsonl", make_log(best=0.78 + shift, seed=seed))
    write_results(folder / "results" / "test", make_rows(400, seed, 0.78 + shift), shift=shift)
    write_results(folder / "results" / "validation", make_rows(120, seed + 1), split="validation")
    return folder


class Page(HTMLParser):
    """Reads a page, and refuses one whose tags do not close in order or whose attributes name a resource."""

    VOID = frozenset({"meta", "link", "br", "img", "hr", "input"})

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == [], f"left open: {self.open}"

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._look_at(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._look_at(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"]):
            self.words.append(data)

    def _look_at(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href", "srcset", "action", "data"):
                self.links.append(value or "")
            assert not name.startswith("on"), f"{tag} runs a script"


def as_html(markdown: str) -> str:
    return str(MarkdownIt("commonmark").enable("table").render(markdown))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def report(run: Path, tmp_path_factory: pytest.TempPathFactory) -> ReportFiles:
    return build_report([run], tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(report: ReportFiles) -> Page:
    return Page(report.html.read_text(encoding="utf-8"))


def small_results(**parts: Any) -> Results:
    dataset = {"name": "captions", "split": "test", "fingerprint": "f" * 16, "n": 4}
    metrics = {"label_accuracy": MetricValue(value=0.75, n=4)}
    return Results.model_validate({"dataset": dataset, "settings": {}, "metrics": metrics} | parts)


def write_small(folder: Path, *, rows: list[dict[str, Any]] | None = None, **parts: Any) -> Path:
    small_results(**parts).save(folder / "results.json")
    if rows is not None:
        write_jsonl(folder / "per_example.jsonl", rows)
    return folder


# The page


def test_the_page_is_well_formed_and_its_ids_are_unique(page: Page) -> None:
    assert {"html", "main", "table", "figure", "svg", "article", "details"} <= page.tags
    assert len(page.ids) == len(set(page.ids))


def test_the_page_asks_for_nothing_outside_itself(report: ReportFiles, page: Page) -> None:
    html = report.html.read_text(encoding="utf-8")
    assert page.links
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert all(url.startswith("#") and url[1:] in page.ids for url in re.findall(r"url\(([^)]*)\)", html))
    assert not page.tags & {"link", "img", "iframe", "object", "base"}
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_the_page_shows_every_section_and_names_what_is_in_it(page: Page) -> None:
    for words in (
        "The student gives the gold label for",
        "do not beat the strongest baseline, a copied hypothesis (0.500)",
        "Copied hypothesis 0.500 ▲ 27.6 ▲ 45.5 0.738",
        "ROUGE (stemmed) and BERTScore: the maximum over 3 references",
        "Learning curves",
        "Denoising loss",
        "Confusion",
        "Reliability diagram",
        "Words in an explanation",
        "Most confident errors",
        "training.learning_rate 0.0006",
        "21,350,400",
        "1 h 02 min",
        "bertscore.layer 5",
    ):
        assert words in page.text, words
    assert "Left out" not in page.text


def test_markdown_shows_the_same_tables_and_every_figure_lies_beside_it(report: ReportFiles) -> None:
    text = report.markdown.read_text(encoding="utf-8")
    assert "| Copied hypothesis |  |  | 0.500 ▲ | 27.6 ▲ | 45.5 | 0.738 |" in text
    named = re.findall(r"\]\((.*?)\)", text)
    assert sorted(named) == sorted(f"figures/{p.name}" for p in report.figures.iterdir())
    assert all((report.markdown.parent / name).read_bytes().startswith(b"\x89PNG\r\n") for name in named)
    for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_the_same_sources_give_the_same_bytes(run: Path, report: ReportFiles, tmp_path: Path) -> None:
    moved = shutil.copytree(run, tmp_path / "elsewhere")
    again = build_report([moved], tmp_path / "report")
    for first, second in zip(sorted(_files(report)), sorted(_files(again)), strict=True):
        assert first.name == second.name
        assert first.read_bytes() == second.read_bytes(), first.name


def _files(report: ReportFiles) -> list[Path]:
    return [report.html, report.markdown, *report.figures.iterdir()]


def test_several_runs_are_set_side_by_side(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "run.json").write_text(json.dumps(run_json()), encoding="utf-8")
    write_jsonl(other / "metrics.jsonl", make_log(steps=200))
    rows = make_rows(40, 3, accuracy=0.5)
    results = make_results(rows)
    changed = results.dataset.model_copy(update={"fingerprint": "another"})
    results.model_copy(update={"dataset": changed}).save(other / "results" / "test" / "results.json")
    page = Page(build_report([run, other], tmp_path / "out").html.read_text(encoding="utf-8"))
    assert "2 systems compared" in page.text
    assert "is highest for" not in page.text
    assert "not all scored on the same rows" in page.text
    assert "captions-warm-start (2)" in page.text
    assert "not all scored on the same rows" in page.text
    assert "Headline metrics" in page.text
    assert len(page.ids) == len(set(page.ids))


def several(*parts: tuple[str, Results]) -> str:
    scored = {name: Source(name, None, None, {"test": Scored("test", results, None)}) for name, results in parts}
    return summarise_several(list(scored.values()))


def test_without_a_test_nobody_is_ranked() -> None:
    a, c = make_results(make_rows(40, 1)), make_results(make_rows(40, 1, accuracy=0.99))
    other = c.model_copy(update={"dataset": c.dataset.model_copy(update={"fingerprint": "another", "n": 7})})
    assert "without a test between them" in several(("a", a), ("c", c))
    assert "highest" not in several(("a", a), ("c", c))
    assert "not all scored on the same rows" in several(("a", a), ("c", other))
    assert "c on 7 rows of the test part of " in several(("a", a), ("c", other))


def test_runs_on_the_same_rows_are_compared_first(run: Path, tmp_path: Path) -> None:
    other = shutil.copytree(run, tmp_path / "other")
    page = Page(build_report([run, other], tmp_path / "out").html.read_text(encoding="utf-8"))
    assert "no test tells the two apart" in page.text
    assert "Who is better at what" in page.text
    assert "is highest" not in page.text
    assert len(page.ids) == len(set(page.ids))


@pytest.mark.parametrize(
    ("sources", "whose"),
    [
        ({"scenes": 9}, "The references (scenes) reach ROUGE-L"),
        ({"human": 9, "gpt-4o": 2}, "The references (human and gpt-4o) reach ROUGE-L"),
        ({"a": 4, "b": 3, "c": 2, "d": 1, "e": 1}, "The references (a, b, c and 2 more) reach ROUGE-L"),
        (None, "The references reach ROUGE-L"),
    ],
)
def test_references_are_called_what_their_source_is(sources: dict[str, int] | None, whose: str) -> None:
    results = make_results(make_rows(40, 1))
    results = results.model_copy(
        update={"settings": {**results.settings, **({"reference_sources": sources} if sources else {})}}
    )
    text = summarise(Source("a", None, None, {"test": Scored("test", results, None)}))
    assert whose in text
    assert "uman ref" not in text
    table = beside_baselines(results)
    assert table is not None
    assert whose.removeprefix("The ").removesuffix(" reach ROUGE-L") in table.note


def test_examples_whose_explanation_equals_a_reference_are_not_the_furthest_from_it() -> None:
    def row(number: int, explanation: str, rouge: float) -> ScoredRow:
        return ScoredRow(id=str(number), gold="neutral", label="neutral", correct=True, explanation=explanation,
                   references=["Other.", "Так и есть."], rougeL=rouge)  # fmt: skip

    (right, furthest) = choose_examples([row(1, "так и есть", 0.0), row(2, "Нет", 0.0), row(3, "OTHER", 1.0)])
    assert [card.id for card in furthest.cards] == ["2"]
    assert {card.id for card in right.cards} == {"1", "3"}
    assert [card.verdict for card in right.cards] == ["label right"] * 2
    (cards,) = choose_examples([ScoredRow(id="1", gold="neutral", label=None, correct=None, explanation="x")])
    assert (cards.title, cards.cards[0].verdict) == ("Examples whose label was not judged", "label not judged")


# Text from data


def test_markup_in_the_data_is_shown_and_never_obeyed(tmp_path: Path) -> None:
    rows = [
        {
            "id": f"{SCRIPT}{number}",
            "gold": SCRIPT,
            "label": SCRIPT,
            "correct": number < 2,
            "probabilities": {SCRIPT: 0.75, "$x$": 0.25},
            "explanation": f"{SCRIPT} [link](javascript:alert(1))",
            "references": [SCRIPT],
            "fields": {"<b>": SCRIPT},
        }
        for number in range(4)
    ]
    counts = Confusion(labels=[SCRIPT, "$x$"], counts=[[2, 1], [1, 0]])
    source = write_small(
        tmp_path / "results",
        rows=rows,
        dataset={"name": SCRIPT, "split": "test", "fingerprint": SCRIPT, "n": 4},
        settings={SCRIPT: SCRIPT},
        confusion=counts,
        per_label={SCRIPT: {"f1": MetricValue(value=0.5, n=4)}},
        baselines={SCRIPT: {"label_accuracy": 0.5}},
        controls={SCRIPT: {"label_accuracy": 0.5}},
    )
    files = build_report([source], tmp_path / "out")
    html, text = files.html.read_text(encoding="utf-8"), files.markdown.read_text(encoding="utf-8")
    assert "b" not in Page(html).tags
    assert SCRIPT in Page(html).text
    assert re.findall("<script[^>]*>", html.lower()) == ['<script type="application/json" id="rows">', "<script>"]
    assert "<script" not in text.lower()
    shown = Page(as_html(text))
    assert not {"script", "b", "a"} & shown.tags
    assert f"{SCRIPT} [link](javascript:alert(1))" in shown.text


@given(st.text(max_size=40))
@settings(max_examples=60, deadline=None)
def test_any_text_stands_in_the_page_and_in_markdown(text: str) -> None:
    card = Card(text, {text: text}, text, text, None, ((text, 0.5),), text, (text,), ((text, text),))
    blocks = (Paragraph(text), Facts(text, ((text, text),)), Cards(text, text, (card,)))
    document = Document(text, text, text, (Part("", "report", (Section(text, "a", blocks),)),))
    page = Page(to_html(document))
    assert " ".join(printable(text).split()) in page.text
    assert not re.search(r"<(?!!-- reasondistill)", to_markdown(document))
    shown = Page(as_html(f"| |\n|--|\n| before {escape(text)} after |\n"))
    assert shown.text == " ".join(f"before {printable(text)} after".split())


@given(st.text(max_size=20))
@settings(max_examples=8, deadline=None)
def test_any_label_can_be_drawn(label: str) -> None:
    drawing = confusion("confusion", "Confusion", "", Confusion(labels=[label, "other"], counts=[[3, 1], [0, 0]]))
    words = [element.text for element in ET.fromstring(drawing.svg).iter() if element.tag == "text"]
    assert "75%" in words
    assert "3" in words


def test_a_figure_takes_its_colours_from_the_page() -> None:
    drawing = learning_curve("loss", "Loss", "", [Line("training", [1, 2, 3], [3.0, 2.0, 1.5])])
    assert "var(--series-1, #0072b2)" in drawing.svg
    assert "http" not in drawing.svg
    assert 'id="loss-figure_1"' in drawing.svg


# Headline


@pytest.mark.parametrize(
    ("value", "ci95", "verdict"),
    [
        (0.60, (0.55, 0.65), "above"),
        (0.52, (0.48, 0.56), "level"),
        (0.50, (0.45, 0.55), "below"),
        (0.51, None, "above"),
        (0.49, None, "below"),
    ],
)
def test_a_figure_is_weighed_against_its_strongest_baseline(
    value: float, ci95: tuple[float, float] | None, verdict: str
) -> None:
    results = small_results(
        metrics={"rougeL": MetricValue(value=value, ci95=ci95, n=4)},
        baselines={"template": {"rougeL": 0.41}, "copied_hypothesis": {"rougeL": 0.5}, "references": {"rougeL": 0.99}},
    )
    (row,) = headline(results)
    assert (row.baseline, row.baseline_value, row.verdict) == ("copied_hypothesis", 0.5, verdict)
    assert row.cells()[0] == "ROUGE-L"
    assert row.cells()[3] == "0.500 copied hypothesis"


def test_headline_leaves_out_what_was_not_scored() -> None:
    results = small_results(metrics={"bleu": MetricValue(value=26.64, ci95=(25.0, 28.0), n=4)})
    assert [row.cells() for row in headline(results)] == [("BLEU", "26.6", "25.0–28.0", "")]
    assert headline(results)[0].verdict is None


def test_the_summary_says_when_a_baseline_is_not_beaten() -> None:
    baselines = {
        "copied_hypothesis": {"rougeL": 0.50},
        "template": {"rougeL": 0.55},
        "majority_label": {"label_accuracy": 0.75},
    }
    metrics = {"label_accuracy": MetricValue(value=0.75, n=4), "rougeL": MetricValue(value=0.52, n=4)}
    scored = Scored("test", small_results(metrics=metrics, baselines=baselines), None)
    text = summarise(Source("student", None, None, {"test": scored}))
    assert "75.0%, where always answering the majority label gives 75.0%: it does not beat that baseline." in text
    assert (
        "do not beat the strongest baseline, the commonest template (0.550); a copied hypothesis reaches 0.500." in text
    )


# Examples and curves


def test_examples_are_chosen_by_the_stated_rules() -> None:
    rows = [ScoredRow.model_validate(row) for row in make_rows(60, seed=2)]
    groups = {group.title: [card.id for card in group.cards] for group in choose_examples(rows)}
    right = sorted((r.id for r in rows if r.correct), key=lambda i: hashlib.sha256(i.encode()).hexdigest())
    wrong = [r for r in rows if not r.correct]
    (furthest,) = (ids for title, ids in groups.items() if title.startswith("Right label, "))
    assert groups["Right label"] == [i for i in right if i not in furthest][:EXAMPLES_EACH]
    surest = sorted(wrong, key=lambda r: -(r.confidence or 0))
    assert groups["Most confident errors"] == [r.id for r in surest[:EXAMPLES_EACH]]
    assert choose_examples(rows) == choose_examples(rows[::-1])
    shown = [i for ids in groups.values() for i in ids]
    assert len(shown) == len(set(shown))
    assert not set(right[:3]) & {card.id for group in choose_examples(rows, shown=right[:3]) for card in group.cards}


# The first screen


def scored_student(**metrics: MetricValue) -> Source:
    rows = [ScoredRow.model_validate(row) for row in make_rows(60, seed=2)]
    baselines = {"template": {"rougeL": 0.55}, "majority_label": {"label_accuracy": 0.75}}
    return Source(
        "s", None, None, {"test": Scored("test", small_results(metrics=metrics, baselines=baselines), tuple(rows))}
    )


@pytest.mark.parametrize(
    ("low", "sentence"),
    [
        (0.76, "labels better than always giving the commonest label"),
        (0.70, "is not shown to label better than"),
        (None, "labels no better than"),
    ],
)
def test_the_first_sentence_claims_no_more_than_the_interval(low: float | None, sentence: str) -> None:
    accuracy = (
        MetricValue(value=0.70, ci95=(0.6, 0.74), n=60)
        if low is None
        else MetricValue(value=0.8, ci95=(low, 0.85), n=60)
    )
    screen = first_screen(scored_student(label_accuracy=accuracy))
    assert screen is not None
    assert sentence in screen.verdict
    (figure,) = screen.figures
    assert (figure.value, figure.baseline) == (
        f"{accuracy.value:.1%}", "to beat: 75.0%, always answering the majority label"
    )  # fmt: skip


def test_the_first_three_explanations_stand_where_their_names_say() -> None:
    source = scored_student(rougeL=MetricValue(value=0.5, n=60))
    screen = first_screen(source)
    assert screen is not None
    assert "does not explain better than the commonest template (by ROUGE-L)" in screen.verdict
    rows = source.main.rows if source.main is not None else None
    scores = {row.id: row.score("rougeL") or 0.0 for row in rows or () if row.explanation}
    places = {
        name: sum(score < scores[card.id] for score in scores.values()) / len(scores)
        for name, card in screen.samples
    }  # fmt: skip
    assert list(places) == ["good", "typical", "bad"]
    assert places["good"] >= 0.8 > places["typical"] > 0.2 >= places["bad"]


@pytest.mark.parametrize(("ece", "words"), [(0.02, "taken at their word"), (0.08, "roughly"), (0.3, "cannot be")])
def test_probabilities_are_called_what_they_are(ece: float, words: str) -> None:
    screen = first_screen(scored_student(ece=MetricValue(value=ece, n=60)))
    assert screen is not None
    assert words in screen.verdict


def test_rows_without_gold_labels_make_a_group_of_their_own() -> None:
    (group,) = choose_examples([ScoredRow(id="a", explanation="because"), ScoredRow(id="b")])
    assert group.title == "Examples without a gold label"
    assert len(group.cards) == 2


def test_curves_average_long_logs_and_leave_out_what_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, list[Line]] = {}

    def remember(name: str, title: str, caption: str, lines: list[Line], **_: Any) -> str:
        drawn[name] = lines
        return name

    monkeypatch.setattr("reasondistill.reporting.sections.curves.learning_curve", remember)
    log: list[dict[str, Any]] = [{"step": s, "label_loss": float(s)} for s in range(1, 2 * POINTS + 1)]
    log += [{"step": 3, "eval_label_loss": 1.5}, {"step": "four", "eval_label_loss": 1.0}, {"eval_label_loss": 1.0}]
    log += [{"phase": "denoising", "step": 1, "loss": 9.0, "label_loss": 7.0}]
    learning_curves(Source("run", None, tuple(log)), "")
    assert list(drawn) == ["label-loss", "denoising-loss"]
    training, validation = drawn["label-loss"]
    assert len(training.values) == POINTS
    assert (training.steps[0], training.values[0], training.values[-1]) == (1.5, 1.5, 2 * POINTS - 0.5)
    assert (list(validation.steps), list(validation.values)) == ([3], [1.5])
    assert list(drawn["denoising-loss"][0].values) == [9.0]


# Parts that are absent


def test_a_bare_results_folder_is_enough(tmp_path: Path) -> None:
    text = Page(build_report([write_small(tmp_path / "scores")], tmp_path / "out").html.read_text("utf-8")).text
    assert "gives the gold label for 75.0%." in text
    for sentence in (
        "Examples per_example.jsonl is absent or empty.",
        "Calibration no probabilities were scored.",
        "this is a bare results folder, without run.json.",
    ):
        assert sentence in text, sentence


def test_a_run_that_is_not_evaluated_yet_says_so(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"schema_version": 1, "name": "young", "status": "running"}))
    (tmp_path / "metrics.jsonl").write_text("")
    text = Page(build_report([tmp_path], tmp_path / "out").html.read_text("utf-8")).text
    assert "young has not been evaluated yet" in text
    assert "marked as running" in text
    assert "Learning curves metrics.jsonl is absent or empty." in text


def test_unreadable_characters_do_not_reach_the_page(tmp_path: Path) -> None:
    # JSON can spell what UTF-8 cannot hold.
    config = {"schema_version": 1, "name": "odd", "status": "finished", "config": {"key": "half \ud800 and nul \x00"}}
    (tmp_path / "run.json").write_text(json.dumps(config))
    files = build_report([tmp_path], tmp_path)
    assert "half \ufffd and nul \ufffd" in files.html.read_text("utf-8")


# Refusals


def test_a_folder_that_is_neither_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"run\.json.*results\.json.*notes\.txt"):
        build_report([tmp_path], tmp_path / "out")
    with pytest.raises(DataError, match="nothing at this path"):
        build_report([tmp_path / "absent"], tmp_path / "out")
    with pytest.raises(DataError, match="at least one"):
        build_report([], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("run.json", '{"schema_version": 3, "name": "x"}', "schema version 1 or 2.*version 3"),
        ("run.json", '{"schema_version": 1}', "name"),
        ("run.json", "{", "JSON"),
        ("results.json", '{"schema_version": 9}', "schema version 1"),
        ("metrics.jsonl", '{"step": 1}\n{"step": \n', r"metrics\.jsonl:2"),
        ("results/test/per_example.jsonl", '{"id": "a"}\n{"gold": "x"}\n', r"per_example\.jsonl:2"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    source = tmp_path / "source"
    if name != "results.json":
        write_small(source / "results" / "test")
        (source / "run.json").write_text(json.dumps({"schema_version": 1, "name": "x", "status": "finished"}))
    else:
        source.mkdir()
    (source / name).write_text(content)
    with pytest.raises(DataError, match=message):
        build_report([source], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_broken_calibration_is_named(tmp_path: Path) -> None:
    source = write_small(tmp_path / "s")
    change_json(source / "results.json", lambda results: results.update(calibration={"bins": [{"low": 0.0, "n": 3}]}))
    with pytest.raises(DataError, match=r"calibration\.bins.*high"):
        build_report([source], tmp_path / "out")


def test_a_report_is_rebuilt_in_its_run_and_touches_nothing_else(tmp_path: Path) -> None:
    source = write_small(tmp_path / "run")
    (source / "notes.txt").write_text("mine")
    first = build_report([source], source)
    (first.figures / "mine.png").write_bytes(b"mine")
    before = first.html.read_bytes()
    first.html.write_bytes(before.replace(b"75.0%", b"99.9%"))
    assert build_report([source], source) == first
    assert first.html.read_bytes() == before
    assert (source / "notes.txt").read_text() == "mine"
    assert (first.figures / "mine.png").read_bytes() == b"mine"
    assert not list(source.rglob("*.part"))


def test_an_earlier_report_elsewhere_is_rebuilt(tmp_path: Path) -> None:
    source, out = write_small(tmp_path / "run"), tmp_path / "out"
    assert build_report([source], out) == build_report([source], out)


def test_what_this_tool_did_not_make_is_never_overwritten(tmp_path: Path) -> None:
    source = write_small(tmp_path / "run")
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="a file"):
        build_report([source], tmp_path / "file")
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.tex").write_text("x")
    with pytest.raises(OutputError, match="other files"):
        build_report([source], taken)
    assert [p.name for p in taken.iterdir()] == ["thesis.tex"]
    (source / "report.md").write_text("my own words")
    with pytest.raises(OutputError, match=r"report\.md"):
        build_report([source], source)
    assert (source / "report.md").read_text() == "my own words"
    (source / "report.md").unlink()
    (source / "figures").mkdir()
    (source / "figures" / "confusion.png").write_bytes(b"mine")
    with pytest.raises(OutputError, match="figures"):
        build_report([source], source)


# Small things


def test_test_is_the_main_part_before_validation_and_any_other(run: Path) -> None:
    (source,) = load_sources([run])
    assert source.main is not None
    assert source.main.split == "test"
    assert Source("x", None, None, {}).main is None


def test_times_sizes_and_settings_read_well() -> None:
    assert [duration(s) for s in (4.21, 59.97, 185.0, 3599.6, 3720.0)] == [
        "4.2 s",
        "1 min 00 s",
        "3 min 05 s",
        "1 h 00 min",
        "1 h 02 min",
    ]
    assert [size(n) for n in (512, 2048, 85_401_600, 3 * 2**30)] == ["512 B", "2.0 KiB", "81.4 MiB", "3.0 GiB"]
    nested = {"a": {"b": None, "c": [1, 2.5]}, "d": True, "e": {}}
    assert list(flatten(nested)) == [("a.b", "none"), ("a.c", "1, 2.5"), ("d", "yes"), ("e", "none")]
    assert list(flatten({"templates": {"": "as it is"}})) == [("templates", "as it is")]


def test_importing_reports_loads_no_heavy_library() -> None:
    code = (
        "import sys, reasondistill.reporting; "
        "print({'torch', 'matplotlib', 'jinja2', 'pandas'} & set(sys.modules) or 'none')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "none"
