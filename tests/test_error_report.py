"""The sections on errors and slices: what they say, that data cannot break them, and that older results do without."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from reasondistill.contracts.records import Example, Explanation, Prediction
from reasondistill.contracts.results import Results
from reasondistill.contracts.slices import MeasuredSlice
from reasondistill.evaluation import EvaluationSettings, evaluate
from reasondistill.reporting import build_report
from reasondistill.reporting.document import Card, Cards, Cell, Facts, Gallery, Paragraph, Table
from reasondistill.reporting.forest import Difference, forest
from reasondistill.reporting.sections.errors_and_slices import errors_section, slices_section
from reasondistill.tasks.task import NLI, Task

LABELS = NLI.labels or ()
MARKUP = "<script>alert(1)</script> $x_1$ | **bold**"


def evaluated(n: int = 240, *, task: Task = NLI, genre: str = "news", seed: int = 5) -> Any:
    """An evaluation of made-up pairs; labels are worse where there is a number, some explanations beside the matter."""
    rng = random.Random(seed)
    data, answers = [], []
    for k in range(n):
        thing, number = rng.choice(("dog", "cat", "boat", "horse")), rng.random() < 0.4
        gold = rng.choice(LABELS)
        given = gold if rng.random() < (0.4 if number else 0.9) else rng.choice([x for x in LABELS if x != gold])
        said = "" if k % 40 == 0 else "no one can tell" if k % 15 == 0 else f"the {thing} may be number {k} of them"
        sure = rng.uniform(0.4, 1)
        fields = {
            "premise": f"The {thing} is in the park at {k if number else 'noon'}.",
            "hypothesis": f"It is {'not ' if k % 3 else ''}there.",
            "genre": genre if k % 2 else "fiction",
        }
        data.append(
            Example(
                id=f"pair <{k}>",
                fields=fields,
                label=gold,
                group=f"g{k // 3}",
                explanations=[Explanation(text=f"the {thing} may be number {k} of them", source="human")],
            )
        )
        rest = {x: (1 - sure) / 2 for x in LABELS if x != given}
        answers.append(Prediction(id=f"pair <{k}>", label=given, explanation=said, probabilities={given: sure, **rest}))
    plain = EvaluationSettings(bertscore=False, resamples=200)
    return evaluate(answers, data, task=task, name="pairs", split="test", settings=plain)


@pytest.fixture(scope="module")
def results() -> Results:
    return evaluated().results  # type: ignore[no-any-return]


def words(blocks: list[Any]) -> str:
    return " ".join(block.text for block in blocks if isinstance(block, Paragraph))


def test_errors_are_counted_and_shown(results: Results) -> None:
    blocks = errors_section(results)
    errors = results.errors.model_dump()
    assert errors["rule"] in words(blocks)
    together = errors["association"]
    assert f"{together['label_wrong']['share']:.1%} of the {together['label_wrong']['n']} rows" in words(blocks)
    (table,) = [b for b in blocks if isinstance(b, Table)]
    assert table.head == ("In error", "Examples", "Share", *(f"of {label}" for label in LABELS))
    assert [row[0].text for row in table.rows] == ["No error found", "Label only", "Explanation only", "Both"]
    assert [row[1].text for row in table.rows] == [str(errors["counts"][k]["n"]) for k in errors["counts"]]
    low, high = errors["counts"]["label"]["ci95"]
    assert table.rows[1][2] == Cell(f"{errors['counts']['label']['share']:.1%}", f"{100 * low:.1f}–{100 * high:.1f}%")
    groups = [b for b in blocks if isinstance(b, Cards)]
    cell = errors["confusion"][0]
    assert groups[0].title == "Wrong labels, the commonest first"
    assert groups[0].rule.startswith(f"{cell['gold']} taken for {cell['predicted']} ({cell['n']})")
    assert groups[0].cards[0].id == cell["examples"][0]["id"]
    assert groups[0].cards[0].probabilities[0][1] == max(one["confidence"] for one in cell["examples"])
    assert groups[-1].title == "Label right, explanation wrong by the rule"
    assert groups[-1].cards[0].explanation == ""
    assert all(isinstance(card, Card) and card.correct for card in groups[-1].cards)


def test_slices_are_drawn_and_listed_worst_first(results: Results) -> None:
    text, gallery, table, rules = slices_section(results, "x-")
    assert isinstance(text, Paragraph)
    assert results.slices[0].name in text.text
    assert isinstance(gallery, Gallery)
    assert [d.name for d in gallery.drawings] == ["x-slices-label-accuracy", "x-slices-rougel"]
    assert "numbers in the input" in gallery.drawings[0].svg
    assert ">worse<" in gallery.drawings[0].svg
    assert isinstance(table, Table)
    assert [row[0].text for row in table.rows] == [one.name for one in results.slices]
    assert table.head[:5] == ("Slice", "Examples", "Label accuracy", "Δ label accuracy", "Adjusted p")
    sliced = next(one for one in results.slices if one.name == "numbers in the input")
    figures = sliced.metrics["label_accuracy"].model_dump()
    shown = next(row for row in table.rows if row[0].text == "numbers in the input")
    assert shown[2].text == f"{figures['value']:.3f}"
    assert shown[3].text == f"−{-figures['difference']:.3f}"
    assert shown[4].text == "< 0.001"
    small = [k for k, one in enumerate(results.slices) if not one.ranked]
    assert table.groups == ({small[0]} if small else set())
    assert isinstance(rules, Facts)
    assert dict(rules.items)["numbers"].startswith("a digit")


def test_no_difference_is_said_to_be_none() -> None:
    slices = [one.model_dump() for one in evaluated(60).results.slices]
    for one in slices:
        one["metrics"]["label_accuracy"].update(p_adjusted=0.4, p=0.4)
    results = evaluated(60).results.model_copy(
        update={"settings": {}, "slices": [MeasuredSlice(**one) for one in slices]}
    )
    assert "none is shown to lie below the rest" in words(slices_section(results, ""))


def test_both_files_show_both_sections(tmp_path: Path) -> None:
    evaluated().save(tmp_path / "results")
    files = build_report([tmp_path / "results"], tmp_path / "out")
    page, text = files.html.read_text(encoding="utf-8"), files.markdown.read_text(encoding="utf-8")
    assert '<section id="errors">' in page
    assert '<section id="slices">' in page
    assert "## Errors" in text
    assert "## Slices" in text
    assert "figures/slices-label-accuracy.png" in text
    assert (files.figures / "slices-label-accuracy.png").stat().st_size > 5000


def build_page(folder: Path) -> str:
    """The page of the same rows without any markup in them."""
    evaluated().save(folder / "plain")
    return build_report([folder / "plain"], folder / "plain_out").html.read_text(encoding="utf-8")


def test_markup_in_slices_and_examples_is_shown_and_never_obeyed(tmp_path: Path) -> None:
    evaluated(genre=MARKUP).save(tmp_path / "results")
    files = build_report([tmp_path / "results"], tmp_path / "out")
    page, text = files.html.read_text(encoding="utf-8"), files.markdown.read_text(encoding="utf-8")
    # The page's own script and data blocks are the only ones: none comes from a text.
    assert "<script>alert" not in page
    assert page.count("<script") == page.count("</script>") == build_page(tmp_path).count("<script")
    assert "field genre: &lt;script&gt;" in page
    assert "<script" not in text
    assert "\\*\\*bold\\*\\*" in text
    assert "pair &lt;" in page


def test_older_results_do_without(tmp_path: Path) -> None:
    evaluated(60).save(tmp_path / "results")
    file = tmp_path / "results" / "results.json"
    old = json.loads(file.read_text(encoding="utf-8"))
    for key in ("errors", "slices"):
        del old[key]
    del old["settings"]["slices"]
    file.write_text(json.dumps(old), encoding="utf-8")
    rows = tmp_path / "results" / "per_example.jsonl"
    lines = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]
    kept = [{k: v for k, v in line.items() if k not in ("error", "slices")} for line in lines]
    rows.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
    files = build_report([tmp_path / "results"], tmp_path / "out")
    text = files.markdown.read_text(encoding="utf-8")
    assert "## Results" in text
    assert "Errors" not in text.replace("confident errors", "")
    assert "Slices" not in text


def test_a_task_without_labels_shows_what_it_has() -> None:
    task = Task(name="why", fields=("premise", "hypothesis"), labels=())
    data = evaluated(task=task).results
    assert data.errors.judged == ["explanation"]
    blocks = errors_section(data)
    assert "A label is wrong" not in words(blocks)
    (table,) = [b for b in blocks if isinstance(b, Table)]
    assert [row[0].text for row in table.rows] == ["No error found in the explanation", "Explanation only"]
    assert [b.title for b in blocks if isinstance(b, Cards)] == ["Explanation wrong by the rule"]
    drawn = [d.name for b in slices_section(data, "") if isinstance(b, Gallery) for d in b.drawings]
    assert drawn == ["slices-rougel"]


@pytest.mark.parametrize("label", ["", "$a_1$", "長い" * 30, "\x00<b>&", "x" * 200, "W" * 99])
def test_any_slice_can_be_drawn(label: str) -> None:
    rows = [Difference(label, -0.1, (-0.2, 0.0), "worse"), Difference(label, None, None), Difference(label, 0.0, None)]
    drawing = forest("name", "title", "caption", rows)
    assert "<b>" not in drawing.svg
    assert "\x00" not in drawing.svg
    assert "var(--series-2" in drawing.svg
