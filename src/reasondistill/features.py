"""Example -> token ids with a label mask and an explanation mask; the collator that makes batches of them.

A prompt is stored once with all the targets that follow it, so that the encoder reads a pair once for all its
explanations. Which loss term a target's token belongs to is found by its place in the text: the target is tokenised
whole, as the student will write it, and each token goes to the segment that holds its last character.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

from reasondistill.errors import CheckpointError, TaskError
from reasondistill.records import Example
from reasondistill.tasks import OutputOrder, Segment, Target, Task

if TYPE_CHECKING:
    import datasets
    import torch

CONTEXT, LABEL, EXPLANATION = 0, 1, 2
_ROLES = {"context": CONTEXT, "label": LABEL, "explanation": EXPLANATION}


class EncodedTarget(NamedTuple):
    """A target's token ids, and for each the loss term that it belongs to (0 none, 1 label, 2 explanation)."""

    ids: list[int]
    roles: list[int]
    truncated: bool


class Codec:
    """Texts to token ids and back, for one student.

    Args:
        tokenizer: a fast tokenizer of transformers.
        decoder_start_token_id: what the student's decoder reads first.
        max_source_length: longest prompt in tokens; longer ones lose their end.
        max_target_length: longest target in tokens; see `encode_targets`.

    Raises:
        CheckpointError: the tokenizer cannot tell where in a text its tokens stand, or lacks an end or padding token.
    """

    def __init__(
        self, tokenizer: Any, *, decoder_start_token_id: int, max_source_length: int, max_target_length: int
    ) -> None:
        self.tokenizer = tokenizer
        self.max_source_length = max_source_length
        self.max_target_length = max_target_length
        self.decoder_start_token_id = decoder_start_token_id
        if not tokenizer.is_fast:
            raise CheckpointError(type(tokenizer).__name__, expected="a fast tokenizer", found="a slow one")
        eos = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.sep_token_id
        if eos is None or tokenizer.pad_token_id is None:
            raise CheckpointError(
                type(tokenizer).__name__,
                expected="a tokenizer with an end (or separator) token and a padding token",
                found=str(tokenizer.special_tokens_map),
            )
        self.eos_token_id: int = eos
        self.pad_token_id: int = tokenizer.pad_token_id
        # BART was pre-trained to read </s> <s> text: its tokenizer puts <s> first, though decoding starts at </s>.
        framed: list[int] = tokenizer("a")["input_ids"]
        plain: list[int] = tokenizer("a", add_special_tokens=False)["input_ids"]
        before = framed[: framed.index(plain[0])] if plain and plain[0] in framed else []
        self.target_start = [token for token in before if token != decoder_start_token_id]

    def encode_prompts(self, prompts: Sequence[str]) -> list[list[int]]:
        """Token ids of prompts, with the special tokens that the student expects."""
        if not prompts:
            return []
        ids: list[list[int]] = self.tokenizer(list(prompts), truncation=True, max_length=self.max_source_length)[
            "input_ids"
        ]
        return ids

    def encode_targets(self, targets: Sequence[Target]) -> list[EncodedTarget]:
        """Token ids and roles of targets.

        A target over the limit loses the end of its longest segment, never a label that stands after it. The end
        token is added where the target `ends` and its last segment is whole: a student is not taught to stop in the
        middle of a sentence. Tokens that the student's format puts before a target belong to no loss term.
        """
        if not targets:
            return []
        encoded = self.tokenizer(
            [target.text for target in targets], add_special_tokens=False, return_offsets_mapping=True
        )
        return [
            self._assemble(target, ids, offsets)
            for target, ids, offsets in zip(targets, encoded["input_ids"], encoded["offset_mapping"], strict=True)
        ]

    def _assemble(self, target: Target, ids: list[int], offsets: list[tuple[int, int]]) -> EncodedTarget:
        ends = list(accumulate(len(segment.text) for segment in target.segments))
        last = len(target.segments) - 1
        places = [min(bisect_right(ends, max(stop - 1, start)), last) for start, stop in offsets]
        room = self.max_target_length - len(self.target_start) - target.ends
        surplus = len(ids) - room
        whole = True
        if surplus > 0:
            longest = max(range(last + 1), key=places.count)
            stop = max(i for i, place in enumerate(places) if place == longest) + 1
            start = max(stop - surplus, places.index(longest))
            ids, places = ids[:start] + ids[stop:], places[:start] + places[stop:]
            whole = longest != last
        roles = [_ROLES[target.segments[place].role] for place in places]
        ids, roles = [*self.target_start, *ids], [CONTEXT] * len(self.target_start) + roles
        if target.ends and whole:
            ids, roles = [*ids, self.eos_token_id], [*roles, EXPLANATION]
        return EncodedTarget(ids, roles, truncated=surplus > 0)

    def encode_prefix(self, text: str) -> list[int]:
        """What the decoder is made to read before it writes: the start token, and the ids of ``text``."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"] if text else []
        return [self.decoder_start_token_id, *self.target_start, *ids]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token ids, without special tokens and without white space around it."""
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return text.strip()

    def check_labels(self, labels: Sequence[str], order: OutputOrder) -> None:
        """Hold the labels to what scoring them needs.

        Raises:
            TaskError: the tokenizer cannot write a label, one label's tokens begin another's, or a label's tokens
                change with what follows it.
        """
        alone = [target.ids for target in self.encode_targets([Target((Segment(label, "label"),)) for label in labels])]
        for label, ids in zip(labels, alone, strict=True):
            if len(ids) == len(self.target_start) or self.tokenizer.unk_token_id in ids:
                raise TaskError(
                    f"label {label!r}", expected="a label that the tokenizer can write", found=f"the tokens {ids}"
                )
            for other, other_ids in zip(labels, alone, strict=True):
                if label != other and other_ids[: len(ids)] == ids:
                    raise TaskError(
                        f"labels {label!r} and {other!r}",
                        expected="labels none of which begins another, in tokens",
                        found=f"{ids} and {other_ids}",
                        fix="Rename one of them.",
                    )
        if order != "label_first":
            return
        for label, ids in zip(labels, alone, strict=True):
            prefix = self.encode_prefix(f"{label} explanation:")[1:]
            if prefix[: len(ids)] != ids:
                raise TaskError(
                    f"label {label!r}",
                    expected="a label whose tokens do not change with the text after it",
                    found=f"{ids} alone and {prefix} before 'explanation:'",
                    fix="Rename it.",
                )


