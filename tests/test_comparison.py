"""compare: systems on the same rows, one system on two parts, their files, and what a user can get wrong."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from make import change_json, mistake
from reasondistill.cli.commands import app
from reasondistill.comparison import (
    Comparison,
    ComparisonSettings,
    Generalisation,
    compare,
    generalisation,
    load_systems,
)
from reasondistill.comparison.systems import System
from reasondistill.contracts.records import Example, Prediction, write_records
from reasondistill.data import load
from reasondistill.data.scenes import generate
from reasondistill.errors import DataError, OutputError
from reasondistill.evaluation import EvaluationSettings, evaluate
from reasondistill.metrics import CorpusMetric
from reasondistill.metrics.statistics import GroupBootstrap
from reasondistill.reporting import build_report
from reasondistill.reporting.inputs import load_source, with_generalisation
from reasondistill.reporting.pages.comparison import write_comparison
from reasondistill.reporting.sections.compared import summary, verdict
from reasondistill.reporting.signed import difference_value, p_value
from reasondistill.storage.files import read_jsonl, write_jsonl

QUICK = ComparisonSettings(resamples=200, swaps=999)
PLAIN = EvaluationSettings(bertscore=False, resamples=50)
LABELS = ("entailment", "neutral", "contradiction")


def told(examples: list[Example], *, wrong_every: int, copies: bool = False) -> list[Prediction]:
    """Answers that explain as the first reference does, or copy the hypothesis; each n-th label is a wrong one."""
    answers = []
    for k, e in enumerate(examples):
        assert e.label is not None
        label = LABELS[(LABELS.index(e.label) + 1) % 3] if k % wrong_every == 0 else e.label
        rest = 0.1 + 0.01 * (k % 7)
        answers.append(
            Prediction(
                id=e.id,
                label=label,
                explanation=e.fields["hypothesis"] if copies else e.references[0].text,
                probabilities={x: 1 - 2 * rest if x == label else rest for x in LABELS},
            )
        )
    return answers


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return generate(150)


@pytest.fixture(scope="module")
def made(examples: list[Example], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of three systems on the same rows: one explains, one copies, one does as the first."""
    folder = tmp_path_factory.mktemp("results")
    for name, answers in {
        "explains": told(examples, wrong_every=10),
        "copies": told(examples, wrong_every=4, copies=True),
        "again": told(examples, wrong_every=10),
    }.items():
        evaluate(answers, examples, name="scenes", split="test", settings=PLAIN).save(folder / name)
    return folder


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(made, tmp_path / "results"))


