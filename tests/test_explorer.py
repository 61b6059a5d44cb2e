"""Rows for the report's table: which of them, packed how, and that nothing in them can leave its JSON."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reasondistill.contracts.scored_rows import ScoredRow
from reasondistill.reporting import build_report
from reasondistill.reporting.document import Document, Explorer, Paragraph, Part, Section
from reasondistill.reporting.html import SCRIPT_FILES, content_policy, page_script, to_html
from reasondistill.reporting.inputs import Scored, Source
from reasondistill.reporting.markdown import to_markdown
from reasondistill.reporting.viewer.columns import page_data
from reasondistill.reporting.viewer.rows import explorers, rows_per_table, sample
from test_reporting import Page, make_rows, small_results, write_small

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "src" / "reasondistill" / "reporting" / "viewer" / "explorer_js"


def as_rows(rows: list[dict[str, Any]]) -> tuple[ScoredRow, ...]:
    return tuple(ScoredRow.model_validate(row) for row in rows)


def source_of(rows: list[dict[str, Any]], *others: str) -> Source:
    scored = {name: Scored(name, small_results(), as_rows(rows)) for name in ("test", *others)}
    return Source("system", None, None, scored)


def packed(rows: list[dict[str, Any]]) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """The shared texts and the columns, by key, of one table."""
    value = json.loads(page_data(explorers(source_of(rows), "", 20_000)))
    (table,) = value["tables"]
    return value["texts"], {column["key"]: column for column in table["columns"]}


# Which rows


def test_a_large_part_is_sampled_by_its_ids_and_keeps_its_order() -> None:
    rows = as_rows([{"id": str(n)} for n in range(50)])
    few = sample(rows, 10)
    by_hash = sorted((str(n) for n in range(50)), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    assert [row.id for row in few] == sorted(by_hash[:10], key=int)
    assert {row.id for row in sample(rows[::-1], 10)} == {row.id for row in few}
    assert sample(rows, 50) is rows
    assert "All 50 rows that were scored." in explorers(source_of([r.model_dump() for r in rows]), "", 50)[0].note
    (cut,) = explorers(source_of([r.model_dump() for r in rows]), "", 10)
    assert "A sample of 10 of 50 rows: the first by the SHA-256 of their ids." in cut.note
    assert len(cut.rows) == 10


def test_tables_share_the_rows_that_a_page_may_hold() -> None:
    rows = [{"id": "a"}]
    assert rows_per_table([source_of(rows)]) == 20_000
    assert rows_per_table([source_of(rows, "validation")] * 5) == 10_000
    assert rows_per_table([Source("young", None, None, {})]) == 20_000


def test_every_part_has_a_table_and_the_main_one_stands_open() -> None:
    tables = explorers(source_of(make_rows(30, 1), "dev", "validation"), "2-x-", 100)
    assert [(t.anchor, t.folded) for t in tables] == [
        ("2-x-rows-1-test", False),
        ("2-x-rows-2-dev", True),
        ("2-x-rows-3-validation", True),
    ]
    assert len(tables[0].plain.rows) == 25
    assert [cell.text for cell in tables[0].plain.rows[0]][:2] == ["caption-0000", make_rows(30, 1)[0]["gold"]]


# Columns


def test_columns_are_packed_as_the_page_reads_them() -> None:
    texts, columns = packed(
        [
            {
                "id": "a",
                "gold": "yes",
                "label": "no",
                "correct": False,
                "probabilities": {"yes": 0.25, "no": 0.75},
                "explanation": "because",
                "references": ["because", "so"],
                "fields": {"text": "same"},
                "rougeL": 0.1234567,
                "length": 3,
                "copy": True,
                "support": 1.0,
                "error": "both",
                "slices": ["short", "numbers"],
            },
            {"id": "b", "label": "maybe", "fields": {"text": "same"}, "rougeL": None, "slices": [], "length": 4},
        ]
    )
    assert texts == ["same", "because"]
    assert {key: column["values"] for key, column in columns.items()} == {
        "id": ["a", "b"],
        "correct": [0, None],
        "gold": [0, None],
        "label": [0, 1],
        "confidence": [0.75, None],
        "probabilities": [[0.25, 0.75], None],
        "error": [0, None],
        "fields.text": [0, 0],
        "explanation": [1, None],
        "references": [[1, "so"], None],
        "rougeL": [0.12346, None],
        "support": [1, None],
        "length": [3, 4],
        "copy": [1, None],
        "slices": [[1, 0], []],
    }
    kinds = {key: column["kind"] for key, column in columns.items()}
    assert (kinds["rougeL"], kinds["support"], kinds["length"], kinds["copy"]) == ("score", "score", "count", "flag")
    assert columns["label"]["options"] == ["no", "maybe"]
    assert columns["slices"]["options"] == ["numbers", "short"]
    assert columns["probabilities"]["sets"] == [["yes", "no"], []]


def test_rows_with_little_in_them_have_few_columns() -> None:
    _, columns = packed([{"id": "a"}])
    assert list(columns) == ["id", "correct", "gold", "label", "explanation"]


def test_an_error_kind_stands_in_its_own_order() -> None:
    _, columns = packed([{"id": kind, "error": kind} for kind in ("both", "odd", "none", "explanation")])
    assert columns["error"]["options"] == ["none", "explanation", "both", "odd"]


# Safety


@given(st.text(max_size=30), st.text(max_size=30))
@settings(max_examples=100, deadline=None)
def test_any_text_comes_back_out_of_the_page_and_cannot_end_its_element(text: str, name: str) -> None:
    row = {"id": f"#{text}", "gold": text, "explanation": text, "references": [text, name], "fields": {name: text}}
    (table,) = explorers(source_of([row]), "", 10)
    data = page_data([table])
    assert not re.search("[<>&\u2028\u2029\x00-\x1f\x7f-\x9f\ud800-\udfff]", data)
    value = json.loads(data)
    found = {c["key"]: c["values"][0] for c in value["tables"][0]["columns"]}
    plain = {k: value["texts"][v] if isinstance(v, int) else v for k, v in found.items() if k in ("id", "explanation")}
    assert plain == {"id": f"#{text}", "explanation": text}
    assert f"fields.{name}" in found


def test_what_ends_an_element_is_escaped() -> None:
    row = {"id": "</script><!--", "explanation": "\u2028 & \x00 \ud800"}
    data = page_data(explorers(source_of([row]), "", 10))
    assert r"\u003c/script\u003e\u003c!--" in data
    assert r"\u2028 \u0026 \u0000 \ud800" in data
    data.encode("utf-8")


def test_the_policy_allows_the_scripts_own_hash_and_nothing_else(tmp_path: Path) -> None:
    html = build_report([write_small(tmp_path / "r", rows=make_rows(3, 1))], tmp_path / "out").html.read_text("utf-8")
    (script,) = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert policy == (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none';"
        f" script-src 'sha256-{digest}'"
    )
    assert re.findall(r"<script[^>]*>", html) == ['<script type="application/json" id="rows">', "<script>"]


def test_a_page_without_rows_holds_no_script(tmp_path: Path) -> None:
    html = build_report([write_small(tmp_path / "r")], tmp_path / "out").html.read_text("utf-8")
    assert "<script" not in html
    assert f'content="{content_policy()}"' in html
    assert "script-src" not in content_policy()


def test_the_script_makes_no_markup_out_of_text_and_asks_for_nothing() -> None:
    script = page_script()
    assert sorted(SCRIPT_FILES) == sorted(path.name for path in SCRIPTS.iterdir())
    for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "Function(", "fetch(",
                 "XMLHttp", "import", "http:", "https:", "localStorage", "cookie", "</script", "<!--"):  # fmt: skip
        assert word not in script, word
    assert "\r" not in script


# The report around it


def test_tables_of_rows_are_the_pages_alone() -> None:
    (table,) = explorers(source_of(make_rows(5, 1)), "", 10)
    sections = (Section("Text", "a", (Paragraph("words"),)), Section("Every example", "b", (table,)))
    document = Document("title", "", "", (Part("", "report", sections),))
    without = Document("title", "", "", (Part("", "report", sections[:1]),))
    assert isinstance(document.explorers[0], Explorer)
    assert to_markdown(document) == to_markdown(without)
    page = Page(to_html(document))
    assert "here are the first 5 of 5." in page.text
    assert len(page.ids) == len(set(page.ids))


def test_a_report_names_each_text_once_for_all_systems(tmp_path: Path) -> None:
    rows = make_rows(60, 4)
    one = [write_small(tmp_path / "one", rows=rows)]
    two = [*one, write_small(tmp_path / "two", rows=rows)]
    first, second = (
        build_report(folders, tmp_path / name).html.read_text("utf-8") for folders, name in ((one, "a"), (two, "b"))
    )
    blocks = [re.findall(r'id="rows">(.*?)</script>', html)[0] for html in (first, second)]
    assert len(blocks[1]) < 1.7 * len(blocks[0])
