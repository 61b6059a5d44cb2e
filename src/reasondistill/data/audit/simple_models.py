"""What simple models guess: from one field alone, from bags of words, from the explanation alone.

A field that guesses the label on its own means that a student can be right without reading the rest (Gururangan et
al. 2018; Poliak et al. 2018). An explanation that does gives the label away. The models are linear, on words and word
pairs weighted by TF-IDF, trained by averaged stochastic gradient descent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from reasondistill.contracts.audit import Audit, Finding
from reasondistill.contracts.audit_numbers import Accuracy, Baselines, Majority, NoBaselines, SampledRows
from reasondistill.contracts.records import Example
from reasondistill.data.audit.findings import ALL_FIELDS, Evidence, NumberTable, Points, Section, finding, percent
from reasondistill.data.audit.profile import Columns, Ints
from reasondistill.data.audit.texts import plain
from reasondistill.metrics.statistics import GroupBootstrap
from reasondistill.tasks.task import Task

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import SGDClassifier

MOST_TRAIN: Final = 50_000
MOST_SCORED: Final = 10_000
"""More rows are sampled; the result says how many there were."""
FEWEST_TRAIN, FEWEST_SCORED = 50, 20
EXPLANATION: Final = "explanation"
CHOICES: Final = "choices"
NO_LABELS: Final = "the task has no labels"
_FEATURES: Final = 2**18
_HELD_OUT: Final = 5  # without a second split, one group in five is held out

Take = Callable[[Ints], Iterable[Example]]
"""Row numbers, ascending → their examples."""


def run_baselines(
    columns: Columns, train_split: str, take: Take, task: Task, *, seed: int, progress: Callable[[str], None]
) -> Baselines | NoBaselines:
    """What each simple model guesses of the labels outside the training split, or why there are no such figures."""
    if task.labels == ():
        return NoBaselines(left_out=NO_LABELS)
    train, scored, how = _rows(columns, train_split)
    if len(train) < FEWEST_TRAIN or len(scored) < FEWEST_SCORED:
        return NoBaselines(
            left_out=f"{len(train)} labelled rows to train on and {len(scored)} to score are too few: at least "
            f"{FEWEST_TRAIN} and {FEWEST_SCORED} are needed"
        )
    generator = np.random.default_rng(seed)
    sampled_train, sampled_scored = _sample(train, MOST_TRAIN, generator), _sample(scored, MOST_SCORED, generator)
    progress(f"baselines: training on {len(sampled_train):,} rows, scoring {len(sampled_scored):,}")
    texts = list(_texts(take(sampled_train), task)), list(_texts(take(sampled_scored), task))
    guess = _with_choices if task.labels is None else _with_labels
    majority, scores = guess(*texts, task, _groups(columns, sampled_scored), seed)
    if majority is None:
        return NoBaselines(left_out="all rows to train on have the same label")
    return Baselines(
        majority=majority,
        scores=scores,
        train=SampledRows(n=len(sampled_train), of=len(train), how=how),
        scored=SampledRows(n=len(sampled_scored), of=len(scored)),
    )


class _Texts(dict[str, str]):
    """The texts of a row by field, with its label and choices; the explanation is the first reference."""

    label: str
    choices: tuple[str, ...]


def _texts(examples: Iterable[Example], task: Task) -> Iterable[_Texts]:
    for example in examples:
        texts = _Texts({name: example.fields[name] for name in task.fields})
        if references := example.references:
            texts[EXPLANATION] = references[0].text
        texts.label, texts.choices = example.label or "", example.choices or ()
        yield texts


def _rows(columns: Columns, train_split: str) -> tuple[Ints, Ints, str]:
    """Labelled rows to train on, those to score, and in words which they are."""
    labelled = columns.label >= 0
    in_train = columns.split == columns.splits.index(train_split)
    if (labelled & ~in_train).sum() >= FEWEST_SCORED:
        others = " and ".join(name for name in columns.splits if name != train_split)
        return (
            np.flatnonzero(labelled & in_train),
            np.flatnonzero(labelled & ~in_train),
            f"{train_split}, then {others}",
        )
    # One split only. Groups in the order in which they come: their hashes change from process to process.
    _, first, where = np.unique(_keys(columns), return_index=True, return_inverse=True)
    held_out = np.argsort(np.argsort(first))[where] % _HELD_OUT == _HELD_OUT - 1
    how = f"four groups in five of {train_split}, then the fifth"
    return np.flatnonzero(labelled & ~held_out), np.flatnonzero(labelled & held_out), how


def _keys(columns: Columns) -> Ints:
    """The group of each row; a row without one has the key of its content."""
    return np.where(columns.group != 0, columns.group, columns.plain_content)


def _groups(columns: Columns, rows: Ints) -> GroupBootstrap:
    return GroupBootstrap(_keys(columns)[rows].tolist(), resamples=500)


def _sample(rows: Ints, most: int, generator: np.random.Generator) -> Ints:
    return rows if len(rows) <= most else np.sort(generator.choice(rows, most, replace=False))


Guesses = tuple[Majority | None, dict[str, Accuracy]]
"""The commonest label's accuracy, None where there is one label only; and that of each model."""


