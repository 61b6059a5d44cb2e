"""Text metrics of paired rows, for the system and its baselines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version

import numpy as np

from reasondistill.config import EvaluationSettings
from reasondistill.contracts.records import Example
from reasondistill.contracts.results import MetricValue
from reasondistill.evaluation.controls import SHUFFLED, control_explanations
from reasondistill.evaluation.pairing import Row
from reasondistill.evaluation.scored import BOUNDS, Scored
from reasondistill.languages.unknown_tokens import TOO_MANY
from reasondistill.languages.word_splitting import length
from reasondistill.metrics import baselines, text
from reasondistill.metrics.bertscore import BertScore, why_left_out
from reasondistill.metrics.explanations import Compared, ExplanationScorer, Unread, leave_one_out
from reasondistill.metrics.known.explanation_metrics import LENGTH_METRICS, REFERENCE_METRICS, WORDING_METRICS
from reasondistill.metrics.statistics import FloatArray, GroupBootstrap, mean
from reasondistill.tasks.task import Task


def score_explanations(
    rows: Sequence[Row],
    task: Task,
    settings: EvaluationSettings,
    bootstrap: GroupBootstrap,
    train_examples: Iterable[Example] | None,
    progress: Callable[[str], None],
) -> Scored:
    """Score the wording of explanations and compare them with references, next to baselines and controls."""
    scored = Scored()
    fields = [{name: row.example.fields[name] for name in task.fields} for row in rows]
    explanations = [row.prediction.explanation for row in rows]
    scored.rows = [
        {"copy": text.is_copy(explanation, own), "length": length(explanation), "empty": text.is_empty(explanation)}
        for explanation, own in zip(explanations, fields, strict=True)
    ]
    scored.metrics["distinct_2"] = MetricValue(value=text.distinct_2(explanations), n=len(rows))
    scored.settings["copy_threshold"] = text.COPY_THRESHOLD
    scored.templates = [None] * len(rows)
    scored.controlled = control_explanations(rows, task)
    referenced = [k for k, row in enumerate(rows) if row.references]
    if referenced:
        student = [Compared(explanations[k], rows[k].references, fields[k]) for k in referenced]
        _add_reference_metrics(scored, rows, referenced, student, task, settings, bootstrap, train_examples, progress)
    _add_means(scored, rows, task, bootstrap)
    return scored


def _add_reference_metrics(
    scored: Scored,
    rows: Sequence[Row],
    referenced: Sequence[int],
    student: Sequence[Compared],
    task: Task,
    settings: EvaluationSettings,
    bootstrap: GroupBootstrap,
    train_examples: Iterable[Example] | None,
    progress: Callable[[str], None],
) -> None:
    """Compare explanations with references, for the rows that have some (their places are ``referenced``)."""
    systems, baseline_settings = _baseline_systems([rows[k] for k in referenced], student, task, train_examples)
    for k, filled in zip(referenced, systems.get("template", [[]])[0], strict=False):
        scored.templates[k] = filled.explanation
    controls = _controls(scored.controlled, referenced, student)
    scored.bertscore, bertscore_settings = load_bertscore(settings, progress)
    scorer = _scorer(scored.bertscore, student, systems, controls, settings, progress)
    progress("comparing explanations with references")
    unread = _add_overlaps(scored, scorer, student, referenced, controls)
    _add_corpus_metrics(scored, scorer, student, referenced, rows, task, bootstrap, unread)
    # A signature describes the references of the last scoring: read it before the baselines, which may have fewer.
    signatures = {name: metric.signature for name, metric in scorer.corpus.items()}
    progress("scoring baselines and controls")
    fewer_rows = _add_baselines(scored, scorer, student, systems, controls, unread)
    if unread.rows or fewer_rows:
        scored.settings["unread"] = {
            "bounds": BOUNDS,
            "of": len(referenced),
            "rows": unread.rows,
            "left_out": unread.left_out,
            "baselines": fewer_rows,
        }
    scored.settings |= {
        "rouge": f"rouge-score {version('rouge-score')}, F, {'stemmed' if settings.stemmer else 'not stemmed'}",
        **signatures,
        "bertscore": bertscore_settings,
        "baselines": baseline_settings,
    }


_Controls = dict[str, list[tuple[int, Compared]]]
"""By control: the places of the student's rows that it has an explanation for, with that explanation."""


