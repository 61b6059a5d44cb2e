"""The text metrics beside the naive use of the same libraries: how many times faster, and are the numbers the same?

    python benchmarks/text_metrics.py [--data esnli_dev.csv --predictions FILE] [--rows 9842] [--json FILE]

Naive is what the libraries' own examples lead to: `RougeScorer.score` and `BERTScorer.score` for each explanation and
each of its references, the encoder loaded once, every text encoded whenever it comes; sacrebleu over the corpus. Ours
is what `evaluate` uses, `ExplanationScorer`, in three states of the cache folder:

    cold        nothing is known
    references  the references' vectors are known: another system on the same data, what is measured most often
    warm        all scores are known: the same explanations once more

Both are run here and now, on the same rows, one after the other, with the same threads. Seconds of processor time are
shown beside those of the clock: on a busy machine the former tell more. Ends with status 1 where a number differs:
ROUGE, BLEU and chrF must be equal to the last bit, BERTScore within 1e-5 (float32; a sum's order depends on a matrix's
shape). Needs the extras `train` and `offline`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Rows = list[tuple[str, list[str]]]  # an explanation and its references
Seconds = dict[str, float]  # by KINDS

LARGEST_DIFFERENCE = 1e-5
STATES = ("cold", "references", "warm")
PARTS = ("overlap", "bertscore")  # ROUGE, BLEU and chrF are one pass over the rows of ours
KINDS = ("processor", "clock")


def scenes(rows: int, references: int) -> Rows:
    """Built-in scenes; a row's explanation is one of the next row with its label. Texts recur more than in prose."""
    from reasondistill.data.scenes import generate

    examples = generate(rows + 9, seed=1)
    pairs = []
    for k, example in enumerate(examples[:rows]):
        other = next(e for e in examples[k + 1 :] if e.label == example.label)
        pairs.append((other.references[-1].text, [e.text for e in example.references[:references]]))
    return pairs


def from_files(data: Path, predictions: Path, rows: int, references: int) -> Rows:
    """Explanations of the rows of a data set: a predictions file, or one with an explanation for each label."""
    from reasondistill.data import load
    from reasondistill.storage.files import read_jsonl

    explained = {row.get("id", row.get("pairID")): row for _, row in read_jsonl(predictions)}
    pairs: list[tuple[str, list[str]]] = []
    for example in load(data).examples:
        if (row := explained.get(example.id)) is not None and len(pairs) < rows:
            text = row["explanations"][example.label] if "explanations" in row else row["explanation"]
            pairs.append((text, [e.text for e in example.references[:references]]))
    return [(text, texts) for text, texts in pairs if text.strip() and texts and all(t.strip() for t in texts)]


def timed(function: Callable[[], T]) -> tuple[T, Seconds]:
    clock, processor = time.perf_counter(), time.process_time()
    result = function()
    return result, {"clock": time.perf_counter() - clock, "processor": time.process_time() - processor}


def naive(rows: Rows, bert: Any, say: Callable[[str], None]) -> tuple[dict[str, Any], dict[str, Seconds]]:
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
    bleu, chrf = BLEU(lowercase=True, tokenize="13a", force=True), CHRF()

    def rouge() -> list[dict[str, float]]:
        scores = []
        for text, references in rows:
            pairs = [scorer.score(reference, text) for reference in references]
            scores.append({name: max(pair[name].fmeasure for pair in pairs) for name in pairs[0]})
        return scores

    def corpus() -> dict[str, float]:
        most = max(len(references) for _, references in rows)
        streams = [[r[k] if k < len(r) else None for _, r in rows] for k in range(most)]
        texts = [text for text, _ in rows]
        # sacrebleu takes None where a row has fewer references; its types do not say so.
        bleu_score, chrf_score = (metric.corpus_score(texts, streams).score for metric in (bleu, chrf))  # type: ignore[arg-type]
        return {"bleu": bleu_score, "chrf": chrf_score}

    def bertscore() -> list[float]:
        best = []
        for k, (text, references) in enumerate(rows):
            if k % 500 == 0:
                say(f"naive BERTScore: {k:,} of {len(rows):,} rows")
            best.append(max(bert.score([text], [reference])[2].item() for reference in references))
        return best

    (figures, of_corpus), overlap_seconds = timed(lambda: (rouge(), corpus()))
    best, bert_seconds = timed(bertscore)
    return {"rouge": figures, "bleu_chrf": of_corpus, "bertscore": best}, {
        "overlap": overlap_seconds,
        "bertscore": bert_seconds,
    }


