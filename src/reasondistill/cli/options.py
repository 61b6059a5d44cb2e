"""The arguments and options that several commands have, each written once; a command's own stand beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reasondistill.training.recipes import DEFAULT_STUDENT

_DATA = (
    "A registered name (scenes, scenes:600), a hub id (owner/name), or a file: .csv, .tsv, .jsonl, .json, .parquet or "
    ".xlsx, also packed (.gz, .zip, .zst, …)."
)
DataArgument = Annotated[str, typer.Argument(metavar="DATA", help=_DATA)]
OptionalData = Annotated[
    str | None,
    typer.Argument(
        metavar="[DATA]",
        help=f"{_DATA} Default: what the run was trained on.",
        show_default=False,
    ),
]
StudentArgument = Annotated[
    Path, typer.Argument(metavar="STUDENT", help="A run, a student's folder, a package of one, or builtin:scenes.")
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--columns",
        metavar="WHAT=COLUMN",
        help="Map columns that have other names: premise=text_a, explanation=why1,why2 …; repeatable. "
        "Quote an explanation column with a comma in its name: 'explanation=\"why, briefly\",why2'.",
    ),
]
SplitOption = Annotated[
    str | None,
    typer.Option("--split", help="Use only this split. If no row names its split, a hash of its group decides."),
]
TaskOption = Annotated[
    str | None,
    typer.Option(
        "--task",
        help="The task of the rows: nli, comve, cose, instructions, or a .yaml file. "
        "Default: the data's own; in `evaluate`, the one recorded with the predictions, if any.",
    ),
]
TeacherOption = Annotated[
    list[str] | None,
    typer.Option(
        "--teacher",
        metavar="NAME[=FILE]",
        help="Measure agreement with a teacher: a file of its predictions or, by name, a source of explanations "
        "in the data (human, …). Repeatable; the first is the headline teacher.",
    ),
]
BudgetOption = Annotated[
    float | None,
    typer.Option(
        "--budget",
        min=0,
        metavar="SECONDS",
        help="Time limit for measuring costs; default 120. Faithfulness tests get 5 times as long. A slow student "
        "is tested on fewer rows, which is reported. 0: no limit.",
    ),
]
EvalConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="YAML",
        help="YAML with generation and evaluation settings, as configs/eval_configs.yaml. Options override it.",
    ),
]
LimitOption = Annotated[int | None, typer.Option(min=1, help="Use only the first N examples of the split.")]
NumBeamsOption = Annotated[int | None, typer.Option(min=1, help="Override the student's own setting.")]
SamplesOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=1000,
        metavar="N",
        help="Of answers that are texts: draw N more, and take the share that agree as the confidence.",
    ),
]
JudgeOption = Annotated[
    Path | None,
    typer.Option("--judge", help="A judge's folder, or builtin:scenes: gives the support of explanations."),
]

# A table's columns.

TextOption = Annotated[
    list[str] | None,
    typer.Option("--text", metavar="COLUMN", help="A column with the input; repeatable. Guessed where none is named."),
]
LabelOption = Annotated[
    str | None, typer.Option("--label", metavar="COLUMN", help="The column with the label; '' where there is none.")
]
AnswerOption = Annotated[
    str | None,
    typer.Option("--answer", metavar="COLUMN", help="The column with the answer, where it is a text to write."),
]
ExplanationOption = Annotated[
    list[str] | None,
    typer.Option("--explanation", metavar="COLUMN", help="A column with explanations; repeatable; '' for none."),
]
IdOption = Annotated[str | None, typer.Option("--id", metavar="COLUMN", help="The column with the rows' ids.")]
GroupOption = Annotated[
    str | None,
    typer.Option("--group", metavar="COLUMN", help="Rows with the same value here stay in the same split."),
]
LabelValuesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--label-values",
        metavar="VALUE=LABEL,…",
        help="What the label column's values mean: 0=entailment,1=neutral; repeatable. VALUE= means no label.",
    ),
]

# A training on a data set as it is.

StudentNameOption = Annotated[
    str | None,
    typer.Option(
        "--student",
        metavar="NAME",
        help=f"flan-t5-small, flan-t5-base, flan-t5-large, minilm, scratch, a checkpoint's folder or a hub id. "
        f"Default: {DEFAULT_STUDENT}. minilm and scratch need no download.",
    ),
]
NameOption = Annotated[
    str | None, typer.Option("--name", help="Name of the run's folder. Default: the data's name and the student's.")
]
OverridesOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY.PATH=VALUE", help="Change a key of the configuration; repeatable."),
]
ProcessesOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1024,
        help="Train in N processes of this machine: one for each GPU, or a few cores each (docs/scaling.md). "
        "A configuration's batch size is that of each process.",
    ),
]
RestartsOption = Annotated[
    int, typer.Option(min=0, help="With --processes: restarts from the last checkpoint when a process dies.")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY.PATH=VALUE", help="Change a key; repeatable.")
]
