"""What an update learns and what it forgets, by strategy: `scenes` of people, then scenes of animals, with new reasons.

    python benchmarks/continual.py out                    # three seeds, every strategy
    python benchmarks/continual.py out --only naive "replay 5%" --seeds 2

A small T5 learns scenes of people from random weights. It then goes on with fewer scenes of animals, whose kinds, fur
and reasons it has never seen, once with each strategy. `joint` learns everything again beside them: the ceiling, and
what it costs. All are scored on the same held-out premises of both worlds.

Each score is a file in out/scores, and the table is made of all that are there: run again, it goes on from them, and
several seeds can be run at the same time into one folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from pydantic import BaseModel

WORLDS = "scenes of people, then of animals"
ANIMALS = ("animal", "dog", "cat", "poodle", "terrier", "kitten", "tomcat")
STRATEGIES: Mapping[str, Mapping[str, Any]] = {
    "naive": {},
    "joint": {"replay": 1.0},
    "replay 1%": {"replay": 0.01},
    "replay 5%": {"replay": 0.05},
    "replay 20%": {"replay": 0.2},
    "replay 50%": {"replay": 0.5},
    "self-replay": {"self_replay": True},
    "distillation": {"distillation": 1.0},
    "distillation, replay 5%": {"distillation": 1.0, "replay": 0.05},
    "LoRA": {"lora": {"r": 8, "target_modules": ["q", "v"]}},
    "EWC": {"ewc": 0.001},
}
METRICS = ("label_accuracy", "rougeL", "support", "ece")


class Score(BaseModel):
    """What one update of one seed came to; figures on held-out test rows, of the parent and of the student."""

    strategy: str
    seed: int
    published: bool
    old: dict[str, tuple[float, float]]
    new: dict[str, tuple[float, float]]
    seconds: float
    steps: int


def worlds(folder: Path, scenes: int, new_rows: int) -> dict[str, Path]:
    """Files of the old world, of the new one, and of texts of the old one without any label."""
    from reasondistill.contracts.records import Example, write_records
    from reasondistill.data.scenes import generate

    def of_animals(example: Example) -> bool:
        return any(word in ANIMALS for word in example.fields["premise"].lower().strip(".").split())

    rows = generate(scenes, seed=11)
    new = [example for example in rows if of_animals(example)]
    held = [example for example in new if example.split != "train"]
    files = {
        "old": [example for example in rows if not of_animals(example)],
        "new": [example for example in new if example.split == "train"][:new_rows] + held,
    }
    # Other texts of the old world: a real user has some that nobody labelled.
    texts = [example for example in generate(scenes // 10, seed=12) if not of_animals(example)]
    files["texts"] = [e.model_copy(update={"label": None, "explanations": (), "split": None}) for e in texts]
    paths = {name: folder / f"{name}.jsonl" for name in files}
    for name, path in paths.items():
        if not path.exists():
            write_records(path, files[name])
    return paths


def configuration(options: argparse.Namespace, data: Path, seed: int) -> dict[str, Any]:
    every = max(1, options.steps // 4)
    return {
        "name": f"parent-{seed}",
        "runs_dir": str(options.out / "runs"),
        "seed": seed,
        "max_source_length": 64,
        "max_target_length": 48,
        "data": {
            "train": {"source": str(data), "split": "train"},
            "validation": {"source": str(data), "split": "validation", "limit": 300},
            "explanations_per_example": 1,
        },
        "student": {"kind": "scratch", "d_model": options.width, "d_ff": 2 * options.width, "vocab_size": 1000},
        "training": {
            "max_steps": options.steps,
            "per_device_train_batch_size": 64,
            "per_device_eval_batch_size": 64,
            "learning_rate": 3e-3,
            "lr_scheduler_type": "linear",
            "warmup_steps": 50,
            "logging_steps": 50,
            "eval_strategy": "steps",
            "eval_steps": every,
            "save_strategy": "steps",
            "save_steps": every,
            "save_total_limit": 1,
            "load_best_model_at_end": True,
            "metric_for_best_model": "both",
            "report_to": "none",
        },
        "generation": {"num_beams": 1, "repetition_penalty": 1.0, "length_penalty": 1.0, "max_new_tokens": 40},
    }


def trained_parent(options: argparse.Namespace, data: Path, seed: int) -> Any:
    import reasondistill as rd
    from reasondistill.config import TrainConfig

    config = TrainConfig.model_validate(configuration(options, data, seed))
    begun = (Path(config.runs_dir) / config.name / "run.json").is_file()
    return rd.train(config, resume=begun)


def scores(options: argparse.Namespace) -> Iterator[tuple[Path, Score]]:
    """The scores that are not there yet, and their files."""
    (options.out / "scores").mkdir(parents=True, exist_ok=True)
    files = worlds(options.out, options.scenes, options.new_rows)
    for seed in options.seeds:
        places = {strategy: options.out / "scores" / f"{run_name(strategy, seed)}.json" for strategy in options.only}
        missing = {strategy: place for strategy, place in places.items() if not place.exists()}
        if missing:
            parent = trained_parent(options, files["old"], seed)
        for strategy, place in missing.items():
            yield place, updated(options, parent, files, strategy, seed)


def run_name(strategy: str, seed: int) -> str:
    return f"{strategy.replace('%', '').replace(', ', '-').replace(' ', '-')}-{seed}"


def updated(options: argparse.Namespace, parent: Any, files: Mapping[str, Path], strategy: str, seed: int) -> Score:
    import reasondistill as rd

    how = dict(STRATEGIES[strategy])
    if how.pop("self_replay", False):
        how["self_replay"] = str(files["texts"])
    run, record = rd.update(
        parent,
        str(files["new"]),
        name=run_name(strategy, seed),
        judge=None if options.no_judge else "builtin:scenes",
        training={"learning_rate": options.learning_rate, "report_to": "none"},
        update={"limit": options.limit},
        **how,
    )
    sets = {tested.kind: tested for tested in record.sets if tested.split == "test"}
    return Score(
        strategy=strategy,
        seed=seed,
        published=record.published,
        old=_figures(sets["kept"]),
        new=_figures(sets["new"]),
        seconds=record.seconds["training"],
        steps=run.info().steps or 0,
    )


def _figures(tested: Any) -> dict[str, tuple[float, float]]:
    return {figure.metric: (figure.parent, figure.child) for figure in tested.figures if figure.label is None}


def table(found: Sequence[Score]) -> list[str]:
    """Means over the seeds: what is lost of the old world, in points, and which share of joint's gain is made.

    In brackets the seed that lost most. A share is of the means, as a single seed's gain may be near 0.
    """
    lines = [
        "| strategy | seeds | old accuracy | lost | old ROUGE-L | lost | new accuracy | of joint's gain | new ROUGE-L "
        "| of joint's gain | published | steps | seconds |",
        "|" + "---|" * 13,
    ]
    for strategy in dict.fromkeys(score.strategy for score in found):
        of = [score for score in found if score.strategy == strategy]
        ceiling = [score for score in found if score.strategy == "joint" and score.seed in {s.seed for s in of}]
        cells = [strategy, str(len(of))]
        for metric in ("label_accuracy", "rougeL"):
            lost = [100 * (start - end) for start, end in (s.old[metric] for s in of)]
            cells += [f"{fmean(s.old[metric][1] for s in of):.3f}", f"{fmean(lost):+.1f} ({max(lost):+.1f})"]
        for metric in ("label_accuracy", "rougeL"):
            whole = _gain(ceiling, metric) if len(ceiling) == len(of) else 0.0
            share = f"{_gain(of, metric) / whole:.0%}" if whole > 0 else "–"
            cells += [f"{fmean(s.new[metric][1] for s in of):.3f}", share]
        cells += [f"{sum(s.published for s in of)}", f"{fmean(s.steps for s in of):,.0f}"]
        lines.append(f"| {' | '.join(cells)} | {fmean(s.seconds for s in of):,.0f} |")
    return lines


def _gain(of: Sequence[Score], metric: str) -> float:
    return fmean(s.new[metric][1] - s.new[metric][0] for s in of)


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="a folder for the data, the runs and the scores")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], metavar="SEED")
    parser.add_argument("--only", nargs="+", choices=STRATEGIES, default=list(STRATEGIES), metavar="STRATEGY")
    parser.add_argument("--scenes", type=int, default=6000)
    parser.add_argument("--new-rows", type=int, default=400, help="rows of the new world to learn from")
    parser.add_argument("--steps", type=int, default=500, help="of the parent, of 64 rows")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="of the updates")
    parser.add_argument("--limit", type=int, default=300, help="rows of each held-out set to answer")
    parser.add_argument("--no-judge", action="store_true")
    return parser.parse_args(arguments)


def main() -> None:
    from reasondistill.storage.files import write_json

    chosen = options()
    for place, score in scores(chosen):
        write_json(place, score.model_dump(mode="json"))
        print(score.model_dump_json(), flush=True)
    there = [Score.model_validate_json(file.read_bytes()) for file in sorted((chosen.out / "scores").glob("*.json"))]
    print("\n".join(table(sorted(there, key=lambda score: list(STRATEGIES).index(score.strategy)))))


if __name__ == "__main__":
    main()
