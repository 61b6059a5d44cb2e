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
# # 3. Inside a student
#
# What it is made of, what it answers and how sure it is, where it looks while it writes, and the loss around its
# weights. The student is the one of `scenes` that the package ships, or the run or folder that
# `REASONDISTILL_NOTEBOOK_STUDENT` names.

# %%
import os

import pandas as pd
import torch

import reasondistill as rd
from figures import attention, confidences, landscapes, parts, quiet_libraries, show

DATA = os.environ.get("REASONDISTILL_NOTEBOOK_DATA", "scenes")
STUDENT = os.environ.get("REASONDISTILL_NOTEBOOK_STUDENT", "builtin:scenes")
ROWS = 300

quiet_libraries()
pd.set_option("display.max_colwidth", 90)
student = rd.Student.load(STUDENT)
checkpoint = rd.inspection.load_checkpoint(student.folder)
examples = list(rd.load_dataset(DATA, split="test", task=student.task).first(ROWS).examples)
print(f"{STUDENT}: a {checkpoint.model.config.model_type} of the task {student.task.name}, order {student.order}")

# %% [markdown]
# ## What it is made of
#
# Parameters by part, beside two that `student.shrink` makes of it: with half of the layers, and with a quarter of the
# feed-forward units.

# %%
own = rd.inspection.parameters_by_part(checkpoint.model)
layers = {side: sum(part.startswith(side) for part in own) for side in ("encoder", "decoder")}
halved = rd.inspection.Shrink(num_layers=-(-layers["encoder"] // 2), num_decoder_layers=-(-layers["decoder"] // 2))
narrow = rd.inspection.Shrink(
    d_ff=getattr(checkpoint.model.config, "d_ff", getattr(checkpoint.model.config, "encoder_ffn_dim", 4)) // 4
)
sizes = {
    "this student": own,
    "half of its layers": rd.inspection.parameters_by_part(rd.inspection.shrink(checkpoint.model, halved)),
    "a quarter of its units": rd.inspection.parameters_by_part(rd.inspection.shrink(checkpoint.model, narrow)),
}
total = sum(own.values())
title = f"{total:,} parameters, {own['embeddings'] / total:.0%} of them in embeddings"
show(parts("parts", title, "A block is a layer, or a table; white lines part them.", sizes))

# %% [markdown]
# ## What it answers
#
# The label is decided by scoring every label's tokens, not by reading what was written; the explanation is then written
# after it. Below are the first rows, and after them the answers that it is least sure of.

# %%
predictions = student.predict(examples)
gold = {example.id: example for example in examples}
answers = pd.DataFrame(
    {**gold[p.id].fields, "gold": gold[p.id].label, "label": p.label, "p": max(p.probabilities.values()),
     "explanation": p.explanation}
    for p in predictions
)  # fmt: skip
answers.head(4).round(3)

# %%
answers.nsmallest(4, "p").round(3)

# %% [markdown]
# ## How sure it is
#
# The probabilities are a softmax over the labels' scores. A student that is sure of answers that are wrong needs
# calibration (notebook 5), or more data.

# %%
right = answers["gold"] == answers["label"]
sure = answers["p"] > 0.9
title = f"{right.mean():.0%} of {len(answers)} labels are right; of those given with p > 0.9, {right[sure].mean():.0%}"
show(
    confidences(
        "confidences", title, "By the probability of the label given.", answers["p"][right], answers["p"][~right]
    )
)

# %% [markdown]
# ## Where it looks
#
# Cross-attention, averaged over layers and heads: the row beside a word says where the decoder looked when it wrote
# that word. Attention shows what is mixed, not what moved the answer (Jain and Wallace 2019). Notebook 5 changes the
# input to see what does.

# %%
shown = next(p for p in predictions if p.label == "contradiction" and gold[p.id].label == p.label)
looked = rd.inspection.cross_attention(checkpoint, gold[shown.id], label=shown.label, explanation=shown.explanation)
at = looked.mean[0].argsort()[::-1][:2]
title = (
    f"When it writes the label, it looks most at “{looked.prompt[at[0]].strip()}” and “{looked.prompt[at[1]].strip()}”"
)
show(attention("attention", title, f"{' / '.join(gold[shown.id].fields.values())}", looked))

# %% [markdown]
# ## The loss around its weights
#
# Two random directions in weight space, each scaled filter by filter to the student's own weights, so that a step of 1
# is as large in every student (Li et al. 2018). Beside it a student of the same shape with random weights: it stands
# on a plain where no direction is much better than another. A plane through millions of dimensions is a sketch; other
# directions give other pictures.

# %% tags=["picture"]
rows = rd.inspection.build_features(
    examples[:24], task=student.task, order=student.order, codec=checkpoint.codec, explanations_per_example=1
)
batch = rd.inspection.Collator(checkpoint.codec)(list(rows))
torch.manual_seed(0)
untrained = type(checkpoint.model)(checkpoint.model.config)
planes = {
    who: rd.inspection.loss_plane(rd.inspection.JointModel(model), batch, radius=1.0, points=11)
    for who, model in (("trained", checkpoint.model), ("untrained", untrained))
}
middle = {who: plane.explanation[5, 5] for who, plane in planes.items()}
title = f"Trained, the student stands in a basin ({middle['trained']:.2f} nats a token); untrained, on a plain "
title += f"({middle['untrained']:.1f})"
caption = "Explanation loss on 24 test rows; both directions are filter-normalised."
show(landscapes("landscape", title, caption, planes, of="explanation"))

# %%
title = "The label's loss around the same students"
show(landscapes("landscape-label", title, "As above, of the label's tokens.", planes, of="label"))
