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
# # 5. How good, how sure, and how far to be trusted
#
# Three sizes of one student, made by leaving out feed-forward units and mending what is left in a few steps. First what
# is lost from size to size. Then the smallest in detail, as it makes the most mistakes: figures beside their baselines,
# calibration, errors, controls that explain nothing, and tests of faithfulness.

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
from figures import (
    baseline_title,
    beside_baselines,
    confusion,
    degradation_figure,
    degradation_panels,
    errors_section,
    fronts,
    metric_title,
    per_label,
    quiet_libraries,
    reliability,
    show,
    test_title,
)  # fmt: skip

DATA = os.environ.get("REASONDISTILL_NOTEBOOK_DATA", "scenes")
STUDENT = os.environ.get("REASONDISTILL_NOTEBOOK_STUDENT", "builtin:scenes")
OUT = Path(tempfile.mkdtemp(prefix="evaluation-"))
ROWS = 150

quiet_libraries()
pd.set_option("display.max_colwidth", 90)

# %% [markdown]
# ## Three sizes
#
# A sweep trains, predicts and scores each. All three get the same steps on the same rows.

# %%
settings = {
    "name": "sizes",
    "sweeps_dir": str(OUT),
    "base": {
        "name": "sizes",
        "data": {
            "train": {"source": DATA, "split": "train", "limit": 600},
            "validation": {"source": DATA, "split": "validation", "limit": 100},
            "explanations_per_example": 1,
        },
        "student": {"kind": "hub", "checkpoint": str(rd.Student.load(STUDENT).folder)},
        "max_source_length": 64,
        "max_target_length": 48,
        "training": {
            "max_steps": 30, "per_device_train_batch_size": 16, "learning_rate": 1e-3, "save_strategy": "no",
            "report_to": "none", "disable_tqdm": True,
        },
        "generation": {"num_beams": 1, "repetition_penalty": 1.0, "max_new_tokens": 32},
    },
    "cells": [
        {"name": "whole"},
        {"name": "middle", "set": {"student.shrink.d_ff": 64}},
        {"name": "small", "set": {"student.shrink.d_ff": 32}},
    ],
    "evaluate": {"source": DATA, "split": "test", "limit": ROWS, "bertscore": False},
}  # fmt: skip
(OUT / "sizes.yaml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
with redirect_stdout(io.StringIO()):
    summary = rd.sweep(OUT / "sizes.yaml", jobs=0, resamples=500, swaps=499)
tradeoffs = summary.comparisons["test"].tradeoffs

# %% tags=["picture"]
quality = {s.name: {m: s.metrics[m].value for m in ("label_accuracy", "rougeL")} for s in tradeoffs.systems}
kept = {m: quality["small"][m] / quality["whole"][m] for m in quality["whole"]}
small = next(s for s in tradeoffs.systems if s.name == "small")
title = f"{small.compression:.1f} times smaller, {kept['label_accuracy']:.0%} of label accuracy and "
title += f"{kept['rougeL']:.0%} of ROUGE-L are kept"
caption = f"{ROWS} test rows; bars: 95% intervals. Blue: on the Pareto front; grey: another is better and smaller."
show(fronts("fronts", title, caption, tradeoffs, ("label_accuracy", "rougeL")))

# %%
panels = [panel for panel in degradation_panels(tradeoffs) if panel.name in ("labels", "explanations")]
worst = min(kept, key=kept.get)
title = (
    f"{metric_title(worst)} degrades most" if max(kept.values()) - min(kept.values()) > 0.02 else "Both degrade alike"
)
show(replace(degradation_figure(tradeoffs, panels), title=title))

# %% [markdown]
# ## The smallest, in detail
#
# What `predict` and `evaluate` do on the shell. The judge gives each explanation's support; there is one for `scenes`,
# and `reasondistill judge train` makes one for other data.

# %%
student = rd.Student.load(OUT / "sizes" / "runs" / "small-s42")
test = rd.load_dataset(DATA, split="test", task=student.task).first(ROWS)
predictions = student.predict(test)
evaluation = rd.evaluate(
    predictions, test, split="test", judge="builtin:scenes" if DATA.startswith("scenes") else None, bertscore=False,
    resamples=500, train=rd.load_dataset(DATA, split="train", task=student.task).first(1000),
    student=student, efficiency=False, faithfulness_limit=12, budget=0,
)  # fmt: skip

# %%
results = evaluation.results
metrics = [m for m in ("label_accuracy", "rougeL", "support") if m in results.metrics]
baseline, reached = results.strongest_baseline("rougeL")
title = f"ROUGE-L {results.metrics['rougeL'].value:.2f}; {baseline_title(baseline).lower()}, which explains nothing: "
title += f"{reached:.2f}"
show(
    beside_baselines(
        "baselines", title, "The student with 95% intervals, and systems that explain nothing.", results, metrics
    )
)

# %%
values = {label: of["rougeL"].value for label, of in results.per_label.items() if "rougeL" in of}
title = f"Explained best: {max(values, key=values.get)}; worst: {min(values, key=values.get)}"
names = [m for m in ("f1", "recall", "rougeL", "support") if any(m in of for of in results.per_label.values())]
show(per_label("labels", title, "By gold label, with 95% intervals.", results.per_label, names))

# %% [markdown]
# ## Calibration
#
# Where a student says 0.8, is it right in eight cases of ten? Its temperature was fitted on validation rows.

# %%
ece = results.metrics["ece"].value
title = f"Confidence and accuracy are {ece:.2f} apart on average"
show(
    reliability(
        "reliability",
        title,
        f"{ROWS} test rows; on the dashed line both would be equal.",
        results.calibration.bins,
    )
)

# %% [markdown]
# ## Errors

# %%
table = results.confusion
wrong = {
    (gold, given): table.counts[i][j]
    for i, gold in enumerate(table.labels)
    for j, given in enumerate(table.labels)
    if i != j
}
(gold, given), n = max(wrong.items(), key=lambda item: item[1])
title = f"The commonest mistake: {gold} taken for {given} ({n} of {sum(wrong.values())} errors)"
show(confusion("confusion", title, "Gold labels in rows, shares of the row below the counts.", table))

# %%
show(*errors_section(results)[:3])

# %%
mistakes = pd.DataFrame(
    {**row.fields, "gold": row.gold, "label": row.label, "p": row.confidence, "explanation": row.explanation}
    for row in evaluation.rows
    if not row.correct
)  # fmt: skip
mistakes.nlargest(5, "p").round(2)

# %% [markdown]
# ## Negative controls
#
# Explanations that explain nothing are scored like the student's: other rows' explanations, shuffled words, fields. A
# metric that cannot tell them from the student's is named. What it says of the student proves nothing then.

# %%
beside = {"student": {m: results.metrics[m].value for m in metrics if m != "label_accuracy"}}
beside |= {name: {m: v for m, v in of.items() if m in beside["student"]} for name, of in results.controls.items()}
fooled = results.settings.get("fooled") or {}
print("Metrics that were fooled:", ", ".join(f"{k}: {v}" for k, v in fooled.items()) or "none")
pd.DataFrame(beside).T.round(3)

# %% [markdown]
# ## Faithfulness
#
# The student is asked again, with words put in, left out or replaced, and with labels forced on it. Here a sample of a
# dozen rows a test, so that it takes seconds: intervals are wide.

# %%
rows = [
    {"test": test_title(test), "metric": name, "value": results.metrics[name].value,
     "95%": results.metrics[name].ci95, "rows": results.metrics[name].n}
    for test, details in results.faithfulness.items()
    for name in details.metrics
]  # fmt: skip
pd.DataFrame(rows).round(3)

# %% [markdown]
# What each proves and does not is in docs/metrics.md. Short of it: none proves that an explanation is what moved the
# student. A bad figure shows that it was not.

# %%
left_out = {name: details.left_out for name, details in results.faithfulness.items() if details.left_out}
pd.Series(left_out, name="left out", dtype=object).to_frame()

# %% [markdown]
# ## The report
#
# All of this, and every row to filter and read, in one HTML file that needs nothing else.

# %%
evaluation.save(OUT / "results" / "test")
report = rd.report(OUT / "results" / "test", OUT / "report")
print(f"{report.html.name}: {report.html.stat().st_size / 1e6:.1f} MB; {report.markdown.name} with figures beside it")
