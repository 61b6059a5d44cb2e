"""What simple models guess: from one field alone, from bags of words, from the explanation alone.

A field that guesses the label on its own means that a student can be right without reading the rest (Gururangan et
al. 2018; Poliak et al. 2018). An explanation that does gives the label away. The models are linear, on words and word
pairs weighted by TF-IDF, trained by averaged stochastic gradient descent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from reasondistill.contracts.records import Example
from reasondistill.data.audit.profile import Columns, Ints
from reasondistill.data.audit.texts import plain
from reasondistill.metrics.statistics import GroupBootstrap
from reasondistill.tasks.task import Task

MOST_TRAIN: Final = 50_000
MOST_SCORED: Final = 10_000
"""More rows are sampled; the result says how many there were."""
FEWEST_TRAIN, FEWEST_SCORED = 50, 20
ALL_FIELDS: Final = "all fields"
EXPLANATION: Final = "explanation"
_FEATURES: Final = 2**18
_HELD_OUT: Final = 5  # without a second part, one group in so many is held out

Take = Callable[[Ints], Iterable[Example]]
"""Row numbers, ascending → their examples."""


def run_baselines(
    columns: Columns, train_part: str, take: Take, task: Task, *, seed: int, progress: Callable[[str], None]
) -> dict[str, Any]:
    """``scores`` of each baseline, ``majority``, ``train`` and ``scored``; see `building.audit`.

    Where they cannot be run, ``left_out`` says why, and there is nothing else.
    """
    if task.labels == ():
        return {"left_out": "the task has no labels"}
    train, scored, how = _rows(columns, train_part)
    if len(train) < FEWEST_TRAIN or len(scored) < FEWEST_SCORED:
        return {
            "left_out": f"{len(train)} labelled rows to train on and {len(scored)} to score are too few: at least "
            f"{FEWEST_TRAIN} and {FEWEST_SCORED} are needed"
        }
    generator = np.random.default_rng(seed)
    sampled_train, sampled_scored = _sample(train, MOST_TRAIN, generator), _sample(scored, MOST_SCORED, generator)
    progress(f"baselines: training on {len(sampled_train):,} rows, scoring {len(sampled_scored):,}")
    groups = _groups(columns, sampled_scored)
    run = _with_choices if task.labels is None else _with_labels
    found = run(list(_texts(take(sampled_train), task)), list(_texts(take(sampled_scored), task)), task, groups, seed)
    if found is None:
        return {"left_out": "all rows to train on have the same label"}
    return {
        **found,
        "train": {"n": len(sampled_train), "of": len(train), "how": how},
        "scored": {"n": len(sampled_scored), "of": len(scored)},
    }


class _Texts(dict[str, str]):
    """The texts of a row by field, with what it is to be answered; the explanation is the first reference."""

    label: str
    choices: tuple[str, ...]


def _texts(examples: Iterable[Example], task: Task) -> Iterable[_Texts]:
    for example in examples:
        texts = _Texts({name: example.fields[name] for name in task.fields})
        if references := example.references:
            texts[EXPLANATION] = references[0].text
        texts.label, texts.choices = example.label or "", example.choices or ()
        yield texts


def _rows(columns: Columns, train_part: str) -> tuple[Ints, Ints, str]:
    """Labelled rows to train on, those to score, and how they were told apart."""
    labelled = columns.label >= 0
    in_train = columns.part == columns.parts.index(train_part)
    if (labelled & ~in_train).sum() >= FEWEST_SCORED:
        others = " and ".join(name for name in columns.parts if name != train_part)
        return np.flatnonzero(labelled & in_train), np.flatnonzero(labelled & ~in_train), f"{train_part}, then {others}"
    # One part only. Groups in the order in which they come: their hashes change from process to process.
    _, first, where = np.unique(_keys(columns), return_index=True, return_inverse=True)
    held_out = np.argsort(np.argsort(first))[where] % _HELD_OUT == _HELD_OUT - 1
    how = f"four groups in five of {train_part}, then the fifth"
    return np.flatnonzero(labelled & ~held_out), np.flatnonzero(labelled & held_out), how


def _keys(columns: Columns) -> Ints:
    """The group of each row; a row without one has the key of its content."""
    return np.where(columns.group != 0, columns.group, columns.plain_content)


def _groups(columns: Columns, rows: Ints) -> GroupBootstrap:
    return GroupBootstrap(_keys(columns)[rows].tolist(), resamples=500)


def _sample(rows: Ints, most: int, generator: np.random.Generator) -> Ints:
    return rows if len(rows) <= most else np.sort(generator.choice(rows, most, replace=False))


def _with_labels(
    train: Sequence[_Texts], scored: Sequence[_Texts], task: Task, groups: GroupBootstrap, seed: int
) -> dict[str, Any] | None:
    from scipy.sparse import hstack

    gold = np.array([texts.label for texts in scored])
    labels = np.array([texts.label for texts in train])
    if len(set(labels.tolist())) < 2:
        return None
    majority = min(Counter(labels.tolist()).items(), key=lambda item: (-item[1], item[0]))[0]
    found = {"majority": _scored(gold == majority, groups) | {"label": majority}, "scores": {}}
    features = {}
    for name in task.fields:
        features[name] = _weighted([texts[name] for texts in train], [texts[name] for texts in scored])
        if len(task.fields) > 1:
            found["scores"][name] = _scored(_guessed(features[name], labels, gold, seed), groups)
    every = tuple(hstack([pair[k] for pair in features.values()]).tocsr() for k in (0, 1))
    found["scores"][ALL_FIELDS if len(task.fields) > 1 else task.fields[0]] = _scored(
        _guessed(every, labels, gold, seed), groups
    )
    explained = np.array([EXPLANATION in texts for texts in train])
    heard = np.array([EXPLANATION in texts for texts in scored])
    if explained.sum() >= FEWEST_TRAIN and heard.sum() >= FEWEST_SCORED and len(set(labels[explained].tolist())) > 1:
        pair = _weighted(
            [texts[EXPLANATION] for texts in train if EXPLANATION in texts],
            [texts[EXPLANATION] for texts in scored if EXPLANATION in texts],
        )
        right = np.full(len(gold), np.nan)
        right[heard] = _guessed(pair, labels[explained], gold[heard], seed)
        found["scores"][EXPLANATION] = _scored(right, groups)
    return found


def _with_choices(
    train: Sequence[_Texts], scored: Sequence[_Texts], task: Task, groups: GroupBootstrap, seed: int
) -> dict[str, Any] | None:
    positions = Counter(texts.choices.index(texts.label) for texts in train)
    most = min(positions.items(), key=lambda item: (-item[1], item[0]))[0]
    at_place = [most < len(texts.choices) and texts.choices[most] == texts.label for texts in scored]
    scores = {"choices": _choices_alone(train, scored, groups, seed)}
    for name in (*task.fields, EXPLANATION):
        right = [_shares_most(texts, texts[name]) if name in texts else None for texts in scored]
        if sum(one is not None for one in right) >= FEWEST_SCORED:
            scores[f"{name}: most words in common"] = _scored(right, groups)
    chance = float(np.mean([1 / len(texts.choices) for texts in scored]))
    return {"majority": _scored(at_place, groups) | {"position": most, "chance": chance}, "scores": scores}


def _choices_alone(
    train: Sequence[_Texts], scored: Sequence[_Texts], groups: GroupBootstrap, seed: int
) -> dict[str, Any]:
    """Which choice looks most like a right one, whatever was asked."""
    known = [(choice, choice == texts.label) for texts in train for choice in texts.choices]
    asked = [choice for texts in scored for choice in texts.choices]
    model, features = _fit(_weighted([c for c, _ in known], asked), np.array([right for _, right in known]), seed)
    likely = model.decision_function(features)
    right, begin = [], 0
    for texts in scored:
        stop = begin + len(texts.choices)
        right.append(texts.choices[int(np.argmax(likely[begin:stop]))] == texts.label)
        begin = stop
    return _scored(right, groups)


def _shares_most(texts: _Texts, heard: str) -> float:
    """1 where the right choice has the largest share of its words in ``heard``, 1/k where k choices have it."""
    words = set(plain(heard).split())
    shares = []
    for choice in texts.choices:
        own = set(plain(choice).split())
        shares.append(len(own & words) / max(len(own), 1))
    best = [choice for choice, share in zip(texts.choices, shares, strict=True) if share == max(shares)]
    return 1 / len(best) if texts.label in best else 0.0


def _weighted(train: Sequence[str], scored: Sequence[str]) -> tuple[Any, Any]:
    """TF-IDF of words and word pairs, (n, features) each; the weights come from ``train`` alone."""
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    vectorizer = HashingVectorizer(
        n_features=_FEATURES, ngram_range=(1, 2), token_pattern=r"\w+", alternate_sign=False, norm=None, binary=True
    )
    weights = TfidfTransformer()
    return weights.fit_transform(vectorizer.transform(train)), weights.transform(vectorizer.transform(scored))


def _fit(features: tuple[Any, Any], labels: npt.NDArray[Any], seed: int) -> tuple[Any, Any]:
    from sklearn.linear_model import SGDClassifier

    model = SGDClassifier(loss="log_loss", alpha=1e-5, max_iter=10, tol=None, average=True, random_state=seed)
    return model.fit(features[0], labels), features[1]


def _guessed(
    features: tuple[Any, Any], labels: npt.NDArray[Any], gold: npt.NDArray[Any], seed: int
) -> npt.NDArray[np.bool_]:
    model, scored = _fit(features, labels, seed)
    right: npt.NDArray[np.bool_] = model.predict(scored) == gold
    return right


def _scored(right: Sequence[float | None] | npt.NDArray[Any], groups: GroupBootstrap) -> dict[str, Any]:
    values = [None if one is None or one != one else float(one) for one in right]
    known = [one for one in values if one is not None]
    interval = groups.mean_interval(values)
    return {
        "accuracy": sum(known) / len(known),
        "ci95": None if interval is None else list(interval),
        "n": len(known),
    }


def highlight_baseline(columns: Columns, train_part: str, fields: Sequence[str]) -> dict[str, Any] | None:
    """How well the numbers of highlighted words guess the label: a table from the training part's counts.

    Without annotations in another part, the same rows are looked up, which flatters a little.
    """
    train = columns.parts.index(train_part)
    known: dict[tuple[int, ...], Counter[str]] = {}
    labels: Counter[str] = Counter()
    apart = any(part != train for part, _, _ in columns.highlights)
    for (part, label, numbers), count in columns.highlights.items():
        if part == train or not apart:
            known.setdefault(numbers, Counter())[label] += count
            labels[label] += count
    if len(labels) < 2:
        return None
    guess: Mapping[tuple[int, ...], str] = {numbers: _first(counts) for numbers, counts in known.items()}
    most = _first(labels)
    right = majority = total = 0
    for (part, label, numbers), count in columns.highlights.items():
        if part != train or not apart:
            total += count
            right += count * (guess.get(numbers, most) == label)
            majority += count * (most == label)
    return {"accuracy": right / total, "majority": majority / total, "n": total}


def _first(counts: Counter[str]) -> str:
    return min(counts.items(), key=lambda item: (-item[1], item[0]))[0]
