"""The command line: parse, call, print. Heavy libraries are imported inside commands, so that --help is instant."""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reasondistill.cli.calibrate import calibrate
from reasondistill.cli.compare import compare
from reasondistill.cli.data import data_app
from reasondistill.cli.distil import distil, shown
from reasondistill.cli.efficiency import efficiency
from reasondistill.cli.evaluate import evaluate
from reasondistill.cli.export import export
from reasondistill.cli.federate import federate
from reasondistill.cli.feedback import data_feedback
from reasondistill.cli.init import init
from reasondistill.cli.judge import judge_app
from reasondistill.cli.launching import require_alone
from reasondistill.cli.lexicon import lexicon_app
from reasondistill.cli.next_steps import say_next
from reasondistill.cli.predict import explain, predict
from reasondistill.cli.seal import seal
from reasondistill.cli.serve import serve
from reasondistill.cli.shared import Commands, needs_extra, print_headline, quiet_libraries
from reasondistill.cli.structures import data_structures
from reasondistill.cli.sweep import sweep
from reasondistill.cli.teach import teach_app
from reasondistill.cli.terminal import (
    complain,
    fact,
    going_on,
    say,
    say_json,
    stand_up_streams,
    wide_say,
)
from reasondistill.cli.train import train
from reasondistill.cli.update import update
from reasondistill.cli.verify import verify
from reasondistill.cli.waiting import shorten_spinning
from reasondistill.contracts.federation import FEDERATION_FILE
from reasondistill.errors import DataError, StoppedError, UserError
from reasondistill.storage.launched import place

if TYPE_CHECKING:
    from reasondistill.runs import Run

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
data_app.command("feedback")(data_feedback)
data_app.command("structures")(data_structures)
app.add_typer(data_app, name="data")
app.add_typer(judge_app, name="judge")
app.add_typer(lexicon_app, name="lexicon")
app.add_typer(teach_app, name="teach")


def main() -> None:
    """Run a command; exit 2 with a sentence on a mistake of the user's, 130 where the command was stopped.

    An error of any other kind is a bug and ends in a traceback. With REASONDISTILL_DEBUG set, mistakes have theirs too.
    """
    shorten_spinning()
    if place().count > 1:  # PyTorch's remarks on what a user cannot change, once from each process
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    if not place().first:
        warnings.simplefilter("ignore")
        # The first of several processes speaks
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # for as long as the process lives
    finish = stand_up_streams()
    code = _status(lambda: app(standalone_mode=False))
    raise SystemExit(_status(finish) or code)


def _status(do: Callable[[], int | None]) -> int:
    """The exit status of what ``do`` did, after a sentence on what went wrong."""
    caught: BaseException
    try:
        return do() or 0
    except UserError as error:
        caught, code, message = error, error.status, f"error: {error}"
    except StoppedError as error:
        caught, code, message = error, 130, str(error)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C ends Python's own tidying up without a traceback
    except _WrongUsage as error:
        caught, code, shown = error, error.exit_code, io.StringIO()
        error.show(shown)
        message = shown.getvalue().rstrip("\n")
    if not place().first and not _is_own(caught):
        return code
    if os.environ.get("REASONDISTILL_DEBUG"):
        complain("".join(traceback.format_exception(caught)))
    complain(message)
    return code


def _is_own(error: BaseException) -> bool:
    """Whether it is one process's alone; what all of several meet, the first of them says."""
    return getattr(error, "of_one_process", False) or isinstance(error.__cause__, OSError | MemoryError)


def _print_version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        print(version("reasondistill"))
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    require_alone(context.invoked_subcommand)


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
        finished = run_quickstart(out, shown(), shuffle_labels=shuffle_labels)
    print_headline(finished.results, f"scenes, {finished.split}")
    fact("report", finished.report)
    say_next("explain", finished.run.folder)


app.command()(init)
app.command()(train)
app.command()(distil)
app.command()(update)


app.command()(predict)
app.command()(calibrate)
app.command()(seal)


app.command()(evaluate)
app.command()(verify)
app.command()(efficiency)
app.command()(compare)
app.command()(sweep)
app.command()(federate)


app.command()(export)
app.command()(serve)


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
    _say_after_report(runs)


def _say_after_report(runs: list[Path]) -> None:
    """An answer of a run's student, as the next thing to look at; several runs are compared."""
    from reasondistill.comparison import load_systems
    from reasondistill.runs import Run

    if len(runs) > 1:
        with suppress(UserError):  # not all of them have results
            load_systems(runs)
            say_next("compare", *runs)
    elif Run(runs[0]).student.is_dir():
        say_next("explain", runs[0])


app.command()(explain)


@app.command()
def runs(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the runs are.")] = Path("experiments/runs"),
    json_output: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """List the runs in a folder: when they ran, how they ended, main metrics, size. Changes nothing."""
    from rich.table import Table
    from rich.text import Text

    from reasondistill.runs import Run, list_runs

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
            (run["created"] or "")[:16].replace("T", " "),
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
    for run in summaries[:1]:
        say_next(*_going_on(Run(run["folder"]), run["status"], run["results"]) if run["problem"] is None else ())


def _going_on(run: Run, status: str, results: Mapping[str, object]) -> tuple[object, ...]:
    """The words of the command that goes on with a run."""
    if status == "running":
        return ()
    if not run.student.is_dir():
        return "federate" if (run.folder / FEDERATION_FILE).is_file() else "train", run.folder, "--resume"
    if not results:
        return "evaluate", run.folder
    return ("explain" if (run.folder / "report.html").is_file() else "report"), run.folder
