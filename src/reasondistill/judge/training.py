"""Training a judge: explained examples (and people's votes, where there are some) -> a judge's folder."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from reasondistill.config import JudgeConfig
from reasondistill.datasets import Loaded
from reasondistill.errors import DataError
from reasondistill.files import require_new_folder
from reasondistill.judge.argued import Argued, argued_of, texts_of
from reasondistill.judge.card import judge_card
from reasondistill.judge.corruptions import Corruptor, Good
from reasondistill.judge.encoders import Encoded, Encoder, FrozenEncoder, WordEncoder
from reasondistill.judge.fitting import Row, fit, weigh_alike, weigh_by_votes
from reasondistill.judge.model import (
    COMPONENTS,
    VERDICT,
    FloatArray,
    Judge,
    JudgeInfo,
    Models,
    component_values,
    hashes_of,
)
from reasondistill.judge.network import MAX_FIELDS, Network
from reasondistill.judge.patterns import Delexicalizer, PatternModel, Verdict, kept_words
from reasondistill.tasks import Task

Progress = Callable[[str], None]
_LEAST_GOOD = 50
_LEAST_VOTED = 100


class Voted(NamedTuple):
    """An explanation that people judged: the share of them who found it acceptable, and the example it belongs to."""

    argued: Argued
    acceptable: float
    example: str


def train_judge(
    config: JudgeConfig,
    explained: Sequence[Loaded],
    voted: Sequence[Loaded] = (),
    *,
    progress: Progress = lambda stage: None,
) -> Path:
    """Train the judge that ``config`` describes and write its folder, which is returned.

    Args:
        config: what to train.
        explained: examples with labels and explanations, of one task.
        voted: examples whose explanations have votes; with them the judge is one *with votes*.
        progress: called with a sentence now and then.

    Raises:
        OutputError: the judge's folder is there already and holds something.
        DataError: there are too few explanations, or votes, or too few of one kind.
        CheckpointError, MissingExtraError: the encoder is not to be had.
    """
    folder = require_new_folder(Path(config.judges_dir) / config.name)
    task = config.task
    good = _good(explained, task, config)
    votes = _votes(voted, task)
    trained, held_out = _held_out(good)
    encoder = _encoder(config, trained)
    names = [name for name in COMPONENTS if _possible(name, encoder, trained, task)]

    progress(f"spoiling {len(trained):,} explanations")
    corruptor = Corruptor(trained, config.seed)
    rows = [Row(one.argued, 1.0) for one in trained]
    evidence = _evidence_rows(trained, config.seed) if "evidence" in names else []
    each = config.training.spoiled_per_good
    rows += [Row(corruptor.spoil(one)[1], 0.0, 1 / each) for one in trained for _ in range(each)]
    checks = Corruptor(held_out, config.seed + 1)
    spoiled = [checks.spoil(one) for one in held_out]

    progress("encoding")
    everything = [row.argued for row in rows] + [one.argued for one in held_out] + [bad for _, bad in spoiled]
    encoded = encoder.encode(texts_of([*everything, *(row.argued for row in evidence), *(v.argued for v in votes)]))

    torch.manual_seed(config.seed)
    network = Network(width=encoder.width, vocabulary_size=encoder.vocabulary_size, **config.network.model_dump())
    fit(
        network,
        [*rows, *evidence],
        encoded,
        epochs=config.training.epochs,
        learning_rate=config.training.learning_rate,
        batch_size=config.training.batch_size,
        seed=config.seed,
        progress=progress,
        what="without votes",
    )
    delexicalizer = Delexicalizer(kept_words(one.argued.explanation for one in trained))
    # Where each example has choices of its own, labels are as many as examples: one model for all of them.
    patterns = PatternModel.of(
        (one.argued.label if task.labels else "", delexicalizer.pattern(one.argued)) for one in trained
    )
    models = Models(network, delexicalizer, patterns)

    def values_of(some: Sequence[Argued]) -> FloatArray:
        return component_values(models, some, encoded, names)

    values = values_of([*(one.argued for one in held_out), *(bad for _, bad in spoiled)])
    is_good = np.arange(len(values)) < len(held_out)
    combination = weigh_alike(names, values, is_good)
    kinds = [kind for kind, _ in spoiled]
    report: dict[str, Any] = {
        "good_against_spoiled": _told_apart(combination.logit(values), is_good, kinds, names, values)
    }
    if votes:
        keep = [*_thinned(rows, len(votes)), *_thinned(evidence, len(votes) // 2)]
        before = _agreement(combination.logit(values_of([v.argued for v in votes])), votes)
        names.append(VERDICT)
        values = _cross_fitted(models, votes, keep, encoded, names, config, progress)
        after = _agreement(_cross_weighed(names, values, votes, config), votes)
        report["votes"] = {
            "without_votes": before,
            "with_votes": after,
            "components": {n: _agreement(values[:, k], votes)["roc_auc"] for k, n in enumerate(names)},
        }
        combination = weigh_by_votes(names, values, np.array([v.acceptable for v in votes]))
        models = _with_votes(models, votes, keep, encoded, config, progress, "with votes")
    info = JudgeInfo(
        name=config.name,
        kind="with_votes" if votes else "without_votes",
        task=task.model_dump(mode="json"),
        encoder=encoder.settings,
        network=config.network.model_dump(),
        combination=combination,
        words=delexicalizer.words,
        pattern_labels=patterns.labels,
        pattern_tokens=patterns.vocabulary(),
        verdict=None if models.verdict is None else models.verdict.to_json(),
        trained_on=[
            {
                "name": data.name,
                "fingerprint": data.fingerprint,
                "examples": len(data.examples),
                "votes": k >= len(explained),
            }
            for k, data in enumerate([*explained, *voted])
        ],
        held_out=report,
        versions=_versions(),
    )
    seen = sorted({h for data in [*explained, *voted] for e in data.examples for h in hashes_of(e, task).tolist()})
    judge = Judge(info, encoder, models, np.array(seen, dtype=np.uint64))
    judge.save(folder, judge_card(judge, good=len(trained), votes=len(votes)))
    return folder


def _good(explained: Iterable[Loaded], task: Task, config: JudgeConfig) -> list[Good]:
    """Explanations of the examples' own labels, at most ``max_explanations`` of them, by the hash of their text."""
    if len(task.fields) > MAX_FIELDS:
        raise DataError("task", expected=f"at most {MAX_FIELDS} fields", found=str(len(task.fields)))
    good: dict[Argued, Good] = {}
    for data in explained:
        for example in data.examples:
            label = example.label or ""
            for argued, _ in argued_of(example, task):
                if argued.label == label and argued not in good:
                    choices = example.choices or task.labels or ()
                    good[argued] = Good(argued, choices, example.group or example.id)
    chosen = sorted(good.values(), key=lambda one: _hash(one.argued))[: config.training.max_explanations]
    if len(chosen) < _LEAST_GOOD:
        raise DataError(
            "data.explained",
            expected=f"at least {_LEAST_GOOD} explanations of labels",
            found=str(len(chosen)),
            fix="Name data with explanations, and the right columns.",
        )
    return chosen


