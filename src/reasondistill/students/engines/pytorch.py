"""The engine over PyTorch: a student's checkpoint, run by transformers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from inspect import signature
from typing import NamedTuple

import torch
from torch import Tensor

from reasondistill.config import Generation
from reasondistill.students.codec import Codec, batches_by_length, pad_to_tensor
from reasondistill.students.engines.engine import Generated, Scored, plainest
from reasondistill.students.forward import encode, logits_at
from reasondistill.students.line_grammar import Allowed
from reasondistill.students.model_protocol import EncoderDecoder
from reasondistill.tasks.task import Target


class _Encoded(NamedTuple):
    """A batch of prompts: their places in the input, encoder states (B, S, H) and mask (B, S)."""

    rows: list[int]
    states: Tensor
    mask: Tensor


class TorchEngine:
    """Runs a transformers encoder-decoder.

    Args:
        model: the model; its mode (training or evaluation) is restored.
        codec: of the same student.
        max_tokens: prompt tokens, padding included, in one batch.
        max_rows: prompts in one batch.
    """

    def __init__(self, model: EncoderDecoder, codec: Codec, *, max_tokens: int = 4096, max_rows: int = 64) -> None:
        self.model = model
        self.codec = codec
        self.max_tokens = max_tokens
        self.max_rows = max_rows

    @torch.inference_mode()
    def score(
        self, prompts: Sequence[str], targets: Sequence[Sequence[Target]], of: Scored = "label"
    ) -> list[list[float]]:
        role, encode_row = self.codec.encoder_of(of)
        scores: list[list[float]] = [[] for _ in prompts]
        for batch in self._encode(prompts):
            encoded = [encode_row(targets[i]) for i in batch.rows]
            if not any(encoded):
                continue
            owners = torch.tensor([b for b, rows in enumerate(encoded) for _ in rows], device=batch.states.device)
            flat = [row for rows in encoded for row in rows]
            ids = pad_to_tensor([row.ids for row in flat], self.codec.pad_token_id).to(batch.states.device)
            in_role = pad_to_tensor([row.roles for row in flat], 0).to(batch.states.device) == role
            start = ids.new_full((len(flat), 1), self.codec.decoder_start_token_id)
            logits = logits_at(
                self.model,
                batch.states[owners],
                batch.mask[owners],
                torch.cat([start, ids[:, :-1]], dim=1),
                in_role,
            )
            token_scores = logits.float().log_softmax(dim=-1).gather(1, ids[in_role].unsqueeze(1)).squeeze(1)
            row_of_token = in_role.nonzero()[:, 0]
            sums = torch.zeros(len(flat), device=ids.device).index_add(0, row_of_token, token_scores).tolist()
            values = iter(sums)
            for i, rows in zip(batch.rows, encoded, strict=True):
                scores[i] = [next(values) for _ in rows]
        return scores

    def generate(self, prompts: Sequence[str], prefixes: Sequence[str], generation: Generation) -> list[Generated]:
        return self._write(prompts, prefixes, generation, None)

    def generate_within(
        self, prompts: Sequence[str], prefixes: Sequence[str], rules: Sequence[Allowed], max_new_tokens: int
    ) -> list[Generated]:
        return self._write(prompts, prefixes, plainest(max_new_tokens), rules)

    def sample(
        self, prompts: Sequence[str], prefixes: Sequence[str], max_new_tokens: int, seed: int
    ) -> list[Generated]:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return self._write(prompts, prefixes, plainest(max_new_tokens), None, drawn=True)

    @torch.inference_mode()
    def _write(
        self,
        prompts: Sequence[str],
        prefixes: Sequence[str],
        generation: Generation,
        rules: Sequence[Allowed] | None,
        *,
        drawn: bool = False,
    ) -> list[Generated]:
        from transformers import DynamicCache, EncoderDecoderCache, GenerationConfig
        from transformers.modeling_outputs import BaseModelOutput

        settings = GenerationConfig(
            **generation.model_dump(exclude={"samples"}),
            do_sample=drawn,
            **({"top_k": 0} if drawn else {}),  # transformers draws from the 50 likeliest tokens by default
            pad_token_id=self.codec.pad_token_id,
            eos_token_id=self.codec.eos_token_id,
            decoder_start_token_id=self.codec.decoder_start_token_id,
        )
        self.codec.require_room(set(prefixes), generation)
        # transformers 5.24 gave the cache another name, and warns of the old one.
        cache = "cache" if "cache" in signature(self.model.forward).parameters else "past_key_values"
        written: list[Generated] = [Generated("", False)] * len(prompts)
        starts = {prefix: self.codec.encode_prefix(prefix) for prefix in set(prefixes)}
        for batch in self._encode(prompts):
            # transformers does not pad decoder prefixes: a batch has prefixes of one length.
            alike: dict[int, list[int]] = defaultdict(list)
            for place, i in enumerate(batch.rows):
                alike[len(starts[prefixes[i]])].append(place)
            for length, places in alike.items():
                given = torch.tensor([starts[prefixes[batch.rows[p]]] for p in places], device=batch.states.device)
                allowed = None if rules is None else _by_row([rules[batch.rows[p]] for p in places], length)
                with _only(self.model, settings):
                    output = self.model.generate(
                        encoder_outputs=BaseModelOutput(last_hidden_state=batch.states[places]),
                        attention_mask=batch.mask[places],
                        decoder_input_ids=given,
                        generation_config=settings,
                        prefix_allowed_tokens_fn=allowed,
                        # transformers 5.23 sizes its cache by the encoder's layers: too few for a deeper decoder.
                        **{cache: EncoderDecoderCache(DynamicCache(), DynamicCache())},
                    )
                for place, ids in zip(places, output[:, length:].tolist(), strict=True):
                    ended = self.codec.eos_token_id in ids
                    text = self.codec.decode(ids[: ids.index(self.codec.eos_token_id)] if ended else ids)
                    written[batch.rows[place]] = Generated(text, truncated=not ended)
        return written

    def _encode(self, prompts: Sequence[str]) -> Iterator[_Encoded]:
        """Prompts of similar length in batches, encoded, one batch at a time."""
        training = self.model.training
        self.model.eval()
        try:
            device = next(self.model.parameters()).device
            sources = self.codec.encode_prompts(prompts)
            lengths = [len(ids) for ids in sources]
            for rows in batches_by_length(lengths, max_tokens=self.max_tokens, max_rows=self.max_rows):
                ids = pad_to_tensor([sources[i] for i in rows], self.codec.pad_token_id).to(device)
                sizes = torch.tensor([lengths[i] for i in rows], device=device)
                mask = (torch.arange(ids.shape[1], device=device) < sizes[:, None]).long()
                yield _Encoded(rows, encode(self.model, ids, mask), mask)
        finally:
            self.model.train(training)


def _by_row(rules: Sequence[Allowed], prefix: int) -> Callable[[int, Tensor], list[int]]:
    """The rules of a batch as transformers asks for them: by row, of ids that begin with a prefix of this length."""
    return lambda row, ids: rules[row](ids[prefix:].tolist())


@contextmanager
def _only(model: EncoderDecoder, settings: object) -> Iterator[None]:
    """Hide a checkpoint's own generation settings: transformers uses them for missing ones, and BART's force an end
    token into every text that reaches the length limit."""
    own = model.generation_config
    model.generation_config = settings
    try:
        yield
    finally:
        model.generation_config = own
