"""What `import reasondistill` offers: functions that join the rooms, for objects in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from reasondistill.config import EvaluateOptions, FederateConfig, TrainConfig, federation_config
from reasondistill.data import load_dataset
from reasondistill.data.dataset_loading import Source
from reasondistill.errors import DataError
from reasondistill.evaluation import Evaluation, ReferenceTeacher, evaluate_whole
from reasondistill.evaluation.reference_teachers import named
from reasondistill.evaluation.scorable import Answers, of_data, of_run
from reasondistill.evaluation.support import as_judge
from reasondistill.run_data import run_meant
from reasondistill.runs import Run
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.students.student import Student
from reasondistill.tasks.task import NLI, Task
from reasondistill.training.progress import Watcher, unwatched

if TYPE_CHECKING:
    from reasondistill.comparison import Comparison
    from reasondistill.comparison.systems import AnySystem
    from reasondistill.data.audit import Audit
    from reasondistill.evaluation.proved_answers import Verified
    from reasondistill.exporting import Exported
    from reasondistill.judges import Judge
    from reasondistill.reporting import ReportFiles
    from reasondistill.sweeps.summary import Summary

Place: TypeAlias = str | PathLike[str]


def train(
    source: TrainConfig | Source,
    *,
    data: Source | None = None,
    student: str | Mapping[str, object] | None = None,
    name: str | None = None,
    out: Place | None = None,
    training: Mapping[str, object] | None = None,
    resume: bool = False,
    progress: Watcher = unwatched,
    **changes: object,
) -> Run:
    """Distil a student.

    >>> run = train([{"text": …, "category": …, "why": …}, …], student="scratch", training={"max_steps": 200})

    Args:
        source: what to learn from, as `load_dataset` takes it; or a whole configuration, as a YAML file or an object.
        data: with a configuration, what to learn from in place of its sources.
        student: without one: a short name (flan-t5-small, which is the default, flan-t5-base, flan-t5-large, minilm,
            scratch), a folder or a hub id, whose recipe says how it is trained; or the configuration's ``student``, as
            ``{"kind": "scratch", "d_model": 256}``, laid over the recipe of its kind.
        name: of the run.
        out: the folder of the run's folder; ``experiments/runs`` by default.
        training: arguments of transformers' trainer that differ from the recipe's, such as ``{"max_steps": 200}``.
        resume: go on with the run of this name.
        progress: called as the training begins and after each step; ``str`` of what it gets is a line.
        **changes: other keys of the configuration, such as ``order="explanation_first"``.

    Returns:
        the run, whose folder holds the student. Data in memory are kept there, as ``data.jsonl``.

    Raises:
        UserError: data, configuration or checkpoint are not usable, or there is a run of that name.
    """
    from reasondistill.training.planning import configured
    from reasondistill.training.train import train as run_training

    more: dict[str, object] = {**changes} | ({} if training is None else {"training": dict(training)})
    more |= {} if name is None else {"name": name}
    more |= {} if out is None else {"runs_dir": str(Path(out))}
    config, loaded = configured(source, data, student, more)
    return run_training(config, data=loaded, resume=resume, watcher=progress)


def evaluate(
    answers: Answers | Run,
    data: Source | None = None,
    *,
    student: Student | Run | Place | None = None,
    judge: Judge | Place | None = None,
    teachers: Iterable[ReferenceTeacher | str] | Mapping[str, str | None] = (),
    train: Source | None = None,
    name: str | None = None,
    split: str | None = None,
    faithfulness: bool | None = None,
    force: bool = False,
    progress: Callable[[str], None] = lambda stage: None,
    **options: object,
) -> Evaluation:
    """Score a system's answers.

    Args:
        answers: predictions, dictionaries with ``id``, ``label`` and ``explanation``, a file of them; or a run, whose
            student predicts what it has not predicted yet: then the results are kept in the run's folder too.
        data: the examples that were answered, as `load_dataset` takes them. A run knows its own.
        student: that gave the answers, or its folder: what it costs is measured, and its faithfulness is tested.
        judge: gives explanations their support: a judge, or its folder, or ``builtin:scenes``.
        teachers: to compare with: objects, names of sources of the data's explanations, or names with files.
        train: the training examples, where baselines find their templates.
        split: keep this split of ``data`` only; by default, of a run the test split, or else the validation split.
        faithfulness: test the student's faithfulness, which takes minutes; by default where ``student`` is given.
        force: replace results that the run has.
        **options: fields of `config.EvaluateOptions`, such as ``budget=60``; of a run, over those of its configuration.

    Raises:
        UserError: answers and data do not belong together, a part cannot be had, or the run has results already.
    """
    run = run_meant(answers) if data is None else None
    author = student if student is None or isinstance(student, Student) else Student.load(student)
    known = {} if run is None else run.evaluation_options()
    settings = validate_config(EvaluateOptions, known | options, where="the options of `evaluate`")
    if run is None:
        learned = None if train is None else load_dataset(train)
        scored = of_data(answers, data, student=author, train=learned, split=split)
    else:
        tested = bool((faithfulness and author is None) or options.get("efficiency"))
        scored = of_run(run, split, tested=tested, force=force)
    measured = author or scored.student
    evaluation = evaluate_whole(
        scored.answers,
        scored.examples,
        task=scored.task,
        name=name or scored.name,
        split=scored.split,
        options=settings,
        train_examples=scored.learned or None,
        judge=as_judge(settings.judge if judge is None else judge),
        teachers=named(teachers or settings.teachers or (), scored.examples),
        student=measured,
        faithfulness=measured is author if faithfulness is None else faithfulness,
        made_by=scored.made_by,
        learned_rows=scored.learned_rows,
        progress=progress,
    )
    if run is not None:
        evaluation.save(run.results(scored.split or "all"), force=force)
    return evaluation


def verify(
    answers: Answers | Run,
    data: Source | None = None,
    *,
    task: Task | None = None,
    relations: Place | None = None,
    proves: Mapping[str, str] | None = None,
    pair: Mapping[str, str] | None = None,
    fragment: str | None = None,
    split: str | None = None,
    name: str | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Verified:
    """Prove what can be proved of pairs of sentences, beside a system's labels.

    Args:
        answers: predictions, dictionaries with ``id`` and ``label``, a file of them; or a run, whose student predicts.
        data: the examples that were answered, as `load_dataset` takes them. A run knows its own.
        task: of the rows; by default the data's own.
        relations: a YAML file of relations between words that are laid over the shipped ones.
        proves: which labels proofs bear out, ``{"entailment": "yes"}``; by default those of the names.
        pair: which fields are the pair, ``{"premise": "text_a", "hypothesis": "text_b"}``.
        fragment: ``captions``, or ``scenes`` for the built-in set, whose every pair can be decided.
        split: which split of ``data``.
        progress: called with the number of pairs that are done.

    Raises:
        UserError: answers and data do not belong together, the task has no such fields or labels, or the relations
            cannot be read.
    """
    from reasondistill.evaluation import proved_answers

    if (run := run_meant(answers)) is not None and data is None:
        scored = of_run(run, split, tested=False, force=True)
    else:
        scored = of_data(answers, data, split=split, task=task)
    name, task = name or scored.name, task or scored.task or NLI
    prover = proved_answers.prover_for(fragment, name, None if relations is None else Path(relations))
    return proved_answers.verify(
        scored.answers,
        scored.examples,
        task=task,
        name=name,
        split=scored.split,
        prover=prover,
        labels=proved_answers.parse_roles(proves, pair, task, prover),
        progress=progress,
    )


def compare(
    systems: Sequence[AnySystem] | Mapping[str, AnySystem],
    *,
    out: Place | None = None,
    baseline: str | None = None,
    **options: Any,
) -> Comparison:
    """Test systems on the same rows in pairs.

    Args:
        systems: evaluations, runs or folders with results; by name, or they are named after their folders.
        out: a new folder for comparison.json, report.html and final_report.md.
        baseline: the name of the one that each other is compared with; the first by default.
        **options: those of `comparison.compare`, such as ``all_pairs=True``; or ``resamples``, ``swaps``, ``seed``.

    Raises:
        DataError: they were not scored on the same rows, or a file of theirs is broken.
    """
    from reasondistill.comparison import as_systems
    from reasondistill.comparison import compare as compare_systems
    from reasondistill.contracts.comparison import ComparisonSettings

    chosen = {name: options.pop(name) for name in ComparisonSettings.model_fields if name in options}
    if chosen:
        options["settings"] = validate_config(ComparisonSettings, chosen, where="the options of `compare`")
    comparison = compare_systems(as_systems(systems), baseline=baseline, **options)
    if out is not None:
        from reasondistill.reporting.pages.comparison import write_comparison

        write_comparison(comparison, Path(out))
    return comparison


def report(run: Run | Place | Sequence[Run | Place], out: Place | None = None) -> ReportFiles:
    """Write report.md and report.html of one run, or of several.

    Args:
        out: a folder; of one run its own by default.

    Raises:
        UserError: a run cannot be read, or the folder holds something else.
    """
    from reasondistill.reporting import build_report, source_folders

    folders = source_folders(run)
    if out is None and len(folders) > 1:
        raise DataError("out", expected="a folder, as there are several runs", found="none")
    return build_report(folders, folders[0] if out is None else Path(out))


def export(
    student: Student | Run | Place, out: Place | None = None, *, quantization: str = "int8", **options: object
) -> Exported:
    """Make a package out of a student that runs without PyTorch; see `exporting.export` for the options.

    Args:
        out: a new folder; by default, for a run, ``package`` in its folder.

    Raises:
        UserError: the student cannot be exported, or differs too much from its package.
    """
    from reasondistill.exporting import export as make_package

    place = student.folder if isinstance(student, Student) else Path(student)
    if place is None:
        raise DataError("student", expected="one that was loaded from a folder", found="one made in memory")
    if out is None and (run := run_meant(student)) is not None:
        out = run.package
    if out is None:
        raise DataError("out", expected="a folder for the package", found="none", fix="Only a run has a place for it.")
    return make_package(place, out, quantization=quantization, **options)  # type: ignore[arg-type]


def audit(data: Source, *, prove: bool = False, **options: Any) -> Audit:
    """Look for what is wrong with a data set; see `data.audit.audit` for the options.

    Args:
        prove: also look for labels of premise and hypothesis that a proof contradicts.

    Raises:
        DataError: it cannot be read, or is to be proved and has no premise and hypothesis.
    """
    from reasondistill.data.audit import audit as look_through
    from reasondistill.verification.doubted_labels import doubted_labels

    loaded = load_dataset(data)
    assert loaded.task is not None  # `load_dataset` gives one
    return look_through(loaded, task=loaded.task, prove=doubted_labels if prove else None, **options)


def calibrate(
    student: Student | Run | Place, data: Source | None = None, *, save: bool = False, **options: Any
) -> Student:
    """The student with the temperature and the abstain thresholds that fit validation rows.

    Args:
        student: or a run, which knows its validation rows.
        data: the validation rows.
        save: keep the calibration in the student's folder too, in place of the one that is there.

    Raises:
        UserError: it decides on no label, too few rows have one, some are test rows, or its run learned from them.
    """
    from reasondistill.run_data import calibration_split, load_beside, rows_for, run_at
    from reasondistill.students.calibration import CalibrationData
    from reasondistill.students.fit_calibration import calibrate as fit
    from reasondistill.students.model_card import keep_calibration, own_folder

    if save:
        place = student.folder if isinstance(student, Student) else student
        if place is None:
            raise DataError("save", expected="a student in a folder", found="one made in memory", fix="Leave it out.")
        kept = own_folder(place)  # a refusal comes before the work
    loaded_student = student if isinstance(student, Student) else Student.load(student)
    raw = replace(loaded_student, calibration=None)
    known = Path((raw.folder or ".") if isinstance(student, Student) else student)
    if data is None:
        rows = rows_for(known, raw.task, validation=True, need_label=True)
        examples, info = rows.loaded.examples, CalibrationData.model_validate(rows.facts)
    else:
        loaded = load_beside(run_at(known), data, raw.task)
        split = calibration_split(known, examples := loaded.examples)
        info = CalibrationData(name=loaded.name, split=split, fingerprint=loaded.fingerprint)
    fitted = fit(
        raw.engine, raw.task, raw.order, examples, raw.generation, student=raw.fingerprint, data=info, **options
    )
    if save:
        keep_calibration(kept, fitted)
    return replace(raw, calibration=fitted)


def sweep(
    config: Place,
    *,
    small: bool = False,
    changes: Sequence[str] = (),
    jobs: int = 1,
    say: Callable[[str], None] = lambda text: None,
    **settings: int,
) -> Summary:
    """Run every trial of a sweep that is not finished, compare them, and write ``summary/`` into its folder.

    Args:
        config: the sweep's YAML; docs/sweeps.md lists its keys.
        small: its small version.
        changes: ``key.path=value`` over the file.
        jobs: trials at once, each in a process of its own. 0: one after another in this process.
        say: told in a sentence what begins and ends.
        **settings: of the comparison: ``resamples``, ``swaps``, ``seed``.

    Raises:
        UserError: the file is not sound, or trials failed: all are named, and those that did not are finished.
    """
    from reasondistill.contracts.comparison import ComparisonSettings
    from reasondistill.reporting.pages.sweep import write_summary
    from reasondistill.sweeps import load_sweep, state
    from reasondistill.sweeps.processes import run_sweep
    from reasondistill.sweeps.summary import summarise

    comparing = validate_config(ComparisonSettings, settings, where="the settings of the comparison")
    loaded = load_sweep(config, small=small, overrides=changes)
    state.begin(loaded)
    outcomes = run_sweep(loaded, jobs=jobs, say=say)
    if failed := {outcome.trial.name: outcome.error for outcome in outcomes if outcome.error is not None}:
        raise DataError(
            loaded.folder,
            expected="trials that finish",
            found="; ".join(f"{name}: {error}" for name, error in failed.items()),
            fix="Fix the cause and call it again: it runs only these.",
        )
    summary = summarise(loaded, settings=comparing)
    write_summary(summary, loaded.folder / "summary")
    return summary


def federate(
    config: FederateConfig | Mapping[str, object] | Place,
    *,
    changes: Sequence[str] = (),
    resume: bool = False,
    progress: Watcher = unwatched,
) -> Run:
    """Distil a student from clients whose rows stay apart: a simulation on this machine; see docs/federated.md.

    With ``federation.processes`` above 1, a script needs ``if __name__ == "__main__":`` around the call.

    Args:
        config: a YAML file, or what it holds.
        changes: ``key.path=value`` over the file.
        resume: go on with the run of this name.
        progress: is called after each round.

    Returns:
        the run; its ``federation.json`` and ``rounds.jsonl`` say how each client did.

    Raises:
        UserError: data, configuration or checkpoint are not usable, or there is a run of that name.
    """
    from reasondistill.training.federated.federate import federate as run_federation

    return run_federation(federation_config(config, changes), resume=resume, watcher=progress)
