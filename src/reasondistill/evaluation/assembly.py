"""Predictions beside data -> results.json and per_example.jsonl: any system's answers, not only a student's."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reasondistill.config import EvaluationSettings
from reasondistill.contracts.base import DatasetInfo
from reasondistill.contracts.records import Example, Prediction
from reasondistill.contracts.results import MetricValue, Results
from reasondistill.contracts.scored_rows import SCORED_ROWS_FILE, ScoredRow, write_scored_rows
from reasondistill.data.recognising import recognise_examples
from reasondistill.errors import OutputError
from reasondistill.evaluation.agreement import Agreed, score_agreement
from reasondistill.evaluation.controls import fooled
from reasondistill.evaluation.error_analysis import Errors, find_errors
from reasondistill.evaluation.explanations import score_explanations
from reasondistill.evaluation.labels import score_labels
from reasondistill.evaluation.own_metrics import add_own_metrics
from reasondistill.evaluation.pairing import Row, fields_of, join, labels_given, right_answers
from reasondistill.evaluation.reference_teachers import MatchedTeacher, ReferenceTeacher, match_teachers
from reasondistill.evaluation.scored import Scored
from reasondistill.evaluation.scored_lines import ScoredLines, with_columns
from reasondistill.evaluation.slices import Slices, measure_slices
from reasondistill.evaluation.structured_explanations import score_structures
from reasondistill.evaluation.support import add_support
from reasondistill.evaluation.verbalized_confidence import score_stated
from reasondistill.evaluation.written_scores import score_answers
from reasondistill.languages.detection import UNKNOWN
from reasondistill.metrics.known.any_script_metrics import ANSWERS_IN_ANY_SCRIPT, explanations_in
from reasondistill.metrics.metric import Metric
from reasondistill.metrics.statistics import GroupBootstrap
from reasondistill.metrics.text import is_empty
from reasondistill.storage.files import atomic_folder, fingerprint_of_parts, require_new_folder
from reasondistill.storage.lazy_sequences import repeatable
from reasondistill.tasks.task import NLI, Task

if TYPE_CHECKING:
    from reasondistill.evaluation.efficiency import Efficiency
    from reasondistill.evaluation.faithfulness.suite import SuiteOutcome
    from reasondistill.judges import Judge


@dataclass(frozen=True)
class Evaluation:
    """Figures of a system, and its scores on each example."""

    results: Results
    rows: Sequence[ScoredRow]

    def save(self, out: str | Path, *, force: bool = False) -> None:
        """Write results.json and per_example.jsonl into the new folder ``out``; see `save`."""
        save(self, out, force=force)

    @property
    def metrics(self) -> dict[str, MetricValue]:
        """Those of the results, by name."""
        return self.results.metrics

    def _repr_html_(self) -> str:
        return self.results._repr_html_()

    def with_efficiency(self, efficiency: Efficiency) -> Evaluation:
        """These figures and what the system costs."""
        return Evaluation(self.results.model_copy(update={"efficiency": efficiency}), self.rows)

    def with_faithfulness(self, faithfulness: SuiteOutcome) -> Evaluation:
        """These figures and those of tests of faithfulness, of the same examples in the same order."""
        results = self.results.model_copy(
            update={
                "metrics": {**self.results.metrics, **faithfulness.metrics},
                "settings": {
                    **self.results.settings,
                    "faithfulness": {
                        name: {**details.settings, "metrics": details.metrics}
                        for name, details in faithfulness.tests.items()
                        if not details.left_out
                    },
                },
                "faithfulness": faithfulness.tests,
            }
        )
        return Evaluation(results, with_columns(self.rows, faithfulness.per_example))


def evaluate(
    predictions: Iterable[Prediction],
    examples: Iterable[Example],
    *,
    task: Task | None = None,
    name: str,
    split: str | None = None,
    settings: EvaluationSettings | None = None,
    train_examples: Iterable[Example] | None = None,
    judge: Judge | None = None,
    teachers: Sequence[ReferenceTeacher] = (),
    made_by: str | None = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> Evaluation:
    """Score predictions of examples, one each.

    Args:
        predictions: in any order.
        examples: those to score, no others: a split is chosen before.
        task: that they are of; by default told by their fields and the labels at hand (`recognise_examples`).
        name: of the data set, to be recorded.
        split: which part of it ``examples`` are, to be recorded.
        train_examples: where the template baseline's templates are found; without them, in the scored references.
        judge: gives each explanation's support; it must not have been trained on any of the examples.
        teachers: to compare with; the first one's agreement is among the metrics, that of all in ``agreement``.
        made_by: the fingerprint of the student that made the predictions, to be recorded.
        progress: called with a sentence as each stage begins.

    Raises:
        DataError: an id is doubled, unknown or has no prediction; a label or probability is not one of the task's; the
            judge is of another task, or was trained on some of the examples; a teacher has no answer to any example.
        CheckpointError, ConfigError, MissingExtraError: the BERTScore encoder cannot be used as named.
        ConfigError, DataError: a registered metric has a name that is taken, or gives what is no score.
    """
    settings = settings or EvaluationSettings()
    predictions, examples = repeatable(predictions), repeatable(examples)
    if task is None:
        task = recognise_examples(name, examples, labels_given(predictions)) if examples else NLI  # none are refused
    rows = join(predictions, examples, task)
    matched = match_teachers(teachers, rows, task)  # mistakes come to light before anything takes time
    bootstrap = GroupBootstrap(
        (row.example.cluster for row in rows),
        resamples=settings.resamples,
        seed=settings.seed,
    )
    if train_examples is not None and task.writes_answers:
        train_examples = list(train_examples)  # they are read twice
    parts = _score(rows, task, settings, bootstrap, train_examples, judge, matched, progress)
    results = parts.results(task, settings, bootstrap, _dataset(parts.rows, name, split), made_by)
    # Of texts of which none is an accepted one, as summaries, it is open which are right.
    judged = task.answer != "text" or "label" in parts.errors.summary.judged
    verdicts = right_answers(parts.rows, task) if judged else [None] * len(parts.rows)
    lines = ScoredLines(parts.rows, parts.texts.rows, verdicts)
    return Evaluation(*_add_own_metrics(results, lines, parts.rows, task, parts.texts, bootstrap))


class _Parts(NamedTuple):
    """The rows, and all that was measured on them."""

    rows: Sequence[Row]
    labels: Scored
    texts: Scored
    agreed: Agreed
    errors: Errors
    slices: Slices

    def results(
        self,
        task: Task,
        settings: EvaluationSettings,
        bootstrap: GroupBootstrap,
        dataset: DatasetInfo,
        made_by: str | None,
    ) -> Results:
        return Results(
            dataset=dataset,
            settings={
                "task": task.name,
                **({} if made_by is None else {"student": made_by}),
                **settings.model_dump(include={"aggregate", "stemmer"}),
                **({} if settings.language is None else {"language": settings.language}),
                **_references_used(self.rows),
                **self.texts.settings,
                **self.labels.settings,
                **self.agreed.settings,
                "slices": self.slices.settings,
                "fooled": _fooled(self.texts),
                "bootstrap": _resampling(bootstrap, settings),
            },
            metrics={**self.labels.metrics, **self.texts.metrics, **self.agreed.metrics},
            per_label=_per_label(task, self.labels, self.texts),
            confusion=self.labels.confusion,
            baselines=_joined(self.texts.baselines, self.labels.baselines),
            controls=self.texts.controls,
            calibration=self.labels.calibration,
            slices=self.slices.measured,
            errors=self.errors.summary,
            agreement=self.agreed.details,
        )


def _score(
    rows: Sequence[Row],
    task: Task,
    settings: EvaluationSettings,
    bootstrap: GroupBootstrap,
    train_examples: Iterable[Example] | None,
    judge: Judge | None,
    teachers: Sequence[MatchedTeacher],
    progress: Callable[[str], None],
) -> _Parts:
    written, rows = score_answers(rows, task, settings, bootstrap, train_examples)
    scored = written if task.writes_answers else score_labels(rows, task, bootstrap)
    score_stated(scored, rows, bootstrap, settings.seed)
    texts = score_explanations(rows, task, settings, bootstrap, train_examples, progress)
    score_structures(rows, task, texts, bootstrap)
    if judge is not None:
        add_support(texts, rows, task, judge, bootstrap, progress)
    agreed = score_agreement(rows, task, teachers, settings, bootstrap, texts, progress)
    for scores, of_answer in zip(texts.rows, written.rows, strict=True):
        scores.update(of_answer)
    progress("looking for errors and slices")
    errors = find_errors(rows, task, texts.rows, texts.shuffled, bootstrap)
    slices = measure_slices(rows, task, texts.rows, bootstrap, settings.language)
    texts.rows.add("error", errors.kinds)
    texts.rows.add("slices", slices.names)
    for scores, taught in zip(texts.rows, agreed.rows, strict=True):
        scores.update(taught)
    return _Parts(rows, scored, texts, agreed, errors, slices)


def _joined(
    figures: Mapping[str, Mapping[str, float]], others: Mapping[str, Mapping[str, float]]
) -> dict[str, dict[str, float]]:
    """The figures of baselines, some of which have both some for answers and some for explanations."""
    return {name: {**figures.get(name, {}), **others.get(name, {})} for name in {**figures, **others}}


def _dataset(rows: Sequence[Row], name: str, split: str | None) -> DatasetInfo:
    content = sorted([row.example.id, row.example.label or "", *row.references] for row in rows)
    return DatasetInfo(name=name, split=split, fingerprint=fingerprint_of_parts(content), n=len(rows))


def _references_used(rows: Sequence[Row]) -> dict[str, object]:
    used = [len(row.references) for row in rows if row.references]
    mean = sum(used) / len(used) if used else 0.0
    return {
        "references_used": {"min": min(used, default=0), "max": max(used, default=0), "mean": mean},
        "reference_sources": _sources(rows),
    }


def _fooled(texts: Scored) -> dict[str, list[str]]:
    own = {name: metric.value for name, metric in texts.metrics.items()}
    return fooled(own, texts.baselines, texts.controls, texts.beside)


def _resampling(bootstrap: GroupBootstrap, settings: EvaluationSettings) -> dict[str, object]:
    return {
        "interval": "95% percentile",
        "resampled": "groups",
        "groups": bootstrap.n_groups,
        "resamples": settings.resamples,
        "seed": settings.seed,
    }


def _per_label(task: Task, labels: Scored, texts: Scored) -> dict[str, dict[str, MetricValue]]:
    return {
        name: {**labels.per_label.get(name, {}), **texts.per_label.get(name, {})}
        for name in task.labels or ()
        if name in labels.per_label or name in texts.per_label
    }


def save(evaluation: Evaluation, out: str | Path, *, force: bool = False) -> None:
    """Write results.json and per_example.jsonl into the new folder ``out``, both or neither.

    Args:
        force: replace results that are there.

    Raises:
        OutputError: ``out`` is there already and holds something else, or results and no ``force``.
    """
    if force and are_results(out):
        shutil.rmtree(out)
    with atomic_folder(out) as folder:
        evaluation.results.save(folder / "results.json")
        write_scored_rows(folder / SCORED_ROWS_FILE, evaluation.rows)


def are_results(folder: str | Path) -> bool:
    """Whether a folder holds results and nothing else."""
    folder = Path(folder)
    return folder.is_dir() and {path.name for path in folder.iterdir()} == {"results.json", SCORED_ROWS_FILE}


def require_place_for_results(folder: str | Path, *, force: bool = False) -> None:
    """Look, before anything takes time, whether results can be saved there.

    Raises:
        OutputError: as `save`.
    """
    if not are_results(folder):
        require_new_folder(folder)
    elif not force:
        raise OutputError(
            folder,
            expected="no results yet",
            found="results of an earlier evaluation",
            fix="Replace them with --force (in Python: force=True), or name another folder with --out.",
        )


def _add_own_metrics(
    results: Results,
    lines: Sequence[ScoredRow],
    rows: Sequence[Row],
    task: Task,
    texts: Scored,
    bootstrap: GroupBootstrap,
) -> tuple[Results, Sequence[ScoredRow]]:
    copies = {f"copied_{name}": fields_of(rows, name) for name in task.fields}
    return add_own_metrics(
        results,
        lines,
        bootstrap,
        labels=task.labels or (),
        baselines={**copies, "template": texts.templates},
        further=_in_any_script(results, task, rows),
        controls=texts.controlled,
    )


def _in_any_script(results: Results, task: Task, rows: Sequence[Row]) -> list[Metric]:
    """The metrics for any script, in the place of those that could not read these texts."""
    unread = results.settings.get("unread")
    explanations = isinstance(unread, Mapping) and "rougeL" in unread["left_out"]
    told = results.settings["slices"]["languages"]
    language = next((name for name in (told["explanation"], told["input"]) if name != UNKNOWN), UNKNOWN)
    answers = task.answer == "text" and "answer_f1" in results.metrics and "answer_rougeL" not in results.metrics
    return [
        *(explanations_in(language, {len(row.references) for row in rows} - {0}) if explanations else ()),
        *(ANSWERS_IN_ANY_SCRIPT if answers else ()),
    ]


def _sources(rows: Sequence[Row]) -> dict[str, int]:
    """Who the references are from, and how many of them, the most first."""
    written = (e.source for row in rows for e in row.example.references if not is_empty(e.text))
    return dict(Counter(written).most_common())
