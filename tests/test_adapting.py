"""What learns and what does not: frozen parts, adapters, and activations that are computed again."""

from __future__ import annotations

import copy
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSeq2SeqLM, Seq2SeqTrainingArguments

import tiny
from make import facts_of
from reasondistill import Student
from reasondistill.config import Lora, Loss, TrainConfig
from reasondistill.data.scenes import generate
from reasondistill.errors import ConfigError, MissingExtraError, StoppedError, UserError
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.students.checkpoint import Checkpoint, head_is_tied, load_checkpoint
from reasondistill.tasks.task import NLI
from reasondistill.training.adapters import AdaptedCheckpoint, adapt, parts_of, trained_count
from reasondistill.training.arguments import training_arguments
from reasondistill.training.features import Collator, build_features
from reasondistill.training.joint_model import JointModel
from reasondistill.training.losses import joint_loss
from reasondistill.training.train import train
from reasondistill.training.trainer import DistillationTrainer
from trainings import ON_THE_CPU, ONE_LAYER, scenes_data

needs_peft = pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="needs the extra peft")


def batch(student: Checkpoint, rows: int = 8) -> dict[str, torch.Tensor]:
    built = build_features(generate(rows, seed=3), task=NLI, order="label_first", codec=student.codec)
    return Collator(student.codec)([built[i] for i in range(rows)])


def trainer(student: Checkpoint, tmp_path: Path, *, rows: int = 16, **given: Any) -> DistillationTrainer:
    defaults: dict[str, Any] = {
        "output_dir": str(tmp_path / "trainer"),
        "remove_unused_columns": False,
        "report_to": "none",
        "max_steps": 2,
        "learning_rate": 0.01,
        "per_device_train_batch_size": 8,
        "use_cpu": True,
        "disable_tqdm": True,
        "save_strategy": "no",
        "logging_steps": 1,
    }
    examples = generate(rows, seed=3)
    built = build_features(examples, task=NLI, order="label_first", codec=student.codec)
    return DistillationTrainer(
        student,
        loss=Loss(),
        arguments=Seq2SeqTrainingArguments(**(defaults | given)),
        train_dataset=built,
        eval_dataset=built,
        log_file=tmp_path / "log.jsonl",
    )


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def config(tmp_path: Path, **changes: Any) -> TrainConfig:
    value: dict[str, Any] = {
        "name": "tiny",
        "seed": 5,
        "runs_dir": str(tmp_path / "runs"),
        "data": scenes_data(90),
        "student": ONE_LAYER | {"vocab_size": 400},
        "max_source_length": 64,
        "max_target_length": 60,
        "generation": {"num_beams": 1, "max_new_tokens": 4},
    }
    changes["training"] = {
        "max_steps": 4,
        "per_device_train_batch_size": 8,
        "learning_rate": 5e-3,
        "logging_steps": 1,
        "save_strategy": "steps",
        "save_steps": 2,
        "disable_tqdm": True,
        **ON_THE_CPU,
    } | changes.get("training", {})
    return validate_config(TrainConfig, value | changes, where="test")


# --- frozen parts ---


@pytest.mark.parametrize("family", tiny.FEW)
def test_every_parameter_is_in_one_part(family: str) -> None:
    model = tiny.student(family).model
    parts = parts_of(model)
    counted = [id(p) for part in parts.values() for p in part]
    assert sorted(counted) == sorted(id(p) for p in model.parameters())
    assert all(parts.values())
    # A table that both sides share is the embeddings', whichever side transformers lists it under.
    assert any(p is model.get_input_embeddings().weight for p in parts["embeddings"])
    head = model.get_output_embeddings().weight
    assert any(p is head for p in parts["embeddings" if head_is_tied(model) else "decoder"])


