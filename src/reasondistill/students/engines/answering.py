"""How a student answers: it decides the label by scoring and writes the explanation in its output order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from reasondistill.config import Generation
from reasondistill.contracts.records import Example
from reasondistill.errors import CheckpointError, TaskError
from reasondistill.students.engines.engine import Engine, Generated
from reasondistill.students.engines.structured_writing import Argued, write_lines
from reasondistill.students.engines.written_answers import WrittenAnswer, sequence_probability, write_answers
from reasondistill.tasks.reading_outputs import explanation_stop, parse
from reasondistill.tasks.task import (
    OutputOrder,
    Target,
    Task,
    choice_targets,
    explanation_prefix,
    render_target,
)


class Answer(NamedTuple):
    """A student's answer to one example.

    ``label`` is None, without probabilities, if the order is ``explanation_only`` or the tokenizer cannot tell two of
    the choices apart. A written answer has a ``probability`` and no ``probabilities``. ``raw_output`` and
    ``parsed_label`` are set if the student also wrote freely. With a ``structure`` (``relation``, ``from``, ``to``) the
    explanation is what its template makes of it.
    """

    label: str | None
    probabilities: dict[str, float]
    explanation: str
    truncated: bool
    raw_output: str | None = None
    parsed_label: str | None = None
    probability: float | None = None
    structure: dict[str, str] | None = None


def answer(
    engine: Engine,
    task: Task,
    order: OutputOrder,
    examples: Sequence[Example],
    generation: Generation,
    *,
    explain: bool = True,
    free: bool = False,
    temperature: float = 1.0,
) -> list[Answer]:
    """Answer examples.

    The label is the one with the highest score: the sum of its tokens' log-probabilities, not normalised by length, and
    including what follows them if one label begins another (`students.codec.Codec.encode_choices`). Probabilities are
    the softmax of the labels' scores divided by the temperature. With ``label_first`` the explanation is written
    after the decided label; with ``explanation_first`` the label is scored after the student's own explanation.
    Examples with the same prompt and choices are answered once. Of a task that `writes_answers` the label is what the
    student writes: see `written_answers`.

    Args:
        engine: runs the student.
        task: with fields and labels.
        order: the student's output order.
        examples: their labels and explanations are not used.
        generation: how explanations are written.
        explain: False omits explanations that the label does not depend on.
        free: also let the student write label and explanation freely, and parse that.
        temperature: above 1 makes probabilities more equal, below 1 less; the label does not change.

    Returns:
        One answer for each example, in order.

    Raises:
        TaskError: ``generation`` asks for samples, of labels or of an engine that draws none.
    """
    all_requests = [_request(task, order, example) for example in examples]
    requests = list(dict.fromkeys(all_requests))
    if generation.samples and not task.writes_answers:
        raise TaskError(
            "samples",
            expected="a task whose answers are texts",
            found=f"the task {task.name}, whose answers have probabilities",
            fix="Leave samples out.",
        )
    if task.writes_answers:
        prompts = [(request.label_prompt, request.explanation_prompt) for request in requests]
        texts = write_answers(engine, task, order, prompts, generation, explain=explain)
        _require_numbers([[] if text.score is None else [text.score] for text in texts])
        written = dict(zip(requests, (_of_text(text, temperature, free) for text in texts), strict=True))
        return [written[request] for request in all_requests]
    answers = dict(
        zip(requests, _answers(engine, task, order, requests, generation, explain, free, temperature), strict=True)
    )
    return [answers[request] for request in all_requests]


def _of_text(text: WrittenAnswer, temperature: float, free: bool) -> Answer:
    return Answer(
        text.text,
        {},
        text.explanation,
        text.truncated,
        raw_output=text.raw if free else None,
        parsed_label=text.text if free else None,
        probability=None if text.score is None else sequence_probability(text.score, temperature),
    )


class _Request(NamedTuple):
    """Everything that an answer depends on: examples with equal requests are answered once."""

    label_prompt: str
    explanation_prompt: str
    choices: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]
    """Where explanations are copied from them."""


def _request(task: Task, order: OutputOrder, example: Example) -> _Request:
    prompts = task.render_prompts(order, example)
    choices = task.choices_for(example) if order != "explanation_only" else ()
    fields = () if task.structure is None else tuple((name, example.fields[name]) for name in task.fields)
    return _Request(prompts["label"], prompts["explanation"], tuple(choices), fields)


def _written(
    engine: Engine,
    task: Task,
    order: OutputOrder,
    requests: Sequence[_Request],
    labels: Sequence[str | None],
    generation: Generation,
) -> list[Generated]:
    """Explanations as targets hold them, after the labels that are decided before them."""
    if task.structure is not None:
        rows = [Argued(r.explanation_prompt, dict(r.fields), label) for r, label in zip(requests, labels, strict=True)]
        return write_lines(engine, task.structure, order, rows, generation)
    prefixes = [explanation_prefix(order, label) for label in labels]
    texts = engine.generate([request.explanation_prompt for request in requests], prefixes, generation)
    return [text._replace(text=explanation_stop(order, text.text)) for text in texts]


def _answers(
    engine: Engine,
    task: Task,
    order: OutputOrder,
    requests: Sequence[_Request],
    generation: Generation,
    explain: bool,
    free: bool,
    temperature: float,
) -> list[Answer]:
    written = [Generated("", False)] * len(requests)
    choices = [request.choices for request in requests]
    label_prompts = [request.label_prompt for request in requests]
    if order == "explanation_first" or (order == "explanation_only" and explain):
        written = _written(engine, task, order, requests, [None] * len(requests), generation)
    scores = _scores(engine, order, label_prompts, choices, written)
    probabilities = [
        dict(zip(c, softmax(s, temperature), strict=True)) if s else {} for c, s in zip(choices, scores, strict=True)
    ]
    # By the scores: probabilities can be equal where scores differ.
    labels = [c[max(range(len(c)), key=s.__getitem__)] if s else None for c, s in zip(choices, scores, strict=True)]
    if order in ("label_first", "separate") and explain:
        written = _written(engine, task, order, requests, labels, generation)
    if order == "label_first":  # without a decided label the text would begin with one
        undecided = [bool(c) and label is None for c, label in zip(choices, labels, strict=True)]
        written = [Generated("", False) if u else w for u, w in zip(undecided, written, strict=True)]
    answers = [
        _read_out(task, request, Answer(label, p, w.text, w.truncated))
        for request, label, p, w in zip(requests, labels, probabilities, written, strict=True)
    ]
    if not free:
        return answers
    raw = engine.generate(label_prompts, [""] * len(requests), generation)
    return [
        a._replace(raw_output=r.text, parsed_label=parse(order, r.text, c).label)
        for a, r, c in zip(answers, raw, choices, strict=True)
    ]


def _read_out(task: Task, request: _Request, answer: Answer) -> Answer:
    """The answer with its structure, where it has one, and with what the template makes of it."""
    read = None if task.structure is None else task.structure.read_out(answer.explanation, dict(request.fields))
    return answer if read is None else answer._replace(explanation=read[0], structure=read[1])


def label_scores(
    engine: Engine, task: Task, order: OutputOrder, examples: Sequence[Example], generation: Generation
) -> list[list[float]]:
    """The scores behind `answer`'s labels: log-probabilities (nats) of each example's labels, in the task's order.

    With ``explanation_first`` explanations are written first. There are no scores with ``explanation_only``, nor for an
    example with choices that cannot be told apart.
    """
    requests = [_request(task, order, example) for example in examples]
    written = [Generated("", False)] * len(examples)
    if order == "explanation_first":
        written = _written(engine, task, order, requests, [None] * len(examples), generation)
    choices = [task.choices_for(example) for example in examples]
    return _scores(engine, order, [request.label_prompt for request in requests], choices, written)


def explain_for(
    engine: Engine,
    task: Task,
    order: OutputOrder,
    examples: Sequence[Example],
    labels: Sequence[str],
    generation: Generation,
) -> list[Generated]:
    """The student's explanations for given labels, one for each example.

    Raises:
        TaskError: the student writes no label before its explanation.
    """
    if order != "label_first":
        raise TaskError(
            "label-conditioned explanations",
            expected="a student of the order label_first, which explains after a label",
            found=f"a student of the order {order}",
        )
    requests = [_request(task, order, example) for example in examples]
    written = _written(engine, task, order, requests, [task.target_label(label) for label in labels], generation)
    return [
        text._replace(text=_read_out(task, request, Answer(None, {}, text.text, text.truncated)).explanation)
        for request, text in zip(requests, written, strict=True)
    ]


def explanation_scores(
    engine: Engine,
    task: Task,
    order: OutputOrder,
    examples: Sequence[Example],
    labels: Sequence[str | None],
    explanations: Sequence[str],
) -> list[float]:
    """Log-probabilities (nats, a sum over tokens) of given explanations, with ``label_first`` after given labels.

    Raises:
        TaskError: the student writes no explanations.
    """
    if order == "label_only":
        raise TaskError(
            "scores of explanations", expected="a student that explains", found="a student of the order label_only"
        )
    prompts = [task.render_prompts(order, example)["explanation"] for example in examples]
    own: OutputOrder = "explanation_only" if order == "separate" else order
    # `explanation_first` writes its label after the explanation, which does not depend on it: it is left out.
    given = [task.target_label(label) for label in labels] if own == "label_first" else [None] * len(examples)
    lines = [task.as_learned(text, example) for text, example in zip(explanations, examples, strict=True)]
    targets = [[_target(own, label, text)] for label, text in zip(given, lines, strict=True)]
    return [scores[0] for scores in engine.score(prompts, targets, "explanation")]


def _target(order: OutputOrder, label: str | None, explanation: str) -> Target:
    target = render_target(order, label, explanation)
    assert target is not None  # an explanation always supervises something
    return target


def _scores(
    engine: Engine,
    order: OutputOrder,
    prompts: Sequence[str],
    choices: Sequence[Sequence[str]],
    written: Sequence[Generated],
) -> list[list[float]]:
    if order == "explanation_only":
        return [[] for _ in prompts]
    scores = engine.score(prompts, [choice_targets(order, c, w.text) for c, w in zip(choices, written, strict=True)])
    _require_numbers(scores)
    return scores


def _require_numbers(scores: Sequence[Sequence[float]]) -> None:
    if not all(math.isfinite(score) for row in scores for score in row):
        raise CheckpointError(
            "the student",
            expected="scores that are numbers",
            found="NaN or infinity",
            fix="Its weights are damaged, or overflow: copy its folder again, or train it again.",
        )


def softmax(scores: Sequence[float], temperature: float = 1.0) -> list[float]:
    """Probabilities from scores of any size: exp(score / temperature), divided by their sum."""
    if not scores:
        return []
    top = max(scores)
    weights = [math.exp((score - top) / temperature) for score in scores]
    total = sum(weights)
    return [weight / total for weight in weights]
