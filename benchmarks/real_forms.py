"""FLAN-T5-small, -base and -large in their real form, with random weights: what each stage takes in time and memory.

    python benchmarks/real_forms.py TOKENIZER [--sizes small,base,large] [--work FOLDER] [--json FILE]

TOKENIZER is the folder of any T5 or FLAN-T5 checkpoint's tokenizer files. Each stage is a command of its own, so that
its peak memory is its own: three training steps of 32 rows (accumulated from batches of 4, one evaluation), answers to
eight rows, and the export as an int8 package. Random weights compute as long as trained ones; what they answer means
nothing. The large one needs about 20 GB of memory and, for a while, 25 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from reasondistill.config import HubStudent
from reasondistill.students.checkpoint import keep_untied
from reasondistill.training.estimates import model_config

CLAIMED = {"small": (77, 300), "base": (223, 890), "large": (770, 3000)}
"""Millions of parameters and MB of weights that are usually quoted."""

_ANY_DIFFERENCE = [
    word
    for option, value in (
        ("label-agreement", "0"),
        ("probability-difference", "1"),
        ("probability-difference-p95", "1"),
        ("greedy-identity", "0"),
        ("explanation-rougeL", "0"),
    )
    for word in (f"--{option}", value)
]
"""Answers of random weights are ties: their package may differ in all of them."""


def write_checkpoint(size: str, tokenizer: Path, folder: Path) -> dict[str, Any]:
    """A checkpoint of the published form; gives its parameters (millions) and the bytes of its weights."""
    model = AutoModelForSeq2SeqLM.from_config(model_config(HubStudent(checkpoint=f"google/flan-t5-{size}")))
    model = keep_untied(model)
    for side in (model.encoder, model.decoder):  # one table for both, and a head of its own
        side.embed_tokens = model.shared
    model.config.decoder_start_token_id = model.config.pad_token_id = 0
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tokenizer).save_pretrained(folder)
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    return {"parameters": sum(p.numel() for p in model.parameters()), "weights_bytes": weights}


def measured(*words: str, folder: Path) -> dict[str, Any]:
    """Clock, processor time and peak memory of a command, which has to end well."""
    log = folder / "log.txt"
    begun = time.perf_counter()
    with log.open("w") as out:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "reasondistill", *words],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, out.fileno(), 1), (os.POSIX_SPAWN_DUP2, out.fileno(), 2)],
        )
        _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"{' '.join(words)} failed:\n{log.read_text()}")
    return {
        "clock": time.perf_counter() - begun,
        "processor": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * 1024,
        "said": log.read_text(),
    }


def stages(size: str, tokenizer: Path, work: Path, more: list[str]) -> dict[str, Any]:
    checkpoint, run = work / f"flan-t5-{size}", work / "runs" / size
    figures = write_checkpoint(size, tokenizer, checkpoint)
    training = {
        "training.max_steps": 3,
        "training.per_device_train_batch_size": 4,
        "training.per_device_eval_batch_size": 4,
        "training.gradient_accumulation_steps": 8,
        "training.eval_steps": 3,
        "training.save_steps": 3,
        "training.logging_steps": 1,
        "data.validation.limit": 16,
        "runs_dir": str(work / "runs"),
    }
    words = [word for key, value in training.items() for word in ("--set", f"{key}={value}")]
    more = [word for each in more for word in ("--set", each)]
    data = "scenes:400"
    try:
        figures["train"] = measured(
            "train", data, "--student", str(checkpoint), "--name", size, *words, *more, folder=work
        )
        figures["predict"] = measured(
            "predict", str(run), data, "--split", "test", "--limit", "8", "--out", str(work / "said.jsonl"), folder=work
        )
        figures["export"] = measured(
            "export", str(run), "--out", str(work / "package"), "--limit", "16", *_ANY_DIFFERENCE, folder=work
        )
        figures["package_bytes"] = sum(f.stat().st_size for f in (work / "package").rglob("*") if f.is_file())
    finally:
        for folder in (checkpoint, run, work / "package"):
            shutil.rmtree(folder, ignore_errors=True)
        (work / "said.jsonl").unlink(missing_ok=True)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("--sizes", default="small,base,large")
    parser.add_argument("--work", type=Path, help="A folder for checkpoints, which are removed; a temporary one.")
    parser.add_argument("--set", action="append", default=[], dest="more", help="More of the training's configuration.")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    results = {}
    if given.work is not None:
        given.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=given.work) as work:
        for size in given.sizes.split(","):
            figures = results[size] = stages(size, given.tokenizer, Path(work), given.more)
            millions, megabytes = CLAIMED[size]
            print(
                f"{size}: {figures['parameters'] / 1e6:.0f} million parameters (quoted: {millions}), "
                f"{figures['weights_bytes'] / 1e6:,.0f} MB of weights (quoted: {megabytes}), "
                f"package {figures['package_bytes'] / 1e6:,.0f} MB"
            )
            for stage in ("train", "predict", "export"):
                row = figures[stage]
                print(
                    f"  {stage:8} {row['clock']:6.0f} s, {row['processor']:6.0f} s of processor time, "
                    f"peak {row['peak_bytes'] / 2**30:5.1f} GiB",
                    flush=True,
                )
    if given.json:
        given.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
