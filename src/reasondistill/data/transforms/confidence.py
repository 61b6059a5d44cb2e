"""Explanations that end with words for how sure a student was: a training part with phrases for its probabilities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from reasondistill.config import Confidence
from reasondistill.contracts.records import Example, Prediction, read_predictions
from reasondistill.data.loaded import Loaded
from reasondistill.data.stored import SCHEMA, StoredExamples, content_hash, to_batches
from reasondistill.errors import DataError
from reasondistill.tasks.verbalized_confidence import binned, with_phrase


def worded(loaded: Loaded, settings: Confidence, seed: int) -> Loaded:
    """The same examples, their explanations ending with the phrase of the probability that a student gave each row.

    Args:
        loaded: the rows to learn from.
        settings: the student's predictions of these rows, and the phrases.
        seed: of the shuffling, if ``shuffle`` is set.

    Raises:
        DataError: a row has no prediction, a prediction no probabilities, or they are too much alike for the phrases.
    """
    known = {prediction.id: prediction for prediction in read_predictions(settings.predictions)}
    sure = [_probability(example, known.get(example.id), settings) for example in loaded.examples]
    bins = binned(sure, settings.phrases)
    if bins is None:
        raise DataError(
            settings.predictions,
            expected=f"probabilities that differ enough for {len(settings.phrases)} phrases",
            found=f"{len(sure)} between {min(sure, default=0):.4g} and {max(sure, default=0):.4g}, with many alike",
            fix="Give fewer phrases, or predictions of a student that has learned more.",
        )
    phrases, places = bins
    if settings.shuffle:
        places = np.random.default_rng(seed).permutation(places).tolist()
    rows = (_saying(e, phrases[k].text) for e, k in zip(loaded.examples, places, strict=True))
    table = pa.Table.from_batches(to_batches((e, content_hash(e)) for e in rows), schema=SCHEMA)
    return replace(loaded, examples=StoredExamples(table), phrases=tuple(phrases))


def _probability(example: Example, prediction: Prediction | None, settings: Confidence) -> float:
    where = f"{settings.predictions}: {example.id}"
    if prediction is None:
        raise DataError(
            where,
            expected="a prediction of each row of this source",
            found="none",
            fix="Predict the same split of the same data.",
        )
    if not prediction.probabilities:
        raise DataError(where, expected="a probability for each label", found="none")
    if settings.probability_of == "own":
        return max(prediction.probabilities.values())
    if example.label not in prediction.probabilities:
        raise DataError(where, expected="a probability of the row's own label", found=f"the label {example.label!r}")
    return prediction.probabilities[example.label]


def _saying(example: Example, phrase: str) -> Example:
    explanations = tuple(e.model_copy(update={"text": with_phrase(e.text, phrase)}) for e in example.explanations)
    return example.model_copy(update={"explanations": explanations})
