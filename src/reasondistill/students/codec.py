"""Texts to token ids and back, and which loss term each token of a target belongs to.

A token's loss term follows from its place in the text: a target is tokenized as a whole, as the student will write it,
and each token belongs to the segment of its last character.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple

from reasondistill.config import Generation
from reasondistill.errors import CheckpointError, ConfigError, TaskError
from reasondistill.languages.tokenizer_protocol import Tokenizer
from reasondistill.storage.files import fingerprint
from reasondistill.students.positions import Positions
from reasondistill.tasks.task import OutputOrder, Segment, Target, choice_targets, close_label

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer as BackendTokenizer

CONTEXT, LABEL, EXPLANATION = 0, 1, 2
_ROLES = {"context": CONTEXT, "label": LABEL, "explanation": EXPLANATION}


class EncodedTarget(NamedTuple):
    """A target's token ids, with the loss term of each (0 none, 1 label, 2 explanation)."""

    ids: list[int]
    roles: list[int]
    truncated: bool


class Codec:
    """Texts to token ids and back, for one student.

    Args:
        tokenizer: a fast tokenizer of transformers, or one with its interface:
            `students.package.tokenizer.PlainTokenizer` and `students.tokenizers.MarianPair`.
        decoder_start_token_id: the decoder's first input.
        max_source_length: longest prompt in tokens; the end of longer ones is cut.
        max_target_length: longest target in tokens; see `encode_targets`.
        positions: the numbers of positions of the student.
        order: the student's output order; see `encode_choices`.

    Raises:
        ConfigError: it has fewer positions than these lengths.
        CheckpointError: the tokenizer has no offsets, or lacks an end or padding token.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        decoder_start_token_id: int,
        max_source_length: int,
        max_target_length: int,
        positions: Positions = Positions(),  # noqa: B008 - an immutable default
        order: OutputOrder = "label_first",
    ) -> None:
        if problems := positions.problems(max_source_length=max_source_length, max_target_length=max_target_length):
            raise ConfigError.gather("lengths", problems)
        self.positions = positions
        self.tokenizer = tokenizer
        self.order: OutputOrder = order
        self.max_source_length = max_source_length
        self.max_target_length = max_target_length
        self.decoder_start_token_id = decoder_start_token_id
        if not tokenizer.is_fast:
            raise CheckpointError(type(tokenizer).__name__, expected="a fast tokenizer", found="a slow one")
        eos = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else getattr(tokenizer, "sep_token_id", None)
        if eos is None or tokenizer.pad_token_id is None:
            raise CheckpointError(
                type(tokenizer).__name__,
                expected="a tokenizer with an end (or separator) token and a padding token",
                found=str(getattr(tokenizer, "special_tokens_map", {})),
            )
        self.eos_token_id: int = eos
        self.pad_token_id: int = tokenizer.pad_token_id
        # BART was pre-trained to read </s> <s> text: its tokenizer puts <s> first, though decoding starts at </s>.
        framed: list[int] = tokenizer("a")["input_ids"]
        plain: list[int] = tokenizer("a", add_special_tokens=False)["input_ids"]
        before = framed[: framed.index(plain[0])] if plain and plain[0] in framed else []
        self.target_start = [token for token in before if token != decoder_start_token_id]

    @cached_property
    def fingerprint(self) -> str:
        """A hash of everything that the ids of a text depend on."""
        state = json.loads(self.tokenizer.backend_tokenizer.to_str())
        return fingerprint(
            # A call with truncation or padding leaves these settings behind.
            {name: part for name, part in state.items() if name not in ("truncation", "padding")},
            self.decoder_start_token_id,
            self.eos_token_id,
            self.max_source_length,
            self.max_target_length,
        )

    def encode_prompts(self, prompts: Sequence[str]) -> list[list[int]]:
        """Token ids of prompts, with the special tokens that the student expects."""
        return self.encode_and_mark_prompts(prompts)[0]

    def encode_and_mark_prompts(self, prompts: Sequence[str]) -> tuple[list[list[int]], list[bool]]:
        """Token ids of prompts, and for each whether it exceeded the limit and was cut."""
        if not prompts:
            return [], []
        # The tokenizer's Rust part alone: transformers' conversion around it would double the time.
        backend = self._backend()
        ids = [encoding.ids for encoding in backend.encode_batch_fast(list(prompts))]
        cut = [len(encoding) > self.max_source_length for encoding in ids]
        for place in (i for i, over in enumerate(cut) if over):
            ids[place] = self.tokenizer(prompts[place], truncation=True, max_length=self.max_source_length)["input_ids"]
        return ids, cut

    def _backend(self) -> BackendTokenizer:
        backend = self.tokenizer.backend_tokenizer
        if backend.truncation is not None:  # left behind by an earlier call
            backend.no_truncation()
        if backend.padding is not None:
            backend.no_padding()
        return backend

    def encode_targets(self, targets: Sequence[Target]) -> list[EncodedTarget]:
        """Token ids and roles of targets.

        A target over the limit loses the end of its longest segment, never a label after it. The end token is added if
        the target `ends` and its last segment is whole: a student must not learn to stop in the middle of a sentence.
        Tokens that the student's format puts before a target belong to no loss term.
        """
        if not targets:
            return []
        encoded = self._backend().encode_batch([target.text for target in targets], add_special_tokens=False)
        return [
            self._assemble(target, encoding.ids, encoding.offsets)
            for target, encoding in zip(targets, encoded, strict=True)
        ]

    def encoder_of(self, of: str) -> tuple[int, Callable[[Sequence[Target]], list[EncodedTarget]]]:
        """The role of the tokens that are scored, and what encodes their targets."""
        return (LABEL, self.encode_choices) if of == "label" else (EXPLANATION, self.encode_targets)

    def encode_choices(self, targets: Sequence[Target]) -> list[EncodedTarget]:
        """Token ids and roles of the possible labels, given as `tasks.choice_targets`.

        If the tokens of one label begin another's, all labels are encoded with what follows them, which then belongs
        to the label: see `tasks.close_label`. Otherwise the shorter label, whose tokens are all in the longer one,
        would always have the higher score.

        Returns:
            One for each target; an empty list if two of them still cannot be told apart.
        """
        encoded = self.encode_targets(targets)
        if _begins_another(encoded) is None:
            return encoded
        encoded = self.encode_targets([close_label(self.order, target) for target in targets])
        return encoded if _begins_another(encoded) is None else []

    def closes(self, labels: Sequence[str], order: OutputOrder) -> bool:
        """Whether one label's tokens begin another's, so that what follows a label must be learned as part of it."""
        return _begins_another(self.encode_targets(choice_targets(order, labels, None))) is not None

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
            ids, roles = [*ids, self.eos_token_id], [*roles, _ROLES[target.end_role]]
        return EncodedTarget(ids, roles, truncated=surplus > 0)

    def encode_prefix(self, text: str) -> list[int]:
        """The decoder's forced input before it writes: the start token, and the ids of ``text``."""
        return self.encode_prefixes([text])[0]

    def encode_prefixes(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode_prefix` of each text."""
        start = [self.decoder_start_token_id, *self.target_start]
        encoded = self._backend().encode_batch(list(texts), add_special_tokens=False)
        return [[*start, *(encoding.ids if text else [])] for text, encoding in zip(texts, encoded, strict=True)]

    def require_room(self, prefixes: Iterable[str], generation: Generation) -> None:
        """Check that the student has enough positions for what it writes after ``prefixes``.

        Raises:
            ConfigError: it has too few; the message says how many tokens fit.
        """
        if self.positions.decoder is None:
            return
        longest = max((len(self.encode_prefix(prefix)) for prefix in prefixes), default=1)
        if problems := self.positions.problems(generation=generation, prefix=longest):
            raise ConfigError.gather("lengths", problems)

    @cached_property
    def pieces(self) -> dict[int, str]:
        """The text of each token on its own, without those that mean something else than text."""
        backend = self._backend()
        special = {token for token, added in backend.get_added_tokens_decoder().items() if added.special}
        special |= {self.eos_token_id, self.pad_token_id, self.decoder_start_token_id, *self.target_start}
        ids = sorted({*backend.get_vocab(with_added_tokens=False).values()} - special - {self.tokenizer.unk_token_id})
        return dict(zip(ids, backend.decode_batch([[token] for token in ids]), strict=True))

    def decode(self, ids: Iterable[int]) -> str:
        """The text of token ids, without special tokens and surrounding white space."""
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return text.strip()

    def check_labels(self, labels: Sequence[str], order: OutputOrder) -> None:
        """Check that the labels can be scored.

        Raises:
            TaskError: the tokenizer cannot write a label or tell two apart, or a label's tokens change with what
                follows it.
        """
        alone = [target.ids for target in self.encode_targets([Target((Segment(label, "label"),)) for label in labels])]
        for label, ids in zip(labels, alone, strict=True):
            if len(ids) == len(self.target_start) or self.tokenizer.unk_token_id in ids:
                raise TaskError(
                    f"label {label!r}", expected="a label that the tokenizer can write", found=f"the tokens {ids}"
                )
        closed = self.encode_targets([close_label(order, target) for target in choice_targets(order, labels, None)])
        if (alike := _begins_another(closed)) is not None:
            label, other = (labels[place] for place in alike)
            raise TaskError(
                f"labels {label!r} and {other!r}",
                expected="labels that differ in tokens",
                found=f"{closed[alike[0]].ids} and {closed[alike[1]].ids}",
                fix="Rename one of them."
                + (" Or raise max_target_length." if any(closed[place].truncated for place in alike) else ""),
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


def _begins_another(targets: Sequence[EncodedTarget]) -> tuple[int, int] | None:
    """The places of two targets of which one's tokens begin, or equal, the other's; None if there are none."""
    # Sorting brings targets with the same beginning together.
    places = sorted(range(len(targets)), key=lambda place: targets[place].ids)
    for place, other in pairwise(places):
        if targets[other].ids[: len(targets[place].ids)] == targets[place].ids:
            return place, other
    return None


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
