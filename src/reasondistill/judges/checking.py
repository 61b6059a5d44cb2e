"""Measure how well a judge separates good explanations from corrupted ones and from those that people rejected."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reasondistill.judges.logistic_regression import FloatArray
from reasondistill.judges.voting import Voted


def separation(
    logits: FloatArray, good: NDArray[np.bool_], kinds: Sequence[str], names: Sequence[str], values: FloatArray
) -> dict[str, object]:
    """ROC-AUC of good against spoiled explanations: all, each component's, and each way of spoiling."""
    from sklearn.metrics import roc_auc_score

    spoiled = logits[~good]
    of_kind = {
        kind: round(
            float(
                roc_auc_score(
                    np.repeat([True, False], [int(good.sum()), kinds.count(kind)]),
                    np.concatenate([logits[good], spoiled[[k for k, way in enumerate(kinds) if way == kind]]]),
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


def agreement(logits: FloatArray, votes: Sequence[Voted]) -> dict[str, object]:
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
