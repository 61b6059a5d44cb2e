"""What CTranslate2's loaders get wrong of our students, and that an export does not.

The first assertion of most tests is about CTranslate2 alone. When it fails, the loader was mended: look whether
exporting/converting.py still has to do what it does.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import packaging_helpers as made
import tiny
from reasondistill.students.engines.pytorch import TorchEngine
from reasondistill.tasks.task import choice_targets

ctranslate2 = pytest.importorskip("ctranslate2")
from ctranslate2.converters.transformers import BartLoader, T5Loader  # noqa: E402


def stock(loader: Any, student: Any, folder: Path, **config: Any) -> Path:
    """What the loader makes by itself of a student's model and tokenizer."""
    model = copy.deepcopy(student.model)
    for key, value in config.items():
        setattr(model.config, key, value)
    with torch.no_grad():
        spec = loader(model, student.tokenizer)
        spec.validate()
        spec.optimize(quantization="float32")
        folder.mkdir()
        spec.save(str(folder))
    return folder


def label_scores(folder: Path, student: Any) -> list[float]:
    """Of the labels after the first prompt, by `score_batch` alone."""
    translator = ctranslate2.Translator(str(folder))
    codec = student.codec
    rows = codec.encode_targets(choice_targets("label_first", made.LABELS, None))
    words = [codec.tokenizer.convert_ids_to_tokens(row.ids) for row in rows]
    source = codec.tokenizer.convert_ids_to_tokens(codec.encode_prompts(made.PROMPTS[:1])[0])
    results = translator.score_batch([source] * len(words), words)
    return [
        sum(value for value, role in zip(result.log_probs, row.roles, strict=False) if role == 1)
        for result, row in zip(results, rows, strict=True)
    ]


def native_scores(student: Any) -> list[float]:
    student.model.eval()
    targets = [choice_targets("label_first", made.LABELS, None)]
    return TorchEngine(student.model, student.codec).score(made.PROMPTS[:1], targets)[0]


def far(a: list[float], b: list[float]) -> bool:
    return max(abs(x - y) for x, y in zip(a, b, strict=True)) > 0.1


def test_an_untied_students_output_is_scaled_by_the_stock_loader(tmp_path: Path) -> None:
    """transformers 5 sets tie_word_embeddings on every T5Config, and T5Loader scales where it is set."""
    from transformers import T5Config

    student = tiny.student("flan-t5")
    fresh = T5Config(**{**student.model.config.to_dict(), "tie_word_embeddings": False})
    assert fresh.tie_word_embeddings is True
    wrong = label_scores(stock(T5Loader(), student, tmp_path / "stock", tie_word_embeddings=True), student)
    right = native_scores(student)
    assert far(wrong, right)
    scaled = copy.deepcopy(student.model)
    with torch.no_grad():
        scaled.lm_head.weight.mul_(scaled.config.d_model**-0.5)
    assert wrong == pytest.approx(native_scores(made.with_model(student, scaled)), abs=1e-4)
    # Where plain transformers loads an untied student, its config says tied.
    student.model.config.tie_word_embeddings = True
    assert label_scores(made.package(student, tmp_path / "ours"), student) == pytest.approx(right, abs=1e-4)


def test_a_tied_student_keeps_its_scale(tmp_path: Path) -> None:
    student = tiny.student("t5")
    assert student.model.config.scale_decoder_outputs
    student.model.config.tie_word_embeddings = False  # as if something had mended that flag
    scores = label_scores(made.package(student, tmp_path / "ours"), student)
    assert scores == pytest.approx(native_scores(student), abs=1e-4)


def test_the_stock_loader_asks_bart_for_switches_that_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(AttributeError, match="normalize_before"):
        stock(BartLoader(), tiny.student("bart"), tmp_path / "stock")


def test_a_warm_starts_tokenizer_has_no_ends_that_the_stock_loader_could_ask_for(tmp_path: Path) -> None:
    student = made.warm_start(tmp_path)
    folder = stock(BartLoader(), student, tmp_path / "stock", normalize_before=False, normalize_embedding=True)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert (config["bos_token"], config["eos_token"]) == (None, None)
    assert config["layer_norm_epsilon"] is None, "CTranslate2 then takes 1e-5 for norms with a bias"
    ours = made.package(student, tmp_path / "ours")
    config = json.loads((ours / "config.json").read_text(encoding="utf-8"))
    assert (config["decoder_start_token"], config["eos_token"]) == ("[CLS]", "[SEP]")
    assert config["layer_norm_epsilon"] == 1e-12
    assert label_scores(ours, student) == pytest.approx(native_scores(student), abs=1e-5)


