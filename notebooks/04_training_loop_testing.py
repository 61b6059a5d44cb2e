# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 4. The training loop
#
# A short training, step by step: both losses and their weights, how hard each loss pulls at each part of the student
# and whether both pull the same way, and a run that is killed and goes on to the same weights, bit for bit.
#
# It begins with a trained student that has lost most of its feed-forward units and half of its decoder, and mends it.
# That shows in a minute what a training from the start shows in an hour.

# %%
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before PyTorch: sums in one order, so that weights can be compared

import pandas as pd
import yaml
from safetensors.torch import load_file
from transformers import set_seed

import reasondistill as rd
from figures import curves_of, gradients, quiet_libraries, show

DATA = os.environ.get("REASONDISTILL_NOTEBOOK_DATA", "scenes")
STUDENT = os.environ.get("REASONDISTILL_NOTEBOOK_STUDENT", "builtin:scenes")
OUT = Path(tempfile.mkdtemp(prefix="training-"))
quiet_libraries()

# %% [markdown]
# ## The configuration
#
# What a YAML in `configs/` says, said in Python. α falls from 0.8 to 0.3 and β rises from 0.2 to 0.7, so that the label
# is learned first: it is one token in a target, and everything after it hangs on it.

# %%
settings = {
    "name": "whole",
    "runs_dir": str(OUT),
    "data": {
        "train": {"source": DATA, "split": "train", "limit": 800},
        "validation": {"source": DATA, "split": "validation", "limit": 60},
        "explanations_per_example": 1,
    },
    "student": {
        "kind": "hub",
        "checkpoint": str(rd.Student.load(STUDENT).folder),
        "shrink": {"d_ff": 32, "num_decoder_layers": 1},
    },
    "loss": {"alpha": {"start": 0.8, "end": 0.3}, "beta": {"start": 0.2, "end": 0.7}},
    "max_source_length": 64,
    "max_target_length": 48,
    "training": {
        "max_steps": 40, "per_device_train_batch_size": 16, "learning_rate": 1e-3, "warmup_steps": 4,
        "logging_steps": 2, "eval_strategy": "steps", "eval_steps": 10, "save_strategy": "steps", "save_steps": 10,
        "report_to": "none", "disable_tqdm": True,
    },
    "generation": {"num_beams": 1, "repetition_penalty": 1.0, "max_new_tokens": 32},
}  # fmt: skip
file = OUT / "whole.yaml"
file.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
with redirect_stdout(io.StringIO()):
    whole = rd.train(file)
print(f"{whole.info().steps} steps, {whole.info().student.parameters:,} parameters, {whole.info().status}")

# %% [markdown]
# ## Both losses over steps
#
# In training the next token's loss, on validation the same; the label's accuracy is measured on validation by scoring
# every label. The explanation's loss falls smoothly: it is a mean over many tokens. The label's is a mean over one
# token a row, and jumps.

# %%
curves = curves_of(whole)
log = pd.read_json(whole.folder / "metrics.jsonl", lines=True)
validated = log.dropna(subset=["eval_loss"]).iloc[[0, -1]]
for name, column in (("label-loss", "eval_label_loss"), ("explanation-loss", "eval_explanation_loss")):
    (step, first), (_, last) = zip(validated["step"], validated[column], strict=True)
    title = f"{curves[name].title} on validation: {first:.2f} nats after {step:.0f} steps, {last:.2f} at the end"
    show(replace(curves[name], title=title))

# %% [markdown]
# ## The weights of both, and what they weigh

# %%
accuracy = validated["eval_label_accuracy"].iloc[-1]
show(replace(curves["label-accuracy"], title=f"{accuracy:.0%} of validation labels are right at the end"))

# %%
norms = log["grad_norm"].dropna()
title = f"Gradient norm: {norms.iloc[:5].mean():.1f} in the first steps, {norms.iloc[-5:].mean():.1f} in the last"
show(
    replace(curves["loss-weights"], title="The label weighs most at first, the explanation at the end"),
    replace(curves["gradient-norm"], title=title),
)