@pytest.mark.parametrize("family", ["flan-t5", "t5", "bart"])
@pytest.mark.parametrize("frozen", [["encoder"], ["decoder"], ["embeddings"], ["encoder", "embeddings"]])
def test_frozen_parts_stay_to_the_bit_and_the_others_move(family: str, frozen: list[Any], tmp_path: Path) -> None:
    student = tiny.student(family)
    before = {part: [p.detach().clone() for p in ps] for part, ps in parts_of(student.model).items()}
    made = trainer(adapt(student, freeze=frozen), tmp_path)
    made.train()
    for part, parameters in parts_of(student.model).items():
        same = [torch.equal(was, now) for was, now in zip(before[part], parameters, strict=True)]
        assert all(same) if part in frozen else same.count(False) > len(same) / 2, part
    states = made.optimizer.state_dict()["state"]
    unused = student.model.shared.weight.numel() if family == "flan-t5" and "embeddings" not in frozen else 0
    assert sum(s["exp_avg"].numel() for s in states.values()) == trained_count(student.model) - unused


def test_a_frozen_encoder_builds_no_graph() -> None:
    student = tiny.student("flan-t5")
    seen: list[bool] = []
    student.model.get_encoder().register_forward_hook(lambda *a: seen.append(a[2].last_hidden_state.requires_grad))
    for freeze in (["encoder"], ["encoder", "embeddings"]):
        adapt(student, freeze=freeze)  # type: ignore[arg-type]
        JointModel(student.model)(**batch(student))
    assert seen == [True, False]  # shared embeddings learn through the encoder until they are frozen too


def test_all_parts_frozen_is_a_mistake(tmp_path: Path) -> None:
    everything = ["encoder", "decoder", "embeddings"]
    with pytest.raises(ConfigError, match="nothing left to learn"):
        config(tmp_path, freeze=everything)
    with pytest.raises(ConfigError, match="something that is left to learn"):
        adapt(tiny.student(), freeze=everything)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="freeze"):
        config(tmp_path, freeze=["head"])
    with pytest.raises(ConfigError, match="encoder_learning_rate"):
        config(tmp_path, freeze=["encoder", "embeddings"], encoder_learning_rate=1e-4)


def test_a_run_with_a_frozen_encoder(tmp_path: Path) -> None:
    run = train(config(tmp_path, freeze=["encoder", "embeddings"]))
    facts = facts_of(run)["student"]
    assert 0 < facts["trained"] < facts["parameters"]
    answer = Student.load(run.folder).explain(premise="A man sleeps.", hypothesis="A man is awake.")
    assert answer.label in (NLI.labels or ())


# --- adapters ---


@needs_peft
@pytest.mark.parametrize(
    "family", ["flan-t5", "t5-1.1", "t5", "mt5", "longt5", "bart", "pegasus", "t5gemma", "t5gemma2"]
)
def test_a_merged_student_is_a_plain_one_that_answers_alike(family: str, tmp_path: Path) -> None:
    student = tiny.student(family)
    before = weights(student.model)
    adapted = adapt(student, lora=Lora(r=4), seed=1)
    assert isinstance(adapted, AdaptedCheckpoint)
    assert 0 < trained_count(adapted.model) < sum(p.numel() for p in adapted.model.parameters()) / 4
    made = trainer(adapted, tmp_path, max_steps=3)
    made.train()
    during = weights(adapted.model)
    for name, value in during.items():
        if "lora_" not in name:
            assert torch.equal(value, before[name.replace("base_layer.", "")]), name
    assert any("lora_B" in name and value.abs().max() > 1e-3 for name, value in during.items())
    inputs = batch(student)
    asked = {"input_ids": inputs["input_ids"][inputs["encoder_rows"]], "decoder_input_ids": inputs["decoder_input_ids"]}
    asked["attention_mask"] = inputs["attention_mask"][inputs["encoder_rows"]]
    # In double precision: sums of float32 in another order differ by as much as the bound, as threads vary.
    before_merging = copy.deepcopy(adapted.model).double().eval()
    with torch.no_grad():
        apart = before_merging(**asked).logits
    merged = adapted.merged()
    assert set(merged.model.state_dict()) == set(before)
    merged.save(tmp_path / "student")
    loaded = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "student").double().eval()
    with torch.no_grad():
        together = loaded(**asked).logits
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=1e-5)
    start = tiny.student(family).model.eval()
    with torch.no_grad():
        assert (start(**asked).logits - apart).abs().max() > 1e-3  # the adapters did something
    assert all(
        "lora" not in name and "base_layer" not in name for name in load_file(tmp_path / "student/model.safetensors")
    )
    again = load_checkpoint(tmp_path / "student").model
    again.tie_weights()  # what transformers calls after a resize
    head = next(value for name, value in before.items() if name.startswith("lm_head"))
    for model in (merged.model, loaded, again):
        assert head_is_tied(model) is head_is_tied(start)
        assert torch.equal(model.get_output_embeddings().weight, head)


