"""Every family of students, held to what its table says: trained, saved, loaded, asked, packed, smaller, exported."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import ByT5Tokenizer, Seq2SeqTrainingArguments

import tiny
from reasondistill.config import Generation, HubStudent, Loss, Shrink, TrainConfig
from reasondistill.data.scenes import generate
from reasondistill.errors import CheckpointError, ConfigError
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.students.build import create_student
from reasondistill.students.checkpoint import (
    Checkpoint,
    decoder_start,
    head_is_tied,
    load_checkpoint,
    load_seq2seq,
    load_tokenizer,
)
from reasondistill.students.codec import EXPLANATION, LABEL
from reasondistill.students.engines.pytorch import TorchEngine
from reasondistill.students.families import FAMILIES, family_of
from reasondistill.students.shrinking import shrink
from reasondistill.students.student import Student
from reasondistill.students.tokenizers import as_fast
from reasondistill.students.vocabulary import trim
from reasondistill.tasks.task import NLI, Segment, Target, choice_targets
from reasondistill.training.adapters import adapt, parts_of
from reasondistill.training.features import Collator, build_features
from reasondistill.training.joint_model import JointModel, load_weights
from reasondistill.training.recipes import RECIPES
from reasondistill.training.trainer import DistillationTrainer

EXAMPLES = generate(9, seed=2)
PROMPTS = [NLI.render_prompts("label_first", e)["label"] for e in EXAMPLES]
TARGETS = [choice_targets("label_first", NLI.labels or (), None)] * len(PROMPTS)
GREEDY = Generation(num_beams=1, repetition_penalty=1.0, max_new_tokens=6)
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Tried:
    """A student that went the whole way: from a checkpoint through training to its folder."""

    start: Checkpoint
    trained: Checkpoint
    packed: bool
    folder: Path

    def engine(self, checkpoint: Checkpoint) -> TorchEngine:
        checkpoint.model.eval()
        return TorchEngine(checkpoint.model, checkpoint.codec)


def config(student: HubStudent) -> TrainConfig:
    value: dict[str, Any] = {"name": "x", "data": {"train": {"source": "scenes"}}, "student": student.model_dump()}
    value |= {"max_source_length": 64, "max_target_length": 48, "generation": {"num_beams": 2, "max_new_tokens": 4}}
    return validate_config(TrainConfig, value, where="test")


def saved(family: str, folder: Path) -> Path:
    """A checkpoint as the hub has them: no task beside it."""
    student = tiny.student(family)
    student.model.save_pretrained(folder)
    getattr(student.tokenizer, "slow", student.tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Tried]:
    made: dict[str, Tried] = {}

    def make(family: str) -> Tried:
        if family not in made:
            folder = tmp_path_factory.mktemp(family)
            hub = HubStudent(checkpoint=str(saved(family, folder / "hub")))
            student = create_student(config(hub), EXAMPLES)
            arguments = Seq2SeqTrainingArguments(
                output_dir=str(folder / "trainer"),
                remove_unused_columns=False,
                report_to="none",
                max_steps=2,
                learning_rate=0.01,
                per_device_train_batch_size=4,
                use_cpu=True,
                disable_tqdm=True,
                save_strategy="no",
            )
            features = build_features(EXAMPLES, task=NLI, order="label_first", codec=student.codec)
            trainer = DistillationTrainer(student, loss=Loss(), arguments=arguments, train_dataset=features)
            packs = trainer.model.packing != "never"
            trainer.model.packing = "always" if packs else "never"  # it would not pay for a student this small
            trainer.train()
            student.save(folder / "student")
            made[family] = Tried(tiny.student(family), student, packs, folder / "student")
        return made[family]

    return make


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_it_trains_is_saved_loaded_and_answers_alike(family: str, tried: Callable[[str], Tried]) -> None:
    one = tried(family)
    again = load_checkpoint(one.folder)
    scores = [one.engine(student).score(PROMPTS, TARGETS) for student in (one.start, one.trained, again)]
    assert scores[1] == [pytest.approx(row, rel=1e-5) for row in scores[2]]
    assert abs(scores[0][0][0] - scores[1][0][0]) > 0.01, "training changed nothing"
    assert head_is_tied(again.model) is head_is_tied(one.trained.model) is head_is_tied(one.start.model)
    again.model.tie_weights()  # what transformers calls after a resize
    assert one.engine(again).score(PROMPTS, TARGETS) == scores[2]
    prefixes = ["neutral explanation:"] * len(PROMPTS)
    written = [one.engine(student).generate(PROMPTS, prefixes, GREEDY) for student in (one.trained, again)]
    assert written[0] == written[1]
    load_weights(again.model, one.folder)  # as of the best checkpoint
    assert one.engine(again).score(PROMPTS, TARGETS) == scores[2]
    answer = Student.load(one.folder).predict(EXAMPLES[:1])[0]
    assert answer.label in (NLI.labels or ())
    assert one.trained.codec.fingerprint == again.codec.fingerprint


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_its_texts_are_packed_where_the_table_says_so(family: str, tried: Callable[[str], Tried]) -> None:
    one = tried(family)
    assert one.packed is family_of(one.trained.model).packs  # equal results: invariants/test_packing.py


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_each_of_its_parts_can_be_frozen(family: str) -> None:
    student = tiny.student(family)
    rows = build_features(EXAMPLES[:2], task=NLI, order="label_first", codec=student.codec)
    batch = Collator(student.codec)(list(rows))
    parts = parts_of(student.model)
    for frozen in parts:
        student.model.requires_grad_(True)
        student.model.zero_grad()
        losses = JointModel(adapt(student, freeze=[frozen]).model)(**batch)
        (losses.label_sum + losses.explanation_sum).backward()
        for part, parameters in parts.items():
            learn = [p for p in parameters if p.grad is not None and bool(p.grad.any())]
            assert bool(learn) is (part != frozen), (frozen, part)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_it_is_made_smaller_or_that_is_refused(family: str, tried: Callable[[str], Tried]) -> None:
    # What a smaller one computes: test_shrinking.py.
    model, wanted = tried(family).trained.model, Shrink(num_layers=1, num_decoder_layers=1, d_ff=32)
    if family_of(model).shrinks:
        assert sum(p.numel() for p in shrink(model, wanted).parameters()) < sum(p.numel() for p in model.parameters())
        return
    with pytest.raises(ConfigError, match=r"student\.shrink: expected a student of a family .*T5.*found a model of"):
        shrink(model, wanted)
    assert shrink(model, Shrink()) is model


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_its_vocabulary_is_trimmed_or_that_is_refused(family: str, tried: Callable[[str], Tried]) -> None:
    student = tried(family).trained
    if not family_of(student.model).trims:
        with pytest.raises(CheckpointError, match=r"student\.vocabulary: expected .*T5.*Set student.vocabulary: full"):
            trim(student.model, student.tokenizer, PROMPTS)
        return
    model, tokenizer = trim(student.model, student.tokenizer, [*PROMPTS, *(NLI.labels or ())])
    smaller = Checkpoint(model, tokenizer, student.settings)
    assert smaller.model.get_input_embeddings().weight.shape[0] < student.model.get_input_embeddings().weight.shape[0]
    assert [len(row) for row in tried(family).engine(smaller).score(PROMPTS, TARGETS)] == [3] * len(PROMPTS)
    old, new = (s.codec.encode_and_mark_prompts(PROMPTS)[0] for s in (student, smaller))
    pieces = [
        [t.convert_ids_to_tokens(row) for row in rows]
        for t, rows in ((student.tokenizer, old), (smaller.tokenizer, new))
    ]
    assert pieces[0] == pieces[1]


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_its_package_answers_alike_or_that_is_refused(
    family: str, tried: Callable[[str], Tried], tmp_path: Path
) -> None:
    pytest.importorskip("ctranslate2")
    import packaging_helpers as packages
    from reasondistill.exporting import export
    from reasondistill.exporting.sizes import architecture_of

    one = tried(family)
    if not family_of(one.trained.model).exports:
        with pytest.raises(CheckpointError, match=r"export: expected a student of a family that can be exported \(T5"):
            export(one.folder, tmp_path / "p", quantization="float32")
        assert not list(tmp_path.iterdir())
        return
    engine = packages.engine(one.trained, tmp_path / "p")
    native = one.engine(one.trained)
    for ours, theirs in zip(engine.score(PROMPTS, TARGETS), native.score(PROMPTS, TARGETS), strict=True):
        assert ours == pytest.approx(theirs, abs=2e-4)
    prefixes = ["neutral explanation:", ""] * 4 + ["entailment explanation:"]
    assert engine.generate(PROMPTS, prefixes, GREEDY) == native.generate(PROMPTS, prefixes, GREEDY)
    assert architecture_of(one.trained.model).decoder_layers == (3 if family == "byt5" else 2)


# --- what is refused ---


def save_config(folder: Path, **content: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "kind",
    [
        "switch_transformers",
        "prophetnet",
        "nllb-moe",
        "m2m_100",
        "led",
        "bigbird_pegasus",
        "pegasus_x",
        "fsmt",
        "plbart",
        "mvp",
        "blenderbot-small",
        "seamless_m4t",
        "whisper",
        "speech_to_text",
        "pix2struct",
        "gpt2",
        "llama",
        "bert",
        "roberta",
        "vit",
    ],
)
def test_a_checkpoint_of_another_family_is_refused_before_anything_is_loaded(kind: str, tmp_path: Path) -> None:
    folder = save_config(tmp_path / "c", model_type=kind)
    with pytest.raises(CheckpointError) as caught:
        create_student(config(HubStudent(checkpoint=str(folder))), EXAMPLES)
    message = str(caught.value)
    assert message.startswith(f"{folder}: expected an encoder-decoder of a supported family: T5, FLAN-T5,")
    assert f"found a model of type '{kind}'" in message
    assert "student.kind: warm_start" in message


@pytest.mark.parametrize("kind", ["encoder-decoder", "vision-encoder-decoder", "speech-encoder-decoder"])
def test_models_that_are_put_together_out_of_two_are_refused(kind: str, tmp_path: Path) -> None:
    encoder = "vit" if kind.startswith("vision") else "wav2vec2" if kind.startswith("speech") else "bert"
    two = {"encoder": {"model_type": encoder}, "decoder": {"model_type": "bert"}}
    folder = save_config(tmp_path / "c", model_type=kind, **two)
    with pytest.raises(CheckpointError, match=f"of a supported family.*found a model of type '{kind}'"):
        load_seq2seq(str(folder))


def test_one_side_of_a_supported_family_is_refused(tmp_path: Path) -> None:
    """transformers makes up the other side's weights."""
    from transformers import T5EncoderModel

    saved("t5", tmp_path / "half")
    T5EncoderModel.from_pretrained(tmp_path / "half").save_pretrained(tmp_path / "half")
    settings = json.loads((tmp_path / "half" / "config.json").read_text(encoding="utf-8"))
    save_config(tmp_path / "half", **(settings | {"is_encoder_decoder": True}))
    with pytest.raises(CheckpointError, match=r"found no decoder\.block\.0\..* and \d+ others. Take a checkpoint that"):
        load_seq2seq(str(tmp_path / "half"))
    save_config(tmp_path / "half", **(settings | {"is_encoder_decoder": False}))
    with pytest.raises(CheckpointError, match="found a model of type 't5' that is not an encoder-decoder"):
        load_seq2seq(str(tmp_path / "half"))


