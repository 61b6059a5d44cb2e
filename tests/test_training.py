"""Training: the same gradient however the batch is cut, a student that learns, a run that goes on after a stop."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import tiny
from make import facts_of
from reasondistill import Student
from reasondistill.config import Loss, Schedule, TrainConfig
from reasondistill.data import load
from reasondistill.data.scenes import generate
from reasondistill.errors import ConfigError, DataError, OutputError
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.tasks.task import NLI
from reasondistill.training.arguments import training_arguments
from reasondistill.training.joint_model import load_weights, loss_figures
from reasondistill.training.learned_data import Parts, left_out, load_parts, shuffle_labels
from reasondistill.training.train import train
from trainings import logged, trainer, training_config, weights


def test_each_step_is_logged_with_both_losses(tmp_path: Path) -> None:
    made = trainer(tmp_path, max_steps=3, per_device_train_batch_size=4)
    made.train()
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3]
    for row in rows:
        assert row["loss"] == pytest.approx(0.5 * row["label_loss"] + 0.5 * row["explanation_loss"], rel=1e-4)
        assert row["explanation_perplexity"] == pytest.approx(2.718281828 ** row["explanation_loss"], rel=1e-4)
        assert {"grad_norm", "learning_rate", "label_token_accuracy", "alpha", "beta", "phase"} <= set(row)


def test_weights_follow_their_schedule(tmp_path: Path) -> None:
    loss = Loss(alpha=Schedule(start=1.0, end=0.0, over=0.5), beta=0.2)
    assert [loss.weights(p) for p in (0.0, 0.25, 0.5, 1.0)] == [(1.0, 0.2), (0.5, 0.2), (0.0, 0.2), (0.0, 0.2)]
    made = trainer(tmp_path, loss=loss, max_steps=4, per_device_train_batch_size=4)
    made.train()
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["alpha"] for row in rows] == [0.5, 0.0, 0.0, 0.0]  # logged after the step that it names


def test_the_encoder_can_learn_at_a_rate_of_its_own(tmp_path: Path) -> None:
    made = trainer(tmp_path)
    made.encoder_learning_rate = 0.001
    groups = made.create_optimizer().param_groups
    encoder = {id(p) for p in made.saved.model.get_encoder().parameters()}
    rates = {id(p) in encoder: group["lr"] for group in groups for p in group["params"]}
    assert rates == {True: 0.001, False: 0.1}
    assert sum(len(g["params"]) for g in groups) == len(list(made.model.parameters()))


def test_terms_without_tokens_have_no_figures() -> None:
    assert loss_figures([0.0, 6.0, 0.0, 3.0, 0.0, 1.0]) == {
        "explanation_loss": 2.0,
        "explanation_token_accuracy": pytest.approx(1 / 3),
        "explanation_perplexity": pytest.approx(7.389056),
    }


def test_weights_of_another_shape_are_not_loaded(tmp_path: Path) -> None:
    tiny.student("flan-t5").save(tmp_path / "s")
    with pytest.raises(RuntimeError):
        load_weights(tiny.tied_t5(), tmp_path / "s")


# --- whole runs ---


def test_a_run_holds_what_it_depended_on_and_a_student_that_answers(tmp_path: Path) -> None:
    run = train(training_config(tmp_path))
    info = facts_of(run)
    assert info["status"] == "finished"
    assert info["data"]["train"]["n"] > 100
    assert info["versions"]["torch"] == torch.__version__
    assert info["steps"] == 6
    assert info["best"]["metric"] == "both"
    assert info["student"]["bytes"] > info["student"]["parameters"] * 4
    evaluations = [row for row in logged(run) if "eval_loss" in row]
    assert [row["step"] for row in evaluations] == [3, 6]
    assert all(0 <= row["eval_label_accuracy"] <= 1 for row in evaluations)
    best = max(evaluations, key=lambda row: row["eval_both"])
    assert info["best"]["step"] == best["step"]
    kept = weights(run.checkpoints / f"checkpoint-{best['step']}")
    assert all(torch.equal(value, kept[name]) for name, value in weights(run.student).items())
    prediction = Student.load(run.folder).explain(premise="A man is asleep.", hypothesis="A man is awake.")
    assert prediction.label in (NLI.labels or ())
    assert "reasondistill" in (run.student / "README.md").read_text()
    with pytest.raises(OutputError, match="--set name="):
        train(training_config(tmp_path))


@pytest.mark.parametrize("order", ["explanation_first", "label_only", "explanation_only", "separate"])
def test_every_output_order_trains(tmp_path: Path, order: str) -> None:
    changes = {"max_steps": 2, "eval_steps": 2, "save_steps": 2}
    base = training_config(tmp_path)
    run = train(training_config(tmp_path, order=order, training=base.training | changes))
    assert Student.load(run.folder).order == order
    last = [row for row in logged(run) if "eval_loss" in row][-1]
    assert ("eval_label_accuracy" in last) is (order != "explanation_only")


def test_a_warm_start_denoises_first_and_does_not_again_when_resumed(tmp_path: Path) -> None:
    bert = tiny.tiny_bert(tmp_path / "bert")
    student = {
        "kind": "warm_start",
        "encoder": str(bert),
        "num_decoder_layers": 1,
        "denoising": {"max_steps": 2, "per_device_train_batch_size": 8, "warmup_steps": 0},
    }
    changes = {"max_steps": 2, "eval_steps": 2, "save_steps": 2}
    run = train(training_config(tmp_path, student=student, training=training_config(tmp_path).training | changes))
    assert [row["phase"] for row in logged(run) if "loss" in row] == ["denoising"] * 2 + ["joint"] * 2
    denoised = weights(run.folder / "denoised")
    final = weights(run.student)
    encoder = [name for name in final if name.startswith("model.encoder.layers.0.fc1")]
    assert encoder
    assert all(not torch.equal(denoised[name], final[name]) for name in encoder)  # frozen only while denoising


def test_shuffled_labels_keep_their_counts_and_lose_explanations_of_other_labels() -> None:
    examples = generate(60)
    shuffled = shuffle_labels(examples, 1)
    assert sorted(map(str, (e.label for e in shuffled))) == sorted(map(str, (e.label for e in examples)))
    assert [e.label for e in shuffled] != [e.label for e in examples]
    for before, after in zip(examples, shuffled, strict=True):
        assert list(after.explanations) == before.references


def test_validation_groups_in_the_training_part_are_refused(tmp_path: Path) -> None:
    bad = training_config(tmp_path, data={"train": {"source": "scenes:60"}, "validation": {"source": "scenes:60"}})
    with pytest.raises(DataError, match="groups that the training part does not have"):
        train(bad)
    assert not (tmp_path / "runs").exists()


def test_several_splits_are_joined(tmp_path: Path) -> None:
    joined = training_config(tmp_path, data={"train": {"source": "scenes:90", "split": ["train", "test"]}})
    assert {e.split for e in load_parts(joined).examples} == {"train", "test"}


def test_other_data_than_the_run_was_begun_with_is_refused(tmp_path: Path) -> None:
    run = train(training_config(tmp_path))
    run.write(status="stopped", data={"train": {"source": "scenes", "fingerprint": "0" * 16, "n": 1}})
    with pytest.raises(DataError, match="the data that the run was begun with"):
        train(training_config(tmp_path), resume=True)


def test_arguments_that_transformers_refuses_are_config_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="training"):
        training_arguments(training_config(tmp_path, training={"eval_strategy": "sometimes"}), tmp_path)
    with pytest.raises(ConfigError, match=r"data\.validation"):
        training_arguments(
            training_config(tmp_path, data={"train": {"source": "scenes:60"}}, training={"eval_strategy": "epoch"}),
            tmp_path,
        )
    with pytest.raises(ConfigError, match="load_best_model_at_end"):
        training_arguments(training_config(tmp_path, early_stopping_patience=2, training={}), tmp_path)


def test_rows_that_teach_less_are_counted_and_said(tmp_path: Path) -> None:
    labels = ["neutral", "-1", "-", "", None, -1, "entailment"]
    rows = [{"premise": f"a {k}", "hypothesis": "b", "label": label} for k, label in enumerate(labels)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    parts = Parts([load(path)], load(path))
    data = {"train": {"source": str(path)}}
    config = validate_config(TrainConfig, {"name": "run", "data": data, "student": {"kind": "scratch"}}, where="here")
    assert left_out(parts, config) == [
        "train: no row has the label 'contradiction', so it cannot be learned",
        "train: 7 rows show that all runs, and teach next to nothing: hundreds are a beginning",
        "rows, train: 5 of 7 rows have no label; they teach their explanation only",
        "rows: dropped: label -1, which stands for none (2), label -, which stands for none (1), empty label (2)",
        "rows, validation: 5 of 7 rows have no label; they do not count for labels",
    ]
    first = left_out(parts, config.model_copy(update={"order": "label_only"}))[2]
    assert first.endswith("5 of 7 rows have no label; they teach nothing")
    assert left_out(Parts([load("scenes:20")]), config) == []
