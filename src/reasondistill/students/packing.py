"""Pack several prompts into one row and their targets into another: a training step without padding.

The texts of a batch differ in length, and padding costs as much as text. Here short prompts are concatenated into rows
of about equal length, each with all of its targets. Masks keep them apart: a token attends to its own text, a target to
its own prompt. Positions are counted within each text. A student computes the same for a token as in a row of its own,
up to rounding. A prompt's keys and values are computed once for all of
its targets, where a padded batch repeats them for each.

Source: sequence packing, Krell et al. 2021, "Efficient Sequence Packing without Cross-contamination".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from reasondistill.students.families import family_of
from reasondistill.students.forward import head
from reasondistill.students.model_protocol import EncoderDecoder

if TYPE_CHECKING:
    from transformers.models.bart.modeling_bart import BartLearnedPositionalEmbedding

ROW_TOKENS = 160
"""Prompt tokens per row: four or five pairs of captions. Longer rows have hardly less padding, and the cost of
attention grows with the square of their length."""


def can_pack(model: EncoderDecoder) -> bool:
    """Whether several texts of this model can be kept apart in one row."""
    family = family_of(model)
    if not family.packs or model.config._attn_implementation != "sdpa":  # which takes masks as they are given
        return False
    return family.head == "t5" or len(_position_tables(model)) == 2


@dataclass(frozen=True)
class Side:
    """The places of the texts of one side (prompts or targets) in R rows of L tokens; every tensor is (R, L).

    ``source`` is a token's place in the flattened padded batch. ``text`` is the number of its text, ``prompt`` the
    number of that text's prompt; both are -1 in padding.
    """

    source: Tensor
    position: Tensor
    text: Tensor
    prompt: Tensor

    @property
    def own(self) -> Tensor:
        """(R, 1, L, L) bool: which tokens are of the same text."""
        return (self.text[:, :, None] == self.text[:, None, :])[:, None]


def plan_rows(prompts: Sequence[int], targets: Sequence[int], row_tokens: int = ROW_TOKENS) -> list[list[int]]:
    """Assign prompts to rows.

    Args:
        prompts: tokens of each prompt.
        targets: tokens of all targets of each prompt together.
        row_tokens: the approximate limit on a row's prompt tokens, and half of that on its target tokens; a longer text
            has its own row.

    Returns:
        Numbers of prompts by row, with rows of about equal length on both sides: the longest prompt first, each into
        the row with the smallest share of the tokens of either side.
    """
    # Twice as many target tokens: a prompt's explanations share its row. Attention's square makes more too costly.
    most = ((prompts, row_tokens), (targets, 2 * row_tokens))
    needed = max(-(-sum(tokens) // max(*tokens, limit)) for tokens, limit in most)
    rows: list[list[int]] = [[] for _ in range(min(len(prompts), needed))]
    shares = [(p / sum(prompts), t / max(sum(targets), 1)) for p, t in zip(prompts, targets, strict=True)]
    filled = [(0.0, 0.0)] * len(rows)
    for i in sorted(range(len(prompts)), key=lambda i: -sum(shares[i])):
        read, written = shares[i]
        k = min(range(len(rows)), key=lambda k: max(filled[k][0] + read, filled[k][1] + written))
        rows[k].append(i)
        filled[k] = filled[k][0] + read, filled[k][1] + written
    return [row for row in rows if row]


def _side(rows: Sequence[Sequence[tuple[int, int]]], lengths: Sequence[int], width: int) -> Side:
    """Places of texts, given as (number of the text, that of its prompt), in rows; ``width`` is the padded batch's."""
    longest = max(sum(lengths[text] for text, _ in row) for row in rows)
    shape = len(rows), longest
    source, position = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
    texts, prompts = torch.full(shape, -1), torch.full(shape, -1)
    for r, row in enumerate(rows):
        ends = list(accumulate(lengths[text] for text, _ in row))
        for (text, prompt), stop in zip(row, ends, strict=True):
            length = lengths[text]
            places = slice(stop - length, stop)
            position[r, places] = torch.arange(length)
            source[r, places] = torch.arange(text * width, text * width + length)
            texts[r, places], prompts[r, places] = text, prompt
    return Side(source, position, texts, prompts)


@dataclass(frozen=True)
class BatchPlan:
    """How a batch would be packed.

    Attributes:
        prompts: tokens of each prompt.
        targets: tokens of each target, up to its last supervised one.
        of_prompt: the numbers of each prompt's targets; those that supervise nothing are left out.
        rows: numbers of prompts by row.
    """

    prompts: list[int]
    targets: list[int]
    of_prompt: list[list[int]]
    rows: list[list[int]]

    def pays(self, model: EncoderDecoder, width: int) -> bool:
        """Whether packed rows take less time than the padded batch, whose targets are ``width`` tokens long.

        A step's time is taken as what it multiplies in one layer of each side, and `_SCORE` for each score of
        attention. Packed rows have fewer places and more scores, as each is longer than its texts. So packing pays
        where much would be padding or a prompt has several targets, and the more the wider the student is; what was
        measured is in docs/performance.md.
        """
        longest = max(self.prompts)
        padded = _cost(model, (len(self.prompts), longest), (len(self.targets), width), len(self.targets) * longest)
        read = max(sum(self.prompts[p] for p in row) for row in self.rows)
        written = max(sum(self.targets[t] for p in row for t in self.of_prompt[p]) for row in self.rows)
        rows = len(self.rows)
        return _cost(model, (rows, read), (rows, written), rows * read) < padded


