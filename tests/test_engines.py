"""The PyTorch engine against plain transformers, one example at a time."""

from __future__ import annotations

import math

import pytest
import torch

import tiny
from reasondistill.config import Generation
from reasondistill.data.scenes import generate
from reasondistill.students.codec import Codec
from reasondistill.students.engines import answer
from reasondistill.students.engines.pytorch import TorchEngine
from reasondistill.tasks.task import NLI, choice_targets

LABELS = ("entailment", "neutral", "contradiction")
PROMPTS = [NLI.render_prompts("label_first", e)["label"] for e in generate(7, seed=2)]
GREEDY = Generation(num_beams=1, repetition_penalty=1.0, length_penalty=1.0, max_new_tokens=6)


def by_hand(model: object, codec: Codec, prompt: str, context: str, label: str) -> float:
    """The label's log-probability, from whole logits of one sequence."""
    source = torch.tensor([codec.encode_prompts([prompt])[0]])
    before = codec.encode_prefix(context)
    whole = codec.encode_prefix(f"{context} {label}".strip())
    with torch.no_grad():
        logits = model(input_ids=source, decoder_input_ids=torch.tensor([whole[:-1]])).logits[0].log_softmax(-1)  # type: ignore[operator]
    return sum(logits[i - 1, whole[i]].item() for i in range(len(before), len(whole)))


@pytest.mark.parametrize("family", tiny.FEW)
@pytest.mark.parametrize("context", ["", "A man is asleep. label:"])
def test_scores_are_sums_of_label_token_log_probabilities(family: str, context: str) -> None:
    student = tiny.student(family)
    student.model.eval()
    engine = TorchEngine(student.model, student.codec, max_rows=3)
    order = "explanation_first" if context else "label_first"
    explanation = "A man is asleep." if context else None
    scores = engine.score(PROMPTS, [choice_targets(order, LABELS, explanation)] * len(PROMPTS))
    for prompt, row in zip(PROMPTS, scores, strict=True):
        expected = [by_hand(student.model, student.codec, prompt, context, label) for label in LABELS]
        assert row == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("family", tiny.FEW)
def test_generation_goes_on_after_the_prefix_as_transformers_does_alone(family: str) -> None:
    student = tiny.student(family)
    student.model.eval()
    codec = student.codec
    engine = TorchEngine(student.model, codec, max_rows=3)
    prefixes = [f"{LABELS[i % 3]} explanation:" if i % 4 else "" for i in range(len(PROMPTS))]
    written = engine.generate(PROMPTS, prefixes, GREEDY)
    for prompt, prefix, ours in zip(PROMPTS, prefixes, written, strict=True):
        sequence = codec.encode_prefix(prefix)
        given = len(sequence)
        source = torch.tensor([codec.encode_prompts([prompt])[0]])
        for _ in range(GREEDY.max_new_tokens):
            with torch.no_grad():
                logits = student.model(input_ids=source, decoder_input_ids=torch.tensor([sequence])).logits
            sequence = [*sequence, int(logits[0, -1].argmax())]
            if sequence[-1] == codec.eos_token_id:
                break
        ended = sequence[-1] == codec.eos_token_id
        assert ours.text == codec.decode(sequence[given:-1] if ended else sequence[given:])
        assert ours.truncated is not ended


def test_order_of_inputs_is_kept_and_batching_changes_nothing() -> None:
    student = tiny.student("t5")
    targets = [choice_targets("label_first", LABELS, None)] * len(PROMPTS)
    one = TorchEngine(student.model, student.codec, max_rows=1).score(PROMPTS, targets)
    many = TorchEngine(student.model, student.codec, max_tokens=70).score(PROMPTS, targets)
    assert torch.tensor(many).sub(torch.tensor(one)).abs().max() < 1e-4
    assert TorchEngine(student.model, student.codec).score([], []) == []


def test_the_model_is_left_in_the_mode_it_was_in() -> None:
    student = tiny.student("t5")
    student.model.train()
    TorchEngine(student.model, student.codec).score(PROMPTS[:1], [choice_targets("label_first", LABELS, None)])
    assert student.model.training


@pytest.mark.parametrize("order", ["label_first", "explanation_first", "label_only", "explanation_only", "separate"])
def test_every_output_order_answers(order: str) -> None:
    student = tiny.student("t5", order)  # type: ignore[arg-type]
    engine = TorchEngine(student.model, student.codec)
    examples = generate(3, seed=2)
    answers = answer(engine, NLI, order, examples, GREEDY, free=True)  # type: ignore[arg-type]
    for a in answers:
        if order == "explanation_only":
            assert (a.label, a.probabilities) == (None, {})
        else:
            assert a.label == max(a.probabilities, key=a.probabilities.__getitem__)
            assert math.isclose(sum(a.probabilities.values()), 1.0, abs_tol=1e-6)
        assert a.raw_output is not None
        if order == "label_only":
            assert a.explanation == ""


@pytest.mark.parametrize("beams", [1, 3])
def test_a_decoder_may_have_more_layers_than_the_encoder(beams: int) -> None:
    model, codec = tiny.flan_t5(num_layers=1, num_decoder_layers=3), tiny.student("flan-t5").codec
    settings = Generation(num_beams=beams, repetition_penalty=1.0, length_penalty=1.0, max_new_tokens=5)
    written = TorchEngine(model, codec).generate(["A man sleeps."], [""], settings)[0]
    ids = codec.tokenizer(["A man sleeps."], return_tensors="pt").input_ids
    alone = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        num_beams=beams,
        length_penalty=1.0,
        max_new_tokens=5,
        do_sample=False,
        use_cache=False,
        pad_token_id=0,
        eos_token_id=codec.eos_token_id,
    )
    assert written.text == codec.decode(alone[0, 1:].tolist()).removesuffix("</s>")
