"""A run's student on sets of other kinds: `evaluate --shift`, its report, and `compare --parts` of several sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reasondistill.contracts.comparison import Shift
from test_door import QUICK, tickets, write_csv

Command = Callable[..., tuple[int, str, str]]
RUN = "experiments/runs/tickets_scratch"


def test_sets_of_other_kinds_are_scored_and_held_against_the_test_part(
    run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = tickets()
    write_csv(tmp_path / "tickets.csv", rows)
    write_csv(tmp_path / "shouted.csv", [row | {"text": row["text"].upper()} for row in rows[:30]])
    write_csv(tmp_path / "short.csv", [{"text": row["text"][:12], "category": row["category"]} for row in rows[:12]])
    status, _, err = run("train", "tickets.csv", *QUICK, "--name", "tickets_scratch")
    assert status == 0, err

    sets = ["--shift", "shouted.csv", "--shift", "cut=short.csv"]
    status, out, err = run("evaluate", RUN, "--no-bertscore", *sets)
    assert status == 0, err
    assert "test against other sets" in out
    scored = {path.parent.name for path in Path(RUN).glob("results/*/results.json")}
    assert scored == {"test", "shouted", "cut"}

    status, out, err = run("evaluate", RUN, "--no-bertscore", "--shift", "shouted.csv")  # nothing is done again
    assert status == 0, err
    assert "these results are there" in out

    status, out, err = run("report", RUN)
    assert status == 0, err
    page = (Path(RUN) / "report.md").read_text(encoding="utf-8")
    assert "Under shift" in page
    assert "shouted" in page.partition("Under shift")[2]

    folders = [f"{RUN}/results/{name}" for name in ("test", "shouted", "cut")]
    status, out, err = run("compare", *folders, "--parts", "--out", "held")
    assert status == 0, err
    shift = Shift.load(Path("held/shift.json"))
    assert [found.second.name for found in shift.sets] == ["shouted", "cut"]
    assert {found.first.name for found in shift.sets} == {"test"}
    assert "rougeL" not in shift.sets[1].metrics  # no explanations there
    gap = shift.sets[0].metrics["label_accuracy"]
    assert gap.gap == pytest.approx(gap.first - gap.second)


@pytest.mark.parametrize("option", ["test=a.csv", "a b=a.csv", "name=", "a/b=a.csv"])
def test_names_that_cannot_be_folders_of_their_own_are_refused(run: Command, tmp_path: Path, option: str) -> None:
    (tmp_path / "run.json").write_text("{}", encoding="utf-8")
    status, _, err = run("evaluate", tmp_path, "--shift", option)
    assert status == 2
    assert "error:" in err


def test_predictions_of_no_run_have_no_student_to_ask(run: Command, tmp_path: Path) -> None:
    status, _, err = run("evaluate", tmp_path / "p.jsonl", "data.csv", "--shift", "a.csv", "--out", tmp_path / "out")
    assert status == 2
    assert "--shift" in err
    assert "compare --parts" in err
