"""Words that join a student's vocabulary: no answer changes before they are learned."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import tiny
from reasondistill.config import WarmStartStudent
from reasondistill.data.scenes import generate
from reasondistill.students.vocabulary_growth import grow
from reasondistill.students.warm_start import make_warm_start


@pytest.mark.parametrize("family", ["t5", "flan-t5", "bart", "bert"])
def test_a_grown_vocabulary_changes_no_answer_before_it_is_learned(family: str, tmp_path: Path) -> None:
    """Not of old texts, whose tokens and greedy answers stay; new words have one piece, the mean of their spelling."""
    if family == "bert":
        old_model, old_tokenizer = make_warm_start(
            WarmStartStudent(
                kind="warm_start", encoder=str(tiny.tiny_bert(tmp_path)), num_decoder_layers=1, vocabulary="full"
            )
        )
    else:
        old_model, old_tokenizer = tiny.student(family).model, tiny.student(family).tokenizer
    new = ["A zebrafish is near a zebrafish.", "Some zebrafish sleep."] * 2
    model, tokenizer = grow(old_model, old_tokenizer, new)
    old = [e.fields["premise"] for e in generate(20, seed=2)]
    before, after = (t(old, add_special_tokens=True)["input_ids"] for t in (old_tokenizer, tokenizer))
    assert [old_tokenizer.convert_ids_to_tokens(ids) for ids in before] == [
        tokenizer.convert_ids_to_tokens(ids) for ids in after
    ]
    spelled, whole = (t.tokenize("Some zebrafish sleep.") for t in (old_tokenizer, tokenizer))
    assert len(whole) < len(spelled)
    [piece] = [token for token in whole if "zebrafish" in token.lower()]
    row = model.get_input_embeddings().weight[tokenizer.convert_tokens_to_ids(piece)]
    parts = [token.id for token in old_tokenizer.backend_tokenizer.model.tokenize(piece)]
    assert torch.allclose(row, old_model.get_input_embeddings().weight[parts].mean(dim=0))
    read = tokenizer.decode(tokenizer("Some zebrafish sleep.")["input_ids"], skip_special_tokens=True)
    assert "zebrafish" in read.lower().split()
    written = []
    for m, t in ((old_model, old_tokenizer), (model, tokenizer)):
        batch = t(old, return_tensors="pt", padding=True)
        with torch.no_grad():
            ids = m.eval().generate(
                input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], max_new_tokens=8, num_beams=1
            )
        written.append([t.convert_ids_to_tokens(row) for row in ids.tolist()])
    assert written[0] == written[1]
