"""Arguments of transformers: passed through, or refused with a reason; trackers; running out of memory."""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments

from make import facts_of
from reasondistill.config import TrainConfig, load_config
from reasondistill.errors import ConfigError, UserError
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.training import arguments
from reasondistill.training.adapters import parts_of
from reasondistill.training.arguments import memory_advice, tracking, training_arguments
from reasondistill.training.joint_model import JointModel
from reasondistill.training.train import train
from reasondistill.training.trainer import DistillationTrainer
from trainings import ON_THE_CPU, TINY, logged, scenes_data

needs_tensorboard = pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="needs the extra tracking"
)


def config(tmp_path: Path, training: dict[str, Any] | None = None, **changes: Any) -> TrainConfig:
    value: dict[str, Any] = {
        "name": "tiny",
        "runs_dir": str(tmp_path / "runs"),
        "data": scenes_data(90, limit=8),
        "student": TINY | {"num_layers": 1, "num_decoder_layers": 1},
        "max_source_length": 100,
        "max_target_length": 100,
        "generation": {"num_beams": 1, "max_new_tokens": 4},
    }
    defaults = {
        "max_steps": 2,
        "per_device_train_batch_size": 8,
        "learning_rate": 5e-3,
        "logging_steps": 1,
        "save_strategy": "no",
        "disable_tqdm": True,
        **ON_THE_CPU,
    }
    return validate_config(TrainConfig, value | {"training": defaults | (training or {})} | changes, where="test")


# --- passed through ---


def test_bf16_on_a_processor_that_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arguments, "has_fast_bf16", lambda: True)
    asked = config(tmp_path)
    asked = asked.model_copy(update={"training": {}})
    made = training_arguments(asked, tmp_path)
    assert made.bf16
    assert made.use_cpu is not torch.accelerator.is_available()
    made = training_arguments(asked.model_copy(update={"training": {"fp16": True}}), tmp_path)
    assert (made.bf16, made.fp16) == (False, True)


