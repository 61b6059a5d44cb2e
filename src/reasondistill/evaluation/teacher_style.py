"""How the style of a system's explanations differs from that of a teacher's, on the same rows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from reasondistill.config import EvaluationSettings
from reasondistill.contracts.agreement import Histogram, Style, StyleAuc, StyleDistance, Telling
from reasondistill.evaluation.pairing import Row
from reasondistill.evaluation.reference_teachers import ReferenceAnswer
from reasondistill.evaluation.slice_rules import language_of
from reasondistill.metrics import style
from reasondistill.metrics.statistics import FloatArray, GroupBootstrap, percentile_interval, ratio
from reasondistill.metrics.style import FEATURES, Styled
from reasondistill.metrics.text import is_empty
from reasondistill.storage.files import fingerprint
from reasondistill.tasks.task import Task

CLASSIFIED_ROWS: Final = 4_000
"""The classifier uses at most this many rows: the first by the SHA-256 of their ids."""
HALVINGS: Final = 100
_BARS = 24


def compare_style(
    rows: Sequence[Row],
    answers: Sequence[ReferenceAnswer | None],
    task: Task,
    bootstrap: GroupBootstrap,
    settings: EvaluationSettings,
    progress: Callable[[str], None],
) -> Style | None:
    """Style features of both corpora, their distances and baselines; see docs/metrics.md.

    Only rows that both explain are compared. If a teacher has several explanations of a row, all of them count.

    Returns:
        None if no row has an explanation of both.
    """
    places = [k for k, answer in enumerate(answers) if answer and answer.explanations and not is_empty(_own(rows[k]))]
    if not places:
        return None
    progress("comparing styles")
    corpora = _Corpora.of(rows, answers, places, task)
    english = set(corpora.languages.values()) == {"English"}
    rarity = style.inverse_document_frequency([text.text for text in (*corpora.student, *corpora.teacher)])
    own = style.style_features(corpora.student, rarity, english=english)
    theirs = style.style_features(corpora.teacher, rarity, english=english)
    distances = style.style_distances(own, theirs)
    groups = [rows[k].example.cluster for k in corpora.owners]
    auc, telling = _classified(corpora, rows, bootstrap)
    return Style.model_validate(
        {
            "rows": len(places),
            "texts": {"student": len(corpora.student), "teacher": len(corpora.teacher)},
            "languages": corpora.languages,
            "left_out": [] if english else sorted(style.ENGLISH_FEATURES),
            "features": {
                name: {
                    "student": float(np.nanmean(own[:, k])),
                    "teacher": float(np.nanmean(theirs[:, k])),
                    **_difference(own[:, k], theirs[:, k], places, corpora.owners, len(rows), bootstrap),
                    "distance": distances[name],
                    "histogram": _histogram(own[:, k], theirs[:, k], whole=name == "words"),
                }
                for k, name in enumerate(FEATURES)
                if name in distances
            },
            "style_distance": _mean(distances),
            "beside": {
                "teacher_halves": _halves(theirs, groups, settings.seed),
                **_copied(corpora.student, task, theirs, rarity, english=english),
            },
            "connectives": _connectives(corpora) if english else {},
            "style_auc": auc,
            "telling": telling,
        }
    )


class _Corpora(NamedTuple):
    """Both corpora; ``places`` holds the row of each of the student's texts, ``owners`` of the teacher's."""

    student: list[Styled]
    teacher: list[Styled]
    places: Sequence[int]
    owners: Sequence[int]

    @classmethod
    def of(
        cls, rows: Sequence[Row], answers: Sequence[ReferenceAnswer | None], places: Sequence[int], task: Task
    ) -> _Corpora:
        fields = {k: {name: rows[k].example.fields[name] for name in task.fields} for k in places}
        return cls(
            [Styled(_own(rows[k]), fields[k]) for k in places],
            [Styled(text, fields[k]) for k in places for text in _texts(answers[k])],
            places,
            [k for k in places for _ in _texts(answers[k])],
        )

    @property
    def texts(self) -> dict[str, list[str]]:
        return {"student": [s.text for s in self.student], "teacher": [t.text for t in self.teacher]}

    @property
    def languages(self) -> dict[str, str]:
        return {name: language_of(texts) for name, texts in self.texts.items()}


def _copied(
    student: Sequence[Styled], task: Task, theirs: FloatArray, rarity: Mapping[str, float], *, english: bool
) -> dict[str, object]:
    """The distance of each field's own style from the teacher's: baselines that copy it."""
    distances: dict[str, object] = {}
    for name in task.fields:
        copies = [styled._replace(text=styled.fields[name]) for styled in student]
        features = style.style_features(copies, rarity, english=english)
        distances[f"copied_{name}"] = {"style_distance": _mean(style.style_distances(features, theirs))}
    return distances


def _connectives(corpora: _Corpora) -> dict[str, dict[str, float]]:
    ours, theirs = (style.connective_shares(texts) for texts in corpora.texts.values())
    return {
        phrase: {"student": ours.get(phrase, 0.0), "teacher": theirs.get(phrase, 0.0)} for phrase in {**theirs, **ours}
    }


def _own(row: Row) -> str:
    return row.prediction.explanation


def _texts(answer: ReferenceAnswer | None) -> tuple[str, ...]:
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
    one style would show: it is a cautious baseline.
    """
    numbers = {group: k for k, group in enumerate(dict.fromkeys(groups))}
    if len(numbers) < 2:
        return None
    of_text = np.array([numbers[group] for group in groups])
    generator = np.random.default_rng(seed)
    means = []
    for _ in range(HALVINGS):
        first = generator.permutation(len(numbers)) < len(numbers) // 2
        inside = first[of_text]
        if distances := style.style_distances(features[inside], features[~inside]):
            means.append(_mean(distances))
    p95 = float(np.percentile(means, 95))
    return StyleDistance(style_distance=float(np.mean(means)), p95=p95, halvings=len(means))


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


def _classified(corpora: _Corpora, rows: Sequence[Row], bootstrap: GroupBootstrap) -> tuple[StyleAuc | None, Telling]:
    """The AUC of a classifier that tells the two corpora apart on held-out groups, and the phrases that it uses."""
    chosen = set(sorted(corpora.places, key=lambda k: fingerprint(rows[k].example.id))[:CLASSIFIED_ROWS])
    student = [(k, s.text) for k, s in zip(corpora.places, corpora.student, strict=True) if k in chosen]
    teacher = [(k, t.text) for k, t in zip(corpora.owners, corpora.teacher, strict=True) if k in chosen]
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
