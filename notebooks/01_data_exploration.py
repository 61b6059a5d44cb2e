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
# # 1. What is in the data
#
# A student learns whatever makes its targets likely. So before one is trained: how are explanations written, what gives
# the label away, and what would be measured twice? Everything here comes from `reasondistill data audit`; figures that
# it has are shown as they are.
#
# The data are `scenes`, which the package generates, or whatever `REASONDISTILL_NOTEBOOK_DATA` names.

# %%
import os
from collections import defaultdict
from dataclasses import replace

import pandas as pd

import reasondistill as rd
from figures import audit_document, bars, lengths, show

DATA = os.environ.get("REASONDISTILL_NOTEBOOK_DATA", "scenes")
ROWS = 3000

pd.set_option("display.max_colwidth", 120)
data = rd.load_dataset(DATA).first(ROWS)
task = data.task
examples = list(data.examples)
print(f"{data.name}: {len(examples):,} examples of the task {task.name}, labels {task.labels}")

# %% [markdown]
# ## A few rows
#
# One of each label, with its first explanation.

# %%
of_label = {example.label: example for example in reversed(examples) if example.references}
pd.DataFrame([{**e.fields, "label": e.label, "explanation": e.references[0].text} for e in of_label.values()])

# %% [markdown]
# ## What is wrong with them, worst first
#
# A *problem* spoils what is trained or measured, a *warning* needs a decision, a *note* is good to know.

# %%
result = rd.audit(data)
drawings = {drawing.name: drawing for drawing in audit_document(result).drawings}
pd.DataFrame([finding.model_dump() for finding in result.findings])[["severity", "what", "advice"]]

# %% [markdown]
# ## Give-aways
#
# Linear models on words and word pairs guess the label from a part of each row. What one field reaches alone needs no
# reasoning about the pair (Gururangan et al. 2018; Poliak et al. 2018). What the explanation reaches says how far its
# mere wording tells the label: a metric that asks whether an explanation "supports" a label can be satisfied with that.

# %% tags=["picture"]
right = {name: f"{score.accuracy:.0%}" for name, score in result.baselines.scores.items()}
title = (
    f"{task.fields[-1].capitalize()} alone: {right[task.fields[-1]]} right; explanation alone: {right['explanation']}"
)
show(replace(drawings["baselines"], title=f"{title}; majority: {result.baselines.majority.accuracy:.0%}"))

# %% [markdown]
# ## Reasoning patterns
#
# Connectives say what kind of step an explanation claims to take: *because* gives a reason, *so* draws a conclusion,
# *does not mean* denies one. Each bar is the share of a label's explanations that hold one.

# %%
texts, groups = defaultdict(list), defaultdict(list)
for example in examples:
    for explanation in example.references:
        texts[example.label].append(explanation.text)
        groups[example.label].append(example)

shares = {label: rd.metrics.connective_shares(said) for label, said in sorted(texts.items())}
commonest = sorted(
    {c for of in shares.values() for c in of}, key=lambda c: -max(of.get(c, 0) for of in shares.values())
)
table = {c: {label: of.get(c, 0.0) for label, of in shares.items()} for c in commonest[:8]}
apart = max(table, key=lambda c: max(table[c].values()) - min(table[c].values()))
most = max(table[apart], key=table[apart].get)
others = max(share for label, share in table[apart].items() if label != most)
title = (
    f"“{apart}” stands in {table[apart][most]:.0%} of {most} explanations, in {others:.0%} of another label's at most"
)
show(bars("connectives", title, "A bar for each label.", table, unit="explanations that hold it"))

# %% [markdown]
# Templates go further: runs of words that explanations use although the input lacks them, with slots for what the input
# fills in. No list of them is given; they are found in the data.

# %%
template = result.phrases.templates[0]
title = f"{result.phrases.in_a_template['all']:.0%} of explanations fit a template"
more = f"the commonest: “{template.template}”, {template.mostly_share:.0%} {template.mostly}"
show(replace(drawings["templates"], title=f"{title}; {more}"))

# %% [markdown]
# ## Lengths
#
# Where a label's explanations are longer, their length alone tells something of the label.

# %%
words = {str(label): [len(text.split()) for text in said] for label, said in sorted(texts.items())}
means = {label: sum(n) / len(n) for label, n in words.items()}
title = f"Longest for {max(means, key=means.get)} ({max(means.values()):.1f} words), shortest for "
title += f"{min(means, key=means.get)} ({min(means.values()):.1f})"
show(lengths("lengths", title, "Share of each label's explanations by words; dashed: means.", words))

# %% [markdown]
# ## Overlap with the input
#
# How much of an explanation stands in a field, in the same order. A student that copies gets that much overlap for
# free, which is why every result here stands beside the baseline `copied_hypothesis` (docs/metrics.md).

# %%
overlap = {
    str(label): {
        name: sum(rd.metrics.copied_share(text, {name: e.fields[name]}) for text, e in pairs) / len(pairs)
        for name in task.fields
    }
    for label in sorted(texts)
    for pairs in [list(zip(texts[label], groups[label], strict=True))]
}
label, field = max(((row, name) for row in overlap for name in task.fields), key=lambda at: overlap[at[0]][at[1]])
title = f"Most of all, {label} explanations copy the {field}: {overlap[label][field]:.0%} of their words"
show(
    bars("overlap", title, "Means over the explanations of each label.", overlap, unit="words that stand in the field")
)

# %% [markdown]
# ## Duplicates and leaks
#
# Rows that share a text belong to one group, and a group stays in one part. Below: the share of test rows whose text
# the training part has as well, if rows were dealt out at random, and as this library splits them.

# %%
random, split = result.leakage.random_split, result.leakage.between_splits.get("test", {})
leaks = {
    name: {"rows at random": of.leaked, **({"by group": split[name].share} if name in split else {})}
    for name, of in random.items()
}
first = task.fields[0]
title = f"At random, {random[first].leaked:.0%} of test rows have a {first} that was trained on"
show(bars("leaks", title, "The same rows, dealt out in two ways.", leaks, unit="test rows whose text is trained on"))

# %%
kinds = {"exact": result.duplicates.exact, "normalised": result.duplicates.normalised}
rows = {k: {"rows": same.rows, "with different labels": same.conflicting_label.rows} for k, same in kinds.items()}
near = result.duplicates.near
rows["near"] = {"rows": near.rows, "with different labels": near.conflicting_label.pairs}
pd.DataFrame(rows).T

# %% [markdown]
# ## What this is good for, and what not
#
# - The audit names what a student *could* exploit. Whether one does is asked of the student: notebook 5.
# - Baselines are linear. What they do not find may still be there.
# - Templates and connectives are about wording. An explanation in a template can be right, and a fluent one wrong.
