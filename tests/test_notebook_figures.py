"""Figures that notebooks add to those of reports: what is drawn of which values, and how it is shown."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import costed
from figures import (
    Filled,
    Strip,
    _lines,
    attention,
    bars,
    confidences,
    filled_rows,
    fronts,
    gradients,
    landscapes,
    parts,
    show,
    token_strips,
)
from reasondistill.comparison import ComparisonSettings, compare, load_systems
from reasondistill.data.scenes import generate
from reasondistill.inspection import CrossAttention, PartGradient, Plane
from reasondistill.reporting.document import Cell, Gallery, Table
from reasondistill.reporting.figures import Drawing


def size(drawing: Drawing) -> tuple[int, int]:
    """Width and height of the picture, in pixels."""
    width, height = struct.unpack(">II", drawing.png[16:24])
    return width, height


def test_bars_name_rows_series_and_the_unit() -> None:
    found = bars("b", "t", "c", {"so": {"neutral": 0.5, "entailment": 0.25}, "if": {"neutral": 0.1}}, unit="texts")
    for word in ("so", "if", "neutral", "entailment", "texts", "50%"):
        assert f">{word}<" in found.svg
    one = bars("b", "t", "c", {"a": {"": 1200.0}, "b": {"": 3.0}}, percent=False)
    assert ">1,000<" in one.svg
    assert size(bars("b", "t", "c", {str(k): {"": 1.0} for k in range(30)}))[1] > size(one)[1]


def test_padding_by_hand() -> None:
    assert Filled("padded", [[4], [2], [3]]).padding == pytest.approx(1 - 9 / 12)
    assert Filled("packed", [[4, 2], [3, 3]]).padding == 0
    drawn = filled_rows("f", "t", "c", [Filled("padded", [[4], [2], [3]]), Filled("packed", [[4, 2], [3]])])
    assert "padded: 3 rows of 4 tokens, 25% padding" in drawn.svg
    assert "packed: 2 rows of 6 tokens, 25% padding" in drawn.svg


def test_strips_break_into_lines_and_keep_every_token() -> None:
    words = [f"word{k}" for k in range(40)]
    strip = Strip("s", words, [k % 3 for k in range(40)])
    lines = _lines(strip)
    assert len(lines) > 3
    assert [token for line in lines for token, _ in line] == words
    assert [role for line in lines for _, role in line] == list(strip.roles)
    assert max(sum(len(token) + 1 for token, _ in line) for line in lines) <= 63
    drawn = token_strips("s", "t", "c", [strip])
    assert all(f">{word}<" in drawn.svg for word in words)
    assert all(f">{legend}<" in drawn.svg for legend in ("no loss", "label loss", "explanation loss"))


def test_a_blank_token_is_shown_as_one() -> None:
    assert _lines(Strip("s", [" ", "a"], [1, 2])) == [[("␣", 1), ("a", 2)]]


def test_what_a_student_s_figures_say() -> None:
    weights = np.full((2, 2, 2, 3), 1 / 3, dtype=np.float32)
    drawn = attention("a", "t", "c", CrossAttention(["A", " man", "</s>"], ["neutral", "."], weights))
    assert ">man<" in drawn.svg
    assert ">neutral<" in drawn.svg
    drawn = gradients("g", "t", "c", [PartGradient("encoder 1", 2.0, 0.5, -0.3), PartGradient("head", 0.0, 1.0, None)])
    assert ">encoder 1<" in drawn.svg
    assert "mathdefault" not in gradients("g", "t", "c", [PartGradient("encoder 1", 20.0, 0.05, -0.3)]).svg
    drawn = parts("p", "t", "c", {"one": {"embeddings": 5, "encoder 1": 3, "encoder 2": 3}, "two": {"embeddings": 5}})
    assert drawn.svg.count(">encoder<") == 1
    drawn = confidences("c", "t", "c", [0.9, 0.8], [0.4])
    assert "right: 2 answers" in drawn.svg
    assert "wrong: 1 answer<" in drawn.svg


def test_landscapes_share_a_scale_and_tell_the_loss_at_the_student() -> None:
    steps = np.linspace(-1, 1, 3)
    bowl, plain = np.add.outer(steps**2, steps**2) + 0.25, np.full((3, 3), 7.0)
    drawn = landscapes("l", "t", "c", {"trained": Plane(steps, bowl, bowl), "untrained": Plane(steps, plain, plain)})
    assert "at the cross 0.25 nats" in drawn.svg
    assert "at the cross 7.00 nats" in drawn.svg
    assert ">label loss, nats a token<" in drawn.svg


def test_a_front_names_every_system(tmp_path: Path) -> None:
    folders = costed.three_sizes(tmp_path, generate(120, seed=2))
    found = compare(load_systems([str(f) for f in folders]), settings=ComparisonSettings(resamples=50, swaps=99))
    assert found.tradeoffs is not None
    drawn = fronts("f", "t", "c", found.tradeoffs, ("label_accuracy", "rougeL"))
    assert all(drawn.svg.count(f">{name}<") == 2 for name in ("large", "middle", "small"))
    assert ">parameters<" in drawn.svg
    assert ">ROUGE-L<" in drawn.svg


def test_show_hands_titles_tables_and_pictures_to_the_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    display = pytest.importorskip("IPython.display")
    shown: list[Any] = []
    monkeypatch.setattr(display, "display", shown.append)
    drawn = bars("b", "Half of it *", "By row.", {"a": {"": 0.5}})
    show(drawn, Gallery((drawn, drawn)), Table("Means", ("", "value"), ((Cell("a"), Cell("1")),)))
    assert [type(one).__name__ for one in shown] == ["Markdown", "Image"] * 3 + ["Markdown"]
    assert shown[0].data == r"**Half of it \*.** By row."
    assert shown[1].data == drawn.png
    assert "| a | 1 |" in shown[-1].data
