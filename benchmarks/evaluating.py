"""How long `evaluate` takes for many predictions, stage by stage, and how much memory.

    python benchmarks/evaluating.py --rows 100000
    python benchmarks/evaluating.py --rows 10000 --profile     # the functions that take the time

The rows are made here: pairs of scenes with one reference or three, and predictions that are right, or nearly so. They
lie in two files, as a user's do, and the results are written: the memory is that of the whole way.
BERTScore is left out: an encoder takes the time, and takes it in proportion to the rows.
"""

from __future__ import annotations

import argparse
import cProfile
import hashlib
import json
import pstats
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from reasondistill.config import EvaluationSettings
from reasondistill.contracts.records import Example, Explanation, Prediction, write_records
from reasondistill.evaluation import evaluate
from reasondistill.evaluation.scorable import of_data
from reasondistill.tasks.task import NLI

_NOUNS = ["man", "woman", "girl", "boy", "dog", "horse", "cook", "singer", "farmer", "nurse"]
_VERBS = ["runs", "sleeps", "sings", "paints", "waits", "swims", "reads", "cooks"]
_PLACES = ["park", "kitchen", "street", "field", "harbour", "school", "market", "forest"]
_LABELS = ["entailment", "neutral", "contradiction"]


def draw(seed: object, n: int) -> int:
    """A number below ``n`` that a seed decides."""
    return int(hashlib.blake2b(repr(seed).encode(), digest_size=4).hexdigest(), 16) % n


def examples(rows: int) -> Iterator[Example]:
    """Pairs of sentences out of a few words, as captions are; three pairs share a premise."""
    for k in range(rows):
        noun, verb, place = (
            words[draw((k // 3, what), len(words))] for what, words in enumerate((_NOUNS, _VERBS, _PLACES))
        )
        other = _VERBS[draw((k, "other"), len(_VERBS))]
        label = _LABELS[k % 3]
        texts = [
            f"A {noun} who {verb} is a person in the {place}, and number {draw((k, i), 1000)} says so."
            for i in range(3 if k % 5 == 0 else 1)
        ]
        yield Example(
            id=f"row{k}",
            fields={"premise": f"A {noun} {verb} in the {place} {k // 3}.", "hypothesis": f"The {noun} {other} {k}."},
            label=label,
            explanations=tuple(Explanation(text=text, source="made") for text in texts),
            group=f"premise{k // 3}",
        )


def prediction(example: Example) -> Prediction:
    """Right for four rows of five; its explanation has every third word of another."""
    label = example.label if draw((example.id, "right"), 5) else _LABELS[draw(example.id, 3)]
    words = example.explanations[0].text.split()
    chosen = [_PLACES[draw((example.id, i), 8)] if i % 3 == 2 else word for i, word in enumerate(words)]
    rest = {name: 0.15 for name in _LABELS if name != label}
    return Prediction(id=example.id, label=label, probabilities={str(label): 0.7, **rest}, explanation=" ".join(chosen))


def memory() -> float:
    """GiB that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--profile", action="store_true", help="print the functions that take the most time")
    parser.add_argument("--out", type=Path, help="write the results there, to compare two versions")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        measure(Path(folder), options)


def measure(folder: Path, options: argparse.Namespace) -> None:
    """Make the files, score them and print what each stage takes."""
    data, answers = folder / "data.jsonl", folder / "predictions.jsonl"
    write_records(data, examples(options.rows))
    write_records(answers, (prediction(example) for example in examples(options.rows)))
    print(f"{options.rows:,} rows made; {memory():.2f} GiB")
    started = last = time.perf_counter()
    stage = "reading"

    def ended(following: str) -> None:
        nonlocal last, stage
        now = time.perf_counter()
        if stage.split(":")[0] != following.split(":")[0]:  # not each turn of one that counts
            print(f"{now - last:8.1f} s  {stage.split(':')[0]}; {memory():.2f} GiB", flush=True)
            last = now
        stage = following

    profiler = cProfile.Profile()
    if options.profile:
        profiler.enable()
    scored = of_data(answers, data)
    ended("pairing, labels")
    evaluation = evaluate(
        scored.answers,
        scored.examples,
        task=NLI,
        name=scored.name,
        settings=EvaluationSettings(bertscore=False),
        progress=ended,
    )
    ended("writing")
    evaluation.save(folder / "results")
    profiler.disable()
    ended("")
    total = time.perf_counter() - started
    print(f"{total:8.1f} s in all, {1e6 * total / options.rows:,.0f} µs a row; {memory():.2f} GiB")
    if options.profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(45)
    if options.out is not None:
        options.out.write_text(json.dumps(evaluation.results.model_dump(mode="json"), indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