def _controls(
    controlled: Mapping[str, Sequence[str | None]], referenced: Sequence[int], student: Sequence[Compared]
) -> _Controls:
    return {
        name: [
            (k, student[k]._replace(explanation=explanation))
            for k, place in enumerate(referenced)
            if (explanation := explanations[place]) is not None
        ]
        for name, explanations in controlled.items()
    }


def _scorer(
    bertscore: BertScore | None,
    student: Sequence[Compared],
    systems: Mapping[str, list[list[Compared]]],
    controls: _Controls,
    settings: EvaluationSettings,
    progress: Callable[[str], None],
) -> ExplanationScorer:
    controlled = [[row for _, row in control] for control in controls.values()]
    turns: list[Sequence[Compared]] = [student, *controlled, *(turn for system in systems.values() for turn in system)]
    everything = [row for turn in turns for row in turn]
    # Systems explain the same examples: sorting by the fields brings shared references together.
    everything.sort(key=lambda row: tuple(row.fields.values()))
    return ExplanationScorer(
        everything, how=settings.aggregate, stemmer=settings.stemmer, bertscore=bertscore, progress=progress
    )


def _add_overlaps(
    scored: Scored,
    scorer: ExplanationScorer,
    student: Sequence[Compared],
    referenced: Sequence[int],
    controls: _Controls,
) -> Unread:
    overlaps = dict(zip(referenced, map(scorer.overlap, student), strict=True))
    unread = scorer.unread(student)
    nothing = dict.fromkeys(overlaps[referenced[0]])  # rows without references have the same keys
    left_out = dict.fromkeys(name for name in nothing if name in unread.left_out)
    for k, row in enumerate(scored.rows):
        row.update(overlaps.get(k, nothing) | left_out)
    scored.shuffled = [scorer.overlap(row) | left_out for _, row in controls[SHUFFLED]]
    return unread


def _add_baselines(
    scored: Scored,
    scorer: ExplanationScorer,
    student: Sequence[Compared],
    systems: Mapping[str, list[list[Compared]]],
    controls: _Controls,
    unread: Unread,
) -> dict[str, dict[str, object]]:
    """Score baselines and controls on the rows where a metric can read both them and the student.

    A metric that could read too few rows of a baseline is left out there.

    Returns:
        By baseline and metric, where rows of the student's are absent: ``n``, the rows that are there, ``of`` the
        student's, and ``student``, its own figure on them; None for a baseline that was left out.
    """
    fewer_rows: dict[str, dict[str, object]] = {}
    humans = {"references": "student_fewer_references", "student_fewer_references": "references"}
    compared = {
        name: ([[row for _, row in control]], [[student[k] for k, _ in control]])
        for name, control in controls.items()
        if control
    }
    for name, turns in systems.items():
        compared[name] = turns, systems[humans[name]] if name in humans else [list(student)]
    for name, (turns, others) in compared.items():
        figures, own, rows = scorer.side_by_side(turns, others)
        for metric, (n, of) in rows.items():
            too_few = of - n > TOO_MANY * of
            if metric in unread.left_out or too_few:
                figures.pop(metric, None)
            if n < of and name in systems and name not in humans and metric not in unread.left_out:
                student_figure = None if too_few else own[metric]
                fewer_rows.setdefault(name, {})[metric] = {"n": n, "of": of, "student": student_figure}
        (scored.baselines if name in systems else scored.controls)[name] = figures
        scored.beside[name] = own
    return fewer_rows


