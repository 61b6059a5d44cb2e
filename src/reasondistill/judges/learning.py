"""Training a judge: explained examples (and people's votes, where there are some) -> a judge's folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

from reasondistill.config import JudgeConfig
from reasondistill.data import Loaded
from reasondistill.errors import DataError
from reasondistill.judges.argued import Argued, argued_of, texts_of
from reasondistill.judges.checking import agreement, separation
from reasondistill.judges.components import (
    ACCEPTANCE,
    COMPONENTS,
    RELEVANCE,
    VERDICT,
    Components,
    Models,
    component_values,
)
from reasondistill.judges.corruptions import Corruptor, Good
from reasondistill.judges.encoders import Encoded, Encoder, FrozenEncoder, WordEncoder
from reasondistill.judges.fitting import GoodAgainstSpoiled, Row, fit, weigh_alike, weigh_by_votes
from reasondistill.judges.judge import Combination, Judge, JudgeInfo, hashes_of
from reasondistill.judges.judge_card import judge_card
from reasondistill.judges.network import MAX_FIELDS, Network
from reasondistill.judges.patterns import Delexicalizer, PatternModel, kept_words
from reasondistill.judges.voting import Voted, cross_fitted, cross_weighed, votes_of, with_votes
from reasondistill.storage.files import require_new_folder
from reasondistill.tasks.task import Task

Progress = Callable[[str], None]
_LEAST_GOOD = 50


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
        voted: examples whose explanations have votes; they make a judge *with votes*.
        progress: called with a sentence about each step.

    Raises:
        OutputError: the judge's folder exists and is not empty.
        DataError: there are too few explanations, or votes, or too few of one kind.
        CheckpointError, MissingExtraError: the encoder is not available.
    """
    folder = require_new_folder(Path(config.judges_dir) / config.name)
    task = config.task
    good = _good(explained, task, config)
    votes = votes_of(voted, task)
    material = _material(good, votes, config, progress)
    models = _fitted(material, config, progress)
    names = material.components

    values, is_good = _good_against_spoiled(models, material, names)
    combination = weigh_alike(names, values, is_good)
    report: dict[str, object] = {
        "good_against_spoiled": separation(combination.logit(values), is_good, material.spoiled_how, names, values)
    }
    if votes:
        models, combination, report["votes"] = _with_votes(models, combination, votes, material, config, progress)
    trained_on = [*_described(explained, votes=False), *_described(voted, votes=True)]
    info = _info(config, material.encoder, models, combination, report, trained_on)
    seen = sorted({h for data in [*explained, *voted] for e in data.examples for h in hashes_of(e, task).tolist()})
    judge = Judge(info, material.encoder, models, np.array(seen, dtype=np.uint64))
    judge.save(folder, judge_card(judge, good=len(material.good), votes=len(votes)))
    return folder


def _described(data: Sequence[Loaded], *, votes: bool) -> list[dict[str, object]]:
    return [{"name": d.name, "fingerprint": d.fingerprint, "examples": len(d.examples), "votes": votes} for d in data]


def _info(
    config: JudgeConfig,
    encoder: Encoder,
    models: Models,
    combination: Combination,
    report: dict[str, object],
    trained_on: list[dict[str, object]],
) -> JudgeInfo:
    return JudgeInfo(
        name=config.name,
        kind="with_votes" if "votes" in report else "without_votes",
        task=config.task.model_dump(mode="json"),
        encoder=encoder.settings,
        network=config.network.model_dump(exclude={"members"}),
        members=config.network.members,
        combination=combination,
        words=models.delexicalizer.words,
        pattern_labels=models.patterns.labels,
        pattern_tokens=models.patterns.vocabulary(),
        verdict=None if models.verdict is None else models.verdict.to_json(),
        trained_on=trained_on,
        held_out=report,
        versions=_versions(),
    )


@dataclass(frozen=True)
class _Material:
    """What a judge is trained and checked on."""

    good: Sequence[Good]
    held_out: Sequence[Good]
    """Of other groups than ``good``."""
    spoiled: Sequence[Argued]
    """One made of each that is held out."""
    spoiled_how: Sequence[str]
    rows: Sequence[Row]
    """Good explanations and spoiled ones."""
    evidence: Sequence[Row]
    """Good explanations without their fields, for their own label and for another."""
    encoder: Encoder
    encoded: dict[str, Encoded]
    """Every text of all of these, and of the votes."""
    components: list[str]


def _material(good: Sequence[Good], votes: Sequence[Voted], config: JudgeConfig, progress: Progress) -> _Material:
    trained, held_out = _held_out(good)
    encoder = _encoder(config, trained)
    components = [name for name in COMPONENTS if _possible(name, encoder, trained, config.task)]
    progress(f"spoiling {len(trained):,} explanations")
    corruptor = Corruptor(trained, config.seed)
    each = config.training.spoiled_per_good
    rows = [Row(explanation.argued, 1.0) for explanation in trained]
    rows += [Row(corruptor.spoil(explanation)[1], 0.0, 1 / each) for explanation in trained for _ in range(each)]
    evidence = _evidence_rows(trained, config.seed) if "evidence" in components else []
    checks = Corruptor(held_out, config.seed + 1)
    spoiled_how, spoiled = zip(*(checks.spoil(explanation) for explanation in held_out), strict=True)
    progress("encoding")
    argued = [*(row.argued for row in (*rows, *evidence)), *(explanation.argued for explanation in held_out), *spoiled]
    encoded = encoder.encode(texts_of([*argued, *(vote.argued for vote in votes)]))
    return _Material(trained, held_out, spoiled, spoiled_how, rows, evidence, encoder, encoded, components)