class Timed:
    """A BERTScore encoder that remembers how long it took."""

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder
        self.seconds = dict.fromkeys(KINDS, 0.0)

    def score(self, *arguments: Any) -> Any:
        scores, seconds = timed(lambda: self.encoder.score(*arguments))
        self.seconds = {kind: self.seconds[kind] + seconds[kind] for kind in KINDS}
        return scores


def ours(rows: Rows, encoder: Any) -> tuple[dict[str, Any], dict[str, Seconds]]:
    from reasondistill.metrics.explanations import Compared, ExplanationScorer

    compared = [Compared(text, references, {}) for text, references in rows]
    bert: Any = Timed(encoder)

    def score() -> tuple[list[dict[str, float | None]], dict[str, float]]:
        scorer = ExplanationScorer(compared, how="max", stemmer=True, bertscore=bert)
        overlaps = [scorer.overlap(row) for row in compared]
        counts = scorer.table(compared)
        return overlaps, {name: metric.score(counts[name].sum(axis=0)) for name, metric in scorer.corpus.items()}

    (overlaps, corpus), seconds = timed(score)
    return {
        "rouge": [{name: row[name] for name in ("rouge1", "rouge2", "rougeL")} for row in overlaps],
        "bleu_chrf": corpus,
        "bertscore": [row["bertscore_f1"] for row in overlaps],
    }, {"overlap": {kind: seconds[kind] - bert.seconds[kind] for kind in KINDS}, "bertscore": bert.seconds}


def in_state(state: str, cache: Path) -> None:
    """Take out of the cache folder what is not known in that state; after a run everything is in it."""
    if state == "cold":
        shutil.rmtree(cache, ignore_errors=True)
    elif state == "references":
        for path in cache.iterdir():
            if path.stem != "bertscore-vectors":
                path.unlink()


def compare(rows: Rows, repeats: int, cache: Path, say: Callable[[str], None]) -> dict[str, Any]:
    from bert_score import BERTScorer

    from reasondistill.metrics.bertscore import DEFAULT_LAYER, BertScore, default_encoder

    os.environ["REASONDISTILL_CACHE"] = str(cache)
    plain = BERTScorer(model_type=str(default_encoder()), num_layers=DEFAULT_LAYER)
    encoder = BertScore()
    few = rows[: min(len(rows), 20)]
    naive(few, plain, lambda _: None)  # what is loaded and set up once is not what is compared
    ours(few, encoder)

    runs: dict[str, list[dict[str, Seconds]]] = {}
    results: dict[str, dict[str, Any]] = {}
    for state in STATES:
        for n in range(repeats):
            say(f"ours, {state}: {n + 1} of {repeats}")
            in_state(state, cache)
            results[state], seconds = ours(rows, encoder)
            runs.setdefault(state, []).append(seconds)
    results["naive"], seconds = naive(rows, plain, say)
    runs["naive"] = [seconds]
    differences = {
        state: max(abs(a - b) for a, b in zip(results[state]["bertscore"], results["naive"]["bertscore"], strict=True))
        for state in STATES
    }
    exact = {
        name: all(results[state][name] == results["naive"][name] for state in STATES) for name in ("rouge", "bleu_chrf")
    }
    kept = {path.stem: path.stat().st_size for path in sorted(cache.iterdir())}
    return {
        "seconds": {
            way: {kind: {part: [run[part][kind] for run in of_way] for part in PARTS} for kind in KINDS}
            for way, of_way in runs.items()
        },
        "exactly_equal": exact,
        "bertscore_largest_difference": differences,
        "identical": all(exact.values()) and max(differences.values()) < LARGEST_DIFFERENCE,
        "cache_bytes": kept,
    }