def test_an_old_checkpoint_may_have_more_weights_and_lack_those_that_are_computed(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for family, change in (
        ("t5", lambda state: state | {"decoder.block.0.layer.1.EncDecAttention.old.weight": torch.zeros(2)}),
        ("pegasus", lambda state: {k: v for k, v in state.items() if "embed_positions" not in k}),
    ):
        folder = saved(family, tmp_path / family)
        whole, _ = load_seq2seq(str(folder))
        state = load_file(folder / "model.safetensors")
        save_file(change(state), folder / "model.safetensors", metadata={"format": "pt"})
        model, _ = load_seq2seq(str(folder))
        for name, value in whole.state_dict().items():
            assert torch.equal(value, model.state_dict()[name]), name


def test_a_checkpoint_without_a_head_of_its_own_is_whole(tmp_path: Path) -> None:
    """As facebook/bart-base is: the model beneath the head, whose weights are the table's, and whose bias is 0."""
    folder = saved("bart", tmp_path / "bart")
    tiny.bart().model.save_pretrained(folder)
    model, _ = load_seq2seq(str(folder))
    assert head_is_tied(model)
    assert not model.final_logits_bias.any()


def test_a_decoder_that_starts_with_nothing_is_refused() -> None:
    model = tiny.mbart()
    assert decoder_start(model) == tiny.mbart_tokenizer().convert_tokens_to_ids("ro_RO")
    model.config.decoder_start_token_id = model.generation_config.decoder_start_token_id = None
    with pytest.raises(CheckpointError, match="decoder_start_token_id, found a model of type 'mbart' without it"):
        decoder_start(model)


def test_dropout_reaches_both_sides_of_t5gemma(tmp_path: Path) -> None:
    for family in ("t5gemma", "t5gemma2", "marian"):
        model, _ = load_seq2seq(str(saved(family, tmp_path / family)), dropout=0.25)
        rates = {m.p for side in (model.get_encoder(), model.get_decoder()) for m in side.modules() if hasattr(m, "p")}
        found = {getattr(side, "dropout", None) for side in (model.get_encoder(), model.get_decoder())}
        assert 0.25 in rates | found, family


# --- tokenizers ---


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_byt5_s_tokens_are_those_of_its_own_tokenizer(text: str) -> None:
    slow, fast = ByT5Tokenizer(), tiny.bytes_()
    assert fast(text)["input_ids"] == slow(text)["input_ids"]
    ids = fast(text, add_special_tokens=False)["input_ids"]
    assert fast.decode(ids, skip_special_tokens=True) == slow.decode(ids, skip_special_tokens=True)


def test_byt5_s_special_tokens_keep_their_ids() -> None:
    slow, fast = ByT5Tokenizer(), tiny.bytes_()
    for text in ("a </s> b", "<extra_id_0> x <extra_id_124>", "<pad>", "日本 <unk>"):
        assert fast(text)["input_ids"][:-1] == slow(text, add_special_tokens=False)["input_ids"], text
    assert len(fast) == len(slow) == 384


@pytest.mark.parametrize("family", ["byt5", "marian", "t5gemma", "mbart50"])
def test_a_label_and_its_explanation_are_supervised_as_such(family: str) -> None:
    """Also by a character that is several tokens, and where the target's language stands first."""
    codec = tiny.student(family).codec
    segments = (Segment("neutral", "label"), Segment(" explanation: A man café.", "explanation"))
    [row] = codec.encode_targets([Target(segments, ends=True)])
    label = codec.encode_targets([Target(segments[:1], ends=False)])[0]
    places = [i for i, role in enumerate(row.roles) if role == LABEL]
    assert [row.ids[i] for i in places] == [i for i, r in zip(label.ids, label.roles, strict=True) if r == LABEL]
    assert row.ids[-1] == codec.eos_token_id
    assert set(row.roles[places[-1] + 1 :]) == {EXPLANATION}
    assert codec.decode(row.ids).startswith("neutral explanation: A man caf")
    assert codec.encode_prefix("neutral")[1:] == label.ids


def test_marian_reads_with_one_model_and_writes_with_the_other() -> None:
    codec = tiny.student("marian").codec
    tokenizer: Any = codec.tokenizer
    slow = tokenizer.slow
    text = "A man is playing an instrument outside."
    assert codec.encode_prompts([text])[0] == slow(text)["input_ids"]
    [row] = codec.encode_targets([Target((Segment(text, "explanation"),), ends=True)])
    assert row.ids == slow(text_target=text)["input_ids"] != codec.encode_prompts([text])[0]
    assert codec.tokenizer(text, add_special_tokens=False)["input_ids"] == row.ids[:-1]
    assert codec.encode_and_mark_prompts([text * 20])[0][0][-1] == codec.eos_token_id
    assert codec.decode(row.ids) == text


def test_another_slow_tokenizer_is_refused() -> None:
    class WordTokenizer:
        is_fast = False

    with pytest.raises(CheckpointError, match="WordTokenizer: expected a tokenizer of the library tokenizers"):
        as_fast(WordTokenizer())


def test_a_saved_student_s_tokenizer_is_found_again(tried: Callable[[str], Tried]) -> None:
    for family in ("byt5", "marian", "mbart"):
        one = tried(family)
        assert load_tokenizer(one.folder)(PROMPTS)["input_ids"] == one.start.tokenizer(PROMPTS)["input_ids"]


# --- the table ---


def test_every_family_has_a_tiny_student_and_none_else_has() -> None:
    assert {make().config.model_type for make, _ in tiny.FAMILIES.values()} == set(FAMILIES)


def test_the_docs_table_is_the_codes() -> None:
    text = (ROOT / "docs" / "students.md").read_text(encoding="utf-8")
    works = {kind: (f.packs, f.shrinks, f.trims, f.exports) for kind, f in FAMILIES.items()}
    rows = [
        f"| {FAMILIES[kind].members} | `{kind}` | {' | '.join('yes' if each else 'no' for each in every)} |"
        for kind, every in works.items()
    ]
    families, rest = text.split("\n## Recipes\n")
    recipes, *_ = rest.split("\n## ")
    table = [line for line in families.splitlines() if line.startswith("| ")]
    assert table[2:] == rows  # behind its head
    named = [line.split("`")[1] for line in recipes.splitlines() if line.startswith("| `")]
    assert named == [*RECIPES]
    for line, recipe in zip([x for x in recipes.splitlines() if x.startswith("| `")], RECIPES.values(), strict=True):
        assert line.endswith(f"| {recipe.examples:,} | {recipe.batch} |")
