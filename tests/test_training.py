"""Training: the same gradient however the batch is cut, a student that learns, a run that goes on after a stop."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import Seq2SeqTrainingArguments

import tiny
from reasondistill import Student
from reasondistill.config import Loss, Schedule, TrainConfig, validate_config
from reasondistill.data import load
from reasondistill.data.scenes import generate
from reasondistill.errors import ConfigError, DataError, OutputError
from reasondistill.runs import Run
from reasondistill.tasks.task import NLI
from reasondistill.training.features import Collator, build_features
from reasondistill.training.train import Parts, left_out, load_parts, shuffle_labels, train, training_arguments
from reasondistill.training.trainer import DistillationTrainer, JointModel, load_weights, loss_figures


def trainer(tmp_path: Path, *, loss: Loss | None = None, **arguments: Any) -> DistillationTrainer:
    student = tiny.student("t5")
    examples = generate(16, seed=3)
    # Rows of unequal weight: some without explanation, some with several.
    examples = [e if i % 3 else e.model_copy(update={"explanations": ()}) for i, e in enumerate(examples)]
    rows = build_features(examples, task=NLI, order="label_first", codec=student.codec)
    defaults: dict[str, Any] = {
        "output_dir": str(tmp_path / "trainer"),
        "remove_unused_columns": False,
        "report_to": "none",
        "train_sampling_strategy": "sequential",
        "max_steps": 1,
        "learning_rate": 0.1,
        "optim": "sgd",
        "max_grad_norm": 0.0,
        "lr_scheduler_type": "constant",
        "use_cpu": True,
        "disable_tqdm": True,
        "save_strategy": "no",
        "logging_steps": 1,
    }
    return DistillationTrainer(
        student,
        loss=loss or Loss(),
        arguments=Seq2SeqTrainingArguments(**(defaults | arguments)),
        train_dataset=rows,
        log_file=tmp_path / "log.jsonl",
    )


def after_one_step(tmp_path: Path, **arguments: Any) -> dict[str, torch.Tensor]:
    made = trainer(tmp_path, **arguments)
    made.train()
    return {name: p.detach().clone() for name, p in made.model.named_parameters()}


def test_batch_times_accumulation_does_not_change_the_gradient(tmp_path: Path) -> None:
    whole = after_one_step(tmp_path, per_device_train_batch_size=16, gradient_accumulation_steps=1)
    start = dict(JointModel(tiny.student("t5").model).named_parameters())
    moved = max((whole[name] - start[name]).abs().max().item() for name in whole)
    assert moved > 1e-3  # the step did something
    for size in (1, 2, 8):
        cut = after_one_step(tmp_path, per_device_train_batch_size=size, gradient_accumulation_steps=16 // size)
        for name in whole:
            torch.testing.assert_close(cut[name], whole[name], atol=1e-5, rtol=1e-4)


def test_processes_do_not_change_the_gradient(tmp_path: Path) -> None:
    whole = after_one_step(tmp_path / "one", per_device_train_batch_size=16)
    script = Path(__file__).with_name("two_processes.py")
    (tmp_path / "two").mkdir()
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launcher, str(script), str(tmp_path / "two")], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    cut = load_file(tmp_path / "two" / "after.safetensors")
    for name, value in cut.items():
        torch.testing.assert_close(value, whole[f"student.{name}"], atol=1e-5, rtol=1e-4)


def test_the_step_is_the_gradient_of_the_two_token_means(tmp_path: Path) -> None:
    """One SGD step against autograd on plain transformers' full logits."""
    loss = Loss(alpha=0.3, beta=0.9)
    made = trainer(tmp_path, loss=loss, per_device_train_batch_size=4, gradient_accumulation_steps=4)
    model = tiny.tied_t5()
    batch = Collator(made.saved.codec)([made.train_dataset[i] for i in range(16)])
    rows = batch["encoder_rows"]
    logits = model(
        input_ids=batch["input_ids"][rows],
        attention_mask=batch["attention_mask"][rows],
        decoder_input_ids=batch["decoder_input_ids"],
    ).logits
    nll = -logits.log_softmax(-1).gather(2, batch["target_ids"].unsqueeze(2)).squeeze(2)
    (0.3 * nll[batch["label_mask"]].mean() + 0.9 * nll[batch["explanation_mask"]].mean()).backward()
    made.train()
    for name, parameter in model.named_parameters():
        expected = parameter.detach() - 0.1 * parameter.grad
        torch.testing.assert_close(dict(made.saved.model.named_parameters())[name], expected, atol=1e-5, rtol=1e-4)


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


def config(tmp_path: Path, **changes: Any) -> TrainConfig:
    value: dict[str, Any] = {
        "name": "run",
        "runs_dir": str(tmp_path / "runs"),
        "seed": 5,
        "data": {
            "train": {"source": "scenes:240", "split": "train"},
            "validation": {"source": "scenes:240", "split": "validation", "limit": 20},
        },
        "student": {
            "kind": "scratch",
            "d_model": 32,
            "d_ff": 64,
            "d_kv": 8,
            "num_layers": 1,
            "num_decoder_layers": 1,
            "vocab_size": 500,
        },
        "max_source_length": 64,
        "max_target_length": 40,
        "training": {
            "max_steps": 6,
            "per_device_train_batch_size": 16,
            "learning_rate": 2e-3,
            "logging_steps": 1,
            "eval_strategy": "steps",
            "eval_steps": 3,
            "save_strategy": "steps",
            "save_steps": 3,
            "load_best_model_at_end": True,
            "metric_for_best_model": "both",
            "train_sampling_strategy": "group_by_length",
            "use_cpu": True,
            "disable_tqdm": True,
        },
        "generation": {"num_beams": 1, "max_new_tokens": 4},
    }
    return validate_config(TrainConfig, value | changes, where="test")


