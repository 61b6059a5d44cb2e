"""`reasondistill judge …`: train and show judges of explanations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reasondistill.cli.next_steps import say_next
from reasondistill.cli.options import SetOption
from reasondistill.cli.shared import group, needs_extra, quiet_libraries
from reasondistill.cli.terminal import fact, say, stage

judge_app = group("Train and show judges, which score how well explanations support their labels.")


@judge_app.command("train")
def judge_train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file; configs/ has examples.")],
    overrides: SetOption = None,
) -> None:
    """Train a judge on explained data and, if available, people's votes.

    Never train a judge on what it is to judge: it refuses rows whose group or texts it has seen.
    """
    from reasondistill.config import JudgeConfig, load_config

    loaded = load_config(JudgeConfig, config, overrides or ())
    with needs_extra("train"):
        from reasondistill.data import load_source
        from reasondistill.judges import train_judge
    quiet_libraries()
    explained = [load_source(source, loaded.task, loaded.seed) for source in loaded.data.explained_sources]
    voted = [load_source(source, loaded.task, loaded.seed) for source in loaded.data.votes_sources]
    folder = train_judge(loaded, explained, voted, progress=stage)
    _print_summary(folder)
    say_next("judge", "show", folder)


@judge_app.command("show")
def judge_show(
    judge: Annotated[Path, typer.Argument(metavar="JUDGE", help="A judge's folder, or builtin:scenes.")],
) -> None:
    """Show a judge's training data and its scores on held-out data."""
    _print_summary(judge)


def _print_summary(folder: Path) -> None:
    with needs_extra("train"):
        from reasondistill.judges import Judge
    quiet_libraries()
    judge = Judge.load(folder)
    n, auc = judge.info.reached("good_against_spoiled", "n", "roc_auc")
    fact("judge", f"{folder} ({judge.info.kind.replace('_', ' ')}, fingerprint {judge.fingerprint})")
    say(f"good against spoiled explanations, held out: ROC-AUC {auc:.3f} of {n:,}")
    for name in ("without_votes", "with_votes") if judge.info.held_out.get("votes") else ():
        auc, precision = judge.info.reached(f"votes.{name}", "roc_auc", "average_precision")
        best = judge.info.held_out["votes"][name].get("best_of")
        chosen = f"{best:.3f}" if isinstance(best, int | float) else "not available: no example has several"
        say(
            f"people's votes, {name.replace('_', ' ')}: ROC-AUC {auc:.3f}, average precision "
            f"{precision:.3f}, best of an example's acceptable {chosen}"
        )