def build_features(
    examples: Iterable[Example],
    *,
    task: Task,
    order: OutputOrder,
    codec: Codec,
    explanations_per_example: int | None = None,
) -> datasets.Dataset:
    """Tokenise examples for training.

    Returns:
        A data set with a row a prompt: ``input_ids`` (S,), ``target_ids`` and ``target_roles`` (one list for each
        target), ``length`` (tokens of the prompt and its longest target, for batching by length) and ``truncated``
        (how many of its targets lost tokens). Examples that supervise nothing are left out.
    """
    rendered: list[tuple[str, list[Target]]] = []
    for example in examples:
        texts: list[str | None] = [e.text for e in example.references if e.text.strip()]
        rendered += task.render(order, example, texts[:explanations_per_example] or [None])
    return encode_rows(rendered, codec)


def encode_rows(rendered: Sequence[tuple[str, Sequence[Target]]], codec: Codec) -> datasets.Dataset:
    """Tokenise prompts with their targets; columns as in `build_features`."""
    from datasets import Dataset

    columns: dict[str, list[Any]] = {
        name: [] for name in ("input_ids", "target_ids", "target_roles", "length", "truncated")
    }
    for begin in range(0, len(rendered), 1024):
        batch = rendered[begin : begin + 1024]
        prompts = codec.encode_prompts([prompt for prompt, _ in batch])
        encoded = iter(codec.encode_targets([target for _, targets in batch for target in targets]))
        for ids, (_, targets) in zip(prompts, batch, strict=True):
            rows = [next(encoded) for _ in targets]
            columns["input_ids"].append(ids)
            columns["target_ids"].append([row.ids for row in rows])
            columns["target_roles"].append([row.roles for row in rows])
            columns["length"].append(len(ids) + max(len(row.ids) for row in rows))
            columns["truncated"].append(sum(row.truncated for row in rows))
    return Dataset.from_dict(columns)


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


def pad_to_tensor(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
    """Sequences of different lengths as one (rows, longest) int64 tensor, filled with ``value`` on the right."""
    import torch

    result = torch.full((len(rows), max(map(len, rows), default=0)), value)
    for i, row in enumerate(rows):
        result[i, : len(row)] = torch.tensor(row, dtype=torch.long)
    return result


def batches_by_length(lengths: Sequence[int], *, max_tokens: int, max_rows: int) -> list[list[int]]:
    """Row numbers in batches of similar length, longest first, with at most ``max_tokens`` cells after padding."""
    batches: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if not batches or len(batches[-1]) >= max_rows or (len(batches[-1]) + 1) * lengths[batches[-1][0]] > max_tokens:
            batches.append([])
        batches[-1].append(i)
    return batches
