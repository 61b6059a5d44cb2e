"""The command line: parse, call, print. Heavy libraries are imported inside commands, so that --help is instant."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reasondistill.errors import DataError, UserError

if TYPE_CHECKING:
    from reasondistill.results import Results

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Distil labels and written explanations into small encoder-decoder students that answer and explain.\n\n"
    "The way: data -> train -> predict -> evaluate -> report. Begin with `reasondistill quickstart`.",
)
data_app = typer.Typer(no_args_is_help=True, help="Look at data sets.")
app.add_typer(data_app, name="data")

DataArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A registered name (scenes, scenes:600) or a .csv, .tsv, .jsonl or .parquet file.",
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--columns",
        metavar="WHAT=COLUMN",
        help="Where a file's columns have other names: premise=text_a, explanation=why1,why2 …; repeatable.",
    ),
]
SplitOption = Annotated[
    str | None,
    typer.Option("--split", help="Keep this part only; where no row names its part, a hash of its group decides."),
]
TaskOption = Annotated[str, typer.Option("--task", help="Which task's fields and labels the rows have.")]


def main() -> None:
    """Run a command; exit 2 with a sentence on a mistake of the user's."""
    try:
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
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

    _quiet_libraries()
    finished = run_quickstart(out, shuffle_labels=shuffle_labels, say=_say, progress=_progress)
    _print_headline(finished.results, "scenes, test part")
    _say(f"[bold]report[/]   {finished.report}")
    _say(f'[bold]next[/]     reasondistill explain {finished.run} premise="…" hypothesis="…"')