def test_the_epsilon_in_the_package_is_what_the_norms_compute_with(tmp_path: Path) -> None:
    """With an epsilon as large as the variance, another one shows."""
    student = tiny.student("bart")
    for module in student.model.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.eps = 0.5
    folder = made.package(student, tmp_path / "ours")
    right = native_scores(student)
    assert label_scores(folder, student) == pytest.approx(right, abs=1e-5)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"layer_norm_epsilon": None}), encoding="utf-8")
    assert label_scores(folder, student) != pytest.approx(right, abs=0.01)
    assert label_scores(folder, student) == pytest.approx(native_scores(tiny.student("bart")), abs=1e-5), "1e-5"


def test_the_stock_loader_names_two_tokens_alike(tmp_path: Path) -> None:
    """A T5 with more rows than tokens, as those of the hub."""
    student = tiny.student("flan-t5")
    student.tokenizer.add_tokens(["<extra_id_0>"])
    try:
        student.model.resize_token_embeddings(len(student.tokenizer) + 2)
        student.model.config.tie_word_embeddings = False
        tokens = T5Loader().get_vocabulary(student.model, student.tokenizer)
        assert tokens.count("<extra_id_0>") == 2
        folder = made.package(student, tmp_path / "ours")
        tokens = json.loads((folder / "shared_vocabulary.json").read_text(encoding="utf-8"))
        assert len(set(tokens)) == len(tokens) == len(student.tokenizer) + 2
        assert label_scores(folder, student) == pytest.approx(native_scores(student), abs=1e-4)
    finally:
        tiny.sentencepiece_like.cache_clear()


def test_bart_may_have_other_heads_on_each_side(tmp_path: Path) -> None:
    from transformers import BartConfig, BartForConditionalGeneration

    student = tiny.student("bart")
    config = BartConfig(**{**student.model.config.to_dict(), "decoder_attention_heads": 2})
    torch.manual_seed(0)
    student = made.with_model(student, BartForConditionalGeneration(config))
    switched = copy.deepcopy(student.model)
    switched.config.normalize_before, switched.config.normalize_embedding = False, True
    assert BartLoader().get_model_spec(switched).decoder.num_heads == 4
    scores = label_scores(made.package(student, tmp_path / "ours"), student)
    assert scores == pytest.approx(native_scores(student), abs=1e-5)


def test_a_tokenizer_without_an_unknown_token_makes_a_package_that_cannot_be_loaded(tmp_path: Path) -> None:
    student = tiny.student("t5")
    assert student.tokenizer.unk_token is None
    folder = stock(T5Loader(), student, tmp_path / "stock")
    with pytest.raises(RuntimeError, match="null"):
        ctranslate2.Translator(str(folder))
    assert ctranslate2.contains_model(str(made.package(student, tmp_path / "ours")))


def test_quantizing_writes_into_the_tensors_it_is_given(tmp_path: Path) -> None:
    student = tiny.student("t5")
    before = copy.deepcopy(student.model.state_dict())

    def changed(model: Any) -> bool:
        return any(not torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())

    given = copy.deepcopy(student.model)
    with torch.no_grad():
        spec = T5Loader()(given, student.tokenizer)
        spec.validate()
        spec.optimize(quantization="int8")
    assert changed(given)
    made.package(student, tmp_path / "ours", "int8")
    assert not changed(student.model)


def test_scores_have_one_more_for_an_end(tmp_path: Path) -> None:
    student = tiny.student("t5")
    translator = ctranslate2.Translator(str(made.package(student, tmp_path / "ours")))
    end = student.tokenizer.eos_token
    short, long = translator.score_batch([["a", end]] * 2, [["b"], ["b", end]])
    assert short.tokens == ["b", end]
    assert long.tokens == ["b", end, end]
    assert short.log_probs == pytest.approx(long.log_probs[:2])


def test_where_a_processor_lacks_bfloat16_it_is_an_error(tmp_path: Path) -> None:
    if "bfloat16" in ctranslate2.get_supported_compute_types("cpu"):
        pytest.skip("this processor computes in bfloat16")
    folder = made.package(tiny.student("t5"), tmp_path / "ours")
    with pytest.raises(ValueError, match="bfloat16"):
        ctranslate2.Translator(str(folder), compute_type="bfloat16")
