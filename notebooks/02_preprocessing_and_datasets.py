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
# # 2. From rows to what a student reads and writes
#
# Prompts and targets, which of a target's tokens belong to which loss, what a smaller vocabulary costs, what a length
# limit cuts, who stands in which part, how batches are filled, and how two sources share an epoch.

# %%
import os
import random

import pandas as pd

import reasondistill as rd
from figures import Filled, Strip, bars, filled_rows, quiet_libraries, show, token_strips

quiet_libraries()
from transformers import AutoTokenizer

DATA = os.environ.get("REASONDISTILL_NOTEBOOK_DATA", "scenes")
ROWS = 2000

data = rd.load_dataset(DATA).first(ROWS)
task = data.task
examples = list(data.examples)
train = list(data["train"].examples)
example = next(e for e in train if e.references and e.label)
pd.set_option("display.max_colwidth", 120)

# %% [markdown]
# ## What is asked
#
# A task is data: its fields, labels and prompts. The order decides what is written: the label first, the explanation
# first, one of them alone, or each after a prompt of its own.

# %%
ORDERS = ("label_first", "explanation_first", "label_only", "explanation_only", "separate")
rows = [
    {"order": order, "prompt": prompt, "target": target.text}
    for order in ORDERS
    for prompt, targets in task.render(order, example, [example.references[0].text])
    for target in targets
]
pd.DataFrame(rows)

# %% [markdown]
# ## Which loss a token belongs to
#
# A target is tokenised whole, as the student will write it. Each token then goes to the segment that holds its last
# character. The label's tokens count in `L_label`, the separator, the explanation and the end token in
# `L_explanation`, so that the balance of both terms does not depend on how long an explanation is.

# %% tags=["picture"]
tokenizer = AutoTokenizer.from_pretrained(rd.inspection.encoder_path("offline:minilm"))


def codec_of(tokenizer, limit=128):
    """A codec as a warm start has it: decoding begins at [CLS]."""
    start = tokenizer.cls_token_id
    return rd.inspection.Codec(tokenizer, decoder_start_token_id=start, max_source_length=256, max_target_length=limit)


def strip(name, order, codec):
    """The first target of an order, token by token."""
    _, targets = task.render(order, example, [example.references[0].text])[0]
    encoded = codec.encode_targets(targets)[0]
    return Strip(name, rd.inspection.pieces(codec.tokenizer, encoded.ids), encoded.roles)


whole = codec_of(tokenizer)
strips = [strip(order, order, whole) for order in ("label_first", "explanation_first", "label_only")]
label_tokens, all_tokens = strips[0].roles.count(1), len(strips[0].roles)
title = f"{label_tokens} of {all_tokens} tokens are the label's: one loss over all would hardly notice it"
show(token_strips("masks", title, "The same row in three output orders; [SEP] ends a target.", strips))

# %% [markdown]
# ## What a limit cuts
#
# A target over `max_target_length` loses the end of its longest piece, never a label that stands after it. And it is
# not taught to stop there: no end token follows a sentence that was cut.

# %%
limit = all_tokens - 4
short = codec_of(tokenizer, limit)
cut = [strip(f"{order}, at most {limit} tokens", order, short) for order in ("label_first", "explanation_first")]
title = "The explanation is cut; the label and its mark stay, wherever they stand"
show(token_strips("cut", title, f"With a limit of {limit} target tokens.", cut))

# %%
features = rd.inspection.build_features(train, task=task, order="label_first", codec=whole)
target_tokens = [len(ids) for targets in features["target_ids"] for ids in targets]
limits = (8, 12, 16, 20, 24, 32, 48, 64)
over = {limit: sum(n > limit for n in target_tokens) / len(target_tokens) for limit in limits}
enough = next((limit for limit in limits if over[limit] < 0.01), limits[-1])
title = f"A limit of {enough} tokens cuts {over[enough]:.1%} of targets"
cuts = {f"{limit} tokens": {"": share} for limit, share in over.items()}
show(bars("limits", title, "By max_target_length, label first.", cuts, unit="targets that lose tokens"))

# %% [markdown]
# ## A vocabulary of the task's own
#
# In a small student the embedding table is most of the weights. `vocabulary: task` keeps the pieces that the training
# part uses and what other words are spelled with. Texts whose pieces are all kept are cut as before, which is checked.

