"""What the commands of `teach` print: plans, accounts, rows, and how a run ended."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from reasondistill.cli.filter_table import print_filtering
from reasondistill.cli.next_steps import say_next
from reasondistill.cli.terminal import complain, fact, say, stage, wide_say
from reasondistill.contracts.filtering import FILTERING_FILE, Filtering, RejectedAnswer
from reasondistill.contracts.records import read_examples
from reasondistill.contracts.row_files import read_rows
from reasondistill.contracts.teaching import ACCEPTED_FILE, REJECTED_FILE, Teaching

if TYPE_CHECKING:
    from reasondistill.teachers.reply_store import ReplyStore
    from reasondistill.teachers.teaching_material import Material
    from reasondistill.teachers.teaching_run import Progress

_LONGEST = 400
"""Characters of a line that shows a row."""


def progress_text(progress: Progress) -> str:
    """How far a teacher is, and what all of it cost so far."""
    cost = f"{progress.spent:.4f} spent" if progress.spent or progress.budget is not None else ""
    cost += f" of {progress.budget:g}" if progress.budget is not None else ""
    failed = f"{progress.failed:,} failed" if progress.failed else ""
    counts = f"{progress.answered:,} of {progress.requests:,} answered"
    return f"{progress.teacher}: {', '.join(filter(None, [counts, failed, cost]))}"


def print_plan(ready: Material, store: ReplyStore) -> None:
    """What would be sent, what it would cost, and the first prompt."""
    from reasondistill.teachers.estimate import SECONDS_AN_ANSWER, estimates

    fact("rows", f"{len(ready.rows):,} of {ready.rows.name}")
    messages = None
    for plan in estimates(ready, store):
        new = plan.requests - plan.stored
        stored = f"; {plan.stored:,} more are in the store" if plan.stored else ""
        fact(plan.teacher, f"{plan.model}: {new:,} requests to send{stored}")
        say(f"  tokens  about {plan.input_tokens:,} to read and {plan.output_tokens:,} to write")
        if plan.cost is not None:
            say(f"  cost    about {plan.cost:.4f}, at most {plan.cost_at_most:.4f}")
        else:
            say("  cost    unknown: no prices are given")
        if plan.seconds is not None:
            say(f"  time    about {plan.seconds / 60:.1f} min, at {SECONDS_AN_ANSWER:g} s an answer or the limits set")
        messages = messages or plan.messages
    for message in messages or ():
        fact(message["role"], "")
        say(message["content"])
    stage("nothing was sent")


def print_accounts(teaching: Teaching) -> None:
    """What each teacher was asked, what came of it, what it cost."""
    from rich.table import Table

    for account in teaching.teachers:
        table = Table("", "", title=f"{account.name} ({account.model}), {account.mode}", title_justify="left")
        table.add_row("requests", f"{account.requests:,}")
        table.add_row("answered", f"{account.answered:,} ({account.reused:,} by earlier runs)")
        for why, count in account.unanswered.items():
            table.add_row(f"not answered: {why}", f"{count:,}")
        table.add_row("attempts", f"{account.attempts:,}")
        for outcome, count in account.outcomes.items():
            table.add_row(f"  {outcome}", f"{count:,}")
        usage = account.usage
        table.add_row("tokens", f"{usage.input:,} read ({usage.cached:,} cached), {usage.output:,} written")
        table.add_row("cost", f"{account.cost:.6f}")
        if account.cost_at_most:
            table.add_row("cost of attempts without a reply", f"at most {account.cost_at_most:.6f}")
        if account.latency:
            table.add_row("seconds an answer", f"median {account.latency[0]:.2f}, p95 {account.latency[1]:.2f}")
        if account.doubled_ids:
            table.add_row("answers with the id of an earlier one", f"{account.doubled_ids:,}")
        if len(account.system_fingerprints) > 1:
            table.add_row("the server changed", ", ".join(account.system_fingerprints))
        wide_say(table)


def print_filters(folder: Path) -> None:
    """What each filter kept."""
    if (folder / FILTERING_FILE).is_file():
        print_filtering(Filtering.load(folder / FILTERING_FILE))


def print_rows(folder: Path, teaching: Teaching, most: int) -> None:
    """The first accepted explanations, and the first rejected answers."""
    if teaching.status == "running":
        stage("it was killed, or is at work: --resume writes its files from what is in the store")
        return
    if not most or not (folder / FILTERING_FILE).is_file():
        return
    accepted, rejected = folder / ACCEPTED_FILE, folder / REJECTED_FILE  # either may have no row
    explained = (e for e in (read_examples(accepted) if accepted.stat().st_size else ()) if e.explanations)
    for example in islice(explained, most):
        texts = "; ".join(f"{e.text} ({e.label or example.label})" for e in example.explanations)
        say(f"accepted {example.id}: {' | '.join(example.fields.values())}"[:_LONGEST])
        say(f"  {texts}"[:_LONGEST])
    for row in islice(read_rows(RejectedAnswer, rejected) if rejected.stat().st_size else (), most):
        say(f"rejected {row.answer.id}: {row.filter}: {row.reason}"[:_LONGEST])
        say(f"  {row.answer.explanation or '(nothing to read)'} ({row.answer.label})"[:_LONGEST])


_OF_THE_FORM = ("http 400", "http 422")
"""Problems of servers that refuse what a request asks for, such as a schema."""


def print_summary(folder: Path, teaching: Teaching) -> None:
    """How a run ended, what came of it, and the next command."""
    endings = {
        "finished": "finished",
        "stopped": "stopped; --resume goes on",
        "running": "at work, or killed; --resume goes on",
        "budget": "the next request could have passed the budget; --resume with a larger one goes on",
        "waiting": "the server works on batches",
    }
    fact("status", endings[teaching.status])
    bare = Filtering.load(folder / FILTERING_FILE).label_only if (folder / FILTERING_FILE).is_file() else 0
    alone = f", {bare:,} of them with a label only" if bare else ""
    fact("accepted", f"{teaching.accepted:,} of {teaching.data.n:,} rows{alone}, in {folder / ACCEPTED_FILE}")
    if teaching.answers and not teaching.usable:
        complain(
            f"None of {teaching.answers:,} answers can be used. `reasondistill teach show {folder}` shows some; "
            "another --mode asks in another way, and more tokens or another model may help."
        )
    if any(why in _OF_THE_FORM or "JSON" in why for why in teaching.problems):
        complain(
            "Where the server takes no JSON schema, or its answers hold more than JSON: "
            "--set teachers.answer_format=json, or =lines (in a YAML file: answer_format, of the teacher)."
        )
    if teaching.problems:
        say(f"not usable: {', '.join(f'{why} ({count:,})' for why, count in teaching.problems.items())}")
    if teaching.without_label:
        say(f"{teaching.without_label:,} rows have no label to explain; --mode explanation_then_label asks for both")
    at_most = f", at most {teaching.cost_at_most:.4f}" if teaching.cost_at_most > teaching.cost else ""
    fact("cost", f"{teaching.cost:.4f}{at_most}")
    if teaching.status == "waiting":
        say_next("teach", "collect", folder)
    elif teaching.accepted:
        say_next("data", "audit", folder / ACCEPTED_FILE)
