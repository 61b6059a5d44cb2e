"""`reasondistill predict` and `explain`: a student's answers to many rows, or to one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasondistill.cli.calibrate import confidence_lines
from reasondistill.cli.next_steps import column_words, example_words, new_place, say_next, short_one
from reasondistill.cli.options import (
    Columns,
    EvalConfigOption,
    LimitOption,
    NumBeamsOption,
    OptionalData,
    SamplesOption,
    SplitOption,
    StudentArgument,
)
from reasondistill.cli.shared import mapping, pairs, quiet_libraries, run_or_out
from reasondistill.cli.terminal import complain, drawn, fact, going_on, progress, say, say_json, stage, visible
from reasondistill.cli.verify import (
    OnConflictOption,
    PairOption,
    ProverOption,
    ProvesOption,
    RelationsOption,
    RequireVerifiedOption,
    proved_answers,
    say_verdicts,
)
from reasondistill.errors import ConfigError, DataError, TaskError

if TYPE_CHECKING:
    from reasondistill.contracts.records import Example, Prediction
    from reasondistill.run_data import Rows
    from reasondistill.students.prediction_files import PredictOptions
    from reasondistill.students.prediction_shards import Shard
    from reasondistill.students.student import Student
    from reasondistill.verification.answer_verdicts import ProvedAnswers

PredictionsOption = Annotated[
    Path | None, typer.Option(help="A new .jsonl file. Default for a run: RUN/predictions/SPLIT.jsonl.")
]
AbstainOption = Annotated[
    float | None,
    typer.Option(help="Mark rows to abstain on, so that the others reach this precision: 0.9, 0.95 …"),
]
FreeOption = Annotated[bool, typer.Option("--free", help="Also generate freely, to measure parse_rate.")]
CalibrationOption = Annotated[bool, typer.Option(help="Apply the student's temperature, if it has one.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace predictions that are there.")]
ShardOption = Annotated[
    str | None,
    typer.Option(
        metavar="I/N",
        help="Predict only part I of N, into a file of its own: 2/4. Default under torchrun and the like: a part "
        "for each process.",
    ),
]
MergeOption = Annotated[bool, typer.Option("--merge", help="Join the parts in the data's order, and check them.")]
ChoicesOption = Annotated[
    list[str] | None,
    typer.Option(metavar="A;B;…", help='The choices, for a task with choices in each row: "bank;river".'),
]
ShowAbstainOption = Annotated[
    float | None, typer.Option(help="Show whether the student would abstain at this precision: 0.9 …")
]


def predict(
    student: StudentArgument,
    data: OptionalData = None,
    out: PredictionsOption = None,
    split: SplitOption = None,
    columns: Columns = None,
    limit: LimitOption = None,
    config: EvalConfigOption = None,
    num_beams: NumBeamsOption = None,
    samples: SamplesOption = None,
    free: FreeOption = False,
    calibration: CalibrationOption = True,
    precision: AbstainOption = None,
    prover: ProverOption = False,
    on_conflict: OnConflictOption = "keep",
    require_verified: RequireVerifiedOption = False,
    relations: RelationsOption = None,
    proves: ProvesOption = None,
    pair: PairOption = None,
    force: ForceOption = False,
    shard: ShardOption = None,
    merge: MergeOption = False,
) -> None:
    """Predict a label, probabilities and an explanation for each row. A stopped job resumes where it ended.

    A run knows its data: without DATA its test split is predicted, or its validation split if it has no other.
    """
    from reasondistill.config import with_values
    from reasondistill.run_data import LEARNED, RunData, rows_for
    from reasondistill.runs import Run
    from reasondistill.students.student import Student

    part = _part(shard, merge)
    run = run_or_out(student, out, "a file to write to")
    if precision is not None and not calibration:
        raise ConfigError(
            "--precision",
            expected="calibrated probabilities, which its thresholds are for",
            found="--no-calibration",
            fix="Leave one of the two out.",
        )
    overrides = _generation(config, {"num_beams": num_beams, "samples": samples})
    quiet_libraries()
    loaded = Student.load(student, calibrated=calibration)
    rows = rows_for(student, loaded.task, data, split=split, columns=mapping(columns))
    called = (rows.split or "all") if run is None or data is None else RunData(run).place_of(rows)
    if run is not None and data is not None and (met := RunData(run).learned_among(rows.loaded.examples)):
        complain(f"{data}: {met:,} of {len(rows.loaded):,} rows are {LEARNED}.")
    if data is not None and (unanswered := rows.loaded.unanswered(loaded.task)):
        complain(f"{data}: not answered: {unanswered}.")
    rows = rows.first(limit) if limit else rows
    place = out or Run(student).predictions(called)
    if data is None:
        stage(f"{rows.source.source}, {rows.split or 'all'}: {len(rows.loaded):,} rows")
    options = {"--prover": prover, "--on-conflict": on_conflict, "--require-verified": require_verified}
    proofs = proved_answers(loaded.task, rows.loaded.name, relations, proves, pair, options)
    how: PredictOptions = {
        "generation": with_values(loaded.generation, overrides, where="how explanations are written"),
        "free": free,
        "precision": precision,
    }
    fact("predictions", _written(loaded, rows, place, how, proofs, force=force, shard=part, merge=merge))
    if part is not None:
        _say_merge()
        return
    _say_answers(loaded, place, rows, proofs)
    if run is not None and out is None and data is None:
        say_next("evaluate", run.folder, *(["--split", split] if split else []))
    else:
        _say_evaluation(place, rows, limit)


def _generation(config: Path | None, given: dict[str, int | None]) -> dict[str, object]:
    """What a file and options change of how the student writes."""
    from reasondistill.config import EvalConfig, load_config

    overrides = {} if config is None else load_config(EvalConfig, config).generation.model_dump(exclude_unset=True)
    return {**overrides, **{name: value for name, value in given.items() if value is not None}}


def _written(
    student: Student,
    rows: Rows,
    place: Path,
    how: PredictOptions,
    proofs: ProvedAnswers | None,
    *,
    force: bool,
    shard: Shard | None,
    merge: bool,
) -> Path:
    """The file of the answers, written with a bar."""
    from reasondistill.students.prediction_files import predict_file

    there = place.is_file() and not force
    with (
        going_on(lambda: "the same command goes on"),
        progress("predicting", len(rows.loaded.examples)) as advance,
    ):
        written = predict_file(
            student,
            rows.loaded.examples,
            place,
            facts={"data": rows.facts, **({} if proofs is None else {"prover": proofs.settings()})},
            force=force,
            shard=shard,
            merge=merge,
            **how,
            **({} if proofs is None else {"finish": proofs}),
            progress=advance,
        )
    if there:
        say("They were there already, of this student, these rows and these settings.")
    return written


def _part(shard: str | None, merge: bool) -> Shard | None:
    """The part of the rows that this process answers; None for all of them."""
    from reasondistill.students.prediction_shards import Shard

    if merge and shard is not None:
        raise DataError("--merge", expected="either --shard or --merge", found="both")
    return Shard.parse(shard) if shard is not None else None if merge else _of_launcher()


def _of_launcher() -> Shard | None:
    """The part of this process, where a launcher started several; each has a GPU of its own where there are some."""
    import os

    from reasondistill.storage.launched import place
    from reasondistill.students.prediction_shards import Shard

    here = place()
    if here.count == 1:
        return None
    gpus = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    os.environ["CUDA_VISIBLE_DEVICES"] = gpus[here.local_rank % len(gpus)] if gpus else str(here.local_rank)
    return Shard(here.rank + 1, here.count)


def _say_merge() -> None:
    """The same command that joins the parts, once all are there."""
    import sys

    words, skips = list[str](), False
    for word in sys.argv[1:]:
        if not skips and not word.startswith("--shard"):
            words.append(word)
        skips = word == "--shard"
    say_next(*words, "--merge")


def _say_answers(student: Student, predictions: Path, rows: Rows, proofs: ProvedAnswers | None) -> None:
    """What is to be known of the answers before they are scored."""
    from reasondistill.contracts.records import read_predictions

    _say_undecided(student, predictions, rows)
    if proofs is not None:
        say_verdicts(read_predictions(predictions))


def _say_undecided(student: Student, predictions: Path, rows: Rows) -> None:
    """Rows without a label, as the student's tokenizer cannot tell their choices apart."""
    from reasondistill.contracts.records import read_predictions

    if student.task.labels is not None or student.order == "explanation_only":
        return
    undecided = [prediction.id for prediction in read_predictions(predictions) if prediction.label is None]
    if undecided:
        say(f"{len(undecided)} without a label, as the student's tokenizer cannot tell their choices apart:")
        say("; ".join(rows.loaded.places(undecided[:3])) + (" …" if len(undecided) > 3 else ""))


