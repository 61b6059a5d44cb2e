"""How a student answers where an answer is a text: it writes it, and the text is scored as it stands.

The probability is that of the sequence: the answer's tokens and what ends it (the separator, or the end token), as they
are trained with α. Several texts can be right, so it is no distribution over answers, and small for long ones; a
temperature that was fitted on validation rows makes it the share of exact answers.

With ``generation.samples`` the score is of another kind: how many of so many drawn answers agree with the one given
(self-consistency, Wang et al. 2023), which does not fall with an answer's length.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from reasondistill.config import Generation
from reasondistill.errors import TaskError
from reasondistill.metrics.answer_overlap import is_accepted
from reasondistill.storage.files import fingerprint
from reasondistill.students.engines.engine import Engine, Generated, SamplingEngine
from reasondistill.tasks.answer_texts import escaped, parse_written
from reasondistill.tasks.task import OutputOrder, Segment, Target, Task, choice_targets, close_label


class WrittenAnswer(NamedTuple):
    """An answer that a student wrote.

    ``text`` is None where it wrote nothing in the answer's place; then there is no ``score``, the log-probability
    (nats, a sum over tokens) of the answer, or the logarithm of its `agreement`. ``raw`` is all that was generated.
    """

    text: str | None
    score: float | None
    explanation: str
    truncated: bool
    raw: str


def write_answers(
    engine: Engine,
    task: Task,
    order: OutputOrder,
    prompts: Sequence[tuple[str, str]],
    generation: Generation,
    *,
    explain: bool = True,
) -> list[WrittenAnswer]:
    """Write and score an answer for each ``(label prompt, explanation prompt)``, in the student's output order.

    With ``label_first`` and ``explanation_first`` answer and explanation are one generated text, so that
    ``max_new_tokens`` counts both. ``explain`` False omits an explanation that is generated apart from the answer.

    Raises:
        TaskError: ``generation`` asks for samples, and the engine draws none.
    """
    label_prompts = [label_prompt for label_prompt, _ in prompts]
    generated = engine.generate(label_prompts, [""] * len(prompts), generation)
    parsed = [parse_written(order, text.text) for text in generated]
    explained = [
        Generated(explanation, text.truncated) for text, (_, explanation) in zip(generated, parsed, strict=True)
    ]
    if order == "separate" and explain:
        explained = engine.generate([prompt for _, prompt in prompts], [""] * len(prompts), generation)
    answers = [answer for answer, _ in parsed]
    if generation.samples:
        scores = _agreement_scores(engine, task, order, label_prompts, answers, generation)
    else:
        scores = answer_scores(engine, order, label_prompts, answers, [text.text for text in explained])
    return [
        WrittenAnswer(answer, score, text.text, text.truncated or whole.truncated, whole.text)
        for answer, score, text, whole in zip(answers, scores, explained, generated, strict=True)
    ]


def agreement(agreeing: int, samples: int) -> float:
    """How likely an answer is by the samples that agree with it: (k + ½) / (n + 1), which is never 0 or 1."""
    return (agreeing + 0.5) / (samples + 1)


def _agreement_scores(
    engine: Engine,
    task: Task,
    order: OutputOrder,
    prompts: Sequence[str],
    answers: Sequence[str | None],
    generation: Generation,
) -> list[float | None]:
    """The logarithm (nats) of the `agreement` of each answer with drawn ones; None for None."""
    if not isinstance(engine, SamplingEngine):
        raise TaskError(
            "samples",
            expected="a student in PyTorch, which can draw answers",
            found=type(engine).__name__,
            fix="Ask the run itself; or leave out samples, and a calibration that was fitted with them.",
        )
    agreeing = [0] * len(answers)
    for number in range(generation.samples):
        seed = int(fingerprint(number, *prompts), 16) % 2**31
        drawn = engine.sample(prompts, [""] * len(prompts), generation.max_new_tokens, seed)
        for place, (answer, text) in enumerate(zip(answers, drawn, strict=True)):
            other = parse_written(order, text.text)[0]
            agreeing[place] += answer is not None and other is not None and is_accepted(task, other, (answer,))
    return [
        None if answer is None else math.log(agreement(n, generation.samples))
        for answer, n in zip(answers, agreeing, strict=True)
    ]


def answer_scores(
    engine: Engine,
    order: OutputOrder,
    label_prompts: Sequence[str],
    answers: Sequence[str | None],
    explanations: Sequence[str],
) -> list[float | None]:
    """Log-probabilities (nats, sums over tokens) of given answers; None for None.

    ``explanations`` precede them with ``explanation_first``; other orders ignore them.
    """
    if order == "explanation_only":
        return [None] * len(answers)
    targets = [
        [] if answer is None else [_scored_target(order, answer, explanation)]
        for answer, explanation in zip(answers, explanations, strict=True)
    ]
    return [row[0] if row else None for row in engine.score(label_prompts, targets)]


def _scored_target(order: OutputOrder, answer: str, explanation: str) -> Target:
    if order == "explanation_first":
        return close_label(order, choice_targets(order, [escaped(answer)], explanation)[0])
    return close_label(order, Target((Segment(escaped(answer), "label"),)))


def sequence_probability(score: float, temperature: float = 1.0) -> float:
    """The probability of a sequence, exp(score / temperature): p to the power of 1 / temperature."""
    return min(1.0, math.exp(score / temperature))
