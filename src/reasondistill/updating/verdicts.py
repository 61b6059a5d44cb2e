"""Training on new data, then a verdict: what parent and child answer to kept and new rows, side by side."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reasondistill.comparison.systems import System, load_system
from reasondistill.config import TrainConfig, Update
from reasondistill.contracts.base import DatasetInfo
from reasondistill.contracts.records import Prediction, read_predictions
from reasondistill.contracts.run import RUN_FILE
from reasondistill.contracts.update import UPDATE_FILE, AnsweredSet, UpdateRecord
from reasondistill.data import Loaded
from reasondistill.errors import NoSuchSplitError
from reasondistill.evaluation import evaluate, save
from reasondistill.run_data import Rows, RunData, require_same_config
from reasondistill.runs import Run
from reasondistill.storage.files import fingerprint
from reasondistill.students.prediction_files import predict_file
from reasondistill.students.student import Student
from reasondistill.tasks.task import Task
from reasondistill.training.continual.lineage import kept_sets
from reasondistill.training.progress import Watcher, unwatched
from reasondistill.updating.held_figures import GATED, figures, not_shown, sentence
from reasondistill.updating.planning import parent_of
from reasondistill.updating.task_matrix import baselines_of, matrices, reported

if TYPE_CHECKING:
    from reasondistill.judges import Judge


class Updated(NamedTuple):
    """A run that went on from another, and what it held."""

    run: Run
    record: UpdateRecord


class _Answering(NamedTuple):
    """The two students whose answers are compared, and how these are scored."""

    config: TrainConfig
    update: Update
    run: Run
    parent: Student
    child: Student
    judge: Judge | None
    progress: Callable[[str], None]


def carry_out(
    config: TrainConfig,
    *,
    data: Loaded | None = None,
    judge: Judge | None = None,
    publish_undecided: bool = False,
    watcher: Watcher = unwatched,
    progress: Callable[[str], None] = lambda stage: None,
) -> Updated:
    """Train as a configuration with a block ``update`` says, and hold the student to what its parent knew.

    Called again after a stop, it goes on: with the training, or with the answers that are not there yet. Under a
    launcher of several processes all of them train, and the first one tests.

    Args:
        data: as `training.train.train`.
        judge: gives explanations their support, which then has to be held too.
        publish_undecided: publish the student though its rows cannot show that all figures hold, if none fell; also
            one that was tested before.
        watcher: as `training.train.train`.
        progress: called with a sentence as each set is tested.

    Returns:
        The run, whose folder has ``update.json``; its student is published, or marked as not.

    Raises:
        UserError: as `training.train.train`; the configuration is no update; there is nothing to hold.
    """
    from reasondistill.training.process_group import joined_for
    from reasondistill.training.train import train

    parent_of(config)
    if judge is not None:
        judge.refuse_task(config.task)
    with joined_for(config) as processes:
        begun = processes.by_first(lambda: _begun(config))
        run = train(config, data=None if begun else data, resume=begun, watcher=watcher)
        record = processes.by_first(lambda: _judged(run, judge, progress, publish_undecided=publish_undecided))
    return Updated(run, record)


def _judged(run: Run, judge: Judge | None, progress: Callable[[str], None], *, publish_undecided: bool) -> UpdateRecord:
    """The record of a run that was trained: the one that is there, or of answers that are made now."""
    config, file = run.config(), run.folder / UPDATE_FILE
    assert config.update is not None  # `parent_of` refuses it, and a run keeps its configuration
    if file.is_file():
        record = UpdateRecord.load(file)
    else:
        parent = parent_of(config)
        answering = _Answering(config, config.update, run, Student.load(parent), Student.load(run), judge, progress)
        started = time.monotonic()
        sets = list(_tested(answering))
        record = _record(answering, parent, sets, round(time.monotonic() - started, 1))
    if publish_undecided and not record.published and record.undecided:
        record = record.model_copy(update={"published": True, "accepted": True})
    record.save(file)
    shutil.copyfile(file, run.student / UPDATE_FILE)
    return record


def _begun(config: TrainConfig) -> bool:
    """Whether there is a run of this name to go on with.

    Raises:
        OutputError: it was begun with another configuration.
    """
    require_same_config(config)
    return (Path(config.runs_dir) / config.name / RUN_FILE).is_file()


def _record(answering: _Answering, parent: Run, sets: list[AnsweredSet], seconds: float) -> UpdateRecord:
    run, config = answering.run, answering.config
    before = UpdateRecord.load(parent.folder / UPDATE_FILE) if (parent.folder / UPDATE_FILE).is_file() else None
    steps, tasks, filled = matrices(sets, parent.folder.name, run.folder.name, before)
    reasons = [sentence(tested, figure) for tested, figure in not_shown(sets)]
    strategy = answering.update.model_dump(mode="json")
    return UpdateRecord(
        published=not reasons,
        reasons=reasons,
        parent=str(parent.folder),
        parent_student=answering.parent.fingerprint,
        student=answering.child.fingerprint,
        strategy=strategy | {"lora": None if config.lora is None else config.lora.model_dump(mode="json")},
        sets=sets,
        steps=steps,
        tasks=tasks,
        baselines=(before.baselines if before else {})
        | {name: tested.baselines for name, tested in reported(sets).items()},
        matrices=filled,
        seconds={**run.info().timings, "testing": seconds},
    )


def _tested(answering: _Answering) -> Iterator[AnsweredSet]:
    """Kept sets first, then what is new; of each, the split that decides first."""
    for number, kept in enumerate(kept_sets(answering.config, answering.update), start=1):
        for place, rows in enumerate(kept.splits):
            selecting = 0 if place or kept.selection is None else len(kept.selection)
            yield _compared(answering, kept.name, rows, f"kept-{number}", decides=place == 0, selecting=selecting)
    for split in ("validation", "test"):
        with suppress(NoSuchSplitError):
            rows = RunData(answering.run).held_out(split)
            yield _compared(answering, answering.run.folder.name, rows, "new")


def _compared(
    answering: _Answering, name: str, rows: Rows, place: str, *, decides: bool = False, selecting: int = 0
) -> AnsweredSet:
    if answering.update.limit is not None:
        rows = rows.first(answering.update.limit)
    split = rows.split or "all"
    answering.progress(f"testing what is {'new' if place == 'new' else 'kept'}: {rows.loaded.name}, {split}")
    folder = answering.run.folder / "update" / f"{place}-{split}"
    parent, child = (
        _scored(answering, student, rows, folder, whose)
        for whose, student in (("parent", answering.parent), ("child", answering.child))
    )
    strongest = {name: child.results.strongest_baseline(name) for name in GATED}
    return AnsweredSet(
        name=name,
        kind="new" if place == "new" else "kept",
        split=rows.split,
        decides=decides,
        selecting=selecting,
        dataset=DatasetInfo.model_validate(child.results.dataset.model_dump()),
        results=(_relative(answering.run, parent), _relative(answering.run, child)),
        figures=figures(child, parent, answering.update),
        baselines=baselines_of({name: None if best is None else best[1] for name, best in strongest.items()}),
    )


def _scored(answering: _Answering, student: Student, rows: Rows, folder: Path, name: str) -> System:
    """A student's answers to rows, and their scores, made now where they are not there."""
    results = folder / name
    # A parent is asked once for all its updates; its answers stay in its run.
    file = parent_of(answering.config).predictions(f"kept-{fingerprint(rows.facts)[:12]}")
    if name == "child":
        file = folder / f"{name}.jsonl"
    if name == "child" and folder.name.startswith("new-"):  # what `predict` and `evaluate` would make of the run
        file, results = answering.run.predictions(rows.split or "all"), answering.run.results(rows.split or "all")
    if not (results / "results.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        examples = list(rows.loaded.examples)
        predict_file(student, examples, file, facts={"data": rows.facts}, generation=answering.child.generation)
        evaluation = evaluate(
            _over_all_labels(read_predictions(file), answering.config.task),
            examples,
            task=answering.config.task,
            name=rows.loaded.name,
            split=rows.split,
            settings=answering.config.evaluation.model_copy(update={"bertscore": False}),
            judge=answering.judge,
            made_by=student.fingerprint,
        )
        save(evaluation, results)
    return load_system(results, name)


def _over_all_labels(answers: Iterable[Prediction], task: Task) -> list[Prediction]:
    """Answers of a student that does not know all labels of a task: those that it lacks have probability 0."""
    lacking = dict.fromkeys(task.labels or (), 0.0)
    return [
        answer.model_copy(update={"probabilities": lacking | answer.probabilities}) if answer.probabilities else answer
        for answer in answers
    ]


def _relative(run: Run, system: System) -> str:
    return system.folder.relative_to(run.folder).as_posix()
