"""Smaller students: what is kept computes what it did; what cannot be kept is refused."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import AutoTokenizer, BertModel

import tiny
from reasondistill.config import HubStudent, Shrink, TrainConfig, WarmStartStudent
from reasondistill.data.scenes import generate
from reasondistill.errors import CheckpointError, ConfigError
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.students.build import create_student
from reasondistill.students.checkpoint import Checkpoint, load_checkpoint, parameter_count
from reasondistill.students.shrinking import evenly, shrink
from reasondistill.students.vocabulary import trim, trim_tokenizer

LENGTHS = {"max_source_length": 64, "max_target_length": 48, "generation": {"max_new_tokens": 48}}
"""What fits into the position tables of tiny students."""
T5_FAMILY = ("flan-t5", "t5", "mt5", "umt5", "longt5", "longt5-global")
SHRINKABLE = (*T5_FAMILY, "bart", "mbart", "pegasus", "blenderbot", "marian")


def made(family: str) -> Any:
    return tiny.FAMILIES[family][0]().eval()


def logits(model: Any) -> Tensor:
    ids = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 12]])
    with torch.no_grad():
        result: Tensor = model(input_ids=ids, decoder_input_ids=torch.tensor([[0, 9, 4], [0, 7, 5]])).logits
    return result


@given(of=st.integers(1, 40), data=st.data())
def test_layers_are_kept_evenly_and_the_last_one_always(of: int, data: Any) -> None:
    count = data.draw(st.integers(1, of))
    kept = evenly(count, of)
    assert kept[-1] == of - 1
    assert len(set(kept)) == count
    assert kept == sorted(kept)
    assert kept[0] >= 0
    gaps = {b - a for a, b in zip([-1, *kept], kept, strict=False)}
    assert max(gaps) - min(gaps) <= 1


def test_evenly_by_hand() -> None:
    assert evenly(3, 6) == [1, 3, 5]
    assert evenly(1, 6) == [5]
    assert evenly(4, 6) == [0, 2, 3, 5]


@pytest.mark.parametrize("family", SHRINKABLE)
def test_a_student_that_keeps_all_computes_what_it_did(family: str) -> None:
    model = made(family)
    same = shrink(model, Shrink(num_layers=2, num_decoder_layers=2, d_ff=64))
    assert torch.equal(logits(same), logits(model))
    assert parameter_count(same) == parameter_count(model)


@pytest.mark.parametrize("family", T5_FAMILY)
def test_a_layer_that_adds_nothing_can_go(family: str) -> None:
    # T5 adds what a layer computes to what came in: with zero output weights a layer passes it on.
    model = made(family)
    with torch.no_grad():
        for side in (model.encoder, model.decoder):
            for layer in side.block[0].layer:
                part: Any = layer.DenseReluDense.wo if hasattr(layer, "DenseReluDense") else None
                attention: Any = next((m for name, m in layer.named_children() if name.endswith("Attention")), None)
                (part or attention.o).weight.zero_()
    smaller = shrink(model, Shrink(num_layers=1, num_decoder_layers=1))
    assert (len(smaller.encoder.block), len(smaller.decoder.block)) == (1, 1)
    # Only with the positions of the block that went away, which T5 keeps for a whole side, is this equal.
    torch.testing.assert_close(logits(smaller), logits(model))


@pytest.mark.parametrize("family", SHRINKABLE)
def test_units_that_weigh_nothing_go_first(family: str) -> None:
    model = made(family)
    silent = torch.arange(0, 64, 2)
    with torch.no_grad():
        for module in model.modules():
            for name in ("wo", "fc2"):
                if (part := getattr(module, name, None)) is not None:
                    part.weight[:, silent] = 0
    smaller = shrink(model, Shrink(d_ff=32))
    # Half as many terms add up in another order, and each machine rounds single precision its own way.
    torch.testing.assert_close(logits(smaller.double()), logits(model.double()))
    assert parameter_count(smaller) < parameter_count(model)


def test_a_flan_t5_s_table_stays_one() -> None:
    model = made("flan-t5")
    model.encoder.embed_tokens = model.decoder.embed_tokens = model.shared  # as a loaded one has it
    tables = 2 * model.config.vocab_size * model.config.d_model
    layers = parameter_count(model) - tables
    smaller, _ = trim(shrink(model, Shrink(d_ff=32)), tiny.sentencepiece_like(), TEXTS)
    for side in (smaller.encoder, smaller.decoder):
        assert side.embed_tokens.weight is smaller.shared.weight
    assert smaller.lm_head.weight is not smaller.shared.weight
    # 4 feed-forward parts with 3 matrices each lose half of their 64 units.
    assert parameter_count(smaller) == layers - 4 * 3 * 32 * 32 + 2 * smaller.config.vocab_size * 32


def test_bart_s_layers_keep_their_weights_and_the_config_says_how_many() -> None:
    model = made("bart")
    smaller = shrink(model, Shrink(num_layers=1, num_decoder_layers=1))
    assert (smaller.config.encoder_layers, smaller.config.decoder_layers) == (1, 1)
    for ours, theirs in (
        (smaller.model.encoder.layers[0], model.model.encoder.layers[1]),
        (smaller.model.decoder.layers[0], model.model.decoder.layers[1]),
    ):
        for name, weight in ours.state_dict().items():
            assert torch.equal(weight, theirs.state_dict()[name]), name


@pytest.mark.parametrize("family", SHRINKABLE)
def test_a_smaller_student_is_saved_loaded_and_writes(family: str, tmp_path: Path) -> None:
    student = tiny.student(family)
    tied = student.model.get_output_embeddings().weight is student.model.get_input_embeddings().weight
    student.save(tmp_path / "whole")
    hub = HubStudent(checkpoint=str(tmp_path / "whole"), shrink=Shrink(num_layers=1, num_decoder_layers=1, d_ff=16))
    document = {"name": "x", "data": {"train": {"source": "scenes"}}, "student": hub.model_dump(), **LENGTHS}
    smaller = create_student(validate_config(TrainConfig, document, where="test"), generate(9))
    smaller.save(tmp_path / "small")
    again = load_checkpoint(tmp_path / "small")
    assert torch.equal(logits(again.model.eval()), logits(smaller.model.eval()))
    assert (again.model.get_output_embeddings().weight is again.model.get_input_embeddings().weight) is tied
    written = again.model.generate(input_ids=torch.tensor([[5, 6, 7]]), max_new_tokens=5, num_beams=2)
    assert written.shape[0] == 1


@pytest.mark.parametrize(
    ("wanted", "key"),
    [
        (Shrink(num_layers=3), "num_layers"),
        (Shrink(num_decoder_layers=9), "num_decoder_layers"),
        (Shrink(d_ff=65), "ff"),
    ],
)
@pytest.mark.parametrize("family", ["flan-t5", "bart"])
def test_more_than_there_is_cannot_be_kept(family: str, wanted: Shrink, key: str) -> None:
    found = {"num_layers": "encoder_layers", "num_decoder_layers": "decoder_layers", "ff": "ffn_dim"}
    with pytest.raises(ConfigError, match=f"at most the .*({key}|{found[key]})"):
        shrink(made(family), wanted)


def test_each_of_umt5_s_layers_keeps_its_own_positions() -> None:
    model = made("umt5")
    smaller = shrink(model, Shrink(num_layers=1, num_decoder_layers=1))
    for ours, theirs in ((smaller.encoder, model.encoder), (smaller.decoder, model.decoder)):
        tables = [side.block[-1].layer[0].SelfAttention.relative_attention_bias.weight for side in (ours, theirs)]
        assert torch.equal(*tables)


def test_a_family_whose_layout_is_unknown_is_refused_unless_nothing_is_asked_for() -> None:
    model = made("t5gemma")
    with pytest.raises(ConfigError, match=r"that can be pruned .*found a model of type 't5gemma'"):
        shrink(model, Shrink(num_layers=1))
    assert shrink(model, Shrink()) is model


def test_a_warm_start_is_made_smaller_too(tmp_path: Path) -> None:
    folder = tiny.tiny_bert(tmp_path / "bert", layers=4)
    asked = WarmStartStudent(
        kind="warm_start", encoder=str(folder), num_decoder_layers=2, shrink=Shrink(num_layers=2, num_decoder_layers=1)
    )
    document = {"name": "x", "data": {"train": {"source": "scenes"}}, "student": asked.model_dump(), **LENGTHS}
    model = create_student(validate_config(TrainConfig, document, where="test"), generate(9)).model
    bert = BertModel.from_pretrained(folder)
    assert (len(model.model.encoder.layers), len(model.model.decoder.layers)) == (2, 1)
    for ours, place in zip(model.model.encoder.layers, (1, 3), strict=True):
        assert torch.equal(ours.fc1.weight, bert.encoder.layer[place].intermediate.dense.weight)
    assert model.model.encoder.layernorm_embedding.eps == model.config.layer_norm_eps == 1e-12


def test_rare_word_pieces_can_go_and_their_words_are_spelled(tmp_path: Path) -> None:
    whole = AutoTokenizer.from_pretrained(tiny.tiny_bert(tmp_path / "bert"))
    texts = ["a man a man", "a woman", "a man"]
    once, _ = trim_tokenizer(whole, texts)
    twice, kept = trim_tokenizer(whole, texts, min_count=3)
    assert len(twice) <= len(once)
    vocabulary = twice.get_vocab()
    counts: dict[str, int] = {}
    for text in texts:
        for piece in whole.tokenize(text):
            counts[piece] = counts.get(piece, 0) + 1
    for piece, count in counts.items():
        if len(piece.removeprefix("##")) > 1:
            assert (piece in vocabulary) is (count >= 3), (piece, count)
    ids = twice("a woman", add_special_tokens=False)["input_ids"]
    assert twice.unk_token_id not in ids
    assert twice.decode(ids) == "a woman"
    assert len(kept) == len(twice)


TEXTS = ["A man is playing a guitar.", "Two women are talking outside, and a dog is running.", "neutral"]
WORDS = " ".join(TEXTS).replace(".", "").replace(",", "").split()
TRIMMED = tuple(family for family in SHRINKABLE if family != "marian")


@pytest.mark.parametrize("family", TRIMMED)
def test_a_student_with_its_texts_tokens_alone_computes_and_writes_what_it_did(family: str, tmp_path: Path) -> None:
    student = tiny.student(family)
    student.model.eval()
    model, tokenizer = trim(student.model, student.tokenizer, TEXTS)
    assert len(tokenizer) == model.config.vocab_size < student.model.config.vocab_size
    pieces = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    back = [student.tokenizer.convert_tokens_to_ids(piece) for piece in pieces]
    tied = student.model.get_output_embeddings().weight is student.model.get_input_embeddings().weight
    assert (model.get_output_embeddings().weight is model.get_input_embeddings().weight) is tied
    for text in TEXTS:
        ids, before = (t(text, return_tensors="pt")["input_ids"] for t in (tokenizer, student.tokenizer))
        assert [back[i] for i in ids[0].tolist()] == before[0].tolist()
        assert tokenizer.decode(ids[0], skip_special_tokens=True) == student.tokenizer.decode(
            before[0], skip_special_tokens=True
        )
        start = [model.config.decoder_start_token_id, ids[0, 0].item()]
        with torch.no_grad():
            ours = model(input_ids=ids, decoder_input_ids=torch.tensor([start])).logits
            theirs = student.model(input_ids=before, decoder_input_ids=torch.tensor([[back[i] for i in start]])).logits
        torch.testing.assert_close(ours, theirs[..., back])
    for key in ("pad_token_id", "eos_token_id", "decoder_start_token_id"):
        assert back[getattr(model.config, key)] == getattr(student.model.config, key)
    Checkpoint(model, tokenizer, student.settings).save(tmp_path / "s")
    again = load_checkpoint(tmp_path / "s")
    assert again.tokenizer(TEXTS)["input_ids"] == tokenizer(TEXTS)["input_ids"]


@cache
def trimmed(family: str) -> Any:
    return trim_tokenizer(tiny.FAMILIES[family][1](), [*TEXTS, *WORDS])[0]


@pytest.mark.parametrize("family", TRIMMED)
@given(words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=12))
def test_what_is_made_of_the_kept_words_is_cut_as_before(family: str, words: list[str]) -> None:
    text = " ".join(words)
    pieces = trimmed(family).tokenize(text)
    assert pieces == tiny.FAMILIES[family][1]().tokenize(text)


@pytest.mark.parametrize("family", TRIMMED)
@settings(deadline=None)  # the first example trims a tokenizer
@given(data=st.data())
def test_other_words_are_spelled(family: str, data: Any) -> None:
    # A tokenizer can spell with the letters that it knew before: those of Unigram come from its training texts.
    letters = [c for c in "abcdefghijklmnopqrstuvwxyz" if c in tiny.FAMILIES[family][1]().get_vocab()]
    assert len(letters) > 20
    word = data.draw(st.text(letters, min_size=1, max_size=10))
    ids = trimmed(family)(word, add_special_tokens=False)["input_ids"]
    assert trimmed(family).decode(ids).strip() == word


def test_a_tokenizer_of_whole_words_is_refused() -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, "[UNK]")))
    with pytest.raises(CheckpointError, match="WordLevel"):
        trim_tokenizer(words, TEXTS)


def test_a_hub_student_keeps_the_task_s_tokens_where_it_is_asked_to(tmp_path: Path) -> None:
    student = tiny.student("flan-t5")
    student.save(tmp_path / "whole")
    hub = HubStudent(checkpoint=str(tmp_path / "whole"), vocabulary="task", vocabulary_min_count=3)
    document = {"name": "x", "data": {"train": {"source": "scenes"}}, "student": hub.model_dump()}
    made_smaller = create_student(validate_config(TrainConfig, document, where="test"), generate(9))
    assert made_smaller.model.config.vocab_size == len(made_smaller.tokenizer) < len(student.tokenizer)