@needs_peft
@pytest.mark.parametrize(
    "options",
    [
        {"use_dora": True},
        {"use_rslora": True, "lora_dropout": 0.1},
        {"bias": "all"},
        {"init_lora_weights": "pissa"},
        {"init_lora_weights": "olora"},
        {"target_modules": "all-linear"},
        {"target_modules": ["q_proj", "fc1"], "rank_pattern": {"fc1": 2}, "alpha_pattern": {"fc1": 4}},
        {"modules_to_save": ["layernorm_embedding"]},
        {"layers_to_transform": [1], "layers_pattern": "layers"},
    ],
    ids=str,
)
def test_every_kind_of_adapter_can_be_merged(options: dict[str, Any], tmp_path: Path) -> None:
    adapted = adapt(tiny.student("bart"), lora=Lora(r=4, **options))
    assert isinstance(adapted, AdaptedCheckpoint)
    trainer(adapted, tmp_path).train()
    inputs = batch(adapted)
    joint = JointModel(adapted.model).eval()
    with torch.no_grad():
        apart = joint(**inputs)
    names = set(tiny.student("bart").model.state_dict())
    merged = adapted.merged()
    assert set(merged.model.state_dict()) == names
    with torch.no_grad():
        together = JointModel(merged.model).eval()(**inputs)
    torch.testing.assert_close(torch.stack(list(together)[:2]), torch.stack(list(apart)[:2]), atol=1e-4, rtol=1e-5)


@needs_peft
@pytest.mark.parametrize(
    "options", [{"modules_to_save": ["lm_head"]}, {"target_modules": ["shared"]}, {"target_modules": ["embed_tokens"]}]
)
def test_adapters_of_weights_that_others_share_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="no other module shares"):
        adapt(tiny.student("t5"), lora=Lora(**options))


@needs_peft
def test_an_untied_head_can_learn_beside_the_adapters(tmp_path: Path) -> None:
    student = tiny.student("flan-t5")
    before = weights(student.model)
    adapted = adapt(student, lora=Lora(modules_to_save=["lm_head"]))
    trainer(adapted, tmp_path).train()
    assert isinstance(adapted, AdaptedCheckpoint)
    adapted.merged().save(tmp_path / "student")
    loaded = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "student")
    assert not torch.equal(loaded.lm_head.weight, before["lm_head.weight"])
    assert torch.equal(loaded.shared.weight, before["shared.weight"])


@needs_peft
def test_frozen_parts_keep_their_adapters_still(tmp_path: Path) -> None:
    student = tiny.student("flan-t5")
    adapted = adapt(student, freeze=["encoder"], lora=Lora())
    assert {n.partition(".")[0] for n, p in adapted.model.named_parameters() if p.requires_grad} == {"decoder"}


@needs_peft
def test_adapters_that_fit_nowhere_are_a_mistake() -> None:
    with pytest.raises(ConfigError, match="query_key_value"):
        adapt(tiny.student(), lora=Lora(target_modules=["query_key_value"]))


def test_adapters_need_peft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtraError, match=r'pip install "reasondistill\[peft\]"'):
        adapt(tiny.student(), lora=Lora())
    with pytest.raises(MissingExtraError, match="lora"):  # before the data are read
        training_arguments(config(tmp_path, lora={}), tmp_path)


def test_lora_keys_are_pefts_own(tmp_path: Path) -> None:
    assert config(tmp_path, lora={}).lora == Lora()
    made = config(tmp_path, lora={"r": 4, "lora_alpha": 8, "target_modules": ["q"], "init_lora_weights": "pissa"}).lora
    assert made is not None
    assert made.model_dump(exclude_unset=True) == {
        "r": 4,
        "lora_alpha": 8,
        "target_modules": ["q"],
        "init_lora_weights": "pissa",
    }
    with pytest.raises(ConfigError, match=r"lora\.alpha: unknown key"):
        config(tmp_path, lora={"alpha": 8})
    peft = pytest.importorskip("peft")
    known = set(peft.LoraConfig.__dataclass_fields__)
    assert set(Lora.model_fields) <= known


