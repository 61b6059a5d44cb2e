"""What the prover proves, and how often it is right: e-SNLI's dev, MED, NILE's and GPT-3's explanations; and its speed.

    REASONDISTILL_DATA=… python benchmarks/proofs.py

The prover was tuned on the train part of dev alone (split by sha256 of the image); the figures are of its test part.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from reasondistill.contracts.records import Example, Prediction
from reasondistill.data import load
from reasondistill.evaluation.proved_answers import Verified, verify
from reasondistill.metrics.statistics import GroupBootstrap, mean
from reasondistill.tasks.task import get_task
from reasondistill.verification import PairProver

NLI = get_task("nli")


def shown(value: float, bounds: tuple[float, float] | None, n: int) -> str:
    """A share with its interval and the rows behind it."""
    within = "" if bounds is None else f" [{bounds[0]:.1%}, {bounds[1]:.1%}]"
    return f"{value:.1%}{within}, n = {n:,}"


def of_dev(data: Path, split: str, prover: PairProver) -> Verified:
    """Gold labels as answers: coverage and precision by label."""
    rows = load(str(data / "e-snli" / "esnli_dev.csv"), split=split, task=NLI)
    answers = [Prediction(id=example.id, label=example.label) for example in rows.examples]
    verified = verify(answers, rows.examples, task=NLI, name="e-SNLI dev", split=split, prover=prover)
    summary = verified.summary
    print(f"e-SNLI dev, {split} part: {len(verified.rows):,} pairs, read {summary.read.value:.1%}")
    for label, figures in summary.labels.items():
        for title, figure in (("proved", figures.proved), ("right", figures.right), ("of gold rows", figures.recall)):
            if figure is not None:
                print(f"  {label:14} {title:13} {shown(figure.value, figure.ci95, figure.n)}")
    return verified


def of_nile(data: Path, verified: Verified) -> None:
    """Answers for all three labels: how often a right one and a wrong one is verified or in conflict."""
    rows = {row.id: row for row in verified.rows}
    counts: Counter[tuple[bool, str]] = Counter()
    with (data / "teachers" / "nile_gpt2_dev.jsonl").open(encoding="utf-8") as stream:
        for line in stream:
            answer = json.loads(line)
            row = rows.get(answer["pairID"])
            for label in answer["explanations"] if row is not None else ():
                assert row is not None
                verdict = "unknown" if row.proved is None else "verified" if row.proved == label else "conflict"
                counts[label == row.gold, verdict] += 1
    for right in (True, False):
        total = sum(n for (is_right, _), n in counts.items() if is_right == right)
        shares = ", ".join(f"{verdict} {counts[right, verdict] / total:.1%}" for verdict in ("verified", "conflict"))
        print(f"NILE, explanations of {'the gold label' if right else 'another label'}: {shares}, n = {total:,}")


def of_gpt3(data: Path, prover: PairProver) -> None:
    """How acceptable people found explanations of pairs whose label is verified, and of the others."""
    votes: dict[str, list[float]] = {"verified": [], "conflict": [], "unknown": []}
    with (data / "teachers" / "gpt3_snli_train.jsonl").open(encoding="utf-8") as stream:
        for line in stream:
            row = json.loads(line)
            proof = prover.outcome(row["premise"], row["hypothesis"]).proof
            verdict = "unknown" if proof is None else "verified" if proof.conclusion == row["label"] else "conflict"
            votes[verdict] += [one["acceptable_votes"] / row["annotators"] for one in row["explanations"]]
    for verdict, values in votes.items():
        if values:
            print(
                f"GPT-3, {verdict}: mean acceptability {sum(values) / len(values):.3f} of {len(values):,} explanations"
            )


def of_med(data: Path, prover: PairProver) -> None:
    """Monotonicity: entailment against neutral, by the direction of the inference."""
    with (data / "med" / "MED.tsv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    kinds: dict[str, Callable[[str], bool]] = {
        "all": lambda genre: True,
        "upward": lambda genre: "upward" in genre,
        "downward": lambda genre: "downward" in genre,
        "non-monotone": lambda genre: "non_monotone" in genre,
    }
    outcomes = [(row, prover.outcome(row["sentence1"], row["sentence2"])) for row in rows]
    for name, belongs in kinds.items():
        chosen = [(row, outcome) for row, outcome in outcomes if belongs(row["genre"])]
        report_med(f"MED, {name}", [(row["gold_label"], outcome.proof is not None and
                   outcome.proof.conclusion == "entailment") for row, outcome in chosen])  # fmt: skip


def report_med(title: str, pairs: Iterable[tuple[str, bool]]) -> None:
    """How much is proved and how much of it is right."""
    pairs = list(pairs)
    proved = [gold == "entailment" for gold, is_proved in pairs if is_proved]
    entailed = sum(gold == "entailment" for gold, _ in pairs)
    bootstrap = GroupBootstrap(list(range(len(proved))))
    right = mean([float(value) for value in proved], bootstrap) if proved else None
    text = "–" if right is None else shown(right.value, right.ci95, right.n)
    print(f"{title}: {len(pairs):,} pairs, {entailed:,} entailed; entailment proved for {len(proved):,}, right {text}")


def of_hybrid(data: Path, prover: PairProver) -> None:
    """A weak student, logistic regression on words that was fitted on the train part, alone and with the prover."""
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import SGDClassifier

    def features(example: Example) -> dict[str, int]:
        premise, hypothesis = (set(example.fields[name].lower().rstrip(".").split()) for name in NLI.fields)
        new = {f"new {word}": 1 for word in hypothesis - premise}
        return {**{f"h {word}": 1 for word in hypothesis}, **new, "n new": len(new), "length": len(hypothesis)}

    parts = {
        split: load(str(data / "e-snli" / "esnli_dev.csv"), split=split, task=NLI).examples
        for split in ("train", "test")
    }
    words = DictVectorizer()

    def matrix(found: Any) -> Any:  # scikit-learn's own vectorizer may give indices that its models do not take
        found.indices, found.indptr = found.indices.astype("int32"), found.indptr.astype("int32")
        return found

    model = SGDClassifier(loss="log_loss", alpha=3e-4, max_iter=30, tol=None, random_state=0)
    model.fit(matrix(words.fit_transform(map(features, parts["train"]))), [example.label for example in parts["train"]])
    probabilities = model.predict_proba(matrix(words.transform(map(features, parts["test"]))))
    answers = []
    for example, row in zip(parts["test"], probabilities, strict=True):
        by_label = {str(label): float(p) for label, p in zip(model.classes_, row, strict=True)}
        answers.append(Prediction(id=example.id, label=max(by_label, key=by_label.__getitem__), probabilities=by_label))
    summary = verify(answers, parts["test"], task=NLI, name="e-SNLI dev", split="test", prover=prover).summary
    print(f"a weak student: verified {summary.verified.value:.1%}, conflict {summary.conflict.value:.1%}")
    for title, figure in (
        ("right where verified", summary.verified_right),
        ("proof right in conflict", summary.conflict_right),
    ):
        if figure is not None:
            print(f"  {title:32} {shown(figure.value, figure.ci95, figure.n)}")
    for name, value in summary.hybrid or ():
        if value is not None:
            print(f"  {name.replace('_', ' '):32} {shown(value.value, value.ci95, value.n)}")


def of_speed(data: Path) -> None:
    """Pairs a second on one core, and how long the lexicon takes to load, in processor time."""
    start = time.process_time()
    prover = PairProver()
    loaded = time.process_time() - start
    rows = load(str(data / "e-snli" / "esnli_dev.csv"), task=NLI)
    pairs = [(example.fields["premise"], example.fields["hypothesis"]) for example in rows.examples]
    start = time.process_time()
    for pair in pairs:
        prover.outcome(*pair)
    speed = len(pairs) / (time.process_time() - start)
    print(f"speed: {speed:,.0f} pairs a second of {len(pairs):,} new ones; a new prover in {loaded:.2f} s")


def main() -> None:
    folder = os.environ.get("REASONDISTILL_DATA")
    if folder is None:
        sys.exit("REASONDISTILL_DATA: expected the folder with e-snli, med and teachers; found none")
    data = Path(folder)
    of_speed(data)  # first, while nothing is loaded
    prover = PairProver()
    verified = of_dev(data, "test", prover)
    of_hybrid(data, prover)
    of_nile(data, verified)
    of_gpt3(data, prover)
    of_med(data, prover)


if __name__ == "__main__":
    main()
