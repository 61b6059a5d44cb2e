"""A run that goes on from another: what is learned again, what holds it, the gate, and the record that it leaves."""

from __future__ import annotations

import copy
import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

import reasondistill as rd
import tiny
from reasondistill.cli import main
from reasondistill.config import TrainConfig, Update
from reasondistill.contracts.base import DatasetInfo
from reasondistill.contracts.comparison import Difference
from reasondistill.contracts.records import read_predictions, write_records
from reasondistill.contracts.update import UPDATE_FILE, AnsweredSet, HeldFigure, UpdateRecord, refusal_of
from reasondistill.data import load
from reasondistill.data.scenes import generate
from reasondistill.errors import ConfigError, DataError, OutputError
from reasondistill.judges import Judge
from reasondistill.reporting.sections.forgetting import blocks
from reasondistill.run_data import RunData
from reasondistill.runs import Run
from reasondistill.storage.files import file_fingerprint
from reasondistill.students.build import create_student
from reasondistill.tasks.task import Task
from reasondistill.training.arguments import training_arguments
from reasondistill.training.continual.anchors import Consolidation, weight_importance
from reasondistill.training.continual.lineage import KEPT_BACK, apart, kept_sets, lineage
from reasondistill.training.continual.replaying import PARENT, answered, replayed
from reasondistill.training.joint_model import Distillation, JointModel
from reasondistill.training.learned_data import load_parts
from reasondistill.training.losses import joint_loss
from reasondistill.training.train import train
from reasondistill.updating import Updated, carry_out, plan_update
from reasondistill.updating.held_figures import Loss, held_figure, not_shown, sentence
from reasondistill.updating.planning import task_with
from reasondistill.updating.task_matrix import matrices, transfer
from trainings import batch_of, scenes_data, training_config, weights

NEW = "scenes:90@7"
QUICK: dict[str, Any] = {"training": {"max_steps": 2, "report_to": "none"}, "update": {"limit": 12}}


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Run:
    data = scenes_data(240, limit=20)
    data["train"]["limit"] = 20
    return train(training_config(tmp_path_factory.mktemp("parent"), data=data))


@pytest.fixture(scope="module")
def updated(parent: Run) -> Updated:
    before = {path: file_fingerprint(path) for path in sorted(parent.folder.rglob("*")) if path.is_file()}
    result = rd.update(parent, NEW, replay=0.5, distillation=0.5, **QUICK)
    assert {path: file_fingerprint(path) for path in before} == before
    return result


def config_of(parent: Run, **update: Any) -> TrainConfig:
    return plan_update(parent, NEW, changes=QUICK | {"update": QUICK["update"] | update}).config


# --- configuration ---


def test_a_training_that_is_no_update_keeps_its_configuration_as_it_was(parent: Run) -> None:
    assert "update" not in parent.info().config
    config = config_of(parent, replay=0.1)
    assert TrainConfig.model_validate(config.model_dump(mode="json")) == config


def test_adapters_leave_nothing_for_consolidation_to_hold(parent: Run) -> None:
    with pytest.raises(ConfigError, match="take one of the two"):
        plan_update(parent, NEW, changes={"update": {"ewc": 1.0}, "lora": {}})
    with pytest.raises(ValidationError, match="replay"):
        Update(parent="x", replay=1.5)


def test_new_rows_are_seen_as_often_as_the_parent_saw_its_own(parent: Run) -> None:
    """6 steps of 16 over 20 rows are 4.8 epochs; of 51 new rows that is 16 steps of 16, with half of 20 more 19."""
    assert len(load(NEW, split="train").examples) == 51
    assert parent.info().data["train"].n == 20
    plain = plan_update(parent, NEW, changes={}).config
    assert (plain.training["max_steps"], plain.training["eval_steps"]) == (16, 3)
    assert plan_update(parent, NEW, changes={"update": {"replay": 0.5}}).config.training["max_steps"] == 19
    assert plan_update(parent, NEW, changes={"training": {"max_steps": 3}}).config.training["max_steps"] == 3


def test_a_file_of_keys_is_laid_over_the_parents(parent: Run, tmp_path: Path) -> None:
    file = tmp_path / "update.yaml"
    file.write_text(f"data: {{train: {{source: '{NEW}', split: train}}}}\nupdate: {{replay: 0.5}}\n", encoding="utf-8")
    config = plan_update(parent, file, changes={"update": {"ewc": 2.0}}).config
    assert config.update is not None
    assert (config.update.replay, config.update.ewc) == (0.5, 2.0)
    assert config.training["eval_strategy"] == "no"  # it names no validation rows
    assert config.task == parent.config().task


