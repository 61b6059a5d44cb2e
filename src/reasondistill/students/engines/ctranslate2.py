"""The engine over CTranslate2: an exported student, run without PyTorch and transformers."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reasondistill.config import Generation
from reasondistill.students.codec import Codec, EncodedTarget, batches_by_length
from reasondistill.students.engines.architecture import Architecture
from reasondistill.students.engines.engine import Generated, Scored, plainest
from reasondistill.students.engines.forced_paths import Path, path_of, paths_for, scored
from reasondistill.students.line_grammar import Allowed
from reasondistill.tasks.task import Target

_PATIENCE = 2
"""Finished texts to wait for, as a multiple of the beams: transformers waits while a better text is possible."""

_MILDER = 0.2
"""The share of the repetition penalty that is used with several beams: measured, see docs/packages.md."""

_AHEAD = 3
"""Batches in flight per worker: enough to keep it busy, few enough for their results to fit in memory."""

_Tokens = list[str]


class Work(NamedTuple):
    """Work done for one row: prompt tokens read, decoder steps, and number of texts."""

    source: int
    steps: int
    beams: int


class CTranslate2Engine:
    """Runs a converted encoder-decoder.

    With one beam it writes the same as transformers. With several, transformers multiplies a repeated token's
    log-probability by the penalty, and CTranslate2 its logit, which is larger: the search here uses a milder penalty.
    CTranslate2's length penalty counts the prefix, so the best finished text is chosen here, by transformers' formula.
    docs/packages.md says how often both write the same.

    Batches go to all of the translator's workers at once; results come back in the order of the batches.

    Args:
        translator: a `ctranslate2.Translator`; engines may share one.
        codec: of the same student.
        vocabulary: the student's tokens by id, each once.
        max_tokens: tokens in one batch, padding included.
        max_rows: texts in one batch.
        architecture: of the same student, if known; see `efficiency`.
    """

    def __init__(
        self,
        translator: Any,
        codec: Codec,
        vocabulary: Sequence[str],
        *,
        max_tokens: int = 4096,
        max_rows: int = 64,
        architecture: Architecture | None = None,
    ) -> None:
        self.codec = codec
        self.architecture = architecture
        self.work: list[Work] | None = None
        """If set to a list, every answered row is added to it."""
        self.max_tokens = max_tokens
        self.max_rows = max_rows
        self.translator = translator
        self._vocabulary = vocabulary
        self._ids = {token: i for i, token in enumerate(vocabulary)}
        self._end = vocabulary[codec.eos_token_id]

    def limited(self, max_rows: int) -> CTranslate2Engine:
        """The same student with at most N texts in a batch."""
        return CTranslate2Engine(
            self.translator,
            self.codec,
            self._vocabulary,
            max_tokens=self.max_tokens,
            max_rows=max_rows,
            architecture=self.architecture,
        )

    def score(
        self, prompts: Sequence[str], targets: Sequence[Sequence[Target]], of: Scored = "label"
    ) -> list[list[float]]:
        role, encode_row = self.codec.encoder_of(of)
        sources = [self._tokens(ids) for ids in self.codec.encode_prompts(prompts)]
        encoded = {row: encode_row(row) for row in dict.fromkeys(map(tuple, targets))}
        plans = {row: paths_for(targets_of_row, role) for row, targets_of_row in encoded.items()}
        rows = [encoded[tuple(row)] for row in targets]
        paths = [plans[tuple(row)] for row in targets]
        alone = [i for i, planned in enumerate(paths) if planned is None]
        scores: list[list[float]] = [[] for _ in prompts]
        log_probs = iter(
            self._log_probs(
                [sources[i] for i in alone for _ in rows[i]],
                [self._tokens(target.ids) for i in alone for target in rows[i]],
            )
        )
        for i in alone:
            scores[i] = [_sum_of(role, target, next(log_probs)) for target in rows[i]]
        for i, row in self._scores_along(sources, rows, paths, role):
            scores[i] = row
        return scores

    def generate(self, prompts: Sequence[str], prefixes: Sequence[str], generation: Generation) -> list[Generated]:
        self.codec.require_room(set(prefixes), generation)
        written: list[Generated] = [Generated("", False)] * len(prompts)
        sources = [self._tokens(ids) for ids in self.codec.encode_prompts(prompts)]
        starts = {prefix: self._tokens(self.codec.encode_prefix(prefix)[1:]) for prefix in set(prefixes)}
        jobs = self._alike(sources, [len(starts[prefix]) for prefix in prefixes])

        def submit(rows: list[int]) -> Any:
            return self._search([sources[i] for i in rows], [starts[prefixes[i]] for i in rows], generation)

        for rows, results in self._in_flight(jobs, submit):
            for i, result in zip(rows, results, strict=True):
                length = len(starts[prefixes[i]])
                # All finished texts are returned: the search lasted as long as the longest of them.
                self._note(sources[i], max(map(len, result.hypotheses)), generation.num_beams)
                tokens = result.hypotheses[0]
                if generation.num_beams > 1:
                    tokens = _best(result, length, generation.length_penalty)
                written[i] = self._text(tokens[length:])
        return written

    def generate_within(
        self, prompts: Sequence[str], prefixes: Sequence[str], rules: Sequence[Allowed], max_new_tokens: int
    ) -> list[Generated]:
        # CTranslate2 takes no rule: each token that the rule leaves a choice of is a forced text of its own.
        self.codec.require_room(set(prefixes), plainest(max_new_tokens))
        sources = [self._tokens(ids) for ids in self.codec.encode_prompts(prompts)]
        starts = [self.codec.encode_prefix(prefix)[1:] for prefix in prefixes]
        written: list[list[int]] = [[] for _ in prompts]
        while rows := [i for i, ids in enumerate(written) if self._extended(ids, rules[i], max_new_tokens)]:
            paths = [(*starts[i], *written[i]) for i in rows]
            for place, logits in self._after([sources[i] for i in rows], paths):
                ids = written[rows[place]]
                allowed = sorted(rules[rows[place]](ids))
                ids.append(allowed[int(logits[allowed].argmax())])
        return [self._text(self._tokens(ids)) for ids in written]

    def _extended(self, ids: list[int], rule: Allowed, most: int) -> bool:
        """Append the tokens without an alternative; whether a choice is then left to make."""
        while len(ids) < most and self.codec.eos_token_id not in ids[-1:]:
            allowed = rule(ids)
            if len(allowed) > 1:
                return True
            ids += allowed
        return False

    def _after(self, sources: list[_Tokens], paths: Sequence[Path]) -> Iterator[tuple[int, npt.NDArray[np.float64]]]:
        """The place of each path, and the log-probabilities (V,) of the token after it."""
        for places, results in self._forced(sources, paths):
            for k, result in zip(places, results, strict=True):
                self._note(sources[k], len(paths[k]) + 1, 1)
                yield k, _log_softmax(result.logits[0][len(paths[k])])

    def _forced(self, sources: Sequence[_Tokens], paths: Sequence[Path]) -> Iterator[tuple[list[int], list[Any]]]:
        """Texts forced along paths and one token further, with the logits of each step."""

        def submit(places: list[int]) -> Any:
            return self.translator.translate_batch(
                [sources[k] for k in places],
                target_prefix=[self._tokens(paths[k]) for k in places],
                asynchronous=True,
                beam_size=1,
                max_decoding_length=len(paths[places[0]]) + 1,
                min_decoding_length=0,
                max_input_length=0,
                return_logits_vocab=True,
            )

        return self._in_flight(self._alike(sources, [len(path) for path in paths]), submit)

    def _search(self, sources: list[_Tokens], prefixes: list[_Tokens], generation: Generation) -> Any:
        """Start the search for the best texts after prefixes, all of the same length."""
        several = generation.num_beams > 1
        patience = _PATIENCE if several else 1
        penalty = generation.repetition_penalty
        return self.translator.translate_batch(
            sources,
            target_prefix=prefixes,
            asynchronous=True,
            beam_size=generation.num_beams,
            num_hypotheses=generation.num_beams * patience,
            patience=patience,
            return_scores=several,
            repetition_penalty=1 + (penalty - 1) * _MILDER if several else penalty,
            no_repeat_ngram_size=generation.no_repeat_ngram_size,
            max_decoding_length=len(prefixes[0]) + generation.max_new_tokens,
            min_decoding_length=0,
            max_input_length=0,
            return_end_token=True,
        )

    def _log_probs(self, sources: list[_Tokens], targets: list[_Tokens]) -> list[list[float]]:
        """Log-probabilities (nats) of each target's tokens given its source, and of an end token if it has none."""
        log_probs: list[list[float]] = [[]] * len(sources)
        # score_batch adds an end token to every target, even to one that has its own.
        unended = [target[:-1] if target[-1:] == [self._end] else target for target in targets]
        lengths = [len(source) + len(target) for source, target in zip(sources, targets, strict=True)]
        jobs = batches_by_length(lengths, max_tokens=self.max_tokens, max_rows=self.max_rows)

        def submit(rows: list[int]) -> Any:
            return self.translator.score_batch(
                [sources[i] for i in rows], [unended[i] for i in rows], asynchronous=True, max_input_length=0
            )

        for rows, results in self._in_flight(jobs, submit):
            for i, result in zip(rows, results, strict=True):
                self._note(sources[i], len(unended[i]) + 1, 1)
                log_probs[i] = result.log_probs
        return log_probs

    def _scores_along(
        self,
        sources: list[_Tokens],
        rows: list[list[EncodedTarget]],
        paths: Sequence[Sequence[Path] | None],
        role: int,
    ) -> Iterator[tuple[int, list[float]]]:
        """The scores of the rows that have paths, from the distribution over the vocabulary at each step along them."""
        path_of_row = [(i, path) for i, planned in enumerate(paths) for path in planned or ()]
        scores: dict[int, list[float]] = {
            i: [0.0] * len(rows[i]) for i, planned in enumerate(paths) if planned is not None
        }
        jobs = self._forced([sources[i] for i, _ in path_of_row], [path for _, path in path_of_row])
        for places, results in jobs:
            for k, result in zip(places, results, strict=True):
                i, path = path_of_row[k]
                self._note(sources[i], len(path) + 1, 1)
                steps = [_log_softmax(step) for step in result.logits[0]]
                for place, target in enumerate(rows[i]):
                    if path_of(target, role, paths[i] or ()) == path:
                        scores[i][place] = float(sum(steps[p][target.ids[p]] for p in scored(target, role)))
        yield from scores.items()

    def _alike(self, sources: Sequence[_Tokens], prefixes: Sequence[int]) -> Iterator[list[int]]:
        """Batches of similar length in which prefixes are equally long: the length limit counts them."""
        alike: dict[int, list[int]] = defaultdict(list)
        for i, length in enumerate(prefixes):
            alike[length].append(i)
        for rows in alike.values():
            lengths = [len(sources[i]) for i in rows]
            for batch in batches_by_length(lengths, max_tokens=self.max_tokens, max_rows=self.max_rows):
                yield [rows[place] for place in batch]

    def _in_flight(
        self, jobs: Iterable[list[int]], submit: Callable[[list[int]], Any]
    ) -> Iterator[tuple[list[int], list[Any]]]:
        """Run jobs on all workers and yield each job's rows with their results, in order."""
        running: deque[tuple[list[int], Any]] = deque()
        for rows in jobs:
            running.append((rows, submit(rows)))
            if len(running) > _AHEAD * self.translator.num_translators:
                yield _finished(*running.popleft())
        while running:
            yield _finished(*running.popleft())

    def _note(self, source: _Tokens, steps: int, beams: int) -> None:
        if self.work is not None:
            self.work.append(Work(len(source), steps, beams))

    def _tokens(self, ids: Sequence[int]) -> _Tokens:
        return [self._vocabulary[i] for i in ids]

    def _text(self, tokens: _Tokens) -> Generated:
        ended = self._end in tokens
        text = self.codec.decode(self._ids[token] for token in tokens[: tokens.index(self._end) if ended else None])
        return Generated(text, truncated=not ended)