def logged(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.metrics.read_text().splitlines()]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_a_run_holds_what_it_depended_on_and_a_student_that_answers(tmp_path: Path) -> None:
    run = train(config(tmp_path))
    info = run.info()
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
    assert prediction.label in NLI.labels
    assert "reasondistill" in (run.student / "README.md").read_text()
    with pytest.raises(OutputError, match="--set name="):
        train(config(tmp_path))


def test_a_stopped_run_goes_on_to_the_same_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train(config(tmp_path, name="whole"))

    original = DistillationTrainer.compute_loss

    def stop_at_five(self: DistillationTrainer, *args: Any, **kwargs: Any) -> Any:
        if self.state.global_step == 4 and self.model.training:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    monkeypatch.setattr(DistillationTrainer, "compute_loss", stop_at_five)
    with pytest.raises(KeyboardInterrupt):
        train(config(tmp_path, name="cut"))
    monkeypatch.undo()
    cut = Run.open(tmp_path / "runs" / "cut")
    assert cut.info()["status"] == "stopped"
    assert not cut.student.exists()
    resumed = train(config(tmp_path, name="cut"), resume=True)
    assert resumed.info()["status"] == "finished"
    assert [(r["step"], "eval_loss" in r) for r in logged(resumed)] == [
        (r["step"], "eval_loss" in r) for r in logged(whole)
    ]
    assert logged(resumed)[-1]["eval_loss"] == pytest.approx(logged(whole)[-1]["eval_loss"], rel=1e-5)
    ours, theirs = weights(resumed.student), weights(whole.student)
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-6) for name in theirs)


def test_the_same_seed_gives_the_same_student(tmp_path: Path) -> None:
    # Bit for bit on one thread; with more, the order of some sums is the scheduler's.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    one, two = (weights(train(config(tmp_path, name=name)).student) for name in ("one", "two"))
    other = weights(train(config(tmp_path, name="other", seed=6)).student)
    torch.set_num_threads(threads)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one if one[name].shape == other[name].shape)


@pytest.mark.parametrize("order", ["explanation_first", "label_only", "explanation_only", "separate"])
def test_every_output_order_trains(tmp_path: Path, order: str) -> None:
    changes = {"max_steps": 2, "eval_steps": 2, "save_steps": 2}
    base = config(tmp_path)
    run = train(config(tmp_path, order=order, training=base.training | changes))
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
    run = train(config(tmp_path, student=student, training=config(tmp_path).training | changes))
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
    bad = config(tmp_path, data={"train": {"source": "scenes:60"}, "validation": {"source": "scenes:60"}})
    with pytest.raises(DataError, match="groups that the training part does not have"):
        train(bad)
    assert not (tmp_path / "runs").exists()


def test_several_splits_are_joined(tmp_path: Path) -> None:
    joined = config(tmp_path, data={"train": {"source": "scenes:90", "split": ["train", "test"]}})
    assert {e.split for e in load_parts(joined).examples} == {"train", "test"}


def test_other_data_than_the_run_was_begun_with_is_refused(tmp_path: Path) -> None:
    run = train(config(tmp_path))
    run.write(status="stopped", data={"train": {}})
    with pytest.raises(DataError, match="the data that the run was begun with"):
        train(config(tmp_path), resume=True)


def test_arguments_that_transformers_refuses_are_config_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="training"):
        training_arguments(config(tmp_path, training={"eval_strategy": "sometimes"}), tmp_path)
    with pytest.raises(ConfigError, match=r"data\.validation"):
        training_arguments(
            config(tmp_path, data={"train": {"source": "scenes:60"}}, training={"eval_strategy": "epoch"}), tmp_path
        )
    with pytest.raises(ConfigError, match="load_best_model_at_end"):
        training_arguments(config(tmp_path, early_stopping_patience=2, training={}), tmp_path)


def test_rows_that_teach_less_are_counted_and_said(tmp_path: Path) -> None:
    labels = ["neutral", "-1", "-", "", None, -1, "entailment"]
    rows = [{"premise": f"a {k}", "hypothesis": "b", "label": label} for k, label in enumerate(labels)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    parts = Parts([load(path)], load(path))
    data = {"train": {"source": str(path)}}
    config = validate_config(TrainConfig, {"name": "run", "data": data, "student": {"kind": "scratch"}}, where="here")
    assert left_out(parts, config) == [
        "rows, train: 5 of 7 rows have no label; they teach their explanation only",
        "rows: set aside: label -1, which stands for none (2), label -, which stands for none (1)",
        "rows, validation: 5 of 7 rows have no label; they do not count for labels",
    ]
    first = left_out(parts, config.model_copy(update={"order": "label_only"}))[0]
    assert first.endswith("5 of 7 rows have no label; they teach nothing")
    assert left_out(Parts([load("scenes:20")]), config) == []
