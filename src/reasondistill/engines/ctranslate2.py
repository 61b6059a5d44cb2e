"""The engine over CTranslate2: an exported student, run without PyTorch and transformers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from reasondistill.config import Generation
from reasondistill.engines.base import Generated, Scored
from reasondistill.features import EXPLANATION, LABEL, Codec, EncodedTarget, batches_by_length
from reasondistill.tasks import Target

_PATIENCE = 2
"""Finished texts to wait for, times beams: transformers waits while a better one seems possible."""

_MILDER = 0.2
"""The share of a repetition penalty that the search with several beams is given: measured, see docs/packages.md."""

_Tokens = list[str]


class CTranslate2Engine:
    """Runs a converted encoder-decoder.

    With one beam it writes what transformers writes. With several, transformers multiplies a repeated token's
    log-probability by the penalty, and CTranslate2 its logit, which is larger: here the search is given a milder
    penalty. CTranslate2's length penalty counts the prefix, so that the best of its finished texts is chosen here,
    by transformers' formula. How often both then write the same is in docs/packages.md.

    Args:
        translator: a `ctranslate2.Translator`.
        codec: of the same student.
        vocabulary: the student's tokens by their ids; each is there once.
        max_tokens: tokens in one batch, padding included.
        max_rows: texts in one batch.
    """

    def __init__(
        self, translator: Any, codec: Codec, vocabulary: Sequence[str], *, max_tokens: int = 4096, max_rows: int = 64
    ) -> None:
        self.codec = codec
        self.max_tokens = max_tokens
        self.max_rows = max_rows
        self._translator = translator
        self._vocabulary = vocabulary
        self._ids = {token: i for i, token in enumerate(vocabulary)}
        self._end = vocabulary[codec.eos_token_id]

    def score(
        self, prompts: Sequence[str], targets: Sequence[Sequence[Target]], of: Scored = "label"
    ) -> list[list[float]]:
        role = LABEL if of == "label" else EXPLANATION
        sources = [self._tokens(ids) for ids in self.codec.encode_prompts(prompts)]
        distinct = list(dict.fromkeys(target for row in targets for target in row))
        encoded = dict(zip(distinct, self.codec.encode_targets(distinct), strict=True))
        rows = [[encoded[target] for target in row] for row in targets]
        told = iter(
            self._log_probs(
                [source for source, row in zip(sources, rows, strict=True) for _ in row],
                [self._tokens(target.ids) for row in rows for target in row],
            )
        )
        return [[_sum_of(role, target, next(told)) for target in row] for row in rows]

    def generate(self, prompts: Sequence[str], prefixes: Sequence[str], generation: Generation) -> list[Generated]:
        written: list[Generated] = [Generated("", False)] * len(prompts)
        sources = [self._tokens(ids) for ids in self.codec.encode_prompts(prompts)]
        starts = {prefix: self._tokens(self.codec.encode_prefix(prefix)[1:]) for prefix in set(prefixes)}
        lengths = [len(source) for source in sources]
        for batch in batches_by_length(lengths, max_tokens=self.max_tokens, max_rows=self.max_rows):
            # The length limit counts the prefix: rows whose prefixes are equally long go together.
            alike: dict[int, list[int]] = defaultdict(list)
            for i in batch:
                alike[len(starts[prefixes[i]])].append(i)
            for length, rows in alike.items():
                found = self._search(
                    [sources[i] for i in rows], [starts[prefixes[i]] for i in rows], length, generation
                )
                for i, tokens in zip(rows, found, strict=True):
                    written[i] = self._text(tokens[length:])
        return written

    def _search(
        self, sources: list[_Tokens], prefixes: list[_Tokens], length: int, generation: Generation
    ) -> list[_Tokens]:
        """The best text for each source, with its prefix, of ``length`` tokens, and its end where it has one."""
        several = generation.num_beams > 1
        patience = _PATIENCE if several else 1
        penalty = generation.repetition_penalty
        results = self._translator.translate_batch(
            sources,
            target_prefix=prefixes,
            beam_size=generation.num_beams,
            num_hypotheses=generation.num_beams * patience,
            patience=patience,
            return_scores=several,
            repetition_penalty=1 + (penalty - 1) * _MILDER if several else penalty,
            no_repeat_ngram_size=generation.no_repeat_ngram_size,
            max_decoding_length=length + generation.max_new_tokens,
            min_decoding_length=0,
            max_input_length=0,
            return_end_token=True,
        )
        if not several:
            return [result.hypotheses[0] for result in results]
        return [_best(result, length, generation.length_penalty) for result in results]

    def _log_probs(self, sources: list[_Tokens], targets: list[_Tokens]) -> list[list[float]]:
        """Log-probabilities (nats) of each target's tokens after its source, and of an end token where it has none."""
        found: list[list[float]] = [[]] * len(sources)
        lengths = [len(source) + len(target) for source, target in zip(sources, targets, strict=True)]
        for batch in batches_by_length(lengths, max_tokens=self.max_tokens, max_rows=self.max_rows):
            results = self._translator.score_batch(
                [sources[i] for i in batch],
                # score_batch puts an end token behind every target, also behind one that has its own.
                [targets[i][:-1] if targets[i][-1:] == [self._end] else targets[i] for i in batch],
                max_input_length=0,
            )
            for i, result in zip(batch, results, strict=True):
                found[i] = result.log_probs
        return found

    def _tokens(self, ids: Sequence[int]) -> _Tokens:
        return [self._vocabulary[i] for i in ids]

    def _text(self, tokens: _Tokens) -> Generated:
        ended = self._end in tokens
        text = self.codec.decode(self._ids[token] for token in tokens[: tokens.index(self._end) if ended else None])
        return Generated(text, truncated=not ended)


def _sum_of(role: int, target: EncodedTarget, log_probs: Sequence[float]) -> float:
    """The log-probabilities of a role's tokens; the last one given is that of the end, which a target may lack."""
    return float(sum(value for value, own in zip(log_probs, target.roles, strict=False) if own == role))


def _best(result: Any, prefix: int, length_penalty: float) -> _Tokens:
    """The best finished text as transformers ranks them: its length penalty does not count the prefix."""

    def score(k: int) -> float:
        length = len(result.hypotheses[k])
        # The search's own scores are means over all tokens: its length penalty is 1.
        return float(result.scores[k] * length / (length - prefix) ** length_penalty)

    best: _Tokens = result.hypotheses[max(range(len(result.hypotheses)), key=score)]
    return best
