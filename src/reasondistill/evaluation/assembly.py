"""Predictions beside data -> results.json and per_example.jsonl: any system's answers, not only a student's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reasondistill.config import EvaluationSettings
from reasondistill.contracts.base import DatasetInfo
from reasondistill.contracts.records import Example, Prediction
from reasondistill.contracts.results import Metric, Results
from reasondistill.contracts.scored_rows import SCORED_ROWS_FILE, ScoredRow, write_scored_rows
from reasondistill.data.recognising import recognise_examples
from reasondistill.evaluation.agreement import score_agreement
from reasondistill.evaluation.controls import fooled
from reasondistill.evaluation.error_analysis import find_errors
from reasondistill.evaluation.explanations import score_explanations
from reasondistill.evaluation.labels import score_labels
from reasondistill.evaluation.named_teachers import Teacher, match_teachers
from reasondistill.evaluation.own_metrics import add_own_metrics
from reasondistill.evaluation.pairing import Row, gives_labels, join, labels_given
from reasondistill.evaluation.scored import Scored
from reasondistill.evaluation.slices import measure_slices
from reasondistill.evaluation.support import add_support
from reasondistill.evaluation.verbalized_confidence import score_stated
from reasondistill.metrics.statistics import GroupBootstrap
from reasondistill.metrics.text import ROUGE_NAMES, is_empty
from reasondistill.storage.files import atomic_folder, fingerprint
from reasondistill.tasks.task import NLI, Task

if TYPE_CHECKING:
    from reasondistill.evaluation.efficiency import Efficiency
    from reasondistill.evaluation.faithfulness.suite import SuiteOutcome
    from reasondistill.judges import Judge


@dataclass(frozen=True)
class Evaluation:
    """Figures of a system, and its scores on each example."""

    results: Results
    rows: list[ScoredRow]

    def save(self, out: str | Path) -> None:
        """Write results.json and per_example.jsonl into the new folder ``out``; see `save`."""
        save(self, out)

    @property
    def metrics(self) -> dict[str, Metric]:
        """Those of the results, by name."""
        return self.results.metrics

    def _repr_html_(self) -> str:
        return self.results._repr_html_()

    def with_efficiency(self, found: Efficiency) -> Evaluation:
        """These figures and what the system costs."""
        return Evaluation(self.results.model_copy(update={"efficiency": found}), self.rows)

    def with_faithfulness(self, found: SuiteOutcome) -> Evaluation:
        """These figures and those of tests of faithfulness, of the same examples in the same order."""
        results = self.results.model_copy(
            update={
                "metrics": {**self.results.metrics, **found.metrics},
                "settings": {
                    **self.results.settings,
                    "faithfulness": {
                        name: {**details.settings, "metrics": details.metrics}
                        for name, details in found.tests.items()
                        if not details.left_out
                    },
                },
                "faithfulness": found.tests,
            }
        )
        scores = found.per_example.items()
        rows = [row.with_scores({name: values[k] for name, values in scores}) for k, row in enumerate(self.rows)]
        return Evaluation(results, rows)


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
    teachers: Sequence[Teacher] = (),
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
        train_examples: where the template floor's templates are found; without them, in the scored references.
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
    predictions, examples = list(predictions), list(examples)
    if task is None:
        task = recognise_examples(name, examples, labels_given(predictions)) if examples else NLI  # none are refused
    rows = join(predictions, examples, task)
    matched = match_teachers(teachers, rows, task)  # mistakes come to light before anything takes time
    bootstrap = GroupBootstrap(
        [row.example.cluster for row in rows],
        resamples=settings.resamples,
        seed=settings.seed,
    )
    scored = score_labels(rows, task, bootstrap)
    score_stated(scored, rows, bootstrap, settings.seed)
    texts = score_explanations(rows, task, settings, bootstrap, train_examples, progress)
    if judge is not None:
        add_support(texts, rows, task, judge, bootstrap, progress)
    agreed = score_agreement(rows, task, matched, settings, bootstrap, texts, progress)
    progress("looking for errors and slices")
    errors = find_errors(rows, task, texts.rows, texts.shuffled, bootstrap)
    slices = measure_slices(rows, task, texts.rows, bootstrap)
    for scores, kind, names, taught in zip(texts.rows, errors.kinds, slices.names, agreed.rows, strict=True):
        scores.update(error=kind, slices=names, **taught)
    used = [len(row.references) for row in rows if row.references]
    results = Results(
        dataset=DatasetInfo(
            name=name,
            split=split,
            fingerprint=fingerprint(
                *sorted([row.example.id, row.example.label or "", *row.references] for row in rows)
            ),
            n=len(rows),
        ),
        settings={
            "task": task.name,
            **({} if made_by is None else {"student": made_by}),
            **settings.model_dump(include={"aggregate", "stemmer"}),
            "references_used": {
                "min": min(used, default=0),
                "max": max(used, default=0),
                "mean": sum(used) / len(used) if used else 0.0,
            },
            "reference_sources": _sources(rows),
            **texts.settings,
            **scored.settings,
            **agreed.settings,
            "slices": slices.settings,
            "fooled": fooled(
                {name: metric.value for name, metric in texts.metrics.items()},
                texts.floors,
                texts.controls,
                texts.beside,
            ),
            "bootstrap": {
                "interval": "95% percentile",
                "resampled": "groups",
                "groups": bootstrap.n_groups,
                "resamples": settings.resamples,
                "seed": settings.seed,
            },
        },
        metrics={**scored.metrics, **texts.metrics, **agreed.metrics},
        per_label={
            name: {**scored.per_label.get(name, {}), **texts.per_label.get(name, {})}
            for name in task.labels or ()
            if name in scored.per_label or name in texts.per_label
        },
        confusion=scored.confusion,
        floors={**texts.floors, **scored.floors},
        controls=texts.controls,
        calibration=scored.calibration,
        slices=slices.measured,
        errors=errors.summary,
        agreement=agreed.details,
    )
    labelled = gives_labels(rows, task)
    lines = [_as_row(row, scores, labelled) for row, scores in zip(rows, texts.rows, strict=True)]
    return Evaluation(*_add_own_metrics(results, lines, rows, task, texts, bootstrap))


def save(evaluation: Evaluation, out: str | Path) -> None:
    """Write results.json and per_example.jsonl into the new folder ``out``, both or neither.

    Raises:
        OutputError: ``out`` is there already and holds something.
    """
    with atomic_folder(out) as folder:
        evaluation.results.save(folder / "results.json")
        write_scored_rows(folder / SCORED_ROWS_FILE, evaluation.rows)


def _as_row(row: Row, scores: Mapping[str, Any], labelled: bool) -> ScoredRow:
    """A line of per_example.jsonl; scores that need references are None where there are none.

    ``labelled``: the system gives labels, so that a missing one is wrong.
    """
    example, prediction = row.example, row.prediction
    return ScoredRow.model_validate(
        {
            "id": example.id,
            "group": example.group,
            "gold": example.label,
            "label": prediction.label,
            "correct": prediction.label == example.label if labelled and example.label is not None else None,
            "probabilities": prediction.probabilities,
            "explanation": prediction.explanation,
            "references": row.references,
            "fields": example.fields,
            **(_stated(prediction) if prediction.states else {}),
            **dict.fromkeys(ROUGE_NAMES),
            **scores,
        }
    )


def _add_own_metrics(
    results: Results, lines: list[ScoredRow], rows: Sequence[Row], task: Task, texts: Scored, bootstrap: GroupBootstrap
) -> tuple[Results, list[ScoredRow]]:
    copies = {f"copied_{name}": [row.example.fields[name] for row in rows] for name in task.fields}
    return add_own_metrics(
        results,
        lines,
        bootstrap,
        labels=task.labels or (),
        baselines={**copies, "template": texts.templates},
        controls=texts.controlled,
    )


def _sources(rows: Sequence[Row]) -> dict[str, int]:
    """Who the references are from, and how many of them, the most first."""
    written = (e.source for row in rows for e in row.example.references if not is_empty(e.text))
    return dict(Counter(written).most_common())


def _stated(prediction: Prediction) -> dict[str, Any]:
    """What ``explanation`` was cut by, and what that states."""
    value = prediction.stated_confidence
    return {"confidence_phrase": prediction.confidence_phrase, "stated": value is not None, "stated_confidence": value}