def _votes(voted: Iterable[Loaded], task: Task) -> list[Voted]:
    votes = [
        Voted(argued, explanation.votes.acceptable / explanation.votes.of, example.id)
        for data in voted
        for example in data.examples
        for argued, explanation in argued_of(example, task)
        if explanation.votes is not None
    ]
    if voted:
        for kind, n in (("", len(votes)), ("acceptable ", sum(v.acceptable > 0.5 for v in votes))):
            if n < (_LEAST_VOTED if not kind else 10) or n == (0 if not kind else len(votes)):
                raise DataError(
                    "data.votes",
                    expected=f"at least {_LEAST_VOTED} explanations with votes, acceptable ones and others",
                    found=f"{n} {kind}ones",
                    fix="docs/data_formats.md says how votes are written.",
                )
    return votes


def _held_out(good: Sequence[Good]) -> tuple[list[Good], list[Good]]:
    """Nine tenths of the groups to train on and one to check with, by the hash of the group."""
    parts: tuple[list[Good], list[Good]] = ([], [])
    for one in good:
        parts[int(hashlib.sha256(f"judge {one.group}".encode()).hexdigest(), 16) % 10 == 0].append(one)
    if len(parts[1]) < 5 or len(parts[0]) < 5:
        raise DataError(
            "data.explained",
            expected="explanations of many groups, so that one in ten can be held out",
            found=f"{len({one.group for one in good})} groups",
        )
    return parts


def _encoder(config: JudgeConfig, good: Sequence[Good]) -> Encoder:
    if config.encoder.kind == "words":
        return WordEncoder.of(texts_of(one.argued for one in good), config.encoder.size)
    return FrozenEncoder(config.encoder.name)


def _possible(component: str, encoder: Encoder, good: Sequence[Good], task: Task) -> bool:
    if component == "relevance":
        return encoder.width > 0
    if component == "contrast":
        return len({one.argued.label for one in good}) > 1 and bool(task.labels)
    return component != "evidence" or any(len(one.choices) > 1 for one in good)


def _evidence_rows(good: Sequence[Good], seed: int) -> list[Row]:
    """Explanations without their fields, for their own label and for another one."""
    rows = []
    for one in good:
        others = [label for label in one.choices if label != one.argued.label]
        if others:
            other = others[(seed + int(_hash(one.argued), 16)) % len(others)]
            rows.append(Row(one.argued, 1.0, with_fields=False))
            rows.append(Row(one.argued._replace(label=other), 0.0, with_fields=False))
    return rows


