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
# # 6. What each choice is worth
#
# A small sweep: one student, mended after most of its feed-forward units were left out, and variants that each change
# one thing. Every variant is scored on the same rows and tested against the base in pairs. `reasondistill sweep` does
# the same on the shell, on several processes and with several seeds; `configs/` has ready ones for real data.

# %%
import io
import os
import tempfile
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import pandas as pd
import yaml

import reasondistill as rd
from figures import metric_title, quiet_libraries, show, slug, sweep_document

DATA = os.environ.get("REASONDISTILL_NOTEBOOK_DATA", "scenes")
STUDENT = os.environ.get("REASONDISTILL_NOTEBOOK_STUDENT", "builtin:scenes")
OUT = Path(tempfile.mkdtemp(prefix="sweep-"))
quiet_libraries()

# %% [markdown]
# ## The grid
#
# `base` is a whole training configuration; a cell says what it changes, by the key's path.

# %%
BASE = {
    "name": "base",
    "data": {
        "train": {"source": DATA, "split": "train", "limit": 800},
        "explanations_per_example": 1,
    },
    "student": {"kind": "hub", "checkpoint": str(rd.Student.load(STUDENT).folder), "shrink": {"d_ff": 32}},
    "max_source_length": 64,
    "max_target_length": 48,
    "training": {
        "max_steps": 25, "per_device_train_batch_size": 16, "learning_rate": 1e-3, "save_strategy": "no",
        "report_to": "none", "disable_tqdm": True,
    },
    "generation": {"num_beams": 1, "repetition_penalty": 1.0, "max_new_tokens": 32},
}  # fmt: skip
CHANGES = {
    "base": {},
    "labels_only": {"order": "label_only"},
    "label_weighs_most": {"loss": {"alpha": 0.95, "beta": 0.05}},
    "frozen_encoder": {"freeze": ["encoder", "embeddings"]},
    "shuffled_labels": {"data.shuffle_labels": True},
    "tenth_of_data": {"data.train.fraction": 0.1},
    "hundredth_of_data": {"data.train.fraction": 0.01},
}
settings = {
    "name": "ablations",
    "sweeps_dir": str(OUT),
    "base": BASE,
    "cells": [{"name": name, "set": changes} for name, changes in CHANGES.items()],
    "evaluate": {"source": DATA, "split": "test", "limit": 100, "bertscore": False},
    "metrics": ["label_accuracy", "rougeL"],
}
(OUT / "ablations.yaml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
with redirect_stdout(io.StringIO()):
    summary = rd.sweep(OUT / "ablations.yaml", jobs=0, resamples=500, swaps=999)
print(f"{len(summary.sweep.trials)} trainings finished")

# %% [markdown]
# ## Means
#
# Where there is one seed, intervals say how far the choice of test rows matters, not how far the seed does.

# %%
document = sweep_document(summary.sweep)
means, ranked, *_ = document.parts[0].sections
show(*means.blocks)

# %% [markdown]
# ## Ranked effects
#
# Each variant minus the base, the largest difference first, with a paired permutation test over groups of rows. Holm's
# correction counts all tests of this sweep: with enough variants something always looks good.

# %%
show(*ranked.blocks)

# %% tags=["picture"]
drawings = {drawing.name: drawing for drawing in document.drawings}
for metric in ("label_accuracy", "rougeL"):
    tested = [e for e in summary.sweep.parts[0].effects if e.metric == metric]
    shown = [f"{e.variant} {e.difference:+.2f}" for e in tested if e.p_holm is not None and e.p_holm < 0.05]
    title = f"{metric_title(metric)}, told apart from the base: {', '.join(shown) or 'nothing'}"
    show(replace(drawings[f"effects-test-{slug(metric)}"], title=title))

# %% [markdown]
# ## A learning curve
#
# The same training on all groups, a tenth and a hundredth of them. A smaller share is part of every larger one. Steps
# are the same, so that fewer rows are seen more often.

# %%
for curve in summary.sweep.parts[0].curves:
    low, *_, high = sorted(curve.points, key=lambda point: point.value)
    title = f"{metric_title(curve.metric)}: {low.mean:.2f} with {low.value:.0%} of the groups, {high.mean:.2f} with all"
    if curve.key == "data.train.fraction":
        show(replace(drawings[f"curve-test-data-train-fraction-{slug(curve.metric)}"], title=title))

# %% [markdown]
# ## What each shows, and what it does not
#
# - `labels_only` shows what mending without explanations does to the label. It does not show that explanations teach
#   the label nothing: the student had learned both before.
# - `label_weighs_most` shows what one loss takes from the other at equal steps. The best weights hang on the rate and
#   the number of steps, too.
# - `frozen_encoder` shows how much of the mending happens in the decoder. It does not show what a frozen encoder costs
#   a new student.
# - `shuffled_labels` is a control: labels that mean nothing must not help.
# - `tenth_of_data` and `hundredth_of_data` show whether more rows help at equal steps. They do not show how many a new
#   student needs.
#
# One seed, a small student and a hundred rows: this is the method, not a result. docs/results.md has results.

# %%
written = OUT / "ablations"
pd.Series(sorted(str(p.relative_to(written)) for p in (written / "summary").rglob("*.*")), name="written").to_frame()