@pytest.mark.parametrize("key", ["eval_strategy", "save_strategy", "logging_strategy"])
def test_a_bare_no_is_the_word(key: str, tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(
        f"name: x\ndata: {{train: {{source: scenes}}}}\nstudent: {{kind: scratch}}\ntraining:\n  {key}: no\n"
    )
    read = load_config(TrainConfig, path)
    assert read.training[key] == "no"
    assert getattr(training_arguments(read, tmp_path), key) == "no"


def test_label_smoothing_acts_once_and_is_not_in_what_is_reported(tmp_path: Path) -> None:
    plain = train(config(tmp_path, {"eval_strategy": "steps", "eval_steps": 1}, name="plain"))
    changes = {"label_smoothing_factor": 0.2, "eval_strategy": "steps", "eval_steps": 1}
    smoothed = train(config(tmp_path, changes, name="smoothed"))
    first, first_smoothed = logged(plain)[0], logged(smoothed)[0]
    # The same weights gave the same losses; what is minimised holds the smoothing too, in both terms.
    for term in ("label_loss", "explanation_loss"):
        assert first_smoothed[term] == pytest.approx(first[term], rel=1e-6)
    assert first["loss"] == pytest.approx(0.5 * first["label_loss"] + 0.5 * first["explanation_loss"], rel=1e-4)
    assert abs(first_smoothed["loss"] - first["loss"]) > 0.001
    evaluation = [row for row in logged(smoothed) if "eval_loss" in row][-1]
    expected = 0.5 * evaluation["eval_label_loss"] + 0.5 * evaluation["eval_explanation_loss"]
    assert evaluation["eval_loss"] == pytest.approx(expected, rel=1e-6)


def test_the_trainer_builds_no_smoother_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[DistillationTrainer] = []
    original = DistillationTrainer.training_step

    def step(self: DistillationTrainer, *given: Any, **named: Any) -> Any:
        seen.append(self)
        return original(self, *given, **named)

    monkeypatch.setattr(DistillationTrainer, "training_step", step)
    train(config(tmp_path, {"label_smoothing_factor": 0.2, "max_steps": 1}))
    assert seen[0].label_smoother is None
    assert seen[0].args.label_smoothing_factor == 0.2
    assert isinstance(seen[0].model, JointModel)
    assert seen[0].model.label_smoothing_factor == 0.2


def test_neftune_adds_noise_to_what_the_encoder_reads_in_training_alone(tmp_path: Path) -> None:
    changes = {"max_steps": 1, "learning_rate": 0.0, "eval_strategy": "steps", "eval_steps": 1}
    plain = logged(train(config(tmp_path, changes, name="plain")))
    noisy = logged(train(config(tmp_path, changes | {"neftune_noise_alpha": 50.0}, name="noisy")))
    assert noisy[0]["loss"] != pytest.approx(plain[0]["loss"], rel=1e-6)
    assert noisy[1]["eval_loss"] == pytest.approx(plain[1]["eval_loss"], rel=1e-6)


@pytest.mark.parametrize("counted", ["all", "non_padding", True])
def test_tokens_that_were_read_are_counted(counted: Any, tmp_path: Path) -> None:
    rows = logged(train(config(tmp_path, {"include_num_input_tokens_seen": counted})))
    assert 0 < rows[0]["num_input_tokens_seen"] < rows[1]["num_input_tokens_seen"]


def test_an_evaluation_before_the_first_step(tmp_path: Path) -> None:
    rows = logged(train(config(tmp_path, {"eval_on_start": True, "eval_strategy": "steps", "eval_steps": 2})))
    assert [(row["step"], "eval_loss" in row) for row in rows] == [(0, True), (1, False), (2, False), (2, True)]


def test_a_batch_size_that_fits_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    original = JointModel.forward

    def forward(self: JointModel, input_ids: torch.Tensor, **rest: Any) -> Any:
        sizes.append(len(input_ids))
        if len(input_ids) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return original(self, input_ids, **rest)

    monkeypatch.setattr(JointModel, "forward", forward)
    run = train(config(tmp_path, {"auto_find_batch_size": True}))
    assert sizes[0] == 8
    assert set(sizes[-2:]) == {4}
    assert run.info().status == "finished"


@pytest.mark.parametrize(
    "given",
    [
        {"torch_compile": True, "torch_compile_backend": "eager"},
        {"torch_empty_cache_steps": 1},
        {"optim": "adafactor"},
        {"optim": "sgd", "lr_scheduler_type": "cosine", "warmup_steps": 1},
        {"max_grad_norm": 0.1, "weight_decay": 0.1, "logging_first_step": True},
        {"dataloader_num_workers": 1, "dataloader_drop_last": True},
        {"train_sampling_strategy": "group_by_length"},
        {"train_sampling_strategy": "sequential", "full_determinism": False},
        {"lr_scheduler_type": "reduce_lr_on_plateau", "eval_strategy": "steps", "eval_steps": 1},
        {"save_strategy": "best", "metric_for_best_model": "both", "eval_strategy": "steps", "eval_steps": 1},
        {"skip_memory_metrics": False},
        {"average_tokens_across_devices": True, "push_to_hub": False, "fsdp": None},  # defaults may be said
    ],
    ids=str,
)
def test_these_arguments_train_a_student(given: dict[str, Any], tmp_path: Path) -> None:
    run = train(config(tmp_path, given))
    assert run.info().status == "finished"
    assert run.info().steps == 2


# --- refused ---


def test_what_would_do_nothing_or_harm_is_refused_with_its_reason(tmp_path: Path) -> None:
    given = {"deepspeed": "ds.json", "use_liger_kernel": True, "save_only_model": True, "generation_num_beams": 4}
    with pytest.raises(ConfigError) as caught:
        training_arguments(config(tmp_path, given), tmp_path)
    heading, *problems = str(caught.value).split("\n  - ")
    assert heading == "training: 4 mistakes"
    assert sorted(problem.partition(":")[0] for problem in problems) == sorted(given)


def test_all_that_is_refused_is_an_argument() -> None:
    known = set(Seq2SeqTrainingArguments.__dataclass_fields__)
    gone = set(arguments._REFUSED) - known
    # Not every release of transformers 5 has these.
    assert gone <= {"parallelism_config", "enable_jit_checkpoint", "liger_kernel_config", "use_cache"}


@pytest.mark.parametrize(
    ("order", "measure", "right"),
    [
        ("label_first", "eval_label_accuracy", True),
        ("label_first", "rougeL", False),
        ("label_only", "explanation_loss", False),
        ("label_only", "both", True),
        ("explanation_only", "label_accuracy", False),
    ],
)
def test_a_measure_that_is_not_measured_is_refused(order: str, measure: str, right: bool, tmp_path: Path) -> None:
    asked = config(tmp_path, {"metric_for_best_model": measure}, order=order)
    if right:
        training_arguments(asked, tmp_path)
    else:
        with pytest.raises(ConfigError, match=f"metric_for_best_model: expected one of .*, found '{measure}'"):
            training_arguments(asked, tmp_path)


def test_an_optimizer_that_is_not_installed_is_named_before_the_data_are_read(tmp_path: Path) -> None:
    if importlib.util.find_spec("bitsandbytes") is not None:
        pytest.skip("bitsandbytes is installed")
    with pytest.raises(ConfigError, match="bitsandbytes"):
        train(config(tmp_path, {"optim": "adamw_bnb_8bit"}, data={"train": {"source": "no_such_file.csv"}}))


def test_a_resumed_run_goes_on_counting_for_early_stopping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing is learned, so that each evaluation after the first is one without improvement.
    changes = {"learning_rate": 0.0, "max_steps": 9, "eval_strategy": "steps", "eval_steps": 1}
    changes |= {"save_strategy": "steps", "save_steps": 1, "load_best_model_at_end": True}
    changes |= {"metric_for_best_model": "explanation_perplexity"}
    whole = train(config(tmp_path, changes, name="whole", early_stopping_patience=2))
    assert whole.info().steps == 3
    assert facts_of(whole)["best"]["step"] == 1
    original = DistillationTrainer.training_step

    def stop_at_three(self: DistillationTrainer, *given: Any, **named: Any) -> Any:
        if self.state.global_step == 2:
            raise KeyboardInterrupt
        return original(self, *given, **named)

    monkeypatch.setattr(DistillationTrainer, "training_step", stop_at_three)
    with pytest.raises(KeyboardInterrupt):
        train(config(tmp_path, changes, name="cut", early_stopping_patience=2))
    monkeypatch.undo()
    resumed = train(config(tmp_path, name="cut"), resume=True)
    assert resumed.info().steps == 3


def test_perplexity_is_better_where_it_is_lower(tmp_path: Path) -> None:
    changes = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "best"}
    for measure, better in (("explanation_perplexity", False), ("both", True), ("label_loss", False)):
        made = training_arguments(config(tmp_path, changes | {"metric_for_best_model": measure}), tmp_path)
        assert made.greater_is_better is better