def _with_labels(
    train: Sequence[_Texts], scored: Sequence[_Texts], task: Task, groups: GroupBootstrap, seed: int
) -> Guesses:
    from scipy.sparse import hstack

    gold = np.array([texts.label for texts in scored])
    labels = np.array([texts.label for texts in train])
    if len(set(labels.tolist())) < 2:
        return None, {}
    commonest = min(Counter(labels.tolist()).items(), key=lambda item: (-item[1], item[0]))[0]
    majority = Majority(**_accuracy(gold == commonest, groups).model_dump(), label=commonest)
    scores, features = {}, {}
    for name in task.fields:
        features[name] = _weighted([texts[name] for texts in train], [texts[name] for texts in scored])
        if len(task.fields) > 1:
            scores[name] = _accuracy(_guessed(features[name], labels, gold, seed), groups)
    every = tuple(hstack([pair[k] for pair in features.values()]).tocsr() for k in (0, 1))
    scores[ALL_FIELDS if len(task.fields) > 1 else task.fields[0]] = _accuracy(
        _guessed(every, labels, gold, seed), groups
    )
    explained, explained_scored = (np.array([EXPLANATION in texts for texts in rows]) for rows in (train, scored))
    enough = explained.sum() >= FEWEST_TRAIN and explained_scored.sum() >= FEWEST_SCORED
    if enough and len(set(labels[explained].tolist())) > 1:
        pair = _weighted(*([texts[EXPLANATION] for texts in rows if EXPLANATION in texts] for rows in (train, scored)))
        right = np.full(len(gold), np.nan)
        right[explained_scored] = _guessed(pair, labels[explained], gold[explained_scored], seed)
        scores[EXPLANATION] = _accuracy(right, groups)
    return majority, scores


def _with_choices(
    train: Sequence[_Texts], scored: Sequence[_Texts], task: Task, groups: GroupBootstrap, seed: int
) -> Guesses:
    positions = Counter(texts.choices.index(texts.label) for texts in train)
    most = min(positions.items(), key=lambda item: (-item[1], item[0]))[0]
    at_place = [most < len(texts.choices) and texts.choices[most] == texts.label for texts in scored]
    scores = {CHOICES: _choices_alone(train, scored, groups, seed)}
    for name in (*task.fields, EXPLANATION):
        right = [_shares_most(texts, texts[name]) if name in texts else None for texts in scored]
        if sum(value is not None for value in right) >= FEWEST_SCORED:
            scores[f"{name}: most words in common"] = _accuracy(right, groups)
    chance = float(np.mean([1 / len(texts.choices) for texts in scored]))
    return Majority(**_accuracy(at_place, groups).model_dump(), position=most, chance=chance), scores


def _choices_alone(train: Sequence[_Texts], scored: Sequence[_Texts], groups: GroupBootstrap, seed: int) -> Accuracy:
    """Which choice looks most like a right one, whatever the other fields say."""
    known = [(choice, choice == texts.label) for texts in train for choice in texts.choices]
    candidates = [choice for texts in scored for choice in texts.choices]
    model, features = _fit(_weighted([c for c, _ in known], candidates), np.array([right for _, right in known]), seed)
    likely = model.decision_function(features)
    right, begin = [], 0
    for texts in scored:
        stop = begin + len(texts.choices)
        right.append(texts.choices[int(np.argmax(likely[begin:stop]))] == texts.label)
        begin = stop
    return _accuracy(right, groups)


def _shares_most(texts: _Texts, text: str) -> float:
    """1 where the right choice has the largest share of its words in ``text``, 1/k where k choices have it."""
    words = set(plain(text).split())
    shares = []
    for choice in texts.choices:
        own = set(plain(choice).split())
        shares.append(len(own & words) / max(len(own), 1))
    best = [choice for choice, share in zip(texts.choices, shares, strict=True) if share == max(shares)]
    return 1 / len(best) if texts.label in best else 0.0