_SCORE = 80.0
"""What a score of attention costs beside its products, in multiplications, for each head: bias, mask, softmax. With it
the ratios of `benchmarks/packing.py` come out to about a tenth, from 0.7 to 1.7."""


def _cost(model: EncoderDecoder, read: tuple[int, int], written: tuple[int, int], keys: int) -> float:
    """Multiplications of one layer of each side, roughly.

    Args:
        read, written: rows and their length, of encoder and decoder.
        keys: places of the encoder whose keys and values the decoder computes.
    """
    width, heads = int(model.config.hidden_size), int(model.config.num_attention_heads)
    (read_rows, read_length), (rows, length) = read, written
    # Four projections and a gated feed-forward of twice the width; the decoder has two more for what it reads.
    products = width * width * (10 * read_rows * read_length + 12 * rows * length + 2 * keys)
    scores = read_rows * read_length**2 + rows * length * (length + read_length)
    return products + scores * (2 * width + _SCORE * heads)


def plan_batch(
    attention_mask: Tensor, encoder_rows: Tensor, supervised: Tensor, row_tokens: int = ROW_TOKENS
) -> BatchPlan:
    """Assign the texts of a batch as `features.Collator` makes it to rows.

    Args:
        supervised: (D, T) bool, at least one true.
    """
    prompts = attention_mask.sum(dim=1).tolist()
    after = torch.arange(1, supervised.shape[1] + 1, device=supervised.device)
    targets = (supervised * after).amax(dim=1).tolist()
    of_prompt: list[list[int]] = [[] for _ in prompts]
    for target, prompt in enumerate(encoder_rows.tolist()):
        if targets[target]:
            of_prompt[prompt].append(target)
    rows = plan_rows(prompts, [sum(targets[t] for t in its) for its in of_prompt], row_tokens)
    return BatchPlan(prompts, targets, of_prompt, rows)


def packed_logits(
    model: EncoderDecoder,
    plan: BatchPlan,
    input_ids: Tensor,
    decoder_input_ids: Tensor,
    supervised: Tensor,
) -> tuple[Tensor, Tensor]:
    """Logits at the supervised positions of a batch.

    Args:
        plan: of the batch.
        supervised: (D, T) bool, as the plan was made for. Nothing after a target's last supervised position is
            computed.

    Returns:
        Logits (N, V), and for each its place in the flattened (D, T), int64 (N,).
    """
    prompts, targets, of_prompt, rows = plan.prompts, plan.targets, plan.of_prompt, plan.rows
    device = input_ids.device
    read = _side([[(p, p) for p in row] for row in rows], prompts, input_ids.shape[1])
    written = _side([[(t, p) for p in row for t in of_prompt[p]] for row in rows], targets, supervised.shape[1])
    causal = torch.ones(written.text.shape[1], written.text.shape[1], dtype=torch.bool).tril()
    # Padding in a target's row attends to everything: a softmax over nothing would be NaN.
    across = (written.prompt[:, :, None] == read.prompt[:, None, :]) | (written.prompt < 0)[:, :, None]
    real = (written.text >= 0).to(device)
    read_from, written_from = read.source.to(device), written.source.to(device)
    with _positions(model, read.position.to(device), written.position.to(device)):
        states = model.get_encoder()(
            input_ids=input_ids.flatten()[read_from], attention_mask=read.own.to(device)
        ).last_hidden_state
        outputs = model.get_decoder()(
            input_ids=decoder_input_ids.flatten()[written_from],
            attention_mask=(written.own & causal).to(device),
            encoder_hidden_states=states,
            encoder_attention_mask=across[:, None].to(device),
            use_cache=False,
        ).last_hidden_state
    chosen = supervised.flatten()[written_from] & real
    return head(model, outputs[chosen]), written_from[chosen]


def _position_tables(model: EncoderDecoder) -> list[BartLearnedPositionalEmbedding]:
    from transformers.models.bart.modeling_bart import BartLearnedPositionalEmbedding

    sides = (model.get_encoder(), model.get_decoder())
    tables = [getattr(side, "embed_positions", None) for side in sides]
    return [table for table in tables if type(table) is BartLearnedPositionalEmbedding]


@contextmanager
def _positions(model: EncoderDecoder, *positions: Tensor) -> Iterator[None]:
    """In this context, a BART's encoder and decoder use these positions (R, L) instead of places in the row."""
    with ExitStack() as stack:
        if family_of(model).head == "bart":
            for table, row_positions in zip(_position_tables(model), positions, strict=True):
                # BART counts positions from 0 in every row, and accepts others only in its decoder.
                table.forward = partial(_look_up, table, row_positions)
                stack.callback(delattr, table, "forward")
        yield


def _look_up(table: BartLearnedPositionalEmbedding, positions: Tensor, *_: object, **__: object) -> Tensor:
    return torch.nn.functional.embedding(positions + table.offset, table.weight)
