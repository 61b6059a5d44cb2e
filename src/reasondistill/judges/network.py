"""The network of a judge: does this explanation argue for this label of these fields?

Fields, label and explanation are encoded separately (late interaction, as in DeFormer, Cao et al. 2020): the encoder
reads each text once, however often it occurs, and only two small layers see all of them together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import nn

from reasondistill.judges.argued import Argued
from reasondistill.judges.encoders import MAX_TOKENS, Encoded

_LABEL, _EXPLANATION, _FIRST_FIELD = 0, 1, 2
MAX_FIELDS = 14


class Batch(NamedTuple):
    """A padded batch: B rows of at most L tokens."""

    tokens: torch.Tensor
    """Ids (B, L), or states (B, L, width)."""
    segment: torch.Tensor
    """(B, L): 0 the label's tokens, 1 the explanation's, 2 and on the fields'."""
    position: torch.Tensor
    """(B, L), within the text."""
    match: torch.Tensor
    """(B, L): whether the token also occurs elsewhere. An explanation's: 1 in the first field, 2 in another, 3 in both.
    A field's: 1 in another field, 2 in the explanation, 3 in both."""
    mask: torch.Tensor
    """(B, L), true for tokens."""


def collate(rows: Sequence[Argued], encoded: Mapping[str, Encoded], *, with_fields: bool | Sequence[bool]) -> Batch:
    """Rows out of their encoded texts.

    Args:
        rows: those of the batch (B).
        encoded: every text of the rows.
        with_fields: whether to include the fields, for all rows or for each (B).
    """
    seen = [with_fields] * len(rows) if isinstance(with_fields, bool) else with_fields
    lines = [_line(row, encoded, shown) for row, shown in zip(rows, seen, strict=True)]
    longest = max(len(line[1]) for line in lines)

    def padded(part: int) -> torch.Tensor:
        return torch.tensor([line[part] + [0] * (longest - len(line[part])) for line in lines], dtype=torch.long)

    parts = [[text.states for text in line[0]] for line in lines]
    if parts[0][0] is None:
        numbers = [[k for text in line[0] for k in text.ids] for line in lines]
        tokens = torch.tensor([line + [0] * (longest - len(line)) for line in numbers], dtype=torch.long)
    else:
        tokens = torch.zeros(len(lines), longest, parts[0][0].shape[1])
        for k, states in enumerate(parts):
            joined = torch.cat([state for state in states if state is not None])
            tokens[k, : len(joined)] = joined
    lengths = torch.tensor([len(line[1]) for line in lines])
    return Batch(tokens, padded(1), padded(2), padded(3), torch.arange(longest)[None] < lengths[:, None])


def _line(
    row: Argued, encoded: Mapping[str, Encoded], shown: bool
) -> tuple[list[Encoded], list[int], list[int], list[int]]:
    """The texts of a row, and segment, position and match of each of their tokens."""
    fields = [encoded[text] for text in row.fields] if shown else []
    explanation = encoded[row.explanation]
    texts = [encoded[row.label], *fields, explanation]
    words = [set(text.ids) for text in fields]
    explanation_ids = set(explanation.ids)
    match = [0] * len(texts[0].ids)
    for k, text in enumerate(fields):
        others = set().union(*words[:k], *words[k + 1 :])
        match += [(t in others) + 2 * (t in explanation_ids) for t in text.ids]
    first = words[0] if words else set()
    rest = set().union(*words[1:])
    match += [(t in first) + 2 * (t in rest) for t in explanation.ids]
    numbers = [_LABEL, *range(_FIRST_FIELD, _FIRST_FIELD + len(fields)), _EXPLANATION]
    segment = [number for number, text in zip(numbers, texts, strict=True) for _ in text.ids]
    position = [k for text in texts for k in range(len(text.ids))]
    return texts, segment, position, match


class Network(nn.Module):
    """Two layers of a transformer over the tokens of label, fields and explanation.

    Args:
        width: of the tokens' states; 0 if tokens are ids.
        vocabulary_size: the number of ids, if tokens are ids.
        hidden: the layers' width.
        layers: the number of layers.
        dropout: in all layers.
    """

    def __init__(
        self, *, width: int, vocabulary_size: int, hidden: int = 192, layers: int = 2, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.tokens: nn.Module = nn.Linear(width, hidden) if width else nn.Embedding(vocabulary_size, hidden)
        self.segment = nn.Embedding(_FIRST_FIELD + MAX_FIELDS, hidden)
        self.position = nn.Embedding(MAX_TOKENS, hidden)
        self.match = nn.Embedding(4, hidden)
        for table in (self.segment, self.position, self.match):
            nn.init.normal_(table.weight, std=0.02)
        self.first = nn.Parameter(torch.zeros(hidden))
        self.norm = nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(dropout)
        heads = max(1, hidden // 48)
        layer = nn.TransformerEncoderLayer(
            hidden, heads, 2 * hidden, dropout, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Sequential(
            nn.LayerNorm(2 * hidden),
            nn.Linear(2 * hidden, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, 1),
        )

    def forward(self, batch: Batch) -> torch.Tensor:
        """The logit that the explanation is a good one, (B,)."""
        return self.logit(self.features(batch))

    def logit(self, features: torch.Tensor) -> torch.Tensor:
        """Of features (B, 2 · hidden), (B,)."""
        logit: torch.Tensor = self.head(features)[:, 0]
        return logit

    def features(self, batch: Batch) -> torch.Tensor:
        """The features of the logit: the states of a first, learned token and of the explanation, (B, 2 · hidden)."""
        x = self.tokens(batch.tokens) + self.segment(batch.segment) + self.position(batch.position)
        x = x + self.match(batch.match)
        first = self.first.expand(len(x), 1, -1)
        x = self.dropout(self.norm(torch.cat([first, x], dim=1)))
        seen = torch.cat([torch.ones_like(batch.mask[:, :1]), batch.mask], dim=1)
        x = self.layers(x, src_key_padding_mask=~seen)
        in_explanation = ((batch.segment == _EXPLANATION) & batch.mask).unsqueeze(-1)
        mean = (x[:, 1:] * in_explanation).sum(dim=1) / in_explanation.sum(dim=1).clamp(min=1)
        return torch.cat([x[:, 0], mean], dim=-1)
