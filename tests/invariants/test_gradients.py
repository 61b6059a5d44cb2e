"""The step that is taken is the gradient of the two token means, however the batch is cut."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

import tiny
from reasondistill.config import Loss
from reasondistill.training.features import Collator
from reasondistill.training.joint_model import JointModel
from trainings import trainer

TESTS = Path(__file__).resolve().parents[1]


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
    (tmp_path / "two").mkdir()
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    done = subprocess.run(
        [*launcher, "invariants.two_processes", str(tmp_path / "two")],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])},
        capture_output=True,
        text=True,
        timeout=300,
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
