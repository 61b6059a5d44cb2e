"""Four systems' explanations of e-SNLI pairs on the same rows and references, with a judge, and paired tests.

    python benchmarks/esnli_evidence.py DATA --nile FILE --student PREDICTIONS --judge JUDGE --out DIR [--split test]

DATA is e-SNLI's official file with three explanations a pair. The first is taken out and scored as a system of its own
(``human``), beside NILE's explanation of the gold label (FILE: its generators' output, ``{"pairID", "explanations":
{label: text}}``), the copied hypothesis, and a student's predictions; the references are the second and third. So all
four are held against the same two references, none of them its own. Human, NILE and the copy are given the gold label,
the student is not. Writes DIR/NAME/ as `evaluate` does and DIR/comparison/ as `compare` does, and prints the tables.
Rows whose pair has fewer than three explanations are left out, and counted.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from nile_as_predictions import gold_explanations
from reasondistill.comparison import compare, load_systems
from reasondistill.contracts.records import Example, Prediction, read_predictions
from reasondistill.data import load
from reasondistill.evaluation import evaluate, save
from reasondistill.judges import Judge
from reasondistill.reporting.pages.comparison import write_comparison

SHOWN = ("label_accuracy", "rougeL", "bleu", "chrf", "bertscore_f1", "support", "copy_rate")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--nile", type=Path, required=True)
    parser.add_argument("--student", type=Path, required=True)
    parser.add_argument("--judge", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--split", default="test")
    options = parser.parse_args()

    everything = list(load(options.data, split=options.split).examples)
    full = [e for e in everything if len(e.references) == 3]
    print(f"{len(full)} rows; {len(everything) - len(full)} with fewer than three explanations left out")
    rows = [e.model_copy(update={"explanations": e.explanations[1:]}) for e in full]
    nile = {p.id: p for p in gold_explanations(options.nile, rows)}
    student = {p.id: p for p in read_predictions(options.student)}
    first = {e.id: e.references[0].text for e in full}
    systems: dict[str, Callable[[Example], Prediction]] = {
        "student": lambda e: student[e.id],
        "human": lambda e: Prediction(id=e.id, label=e.label, explanation=first[e.id]),
        "nile": lambda e: nile[e.id],
        "copied": lambda e: Prediction(id=e.id, label=e.label, explanation=e.fields["hypothesis"]),
    }
    judge = Judge.load(options.judge)
    for name, system in systems.items():
        if (options.out / name).exists():
            continue
        evaluation = evaluate(
            [system(e) for e in rows], rows, name=options.data.stem, split=options.split, judge=judge, progress=print
        )
        save(evaluation, options.out / name)
        figures = evaluation.results.metrics
        print(name, {m: (round(figures[m].value, 3), figures[m].ci95) for m in SHOWN if m in figures})
        print("fooled:", evaluation.results.settings["fooled"])
    comparison = compare(load_systems([str(options.out / name) for name in systems]), all_pairs=True)
    write_comparison(comparison, options.out / "comparison")
    print((options.out / "comparison" / "final_report.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