# %%
texts = list(rd.inspection.texts_of(train, task, "label_first"))
kept = {count: rd.inspection.trim_tokenizer(tokenizer, texts, min_count=count)[0] for count in (1, 2, 5, 20)}
assert all(tokenizer.tokenize(text) == kept[1].tokenize(text) for text in texts[:200])
sizes = {f"used {n} times or more" if n > 1 else "used at all": len(smaller) for n, smaller in kept.items()}
title = (
    f"{len(kept[1]):,} of {len(tokenizer):,} pieces are used: {1 - len(kept[1]) / len(tokenizer):.0%} of the table goes"
)
show(
    bars("vocabulary", title, "Word pieces of MiniLM that are kept.", {k: {"": n} for k, n in sizes.items()},
         unit="pieces", percent=False)
)  # fmt: skip

# %%
rare = next((t for t in texts if tokenizer.tokenize(t) != kept[20].tokenize(t)), texts[0])
pd.DataFrame(
    {"pieces": [" ".join(tokenizer.tokenize(rare)), " ".join(kept[20].tokenize(rare))]}, index=["all", "used 20 times"]
)

# %% [markdown]
# ## Parts by group
#
# Rows that share a group, such as captions of one image, stand in one part. A hash of the group decides, so that no
# seed and no order of rows can move one. Dealt out row by row, most groups are torn.

# %%
parts = {name: rd.load_dataset(DATA, split=name).first(ROWS) for name in ("train", "validation", "test")}
of_part = {name: {e.group for e in part.examples} for name, part in parts.items()}
assert not of_part["train"] & of_part["test"]
assert not of_part["train"] & of_part["validation"]

shuffled = random.Random(0).sample(examples, len(examples))
at = int(0.7 * len(shuffled))
groups = {e.group for e in shuffled[:at]}
torn = sum(e.group in groups for e in shuffled[at:]) / len(shuffled[at:])
pd.DataFrame(
    {"rows": {n: len(p.examples) for n, p in parts.items()}, "groups": {n: len(g) for n, g in of_part.items()}}
)

# %%
print(f"By group: 0 test rows of {len(parts['test'].examples):,} have a group that was trained on.")
print(f"By row, at random: {torn:.0%} of the test rows would have one.")

# %% [markdown]
# ## Batches: padding, and packing
#
# A padded batch is as wide as its longest text. Rows sorted by length pad less, but then each batch holds alike texts.
# Packing puts several prompts into one row and keeps them apart by masks: hardly any padding, and any order of rows.

# %%
lengths = [len(ids) for ids in features["input_ids"]]
targets = [sum(map(len, ids)) for ids in features["target_ids"]]
chosen = random.Random(1).sample(range(len(lengths)), 24)
near = sorted(range(len(lengths)), key=lengths.__getitem__)[len(lengths) // 2 :][:24]
rows = rd.inspection.plan_rows([lengths[i] for i in chosen], [targets[i] for i in chosen])
batches = [
    Filled("padded", [[lengths[i]] for i in chosen]),
    Filled("by length", [[lengths[i]] for i in near]),
    Filled("packed", [[lengths[chosen[i]] for i in row] for row in rows]),
]
title = f"The same 24 prompts: {batches[0].padding:.0%} padding in a padded batch, {batches[2].padding:.0%} packed"
show(filled_rows("batches", title, "Prompts of a batch; grey is padding. “By length”: 24 others, alike.", batches))

# %% [markdown]
# ## Two sources in one epoch
#
# Several sources can be joined. An epoch has as many rows as all of them together; the strategy says how they share it.
# Here the second source has a tenth of the first one's rows.

# %%
sizes = [len(train), len(train) // 10]
shares = {}
for strategy in ("proportional", "temperature", "balanced"):
    mixture = rd.inspection.Mixture(sizes, [1.0, 1.0], rd.inspection.Mixing(strategy=strategy), seed=0)
    epoch = mixture.epoch(0)
    second = int((epoch >= sizes[0]).sum())
    assert len(epoch) == sum(sizes)
    shares[strategy] = {"large": 1 - second / len(epoch), "small": second / len(epoch)}
again = shares["balanced"]["small"] * sum(sizes) / sizes[1]
title = f"Balanced, the small source fills half an epoch: each of its rows is seen {again:.1f} times"
show(bars("mixing", title, f"Sources of {sizes[0]:,} and {sizes[1]:,} rows.", shares, unit="rows of an epoch"))