def load_bertscore(
    settings: EvaluationSettings, progress: Callable[[str], None]
) -> tuple[BertScore | None, dict[str, object]]:
    """BERTScore and its settings, or None and why it is left out."""
    if not settings.bertscore:
        return None, {"left_out": "turned off"}
    if reason := why_left_out(settings.bertscore_encoder):
        return None, {"left_out": reason}
    progress("loading the BERTScore encoder")
    bertscore = BertScore(settings.bertscore_encoder, settings.bertscore_layer)
    return bertscore, bertscore.settings


def _baseline_systems(
    rows: Sequence[Row], student: Sequence[Compared], task: Task, train_examples: Iterable[Example] | None
) -> tuple[dict[str, list[list[Compared]]], dict[str, object]]:
    """The baselines, each as turns to average over, and their settings."""
    systems = {
        f"copied_{name}": [[row._replace(explanation=row.fields[name]) for row in student]] for name in task.fields
    }
    source = [row.example for row in rows] if train_examples is None else [task.check(e) for e in train_examples]
    # Only a task's own labels can have a template each: choices differ from row to row.
    explained = [
        baselines.Explained(
            task.own_words(reference.text, example.fields), (example.label or "") if task.labels else "", example.fields
        )
        for example in source
        for reference in example.references
    ]
    templates = baselines.commonest_templates(explained)
    if templates:
        fallback = templates[baselines.majority([e.label for e in explained if e.label in templates])]
        chosen = [templates.get((row.prediction.label or "") if task.labels else "", fallback) for row in rows]
        filled = [baselines.fill_template(t, row.fields) for t, row in zip(chosen, student, strict=True)]
        systems["template"] = [[row._replace(explanation=f) for row, f in zip(student, filled, strict=True)]]
    held_out, fewer = leave_one_out(student)
    if held_out:
        systems["references"], systems["student_fewer_references"] = held_out, fewer
    settings = {
        "template": {
            "found_in": "scored references" if train_examples is None else "training explanations",
            "templates": templates,
        },
        "references": {"n": len(held_out[0]) if held_out else 0, "scored": "each in turn against the row's others"},
    }
    return systems, settings


def _add_corpus_metrics(
    scored: Scored,
    scorer: ExplanationScorer,
    student: Sequence[Compared],
    places: Sequence[int],
    rows: Sequence[Row],
    task: Task,
    bootstrap: GroupBootstrap,
    unread: Unread,
) -> None:
    for name, counts in scorer.corpus_statistics(student).items():
        if name in unread.left_out:
            continue
        statistics = np.zeros((len(rows), counts.shape[1]))
        statistics[places] = np.nan_to_num(counts)  # rows without references, or not read, add nothing
        read = np.zeros(len(rows), dtype=bool)
        read[places] = ~np.isnan(counts[:, 0])
        metric = scorer.corpus[name]

        def figure(inside: list[bool], metric: text.CorpusMetric = metric, of: FloatArray = statistics) -> MetricValue:
            chosen = np.where(np.array(inside)[:, None], of, 0.0)
            interval = bootstrap.interval(chosen, metric.scores)
            return MetricValue(value=metric.score(chosen.sum(axis=0)), ci95=interval, n=sum(inside))

        scored.metrics[name] = figure(read.tolist())
        for label in task.labels or ():
            of_label = [bool(r) and row.example.label == label for r, row in zip(read, rows, strict=True)]
            if any(of_label):
                scored.per_label.setdefault(label, {})[name] = figure(of_label)


def _add_means(scored: Scored, rows: Sequence[Row], task: Task, bootstrap: GroupBootstrap) -> None:
    for known in (*REFERENCE_METRICS, *WORDING_METRICS, *LENGTH_METRICS):
        metric = known.name
        values = [row.get(known.score) for row in scored.rows]
        if all(value is None for value in values):  # of no row, or no mean of rows
            continue
        scored.metrics[metric] = mean(values, bootstrap)
        for name in task.labels or ():
            of_label = [v if row.example.label == name else None for v, row in zip(values, rows, strict=True)]
            if any(value is not None for value in of_label):
                scored.per_label.setdefault(name, {})[metric] = mean(of_label, bootstrap)