# %%
steps = log.dropna(subset=["loss"])[["step", "alpha", "beta", "label_loss", "explanation_loss", "loss"]]
assert ((steps["alpha"] + steps["beta"] - 1).abs() < 1e-9).all()
steps.iloc[:: len(steps) // 5].round(3)

# %% [markdown]
# ## Gradient flow
#
# On one batch of 32 rows: the norm of the gradient of `L_label` and of `L_explanation`, each alone and unweighted, in
# every part of the student, and the cosine between both. Above 0 both losses want the part to change the same way;
# near 0 they ask for different things and do not disturb each other; below 0 one undoes what the other does.

# %%
config = whole.config()
set_seed(config.seed)
examples = rd.load_dataset(DATA, split="train", task=config.task).first(800).examples
before = rd.inspection.create_student(config, examples)
rows = rd.inspection.build_features(
    examples[:32], task=config.task, order=config.order, codec=before.codec, explanations_per_example=1
)
batch = rd.inspection.Collator(before.codec)(list(rows))
flow = rd.inspection.gradient_flow(rd.inspection.JointModel(before.model), batch)
strong = max(flow, key=lambda one: one.label / one.explanation if one.explanation else 0.0)
title = f"Before training: the label's gradient is strongest, beside the explanation's, in {strong.part}"
show(gradients("before", title, f"There it is {strong.label / strong.explanation:.1f} times the other's.", flow))

# %% tags=["picture"]
after = rd.inspection.load_checkpoint(whole.student)
flow = rd.inspection.gradient_flow(rd.inspection.JointModel(after.model), batch)
told = {one.part: one.cosine for one in flow if one.cosine is not None}
against = [part for part, cosine in told.items() if cosine < -0.05]
title = f"After training: both losses pull against each other in {', '.join(against)}" if against else (
    f"After training: nowhere do both losses pull against each other (cosines {min(told.values()):+.2f} to "
    f"{max(told.values()):+.2f})"
)  # fmt: skip
show(gradients("after", title, "The same batch of training rows, the student after its last step.", flow))

# %% [markdown]
# ## Killed, and going on
#
# The same training in a process of its own, under another name, is killed (`SIGKILL`: nothing can be tidied up) as soon
# as its first checkpoint is whole. `resume=True` goes on from there. Its weights are those of the run above.

# %%
file = OUT / "killed.yaml"
file.write_text(yaml.safe_dump(settings | {"name": "killed"}, sort_keys=False), encoding="utf-8")
process = subprocess.Popen(
    [sys.executable, "-m", "reasondistill.cli", "train", str(file)],
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
)  # fmt: skip
killed = rd.Run(OUT / "killed")
while process.poll() is None and not (killed.checkpoints / "checkpoint-10").is_dir():
    time.sleep(0.01)
process.kill()
assert process.wait() == -9, "it ended by itself"
assert not killed.student.exists()
print(f"killed; status in run.json: {killed.info().status}, checkpoints: "
      f"{sorted(folder.name for folder in killed.checkpoints.iterdir())}")  # fmt: skip

# %%
with redirect_stdout(io.StringIO()):
    resumed = rd.train(file, resume=True)
weights = [load_file(run.student / "model.safetensors") for run in (whole, resumed)]
assert weights[0].keys() == weights[1].keys()
assert all(bool((weights[0][name] == weights[1][name]).all()) for name in weights[0])
assert len({hashlib.sha256((run.student / "model.safetensors").read_bytes()).digest() for run in (whole, resumed)}) == 1
print(f"{len(weights[0])} tensors, all equal; the files have the same SHA-256")

# %% [markdown]
# ## What this shows, and what not
#
# - That the loop does what its configuration says, on this batch and this seed. A longer run has other curves.
# - A gradient's norm is no measure of importance: Adam divides each weight's step by its own gradients' size.
# - Bit-equality holds on one thread. With several, sums are taken in another order, and the last digits differ.
