"""The command line: parse, call, print. Heavy libraries are imported inside commands, so that --help is instant."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from reasondistill.cli.calibrate import calibrate, confidence_lines
from reasondistill.cli.comparing import compare
from reasondistill.cli.data import data_app
from reasondistill.cli.efficiency import efficiency
from reasondistill.cli.evaluating import evaluate
from reasondistill.cli.exporting import export
from reasondistill.cli.judging import judge_app
from reasondistill.cli.sealing import seal
from reasondistill.cli.shared import (
    Columns,
    DataArgument,
    EvalConfigOption,
    SplitOption,
    StudentArgument,
    mapping,
    needs_extra,
    pairs,
    plain,
    print_headline,
    progress,
    quiet_libraries,
    say,
    wide_say,
)
from reasondistill.cli.sweeping import sweep
from reasondistill.errors import DataError, StoppedError, UserError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Distil labels and written explanations into small encoder-decoder students that answer and explain.\n\n"
    "The way: data -> train -> predict -> evaluate -> report. Begin with `reasondistill quickstart`.",
)
app.add_typer(data_app, name="data")
app.add_typer(judge_app, name="judge")


def main() -> None:
    """Run a command; exit 2 with a sentence on a mistake of the user's."""
    try:
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except StoppedError as error:
        print(error, file=sys.stderr)
        raise SystemExit(130) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:  # `… | head`
        sys.stderr.close()
        raise SystemExit(0) from None


def _print_version(asked: bool) -> None:
    if asked:
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
    out: Annotated[Path, typer.Option(help="Where the run's folder goes.")] = Path("quickstart"),
    shuffle_labels: Annotated[bool, typer.Option(help="A control: train on permuted labels, end near chance.")] = False,
) -> None:
    """The whole way on built-in data: train, predict, evaluate, report.

    Takes a few minutes on two cores. Run it again and it says what is there and goes on from there.
    """
    from reasondistill.quickstart import run_quickstart

    quiet_libraries()
    finished = run_quickstart(out, shuffle_labels=shuffle_labels, say=say, progress=progress)
    print_headline(finished.results, "scenes, test part")
    say(f"[bold]report[/]   {finished.report}")
    say(f'[bold]next[/]     reasondistill explain {finished.run} premise="…" hypothesis="…"')


@app.command()
def train(
    config: Annotated[
        Path,
        typer.Argument(
            metavar="CONFIG",
            help="A YAML file; configs/ has some, docs/configuration.md all keys. With --resume, or a run's folder.",
        ),
    ],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY.PATH=VALUE", help="Change a key; repeatable.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run of this name.")] = False,
) -> None:
    """Distil a student: RUNS_DIR/NAME gets checkpoints, a log of both losses, and the student's folder."""
    from reasondistill.calibration import Calibration
    from reasondistill.config import TrainConfig, load_config
    from reasondistill.runs import config_of_run

    if resume and config.is_dir():
        loaded = config_of_run(config)
    else:
        loaded = load_config(TrainConfig, config, overrides or ())
    with needs_extra("train"):
        from reasondistill.distilling import train as run_training
    quiet_libraries()
    run = run_training(loaded, resume=resume)
    info = run.info()
    best = (
        f", best {info['best']['metric']} {info['best']['value']:.4f} at step {info['best']['step']}"
        if "best" in info
        else ""
    )
    say(f"[bold]student[/]  {run.student} ({info['student']['parameters']:,} parameters{best})")
    if (told := Calibration.load(run.student)) is not None:
        fitted = f"temperature {told.temperature:.3f}, ECE {told.ece.before:.3f} -> {told.ece.after:.3f}"
        say(f"[bold]calibration[/]  {fitted} on validation")
    say(f"[bold]next[/]     reasondistill predict {run.folder} {loaded.data.train_sources[0].source} --split test")