def test_new_labels_join_the_task_and_others_are_refused_with_advice(parent: Run, tmp_path: Path) -> None:
    rows = [e.model_copy(update={"label": "unclear"}) if e.label == "neutral" else e for e in generate(30, seed=9)]
    file = tmp_path / "new.jsonl"
    write_records(file, rows)
    with pytest.raises(DataError, match=r"--new-label"):
        plan_update(parent, str(file), changes={})
    config = plan_update(parent, str(file), new_labels=["unclear"], changes=QUICK).config
    assert config.task.labels == ("entailment", "neutral", "contradiction", "unclear")
    learned = load_parts(config)
    assert "unclear" in learned.labels["train"]
    with pytest.raises(ConfigError):
        task_with(parent.config().task, ["Neutral"])  # cannot be told from one that is there


def test_a_parent_is_scored_over_labels_that_it_does_not_know(parent: Run, tmp_path: Path) -> None:
    rows = [e.model_copy(update={"label": "unclear"}) if e.label == "neutral" else e for e in generate(90, seed=9)]
    write_records(tmp_path / "new.jsonl", rows)
    plan = plan_update(parent, str(tmp_path / "new.jsonl"), new_labels=["unclear"], changes=QUICK | {"name": "wider"})
    record = carry_out(plan.config, data=plan.data).record
    assert {tested.kind for tested in record.sets} == {"kept", "new"}


# --- what is learned again ---


def test_a_share_of_the_parents_groups_comes_again_and_a_smaller_one_is_within_it(parent: Run) -> None:
    few, many = (
        {e.id: e.group for part in replayed(config, config.update) for e in part.examples}  # type: ignore[arg-type]
        for config in (config_of(parent, replay=share) for share in (0.3, 0.7))
    )
    learned = {e.id: e.group for e in load("scenes:240@5", split="train").first(20).examples}
    assert 0 < len(few) < len(many) < len(learned)
    assert few.items() <= many.items() <= learned.items()
    for groups in (set(few.values()), set(many.values())):  # groups are whole
        assert {i for i, g in learned.items() if g in groups} in (set(few), set(many))


def test_rows_that_are_kept_for_testing_are_never_learned(parent: Run, tmp_path: Path) -> None:
    new = load(NEW, split="train").examples
    same_text = new[0].model_copy(update={"id": "other", "group": None, "split": None})
    old = load("scenes:240@5", split="train").examples[0]
    file = tmp_path / "kept.jsonl"
    write_records(file, [same_text, old.model_copy(update={"split": None})])
    config = config_of(parent, replay=1.0, keep=[{"source": str(file)}])
    parts = load_parts(config)
    assert new[0].id not in {e.id for e in parts.train[0].examples}
    assert parts.train[0].set_aside[KEPT_BACK] == 1
    assert old.group not in {e.group for e in parts.train[1].examples}
    with pytest.raises(DataError, match="none in 1"):
        apart(load(file).first(1), kept_sets(config, config.update))  # type: ignore[arg-type]


def test_no_validation_rows_end_early_stopping_and_a_judge_of_another_task_the_call(
    parent: Run, tmp_path: Path
) -> None:
    stopping = tmp_path / "stopping"
    shutil.copytree(parent.folder, stopping)
    own = json.loads((stopping / "run.json").read_text(encoding="utf-8"))
    own["config"] |= {"early_stopping_patience": 3}
    own["config"]["training"] |= {"save_strategy": "best", "eval_on_start": True}
    (stopping / "run.json").write_text(json.dumps(own), encoding="utf-8")
    few = tmp_path / "few.jsonl"
    write_records(few, [e.model_copy(update={"split": "train"}) for e in generate(6, seed=11)])
    config = plan_update(Run.open(stopping), str(few), changes={}).config
    assert config.early_stopping_patience is None
    assert (config.training["eval_strategy"], config.training["save_strategy"]) == ("no", "steps")
    assert training_arguments(config, tmp_path / "out").eval_on_start is False
    judge, task = Judge.load("builtin:scenes"), Task(name="tone", fields=["text"], labels=["good", "bad"])
    with pytest.raises(DataError, match="explanations of the task"):
        carry_out(config.model_copy(update={"task": task}), judge=judge)