def change_rows(folder: Path, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    rows = [row for _, row in read_jsonl(folder / "per_example.jsonl")]
    change(rows)
    write_jsonl(folder / "per_example.jsonl", rows)


def both(folder: Path) -> list[System]:
    return load_systems([folder / "explains", folder / "copies"])


@pytest.fixture(scope="module")
def compared(made: Path) -> Comparison:
    return compare(both(made), settings=QUICK)


# --- figures ---


def test_values_are_those_of_the_results(compared: Comparison, made: Path) -> None:
    (pair,) = compared.pairs
    assert (pair.system, pair.baseline) == ("copies", "explains")
    one, other = (system.results.metrics for system in both(made))
    assert set(pair.metrics) | set(pair.left_out) == set(one)
    assert set(pair.left_out) == {"distinct_2", "aurc"}
    for name, test in pair.metrics.items():
        assert test.baseline == pytest.approx(one[name].value)
        assert test.system == pytest.approx(other[name].value)
        assert test.difference == test.system - test.baseline
        assert test.n == one[name].n == other[name].n
        assert test.ci95 is not None
        assert test.ci95[0] <= test.difference <= test.ci95[1]
        assert test.p is not None
        assert test.p_holm is not None
        assert test.p <= test.p_holm <= 1


def test_what_is_plain_to_see_is_found(compared: Comparison) -> None:
    (pair,) = compared.pairs
    assert pair.metrics["label_accuracy"].difference < 0
    assert pair.metrics["copy_rate"].difference > 0.9
    assert pair.metrics["rougeL"].difference < -0.2  # the other system repeats a reference
    for name in ("copy_rate", "rougeL", "bleu", "chrf"):
        p = pair.metrics[name].p_holm
        assert p is not None
        assert p < 0.05
    said = summary(compared)
    assert "ROUGE-L (−" in said.partition("worse at")[2].partition(";")[0]
    assert "Copy rate" in said.partition("higher in")[2] or "worse at" in said  # copying is neither good nor bad
    assert f"Holm's correction over {compared.family.tests} tests" in said


def test_nothing_is_called_better_that_no_test_tells_apart(compared: Comparison) -> None:
    (pair,) = compared.pairs
    level = pair.metrics["rougeL"].model_copy(update={"p_holm": 0.2})
    assert verdict("rougeL", level) == "not told apart"
    assert verdict("ece", level.model_copy(update={"p_holm": 0.01, "difference": 0.1})) == "worse"
    assert verdict("ece", level.model_copy(update={"p_holm": 0.01, "difference": -0.1})) == "better"
    untold = pair.model_copy(update={"metrics": {"rougeL": level}})
    said = summary(compared.model_copy(update={"pairs": [untold]}))
    assert "no test tells the two apart" in said
    assert not {"better", "worse"} & set(said.split())


def test_mcnemar_counts_the_rows_themselves(compared: Comparison, examples: list[Example]) -> None:
    (pair,) = compared.pairs
    n = len(examples)
    explains, copies = ([k % every != 0 for k in range(n)] for every in (10, 4))
    assert pair.mcnemar is not None
    assert pair.mcnemar.system_only == sum(c and not e for e, c in zip(explains, copies, strict=True))
    assert pair.mcnemar.baseline_only == sum(e and not c for e, c in zip(explains, copies, strict=True))


def test_the_interval_is_that_of_the_rows_differences(compared: Comparison, made: Path) -> None:
    one, other = both(made)
    differences = [
        float(b.model_extra["rougeL"]) - float(a.model_extra["rougeL"])  # type: ignore[index]
        for a, b in zip(one.rows, other.rows, strict=True)
    ]
    bootstrap = GroupBootstrap([row.group_key for row in one.rows], resamples=200)
    assert compared.pairs[0].metrics["rougeL"].ci95 == pytest.approx(bootstrap.mean_interval(differences))
    effect = compared.pairs[0].metrics["rougeL"].effect
    assert effect is not None
    assert [effect.name, effect.value] == [
        "cohens_d_z",
        pytest.approx(np.mean(differences) / np.std(differences, ddof=1)),
    ]


def test_corpus_metrics_of_a_resample_are_recomputed(made: Path) -> None:
    """BLEU of each resample, from the texts that were drawn."""
    one, other = both(made)
    keys = [row.group_key for row in one.rows]
    order = list(dict.fromkeys(keys))
    difference = []
    for drawn in np.random.default_rng(0).integers(0, len(order), size=(20, len(order))):
        rows = [k for group in drawn for k, key in enumerate(keys) if key == order[group]]
        scores = []
        for system in (other, one):
            metric = CorpusMetric("bleu")
            texts = [system.rows[k].explanation or "" for k in rows]
            counts = metric.statistics(texts, [system.rows[k].references or [] for k in rows])
            scores.append(metric.score(counts.sum(axis=0)))
        difference.append(scores[0] - scores[1])
    settings = ComparisonSettings(resamples=20, swaps=9)
    found = compare([one, other], metrics=["bleu"], settings=settings).pairs[0].metrics["bleu"].ci95
    assert found == pytest.approx(tuple(np.percentile(difference, [2.5, 97.5])))


def test_identical_systems_do_not_differ(made: Path) -> None:
    (pair,) = compare(load_systems([made / "explains", made / "again"]), settings=QUICK).pairs
    for test in pair.metrics.values():
        assert (test.difference, test.ci95, test.p, test.p_holm) == (0, (0, 0), 1, 1)
        assert test.effect is None or (test.effect.value, test.effect.ci95) == (0, (0, 0))
    assert pair.mcnemar is not None
    assert (pair.mcnemar.system_only, pair.mcnemar.baseline_only, pair.mcnemar.p) == (0, 0, 1)
    assert pair.mcnemar.odds_ratio is None


def test_differences_change_sign_with_the_order(compared: Comparison, made: Path) -> None:
    (there,) = compared.pairs
    (back,) = compare(load_systems([made / "copies", made / "explains"]), settings=QUICK).pairs
    for name, test in there.metrics.items():
        other = back.metrics[name]
        assert other.difference == -test.difference
        assert other.p == test.p
        assert test.ci95 is not None
        assert other.ci95 == pytest.approx((-test.ci95[1], -test.ci95[0]))
        if test.effect is not None and test.effect.value is not None:
            assert other.effect is not None
            assert other.effect.value == pytest.approx(-test.effect.value)
    assert there.mcnemar is not None
    assert back.mcnemar is not None
    assert there.mcnemar.system_only == back.mcnemar.baseline_only


def test_labels_add_up_to_the_whole(compared: Comparison) -> None:
    (pair,) = compared.pairs
    assert set(pair.per_label) == set(LABELS)
    for name in ("label_accuracy", "rougeL", "brier"):
        parts = [found[name] for found in pair.per_label.values()]
        whole = pair.metrics[name]
        assert sum(part.n for part in parts) == whole.n
        assert sum(part.n * part.difference for part in parts) == pytest.approx(whole.n * whole.difference)
    assert not any({"bleu", "ece", "label_macro_f1"} & set(found) for found in pair.per_label.values())


def test_the_family_is_every_test_and_pairs_are_chosen(made: Path) -> None:
    systems = load_systems([made / "explains", made / "copies", made / "again"])
    first = compare(systems, settings=QUICK)
    assert [(p.system, p.baseline) for p in first.pairs] == [("copies", "explains"), ("again", "explains")]
    last = compare(systems, baseline="again", settings=QUICK)
    assert [(p.system, p.baseline) for p in last.pairs] == [("explains", "again"), ("copies", "again")]
    every = compare(systems, all_pairs=True, metrics=["label_accuracy", "rougeL"], settings=QUICK)
    assert [(p.system, p.baseline) for p in every.pairs] == [
        ("copies", "explains"),
        ("again", "explains"),
        ("again", "copies"),
    ]
    assert every.family.tests == 3 * (2 + 1)
    assert [list(p.metrics) for p in every.pairs] == [["label_accuracy", "rougeL"]] * 3
    assert every.notes == []


def test_one_slice_of_the_data_is_compared_alone(made: Path) -> None:
    systems = both(made)
    whole = compare(systems, settings=QUICK)
    part = compare(systems, settings=QUICK, within="gold label: neutral")
    rows = [[row for row in system.rows if row.gold == "neutral"] for system in systems]
    accuracy = [float(np.mean([bool(row.correct) for row in of_system])) for of_system in rows]
    test = part.pairs[0].metrics["label_accuracy"]
    assert test.n == len(rows[0]) < whole.pairs[0].metrics["label_accuracy"].n
    assert [test.baseline, test.system] == pytest.approx(accuracy)
    assert part.notes[0] == (
        f"only the {len(rows[0])} of {len(systems[0].rows)} rows in the slice “gold label: neutral” are compared."
    )
    mistake(lambda: compare(systems, within="language: German"), "--slice", "gold label: neutral", "language: German")
    mistake(lambda: compare(systems, within="predicted label: neutral"), "--slice", "other rows than")


def test_too_few_swaps_for_the_family_are_said(made: Path) -> None:
    """199 swaps give p of 2 / 200 at least, and nine tests make 0.09 of it."""
    settings = ComparisonSettings(resamples=20, swaps=199)
    found = compare(both(made), settings=settings)
    assert [t.p for t in found.pairs[0].metrics.values() if t.p is not None and t.p < 0.01] == []
    assert any("draw more swaps" in note for note in found.notes)


def test_rows_may_stand_in_another_order(results: Path, compared: Comparison) -> None:
    change_rows(results / "copies", lambda rows: rows.reverse())
    assert compare(both(results), settings=QUICK).pairs == compared.pairs


# --- what is not compared, and why ---


def test_other_settings_take_their_metrics_out(results: Path) -> None:
    change_json(results / "copies" / "results.json", lambda value: value["settings"].update(aggregate="mean"))
    (pair,) = compare(both(results), settings=QUICK).pairs
    assert set(pair.left_out) == {"rouge1", "rouge2", "rougeL", "distinct_2", "aurc"}
    assert "aggregate is mean for copies, max for explains" in pair.left_out["rougeL"]
    assert {"label_accuracy", "bleu", "copy_rate"} <= set(pair.metrics)


@pytest.mark.parametrize(
    ("metric", "score", "setting"),
    [
        ("bertscore_f1", "bertscore_f1", {"bertscore": {"weights_sha256": "b", "layer": 5}}),
        ("bertscore_f1", "bertscore_f1", {"bertscore": {"weights_sha256": "a", "layer": 6}}),
        ("support", "support", {"judge": {"fingerprint": "b"}}),
    ],
)
def test_other_models_take_their_metric_out(results: Path, metric: str, score: str, setting: dict[str, Any]) -> None:
    for name in ("explains", "copies"):
        change_rows(results / name, lambda rows: [row.update({score: 0.25}) for row in rows])
        change_json(
            results / name / "results.json",
            lambda value: (
                value["metrics"].update({metric: {"value": 0.25, "ci95": None, "n": 150}}),
                value["settings"].update(bertscore={"weights_sha256": "a", "layer": 5}, judge={"fingerprint": "a"}),
            )[0],
        )
    (pair,) = compare(both(results), metrics=[metric], settings=QUICK).pairs
    assert list(pair.metrics) == [metric]
    change_json(results / "copies" / "results.json", lambda value: value["settings"].update(setting))
    (pair,) = compare(both(results), metrics=[metric], settings=QUICK).pairs
    assert pair.metrics == {}
    assert "different settings" in pair.left_out[metric]


def test_a_metric_that_one_system_lacks_is_named(results: Path) -> None:
    change_json(results / "copies" / "results.json", lambda value: value["metrics"].pop("ece"))
    change_json(results / "copies" / "results.json", lambda value: value["metrics"].update(las={"value": 0.1, "n": 3}))
    (pair,) = compare(both(results), settings=QUICK).pairs
    assert pair.left_out["ece"] == "copies has no figure of it"
    assert pair.left_out["las"] == "explains has no figure of it"


def test_a_figure_that_is_not_that_of_the_rows_is_not_compared(results: Path) -> None:
    change_json(results / "copies" / "results.json", lambda value: value["metrics"]["rougeL"].update(value=0.123))
    (pair,) = compare(both(results), settings=QUICK).pairs
    assert "its results.json 0.123" in pair.left_out["rougeL"]


def test_one_group_has_no_interval_and_no_test(results: Path, tmp_path: Path) -> None:
    for name in ("explains", "copies"):
        change_rows(results / name, lambda rows: [row.update(group="one") for row in rows])
    found = compare(both(results), settings=QUICK)
    (pair,) = found.pairs
    assert all((test.ci95, test.p, test.p_holm) == (None, None, None) for test in pair.metrics.values())
    assert pair.mcnemar is not None
    assert (pair.mcnemar.p, pair.mcnemar.odds_ratio_ci95) == (None, None)
    assert found.family.tests == 0
    assert "one group" in found.notes[0]
    write_comparison(found, tmp_path / "out")
    assert "no test was possible" in (tmp_path / "out" / "final_report.md").read_text(encoding="utf-8")


def test_rows_without_groups_stand_alone_and_that_is_said(results: Path) -> None:
    for name in ("explains", "copies"):
        change_rows(results / name, lambda rows: [row.pop("group") for row in rows])
    found = compare(both(results), settings=QUICK)
    assert (found.groups.n, found.groups.largest, found.groups.without) == (150, 1, 150)
    assert "no row names a group" in found.notes[0]


# --- mistakes ---


def test_fewer_than_two(made: Path) -> None:
    mistake(lambda: compare(load_systems([made / "copies"])), "at least two")


def test_the_same_folder_twice(made: Path) -> None:
    again = made / ".." / made.name / "copies"
    mistake(lambda: load_systems([made / "copies", f"other={again}"]), "the folder of", "copies")


def test_no_results(made: Path, results: Path, tmp_path: Path) -> None:
    mistake(lambda: load_systems([tmp_path / "absent"]), "absent", "nothing at this path")
    mistake(lambda: load_systems([tmp_path]), "neither in this folder")
    (results / "copies" / "per_example.jsonl").unlink()
    mistake(lambda: load_systems([results / "copies"]), "per_example.jsonl", "no such file")
    (results / "explains" / "results.json").unlink()
    mistake(lambda: load_systems([results / "explains"]), "results.json", "no such file")
    mistake(lambda: load_systems(["=x"]), "NAME=PATH")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('{"id": "x"', "per_example.jsonl:2"),
        ('{"id": true}', "per_example.jsonl:2"),
        ('{"id": "x", "rougeL": NaN}', "rougeL: nan is no score"),
        ('{"id": "x", "rougeL": "high"}', "per_example.jsonl:2"),
        ('{"id": "x", "rougeL": "high"}', "rougeL: 'high' is no score"),
        ('{"id": "x", "probabilities": {"neutral": NaN}}', "probabilities.neutral"),
        ('{"id": "x", "correct": "yes"}', "correct"),
    ],
)
def test_broken_lines(results: Path, line: str, named: str) -> None:
    path = results / "copies" / "per_example.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([lines[0], line, *lines[2:]]), encoding="utf-8")
    mistake(lambda: load_systems([results / "copies"]), named)