@app.command()
def predict(
    student: StudentArgument,
    data: DataArgument,
    out: Annotated[
        Path | None, typer.Option(help="A new .jsonl file; of a run, RUN/predictions/SPLIT.jsonl by default.")
    ] = None,
    split: SplitOption = None,
    columns: Columns = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many examples of that part.")] = None,
    config: EvalConfigOption = None,
    num_beams: Annotated[int | None, typer.Option(min=1, help="Instead of the student's own setting.")] = None,
    free: Annotated[bool, typer.Option("--free", help="Also let it write unforced: gives parse_rate.")] = False,
    calibration: Annotated[
        bool, typer.Option(help="Probabilities at the student's temperature, where it has one; or raw ones.")
    ] = True,
    precision: Annotated[
        float | None,
        typer.Option(help="Mark rows to abstain from, so that this share of the others is right: 0.9, 0.95 …"),
    ] = None,
) -> None:
    """Label, probabilities and explanation for each row. A stopped job goes on where it ended."""
    from reasondistill.config import EvalConfig, load_config
    from reasondistill.datasets import load
    from reasondistill.prediction import Student, predict_file
    from reasondistill.runs import RUN_FILE, Run

    if out is None:
        if not (student / RUN_FILE).is_file():
            raise DataError("--out", expected="a file to write to, as STUDENT is no run", found="none")
        out = Run(student).predictions(split or "all")
    asked = {} if config is None else load_config(EvalConfig, config).generation.model_dump(exclude_unset=True)
    if num_beams is not None:
        asked["num_beams"] = num_beams
    quiet_libraries()
    loaded_student = Student.load(student, calibrated=calibration)
    loaded = load(data, split=split, task=loaded_student.task, columns=mapping(columns), need_label=False)
    loaded = loaded.first(limit) if limit else loaded
    generation = loaded_student.generation.model_copy(update=asked)
    with progress("predicting", len(loaded.examples)) as advance:
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
    say(f"[bold]predictions[/]  {out}")


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
    out: Annotated[Path | None, typer.Option(help="A folder; of a single run, the run itself by default.")] = None,
) -> None:
    """Write report.md and one self-contained report.html. Reads files only; the model is not needed."""
    from reasondistill.reporting import build_report

    if out is None and len(runs) > 1:
        raise DataError("--out", expected="a folder, as there are several runs", found="none")
    files = build_report(runs, out or runs[0])
    say(f"[bold]report[/]  {files.html}")


@app.command()
def explain(
    student: StudentArgument,
    fields: Annotated[list[str], typer.Argument(metavar="FIELD=TEXT…", help='premise="…" hypothesis="…"')],
    precision: Annotated[
        float | None, typer.Option(help="Say whether it would abstain, for a wanted share of right answers: 0.9 …")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the prediction as JSON.")] = False,
) -> None:
    """One example from the shell: its label, the probability of each label, and the explanation."""
    import json

    from reasondistill.prediction import Student
    from reasondistill.records import as_row

    given = pairs(fields, "FIELD=TEXT")
    quiet_libraries()
    loaded = Student.load(student)
    prediction = loaded.explain(precision=precision, **given)
    if json_output:
        print(json.dumps(as_row(prediction), ensure_ascii=False, indent=2))
        return
    for label, probability in sorted(prediction.probabilities.items(), key=lambda item: -item[1]):
        bar = "█" * round(20 * probability)
        say(f"{'[bold]' if label == prediction.label else '[dim]'}{label:15} {probability:6.1%} {bar}[/]")
    for line in confidence_lines(prediction, loaded.calibration, precision):
        say(plain(line))
    if prediction.explanation:
        say(plain(prediction.explanation))


@app.command()
def runs(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the runs are.")] = Path("experiments/runs"),
    json_output: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """The runs in a folder: what, when, how they ended, headline figures, size. Nothing is changed or deleted."""
    import json

    from rich.table import Table

    from reasondistill.runs import list_runs

    with needs_extra("train"):
        found = list_runs(folder)
    if json_output:
        print(json.dumps(found, ensure_ascii=False, indent=2))
        return
    table = Table("run", "begun", "status", "steps", "parameters", "validation", "results", "size")
    for run in found:
        if run["problem"] is not None:
            table.add_row(plain(run["name"]), "", "[red]broken[/]", "", "", "", plain(run["problem"]), "")
            continue
        best = run["best"] or {}
        figures = [f"{part}: {', '.join(f'{n} {v:.3f}' for n, v in m.items())}" for part, m in run["results"].items()]
        table.add_row(
            plain(run["name"]),
            run["created"][:16].replace("T", " "),
            run["status"],
            f"{run['steps']:,}" if run["steps"] is not None else "",
            f"{run['parameters']:,}" if run["parameters"] is not None else "",
            f"{best['metric']} {best['value']:.3f}" if best else "",
            plain("\n".join(figures)),
            f"{run['bytes'] / 1e6:,.1f} MB",
        )
    wide_say(table)
    if not found:
        say(f"no runs in {plain(str(folder))}")
