"""What trees of steps score that read nothing, and what a ROUGE-L threshold lets through; on EntailmentBank's files.

python benchmarks/tree_baselines.py task_1_dev.jsonl task_1_train.tsv
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from pathlib import Path

from reasondistill.data import load
from reasondistill.evaluation.step_explanations import chain, one_step
from reasondistill.metrics.any_script import rougeL_any
from reasondistill.metrics.step_trees import TREE_SCORES, tree_scores
from reasondistill.tasks.step_structures import StepStructure, Tree
from reasondistill.tasks.task import get_task

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scored", type=Path, help="rows whose baselines are scored")
    parser.add_argument("chosen_on", type=Path, help="rows whose conclusions are held against premises and each other")
    options = parser.parse_args()
    structure = get_task("entailment_bank").structure
    assert isinstance(structure, StepStructure)
    rows = list(trees(structure, options.scored))
    for name, make in (("one_step", one_step), ("chain", chain)):
        scores = [tree_scores(make(structure, fields), gold) for fields, gold in rows]
        print(name, {key: round(sum(row[key] for row in scores) / len(scores), 3) for key in TREE_SCORES})
    copied, texts = [], []
    for _, gold in trees(structure, options.chosen_on):
        known = {**gold.sentences, **{step.conclusion: step.text for step in gold.steps}}
        for step in gold.steps[:-1]:
            copied.append(max(rougeL_any(known[name], [step.text]) for name in step.premises))
            texts.append(step.text)
    others = random.Random(0).sample(texts, len(texts))
    unrelated = [rougeL_any(other, [text]) for other, text in zip(others, texts, strict=True) if other != text]
    for what, values in (("a copied premise", copied), ("another conclusion", unrelated)):
        if not values:  # a single conclusion has no other
            continue
        passed = {limit: f"{sum(value >= limit for value in values) / len(values):.1%}" for limit in THRESHOLDS}
        print(f"{what}, of {len(values):,}:", passed)


def trees(structure: StepStructure, path: Path) -> Iterator[tuple[dict[str, str], Tree]]:
    for row in load(path, task=get_task("entailment_bank")).examples:
        gold = structure.parse(row.references[0].text, row.fields) if row.references else None
        if gold is not None:
            yield row.fields, gold


if __name__ == "__main__":
    main()
