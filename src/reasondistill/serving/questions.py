"""What a student can be asked over HTTP: answers, what each word did, edits beside the original, arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from reasondistill.contracts.service import Answer, Attributions, Counterfactual, WordEffect
from reasondistill.evaluation.faithfulness.common import log_probability
from reasondistill.evaluation.faithfulness.editing import places, without, word_at
from reasondistill.students.engines.written_answers import answer_scores

if TYPE_CHECKING:
    from reasondistill.contracts.records import Example, Prediction
    from reasondistill.judges import Judge
    from reasondistill.students.codec import Codec
    from reasondistill.students.student import Student
    from reasondistill.verification.answer_verdicts import ProvedAnswers

_DECIMALS = 4
"""Of nats: what is below is how a batch was rounded."""


class Edit(NamedTuple):
    """An example, perhaps an edited one beside it, and whether every label is to be argued for."""

    original: Example
    edited: Example | None
    every_label: bool


def codec_of(student: Student) -> Codec | None:
    """The student's codec; None where its engine takes texts as they are."""
    return getattr(student.engine, "codec", None)


def lost_their_end(student: Student, examples: Sequence[Example]) -> list[bool]:
    """Whether each example was longer than the student reads; unknown, and so False, of one without a tokenizer."""
    if (codec := codec_of(student)) is None:
        return [False] * len(examples)
    prompts = [list(student.task.render_prompts(student.order, example).values()) for example in examples]
    distinct = list(dict.fromkeys(text for texts in prompts for text in texts))
    cut = dict(zip(distinct, codec.encode_and_mark_prompts(distinct)[1], strict=True))
    return [any(cut[text] for text in texts) for texts in prompts]


def explain(
    student: Student, examples: Sequence[Example], precision: float | None, proofs: ProvedAnswers | None = None
) -> list[Answer]:
    """The answers, as `Student.predict` gives them; with ``proofs``, also what a prover says of each label."""
    predictions = student.predict(examples, precision=precision)
    cut = lost_their_end(student, examples)
    answers = [_answer(student, prediction, over) for prediction, over in zip(predictions, cut, strict=True)]
    if proofs is None:
        return answers
    return [_beside_proof(answer, example, proofs) for answer, example in zip(answers, examples, strict=True)]


def _beside_proof(answer: Answer, example: Example, proofs: ProvedAnswers) -> Answer:
    """The student's own words stay its explanation: the proof stands beside them."""
    from reasondistill.verification.answer_verdicts import verdict_of

    outcome = proofs.labels.outcome(proofs.prover, example)
    proved = proofs.labels.label_of(outcome)
    lines = [] if proved is None else outcome.lines
    return answer.model_copy(update={"verdict": verdict_of(proved, answer.label), "proved": proved, "proof": lines})


def _answer(student: Student, prediction: Prediction, cut: bool) -> Answer:
    return Answer(
        label=prediction.label,
        probabilities=prediction.probabilities,
        confidence=max(prediction.probabilities.values(), default=prediction.probability),
        calibrated=student.calibration is not None,
        explanation=prediction.explanation,
        truncated=prediction.truncated,
        input_truncated=cut,
        abstained=(prediction.model_extra or {}).get("abstained"),
        stated_confidence=prediction.stated_confidence,
        structure=prediction.structure,
        student=student.fingerprint,
    )


def attribute(student: Student, example: Example, proofs: ProvedAnswers | None = None) -> Attributions:
    """Leave out each word of an example in turn: what does the decided label lose, what the explanation?

    The faithfulness test `importance` measures the same over a data set.
    """
    [answer] = explain(student, [example], None, proofs)
    where = places(example, student.task)
    edited = [without(example, place) for place in where]
    of_label: list[float | None] = [None] * len(where)
    of_explanation: list[float | None] = [None] * len(where)
    if edited and answer.probabilities:
        whole = log_probability(answer.probabilities, answer.label)
        left = student.probabilities(edited)
        of_label = [_lost(whole, log_probability(probabilities, answer.label)) for probabilities in left]
    elif edited and answer.label is not None:
        of_label = _lost_of_answer(student, [example, *edited], answer)
    if edited and answer.explanation:
        rows = [example, *edited]
        whole, *parts = student.explanation_scores(rows, [answer.label] * len(rows), [answer.explanation] * len(rows))
        of_explanation = [_lost(whole, part) for part in parts]
    words = [
        WordEffect(field=place.field, number=place.number, word=word_at(example, place), label=a, explanation=b)
        for place, a, b in zip(where, of_label, of_explanation, strict=True)
    ]
    return Attributions(answer=answer, words=words)


def _lost_of_answer(student: Student, rows: Sequence[Example], answer: Answer) -> list[float | None]:
    """What a written answer loses in log-probability with each row but the first, which it was written for."""
    prompts = [student.task.render_prompts(student.order, row)["label"] for row in rows]
    texts = [answer.explanation] * len(rows)
    whole, *parts = answer_scores(student.engine, student.order, prompts, [answer.label] * len(rows), texts)
    return [None if whole is None or part is None else _lost(whole, part) for part in parts]


def _lost(whole: float, part: float) -> float:
    return round(whole - part, _DECIMALS) + 0.0  # no -0.0


def compare_edit(
    student: Student, edit: Edit, judge: Judge | None = None, proofs: ProvedAnswers | None = None
) -> Counterfactual:
    """Answer an example and an edited one, and argue for every label of the original where that is asked for.

    Args:
        judge: says how well each argument argues for its label.
        proofs: what a prover says of both answers.

    Raises:
        TaskError: arguments are asked for, and the student does not explain after its label.
    """
    examples = [edit.original, *([] if edit.edited is None else [edit.edited])]
    original, *others = explain(student, examples, None, proofs)
    arguments, support = None, None
    if edit.every_label:
        labels = student.task.choices_for(edit.original)
        texts = student.explain_for([edit.original] * len(labels), labels)
        # What it wrote for its own label is there already, and may differ in the last digits of a batch.
        arguments = dict(zip(labels, texts, strict=True)) | (
            {} if original.label is None else {original.label: original.explanation}
        )
        support = None if judge is None else _support(judge, student, edit.original, arguments)
    if not others:
        return Counterfactual(original=original, arguments=arguments, support=support)
    [edited] = others
    labels_of_both = [label for label in original.probabilities if label in edited.probabilities]
    return Counterfactual(
        original=original,
        edited=edited,
        label_changed=original.label != edited.label,
        explanation_changed=original.explanation != edited.explanation,
        probability_change={
            label: edited.probabilities[label] - original.probabilities[label] for label in labels_of_both
        },
        arguments=arguments,
        support=support,
    )


def _support(judge: Judge, student: Student, example: Example, arguments: Mapping[str, str]) -> dict[str, float]:
    from reasondistill.judges import Argued, fields_of

    fields = fields_of(example, student.task)
    support = judge.support(Argued(fields, label, text) for label, text in arguments.items())
    judge.forget()
    return dict(zip(arguments, support, strict=True))
