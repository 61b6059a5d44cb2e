"""NILE's explanations of e-SNLI pairs as a predictions file, to stand beside students or be their teacher.

    python benchmarks/nile_as_predictions.py DATA NILE --out FILE [--split test]

NILE (Kumar and Talukdar 2020) has a generator for each label, and explains all three. Taken here is the explanation of
the gold label, so NILE is right by construction. NILE's file has rows ``{"pairID", "explanations": {label: text}}``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from reasondistill.contracts.records import Example, Prediction, write_records
from reasondistill.data import load
from reasondistill.storage.files import read_jsonl


def gold_explanations(nile: Path, examples: Sequence[Example]) -> list[Prediction]:
    """What NILE says for the gold label of each example that it has explained."""
    explanations = {row["pairID"]: row["explanations"] for _, row in read_jsonl(nile)}
    known = [e for e in examples if e.id in explanations and e.label in explanations[e.id]]
    return [Prediction(id=e.id, label=e.label, explanation=explanations[e.id][e.label]) for e in known]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("nile", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--split", default="test")
    options = parser.parse_args()
    examples = load(options.data, split=options.split).examples
    predictions = gold_explanations(options.nile, list(examples))
    write_records(options.out, predictions)
    print(f"{len(predictions)} of {len(examples)} rows explained: {options.out}")


if __name__ == "__main__":
    main()