def _with_votes(
    models: Models,
    votes: Sequence[Voted],
    keep: Sequence[Row],
    encoded: dict[str, Encoded],
    config: JudgeConfig,
    progress: Progress,
    what: str,
) -> Models:
    """The models after people's verdicts; ``keep`` holds rows of the first training, so that nothing is forgotten."""
    network = copy.deepcopy(models.network)
    fit(
        network,
        [*(Row(v.argued, v.acceptable) for v in votes), *keep],
        encoded,
        epochs=config.votes_training.epochs,
        learning_rate=config.votes_training.learning_rate,
        batch_size=config.votes_training.batch_size,
        seed=config.seed,
        progress=progress,
        what=what,
    )
    verdict = Verdict.fit(
        [(v.argued.label, models.delexicalizer.pattern(v.argued)) for v in votes],
        np.array([v.acceptable for v in votes]),
    )
    return replace(models, network=network, verdict=verdict)


def _thinned(rows: Sequence[Row], n: int) -> Sequence[Row]:
    """About ``n`` of the rows, evenly spaced."""
    return rows[:: max(1, len(rows) // max(1, n))]


def _folds(votes: Sequence[Voted], folds: int) -> NDArray[np.intp]:
    """The fold of each explanation (n,): all of one example in the same."""
    return np.array([int(hashlib.sha256(f"fold {v.example}".encode()).hexdigest(), 16) % folds for v in votes])


def _cross_fitted(
    models: Models,
    votes: Sequence[Voted],
    keep: Sequence[Row],
    encoded: dict[str, Encoded],
    names: Sequence[str],
    config: JudgeConfig,
    progress: Progress,
) -> FloatArray:
    """Components of each voted explanation from models that were fitted to the other folds, (n, C)."""
    folds = _folds(votes, config.votes_training.folds)
    values = np.zeros((len(votes), len(names)))
    for fold in sorted(set(folds.tolist())):
        others = [v for v, f in zip(votes, folds, strict=True) if f != fold]
        fitted = _with_votes(models, others, keep, encoded, config, progress, f"votes, fold {fold + 1}")
        inside = [v.argued for v, f in zip(votes, folds, strict=True) if f == fold]
        values[folds == fold] = component_values(fitted, inside, encoded, names)
    return values


def _cross_weighed(names: Sequence[str], values: FloatArray, votes: Sequence[Voted], config: JudgeConfig) -> FloatArray:
    """The logit of each voted explanation from weights of the other folds, (n,)."""
    folds = _folds(votes, config.votes_training.folds)
    acceptable = np.array([v.acceptable for v in votes])
    logits = np.zeros(len(votes))
    for fold in sorted(set(folds.tolist())):
        inside = folds == fold
        logits[inside] = weigh_by_votes(names, values[~inside], acceptable[~inside]).logit(values[inside])
    return logits


def _told_apart(
    logits: FloatArray, good: NDArray[np.bool_], kinds: Sequence[str], names: Sequence[str], values: FloatArray
) -> dict[str, Any]:
    """ROC-AUC of good against spoiled explanations: all, each component's, and each way of spoiling."""
    from sklearn.metrics import roc_auc_score

    spoiled = logits[~good]
    of_kind = {
        kind: round(
            float(
                roc_auc_score(
                    np.repeat([True, False], [int(good.sum()), kinds.count(kind)]),
                    np.concatenate([logits[good], spoiled[[k for k, one in enumerate(kinds) if one == kind]]]),
                )
            ),
            4,
        )
        for kind in sorted(set(kinds))
    }
    return {
        "n": len(logits),
        "roc_auc": round(float(roc_auc_score(good, logits)), 4),
        "components": {name: round(float(roc_auc_score(good, values[:, k])), 4) for k, name in enumerate(names)},
        "ways_of_spoiling": of_kind,
    }


def _agreement(logits: FloatArray, votes: Sequence[Voted]) -> dict[str, Any]:
    """How well scores agree with the majority of people; acceptable is more than half of them.

    ``best_of``: how often the explanation with the highest score is acceptable, over examples with several.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    acceptable = np.array([v.acceptable > 0.5 for v in votes])
    of_example: dict[str, list[int]] = {}
    for k, vote in enumerate(votes):
        of_example.setdefault(vote.example, []).append(k)
    several = [places for places in of_example.values() if len(places) > 1]
    best = [acceptable[max(places, key=lambda k: logits[k])] for places in several]
    possible = [acceptable[places].any() for places in several]
    return {
        "n": len(votes),
        "roc_auc": round(float(roc_auc_score(acceptable, logits)), 4),
        "average_precision": round(float(average_precision_score(acceptable, logits)), 4),
        "best_of": round(float(np.mean(best)), 4) if best else None,
        "best_possible": round(float(np.mean(possible)), 4) if possible else None,
    }


def _hash(argued: Argued) -> str:
    return hashlib.sha256("\x1f".join([*argued.fields, argued.label, argued.explanation]).encode()).hexdigest()


def _versions() -> dict[str, str]:
    found = {}
    for name in ("reasondistill", "torch", "transformers", "scikit-learn"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