def test_doubled_ids_and_lost_rows(results: Path) -> None:
    change_rows(results / "copies", lambda rows: rows.append(rows[0]))
    mistake(lambda: load_systems([results / "copies"]), "per_example.jsonl:151", "per_example.jsonl:1")
    change_rows_raw = (results / "explains" / "per_example.jsonl").read_text(encoding="utf-8").splitlines()[:-1]
    (results / "explains" / "per_example.jsonl").write_text("\n".join(change_rows_raw), encoding="utf-8")
    mistake(lambda: load_systems([results / "explains"]), "150 rows", "149")


def test_files_of_two_evaluations(results: Path) -> None:
    shutil.copy(results / "copies" / "per_example.jsonl", results / "explains" / "per_example.jsonl")
    mistake(lambda: compare(both(results), settings=QUICK), "label accuracy", "one evaluation")


def test_other_rows_are_refused(results: Path) -> None:
    change_rows(results / "copies", lambda rows: rows[5].update(id="elsewhere"))
    mistake(lambda: compare(both(results)), "elsewhere", "only copies has", "only explains has")


def test_other_fingerprints_and_groups_are_refused(results: Path) -> None:
    change_json(results / "copies" / "results.json", lambda value: value["dataset"].update(fingerprint="feed"))
    mistake(lambda: compare(both(results)), "feed", "references")
    change_json(
        results / "copies" / "results.json",
        lambda value: value["dataset"].update(fingerprint=both(results)[0].results.dataset.fingerprint),
    )
    change_rows(results / "copies", lambda rows: rows[5].update(group="other"))
    mistake(lambda: compare(both(results)), "group", "'other'")


