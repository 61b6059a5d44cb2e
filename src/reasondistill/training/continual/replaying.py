"""Rows that are learned again beside new ones: some that the parent learned from, or texts with its own answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from reasondistill.config import Source, TrainConfig, Update
from reasondistill.contracts.federation import FEDERATION_FILE
from reasondistill.contracts.records import Example, Explanation, Prediction, read_predictions
from reasondistill.data import Loaded, load_source
from reasondistill.data.transforms.selection import NOT_IN_FRACTION, groups_of, in_fraction
from reasondistill.errors import DataError
from reasondistill.run_data import RunData
from reasondistill.runs import Run
from reasondistill.students.prediction_files import predict_file
from reasondistill.students.student import Student
from reasondistill.tasks.task import Task
from reasondistill.training.continual.lineage import lineage

PARENT = "parent"
"""The source of explanations that the parent wrote."""


def replayed(config: TrainConfig, update: Update) -> list[Loaded]:
    """What is learned again: a share of the groups that each run before learned from, and the parent's own answers.

    Groups are chosen by a hash, as those of `Source.fraction`: what a smaller share holds, a larger one holds too.

    Raises:
        UserError: the data of a run before are not where they were, a share holds nothing, or the texts cannot be read.
    """
    parts: list[Loaded] = []
    if update.replay:
        for run in lineage(update):
            parts += [_share(source, run, config.task, update.replay) for source in RunData(run).training_sources()]
    if update.self_replay is not None:
        parts.append(answered(update.self_replay, Run.open(update.parent), config))
    return parts


def _share(source: Source, run: Run, task: Task, share: float) -> Loaded:
    if (run.folder / FEDERATION_FILE).is_file():
        raise DataError(
            run.folder,
            expected="a run whose training rows are in one place, to learn some of them again",
            found="one of several clients, each of which tests on rows of its own",
            fix="Take --self-replay DATA with texts that may be used, --distillation or --lora.",
        )
    seed = run.config().seed  # says which rows it learned from
    learned = load_source(source, task, seed)
    kept = [in_fraction(group, source.fraction * share, seed) for group in groups_of(learned)]
    if not any(kept):
        raise DataError(
            "update.replay",
            expected=f"a share with at least one group of the {len(learned):,} rows that {run.folder} learned from",
            found=f"{share:g}, which has none",
            fix="Replay a larger share.",
        )
    return learned.only(kept, reason=NOT_IN_FRACTION)


def answered(source: Source, parent: Run, config: TrainConfig) -> Loaded:
    """Texts with the parent's labels and explanations. It is asked once: its answers stay in its run."""
    texts = load_source(source, config.task, config.seed, need_label=False)
    student = Student.load(parent)
    facts = {"name": texts.name, "split": None, "fingerprint": texts.fingerprint}
    file = parent.predictions(f"replay-{texts.fingerprint[:12]}")
    predict_file(student, texts.examples, file, facts={"data": facts})
    return replace(texts, examples=list(_with_answers(texts, read_predictions(file))), reader=None)


def _with_answers(texts: Loaded, answers: Iterator[Prediction]) -> Iterator[Example]:
    for example, answer in zip(texts.examples, answers, strict=True):
        written = (Explanation(text=answer.explanation, source=PARENT),) if answer.explanation.strip() else ()
        yield example.model_copy(update={"label": answer.label, "explanations": written})