def test_rows_that_decide_on_publishing_select_nothing(parent: Run, updated: Updated) -> None:
    """Validation looks at new rows and at a part of the kept ones, whole groups; the gate at the others."""
    config = updated.run.config()
    parts = load_parts(config)
    assert parts.validation is not None
    [kept] = kept_sets(config, config.update)  # type: ignore[arg-type]
    assert kept.selection is not None
    new, old = (load(name, split="validation").examples for name in (NEW, "scenes:240@5"))
    whole = kept_sets(config, config.update.model_copy(update={"limit": None}))[0]  # type: ignore[union-attr]
    decide, select = whole.splits[0].loaded.examples, kept.selection.examples
    assert sorted(e.id for e in [*decide, *select]) == sorted(e.id for e in old)  # no row is lost
    assert {e.group for e in decide}.isdisjoint(e.group for e in select)
    assert 0 < len(select) <= min(len(new), len(old) // 3)
    assert [e.id for e in parts.validation.examples] == [e.id for e in [*new, *select]]
    gate = updated.record.sets[0]
    assert (gate.dataset.n, gate.selecting) == (min(12, len(decide)), len(select))
    scored = updated.run.folder / gate.results[1] / "per_example.jsonl"
    tested = {json.loads(line)["id"] for line in scored.read_text(encoding="utf-8").splitlines()}
    assert tested == {e.id for e in decide[:12]}
    assert tested.isdisjoint(e.id for e in parts.validation.examples)


def test_a_smaller_part_selects_within_a_larger_one_and_no_seed_changes_it(parent: Run, tmp_path: Path) -> None:
    """A group that selected in one update does not decide in the next."""
    file = tmp_path / "kept.jsonl"
    write_records(file, [e.model_copy(update={"split": "validation"}) for e in generate(120, seed=3)])

    def selecting(new: int, seed: int = 1) -> set[str]:
        config = config_of(parent, keep=[{"source": str(file)}]).model_copy(update={"seed": seed})
        validation = config.data.validation.model_copy(update={"limit": new})  # type: ignore[union-attr]
        config = config.model_copy(update={"data": config.data.model_copy(update={"validation": validation})})
        [kept] = kept_sets(config, config.update)  # type: ignore[arg-type]
        return {e.id for e in kept.selection.examples} if kept.selection else set()

    assert 0 < len(selecting(4)) <= 4
    assert selecting(4) < selecting(9) == selecting(9, seed=2)
    with_test = [e.model_copy(update={"split": "test"}) for e in generate(60, seed=3)]
    write_records(file, with_test)
    assert selecting(9) == set()  # test rows select nothing


def test_new_validation_rows_that_decide_are_not_looked_at(parent: Run, tmp_path: Path) -> None:
    old = load("scenes:240@5", split="validation").examples
    new = [e.model_copy(update={"id": f"again-{e.id}"}) for e in old]
    file = tmp_path / "both.jsonl"
    write_records(file, [*new, *load(NEW).examples])
    config = plan_update(parent, str(file), changes=QUICK | {"update": {}}).config
    parts, [kept] = load_parts(config), kept_sets(config, config.update)  # type: ignore[arg-type]
    assert parts.validation is not None
    groups = {e.group for e in parts.validation.examples}
    assert groups.isdisjoint(e.group for e in kept.splits[0].loaded.examples)
    assert parts.validation.set_aside[KEPT_BACK] >= len(kept.splits[0].loaded)


def test_the_parents_own_answers_stay_in_its_run(parent: Run, tmp_path: Path) -> None:
    texts = tmp_path / "texts.jsonl"
    write_records(texts, [e.model_copy(update={"label": None, "explanations": ()}) for e in generate(9, seed=8)])
    config = config_of(parent, self_replay={"source": str(texts)})
    assert config.update is not None
    assert config.update.self_replay is not None
    again = answered(config.update.self_replay, parent, config)
    [file] = parent.folder.glob("predictions/replay-*.jsonl")
    written = file.stat().st_mtime_ns
    answers = list(read_predictions(file))
    assert [e.label for e in again.examples] == [a.label for a in answers]
    assert {x.source for e in again.examples for x in e.explanations} <= {PARENT}
    assert [p.fingerprint for p in replayed(config, config.update)] == [again.fingerprint]
    assert file.stat().st_mtime_ns == written


def test_rows_of_several_clients_are_not_learned_again(parent: Run, tmp_path: Path) -> None:
    federated = Run(shutil.copytree(parent.folder, tmp_path / "federated"))
    (federated.folder / "federation.json").touch()
    config = config_of(federated, replay=0.5)
    assert config.update is not None
    with pytest.raises(DataError, match=r"one of several clients.*--self-replay"):
        replayed(config, config.update)


# --- what holds the student ---


def test_a_parents_answers_are_reached_for_token_by_token() -> None:
    """Twice the weight adds twice as much; the parent itself adds nothing, nor does evaluation."""
    student, batch = tiny.student("t5"), batch_of(tiny.student("t5"), 3)
    plain = JointModel(student.model)(**batch)

    other = copy.deepcopy(student.model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.3)

    def added(weight: float, shifted: bool = True) -> float:
        model = JointModel(
            student.model, distillation=Distillation(other if shifted else copy.deepcopy(student.model), weight)
        )
        losses = model.train()(**batch)
        assert torch.equal(losses.label_sum, plain.label_sum)  # what is reported is the plain loss
        assert float(model.eval()(**batch).label_smoothing) == 0.0
        assert "parent" not in " ".join(name for name, _ in model.named_parameters())
        return float((losses.label_smoothing + losses.explanation_smoothing).detach())

    assert added(1.0, shifted=False) == pytest.approx(0.0, abs=1e-4)
    assert added(1.0) > 0.1
    assert added(2.0) == pytest.approx(2 * added(1.0))


def test_the_divergence_is_that_of_two_coins() -> None:
    """KL(1/2 || 1/4) = 0.5 ln 2 + 0.5 ln 2/3 nats."""
    from reasondistill.training.losses import token_losses, with_distillation

    logits, even = torch.tensor([[0.0, 0.0], [0.25, 0.75]]).log(), torch.zeros(2, 2)
    logits[0] = 0.0
    is_label = torch.tensor([True, False])
    losses = with_distillation(token_losses(logits, torch.tensor([0, 1]), is_label), logits, even, is_label, 3.0)
    assert float(losses.label_smoothing) == pytest.approx(0.0, abs=1e-6)
    assert float(losses.explanation_smoothing) == pytest.approx(
        3 * 0.5 * (torch.tensor(2.0).log() * 2 - torch.tensor(3.0).log()).item()
    )


def test_weights_are_pulled_back_as_much_as_they_matter() -> None:
    model = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.ones_(model.weight)
    held = Consolidation(model, {"weight": torch.tensor([[2.0, 0.0]])}, 0.5)  # type: ignore[arg-type]
    with torch.no_grad():
        model.weight.add_(3.0)
    model.weight.grad = torch.ones_like(model.weight)
    held.on_pre_optimizer_step(None, None, None)
    assert model.weight.grad.tolist() == [[1.0 + 0.5 * 2.0 * 3.0, 1.0]]


def test_importance_is_the_mean_squared_gradient_of_rows(parent: Run) -> None:
    student, config = tiny.student("t5"), training_config(Path("x"))
    rows = generate(3, seed=4)
    importance = weight_importance(config, student, rows, torch.device("cpu"))
    assert sum(float(v.sum()) for v in importance.values()) / sum(v.numel() for v in importance.values()) == (
        pytest.approx(1.0)
    )
    squares = torch.zeros(())
    name, parameter = next(iter(student.model.named_parameters()))
    for row in rows:
        one = row.model_copy(update={"explanations": row.references[:1]})
        from reasondistill.training.features import Collator, build_features

        batch = Collator(student.codec)(
            list(build_features([one], task=config.task, order=config.order, codec=student.codec))
        )
        student.model.zero_grad()
        joint_loss(JointModel(student.model).eval()(**batch), alpha=0.5, beta=0.5).backward()
        assert parameter.grad is not None
        squares = squares + parameter.grad**2
    ratio = (importance[name] / squares)[squares > 1e-12]
    assert float(ratio.std() / ratio.mean()) < 1e-3  # they differ by one factor


# --- the gate ---


def judged(
    metric: str, difference: float, ci95: tuple[float, float] | None, rows: int, margin: float = 0.02
) -> HeldFigure:
    pair = Difference(system=0.5 + difference, baseline=0.5, difference=difference, ci95=ci95, n=rows)
    return held_figure(metric, pair, label=None, margin=margin, groups=rows)


@pytest.mark.parametrize(
    ("metric", "difference", "ci95", "expected"),
    [
        ("label_accuracy", -0.01, (-0.015, -0.005), "held"),
        ("label_accuracy", -0.01, (-0.03, 0.01), "unclear"),
        ("label_accuracy", -0.03, (-0.04, -0.01), "fell"),
        ("label_accuracy", -0.03, (-0.07, 0.01), "unclear"),
        ("label_accuracy", 0.05, (0.01, 0.09), "held"),
        ("ece", 0.05, (0.01, 0.09), "fell"),  # more is worse
        ("ece", -0.05, (-0.09, -0.01), "held"),
    ],
)
def test_a_figure_holds_where_its_whole_interval_does(
    metric: str, difference: float, ci95: tuple[float, float], expected: str
) -> None:
    assert judged(metric, difference, ci95, 3000).verdict == expected


def test_few_rows_decide_nothing_though_no_row_changed() -> None:
    """Bonett and Price: +-1.96 * sqrt(2) / (n + 2) with no discordant pair, so that 0.02 takes 137 rows."""
    few, many = (judged("label_accuracy", 0.0, (0.0, 0.0), n) for n in (3, 137))
    assert (few.verdict, many.verdict) == ("unclear", "held")
    assert few.ci95 == pytest.approx((-1.96 * 2**0.5 / 5, 1.96 * 2**0.5 / 5))
    assert judged("label_accuracy", 0.0, (0.0, 0.0), 136).verdict == "unclear"
    assert judged("label_accuracy", -1.0, (-1.0, -1.0), 3).verdict == "fell"  # all of them, though
    for difference in (-0.02, -0.03, 0.1):
        assert judged("label_accuracy", difference, None, 50).verdict == "unclear"  # one group


def test_a_binary_figures_interval_is_that_of_bonett_and_price() -> None:
    """Of 400 pairs 12 only the parent had right and 8 only the child, by their formula; the bootstrap's is near it."""
    rows, only_parent, only_child = 400, 12, 8
    from reasondistill.metrics.statistics import GroupBootstrap

    changes = [-1.0] * only_parent + [1.0] * only_child + [0.0] * (rows - only_parent - only_child)
    ci95 = GroupBootstrap(list(range(rows)), resamples=2000).mean_interval(changes)
    assert ci95 is not None
    loss = Loss.of("label_accuracy", Difference(system=0.49, baseline=0.5, difference=-0.01, ci95=ci95, n=rows), rows)
    up, down = (only_parent + 1) / (rows + 2), (only_child + 1) / (rows + 2)
    half = 1.96 * ((up + down - (up - down) ** 2) / (rows + 2)) ** 0.5
    assert loss.low == pytest.approx(up - down - half, abs=0.002)
    assert loss.high == pytest.approx(up - down + half, abs=0.002)


@pytest.mark.parametrize(("rows", "lost", "gained"), [(60, 0.05, 0.03), (200, 0.03, 0.01), (1000, 0.03, 0.01)])
def test_a_loss_as_large_as_the_margin_is_hardly_ever_published(rows: int, lost: float, gained: float) -> None:
    """A student that lost exactly the margin of 0.02 is published in at most about 2.5% of 400 draws of its rows."""
    generator, published = np.random.default_rng(1), 0
    for _ in range(400):
        less, more, same = generator.multinomial(rows, [lost, gained, 1 - lost - gained])
        mean, square = (more - less) / rows, (more + less) / rows
        half = 1.96 * ((square - mean**2) / rows) ** 0.5  # what resampling comes to
        published += judged("label_accuracy", mean, (mean - half, mean + half), rows).verdict == "held"
        assert same + less + more == rows
    assert published / 400 <= 0.04


@pytest.mark.parametrize(("lost", "gained"), [(0.02, 0.02), (0.055, 0.05)])
def test_the_rows_that_are_said_to_be_needed_do_decide(lost: float, gained: float) -> None:
    """At that number of rows, a student that differs as much is shown to hold in about 80% of the draws."""

    def drawn(rows: int) -> HeldFigure:
        less, more, _ = generator.multinomial(rows, [lost, gained, 1 - lost - gained])
        return of(more, less, rows)

    def of(more: int, less: int, rows: int) -> HeldFigure:
        mean, square = (more - less) / rows, (more + less) / rows
        half = 1.96 * ((square - mean**2) / rows) ** 0.5
        return judged("label_accuracy", mean, (mean - half, mean + half), rows)

    generator = np.random.default_rng(2)
    unclear = of(round(gained * 200), round(lost * 200), 200)
    assert unclear.verdict == "unclear"
    assert unclear.rows_needed is not None
    assert unclear.rows_needed > 400
    held = sum(drawn(unclear.rows_needed).verdict == "held" for _ in range(300)) / 300
    assert 0.7 < held < 0.95


def test_rows_needed_are_counted_in_rows_where_groups_hang_together() -> None:
    pair = Difference(system=0.5, baseline=0.5, difference=0.0, ci95=(-0.06, 0.06), n=300)
    single, threes = (held_figure("rougeL", pair, label=None, margin=0.02, groups=n) for n in (300, 100))
    assert single.rows_needed is not None
    assert threes.rows_needed is not None
    assert threes.rows_needed >= single.rows_needed
    assert judged("label_accuracy", -0.01999999, (-0.06, 0.02), 300).rows_needed is None  # more than a million


def answered_set(name: str, kind: Any, decides: bool, *figures: HeldFigure) -> AnsweredSet:
    dataset = DatasetInfo(name=name, fingerprint="f", n=9)
    return AnsweredSet(
        name=name, kind=kind, split="test", decides=decides, dataset=dataset, results=("a", "b"), figures=list(figures)
    )


def figure(parent: float, child: float, **more: Any) -> HeldFigure:
    values = {"metric": "label_accuracy", "n": 9, "margin": 0.02, "verdict": "held"} | more
    return HeldFigure(parent=parent, child=child, difference=child - parent, **values)


def test_what_is_unclear_refuses_over_all_rows_but_not_by_label() -> None:
    unclear, of_label = figure(0.9, 0.89, verdict="unclear"), figure(0.9, 0.8, verdict="unclear", label="neutral")
    fell = figure(0.9, 0.5, verdict="fell", label="neutral")
    assert not_shown([answered_set("a", "kept", True, of_label)]) == []
    assert not_shown([answered_set("a", "kept", False, fell), answered_set("b", "new", False, fell)]) == []
    [first, second] = [sentence(*shown) for shown in not_shown([answered_set("a", "kept", True, unclear, fell)])]
    assert "Label accuracy is not decided: 9 rows cannot rule out a loss of 0.02, no number of rows is likely" in first
    assert "Label accuracy of 'neutral' fell" in second
    worse = figure(0.1, 0.4, metric="ece", verdict="fell")
    assert "ECE rose by more than the margin" in sentence(answered_set("a", "kept", True), worse)
    wider = figure(0.9, 0.8, verdict="unclear", rows_needed=1234)
    assert "9 rows cannot tell a loss beyond 0.02 from chance, about 1,200 rows can" in sentence(
        answered_set("a", "kept", True), wider
    )


def test_the_summaries_of_a_matrix_by_hand() -> None:
    values: list[list[float | None]] = [[0.9, 0.4, None], [0.8, 0.9, 0.3], [0.7, 0.95, 0.8]]
    result = transfer("label_accuracy", values, [0.3, 0.3, 0.35])
    assert result.average == pytest.approx((0.7 + 0.95 + 0.8) / 3)
    assert result.backward == pytest.approx(((0.7 - 0.9) + (0.95 - 0.9)) / 2)
    assert result.forward == pytest.approx(((0.4 - 0.3) + (0.3 - 0.35)) / 2)
    assert result.forgetting == pytest.approx(((0.9 - 0.7) + (0.9 - 0.95)) / 2)
    of_ece = transfer("ece", [[0.1, 0.2], [0.3, 0.1]], [None, None])
    assert of_ece.forgetting == pytest.approx(0.2)  # an error that rose was forgotten
    assert of_ece.forward is None


def test_several_kept_sets_stand_before_the_first_step() -> None:
    sets = [answered_set(n, "kept", True, figure(p, c)) for n, p, c in (("a", 0.9, 0.8), ("b", 0.7, 0.7))]
    steps, tasks, [matrix] = matrices([*sets, answered_set("new", "new", False, figure(0.3, 0.6))], "old", "new", None)
    assert (steps, tasks) == (["old", "new"], ["a", "b", "new"])
    assert matrix.values == [[0.9, 0.7, 0.3], [0.8, 0.7, 0.6]]
    assert matrix.transfer.backward == pytest.approx(-0.05)


# --- whole updates ---


def test_an_update_leaves_a_run_with_a_record(parent: Run, updated: Updated) -> None:
    run, record = updated
    assert run.info().status == "finished"
    assert not record.published  # twelve rows show nothing
    assert any("12 rows cannot" in reason for reason in record.reasons)
    assert UpdateRecord.load(run.folder / UPDATE_FILE) == record
    assert Path(record.parent) == parent.folder
    assert record.parent_student != record.student
    assert record.strategy["replay"] == 0.5
    assert [(s.kind, s.split, s.decides) for s in record.sets] == [
        ("kept", "validation", True),
        ("kept", "test", False),
        ("new", "validation", False),
        ("new", "test", False),
    ]
    assert {f.metric for s in record.sets for f in s.figures} == {"label_accuracy", "rougeL", "ece"}
    assert all((run.folder / place / "results.json").is_file() for s in record.sets for place in s.results)
    assert set(run.info().data) == {"train 1", "train 2", "validation"}
    moved = [
        name for name, value in weights(run.student).items() if not torch.equal(value, weights(parent.student)[name])
    ]
    assert moved


def test_the_same_call_goes_on_and_another_configuration_is_refused(parent: Run, updated: Updated) -> None:
    config = updated.run.config()
    shutil.rmtree(updated.run.folder / "update")
    assert carry_out(config).record == updated.record  # it is read: nothing is asked again
    assert not (updated.run.folder / "update").exists()
    with pytest.raises(OutputError, match="another name"):
        carry_out(config.model_copy(update={"seed": 6}))


@pytest.mark.slow
def test_a_training_that_was_stopped_is_held_to_the_same_parent(parent: Run) -> None:
    """Distillation and consolidation go on from the parent's weights, not from those of the checkpoint."""
    changes: dict[str, object] = {"name": "held", "training": {"max_steps": 6, "eval_steps": 3, "save_steps": 3}}
    more: dict[str, object] = {"update": {"limit": 6, "replay": 0.5, "distillation": 1.0, "ewc": 0.01}}
    config = plan_update(parent, NEW, changes=changes | more).config
    run = train(config)
    whole = weights(run.student)
    shutil.rmtree(run.student)
    shutil.rmtree(run.checkpoints / "checkpoint-6")
    run.write(status="stopped")
    assert refusal_of(run.folder) is not None  # it was not tested yet
    train(config, resume=True)
    assert all(torch.equal(value, whole[name]) for name, value in weights(run.student).items())


def test_what_is_not_published_stays_and_says_so(
    updated: Updated, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from reasondistill.serving.hosting import Hosts

    record = updated.record.model_copy(update={"published": False, "reasons": ["a: Label accuracy fell"]})
    student = tmp_path / "student"
    shutil.copytree(updated.run.student, student)
    record.save(student / UPDATE_FILE)
    assert refusal_of(student) == "a: Label accuracy fell"
    Hosts.load([student])
    assert "was not published: a: Label accuracy fell" in caplog.text
    updated.record.model_copy(update={"published": True}).save(student / UPDATE_FILE)
    assert refusal_of(student) is None
    assert refusal_of(Path("builtin:scenes")) is None


@pytest.mark.slow
def test_a_second_update_from_rows_in_memory_holds_both_tasks_before_it(parent: Run, updated: Updated) -> None:
    rows = list(load("scenes:60@8").examples)
    run, record = rd.update(updated.run, rows, name="third", replay=0.5, **QUICK)
    assert (run.folder / "data.jsonl").is_file()
    assert [above.folder.name for above in lineage(run.config().update)] == [  # type: ignore[arg-type]
        parent.folder.name,
        updated.run.folder.name,
    ]
    assert record.tasks == [parent.folder.name, updated.run.folder.name, "third"]
    assert record.steps == record.tasks
    for matrix in record.matrices:
        earlier = next(m for m in updated.record.matrices if m.metric == matrix.metric)
        assert [row[:2] for row in matrix.values[:1]] == earlier.values[:1]
        assert matrix.values[0][2] is None
        assert None not in matrix.values[1] + matrix.values[2]
    assert {name for name in run.info().data if name.startswith("train")} == {"train 1", "train 2", "train 3"}


def test_the_report_shows_the_verdict_and_the_matrix(updated: Updated) -> None:
    page = rd.report(updated.run).markdown.read_text(encoding="utf-8")
    assert "## Update" in page
    assert "replay of 50% of the groups, distillation from the parent" in page
    assert "Backward transfer" in page
    assert (updated.run.folder / "figures" / "forgetting.png").is_file()
    told = blocks(updated.record.model_copy(update={"published": False, "reasons": ["x fell"], "matrices": []}))
    assert [b.text for b in told if hasattr(b, "text")][1] == "x fell."


def test_a_parent_has_to_be_finished(parent: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(parent.folder, copy)
    Run(copy).write(status="stopped")
    with pytest.raises(DataError, match="a finished run"):
        plan_update(copy, NEW, changes={})


def test_a_student_grows_with_its_update(parent: Run, tmp_path: Path) -> None:
    rows = [e.model_copy(update={"fields": {**e.fields, "premise": "A zebrafish swims."}}) for e in generate(9)]
    config = config_of(parent, grow_vocabulary=True)
    grown = create_student(config, rows)
    plain = create_student(config_of(parent), rows)
    assert len(grown.tokenizer) > len(plain.tokenizer)
    assert grown.model.config.vocab_size - plain.model.config.vocab_size == len(grown.tokenizer) - len(plain.tokenizer)
    assert create_student(config_of(parent, grow_vocabulary=True), generate(9, seed=5)).tokenizer is not None


# --- the command ---

PAGE = Path(__file__).resolve().parents[1] / "docs" / "continual.md"


@pytest.mark.slow
def test_the_pages_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With few steps, and tables of invented tickets."""
    lines = [
        line
        for block in re.findall(r"^```bash\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
        for line in block.split("\n")
    ]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("reasondistill ")]
    assert [words[0] for words in commands] == ["train", "update"]
    monkeypatch.chdir(tmp_path)
    kinds = {"billing": "The invoice shows a charge", "bug": "The app closes at once", "idea": "Please add a theme"}
    for file, word in (("tickets.csv", "number"), ("new_tickets.csv", "case")):
        rows = [f"{words} {word} {i},{kind},it says so" for i in range(20) for kind, words in kinds.items()]
        Path(file).write_text("\n".join(["text,category,why", *rows]), encoding="utf-8")
    for words in commands:
        monkeypatch.setattr("sys.argv", ["reasondistill", *words, "--set", "training.max_steps=2"])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
    record = UpdateRecord.load("experiments/runs/tickets-update/update.json")
    assert record.tasks == ["tickets", "tickets-update"]
    assert Path("experiments/runs/tickets-update/report.html").is_file()


def test_the_command_names_what_is_wrong(
    parent: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["reasondistill", "update", str(parent.folder), NEW, "--lora", "--ewc", "1"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "take one of the two" in capsys.readouterr().err


def test_what_a_file_says_holds_where_the_call_says_nothing(
    parent: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "update.yaml"
    file.write_text(f"data: {{train: {{source: '{NEW}'}}}}\nupdate: {{replay: 0.5, margin: 0.1}}\n", encoding="utf-8")
    planned: list[TrainConfig] = []

    def stop(config: TrainConfig, **others: object) -> None:
        planned.append(config)
        raise ConfigError("update", expected="a test", found="its end")

    monkeypatch.setattr("reasondistill.updating.going_on.carry_out", stop)
    for given in ({}, {"replay": 0.25}, {"overrides": ["update.replay=0.75"], "replay": 0.25}):
        with pytest.raises(ConfigError, match="its end"):
            rd.update(parent, str(file), **given)
    blocks = [config.update for config in planned if config.update is not None]
    assert [block.replay for block in blocks] == [0.5, 0.25, 0.75]
    assert {block.margin for block in blocks} == {0.1}


def test_one_new_label_is_a_label_and_one_set_a_set(parent: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[TrainConfig] = []

    def stop(config: TrainConfig, **others: object) -> None:
        planned.append(config)
        raise ConfigError("update", expected="a test", found="its end")

    monkeypatch.setattr("reasondistill.updating.going_on.carry_out", stop)
    with pytest.raises(ConfigError, match="its end"):
        rd.update(parent, NEW, new_labels="unclear", keep="scenes:30@3")
    [config] = planned
    assert config.update is not None
    assert (config.task.labels or ())[3:] == ("unclear",)
    assert [kept.source for kept in config.update.keep] == ["scenes:30@3"]
    frame: Any = pd.DataFrame([{"premise": "A man sleeps."}])
    for given in (frame, [frame]):
        with pytest.raises(DataError, match=r"keep: expected the names of data sets.*found a DataFrame.*Write it"):
            rd.update(parent, NEW, keep=given)


def test_the_same_rows_under_another_name_are_kept_rows_too(parent: Run, tmp_path: Path) -> None:
    rows = [e.model_copy(update={"split": None}) for e in generate(12, seed=5)]
    for name in ("one", "other"):
        write_records(tmp_path / f"{name}.jsonl", rows)
        updated = rd.update(parent, NEW, keep=tmp_path / f"{name}.jsonl", name=f"kept-{name}", **QUICK)
        assert updated.record.sets[0].name == name


def test_what_the_parent_learned_is_named(parent: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    learned = list(RunData(parent).training())
    file = tmp_path / "again.jsonl"
    write_records(file, [*learned, *generate(6, seed=6)])
    plan_update(parent, str(file), changes=QUICK)
    assert re.search(r"again: \d+ of \d+ rows are ones that the run learned from", caplog.text)


def test_a_margin_of_nothing_is_a_margin(parent: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[dict[str, Any]] = []

    def stop(*_: object, changes: dict[str, Any], **others: object) -> None:
        planned.append(changes)
        raise ConfigError("update", expected="a test", found="its end")

    monkeypatch.setattr("reasondistill.updating.going_on.plan_update", stop)
    monkeypatch.setattr("sys.argv", ["reasondistill", "update", str(parent.folder), NEW, "--margin", "0"])
    with pytest.raises(SystemExit):
        main()
    assert planned[0]["update"] == {"margin": 0.0}
