"""The cross-attention of one target: where a student looks in its prompt while it writes.

Attention shows what a layer mixes, not why: a word with attention need not have moved the answer (Jain and
Wallace 2019, "Attention is not Explanation"). Tests that change the input are in `faithfulness`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reasondistill.contracts.records import Example
from reasondistill.errors import DataError
from reasondistill.languages.tokenizer_protocol import PretrainedTokenizer
from reasondistill.students.checkpoint import Checkpoint
from reasondistill.tasks.task import render_target


class CrossAttention(NamedTuple):
    """Weights (layers, heads, T, S) of each of T target tokens on S prompt tokens; each row is a distribution."""

    prompt: list[str]
    target: list[str]
    weights: NDArray[np.float32]

    @property
    def mean(self) -> NDArray[np.float32]:
        """(T, S), over layers and heads."""
        attentions: NDArray[np.float32] = self.weights.mean(axis=(0, 1))
        return attentions


def cross_attention(student: Checkpoint, example: Example, *, label: str, explanation: str) -> CrossAttention:
    """The cross-attention of a student that writes ``label`` and ``explanation`` of an example.

    Each row belongs to the state that predicts its token: it shows where the student looked to write that token.

    Raises:
        DataError: it is no checkpoint; the example is none of its task, or the label none of the example's.
        ValueError: the student's order is ``separate``, which has no target of both.
    """
    import torch

    if not hasattr(student, "codec"):
        fix = "Load it for a close look: rd.inspection.load_checkpoint(folder)."
        raise DataError("student", expected="a checkpoint", found=f"a {type(student).__name__}", fix=fix)
    if student.settings.task.labels != () and not student.settings.task.writes_answers:
        student.settings.task.check(example.model_copy(update={"label": label}))

    codec, task, order = student.codec, student.settings.task, student.settings.order
    prompt = codec.encode_prompts([task.render_prompts(order, example)["explanation"]])[0]
    target = render_target(order, label, explanation)
    if target is None:
        raise ValueError(f"nothing is written for {example.id} in the order {order}")
    ids = codec.encode_targets([target])[0].ids
    model, implementation = student.model, student.model.config._attn_implementation
    model.set_attn_implementation("eager")  # the fused implementation does not return its weights
    try:
        with torch.inference_mode():
            attentions = model.eval()(
                input_ids=torch.tensor([prompt]),
                decoder_input_ids=torch.tensor([[codec.decoder_start_token_id, *ids[:-1]]]),
                output_attentions=True,
            ).cross_attentions
    finally:
        model.set_attn_implementation(implementation)
    weights = torch.stack([layer[0] for layer in attentions]).float().numpy()
    return CrossAttention(pieces(student.tokenizer, prompt), pieces(student.tokenizer, ids), weights)


def pieces(tokenizer: PretrainedTokenizer, ids: Sequence[int]) -> list[str]:
    """The text of each token by itself."""
    return [tokenizer.decode([i], skip_special_tokens=False) for i in ids]