@needs_peft
@pytest.mark.usefixtures("one_thread")
def test_a_run_with_adapters_that_was_cut_ends_bit_equal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lora = {"r": 4, "lora_dropout": 0.1}
    whole = train(config(tmp_path, name="whole", lora=lora))
    checkpoint = load_file(whole.checkpoints / "checkpoint-4" / "model.safetensors")
    assert any("lora_A" in name for name in checkpoint)
    with pytest.raises(UserError, match=r"task\.json"):  # not to be taken for a student
        load_checkpoint(whole.checkpoints / "checkpoint-4")
    original = DistillationTrainer.compute_loss

    def stop_at_three(self: DistillationTrainer, *args: Any, **kwargs: Any) -> Any:
        if self.state.global_step == 3:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    monkeypatch.setattr(DistillationTrainer, "compute_loss", stop_at_three)
    with pytest.raises((KeyboardInterrupt, StoppedError)):
        train(config(tmp_path, name="cut", lora=lora))
    monkeypatch.undo()
    resumed = train(config(tmp_path, name="cut", lora=lora), resume=True)
    ours, theirs = (load_file(run.student / "model.safetensors") for run in (resumed, whole))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert not any("lora" in name for name in ours)
    assert facts_of(whole)["student"]["trained"] < facts_of(whole)["student"]["parameters"] / 4


@needs_peft
def test_adapters_begin_alike_whatever_was_drawn_before(tmp_path: Path) -> None:
    made = []
    for drawn in (0, 7):
        student = tiny.student("t5")
        torch.rand(drawn)
        made.append(weights(adapt(student, lora=Lora(), seed=3).model))
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])


# --- activations computed again in the backward pass ---


@pytest.mark.parametrize("family", ["flan-t5", "bart"])
@pytest.mark.parametrize("case", ["whole", "frozen encoder", "lora"])
@pytest.mark.parametrize("reentrant", [None, True, False])
def test_gradients_are_equal_with_activation_checkpointing(family: str, case: str, reentrant: bool | None) -> None:
    if case == "lora":
        pytest.importorskip("peft")
    gradients = []
    calls = [0, 0]
    for i, checkpointing in enumerate((False, True)):
        student = tiny.student(family)
        if case == "lora":
            student = adapt(student, lora=Lora(r=4, init_lora_weights="gaussian"), seed=1)
            for name, parameter in student.model.named_parameters():
                if "lora_B" in name:  # zero at first, and with it A's gradient
                    torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(2))
        elif case == "frozen encoder":
            student = adapt(student, freeze=["encoder", "embeddings"])
        model = JointModel(student.model.double()).train()  # sums in another order differ by little then
        if checkpointing:
            options = None if reentrant is None else {"use_reentrant": reentrant}
            model.activation_checkpointing_enable(activation_checkpointing_kwargs=options)
        for module in student.model.modules():
            if type(module).__name__ in ("T5LayerSelfAttention", "BartAttention"):
                module.register_forward_hook(lambda *_, i=i: calls.__setitem__(i, calls[i] + 1))
        joint_loss(model(**batch(student)), alpha=0.5, beta=0.5).backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.requires_grad})
    plain, recomputed = gradients
    assert calls[1] > calls[0]  # something was computed again
    plain = {name: gradient for name, gradient in plain.items() if gradient is not None}
    assert len(plain) >= len(recomputed) - 1  # the tiny FLAN-T5 does not use its shared table
    for name, gradient in plain.items():
        assert recomputed[name] is not None, name
        torch.testing.assert_close(recomputed[name], gradient, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("key", ["gradient_checkpointing", "activation_checkpointing"])
def test_the_trainer_turns_it_on_under_both_names(key: str, tmp_path: Path) -> None:
    if key not in Seq2SeqTrainingArguments.__dataclass_fields__:
        pytest.skip("this release of transformers has the other name only")
    student = tiny.student("t5")
    trainer(student, tmp_path, **{key: True}).train()
    assert student.model.is_gradient_checkpointing
    assert "gradient_checkpointing" not in json.dumps(student.model.config.to_dict())
