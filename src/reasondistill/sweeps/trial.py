"""One trial of a sweep, from its configuration to its results; finished steps are not repeated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from reasondistill.config import EvaluateOptions, Source, with_values
from reasondistill.contracts.records import outside, read_predictions
from reasondistill.contracts.run import RUN_FILE
from reasondistill.data import load_source
from reasondistill.errors import CheckpointError, ConfigError, StoppedError
from reasondistill.evaluation import evaluate_whole, save
from reasondistill.evaluation.reference_teachers import named
from reasondistill.evaluation.support import as_judge
from reasondistill.runs import Run
from reasondistill.students.prediction_files import predict_file
from reasondistill.students.student import Student
from reasondistill.sweeps.grid import Sweep, Trial
from reasondistill.sweeps.settings import Scored
from reasondistill.sweeps.state import claimed, finished, forget_failure, record_failure, run_of


def run_trial(sweep: Sweep, trial: Trial, *, progress: Callable[[str], None] = lambda stage: None) -> None:
    """Train, predict and evaluate; a stopped trial resumes from its last checkpoint or row.

    The reason for a failure is recorded in the sweep's folder.

    Raises:
        BusyError: another process is running it.
        UserError, Exception: whatever the training or the evaluation raises.
    """
    with claimed(sweep, trial):
        if finished(sweep, trial):
            progress("finished already")
            return
        forget_failure(sweep, trial)
        try:
            _run(sweep, trial, progress)
        except (StoppedError, KeyboardInterrupt):
            raise
        except BaseException as error:
            record_failure(sweep, trial, f"{type(error).__name__}: {error}")
            raise


def check_trainings(sweep: Sweep) -> None:
    """Check each variant's configuration as its training would; one seed stands for all.

    Raises:
        ConfigError: some are refused; all are named.
        MissingExtraError: an extra that one needs is not installed.
    """
    from reasondistill.training.train import check

    problems = []
    for variant, trials in sweep.variants.items():
        try:
            check(
                trials[0].config, lengths=trials[0].after is None
            )  # the student that it starts from does not exist yet
        except (ConfigError, CheckpointError) as error:
            problems.append(f"variant {variant}: {error}".replace("\n", "\n  "))
    if problems:
        raise ConfigError.gather(sweep.folder, problems)


def check_scored(sweep: Sweep) -> None:
    """Read the evaluation data: a mistake there would surface in every trial, after its training.

    Raises:
        DataError: a source, a split of it or a teacher's file is not usable.
    """
    tasks = {trial.config.task.model_dump_json(): trial.config.task for trial in sweep.trials}
    for scored in sweep.settings.evaluations:
        for task in tasks.values():
            named(scored.teachers, list(load_source(_source(scored), task, 0).examples))


def _source(scored: Scored) -> Source:
    return Source(**scored.model_dump(include={"source", "split", "limit", "columns", "fields"}))


def _run(sweep: Sweep, trial: Trial, progress: Callable[[str], None]) -> None:
    from reasondistill.training.train import train

    run = run_of(trial)
    if (
        trial.after is not None
        and not run.student.exists()
        and not (run.folder.parent / trial.after / "student").exists()
    ):
        raise ConfigError("after", expected=f"the finished student of {trial.after}", found="none", fix="Run it first.")
    begun = (run.folder / RUN_FILE).is_file()
    progress("resuming the training" if begun else "training")
    train(trial.config, resume=begun)
    student = Student.load(run.student)
    for scored in sweep.scored(trial):
        if not (run.results(scored.part) / "results.json").is_file():
            _score(student, scored, run, progress)


def _score(student: Student, scored: Scored, run: Run, progress: Callable[[str], None]) -> None:
    source = _source(scored)
    part = load_source(source, student.task, 0)
    everything = load_source(source.model_copy(update={"split": None, "limit": None}), student.task, 0)
    examples = list(part.examples)
    generation = student.generation
    if scored.num_beams is not None:
        generation = with_values(generation, {"num_beams": scored.num_beams}, where="num_beams")
    student = replace(student, generation=generation)
    progress(f"predicting {scored.part}, {len(examples):,} rows")
    file = predict_file(
        student,
        examples,
        run.predictions(scored.part),
        facts={"data": {"name": part.name, "split": scored.split, "fingerprint": part.fingerprint}},
        generation=generation,
    )
    predictions = list(read_predictions(file))
    evaluation = evaluate_whole(
        predictions,
        examples,
        task=student.task,
        name=part.name,
        split=scored.split,
        options=EvaluateOptions(
            bertscore=scored.bertscore,
            efficiency=scored.efficiency,
            faithfulness_limit=scored.faithfulness_limit,
        ),
        train_examples=outside(everything.examples, examples) or None,
        judge=as_judge(scored.judge),
        teachers=named(scored.teachers, examples),
        student=student,
        faithfulness=scored.faithfulness_limit is not None,
        unlimited_tests=True,
        made_by=student.fingerprint,
        progress=progress,
    )
    save(evaluation, run.results(scored.part))
