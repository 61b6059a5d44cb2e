"""The command line: parse, call, print. Heavy libraries are imported inside commands, so that --help is instant."""

from __future__ import annotations

import io
import os
import signal
import traceback
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from reasondistill.cli.calibrate import calibrate, confidence_lines
from reasondistill.cli.compare import compare
from reasondistill.cli.data import data_app
from reasondistill.cli.efficiency import efficiency
from reasondistill.cli.evaluate import evaluate
from reasondistill.cli.export import export
from reasondistill.cli.judge import judge_app
from reasondistill.cli.seal import seal
from reasondistill.cli.shared import (
    Columns,
    Commands,
    DataArgument,
    EvalConfigOption,
    SplitOption,
    StudentArgument,
    mapping,
    needs_extra,
    pairs,
    print_headline,
    quiet_libraries,
)
from reasondistill.cli.sweep import sweep
from reasondistill.cli.terminal import (
    complain,
    drawn,
    fact,
    going_on,
    progress,
    say,
    say_json,
    stage,
    stand_up_streams,
    visible,
    wide_say,
)
from reasondistill.cli.waiting import shorten_spinning
from reasondistill.errors import DataError, StoppedError, UserError

_WrongUsage: Any = typer.BadParameter.__mro__[2]
"""What all mistakes in options and arguments are to Typer; its own name has moved between versions."""

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Distil labels and written explanations into small encoder-decoder students that answer and explain.\n\n"
    "Workflow: data -> train -> predict -> evaluate -> report. Start with `reasondistill quickstart`.",
)
app.add_typer(data_app, name="data")
app.add_typer(judge_app, name="judge")


def main() -> None:
    """Run a command; exit 2 with a sentence on a mistake of the user's, 130 where the command was stopped.

    An error of any other kind is a bug and ends in a traceback. With REASONDISTILL_DEBUG set, mistakes have theirs too.
    """
    shorten_spinning()
    finish = stand_up_streams()
    code = _status(lambda: app(standalone_mode=False))
    raise SystemExit(_status(finish) or code)


def _status(do: Callable[[], int | None]) -> int:
    """The exit status of what ``do`` did, after a sentence on what went wrong."""
    caught: BaseException
    try:
        return do() or 0
    except UserError as error:
        caught, code, message = error, 2, f"error: {error}"
    except StoppedError as error:
        caught, code, message = error, 130, str(error)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C ends Python's own tidying up without a traceback
    except _WrongUsage as error:
        caught, code, shown = error, error.exit_code, io.StringIO()
        error.show(shown)
        message = shown.getvalue().rstrip("\n")
    if os.environ.get("REASONDISTILL_DEBUG"):
        complain("".join(traceback.format_exception(caught)))
    complain(message)
    return code