def _weighted(train: Sequence[str], scored: Sequence[str]) -> tuple[csr_matrix, csr_matrix]:
    """TF-IDF of words and word pairs, (n, features) each; the weights come from ``train`` alone."""
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    vectorizer = HashingVectorizer(
        n_features=_FEATURES, ngram_range=(1, 2), token_pattern=r"\w+", alternate_sign=False, norm=None, binary=True
    )
    weights = TfidfTransformer()
    return weights.fit_transform(vectorizer.transform(train)), weights.transform(vectorizer.transform(scored))


def _fit(
    features: tuple[csr_matrix, csr_matrix], labels: npt.NDArray[np.generic], seed: int
) -> tuple[SGDClassifier, csr_matrix]:
    from sklearn.linear_model import SGDClassifier

    model = SGDClassifier(loss="log_loss", alpha=1e-5, max_iter=10, tol=None, average=True, random_state=seed)
    return model.fit(features[0], labels), features[1]


def _guessed(
    features: tuple[csr_matrix, csr_matrix], labels: npt.NDArray[np.generic], gold: npt.NDArray[np.generic], seed: int
) -> npt.NDArray[np.bool_]:
    model, scored = _fit(features, labels, seed)
    right: npt.NDArray[np.bool_] = model.predict(scored) == gold
    return right


def _accuracy(right: Sequence[float | None] | npt.NDArray[np.generic], groups: GroupBootstrap) -> Accuracy:
    values = [None if value is None or value != value else float(value) for value in right]
    known = [value for value in values if value is not None]
    return Accuracy(accuracy=sum(known) / len(known), ci95=groups.mean_interval(values), n=len(known))


def give_aways_section(audit: Audit) -> Section:
    """What simple models guess of the label."""
    baselines = audit.baselines
    if isinstance(baselines, NoBaselines):
        findings = []
        if audit.labels and baselines.left_out != NO_LABELS:
            findings = [finding("note", f"no baselines: {baselines.left_out}", "Add labelled rows.")]
        return Section("Give-aways", "give-aways", findings, [f"No baselines: {baselines.left_out}."])
    values = {name: (score.accuracy, score.ci95) for name, score in baselines.scores.items()}
    caption = "Accuracy of linear models that see only this, with 95% intervals; dashed: the majority answer."
    figure = Points("baselines", "What simple models guess", caption, values, baselines.majority.accuracy)
    return Section("Give-aways", "give-aways", [*_findings(audit, baselines)], [figure, _table(baselines)])


def _findings(audit: Audit, baselines: Baselines) -> Iterator[Finding]:
    majority = baselines.majority.accuracy
    for name, score in baselines.scores.items():
        accuracy, low = score.accuracy, (score.ci95 or [score.accuracy])[0]
        right = f"right in {percent(accuracy)} of {score.n:,} rows (the commonest answer: {percent(majority)})"
        if name.startswith(EXPLANATION):
            if low > majority + 0.1:
                yield finding(
                    "warning" if accuracy >= 0.8 else "note",
                    f"the explanation alone gives the label away: a model that sees nothing else is {right}",
                    "Explanations that repeat the label show no reasoning. Report LAS, which separates leaking ones.",
                    accuracy=accuracy,
                    majority=majority,
                    n=score.n,
                )
        elif name == CHOICES or (name in audit.fields and len(audit.fields) > 1):
            if low > majority + 0.05:
                yield finding(
                    "problem" if accuracy > majority + 0.4 else "warning",
                    f"the {name} alone {'guess' if name == CHOICES else 'guesses'} the label: a model that sees "
                    f"nothing else is {right}",
                    "An annotation artifact. Report this baseline beside a student: reaching it takes no reasoning.",
                    accuracy=accuracy,
                    majority=majority,
                    n=score.n,
                )
        elif name == ALL_FIELDS and accuracy > 0.95:
            yield finding(
                "warning",
                f"a bag of words is {right}",
                "The task may be too easy to tell students apart.",
                accuracy=accuracy,
                majority=majority,
                n=score.n,
            )


def _table(baselines: Baselines) -> Evidence:
    sees = {
        f"{name} alone" if name != ALL_FIELDS else "all fields, bag of words": s for name, s in baselines.scores.items()
    }
    rows = [
        (name, percent(score.accuracy), "–".join(f"{bound:.1%}" for bound in score.ci95 or ()), f"{score.n:,}")
        for name, score in {**sees, "majority answer": baselines.majority}.items()
    ]
    note = (
        f"Trained on {_of(baselines.train)} rows, scored on {_of(baselines.scored)} ({baselines.train.how}); intervals "
        "resample groups. Logistic regression on TF-IDF of words and word pairs."
    )
    return NumberTable("Simple models", ("sees", "accuracy", "95% interval", "rows"), rows, note)


def _of(sample: SampledRows) -> str:
    return f"{sample.n:,}" if sample.n == sample.of else f"{sample.n:,} of {sample.of:,}"