def totals(report: dict[str, Any], way: str, kind: str) -> list[float]:
    return [sum(run) for run in zip(*report["seconds"][way][kind].values(), strict=True)]


def print_table(report: dict[str, Any]) -> None:
    for kind in KINDS:
        print(f"\nseconds of {'processor time' if kind == 'processor' else 'the clock'}")
        print(f"{'':12}{'ROUGE, BLEU, chrF':>18}{'BERTScore':>11}{'all':>9}{'from – to':>18}{'times faster':>14}")
        for way in ("naive", *STATES):
            overlap, bert = (statistics.median(report["seconds"][way][kind][part]) for part in PARTS)
            every = totals(report, way, kind)
            spread = f"{min(every):.1f} – {max(every):.1f}" if len(every) > 1 else "once"
            faster = "" if way == "naive" else f"{report['times_faster'][kind][way]:.1f}"
            middle = statistics.median(every)
            print(f"{way:12}{overlap:18.1f}{bert:11.1f}{middle:9.1f}{spread:>18}{faster:>14}")
    print(f"\nROUGE equal to the last bit: {report['exactly_equal']['rouge']}")
    print(f"BLEU and chrF equal to the last bit: {report['exactly_equal']['bleu_chrf']}")
    print(f"largest difference of a row's BERTScore: {max(report['bertscore_largest_difference'].values()):.1e}")
    print("kept on disk: " + ", ".join(f"{kind} {size / 1e6:,.1f} MB" for kind, size in report["cache_bytes"].items()))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a data set with references, as `evaluate` reads it")
    parser.add_argument("--predictions", type=Path, help="explanations of its rows, .jsonl; built-in scenes otherwise")
    parser.add_argument("--rows", type=int, default=9842, help="the first so many; naively, each takes some 0.06 s")
    parser.add_argument("--references", type=int, default=3, help="of each row, at most")
    parser.add_argument("--repeats", type=int, default=3, help="of ours; the naive way is run once")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch, for both")
    parser.add_argument("--folder", type=Path, help="where the cache folder goes; a temporary place by default")
    parser.add_argument("--json", type=Path, help="also write every measurement there")
    options = parser.parse_args(arguments)
    if (options.data is None) != (options.predictions is None):
        parser.error("--data and --predictions come together")

    import torch

    torch.set_num_threads(options.threads)
    if options.data is None:
        rows = scenes(options.rows, options.references)
    else:
        rows = from_files(options.data, options.predictions, options.rows, options.references)
    # Most are shown again in the table; a reader of the JSON wants to know what was measured where.
    facts = {
        "rows": len(rows),
        "pairs": sum(len(references) for _, references in rows),
        "distinct_texts": len({text for explanation, references in rows for text in (explanation, *references)}),
        "source": "scenes" if options.data is None else f"{options.data.name}, {options.predictions.name}",
        "repeats": {"ours": options.repeats, "naive": 1},
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "load": [round(load, 1) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "processor": platform.processor() or platform.machine(),
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "versions": {
            name: version(name)
            for name in ("reasondistill", "rouge-score", "bert-score", "sacrebleu", "torch", "transformers", "numpy")
        },
    }
    print(
        f"{facts['rows']:,} rows of {facts['source']}, {facts['pairs']:,} pairs, {facts['distinct_texts']:,} distinct "
        f"texts; {facts['device']}, {facts['threads']} threads of {facts['cores']} cores, load {facts['load']}",
        flush=True,
    )
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        report = compare(rows, options.repeats, Path(temporary) / "cache", lambda line: print(line, file=sys.stderr))
    report = {**facts, **report}
    report["times_faster"] = {
        kind: {
            state: totals(report, "naive", kind)[0] / statistics.median(totals(report, state, kind)) for state in STATES
        }
        for kind in KINDS
    }
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print_table(report)
    return 0 if report["identical"] else 1


if __name__ == "__main__":
    sys.exit(main())