def _finished(rows: list[int], results: Iterable[Any]) -> tuple[list[int], list[Any]]:
    return rows, [result.result() for result in results]


def _log_softmax(step: Any) -> npt.NDArray[np.float64]:
    """Log-probabilities (nats) of the vocabulary, from one step's logits as CTranslate2 returns them."""
    import ctranslate2

    if step.device != "cpu":
        step = step.to_device(ctranslate2.Device.cpu)
    if step.dtype != ctranslate2.DataType.float32:
        step = step.to(ctranslate2.DataType.float32)
    logits = np.asarray(step, dtype=np.float64)
    logits = logits - logits.max()
    log_probabilities: npt.NDArray[np.float64] = logits - np.log(np.exp(logits).sum())
    return log_probabilities


def _sum_of(role: int, target: EncodedTarget, log_probs: Sequence[float]) -> float:
    """The sum of the log-probabilities of a role's tokens; the last value is of the end, which a target may lack."""
    return float(sum(value for value, own in zip(log_probs, target.roles, strict=False) if own == role))


def _best(result: Any, prefix: int, length_penalty: float) -> _Tokens:
    """The best finished text as transformers ranks them: its length penalty does not count the prefix."""

    def score(k: int) -> float:
        length = len(result.hypotheses[k])
        # The search returns means over all tokens: its length penalty is 1.
        return float(result.scores[k] * length / (length - prefix) ** length_penalty)

    best: _Tokens = result.hypotheses[max(range(len(result.hypotheses)), key=score)]
    return best