def _print_version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        print(version("reasondistill"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    pass


@app.command()
def quickstart(
    out: Annotated[Path, typer.Option(help="Folder for the run.")] = Path("quickstart"),
    shuffle_labels: Annotated[bool, typer.Option(help="Control: train on permuted labels.")] = False,
) -> None:
    """Run the whole pipeline on built-in data: train, predict, evaluate, report.

    Takes a few minutes on two cores. Run again, it continues from what is already there.
    """
    from reasondistill.quickstart import run_quickstart

    quiet_libraries()
    with going_on(lambda: "the same command goes on from what is there"):
        finished = run_quickstart(out, shuffle_labels=shuffle_labels, say=stage, progress=progress)
    print_headline(finished.results, "scenes, test part")
    fact("report", finished.report)
    fact("next", f'reasondistill explain {quote(str(finished.run))} premise="…" hypothesis="…"')


@app.command()
def train(
    config: Annotated[
        Path,
        typer.Argument(
            metavar="CONFIG",
            help="A YAML file: configs/ has examples, docs/configuration.md lists all keys. With --resume, also a run.",
        ),
    ],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY.PATH=VALUE", help="Change a key; repeatable.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the run of this name.")] = False,
) -> None:
    """Train a student. RUNS_DIR/NAME receives checkpoints, a log of both losses, and the student."""
    from reasondistill.config import TrainConfig, load_config
    from reasondistill.contracts.run import RUN_FILE
    from reasondistill.runs import config_of_run
    from reasondistill.students.calibration import Calibration

    if resume and config.is_dir():
        loaded = config_of_run(config)
    else:
        loaded = load_config(TrainConfig, config, overrides or ())
    with needs_extra("train"):
        from reasondistill.training.train import train as run_training
    quiet_libraries()
    begun = Path(loaded.runs_dir) / loaded.name / RUN_FILE

    def advice() -> str:
        there = begun.is_file()  # a run that made no step is not kept
        option = {(True, False): " with --resume", (False, True): " without --resume"}.get((there, resume), "")
        return f"the same command{option} {'goes on' if there else 'begins anew'}"

    with going_on(advice):
        run = run_training(loaded, resume=resume)
    info = run.info()
    size = f"{info.student.parameters:,} parameters" if info.student else ""
    best = f", best {info.best.metric} {info.best.value:.4f} at step {info.best.step}" if info.best else ""
    fact("student", f"{run.student} ({size}{best})")
    if (calibration := Calibration.load(run.student)) is not None:
        ece = calibration.ece
        fitted = f"temperature {calibration.temperature:.3f}, ECE {ece.before:.3f} -> {ece.after:.3f}"
        fact("calibration", f"{fitted} on validation")
    source = loaded.data.train_sources[0]
    words = [str(run.folder), source.source, "--split", "test"]
    for what, name in (source.columns or {}).items():
        if isinstance(name, str) and what not in ("label", "explanation"):
            words += ["--columns", f"{what}={name}"]
    fact("next", f"reasondistill predict {' '.join(map(quote, words))}")


@app.command()
def predict(
    student: StudentArgument,
    data: DataArgument,
    out: Annotated[
        Path | None, typer.Option(help="A new .jsonl file. Default for a run: RUN/predictions/SPLIT.jsonl.")
    ] = None,
    split: SplitOption = None,
    columns: Columns = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Use only the first N examples of the split.")] = None,
    config: EvalConfigOption = None,
    num_beams: Annotated[int | None, typer.Option(min=1, help="Override the student's own setting.")] = None,
    free: Annotated[bool, typer.Option("--free", help="Also generate freely, to measure parse_rate.")] = False,
    calibration: Annotated[bool, typer.Option(help="Apply the student's temperature, if it has one.")] = True,
    precision: Annotated[
        float | None,
        typer.Option(help="Mark rows to abstain on, so that the others reach this precision: 0.9, 0.95 …"),
    ] = None,
) -> None:
    """Predict a label, probabilities and an explanation for each row. A stopped job resumes where it ended."""
    from reasondistill.config import EvalConfig, load_config
    from reasondistill.contracts.records import read_predictions
    from reasondistill.contracts.run import RUN_FILE
    from reasondistill.data import load
    from reasondistill.runs import Run
    from reasondistill.students.student import Student, predict_file

    if out is None:
        if not (student / RUN_FILE).is_file():
            raise DataError("--out", expected="a file to write to, as STUDENT is no run", found="none")
        out = Run(student).predictions(split or "all")
    overrides = {} if config is None else load_config(EvalConfig, config).generation.model_dump(exclude_unset=True)
    if num_beams is not None:
        overrides["num_beams"] = num_beams
    quiet_libraries()
    loaded_student = Student.load(student, calibrated=calibration)
    loaded = load(data, split=split, task=loaded_student.task, columns=mapping(columns), need_label=False)
    loaded = loaded.first(limit) if limit else loaded
    generation = loaded_student.generation.model_copy(update=overrides)
    with (
        going_on(lambda: "the same command goes on"),
        progress("predicting", len(loaded.examples)) as advance,
    ):
        predict_file(
            loaded_student,
            loaded.examples,
            out,
            facts={"data": {"name": loaded.name, "split": split, "fingerprint": loaded.fingerprint}},
            generation=generation,
            free=free,
            precision=precision,
            progress=advance,
        )
    fact("predictions", out)
    if loaded_student.task.labels is None and loaded_student.order != "explanation_only":
        undecided = [prediction.id for prediction in read_predictions(out) if prediction.label is None]
        if undecided:
            say(f"{len(undecided)} without a label, as the student's tokenizer cannot tell their choices apart:")
            say("; ".join(loaded.places(undecided[:3])) + (" …" if len(undecided) > 3 else ""))


app.command()(calibrate)
app.command()(seal)


app.command()(evaluate)
app.command()(efficiency)
app.command()(compare)
app.command()(sweep)


app.command()(export)


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Run folders, or folders with results.json.")],
    out: Annotated[Path | None, typer.Option(help="Output folder. Default for a single run: the run itself.")] = None,
) -> None:
    """Write report.md and a self-contained report.html from files; no model is loaded."""
    from reasondistill.reporting import build_report

    if out is None and len(runs) > 1:
        raise DataError("--out", expected="a folder, as there are several runs", found="none")
    files = build_report(runs, out or runs[0])
    fact("report", files.html)


@app.command()
def explain(
    student: StudentArgument,
    fields: Annotated[list[str], typer.Argument(metavar="FIELD=TEXT…", help='premise="…" hypothesis="…"')],
    choices: Annotated[
        list[str] | None,
        typer.Option(metavar="A;B;…", help='The choices, for a task with choices in each row: "bank;river".'),
    ] = None,
    precision: Annotated[
        float | None, typer.Option(help="Show whether the student would abstain at this precision: 0.9 …")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the prediction as JSON.")] = False,
) -> None:
    """Predict one example: its label, the probability of each label, and an explanation."""
    from rich.text import Text

    from reasondistill.contracts.records import Example, as_row
    from reasondistill.languages.unknown_tokens import sentences
    from reasondistill.students.student import Student

    values = pairs(fields, "FIELD=TEXT")
    quiet_libraries()
    loaded = Student.load(student)
    listed = None if choices is None else [text for part in choices for text in map(str.strip, part.split(";")) if text]
    prediction = loaded.explain(values, choices=listed, precision=precision)
    if lost := loaded.losses([Example(id="1", fields=values)]):
        for sentence in sentences(lost):
            complain(sentence)
    if json_output:
        say_json(as_row(prediction))
        return
    for label, probability in sorted(prediction.probabilities.items(), key=lambda item: -item[1]):
        bar = drawn("█", "#") * round(20 * probability)
        row = f"{visible(label):15} {probability:6.1%} {bar}"
        say(Text(row, "bold" if label == prediction.label else "dim"))
    for line in confidence_lines(prediction, loaded.calibration, precision):
        say(line)
    if prediction.explanation:
        say(prediction.explanation)


@app.command()
def runs(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the runs are.")] = Path("experiments/runs"),
    json_output: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """List the runs in a folder: when they ran, how they ended, main metrics, size. Changes nothing."""
    from rich.table import Table
    from rich.text import Text

    from reasondistill.runs import list_runs

    with needs_extra("train"):
        summaries = list_runs(folder)
    if json_output:
        say_json(summaries)
        return
    table = Table("run", "begun", "status", "steps", "parameters", "validation", "results", "size")
    for run in summaries:
        if run["problem"] is not None:
            table.add_row(run["name"], "", Text("broken", "red"), "", "", "", run["problem"], "")
            continue
        best = run["best"] or {}
        figures = [f"{part}: {', '.join(f'{n} {v:.3f}' for n, v in m.items())}" for part, m in run["results"].items()]
        table.add_row(
            run["name"],
            run["created"][:16].replace("T", " "),
            run["status"],
            f"{run['steps']:,}" if run["steps"] is not None else "",
            f"{run['parameters']:,}" if run["parameters"] is not None else "",
            f"{best['metric']} {best['value']:.3f}" if best else "",
            "\n".join(figures),
            f"{run['bytes'] / 1e6:,.1f} MB",
        )
    wide_say(table)
    if not summaries:
        say(f"no runs in {folder}")
