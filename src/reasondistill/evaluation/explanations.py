"""Text metrics of paired rows, for the system and its baselines."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Final, NamedTuple

import numpy as np

from reasondistill.config import EvaluationSettings
from reasondistill.contracts.records import Example
from reasondistill.contracts.results import MetricValue
from reasondistill.evaluation.controls import SHUFFLED, control_explanations
from reasondistill.evaluation.pairing import Row
from reasondistill.evaluation.score_table import ScoreTable
from reasondistill.evaluation.scored import BOUNDS, Scored
from reasondistill.languages.unknown_tokens import TOO_MANY
from reasondistill.languages.word_splitting import length
from reasondistill.metrics import baselines, text
from reasondistill.metrics.bertscore import BertScore, why_left_out
from reasondistill.metrics.explanations import Compared, ExplanationScorer, SideBySide, Unread, held_out
from reasondistill.metrics.known.explanation_metrics import LENGTH_METRICS, REFERENCE_METRICS, WORDING_METRICS
from reasondistill.metrics.statistics import FloatArray, GroupBootstrap, mean
from reasondistill.metrics.text import ROUGE_NAMES
from reasondistill.storage.lazy_sequences import Mapped
from reasondistill.tasks.task import Task

_ROWS_IN_A_PART: Final = 8_192
"""Rows that are compared at once, with all baselines and controls: their scores take some 40 MB."""


def score_explanations(
    rows: Sequence[Row],
    task: Task,
    settings: EvaluationSettings,
    bootstrap: GroupBootstrap,
    train_examples: Iterable[Example] | None,
    progress: Callable[[str], None],
) -> Scored:
    """Score the wording of explanations and compare them with references, next to baselines and controls."""
    scored = Scored(rows=ScoreTable(len(rows)))
    told = (
        (
            row.prediction.explanation,
            row.example.label,
            bool(row.references),
            text.is_copy(row.prediction.explanation, _fields(row, task)),
        )
        for row in rows
    )
    explanations, gold, has_references, copied = map(list, zip(*told, strict=True))
    scored.rows.add("copy", copied)
    scored.rows.add("length", [length(explanation) for explanation in explanations])
    scored.rows.add("empty", [text.is_empty(explanation) for explanation in explanations])
    scored.metrics["distinct_2"] = MetricValue(value=text.distinct_2(explanations), n=len(rows))
    scored.settings["copy_threshold"] = text.COPY_THRESHOLD
    scored.templates = [None] * len(rows)
    scored.controlled = control_explanations(rows, task)
    referenced = [k for k, has in enumerate(has_references) if has]
    if referenced:

        def compared(place: int) -> Compared:
            row = rows[place]
            return Compared(row.prediction.explanation, row.references, _fields(row, task))

        student = Mapped(compared, referenced)
        _add_reference_metrics(
            scored, rows, gold, referenced, student, task, settings, bootstrap, train_examples, progress
        )
    _add_means(scored, gold, task, bootstrap)
    return scored


def _fields(row: Row, task: Task) -> Mapping[str, str]:
    """What an explanation may copy."""
    fields = row.example.fields
    return fields if len(fields) == len(task.fields) else {name: fields[name] for name in task.fields}


def _add_reference_metrics(
    scored: Scored,
    rows: Sequence[Row],
    gold: Sequence[str | None],
    referenced: Sequence[int],
    student: Sequence[Compared],
    task: Task,
    settings: EvaluationSettings,
    bootstrap: GroupBootstrap,
    train_examples: Iterable[Example] | None,
    progress: Callable[[str], None],
) -> None:
    """Compare explanations with references, for the rows that have some (their places are ``referenced``)."""
    templates, baseline_settings = _templates(Mapped(rows.__getitem__, referenced), student, task, train_examples)
    for k, filled in zip(referenced, templates, strict=False):
        scored.templates[k] = filled
    stand_ins = _baselines(student, task, templates)
    controls = {
        name: _in_its_place([explanations[k] for k in referenced]) for name, explanations in scored.controlled.items()
    }
    scored.bertscore, bertscore_settings = load_bertscore(settings, progress)
    scorer = ExplanationScorer(
        [], how=settings.aggregate, stemmer=settings.stemmer, bertscore=scored.bertscore, progress=progress
    )
    compared = _compare(scorer, student, {**controls, **stand_ins}, progress)
    progress("comparing explanations with references")
    unread = scorer.unread_in(compared.table)
    _add_overlaps(scored.rows, scorer, compared.table, referenced, unread)
    scored.shuffled = ScoreTable(len(compared.shuffled[ROUGE_NAMES[0]]))
    _add_overlaps(scored.shuffled, scorer, compared.shuffled, range(len(scored.shuffled)), unread)
    _add_corpus_metrics(scored, scorer, compared.table, referenced, gold, task, bootstrap, unread)
    progress("scoring baselines and controls")
    fewer_rows = _add_baselines(scored, compared.beside, stand_ins, unread)
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
        **scorer.signatures(student),
        "bertscore": bertscore_settings,
        "baselines": baseline_settings,
    }


_StandIn = Callable[[int, Compared], Iterable[tuple[int, Compared, Compared]]]
"""What a baseline or control has for a row of the student's, by its place: the turn, its explanation, the student's."""


def _in_its_place(explanations: Sequence[str | None]) -> _StandIn:
    """These explanations, compared with the same references; None where there is none for a row."""

    def stand_in(place: int, row: Compared) -> Iterable[tuple[int, Compared, Compared]]:
        explanation = explanations[place]
        return () if explanation is None else ((0, row._replace(explanation=explanation), row),)

    return stand_in


def _copied(name: str) -> _StandIn:
    return lambda _, row: ((0, row._replace(explanation=row.fields[name]), row),)


def _baselines(student: Sequence[Compared], task: Task, templates: Sequence[str]) -> dict[str, _StandIn]:
    stand_ins = {f"copied_{name}": _copied(name) for name in task.fields}
    if templates:
        stand_ins["template"] = _in_its_place(templates)
    if any(len(row.references) > 1 for row in student):
        stand_ins["references"] = lambda _, row: ((k, one, own) for k, (one, own) in enumerate(held_out(row)))
        stand_ins["student_fewer_references"] = lambda _, row: (
            (k, own, one) for k, (one, own) in enumerate(held_out(row))
        )
    return stand_ins


class _Comparison(NamedTuple):
    """``table`` of the student's rows and of the control ``shuffled``; the figures of each stand-in ``beside`` it."""

    table: dict[str, FloatArray]
    shuffled: dict[str, FloatArray]
    beside: dict[str, SideBySide]


