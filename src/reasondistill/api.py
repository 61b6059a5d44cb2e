"""What `import reasondistill` offers: functions that join the rooms, for objects in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from reasondistill.config import EvaluateOptions, TrainConfig, load_config
from reasondistill.contracts.records import Example, Prediction, outside, parse_record, read_predictions
from reasondistill.data import Loaded, load_dataset
from reasondistill.data.dataset_loading import Source, examples_for
from reasondistill.errors import DataError
from reasondistill.evaluation import Evaluation, Teacher, evaluate_whole
from reasondistill.evaluation.named_teachers import named
from reasondistill.evaluation.pairing import labels_given
from reasondistill.runs import DATA_FILE, Run
from reasondistill.students.student import Student

if TYPE_CHECKING:
    from reasondistill.comparison import Comparison, System
    from reasondistill.data.audit import Audit
    from reasondistill.exporting import Exported
    from reasondistill.judges import Judge
    from reasondistill.reporting import ReportFiles

Place: TypeAlias = str | PathLike[str]
Answers: TypeAlias = Place | Iterable[Prediction] | Iterable[Mapping[str, Any]]
AnySystem: TypeAlias = "Evaluation | Run | Place"


def train(
    source: TrainConfig | Source,
    *,
    data: Source | None = None,
    student: str | Mapping[str, Any] | None = None,
    name: str | None = None,
    out: Place | None = None,
    training: Mapping[str, Any] | None = None,
    resume: bool = False,
    **changes: Any,
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
        **changes: other keys of the configuration, such as ``order="explanation_first"``.

    Returns:
        the run, whose folder holds the student. Data in memory are kept there, as ``data.jsonl``.

    Raises:
        UserError: data, configuration or checkpoint are not usable, or there is a run of that name.
    """
    from reasondistill.training.recipes import DEFAULT_STUDENT, first_config, laid_over
    from reasondistill.training.train import train as run_training

    more: dict[str, Any] = {**changes} | ({} if training is None else {"training": dict(training)})
    more |= {} if name is None else {"name": name}
    more |= {} if out is None else {"runs_dir": str(Path(out))}
    if isinstance(source, str | Path) and Path(source).suffix in (".yaml", ".yml"):
        source = load_config(TrainConfig, source)
    if isinstance(source, TrainConfig):
        if student is not None:
            raise DataError(
                "student",
                expected="none beside a configuration, which names its own",
                found=repr(student),
                fix='Change the configuration: student={"kind": "hub", "checkpoint": "…"}.',
            )
        config = TrainConfig.model_validate(laid_over(source.model_dump(mode="json"), more))
        return run_training(config, data=None if data is None else load_dataset(data), resume=resume)
    if data is not None:
        raise DataError("data", expected="none beside data", found="both", fix="Give the configuration, and data=….")
    loaded = load_dataset(source)
    if isinstance(student, Mapping):
        more["student"] = dict(student)
        student = {"scratch": "scratch", "warm_start": "minilm"}.get(str(student.get("kind")), DEFAULT_STUDENT)
    config = first_config(loaded, source=DATA_FILE, student=student or DEFAULT_STUDENT, changes=more)
    return run_training(config, data=loaded, resume=resume)