def test_unknown_names_are_refused(made: Path) -> None:
    mistake(lambda: compare(both(made), baseline="human"), "'human'", "explains, copies")
    mistake(lambda: compare(both(made), metrics=["rougel"]), "rougel", "rougeL")
    mistake(lambda: compare(both(made), baseline="copies", all_pairs=True), "--all-pairs")


# --- names ---


def test_names_come_from_the_user_the_run_or_the_folder(made: Path, tmp_path: Path) -> None:
    run = tmp_path / "first_try"
    shutil.copytree(made / "explains", run / "results" / "test")
    shutil.copytree(made / "copies", run / "results" / "validation")
    (run / "run.json").write_text('{"schema_version": 1, "name": "tiny", "status": "finished"}', encoding="utf-8")
    shutil.copytree(made / "copies", tmp_path / "tiny")
    named = load_systems([run, run / "results" / "validation", tmp_path / "tiny", f"human={made / 'again'}"])
    assert [s.name for s in named] == ["tiny", "tiny (2)", "tiny (3)", "human"]
    assert named[0].folder.name == "test"
    assert [s.run for s in named] == [run.resolve(), run.resolve(), None, None]


# --- files ---


def test_files_read_back_and_are_never_overwritten(compared: Comparison, tmp_path: Path) -> None:
    files = write_comparison(compared, tmp_path / "out")
    assert Comparison.load(files.json) == compared
    json.loads(files.json.read_text(encoding="utf-8"), parse_constant=pytest.fail)  # no NaN, no Infinity
    with pytest.raises(OutputError):
        write_comparison(compared, tmp_path / "out")
    mistake(lambda: Generalisation.load(files.json), "kind")
    files.json.write_text('{"schema_version": 9}', encoding="utf-8")
    mistake(lambda: Comparison.load(files.json), "version 9")


