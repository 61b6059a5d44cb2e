"""The files of trade-offs: the summary table, the picture, the final report and the page; and the command's words."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from costed import HARDWARE, change, efficiency, three_sizes
from reasondistill.comparison import Comparison, ComparisonSettings, compare, load_systems
from reasondistill.contracts.results import Results
from reasondistill.contracts.tradeoffs import Estimate, Loss, Tradeoffs
from reasondistill.data.scenes import generate
from reasondistill.reporting.cost_format import cost_value, percent
from reasondistill.reporting.degradation_figure import degradation_panels
from reasondistill.reporting.html import content_policy
from reasondistill.reporting.pages.comparison import ComparisonFiles, write_comparison
from reasondistill.reporting.tradeoff_words import answer_text, reservations
from reasondistill.storage.files import read_json

FEW = ("label_accuracy", "rougeL", "ece")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sizes")
    three_sizes(folder, generate(90))
    return folder


def compared(folder: Path, *names: str, base: str | None = None) -> Comparison:
    chosen = [folder / name for name in names or ("large", "middle", "small")]
    settings = ComparisonSettings(resamples=200, swaps=99)
    return compare(load_systems(chosen), base=base, metrics=FEW, settings=settings)


@pytest.fixture(scope="module")
def found(made: Path) -> Comparison:
    return compared(made)


@pytest.fixture(scope="module")
def files(found: Comparison, tmp_path_factory: pytest.TempPathFactory) -> ComparisonFiles:
    return write_comparison(found, tmp_path_factory.mktemp("written") / "outputs")


def weighed(found: Comparison) -> Tradeoffs:
    assert found.tradeoffs is not None
    return found.tradeoffs


def read(path: Path | None) -> str:
    assert path is not None
    return path.read_text(encoding="utf-8")


# --- files ---


def test_all_files_have_the_projects_names_and_only_where_there_are_costs(
    files: ComparisonFiles, made: Path, tmp_path: Path
) -> None:
    names = ["comparison.json", "final_report.md", "report.html"]
    assert [path.name for path in files if path is not None] == [
        *names,
        "metrics_summary.csv",
        "degradation_curves.png",
    ]
    assert all(path is not None and path.is_file() for path in files)
    bare = shutil.copytree(made, tmp_path / "bare")
    for name in ("large", "small"):
        change(bare / name, efficiency={})
    written = write_comparison(compared(bare, "large", "small"), tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*names}
    assert (written.summary, written.figure) == (None, None)


def test_the_same_results_give_the_same_bytes(found: Comparison, files: ComparisonFiles, tmp_path: Path) -> None:
    again = write_comparison(found, tmp_path / "again")
    for one, other in zip(files, again, strict=True):
        assert one is not None
        assert other is not None
        assert one.read_bytes() == other.read_bytes()


def test_the_summary_has_a_row_for_each_system_and_label(files: ComparisonFiles, made: Path) -> None:
    rows = list(csv.DictReader(read(files.summary).splitlines()))
    labels = ["", "entailment", "neutral", "contradiction"]
    assert [(row["system"], row["label"]) for row in rows] == [
        (system, label) for system in ("large", "middle", "small") for label in labels
    ]
    results = Results.load(made / "small" / "results.json")
    whole, entailment = rows[8], rows[9]
    assert float(whole["compression"]) == pytest.approx(80 / 6)
    assert float(entailment["latency_ms_p50"]) == 12
    assert (whole["joules_per_example"], whole["dataset"], whole["split"]) == ("", "scenes", "test")
    for name, metric in results.metrics.items():  # all of them, not only those that were compared
        assert float(whole[name]) == metric.value
        assert int(whole[f"{name}_n"]) == metric.n
        bounds = (whole[f"{name}_low"], whole[f"{name}_high"])
        assert bounds == (("", "") if metric.ci95 is None else tuple(map(str, metric.ci95)))
    assert float(entailment["rougeL"]) == results.per_label["entailment"]["rougeL"].value
    assert entailment["n"] == "30"


def test_the_picture_is_one(files: ComparisonFiles, found: Comparison) -> None:
    assert files.figure is not None
    content = files.figure.read_bytes()
    assert content.startswith(b"\x89PNG")
    width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
    assert width > 1.5 * height > 1000
    panels = degradation_panels(weighed(found))
    assert [panel.name for panel in panels] == [
        "above-baselines", "labels", "explanations", "by-label-label_accuracy", "by-label-rougeL"
    ]  # fmt: skip
    assert [text for text, _ in panels[0].lines] == ["Label accuracy", "ROUGE-L"]
    assert len(panels[3].lines) == 3


def test_the_final_report_answers_with_figures(files: ComparisonFiles, found: Comparison) -> None:
    text = read(files.markdown)
    for shown in (
        "Does explanation quality degrade more gracefully than label accuracy?",
        "No, by ROUGE-L: explanations lose the larger share.",
        "compression 13.3×",
        "Counted above chance instead",
        "not for other seeds",
        "![Degradation curves](degradation_curves.png)",
        "| 13.3× | 6.00 M | 22.9 MiB |",
        "| ROUGE-L | ",
        "small against large: ",
        "On the Pareto front",
        "| ROUGE-L, neutral (30 rows) |",
        "200 resamples",
    ):
        assert shown in text, shown
    loss = next(one for one in weighed(found).losses if (one.system, one.zero) == ("small", "baseline"))
    assert loss.difference is not None
    assert percent(loss.difference.value) in text
    first, costs, kept = (text.index(f"## {title}") for title in ("Who is better", "What they cost", "What smaller"))
    assert first < costs < kept


def test_a_size_in_between_that_went_the_other_way_is_named(found: Comparison) -> None:
    tradeoffs = weighed(found)
    assert "other way round" not in answer_text(tradeoffs)
    turned = [
        one.model_copy(update={"verdict": "more"}) if (one.system, one.metric) == ("middle", "rougeL") else one
        for one in tradeoffs.losses
    ]
    said = answer_text(tradeoffs.model_copy(update={"losses": turned}))
    assert said.endswith("It is the other way round for middle, by ROUGE-L.")


def test_the_page_is_the_report_in_one_file_without_a_script(files: ComparisonFiles) -> None:
    page, report = read(files.page), read(files.markdown)
    assert f'content="{content_policy()}"' in page
    assert "<script" not in page
    assert not re.findall(r"""(?:src|href)="(?!#)[^"]*""", page)
    assert page.count("<svg") == 5
    headings = re.findall(r"^## (.+)$", report, flags=re.MULTILINE)
    assert headings[0] == "Who is better at what"
    assert [text for text in headings if f"<h2>{text}</h2>" not in page] == []
    assert 'name="generator" content="reasondistill compare"' in page


def test_one_size_has_no_curve_to_draw(made: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(made, tmp_path / "results")
    change(folder / "small", efficiency=efficiency(80_000_000, 12.0))
    written = write_comparison(compared(folder, "large", "small"), tmp_path / "out")
    assert written.figure is None
    assert "degradation_curves.png" not in read(written.markdown)
    assert "have the same number of parameters" in read(written.page)


def test_unlike_costs_are_named_and_on_no_front(made: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(made, tmp_path / "results")
    change(folder / "small", efficiency=efficiency(6_000_000, 12.0, hardware={**HARDWARE, "threads": 2}))
    change(folder / "middle", efficiency={})
    one = compared(folder)
    assert set(weighed(one).costs_left_out) == {
        "rest_memory_bytes", "peak_memory_bytes", "latency_ms_p50", "examples_per_second"
    }  # fmt: skip
    assert {front.cost for front in weighed(one).fronts} == {"parameters", "checkpoint_bytes", "flops_per_example"}
    report = read(write_comparison(one, tmp_path / "out").markdown)
    assert "12.0 ms \\*" in report
    assert "hardware.threads is 1 for large, 2 for small" in report
    assert "| middle | not measured" in report


def test_names_that_look_like_markup_stay_text(made: Path, tmp_path: Path) -> None:
    hostile = "</script><script>window.hacked=1</script> |*"
    folder = shutil.copytree(made, tmp_path / "results")
    settings = ComparisonSettings(resamples=50, swaps=9)
    large, small = load_systems([folder / "large", folder / "small"])
    written = write_comparison(
        compare([replace(large, name=hostile), small], metrics=FEW, settings=settings), tmp_path / "out"
    )
    page = read(written.page)
    assert "<script" not in page
    assert "&lt;script&gt;window.hacked" in page
    assert "<script>" not in read(written.markdown)


# --- words ---


def loss(metric: str, verdict: str, zero: str = "baseline", **figures: Any) -> Loss:
    reason = f"{metric}: large has 0.400, which is not shown to lie above 0.500" if verdict == "undefined" else ""
    return Loss(system="small", metric=metric, verdict=verdict, zero=zero, reason=reason, **figures)


def figures(label: float, explanation: float, spread: float = 0.01) -> dict[str, Any]:
    def estimate(value: float) -> Estimate:
        return Estimate(value=value, ci95=(value - spread, value + spread))

    difference = label - explanation
    return {
        "label_loss": estimate(label), "explanation_loss": estimate(explanation), "difference": estimate(difference)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("losses", "answer", "said"),
    [
        ([loss("rougeL", "more", **figures(0.2, 0.1))], "more", "Yes, by ROUGE-L."),
        (
            [loss("rougeL", "less", **figures(0.1, 0.2)), loss("support", "untold", **figures(0.1, 0.1))],
            "less",
            "No, by ROUGE-L: explanations lose the larger share; not told apart by Support.",
        ),
        (
            [loss("rougeL", "more", **figures(0.2, 0.1)), loss("support", "less", **figures(0.2, 0.3))],
            "mixed",
            "It depends on the metric: explanations lose the smaller share by ROUGE-L, the larger share by Support.",
        ),
        (
            [loss("rougeL", "untold", **figures(0.005, 0.001))],
            "untold",
            "It cannot be told from these results: by ROUGE-L the interval of the difference holds 0.",
        ),
        ([loss("rougeL", "undefined")], "undefined", "It cannot be told from these results."),
    ],
)
def test_every_answer_in_words(found: Comparison, losses: list[Loss], answer: Any, said: str) -> None:
    told = weighed(found).model_copy(update={"losses": losses, "answers": {"baseline": answer}})
    text = answer_text(told)
    assert said in text
    assert ("None of these losses is shown to be above 0." in text) == (answer == "untold")
    assert ("ROUGE-L has no share to lose: large has 0.400" in text) == (answer == "undefined")
    assert "3 systems, each as it was trained once" in reservations(told)


def test_without_a_smaller_system_or_a_metric_there_is_no_answer(made: Path) -> None:
    alone = weighed(compared(made, base="small"))
    assert "No system has fewer parameters than small" in answer_text(alone)
    settings = ComparisonSettings(resamples=50, swaps=9)
    systems = load_systems([made / "large", made / "small"])
    labels = weighed(compare(systems, metrics=["label_accuracy"], settings=settings))
    assert "an explanation metric are needed of both large and small" in answer_text(labels)
    assert reservations(labels) == ""


def test_costs_in_words() -> None:
    shown = {
        "parameters": (24_900_000, "24.9\u00a0M"), "flops_per_example": (1_060_000_000, "1.06\u00a0G"),
        "checkpoint_bytes": (99_700_000, "95.1 MiB"), "latency_ms_p50": (12.34, "12.3 ms"),
        "examples_per_second": (123.4, "123/s"), "joules_per_example": (0.5, "0.50 J"), "compression": (4.049, "4.05×"),
    }  # fmt: skip
    assert {name: cost_value(name, value) for name, (value, _) in shown.items()} == {
        name: text for name, (_, text) in shown.items()
    }
    assert percent(-0.0512) == "−5.1%"


# --- the command ---


def test_the_command_weighs_and_says_so(run: Callable[..., tuple[int, str, str]], made: Path, tmp_path: Path) -> None:
    out = tmp_path / "outputs"
    options = ("--resamples", 100, "--swaps", 99, "--metric", "label_accuracy", "--metric", "rougeL", "--out", out)
    code, said, _ = run("compare", *(made / n for n in ("large", "middle", "small")), "--base", "NILE=1.06e9", *options)
    assert code == 0
    for shown in ("explanations lose the larger share", str(out / "final_report.md"), str(out / "report.html")):
        assert shown in " ".join(said.split())
    assert read_json(out / "comparison.json")["tradeoffs"]["base"] == {
        "name": "NILE", "parameters": 1.06e9, "compared": False
    }  # fmt: skip
    code, _, error = run("compare", made / "large", made / "small", "--base", "NILE", "--out", tmp_path / "more")
    assert code == 2
    assert "NAME=PARAMETERS" in error
    assert not (tmp_path / "more").exists()
    assert (
        "--base"
        in run("compare", made / "large", made / "small", "--parts", "--base", "x=1", "--out", tmp_path / "more")[2]
    )