def _fitted(material: _Material, config: JudgeConfig, progress: Progress) -> Models:
    """The models that need no votes."""
    networks = tuple(_network(material, config, member, progress) for member in range(config.network.members))
    delexicalizer = Delexicalizer(kept_words(explanation.argued.explanation for explanation in material.good))
    # If each example has its own choices, there are as many labels as examples: one model for all of them.
    patterns = PatternModel.of(
        (explanation.argued.label if config.task.labels else "", delexicalizer.pattern(explanation.argued))
        for explanation in material.good
    )
    return Models(networks, delexicalizer, patterns)


def _good_against_spoiled(models: Models, material: _Material, names: Sequence[str]) -> GoodAgainstSpoiled:
    """The components of held-out and of spoiled explanations."""
    rows = [*(explanation.argued for explanation in material.held_out), *material.spoiled]
    return GoodAgainstSpoiled(
        component_values(models, rows, material.encoded, names), np.arange(len(rows)) < len(material.held_out)
    )


def _network(material: _Material, config: JudgeConfig, member: int, progress: Progress) -> Network:
    seed = config.seed + member
    torch.manual_seed(seed)
    network = Network(
        width=material.encoder.width,
        vocabulary_size=material.encoder.vocabulary_size,
        **config.network.model_dump(exclude={"members"}),
    )
    rows = [*material.rows, *material.evidence]
    what = f"network {member + 1} of {config.network.members}"
    fit(network, rows, material.encoded, how=config.training, seed=seed, progress=progress, what=what)
    return network


def _with_votes(
    models: Models,
    combination: Combination,
    votes: Sequence[Voted],
    material: _Material,
    config: JudgeConfig,
    progress: Progress,
) -> tuple[Models, Combination, dict[str, object]]:
    """Models, weights and results after votes; ``combination`` is the one without votes."""
    names, folds = material.components, config.votes_training.folds
    components = Components(models, [v.argued for v in votes], material.encoded)
    before = combination.logit(components.table(names))
    # Votes can show the value of each field.
    fields = [f"{RELEVANCE}_{k}" for k in range(1, len(config.task.fields) + 1)] if RELEVANCE in names else []
    names = [*(name for name in names if name != RELEVANCE), *fields, ACCEPTANCE, VERDICT]
    values = cross_fitted(models, votes, components, names, folds, progress)
    models = with_votes(models, votes, components.features)
    held_out = _good_against_spoiled(models, material, names)
    reached: dict[str, object] = {
        "without_votes": agreement(before, votes),
        "with_votes": agreement(cross_weighed(names, values, votes, held_out, folds), votes),
        "components": {name: agreement(values[:, k], votes)["roc_auc"] for k, name in enumerate(names)},
    }
    weighed = weigh_by_votes(names, values, np.array([v.acceptable for v in votes]), held_out)
    return models, weighed, reached


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
    chosen = sorted(good.values(), key=lambda explanation: _hash(explanation.argued))[
        : config.training.max_explanations
    ]
    if len(chosen) < _LEAST_GOOD:
        raise DataError(
            "data.explained",
            expected=f"at least {_LEAST_GOOD} explanations of labels",
            found=str(len(chosen)),
            fix="Name data with explanations, and the right columns.",
        )
    return chosen


def _held_out(good: Sequence[Good]) -> tuple[list[Good], list[Good]]:
    """Nine tenths of the groups for training and one for checking, by the hash of the group."""
    parts: tuple[list[Good], list[Good]] = ([], [])
    for explanation in good:
        parts[int(hashlib.sha256(f"judge {explanation.group}".encode()).hexdigest(), 16) % 10 == 0].append(explanation)
    if len(parts[1]) < 5 or len(parts[0]) < 5:
        raise DataError(
            "data.explained",
            expected="explanations of many groups, so that one in ten can be held out",
            found=f"{len({explanation.group for explanation in good})} groups",
        )
    return parts


def _encoder(config: JudgeConfig, good: Sequence[Good]) -> Encoder:
    if config.encoder.kind == "words":
        return WordEncoder.of(texts_of(explanation.argued for explanation in good), config.encoder.size)
    return FrozenEncoder(config.encoder.name)


def _possible(component: str, encoder: Encoder, good: Sequence[Good], task: Task) -> bool:
    if component == "relevance":
        return encoder.width > 0
    if component == "contrast":
        return len({explanation.argued.label for explanation in good}) > 1 and bool(task.labels)
    return component != "evidence" or any(len(explanation.choices) > 1 for explanation in good)


def _evidence_rows(good: Sequence[Good], seed: int) -> list[Row]:
    """Explanations without their fields, for their own label and for another one."""
    rows = []
    for explanation in good:
        others = [label for label in explanation.choices if label != explanation.argued.label]
        if others:
            other = others[(seed + int(_hash(explanation.argued), 16)) % len(others)]
            rows.append(Row(explanation.argued, 1.0, with_fields=False))
            rows.append(Row(explanation.argued._replace(label=other), 0.0, with_fields=False))
    return rows


def _hash(argued: Argued) -> str:
    return hashlib.sha256("\x1f".join([*argued.fields, argued.label, argued.explanation]).encode()).hexdigest()


def _versions() -> dict[str, str]:
    versions = {}
    for name in ("reasondistill", "torch", "transformers", "scikit-learn"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