# --- every argument, with what nobody would write ---

NAN = float("nan")
ODD: list[Any] = [None, True, -1, 0, 1.5, 1e308, 10**400, "x", "", [], {}, NAN, float("-inf"), {"a": NAN}]


@pytest.mark.parametrize("name", sorted(Seq2SeqTrainingArguments.__dataclass_fields__))
def test_an_odd_value_is_refused_or_makes_an_optimizer_and_a_schedule(name: str, tmp_path: Path) -> None:
    plain = config(tmp_path)
    taken = {}
    for number, value in enumerate(ODD):
        changed = plain.model_copy(update={"training": plain.training | {name: value}})
        try:
            if name in {"output_dir", "seed", "data_seed", "remove_unused_columns", "predict_with_generate"}:
                config(tmp_path, {name: value})
            taken[number] = training_arguments(changed, tmp_path)
        except ConfigError:
            continue
    for number, made in taken.items():
        model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.LayerNorm(2))
        made.output_dir, made.full_determinism = str(tmp_path), False
        trainer = Seq2SeqTrainer(model=model, args=made, train_dataset=[{}])
        trainer.create_optimizer_and_scheduler(20)
        for _ in range(21):
            for parameter in model.parameters():
                parameter.grad = torch.ones_like(parameter)
            trainer.optimizer.step()
            if made.lr_scheduler_type != "reduce_lr_on_plateau":
                trainer.lr_scheduler.step()
        rates = [group["lr"] for group in trainer.optimizer.param_groups]
        assert all(math.isfinite(rate) and rate >= 0 for rate in rates), ODD[number]
    assert len(taken) < len(ODD)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_train_epochs": 0}, "num_train_epochs: expected a number above 0, found 0"),
        ({"num_train_epochs": -1}, "num_train_epochs: expected a number above 0, found -1"),
        ({"label_smoothing_factor": 1.0}, "from 0 up to, not including, 1, found 1.0"),
        ({"weight_decay": -0.1}, "weight_decay: expected a number of 0 or more"),
        ({"max_grad_norm": -1}, "max_grad_norm: expected a number of 0 or more"),
        ({"learning_rate": "3e-4"}, "learning_rate: expected a number of 0 or more, found '3e-4'"),
        ({"learning_rate": float("nan")}, "found nan"),
        ({"max_steps": -5}, "1 or more, or -1 for num_train_epochs, found -5"),
        ({"adam_beta1": 2}, "adam_beta1"),
        ({"per_device_train_batch_size": 2.5}, "a whole number from 1 to 1,000,000, found 2.5"),
        ({"warmup_steps": 2.5}, "a whole number of steps, or a share of all steps below 1, 0 or more, found 2.5"),
        (
            {"optim_args": "foo=1"},
            "expected arguments that adamw_torch_fused reads, found 'foo=1', which changes nothing",
        ),
        ({"optim": "rmsprop", "optim_args": "momentum=x"}, "training.optim: could not convert"),
        ({"optim_target_modules": "all-linear"}, "one of GaLore's or APOLLO's optimizers"),
        ({"lr_scheduler_type": "cosine_with_min_lr"}, "min_lr"),
        (
            {"lr_scheduler_type": "cosine", "lr_scheduler_kwargs": {"num_cycles": "x"}, "warmup_steps": 10},
            "cosine: could",
        ),
        ({"torch_compile": True, "torch_compile_mode": "fastest"}, "Unrecognized mode=fastest"),
        ({"torch_compile": True, "torch_compile_backend": "x"}, "DynamoBackend"),
        ({"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"x": 1}}, "gradient_checkpointing_kwargs"),
        ({"dataloader_persistent_workers": True}, "num_workers > 0"),
        ({"dataloader_num_workers": 1, "dataloader_multiprocessing_context": "x"}, "dataloader_….*start method"),
        ({"accelerator_config": {"split_batches": "x"}}, "accelerator_config.split_batches: expected true or false"),
        ({"accelerator_config": {"x": 1}}, "accelerator_config.x: unknown key"),
        ({"accelerator_config": "no_such.json"}, "no_such.json"),
        ({"save_strategy": "best"}, "eval_strategy: expected steps or epoch"),
    ],
    ids=str,
)
def test_what_would_fail_later_is_refused_with_its_key(given: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        train(config(tmp_path, given))
    assert not list(tmp_path.iterdir())


def test_all_mistakes_of_the_arguments_are_named_at_once(tmp_path: Path) -> None:
    given = {"num_train_epochs": 0, "learning_rate": "fast", "deepspeed": "x"}
    with pytest.raises(ConfigError, match="training: 3 mistakes"):
        training_arguments(config(tmp_path, given), tmp_path)


def test_arguments_are_left_as_they_were_given(tmp_path: Path) -> None:
    asked = config(tmp_path, {"accelerator_config": {"gradient_accumulation_kwargs": {"sync_with_dataloader": False}}})
    before = asked.model_dump()
    train(asked)
    assert asked.model_dump() == before


def test_epochs_without_a_whole_batch_train_nothing_and_say_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a whole batch at least.*not a step was made"):
        train(config(tmp_path, {"dataloader_drop_last": True, "per_device_train_batch_size": 500}))
    assert not list(tmp_path.glob("runs/*"))


# --- trackers ---


@pytest.fixture
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TENSORBOARD_LOGGING_DIR", "WANDB_DIR", "WANDB_MODE", "WANDB_PROJECT", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@needs_tensorboard
def test_tensorboard_is_the_default_and_writes_into_the_run(
    plain_environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.chdir(tmp_path)
    asked = config(tmp_path, {"eval_strategy": "steps", "eval_steps": 2})
    asked = asked.model_copy(update={"training": {k: v for k, v in asked.training.items() if k != "report_to"}})
    run = train(asked)
    assert [p.name for p in tmp_path.iterdir()] == ["runs"]
    (file,) = (run.folder / "tensorboard" / "joint").glob("events.out.tfevents.*")
    events = EventAccumulator(str(file))
    events.Reload()
    rows = [row for row in logged(run) if "loss" in row]
    points = events.Scalars("train/label_loss")
    assert [point.step for point in points] == [1, 2]
    assert [point.value for point in points] == pytest.approx([row["label_loss"] for row in rows])
    assert events.Scalars("eval/label_accuracy")[0].step == 2
    assert "TENSORBOARD_LOGGING_DIR" not in os.environ


def test_the_users_own_place_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", "elsewhere")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    made = training_arguments(config(tmp_path), tmp_path)
    with tracking(made, tmp_path, "joint"):
        assert os.environ["TENSORBOARD_LOGGING_DIR"] == "elsewhere"
        assert os.environ["MLFLOW_TRACKING_URI"] == f"sqlite:///{tmp_path.resolve()}/mlflow.db"
        assert os.environ["TRACKIO_DIR"] == str(tmp_path / "trackio")
    assert os.environ["TENSORBOARD_LOGGING_DIR"] == "elsewhere"
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_trackers_that_are_not_there_are_named_with_what_installs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.integrations.get_available_reporting_integrations", lambda: ["wandb"])
    with pytest.raises(ConfigError, match=r'tensorboard is not installed.*pip install "reasondistill\[tracking\]"'):
        training_arguments(config(tmp_path, {"report_to": "tensorboard"}), tmp_path)
    with pytest.raises(ConfigError) as caught:
        training_arguments(config(tmp_path, {"report_to": ["mlflow", "wandb", "comet_ml", "paper"]}), tmp_path)
    message = str(caught.value)
    assert "3 mistakes" in message
    assert "pip install mlflow" in message
    assert "pip install comet-ml" in message
    assert "found 'paper'" in message


def test_without_tensorboard_nothing_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = config(tmp_path).model_copy(update={"training": {}})
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert training_arguments(asked, tmp_path).report_to == []


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="needs wandb")
def test_wandb_stays_offline_in_the_run(
    plain_environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("one", "two"):  # the second does not go on with the first one's
        run = train(config(tmp_path, {"report_to": "wandb"}, name=name))
        (kept,) = (run.folder / "wandb").glob("offline-run-*")
        assert list(kept.glob("*.wandb"))
    assert {p.name for p in tmp_path.iterdir()} <= {"runs", "home"}
    import wandb

    made = training_arguments(config(tmp_path, {"report_to": "wandb"}), tmp_path)
    message = r"wandb: No API key configured\..*WANDB_MODE=offline"
    with pytest.raises(ConfigError, match=message), tracking(made, tmp_path, "joint"):
        raise wandb.errors.UsageError("No API key configured.")


# --- texts that are too long ---


def test_cut_texts_are_counted_and_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="reasondistill")
    run = train(config(tmp_path, max_source_length=20, max_target_length=16))
    cut = facts_of(run)["truncated"]
    assert 0 < cut["sources"] <= cut["of_sources"]
    assert 0 < cut["targets"] <= cut["of"]
    message, same, other = [r.getMessage() for r in caplog.records if r.name.startswith("reasondistill.training")]
    assert same.startswith(
        f"{facts_of(run)['lost']['same_prompts']['n']} prompts have the same tokens as a different prompt"
    )
    assert same.endswith("Raise max_source_length: prompts that differ at their end were cut.")
    assert other.startswith("Not calibrated")  # for want of validation rows
    assert f"{cut['sources']} of {cut['of_sources']} prompts lost tokens to max_source_length = 20" in message
    assert f"{cut['targets']} of {cut['of']} targets lost tokens to max_target_length = 16" in message
    assert message.endswith("Raise max_source_length and max_target_length, or shorten the texts.")
    # Raised to the lengths that it names, nothing is cut; one less and something is.
    source, target = (int(part.split(")")[0]) for part in message.split("(the longest has ")[1:])
    caplog.clear()
    whole = train(config(tmp_path, name="whole", max_source_length=source, max_target_length=target))
    assert (facts_of(whole)["truncated"]["sources"], facts_of(whole)["truncated"]["targets"]) == (0, 0)
    assert [r.getMessage() for r in caplog.records if r.name.startswith("reasondistill.training")] == [other]
    less = train(config(tmp_path, name="less", max_source_length=source - 1, max_target_length=target - 1))
    assert facts_of(less)["truncated"]["sources"] > 0
    assert facts_of(less)["truncated"]["targets"] > 0


# --- memory ---


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 79 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to"),
        RuntimeError("not enough memory: you tried to allocate 8192 bytes."),
        MemoryError(),
    ],
    ids=["cuda", "linux", "windows", "python"],
)
def test_running_out_of_memory_is_answered_with_what_to_change(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forward(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(JointModel, "forward", forward)
    with pytest.raises(UserError) as caught:
        train(config(tmp_path, {"gradient_accumulation_steps": 3}))
    message = str(caught.value)
    assert "training.per_device_train_batch_size=4 training.gradient_accumulation_steps=6 (now 8 and 3" in message
    for words in (
        "training.gradient_checkpointing=true",
        "max_source_length",
        "(now 100 and 100)",
        "lora={}",
        "freeze=",
    ):
        assert words in message
    assert ("2.50 GiB" in message) is ("2.50 GiB" in str(error))
    assert not (tmp_path / "runs" / "tiny").exists()  # no step was made: the corrected command can have the name
    assert "A run that has made a step keeps its configuration" in message


def test_what_is_done_already_is_not_advised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(*_: Any, **__: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(JointModel, "forward", forward)
    with pytest.raises(UserError) as caught:
        train(config(tmp_path, {"per_device_train_batch_size": 1, "gradient_checkpointing": True}))
    assert "batch_size" not in str(caught.value)
    assert "gradient_checkpointing" not in str(caught.value)


def test_an_evaluation_that_runs_out_of_memory_names_its_own_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = JointModel.forward

    def forward(self: JointModel, *given: Any, **named: Any) -> Any:
        if not self.training:
            raise MemoryError
        return original(self, *given, **named)

    monkeypatch.setattr(JointModel, "forward", forward)
    with pytest.raises(UserError, match=r"training\.per_device_eval_batch_size=3 \(now 6\)"):
        train(config(tmp_path, {"eval_strategy": "steps", "eval_steps": 1, "per_device_eval_batch_size": 6}))


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    class Trainer:
        model = torch.nn.Linear(1, 1)
        args = training_arguments(config(tmp_path), tmp_path)

    with pytest.raises(RuntimeError, match="shapes"), memory_advice(config(tmp_path), Trainer()):
        raise RuntimeError("shapes do not fit")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on a process's memory")
def test_a_process_that_really_runs_out_of_memory(tmp_path: Path) -> None:
    code = f"""
import resource, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_arguments import JointModel, config, train
from reasondistill.errors import UserError
original = JointModel.forward
def forward(self, input_ids, attention_mask, **rest):
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, -1))
    more = 2000
    rest = {{name: tensor if name == "encoder_rows" else tensor.repeat(more, 1) for name, tensor in rest.items()}}
    rest["encoder_rows"] = rest["encoder_rows"].repeat(more)
    return original(self, input_ids.repeat(more, 1), attention_mask.repeat(more, 1), **rest)
JointModel.forward = forward
try:
    train(config(Path({str(tmp_path)!r})))
except UserError as error:
    print("answered:", error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=False)
    assert "answered: memory: expected enough for a batch in training on cpu" in done.stdout, done.stderr[-2000:]


# --- the parts of a student, as arguments see them ---


def test_the_encoders_embeddings_are_where_noise_goes() -> None:
    import tiny

    for family in ("flan-t5", "t5", "bart"):
        model = tiny.student(family).model
        assert JointModel(model).get_input_embeddings() is model.get_encoder().embed_tokens
        assert any(p is JointModel(model).get_input_embeddings().weight for p in parts_of(model)["embeddings"])