def evaluate(
    answers: Answers,
    data: Source,
    *,
    student: Student | None = None,
    judge: Judge | Place | None = None,
    teachers: Iterable[Teacher | str] | Mapping[str, str | None] = (),
    train: Loaded | None = None,
    name: str | None = None,
    split: str | None = None,
    faithfulness: bool = True,
    progress: Callable[[str], None] = lambda stage: None,
    **options: Any,
) -> Evaluation:
    """Score a system's answers.

    Args:
        answers: predictions, dictionaries with ``id``, ``label`` and ``explanation``, or a file of them.
        data: the examples that were answered, as `load_dataset` takes them.
        student: that gave the answers: what it costs is measured, and its faithfulness is tested.
        judge: gives explanations their support: a judge, or its folder, or ``builtin:scenes``.
        teachers: to compare with: objects, names of sources of the data's explanations, or names with files.
        train: the training examples, where baselines find their templates.
        split: keep this split of ``data`` only.
        faithfulness: test the student's faithfulness, which takes minutes.
        **options: fields of `config.EvaluateOptions`, such as ``bertscore=False`` or ``budget=60``.

    Raises:
        UserError: answers and data do not belong together, or a part that is asked for cannot be had.
    """
    everything = load_dataset(data)
    loaded = everything if split is None else everything[split]
    examples = loaded.examples
    if judge is not None and not hasattr(judge, "support"):
        from reasondistill.judges import Judge

        judge = Judge.load(judge if judge == "builtin:scenes" else Path(judge))
    if train is not None:
        learned: Sequence[Example] = train.examples
    else:
        learned = outside(everything.examples, examples)
    answered = _answers(answers)
    task = student.task if student is not None else loaded.task
    if task is not None and task.labels and not labels_given(answered) <= {*task.labels}:
        task = None  # a system may give labels that these rows do not have
    return evaluate_whole(
        answered,
        examples,
        task=task,
        name=name or loaded.name,
        split=split,
        options=EvaluateOptions(**options),
        train_examples=learned or None,
        judge=judge,  # type: ignore[arg-type]
        teachers=_teachers(teachers, examples),
        student=student,
        faithfulness=faithfulness,
        made_by=None if student is None else student.fingerprint,
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
        out: a new folder for comparison.json and comparison.md.
        baseline: the name of the one that each other is compared with; the first by default.
        **options: those of `comparison.compare`, such as ``all_pairs=True``.

    Raises:
        DataError: they were not scored on the same rows, or a file of theirs is broken.
    """
    from reasondistill.comparison import compare as compare_systems

    if isinstance(systems, Mapping):
        loaded = [_system(system, name) for name, system in systems.items()]
    else:
        loaded = [_system(system, f"system {number}") for number, system in enumerate(systems, start=1)]
    comparison = compare_systems(loaded, baseline=baseline, **options)
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
    from reasondistill.reporting import build_report

    several = [run] if isinstance(run, Run | str | PathLike) else list(run)
    if out is None and len(several) > 1:
        raise DataError("out", expected="a folder, as there are several runs", found="none")
    folders = [Path(one) for one in several]
    return build_report(folders, folders[0] if out is None else Path(out))


def export(student: Student | Run | Place, out: Place, *, quantization: str = "int8", **options: Any) -> Exported:
    """Make a package out of a student that runs without PyTorch; see `export.export` for the options.

    Raises:
        UserError: the student cannot be exported, or differs too much from its package.
    """
    from reasondistill.exporting import export as make_package

    place = student.folder if isinstance(student, Student) else Path(student)
    if place is None:
        raise DataError("student", expected="one that was loaded from a folder", found="one made in memory")
    return make_package(place, out, quantization=quantization, **options)  # type: ignore[arg-type]


def audit(data: Source, **options: Any) -> Audit:
    """Look for what is wrong with a data set; see `data.audit.audit` for the options.

    Raises:
        DataError: it cannot be read.
    """
    from reasondistill.data.audit import audit as look_through

    loaded = load_dataset(data)
    assert loaded.task is not None  # `load_dataset` gives one
    return look_through(loaded, task=loaded.task, **options)


def calibrate(student: Student, data: Source, **options: Any) -> Student:
    """The student with the temperature and the abstain thresholds that fit validation rows.

    Nothing is written: `reasondistill calibrate` keeps them with the student.

    Raises:
        UserError: it decides on no label, or too few rows have one.
    """
    from reasondistill.students.calibration import CalibrationData
    from reasondistill.students.fit_calibration import calibrate as fit

    examples = examples_for(student.task, data)
    loaded = data if isinstance(data, Loaded) else None
    info = CalibrationData(
        name="data" if loaded is None else loaded.name,
        split=None,
        fingerprint="" if loaded is None else loaded.fingerprint,
    )
    raw = replace(student, calibration=None)
    fitted = fit(
        raw.engine, raw.task, raw.order, examples, raw.generation, student=raw.fingerprint, data=info, **options
    )
    return replace(student, calibration=fitted)


def _answers(answers: Answers) -> list[Prediction]:
    if isinstance(answers, str | PathLike):
        return list(read_predictions(Path(answers)))
    rows = answers.to_dict("records") if hasattr(answers, "to_dict") else answers
    return [
        row if isinstance(row, Prediction) else parse_record(Prediction, dict(row), f"answer {number}")
        for number, row in enumerate(rows, start=1)
    ]


def _teachers(
    teachers: Iterable[Teacher | str] | Mapping[str, str | None], examples: Sequence[Example]
) -> list[Teacher]:
    if isinstance(teachers, Mapping):
        return list(named(teachers, examples))
    return [
        teacher if isinstance(teacher, Teacher) else next(iter(named({teacher: None}, examples)))
        for teacher in teachers
    ]


def _system(system: AnySystem, name: str) -> System:
    from reasondistill.comparison import System, load_systems

    if isinstance(system, Evaluation):
        return System(name, Path(name), system.results, tuple(system.rows))
    [loaded] = load_systems([Path(system)])
    return loaded if name.startswith("system ") else replace(loaded, name=name)
