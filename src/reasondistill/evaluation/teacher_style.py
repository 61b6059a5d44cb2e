"""How the style of a system's explanations differs from that of a teacher's, on the same rows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Final

import numpy as np

from reasondistill.config import EvaluationSettings
from reasondistill.contracts.agreement import Histogram, Style, StyleAuc, StyleDistance, Telling
from reasondistill.evaluation.named_teachers import Taught
from reasondistill.evaluation.pairing import Row
from reasondistill.evaluation.slice_rules import language_of
from reasondistill.metrics import style
from reasondistill.metrics.statistics import FloatArray, GroupBootstrap, percentile_interval, ratio
from reasondistill.metrics.style import FEATURES, Styled
from reasondistill.metrics.text import is_empty
from reasondistill.storage.files import fingerprint
from reasondistill.tasks.task import Task

CLASSIFIED_ROWS: Final = 4_000
"""The classifier is asked about no more rows: the first by the SHA-256 of their ids."""
HALVINGS: Final = 100
_BARS = 24


def compare_style(
    rows: Sequence[Row],
    answers: Sequence[Taught | None],
    task: Task,
    bootstrap: GroupBootstrap,
    settings: EvaluationSettings,
    progress: Callable[[str], None],
) -> Style | None:
    """Style features of both corpora, their distances, and what stands beside them; see docs/metrics.md.

    Compared are the rows that both explain. A teacher with several explanations of a row has all of them counted.

    Returns:
        None where no row has an explanation of both.
    """
    places = [k for k, one in enumerate(answers) if one and one.explanations and not is_empty(_said(rows[k]))]
    if not places:
        return None
    progress("comparing styles")
    fields = {k: {name: rows[k].example.fields[name] for name in task.fields} for k in places}
    student = [Styled(_said(rows[k]), fields[k]) for k in places]
    owners = [k for k in places for _ in _texts(answers[k])]
    teacher = [Styled(text, fields[k]) for k in places for text in _texts(answers[k])]
    languages = {
        who: language_of([one.text for one in corpus]) for who, corpus in (("student", student), ("teacher", teacher))
    }
    english = set(languages.values()) == {"English"}
    rarity = style.inverse_document_frequency([one.text for one in (*student, *teacher)])
    own = style.style_features(student, rarity, english=english)
    theirs = style.style_features(teacher, rarity, english=english)
    distances = style.style_distances(own, theirs)
    copies = {
        f"copied_{name}": style.style_features(
            [one._replace(text=one.fields[name]) for one in student], rarity, english=english
        )
        for name in task.fields
    }
    groups = [rows[k].example.cluster for k in owners]
    found: dict[str, object] = {
        "rows": len(places),
        "texts": {"student": len(student), "teacher": len(teacher)},
        "languages": languages,
        "left_out": [] if english else sorted(style.ENGLISH_FEATURES),
        "features": {
            name: {
                "student": float(np.nanmean(own[:, k])),
                "teacher": float(np.nanmean(theirs[:, k])),
                **_difference(own[:, k], theirs[:, k], places, owners, len(rows), bootstrap),
                "distance": distances[name],
                "histogram": _histogram(own[:, k], theirs[:, k], whole=name == "words"),
            }
            for k, name in enumerate(FEATURES)
            if name in distances
        },
        "style_distance": _mean(distances),
        "beside": {
            "teacher_halves": _halves(theirs, groups, settings.seed),
            **{name: {"style_distance": _mean(style.style_distances(of, theirs))} for name, of in copies.items()},
        },
        "connectives": {},
    }
    if english:
        shares = [style.connective_shares([one.text for one in corpus]) for corpus in (student, teacher)]
        found["connectives"] = {
            phrase: {"student": shares[0].get(phrase, 0.0), "teacher": shares[1].get(phrase, 0.0)}
            for phrase in {**shares[1], **shares[0]}
        }
    chosen = set(sorted(places, key=lambda k: fingerprint(rows[k].example.id))[:CLASSIFIED_ROWS])
    auc, telling = _classified(
        [(k, one.text) for k, one in zip(places, student, strict=True) if k in chosen],
        [(k, one.text) for k, one in zip(owners, teacher, strict=True) if k in chosen],
        rows,
        bootstrap,
    )
    return Style.model_validate({**found, "style_auc": auc, "telling": telling})


def _said(row: Row) -> str:
    return row.prediction.explanation


def _texts(answer: Taught | None) -> tuple[str, ...]:
    return answer.explanations if answer is not None else ()


def _mean(distances: dict[str, float]) -> float:
    return sum(distances.values()) / len(distances)


def _difference(
    own: FloatArray, theirs: FloatArray, places: Sequence[int], owners: Sequence[int], n: int, bootstrap: GroupBootstrap
) -> dict[str, object]:
    """The difference of the means, with the groups of both corpora drawn together."""
    sums = np.zeros((n, 4))
    for column, values, of in ((0, own, places), (2, theirs, owners)):
        there = ~np.isnan(values)
        at = np.asarray(of, dtype=np.intp)[there]
        sums[:, column] = np.bincount(at, weights=values[there], minlength=n)
        sums[:, column + 1] = np.bincount(at, minlength=n)

    def difference(total: FloatArray) -> FloatArray:
        return ratio(total[..., :2]) - ratio(total[..., 2:])

    return {
        "difference": float(difference(sums.sum(axis=0))),
        "difference_ci95": bootstrap.interval(sums, difference),
    }


def _halves(features: FloatArray, groups: Sequence[Hashable], seed: int) -> StyleDistance | None:
    """How far two halves of the teacher's own texts are apart, cut between groups at random, `HALVINGS` times.

    Halves are smaller and about other rows than the two corpora, which both make this larger than what two corpora of
    one style would show: it is a cautious floor.
    """
    numbers = {group: k for k, group in enumerate(dict.fromkeys(groups))}
    if len(numbers) < 2:
        return None
    of_text = np.array([numbers[group] for group in groups])
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(HALVINGS):
        first = generator.permutation(len(numbers)) < len(numbers) // 2
        inside = first[of_text]
        if distances := style.style_distances(features[inside], features[~inside]):
            found.append(_mean(distances))
    p95 = float(np.percentile(found, 95))
    return StyleDistance(style_distance=float(np.mean(found)), p95=p95, halvings=len(found))


def _histogram(own: FloatArray, theirs: FloatArray, *, whole: bool) -> Histogram:
    """Shares of texts by value; what lies past the 99th percentile joins the last bar."""
    columns = [values[~np.isnan(values)] for values in (own, theirs)]
    everything = np.concatenate(columns)
    low, high = float(everything.min()), float(np.percentile(everything, 99))
    if whole:
        width = max(1, round((high - low) / _BARS))
        edges = np.arange(low - 0.5, high + width, width)
    else:
        edges = np.linspace(low, high if high > low else low + 1, _BARS + 1)
    shares = [np.histogram(np.clip(c, edges[0], edges[-1]), edges)[0] / len(c) for c in columns]
    return Histogram(
        edges=[round(float(edge), 6) for edge in edges],
        student=[round(float(share), 6) for share in shares[0]],
        teacher=[round(float(share), 6) for share in shares[1]],
    )


def _classified(
    student: Sequence[tuple[int, str]],
    teacher: Sequence[tuple[int, str]],
    rows: Sequence[Row],
    bootstrap: GroupBootstrap,
) -> tuple[StyleAuc | None, Telling]:
    """The AUC of a classifier that tells the two apart, on groups it has not seen, and what it goes by."""
    texts = [[text for _, text in corpus] for corpus in (student, teacher)]
    owners = [k for k, _ in (*student, *teacher)]
    scores = style.tell_apart(texts[0], texts[1], [rows[k].example.cluster for k in owners])
    if scores is None:
        return None, Telling(student=[], teacher=[])
    is_student = np.repeat([True, False], [len(student), len(teacher)])
    resampled = [style.weighted_auc(scores, is_student, weights) for weights in bootstrap.row_weights(owners)]
    ours, their = style.telling_phrases(texts[0], texts[1])
    auc = StyleAuc(
        value=float(style.weighted_auc(scores, is_student, np.ones((1, len(owners))))[0]),
        ci95=percentile_interval(np.concatenate(resampled)) if resampled else None,
        n=len({k for k, _ in student}),
        folds=style.FOLDS,
    )
    return auc, Telling(student=ours, teacher=their)
