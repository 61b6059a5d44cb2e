"""How a student answers: the label decided by scoring, the explanation written in the student's output order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from reasondistill.config import Generation
from reasondistill.contracts.records import Example
from reasondistill.errors import CheckpointError, TaskError
from reasondistill.students.engines.engine import Engine, Generated
from reasondistill.tasks.task import (
    OutputOrder,
    Target,
    Task,
    choice_targets,
    explanation_prefix,
    explanation_stop,
    parse,
    render_target,
)


class Answer(NamedTuple):
    """A student's answer to one example.

    ``label`` is None, and there are no probabilities, where it decides on none: its order is ``explanation_only``, or
    nothing tells two of the choices apart for its tokenizer. ``raw_output`` and ``parsed_label`` are set where it was
    also left to write freely.
    """

    label: str | None
    probabilities: dict[str, float]
    explanation: str
    truncated: bool
    raw_output: str | None = None
    parsed_label: str | None = None


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
    with what follows them where one label begins another (`students.codec.Codec.encode_choices`). Probabilities are a
    softmax over the labels of the scores divided by the temperature. With ``label_first`` the explanation is written
    after the decided label; with ``explanation_first`` the label is scored after the student's own explanation.
    Examples with the same prompt and choices are answered once.

    Args:
        engine: runs the student.
        task: what is asked.
        order: the student's output order.
        examples: their labels and explanations are not looked at.
        generation: how explanations are written.
        explain: False leaves explanations out where the label does not need them.
        free: also let the student write label and explanation unforced, and parse that.
        temperature: more than 1 makes probabilities more alike, less than 1 less so; the label stays what it is.

    Returns:
        One answer for each example, in order.
    """
    all_requests = [_request(task, order, example) for example in examples]
    requests = list(dict.fromkeys(all_requests))
    answers = dict(
        zip(requests, _answers(engine, order, requests, generation, explain, free, temperature), strict=True)
    )
    return [answers[request] for request in all_requests]


class _Request(NamedTuple):
    """All that an answer depends on: examples that are alike in it are answered once."""

    label_prompt: str
    explanation_prompt: str
    choices: tuple[str, ...]


def _request(task: Task, order: OutputOrder, example: Example) -> _Request:
    prompts = task.render_prompts(order, example)
    choices = task.choices_for(example) if order != "explanation_only" else ()
    return _Request(prompts["label"], prompts["explanation"], tuple(choices))


def _answers(
    engine: Engine,
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

    def write(prefixes: Sequence[str]) -> list[Generated]:
        texts = engine.generate([request.explanation_prompt for request in requests], prefixes, generation)
        return [text._replace(text=explanation_stop(order, text.text)) for text in texts]

    if order == "explanation_first" or (order == "explanation_only" and explain):
        written = write([""] * len(requests))
    scores = _scores(engine, order, label_prompts, choices, written)
    probabilities = [
        dict(zip(c, softmax(s, temperature), strict=True)) if s else {} for c, s in zip(choices, scores, strict=True)
    ]
    # Of the scores: probabilities can be equal where these are not.
    labels = [c[max(range(len(c)), key=s.__getitem__)] if s else None for c, s in zip(choices, scores, strict=True)]
    if order in ("label_first", "separate") and explain:
        written = write([explanation_prefix(order, label) for label in labels])
    if order == "label_first":  # what it writes where it could not decide begins with a label
        undecided = [bool(c) and label is None for c, label in zip(choices, labels, strict=True)]
        written = [Generated("", False) if u else w for u, w in zip(undecided, written, strict=True)]
    answers = [
        Answer(label, p, w.text, w.truncated) for label, p, w in zip(labels, probabilities, written, strict=True)
    ]
    if not free:
        return answers
    raw = engine.generate(label_prompts, [""] * len(requests), generation)
    return [
        a._replace(raw_output=r.text, parsed_label=parse(order, r.text, c).label)
        for a, r, c in zip(answers, raw, choices, strict=True)
    ]


def label_scores(
    engine: Engine, task: Task, order: OutputOrder, examples: Sequence[Example], generation: Generation
) -> list[list[float]]:
    """The scores that `answer` decides by: log-probabilities (nats) of each example's labels, in the task's order.

    With ``explanation_first`` explanations are written for it. There are no scores with ``explanation_only``, and for
    an example of whose choices nothing tells two apart.
    """
    prompts = [task.render_prompts(order, example) for example in examples]
    written = [Generated("", False)] * len(examples)
    if order == "explanation_first":
        texts = engine.generate([p["explanation"] for p in prompts], [""] * len(examples), generation)
        written = [text._replace(text=explanation_stop(order, text.text)) for text in texts]
    choices = [task.choices_for(example) for example in examples]
    return _scores(engine, order, [p["label"] for p in prompts], choices, written)


def explain_for(
    engine: Engine,
    task: Task,
    order: OutputOrder,
    examples: Sequence[Example],
    labels: Sequence[str],
    generation: Generation,
) -> list[Generated]:
    """What the student writes when it is made to argue for given labels, one for each example.

    Raises:
        TaskError: it has no label before its explanation that could be forced on it.
    """
    if order != "label_first":
        raise TaskError(
            "label-conditioned explanations",
            expected="a student of the order label_first, which explains after a label",
            found=f"one of the order {order}",
        )
    prompts = [task.render_prompts(order, example)["explanation"] for example in examples]
    return engine.generate(prompts, [explanation_prefix(order, label) for label in labels], generation)


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
            "scores of explanations", expected="a student that explains", found="one of the order label_only"
        )
    prompts = [task.render_prompts(order, example)["explanation"] for example in examples]
    own: OutputOrder = "explanation_only" if order == "separate" else order
    # `explanation_first` writes its label after the explanation: it is left out, as nothing before it depends on it.
    given = labels if own == "label_first" else [None] * len(examples)
    targets = [[_target(own, label, text)] for label, text in zip(given, explanations, strict=True)]
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
    if not all(math.isfinite(score) for row in scores for score in row):
        raise CheckpointError(
            "the student",
            expected="scores that are numbers",
            found="ones that are not",
            fix="Its weights are damaged, or overflow: copy its folder anew, or train it again.",
        )
    return scores


def softmax(scores: Sequence[float], temperature: float = 1.0) -> list[float]:
    """Probabilities out of scores of any size: exp(score / temperature), divided by their sum."""
    if not scores:
        return []
    top = max(scores)
    weights = [math.exp((score - top) / temperature) for score in scores]
    total = sum(weights)
    return [weight / total for weight in weights]
