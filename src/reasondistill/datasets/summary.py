"""What is in a data set, as plain numbers for `data show`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from reasondistill.datasets.loaded import Loaded
from reasondistill.datasets.splits import assign_splits
from reasondistill.records import as_row

UNLABELLED = "(none)"
PERCENTILES = (5, 50, 95, 100)


def describe(loaded: Loaded) -> dict[str, Any]:
    """Count a data set.

    Returns:
        ``name``, ``fingerprint``, ``n``; ``labels``: label → count; ``splits``: part → label → count, by the hash
        rule where the rows name no part; ``groups``: how many there are; ``explanations``: ``total``,
        ``per_example`` (how many reference explanations an example has → count) and ``sources`` (source → count);
        ``highlighted``: examples with highlights; ``words``: field (and ``explanation``) → percentile of the
        number of words, ``p5`` … ``p100``; ``set_aside``: reason → count; ``ignored_columns``; ``sample``: the
        first two rows.
    """
    examples = loaded.examples
    splits: dict[str, Counter[str]] = {}
    for example in assign_splits(examples):
        splits.setdefault(str(example.split), Counter())[_label(example.label)] += 1
    references = [example.references for example in examples]
    fields = dict.fromkeys(name for example in examples for name in example.fields)
    words = {name: _words(e.fields[name] for e in examples if name in e.fields) for name in fields}
    if any(references):
        words["explanation"] = _words(e.text for several in references for e in several)
    return {
        "name": loaded.name,
        "fingerprint": loaded.fingerprint,
        "n": len(examples),
        "labels": _sorted(Counter(_label(example.label) for example in examples)),
        "splits": {name: _sorted(counts) for name, counts in sorted(splits.items())},
        "groups": len({example.group or example.id for example in examples}),
        "explanations": {
            "total": sum(map(len, references)),
            "per_example": _sorted(Counter(str(len(several)) for several in references)),
            "sources": _sorted(Counter(e.source for example in examples for e in example.explanations)),
        },
        "highlighted": sum(any(highlights or ()) for highlights in (e.highlights for e in examples)),
        "words": words,
        "set_aside": dict(loaded.set_aside),
        "ignored_columns": list(loaded.ignored_columns),
        "sample": [as_row(example) for example in examples[:2]],
    }


def _words(texts: Iterable[str]) -> dict[str, int]:
    lengths = [len(text.split()) for text in texts]
    # An observed length, not one between two: 17.5 words is no length.
    values = np.percentile(lengths, PERCENTILES, method="lower")
    return {f"p{percentile}": int(value) for percentile, value in zip(PERCENTILES, values, strict=True)}


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def _label(label: str | None) -> str:
    return UNLABELLED if label is None else label