def _compare(
    scorer: ExplanationScorer,
    student: Sequence[Compared],
    stand_ins: Mapping[str, _StandIn],
    progress: Callable[[str], None],
) -> _Comparison:
    """Part by part, so that memory does not grow with the number of stand-ins."""
    beside = {name: SideBySide(scorer) for name in stand_ins}
    whole: dict[str, FloatArray] = {}
    shuffled: list[dict[str, FloatArray]] = []
    with scorer.counting(len(student), progress) as learn:
        for start in range(0, len(student), _ROWS_IN_A_PART):
            places = range(start, min(start + _ROWS_IN_A_PART, len(student)))
            compared = {
                name: [turn for k in places for turn in stand_in(k, student[k])] for name, stand_in in stand_ins.items()
            }
            of_part = student[places.start : places.stop]
            learn(places, [*of_part, *(row for turns in compared.values() for _, *both in turns for row in both)])
            for name, scores in scorer.table(of_part).items():
                column = whole.setdefault(name, np.empty((len(student), *scores.shape[1:])))
                column[places.start : places.stop] = scores
            of_others = scorer.table([ours for _, ours, _ in compared[SHUFFLED]])
            shuffled.append({name: scores.copy() for name, scores in of_others.items() if name not in scorer.corpus})
            for name, turns in compared.items():
                beside[name].add(turns)
    of_shuffled = {name: np.concatenate([part[name] for part in shuffled]) for name in shuffled[0]}
    return _Comparison(whole, of_shuffled, beside)


def _add_overlaps(
    rows: ScoreTable,
    scorer: ExplanationScorer,
    table: Mapping[str, FloatArray],
    places: Sequence[int],
    unread: Unread,
) -> None:
    """Give rows their ROUGE and BERTScore; rows of other places have none, and nor have metrics that are left out."""
    for name, scores in table.items():
        if name not in scorer.corpus:
            column = np.full(len(rows), np.nan)
            if name not in unread.left_out:
                column[places] = scores
            rows.add(name, Mapped(_score, array("d", column.tobytes())))


def _score(value: float) -> float | None:
    return None if math.isnan(value) else value