def _say_evaluation(predictions: Path, rows: Rows, limit: int | None) -> None:
    """The command that scores predictions of named rows, if there is something to compare them with."""
    if not any(example.label is not None or example.references for example in rows.loaded.examples):
        return
    words = [*rows.words(), *column_words(rows.source.columns)]
    words += ["--limit", str(limit)] if limit else []
    out = new_place(predictions.with_name(f"{predictions.stem}_results"))
    say_next("evaluate", predictions, *words, "--out", out)


def explain(
    student: StudentArgument,
    fields: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FIELD=TEXT", help='premise="…" hypothesis="…". Without them, an example of the run\'s data.'
        ),
    ] = None,
    choices: ChoicesOption = None,
    precision: ShowAbstainOption = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the prediction as JSON.")] = False,
    structured: Annotated[
        bool, typer.Option("--structured", help="Print label and structure as JSON, if the student writes structures.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write a page, a new file: the answer, and which words moved label and explanation.",
        ),
    ] = None,
) -> None:
    """Predict one example: its label, the probability of each label, and an explanation."""
    from rich.text import Text

    from reasondistill.contracts.records import Example, as_row
    from reasondistill.languages.unknown_tokens import sentences
    from reasondistill.run_data import run_at
    from reasondistill.storage.files import require_new_file
    from reasondistill.students.student import Student

    values = pairs(fields or [], "FIELD=TEXT")
    quiet_libraries()
    loaded = Student.load(student)
    if structured:
        _require_structure(loaded)
    listed = None if choices is None else [text for part in choices for text in map(str.strip, part.split(";")) if text]
    if not values and run_at(student) is not None:
        example = _example_of_run(student, loaded)
        values, listed = dict(example.fields), None if example.choices is None else [*example.choices]
        for word in [] if json_output or structured else example_words(loaded.task, example):
            say(Text(visible(word), "dim"))
    if html is not None:
        require_new_file(html)
    prediction = loaded.explain(values, choices=listed, precision=precision)
    if lost := loaded.losses([Example(id="1", fields=values)]):
        for sentence in sentences(lost):
            complain(sentence)
    if html is not None:
        from reasondistill.serving.answer_page import write_answer_page

        answered_example = Example(id="1", fields=values, choices=None if listed is None else tuple(listed))
        write_answer_page(html, loaded, student, answered_example, precision)
    if json_output:
        say_json({**as_row(prediction), **({} if fields else {"fields": values})})
        return
    if structured:
        say_json({"label": prediction.label, **(prediction.structure or {}), "text": prediction.explanation})
        return
    _print_answer(loaded, prediction, precision)
    if html is not None:
        fact("page", html)
    _say_export(student)


