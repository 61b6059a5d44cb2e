"""`training_speed.py --quality`: what the contenders have learned from scenes after equally many examples.

Each trains in a process of its own from the same random weights, with the quickstart's settings, and then answers
scenes that it never saw: its label by scoring, its explanation greedily, after that label (`step_by_step`: behind its
prompt for explanations). `compare` tests each recipe against ours on the same rows. `fixed` is left out: padding is
masked, so that it learns what `plain` learns; a test holds their losses against each other.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from contender_process import Child, facts, settings

CONTENDERS = ("ours", "step_by_step", "plain", "bfloat16")
METRICS = ("label_accuracy", "rougeL")


def quality(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    import torch

    from reasondistill.comparison import compare, load_systems
    from reasondistill.contracts.records import read_predictions, write_records
    from reasondistill.data import load
    from reasondistill.evaluation import EvaluationSettings, evaluate
    from reasondistill.training.arguments import has_fast_bf16
    from training_students import make_student

    torch.manual_seed(options.seed)
    # One explanation each: ours would take turns with several, and the recipes learn the first one only.
    train = [
        example.model_copy(update={"explanations": tuple(example.references[:1])})
        for example in load("scenes", split="train", size=9000).examples
    ]
    test = list(load("scenes", split="test", size=9000).examples)[: options.test_rows]
    write_records(folder / "examples.jsonl", train)
    write_records(folder / "test.jsonl", test)
    batch = min(options.batch, 6) if options.quick else 64
    steps = -(-options.examples // batch)
    request = {
        "examples": str(folder / "examples.jsonl"),
        "test": str(folder / "test.jsonl"),
        "threads": options.threads,
        "seed": options.seed,
        "plan": {
            "student": make_student("tiny" if options.quick else "scratch", train, folder / "student"),
            "batch": batch,
            "explanations": 1,
            "max_source_length": 64,
            "max_target_length": 48,
            "loss": {"alpha": options.alpha, "beta": 1 - options.alpha},
            "training": settings(
                max_steps=steps,
                learning_rate=2e-3,
                lr_scheduler_type="linear",
                warmup_steps=min(100, steps // 10),
                weight_decay=0.01,
            ),
        },
    }
    training = {}
    contenders = [name for name in CONTENDERS if name != "bfloat16" or has_fast_bf16()]
    for name in contenders:
        print(f"{name}: {steps} steps of {batch} examples", file=sys.stderr, flush=True)
        with Child({**request, "contender": name}, folder / name) as child:
            training[name] = child.ask("finish")
        evaluate(
            read_predictions(folder / name / "predictions.jsonl"),
            test,
            name="scenes",
            split="test",
            settings=EvaluationSettings(bertscore=False, seed=options.seed),
        ).save(folder / name / "results")
    systems = load_systems([f"{name}={folder / name / 'results'}" for name in contenders])
    compared = compare(systems, baseline="ours", metrics=METRICS)
    report = {
        **facts(options),
        "examples": steps * batch,
        "test_rows": len(test),
        "training": training,
        # A student that has learned little may write what ROUGE cannot read: it has no ROUGE-L then.
        "values": {s.name: dump(s.results.metrics) for s in systems},
        "against_ours": {pair.system: dump(pair.metrics) for pair in compared.pairs},
    }
    print_table(report)
    return report


def dump(metrics: Mapping[str, BaseModel]) -> dict[str, Any]:
    return {name: metrics[name].model_dump(mode="json") for name in METRICS if name in metrics}


def print_table(report: dict[str, Any]) -> None:
    print(
        f"scenes, {report['examples']:,} examples each, {report['test_rows']} test rows; "
        "95% intervals, paired bootstrap"
    )
    for name, values in report["values"].items():
        line = f"{name:14}"
        for metric in METRICS:
            line += f"  {metric} {values[metric]['value']:.3f}" if metric in values else f"  {metric} –"
            if (against := report["against_ours"].get(name, {}).get(metric)) is not None:
                low, high = against["ci95"]
                line += f" ({against['difference']:+.3f} [{low:+.3f}, {high:+.3f}])"
        print(line)