def _add_baselines(
    scored: Scored, beside: Mapping[str, SideBySide], baselines: Collection[str], unread: Unread
) -> dict[str, dict[str, object]]:
    """Add figures of baselines and controls on the rows where a metric can read both them and the student.

    A metric that could read too few rows of a baseline is left out there.

    Returns:
        By baseline and metric, where rows of the student's are absent: ``n``, the rows that are there, ``of`` the
        student's, and ``student``, its own figure on them; None for a baseline that was left out.
    """
    fewer_rows: dict[str, dict[str, object]] = {}
    for name, both in beside.items():
        if not both:
            continue
        figures, own, rows = both.figures()
        for metric, (n, of) in rows.items():
            too_few = of - n > TOO_MANY * of
            if metric in unread.left_out or too_few:
                figures.pop(metric, None)
            if n < of and name in baselines and name not in _OF_PEOPLE and metric not in unread.left_out:
                student_figure = None if too_few else own[metric]
                fewer_rows.setdefault(name, {})[metric] = {"n": n, "of": of, "student": student_figure}
        (scored.baselines if name in baselines else scored.controls)[name] = figures
        scored.beside[name] = own
    return fewer_rows


_OF_PEOPLE = ("references", "student_fewer_references")


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


def _templates(
    rows: Sequence[Row], student: Sequence[Compared], task: Task, train_examples: Iterable[Example] | None
) -> tuple[list[str], dict[str, object]]:
    """The filled template of each row, none where none is found, and the settings of all baselines."""
    source = (row.example for row in rows) if train_examples is None else map(task.check, train_examples)
    labels: Counter[str] = Counter()

    def explained() -> Iterator[baselines.Explained]:
        for example in source:
            # Only a task's own labels can have a template each: choices differ from row to row.
            label = (example.label or "") if task.labels else ""
            for reference in example.references:
                labels[label] += 1
                yield baselines.Explained(task.own_words(reference.text, example.fields), label, example.fields)

    templates = baselines.commonest_templates(explained())
    filled: list[str] = []
    if templates:
        fallback = templates[next(label for label, _ in labels.most_common() if label in templates)]
        chosen = [templates.get((row.prediction.label or "") if task.labels else "", fallback) for row in rows]
        filled = [baselines.fill_template(t, row.fields) for t, row in zip(chosen, student, strict=True)]
    return filled, {
        "template": {
            "found_in": "scored references" if train_examples is None else "training explanations",
            "templates": templates,
        },
        "references": {
            "n": sum(len(row.references) > 1 for row in student),
            "scored": "each in turn against the row's others",
        },
    }


def _add_corpus_metrics(
    scored: Scored,
    scorer: ExplanationScorer,
    table: Mapping[str, FloatArray],
    places: Sequence[int],
    gold: Sequence[str | None],
    task: Task,
    bootstrap: GroupBootstrap,
    unread: Unread,
) -> None:
    for name in scorer.corpus:
        if name in unread.left_out:
            continue
        counts = table[name]
        statistics = np.zeros((len(gold), counts.shape[1]))
        statistics[places] = np.nan_to_num(counts)  # rows without references, or not read, add nothing
        read = np.zeros(len(gold), dtype=bool)
        read[places] = ~np.isnan(counts[:, 0])
        metric = scorer.corpus[name]

        def figure(inside: list[bool], metric: text.CorpusMetric = metric, of: FloatArray = statistics) -> MetricValue:
            chosen = np.where(np.array(inside)[:, None], of, 0.0)
            interval = bootstrap.interval(chosen, metric.scores)
            return MetricValue(value=metric.score(chosen.sum(axis=0)), ci95=interval, n=sum(inside))

        scored.metrics[name] = figure(read.tolist())
        for label in task.labels or ():
            of_label = [bool(r) and own == label for r, own in zip(read, gold, strict=True)]
            if any(of_label):
                scored.per_label.setdefault(label, {})[name] = figure(of_label)


def _add_means(scored: Scored, gold: Sequence[str | None], task: Task, bootstrap: GroupBootstrap) -> None:
    for known in (*REFERENCE_METRICS, *WORDING_METRICS, *LENGTH_METRICS):
        metric = known.name
        values = [row.get(known.score) for row in scored.rows]
        if all(value is None for value in values):  # of no row, or no mean of rows
            continue
        scored.metrics[metric] = mean(values, bootstrap)
        for name in task.labels or ():
            of_label = [v if own == name else None for v, own in zip(values, gold, strict=True)]
            if any(value is not None for value in of_label):
                scored.per_label.setdefault(name, {})[metric] = mean(of_label, bootstrap)
