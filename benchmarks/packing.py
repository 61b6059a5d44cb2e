"""What packing several texts into a row saves or costs, by the student's width, the texts and a row's explanations.

    OMP_NUM_THREADS=1 python benchmarks/packing.py [--data esnli_dev.csv] [--json FILE]

Each student takes training steps (forward and backward, no optimizer) over the same batches, packed and padded in
turns; the figure is the median of padded over packed processor time, so above 1 packing pays. "packs" is the share of
the batches that a training would pack. Students are T5s of random weights.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from reasondistill.config import ScratchStudent
from reasondistill.contracts.records import Example
from reasondistill.data import load
from reasondistill.students.build import texts_of
from reasondistill.students.codec import Codec
from reasondistill.students.packing import plan_batch
from reasondistill.students.scratch import make_scratch
from reasondistill.tasks.task import NLI
from reasondistill.training.features import Collator, build_features
from reasondistill.training.joint_model import JointModel, Packing

WIDTHS = (64, 128, 192, 256, 384, 512)


def batches(examples: list[Example], codec: Codec, explanations: int, size: int, n: int) -> list[dict[str, Any]]:
    features = build_features(
        examples[: size * n], task=NLI, order="label_first", codec=codec, explanations_per_example=explanations
    )
    rows = list(features)
    return [Collator(codec)(rows[k : k + size]) for k in range(0, size * n, size)]


def seconds(model: JointModel, batch: dict[str, Any], *, packing: Packing) -> float:
    """Processor time of a step."""
    model.packing = packing
    begun = time.process_time()
    losses = model(**batch)
    (0.5 * losses.label_sum + 0.5 * losses.explanation_sum).backward()
    return time.process_time() - begun


def pays(model: JointModel, batch: dict[str, Any]) -> bool:
    """Whether a training would pack it."""
    supervised = batch["label_mask"] | batch["explanation_mask"]
    plan = plan_batch(batch["attention_mask"], batch["encoder_rows"], supervised)
    return plan.pays(model.student, supervised.shape[1])


def measure(examples: list[Example], width: int, explanations: int, size: int, turns: int) -> dict[str, Any]:
    torch.manual_seed(0)
    heads = max(2, width // 64)
    shape = {"d_model": width, "d_ff": 2 * width, "d_kv": width // heads, "num_heads": heads}
    model, tokenizer = make_scratch(
        ScratchStudent(kind="scratch", vocab_size=2000, **shape), texts_of(examples, NLI, "label_first")
    )
    codec = Codec(tokenizer, decoder_start_token_id=0, max_source_length=128, max_target_length=64)
    joint = JointModel(model)
    drawn = batches(examples, codec, explanations, size, turns + 1)
    ratios = []
    for turn, batch in enumerate(drawn):
        order: tuple[Packing, ...] = ("always", "never") if turn % 2 else ("never", "always")
        taken = {packing: seconds(joint, batch, packing=packing) for packing in order}
        ratios.append(taken["never"] / taken["always"])
    ratios = sorted(ratios[1:])  # the first warms up
    places = sum(batch["attention_mask"].numel() for batch in drawn)
    return {
        "width": width,
        "explanations": explanations,
        "batch": size,
        "padding": 1 - sum(int(batch["attention_mask"].sum()) for batch in drawn) / places,
        "packs": statistics.fmean(pays(joint, batch) for batch in drawn),
        "padded_over_packed": statistics.median(ratios),
        "from": ratios[len(ratios) // 4],
        "to": ratios[-1 - len(ratios) // 4],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="A file of examples, besides the built-in scenes.")
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    results = []
    for source in ("scenes", *([given.data] if given.data else [])):
        rows = [e for e in load(source, split="train").examples if e.label is not None and e.references]
        examples = random.Random(1).sample(rows, min(len(rows), 64 * (given.turns + 1)))
        for explanations in (1, 3):
            for size in (16, 64):
                for width in WIDTHS:
                    row = {"data": str(source), **measure(examples, width, explanations, size, given.turns)}
                    results.append(row)
                    median, low, high = (row[name] for name in ("padded_over_packed", "from", "to"))
                    print(
                        f"{Path(source).name}: {explanations} explanations, batches of {size}, width {width:3}: "
                        f"{row['padding']:.0%} padding, packs {row['packs']:.0%}, {median:.2f} ({low:.2f}–{high:.2f})",
                        flush=True,
                    )
    if given.json:
        given.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