def test_the_same_input_gives_the_same_bytes(made: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_comparison(compare(both(made), settings=QUICK), tmp_path / name)
    for file in ("comparison.json", "final_report.md", "report.html"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_infinite_odds_are_written_in_words(results: Path, tmp_path: Path, examples: list[Example]) -> None:
    for name, every in (("right", 10_000), ("worse", 5)):
        evaluate(told(examples, wrong_every=every)[1:], examples[1:], name="scenes", settings=PLAIN).save(
            results / name
        )
    found = compare(load_systems([results / "worse", results / "right"]), settings=QUICK)
    assert found.pairs[0].mcnemar is not None
    assert found.pairs[0].mcnemar.odds_ratio is None
    text = write_comparison(found, tmp_path / "out").markdown.read_text(encoding="utf-8")
    assert "odds ratio infinite" in text
    assert "to infinity" in text


def test_figures_with_signs() -> None:
    assert difference_value("rougeL", 0.0123) == "+0.012"
    assert difference_value("rougeL", -0.0001) == "0.000"
    assert difference_value("bleu", -1.25) in ("−1.2", "−1.3")
    assert difference_value("cohens_g", -0.456, 2) == "−0.46"
    assert [p_value(p) for p in (None, 0.00001, 0.0312, 0.5)] == ["–", "< 0.0001", "0.0312", "0.500"]


# --- one system on two parts ---


@pytest.fixture(scope="module")
def made_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with results on train, where it errs seldom, and on test, where it errs more often."""
    run = tmp_path_factory.mktemp("parts") / "run"
    for split, every in (("train", 25), ("test", 4)):
        rows = list(load("scenes:240", split=split).examples)
        answers = told(rows, wrong_every=every)
        evaluate(answers, rows, name="scenes", split=split, settings=PLAIN).save(run / "results" / split)
    (run / "run.json").write_text('{"schema_version": 1, "name": "run", "status": "finished"}', encoding="utf-8")
    return run


@pytest.fixture
def parts(made_parts: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(made_parts, tmp_path / "run"))


def of_parts(run: Path, first: str = "train", second: str = "test") -> Generalisation:
    one, other = load_systems([run / "results" / first, run / "results" / second])
    return generalisation(one, other, settings=QUICK)


def test_gaps_between_parts(parts: Path) -> None:
    found = of_parts(parts)
    assert (found.first.name, found.second.name) == ("train", "test")
    gap = found.metrics["label_accuracy"]
    assert gap.gap == gap.first - gap.second
    # Every 25th label is wrong on train, every 4th on test, beginning with the first.
    wrong = [math.ceil(n / every) / n for n, every in ((gap.n_first, 25), (gap.n_second, 4))]
    assert gap.gap == pytest.approx(wrong[1] - wrong[0])
    assert gap.ci95 is not None
    assert 0 < gap.ci95[0] < gap.gap < gap.ci95[1]
    # Two independent shares of independent rows: the normal interval, a little wider for groups.
    normal = 1.96 * math.sqrt(0.04 * 0.96 / gap.n_first + 0.25 * 0.75 / gap.n_second)
    assert gap.ci95[1] - gap.ci95[0] == pytest.approx(2 * normal, rel=0.5)
    assert "distinct_2" in found.left_out
    back = of_parts(parts, "test", "train")
    assert back.metrics["rougeL"].gap == -found.metrics["rougeL"].gap


def test_parts_that_overlap_are_refused(parts: Path) -> None:
    mistake(lambda: of_parts(parts, "train", "train"), "the folder of")
    shutil.copytree(parts / "results" / "test", parts / "results" / "copy")
    mistake(lambda: of_parts(parts, "copy", "test"), "ids that are not in")
    group = next(row["group"] for _, row in read_jsonl(parts / "results" / "train" / "per_example.jsonl"))
    change_rows(parts / "results" / "test", lambda rows: rows[0].update(group=group))
    mistake(lambda: of_parts(parts), "groups that are not in", "1 in both")


def test_parts_of_two_runs_or_tasks_are_refused(parts: Path, tmp_path: Path) -> None:
    shutil.copytree(parts, tmp_path / "other")
    one, other = load_systems([parts / "results" / "train", tmp_path / "other" / "results" / "test"])
    mistake(lambda: generalisation(one, other), "results of the run")
    change_json(parts / "results" / "test" / "results.json", lambda value: value["settings"].update(task="comve"))
    mistake(lambda: of_parts(parts), "'comve'", "'nli'")


def test_more_references_in_one_part_take_overlap_out(parts: Path) -> None:
    change_json(
        parts / "results" / "train" / "results.json",
        lambda value: value["settings"].update(references_used={"min": 1, "max": 1, "mean": 1.0}),
    )
    found = of_parts(parts)
    assert {"rouge1", "rougeL", "bleu", "chrf"} <= set(found.left_out)
    assert "references a row" in found.left_out["rougeL"]
    assert {"label_accuracy", "ece", "copy_rate"} <= set(found.metrics)


def test_a_report_shows_the_gap_of_a_run(parts: Path) -> None:
    files = build_report([parts], parts)
    page, text = files.html.read_text(encoding="utf-8"), files.markdown.read_text(encoding="utf-8")
    for shown in (page, text):
        assert "Generalisation" in shown
        assert "train against test" in shown


def test_parts_are_named_by_their_folders_and_a_report_takes_each_once(parts: Path, tmp_path: Path) -> None:
    """A run in the place of its parts would be compared with itself."""
    train, test = parts / "results" / "train", parts / "results" / "test"
    assert [system.source for system in load_systems([train, test])] == [train, parts]
    done = CliRunner().invoke(app, ["compare", str(train), str(test), "--parts", "--out", str(tmp_path / "gap")])
    assert done.exit_code == 0, done.output
    last = next(line for line in done.output.splitlines() if line.startswith("next"))
    assert f"report {train} {parts} --out" in last
    with pytest.raises(DataError, match="once"):
        build_report([parts, parts / "."], tmp_path / "report")
    with pytest.raises(DataError, match=r"ranks all rows"):
        generalisation(*load_systems([train, test]), metrics=["aurc"])


def test_a_report_says_why_parts_cannot_be_compared(parts: Path) -> None:
    train, test = parts / "results" / "train", parts / "results" / "test"
    for part in (train, test):
        change_rows(part, lambda rows: rows[0].update(group="shared"))
    why = with_generalisation(load_source(parts)).generalisation
    assert isinstance(why, str)
    assert "1 in both: shared" in why
    files = build_report([parts], parts)
    assert "1 in both: shared" in files.markdown.read_text(encoding="utf-8")
    (train / "per_example.jsonl").unlink()
    assert with_generalisation(load_source(parts)).generalisation == "train has no per_example.jsonl."
    (train / "results.json").unlink()
    assert with_generalisation(load_source(parts)).generalisation is None


# --- the command ---


def test_from_predictions_to_a_comparison(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    examples = list(load("scenes:200", split="test").examples)
    for name, copies in (("references", False), ("copied", True)):
        write_records(tmp_path / f"{name}.jsonl", told(examples, wrong_every=5, copies=copies))
        arguments = (tmp_path / f"{name}.jsonl", "scenes:200", "--split", "test", "--no-bertscore")
        assert run("evaluate", *arguments, "--out", tmp_path / name)[0] == 0
    out = tmp_path / "compared"
    options = ("--swaps", 999, "--resamples", 500, "--out", out)
    code, said, _ = run("compare", tmp_path / "references", f"copy={tmp_path / 'copied'}", *options)
    assert code == 0
    for shown in ("copy against references", "p (Holm)", "ROUGE-L", "exact McNemar test", str(out / "final_report.md")):
        assert shown in said
    found = Comparison.load(out / "comparison.json")
    pair = found.pairs[0]
    assert pair.metrics["label_accuracy"].p == 1  # the same labels
    assert pair.metrics["copy_rate"].difference > 0.9
    assert pair.metrics["rougeL"].p == 2 / 1000 or found.exact
    before = (out / "comparison.json").read_bytes()
    code, _, error = run("compare", tmp_path / "references", tmp_path / "copied", *options)
    assert (code, (out / "comparison.json").read_bytes()) == (2, before)
    assert "nothing is overwritten" in error


def test_the_command_on_two_parts(run: Callable[..., tuple[int, str, str]], parts: Path, tmp_path: Path) -> None:
    train, test = parts / "results" / "train", parts / "results" / "test"
    code, said, _ = run("compare", train, test, "--parts", "--out", tmp_path / "gap", "--resamples", 200)
    assert code == 0
    assert "train against test" in said
    assert Generalisation.load(tmp_path / "gap" / "generalisation.json").metrics["label_accuracy"].gap > 0
    code, _, error = run("compare", train, test, "--out", tmp_path / "pairs")
    assert code == 2
    assert "same part of the same data" in error
    assert not (tmp_path / "pairs").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "at least two results folders"),
        (["--parts"], "two results folders of one system"),
    ],
)
def test_too_few_results(
    run: Callable[..., tuple[int, str, str]], made: Path, tmp_path: Path, arguments: list[str], named: str
) -> None:
    code, _, error = run("compare", made / "copies", *arguments, "--out", tmp_path / "out")
    assert code == 2
    assert named in error
    assert not (tmp_path / "out").exists()


def test_options_that_exclude_each_other(run: Callable[..., tuple[int, str, str]], made: Path, tmp_path: Path) -> None:
    both_of = (made / "copies", made / "explains", "--out", tmp_path / "out")
    assert "--all-pairs" in run("compare", *both_of, "--parts", "--all-pairs")[2]
    assert "--all-pairs" in run("compare", *both_of, "--baseline", "copies", "--all-pairs")[2]