def _require_structure(student: Student) -> None:
    if student.task.structure is None:
        raise TaskError(
            "--structured",
            expected="a student that writes structures",
            found=f"one of the task {student.task.name!r}, which has none",
            fix="Train one: reasondistill data structures DATA --out FILE, then reasondistill train FILE "
            "--task nli_structured; or of a data set with steps, as EntailmentBank's.",
        )


def _print_answer(student: Student, prediction: Prediction, precision: float | None) -> None:
    from rich.text import Text

    if prediction.probability is not None:
        say(Text(f"{visible(prediction.label or '')}  {prediction.probability:.1%}", "bold"))
    for label, probability in sorted(prediction.probabilities.items(), key=lambda item: -item[1]):
        bar = drawn("█", "#") * round(20 * probability)
        row = f"{visible(label):15} {probability:6.1%} {bar}"
        say(Text(row, "bold" if label == prediction.label else "dim"))
    for line in confidence_lines(prediction, student.calibration, precision):
        say(line)
    if prediction.explanation:
        say(prediction.explanation)


def _example_of_run(student: Path, loaded: Student) -> Example:
    """A short example of the data that a run knows."""
    from reasondistill.run_data import rows_for

    example = short_one(loaded.task, rows_for(student, loaded.task).loaded.examples)
    if example is None:
        raise DataError(
            "FIELD=TEXT",
            expected=f"the fields {', '.join(loaded.task.fields)}",
            found="none, and no short text in the run's data",
            fix="Type them: " + " ".join(f'{name}="…"' for name in loaded.task.fields),
        )
    return example


def _say_export(student: Path) -> None:
    """After the answer of a run's student: its package, if it has none yet."""
    from reasondistill.contracts.run import RUN_FILE
    from reasondistill.runs import Run

    if (student / RUN_FILE).is_file() and not Run(student).package.exists():
        say_next("export", student)
