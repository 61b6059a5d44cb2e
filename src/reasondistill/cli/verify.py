"""`reasondistill verify`: what can be proved of a system's answers to pairs of sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from reasondistill.cli.next_steps import say_next
from reasondistill.cli.options import OptionalData, SplitOption
from reasondistill.cli.shared import pairs
from reasondistill.cli.table_options import TableOptions, takes_table
from reasondistill.cli.terminal import fact, progress, say, stage
from reasondistill.errors import DataError

if TYPE_CHECKING:
    from reasondistill.contracts.records import Prediction
    from reasondistill.contracts.verification import Verification
    from reasondistill.data.loaded import Loaded
    from reasondistill.tasks.task import Task
    from reasondistill.verification.answer_verdicts import ProvedAnswers

RelationsOption = Annotated[
    Path | None,
    typer.Option(
        "--relations",
        metavar="YAML",
        help="Your own relations between words (isa, never, exclusive, places); they win over the shipped ones.",
    ),
]
ProvesOption = Annotated[
    str | None,
    typer.Option(
        "--proves",
        metavar="ROLE=LABEL,…",
        help="Which labels proofs bear out: entailment=yes,contradiction=no. Default: those of these names.",
    ),
]
PairOption = Annotated[
    str | None,
    typer.Option(
        "--pair",
        metavar="ROLE=FIELD,…",
        help="Which fields are the pair: premise=claim,hypothesis=question. Default: those of these names.",
    ),
]


FragmentOption = Annotated[
    str | None,
    typer.Option(
        "--fragment",
        metavar="captions|scenes",
        help="What the sentences are read as. Default: captions, or scenes for the built-in data.",
    ),
]
ProverOption = Annotated[
    bool,
    typer.Option("--prover", help="Prove what can be proved: a verified answer's explanation is made from its proof."),
]
OnConflictOption = Annotated[
    str,
    typer.Option(
        "--on-conflict",
        metavar="keep|abstain|proved",
        help="With --prover: what to do when a different label is proved; `proved` answers with that one.",
    ),
]
RequireVerifiedOption = Annotated[
    bool, typer.Option("--require-verified", help="With --prover: abstain where no proof bears out the answer.")
]


@takes_table
def verify(
    predictions: Annotated[
        Path,
        typer.Argument(metavar="PREDICTIONS", help="A run, or a .jsonl file with id and label in each row."),
    ],
    table: TableOptions,
    data: OptionalData = None,
    out: Annotated[Path | None, typer.Option(help="A new folder for results.json and verify.jsonl.")] = None,
    split: SplitOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Use only the first N examples of the split.")] = None,
    relations: RelationsOption = None,
    proves: ProvesOption = None,
    pair: PairOption = None,
    fragment: FragmentOption = None,
) -> None:
    """Prove what can be proved: which answers a checked proof bears out, which it contradicts.

    Proofs are of the pair's label in a small fragment of English captions, from WordNet and named assumptions.
    Free-text explanations are not verified. docs/verification.md says what is guaranteed, and what is not.
    """
    from reasondistill.api import verify as verify_answers
    from reasondistill.storage.files import require_new_folder

    if out is None:
        raise DataError("--out", expected="a new folder for results.json and verify.jsonl", found="none")
    require_new_folder(out)
    answers, rows, task, split = _answered(predictions, table, data, split)
    if limit:
        rows = rows.first(limit)
        chosen = {example.id for example in rows.examples}
        answers = [answer for answer in answers if answer.id in chosen]
    with progress("proving", len(rows)) as advance:
        verified = verify_answers(
            answers,
            rows,
            task=task,
            split=split,
            relations=relations,
            proves=_roles(proves, "--proves"),
            pair=_roles(pair, "--pair"),
            fragment=fragment,
            progress=advance,
        )
    verified.save(out)
    _print_summary(verified.summary, f"{rows.name}, {split or 'all'}")
    fact("results", out / "results.json")
    fact("proofs", out / "verify.jsonl")
    say_next("report", out)


def _answered(
    predictions: Path, table: TableOptions, data: str | None, split: str | None
) -> tuple[list[Prediction], Loaded, Task, str | None]:
    """Answers, the rows that they are to, the task and the split: those of a run, or of a file beside its data.

    Raises:
        DataError: a folder is no run, or no data are named.
    """
    from reasondistill.contracts.run import RUN_FILE
    from reasondistill.data import load
    from reasondistill.data.prediction_tables import read_any_predictions
    from reasondistill.evaluation.of_run import answers_of
    from reasondistill.evaluation.pairing import labels_given
    from reasondistill.run_data import RunData
    from reasondistill.runs import Run

    if (predictions / RUN_FILE).is_file() and data is None:
        if table != TableOptions():
            expected = "none of --task, --text, --label …, as a run names these itself"
            raise DataError("options", expected=expected, found="some", fix="Leave them out, or name DATA.")
        run = Run(predictions)
        answered = answers_of(run, RunData(run).held_out(split))
        return list(answered.answers), answered.rows.loaded, run.config().task, answered.rows.split
    if predictions.is_dir():
        fix = f"Predict them first: reasondistill predict {predictions} {data} --out FILE, and name that file."
        raise DataError(predictions, expected="a file of predictions beside DATA", found="a folder", fix=fix)
    answers = list(read_any_predictions(predictions))
    if data is None:
        raise DataError("DATA", expected="the rows that were predicted", found="none", fix="Name them.")
    read = table.read_as(data, labels_given(answers))
    return answers, load(data, split=split, task=read.task, columns=read.columns), read.task, split


def proved_answers(
    task: Task, data: str, relations: Path | None, proves: str | None, pair: str | None, options: Mapping[str, Any]
) -> ProvedAnswers | None:
    """What --prover and its options ask for; None without it.

    Args:
        data: the set's name: scenes have a fragment of their own, as in `verify`.

    Raises:
        DataError: an option is given without --prover, or the task has no such fields or labels.
    """
    from reasondistill.evaluation.proved_answers import parse_roles, prover_for
    from reasondistill.verification.answer_verdicts import OnConflict, ProvedAnswers

    choice, required = options["--on-conflict"], options["--require-verified"]
    if choice not in get_args(OnConflict):
        raise DataError("--on-conflict", expected="keep, abstain or proved", found=repr(choice))
    if not options["--prover"]:
        given = {"--on-conflict": choice != "keep", "--require-verified": required, "--proves": proves, "--pair": pair}
        given["--relations"] = relations
        if alone := [option for option, value in given.items() if value is not None and value is not False]:
            raise DataError(alone[0], expected="--prover beside it", found="no --prover", fix="Add --prover.")
        return None
    pair_prover = prover_for(None, data, relations)
    labels = parse_roles(_roles(proves, "--proves"), _roles(pair, "--pair"), task, pair_prover)
    from reasondistill.tasks.structures import Structure

    structure = task.structure if isinstance(task.structure, Structure) else None
    return ProvedAnswers(pair_prover, labels, choice, required, structure)


def say_verdicts(predictions: Iterable[Prediction]) -> None:
    """How many answers are verified, in conflict and unknown."""
    verdicts = Counter((row.model_extra or {}).get("verdict", "unknown") for row in predictions)
    fact("verdicts", ", ".join(f"{name} {verdicts[name]:,}" for name in ("verified", "conflict", "unknown")))


def _roles(text: str | None, option: str) -> dict[str, str] | None:
    return None if text is None else pairs(text.split(","), f"{option} ROLE=NAME,…")


def _print_summary(summary: Verification, title: str) -> None:
    from rich.table import Table

    from reasondistill.reporting.sections.verification import figure_text, label_rows

    table = Table("", "rows", "gold label is the proved one", title=title, title_justify="left")
    table.add_row("verified", figure_text(summary.verified), figure_text(summary.verified_right))
    table.add_row("conflict", figure_text(summary.conflict), figure_text(summary.conflict_right))
    table.add_row("unknown", figure_text(summary.unknown), "–")
    for label, share, right in label_rows(summary):
        table.add_row(f"{label} proved", share, right)
    say(table)
    stage(f"read {figure_text(summary.read)} of the pairs; fragment {summary.fragment}")
