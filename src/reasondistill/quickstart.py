"""The whole way on built-in data, in one call that can be stopped and called again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from reasondistill.config import TrainConfig, load_config
from reasondistill.contracts.results import Results
from reasondistill.contracts.run import RUN_FILE
from reasondistill.errors import MissingExtraError
from reasondistill.storage.files import require_new_folder

_DATA = "scenes"


class Quickstart(NamedTuple):
    """What came of it."""

    run: Path
    results: Results
    report: Path


def quickstart_config(out: Path, *, shuffle_labels: bool = False) -> TrainConfig:
    """The configuration of the quickstart, with its run below ``out``."""
    packaged = resources.files("reasondistill") / "builtin" / "quickstart.yaml"
    with resources.as_file(packaged) as path:
        config = load_config(TrainConfig, path)
    name = f"{config.name}_shuffled" if shuffle_labels else config.name
    data = config.data.model_copy(update={"shuffle_labels": shuffle_labels})
    return config.model_copy(update={"name": name, "runs_dir": str(out), "data": data})


def run_quickstart(
    out: Path,
    *,
    shuffle_labels: bool = False,
    say: Callable[[str], None],
    progress: Callable[[str, int], AbstractContextManager[Callable[[int], None]]],
) -> Quickstart:
    """Train, predict the test part, evaluate and report; stages whose files are there are not done again.

    Args:
        say: gets a line of plain text on what is begun.
        progress: gives, for a title and a total, what takes how much of it is done.

    Raises:
        MissingExtraError: PyTorch or transformers is not installed.
        UserError: a file in the way, or of another student.
    """
    config = quickstart_config(out, shuffle_labels=shuffle_labels)
    begun = (out / config.name / RUN_FILE).is_file()
    if not begun:
        require_new_folder(out / config.name)
    from reasondistill.contracts.records import read_predictions
    from reasondistill.data import load
    from reasondistill.evaluation import evaluate, save
    from reasondistill.reporting import build_report
    from reasondistill.students.student import Student, predict_file

    try:
        from reasondistill.judges import Judge
        from reasondistill.training.train import train
    except ImportError as error:
        raise MissingExtraError("the quickstart", "train") from error

    source = config.data.train_sources[0]

    def part(split: str) -> Any:
        return load(_DATA, split=split, size=source.size, seed=config.seed)

    say(f"train {out / config.name}{' (there already: going on from it)' if begun else ''}")
    run = train(config, resume=begun)
    test = part("test")
    student = Student.load(run.student)
    with progress("predict", len(test.examples)) as advance:
        predictions = predict_file(
            student,
            test.examples,
            run.predictions("test"),
            facts={"data": {"name": test.name, "split": "test", "fingerprint": test.fingerprint}},
            progress=advance,
        )
    results_file = run.results("test") / "results.json"
    if not results_file.exists():
        say("evaluate the test part")
        evaluation = evaluate(
            read_predictions(predictions),
            test.examples,
            name=test.name,
            split="test",
            train_examples=part("train").examples,
            judge=Judge.load("builtin:scenes"),
            made_by=student.fingerprint,
        )
        save(evaluation, run.results("test"))
    report = build_report([run.folder], run.folder)
    return Quickstart(run.folder, Results.load(results_file), report.html)