@data_app.command("show")
def data_show(
    data: DataArgument,
    split: SplitOption = None,
    task: TaskOption = "nli",
    columns: Columns = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Count a data set and show its first rows: labels, parts, explanations, lengths, and what was set aside."""
    import json

    from rich.table import Table

    from reasondistill.datasets import describe, load
    from reasondistill.tasks import get_task

    found = describe(load(data, split=split, task=get_task(task), columns=_mapping(columns), need_label=False))
    if json_output:
        print(json.dumps(found, ensure_ascii=False, indent=2))
        return
    table = Table(title=f"{found['name']}: {found['n']:,} examples in {found['groups']:,} groups", title_justify="left")
    labels = list(found["labels"])
    for heading in ("part", *labels, "all"):
        table.add_column(heading, justify="left" if heading == "part" else "right")
    for part, counts in {**found["splits"], "all": found["labels"]}.items():
        table.add_row(part, *(f"{counts.get(label, 0):,}" for label in labels), f"{sum(counts.values()):,}")
    _say(table)
    lengths = Table("words in", *(p.removeprefix("p") + "%" for p in next(iter(found["words"].values()))))
    for name, percentiles in found["words"].items():
        lengths.add_row(name, *map(str, percentiles.values()))
    _say(lengths)
    _say(f"explanations: {found['explanations']['total']:,}, by source {found['explanations']['sources']}")
    for what in ("set_aside", "ignored_columns"):
        if found[what]:
            _say(f"{what.replace('_', ' ')}: {found[what]}")
    _say(f"fingerprint: {found['fingerprint']}")
    for row in found["sample"]:
        _say("")
        for name, text in row["fields"].items():
            _say(f"[bold]{name}[/]: {_plain(text)}")
        _say(f"[bold]label[/]: {_plain(str(row.get('label')))}")
        for explanation in row["explanations"]:
            aim = f" (for {explanation['label'] or 'no label'})" if "label" in explanation else ""
            _say(f"  - {_plain(explanation['text'] + aim)}")


@app.command()
def train(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="A YAML file; configs/ has some, docs/configuration.md all keys.")
    ],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY.PATH=VALUE", help="Change a key; repeatable.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run of this name.")] = False,
) -> None:
    """Distil a student: RUNS_DIR/NAME gets checkpoints, a log of both losses, and the student's folder."""
    from reasondistill.config import TrainConfig, load_config

    loaded = load_config(TrainConfig, config, overrides or ())
    with _needs_extra("train"):
        from reasondistill.distilling import train as run_training
    _quiet_libraries()
    run = run_training(loaded, resume=resume)
    info = run.info()
    best = (
        f", best {info['best']['metric']} {info['best']['value']:.4f} at step {info['best']['step']}"
        if "best" in info
        else ""
    )
    _say(f"[bold]student[/]  {run.student} ({info['student']['parameters']:,} parameters{best})")
    _say(f"[bold]next[/]     reasondistill predict {run.folder} {loaded.data.train.source} --split test")


@app.command()
def predict(
    student: Annotated[Path, typer.Argument(metavar="STUDENT", help="A run, a student's folder, or builtin:scenes.")],
    data: DataArgument,
    out: Annotated[
        Path | None, typer.Option(help="A new .jsonl file; of a run, RUN/predictions/SPLIT.jsonl by default.")
    ] = None,
    split: SplitOption = None,
    columns: Columns = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many examples of that part.")] = None,
    num_beams: Annotated[int | None, typer.Option(min=1, help="Instead of the student's own setting.")] = None,
    free: Annotated[bool, typer.Option("--free", help="Also let it write unforced: gives parse_rate.")] = False,
) -> None:
    """Label, probabilities and explanation for each row. A stopped job goes on where it ended."""
    from reasondistill.datasets import load
    from reasondistill.prediction import Student, predict_file
    from reasondistill.runs import RUN_FILE, Run

    if out is None:
        if not (student / RUN_FILE).is_file():
            raise DataError("--out", expected="a file to write to, as STUDENT is no run", found="none")
        out = Run(student).predictions(split or "all")
    _quiet_libraries()
    loaded_student = Student.load(student)
    loaded = load(data, split=split, task=loaded_student.task, columns=_mapping(columns), need_label=False)
    loaded = loaded.first(limit) if limit else loaded
    generation = loaded_student.generation
    if num_beams is not None:
        generation = generation.model_copy(update={"num_beams": num_beams})
    with _progress("predicting", len(loaded.examples)) as advance:
        predict_file(
            loaded_student,
            loaded.examples,
            out,
            facts={"data": {"name": loaded.name, "split": split, "fingerprint": loaded.fingerprint}},
            generation=generation,
            free=free,
            progress=advance,
        )
    _say(f"[bold]predictions[/]  {out}")


@app.command()
def evaluate(
    predictions: Annotated[
        Path, typer.Argument(metavar="PREDICTIONS", help="A .jsonl file with id, label and explanation in each row.")
    ],
    data: DataArgument,
    out: Annotated[Path, typer.Option(help="A new folder for results.json and per_example.jsonl.")],
    split: SplitOption = None,
    task: TaskOption = "nli",
    columns: Columns = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many examples of that part.")] = None,
    bertscore: Annotated[bool, typer.Option(help="Score with BERTScore too; it takes most of the time.")] = True,
    bertscore_encoder: Annotated[
        str | None, typer.Option(help="A folder or hub id; by default the MiniLM of the extra `offline`.")
    ] = None,
    bertscore_layer: Annotated[int | None, typer.Option(min=1, help="Which layer's states to compare.")] = None,
) -> None:
    """Score any system's predictions: metrics with intervals, per label, per example, beside the floors."""
    from reasondistill.datasets import load
    from reasondistill.evaluation import EvaluationSettings, save
    from reasondistill.evaluation import evaluate as run_evaluation
    from reasondistill.files import require_new_folder
    from reasondistill.records import read_predictions
    from reasondistill.tasks import get_task

    require_new_folder(out)
    _quiet_libraries()
    asked = get_task(task)
    everything = load(data, task=asked, columns=_mapping(columns))
    loaded = load(data, split=split, task=asked, columns=_mapping(columns)) if split else everything
    loaded = loaded.first(limit) if limit else loaded
    scored_groups = {e.group or e.id for e in loaded.examples}
    others = [e for e in everything.examples if (e.group or e.id) not in scored_groups]
    evaluation = run_evaluation(
        read_predictions(predictions),
        loaded.examples,
        task=asked,
        name=loaded.name,
        split=split,
        settings=EvaluationSettings(
            bertscore=bertscore, bertscore_encoder=bertscore_encoder, bertscore_layer=bertscore_layer
        ),
        train_examples=others or None,
        progress=lambda stage: _say(f"[dim]{_plain(stage)}[/]"),
    )
    save(evaluation, out)
    _print_headline(evaluation.results, f"{loaded.name}, {split or 'all'}")
    _say(f"[bold]results[/]  {out / 'results.json'}")


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
    _say(f"[bold]report[/]  {files.html}")


@app.command()
def explain(
    student: Annotated[Path, typer.Argument(metavar="STUDENT", help="A run, a student's folder, or builtin:scenes.")],
    fields: Annotated[list[str], typer.Argument(metavar="FIELD=TEXT…", help='premise="…" hypothesis="…"')],
    json_output: Annotated[bool, typer.Option("--json", help="Print the prediction as JSON.")] = False,
) -> None:
    """One example from the shell: its label, the probability of each label, and the explanation."""
    import json

    from reasondistill.prediction import Student
    from reasondistill.records import as_row

    given = _pairs(fields, "FIELD=TEXT")
    _quiet_libraries()
    prediction = Student.load(student).explain(**given)
    if json_output:
        print(json.dumps(as_row(prediction), ensure_ascii=False, indent=2))
        return
    for label, probability in sorted(prediction.probabilities.items(), key=lambda item: -item[1]):
        bar = "█" * round(20 * probability)
        _say(f"{'[bold]' if label == prediction.label else '[dim]'}{label:15} {probability:6.1%} {bar}[/]")
    if prediction.explanation:
        _say(_plain(prediction.explanation))


# --- what commands share ---


def _pairs(texts: list[str], form: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or name in pairs:
            raise DataError(repr(text), expected=f"{form}, each name once", found=repr(text))
        pairs[name] = value
    return pairs


def _mapping(columns: list[str] | None) -> dict[str, str | list[str]] | None:
    if not columns:
        return None
    pairs = _pairs(columns, "--columns WHAT=COLUMN")
    return {what: column.split(",") if "," in column else column for what, column in pairs.items()}


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


def _say(what: Any) -> None:
    _console().print(what)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


@contextmanager
def _progress(title: str, total: int) -> Iterator[Any]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        job = bar.add_task(title, total=total)
        yield lambda done: bar.update(job, completed=done)


@contextmanager
def _needs_extra(extra: str) -> Iterator[None]:
    from reasondistill.errors import MissingExtraError

    try:
        yield
    except ImportError as error:
        raise MissingExtraError("this command", extra) from error


def _quiet_libraries() -> None:
    """Leave the libraries' own progress bars and notices out: each command shows its own."""
    import importlib.util
    import os

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if importlib.util.find_spec("transformers") is None:
        return
    import datasets
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()


def _print_headline(results: Results, title: str) -> None:
    from rich.table import Table

    from reasondistill.reporting import headline

    table = Table("metric", "value", "95% interval", "strongest floor", title=title, title_justify="left")
    for row in headline(results):
        table.add_row(*row.cells())
    _say(table)


if __name__ == "__main__":
    main()
