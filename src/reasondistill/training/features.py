"""Examples to rows of token ids with a label mask and an explanation mask, and the collator that makes batches of them.

A prompt is stored once with all the targets that follow it, so that the encoder reads a pair once for all its
explanations.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from reasondistill.contracts.records import Example
from reasondistill.data.stored import StoredExamples
from reasondistill.storage.arrow_cache import TableCache
from reasondistill.storage.files import fingerprint
from reasondistill.students.codec import CONTEXT, EXPLANATION, LABEL, Codec, pad_to_tensor
from reasondistill.tasks.task import OutputOrder, Target, Task

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa
    import torch

CACHED_FROM = 20_000
"""Examples from which their token ids are kept in the cache."""

_ENCODING = 2
"""Goes up when the same examples are encoded otherwise."""

_BATCH = 1024
_CACHE = TableCache("features")

IDS = "ids"
"""Key of a batch's example ids, which are no tensor and are taken out before the model sees it."""


def build_features(
    examples: Sequence[Example],
    *,
    task: Task,
    order: OutputOrder,
    codec: Codec,
    explanations_per_example: int | None = None,
) -> datasets.Dataset:
    """Tokenise examples for training. A large set is tokenised once and then found in the cache.

    Returns:
        A data set with a row a prompt: ``id`` of its example, ``input_ids`` (S,), ``target_ids`` and ``target_roles``
        (one list for each target), ``length`` (tokens of the prompt and its longest target, for batching by length),
        ``truncated`` (how many of its targets lost tokens) and ``source_truncated`` (whether the prompt did).
        Examples that supervise nothing are left out. Of examples whose labels begin alike, what follows the label is
        supervised as a part of it: see `Codec.encode_choices`.
    """

    @cache
    def closes(labels: tuple[str, ...]) -> bool:
        return codec.closes(labels, order)

    def rendered() -> Iterator[tuple[str, str, list[Target]]]:
        for example in examples:
            texts: list[str | None] = [e.text for e in example.references if e.text.strip()]
            labelled = example.label is not None and order != "explanation_only"
            closed = labelled and closes(task.choices_for(example))
            for prompt, targets in task.render(
                order, example, texts[:explanations_per_example] or [None], closed=closed
            ):
                yield example.id, prompt, targets

    key = None
    if isinstance(examples, StoredExamples) and len(examples) >= CACHED_FROM:
        key = fingerprint(
            _ENCODING,
            fingerprint(*examples.column("content")),
            task.model_dump(mode="json"),
            order,
            explanations_per_example,
            codec.fingerprint,
        )
    return encode_rows(rendered, codec, key=key)


def encode_rows(
    rendered: Callable[[], Iterable[tuple[str, str, Sequence[Target]]]], codec: Codec, *, key: str | None = None
) -> datasets.Dataset:
    """Tokenise ``(id, prompt, targets)`` rows; columns as in `build_features`.

    Args:
        rendered: begins anew.
        codec: of the student that will read them.
        key: keep the result in the cache under this key.
    """
    from datasets import Dataset
    from datasets.table import InMemoryTable

    if key is None or _CACHE.get(key) is None:
        table, _ = _CACHE.make(key, _schema(), lambda: (_encoded(rendered(), codec), {}))
        if key is None or _CACHE.get(key) is None:
            return Dataset(InMemoryTable(table))
    return Dataset.from_file(str(_CACHE.path(key)))


def _schema() -> pa.Schema:
    import pyarrow as pa

    ids = pa.list_(pa.int32())
    return pa.schema(
        [
            ("id", pa.string()),
            ("input_ids", ids),
            ("target_ids", pa.list_(ids)),
            ("target_roles", pa.list_(pa.list_(pa.int8()))),
            ("length", pa.int32()),
            ("truncated", pa.int32()),
            ("source_truncated", pa.bool_()),
        ]
    )


def _encoded(rendered: Iterable[tuple[str, str, Sequence[Target]]], codec: Codec) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    rows = iter(rendered)
    while batch := list(islice(rows, _BATCH)):
        with _all_cores():
            prompts, cut = codec.encode_and_mark_prompts([prompt for _, prompt, _ in batch])
            encoded = iter(codec.encode_targets([target for _, _, targets in batch for target in targets]))
        several = [[next(encoded) for _ in targets] for _, _, targets in batch]
        columns = (
            [identity for identity, _, _ in batch],
            prompts,
            [[target.ids for target in targets] for targets in several],
            [[target.roles for target in targets] for targets in several],
            [
                len(ids) + max(len(target.ids) for target in targets)
                for ids, targets in zip(prompts, several, strict=True)
            ],
            [sum(target.truncated for target in targets) for targets in several],
            cut,
        )
        arrays = [pa.array(values, type=field.type) for values, field in zip(columns, _schema(), strict=True)]
        yield pa.record_batch(arrays, schema=_schema())


@contextmanager
def _all_cores() -> Iterator[None]:
    """Let tokenizers use several threads. Elsewhere they do not: processes that are forked afterwards could hang."""
    before = os.environ.get("TOKENIZERS_PARALLELISM")
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    try:
        yield
    finally:
        os.environ["TOKENIZERS_PARALLELISM"] = before or "false"


class Collator:
    """Rows of `build_features` to a batch of B prompts of S tokens and D targets of T tokens, padded on the right.

    Output, all of it torch tensors: ``input_ids`` and ``attention_mask`` (B, S) int64; ``encoder_rows`` (D,) int64,
    the prompt that each target follows; ``decoder_input_ids`` (D, T) int64, targets shifted right behind the start
    token; ``target_ids`` (D, T) int64; ``label_mask`` and ``explanation_mask`` (D, T) bool, never both true.
    """

    def __init__(self, codec: Codec) -> None:
        self.codec = codec

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        import torch

        pad = self.codec.pad_token_id
        # One of several processes may get no rows of an epoch's last batch: it supervises nothing there.
        rows = rows or [{"input_ids": [pad], "target_ids": [[pad]], "target_roles": [[CONTEXT]]}]
        sources = [row["input_ids"] for row in rows]
        targets = [ids for row in rows for ids in row["target_ids"]]
        roles = pad_to_tensor([r for row in rows for r in row["target_roles"]], CONTEXT)
        input_ids = pad_to_tensor(sources, pad)
        lengths = torch.tensor([len(ids) for ids in sources])
        target_ids = pad_to_tensor(targets, pad)
        start = torch.full((len(targets), 1), self.codec.decoder_start_token_id)
        return {
            "input_ids": input_ids,
            "attention_mask": (torch.arange(input_ids.shape[1]) < lengths[:, None]).long(),
            "encoder_rows": torch.tensor([i for i, row in enumerate(rows) for _ in row["target_ids"]]),
            "decoder_input_ids": torch.cat([start, target_ids[:, :-1]], dim=1),
            "target_ids": target_ids,
            "label_mask": roles == LABEL,
            "explanation_mask": roles == EXPLANATION,
        }


class NamingCollator(Collator):
    """A `Collator` whose batches also say, under `IDS`, which examples they hold."""

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {**super().__call__(rows), IDS: [str(row.get("id", "?")) for row in rows]}
