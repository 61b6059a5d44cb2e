"""Structured explanations: parsed strictly, read out by template, and written under a grammar by any student."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import packaging_helpers as made
import tiny
from make import pair
from reasondistill.config import Generation
from reasondistill.data.scenes import generate
from reasondistill.errors import ConfigError, TaskError
from reasondistill.students.checkpoint import Checkpoint
from reasondistill.students.engines import Engine, answer, explain_for, explanation_scores
from reasondistill.students.engines.answering import label_scores
from reasondistill.students.engines.pytorch import TorchEngine
from reasondistill.students.line_grammar import LineGrammar
from reasondistill.tasks.structures import Claim, Structure, own_words
from reasondistill.tasks.task import NLI, OutputOrder, Task, get_task

STRUCTURED = get_task("nli_structured")
assert isinstance(STRUCTURED.structure, Structure)
STRUCTURE: Structure = STRUCTURED.structure
PAIR = pair("A man plays the violin in a park.", "A man plays an instrument outdoors.")
EXAMPLES = generate(8, seed=2)
ROOM = Generation(max_new_tokens=60)

# --- the form ---

texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.lists(st.sampled_from("a man | ; : “x” {from} {to} don't wool-coat  implies\n 犬".split(" ")), max_size=9).map(
        " ".join
    ),
)


@settings(max_examples=200, deadline=None)
@given(texts, texts, st.data())
def test_a_claim_comes_back_from_its_line_and_from_its_text(premise: str, hypothesis: str, data: st.DataObject) -> None:
    fields = {"premise": premise, "hypothesis": hypothesis}
    spans = [[*STRUCTURE.spans(text)] for text in fields.values()]
    for text, own in zip(fields.values(), spans, strict=True):
        assert all(span in " ".join(text.split()) for span in own)
    if not all(spans):
        return
    claim = Claim(data.draw(st.sampled_from([*STRUCTURE.relations])), *(data.draw(st.sampled_from(s)) for s in spans))
    louder = claim.line.upper() if claim.line.upper().casefold() == claim.line.casefold() else claim.line
    for line in (claim.line, STRUCTURE.explanation(claim), louder.replace(" | ", "|") + ";x"):
        back = STRUCTURE.parse(line, fields)
        assert back is not None
        assert [part.casefold() for part in back] == [part.casefold() for part in claim]
    again = STRUCTURE.read_text(STRUCTURE.render(claim), fields)
    assert again is not None
    assert STRUCTURE.render(again) == STRUCTURE.render(claim)


def test_of_two_spans_that_differ_in_case_a_text_means_its_own() -> None:
    fields = {"premise": "0", "hypothesis": "Ô:ô"}
    for span in ("Ô", "ô"):
        claim = Claim("implies", "0", span)
        assert STRUCTURE.read_text(STRUCTURE.render(claim), fields) == claim
        assert STRUCTURE.parse(claim.line, fields) == claim


@settings(max_examples=200, deadline=None)
@given(texts)
def test_any_text_is_a_claim_of_the_fields_or_none(text: str) -> None:
    claim = STRUCTURE.parse(text, PAIR.fields)
    assert claim is None or STRUCTURE.parse(claim.line, PAIR.fields) == claim


@pytest.mark.parametrize(
    "text",
    [
        "implies | the violin",
        "implies | the violin | an instrument | outdoors",
        "means | the violin | an instrument",
        "implies | violin in park | an instrument",  # no contiguous span
        "implies | an instrument | the violin",  # of the other field
        "implies | the vio | an instrument",  # no whole word
        "implies || an instrument",
        "a violin is an instrument",
        "",
    ],
)
def test_what_does_not_fit_is_not_repaired(text: str) -> None:
    assert STRUCTURE.parse(text, PAIR.fields) is None


def test_the_form_in_data_has_a_text_of_its_own() -> None:
    claim = Claim("implies", "the violin", "an instrument")
    assert (
        STRUCTURE.explanation(claim) == "implies | the violin | an instrument ; “the violin” implies “an instrument”."
    )
    assert own_words(STRUCTURE.explanation(claim, "A violin is one; so it is.")) == "A violin is one; so it is."
    assert own_words("It rains; it is wet.") == "It rains; it is wet."


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"from_field": "text"}, r"\['text'\] are not among the fields"),
        ({"relations": {"implies": {"text": "{from} is {to}", "label": "yes"}}}, "not among the labels"),
        ({"relations": {"implies": {"text": "{from} is {to}", "label": "neutral"}}}, "for the label 'entailment'"),
        ({"relations": {"implies": {"text": "{from} is {from}"}}}, "needs {from} and {to}"),
        ({"relations": {"is|a": {"text": "{from} is {to}"}}}, "'is|a' is not"),
        ({"relations": {"is a": {"text": "{from} is {to}"}, "Isa": {"text": "{to} of {from}"}}}, "told apart"),
        ({"relations": {}}, "at least 1 item"),
    ],
)  # fmt: skip
def test_mistakes_in_a_structure_are_refused(change: dict[str, Any], message: str) -> None:
    value = STRUCTURED.model_dump()
    value["structure"] |= change
    with pytest.raises(ValidationError, match=message.replace("|", r"\|")):
        Task.model_validate(value)


def test_a_task_without_a_structure_is_written_as_before() -> None:
    assert "structure" not in NLI.model_dump()
    assert Task.model_validate(STRUCTURED.model_dump(mode="json")) == STRUCTURED


# --- what is learned ---


def test_a_target_holds_the_line_and_not_the_text() -> None:
    line = "implies | the violin | an instrument"
    example = PAIR.model_copy(update={"label": "entailment"})
    ((_, [target]),) = STRUCTURED.render("label_first", example, [f"{line} ; A violin is one.", "It is one."])
    assert target.text == f"entailment explanation: {line}"
    ((_, [alone]),) = STRUCTURED.render("label_first", example, ["It is one.", "implies | a lute | music"])
    assert alone.text == "entailment"
    codec = tiny.student("t5").codec
    encoded = codec.encode_targets([target])[0]
    explained = [token for token, role in zip(encoded.ids, encoded.roles, strict=True) if role == 2]
    assert codec.decode(explained) == f"explanation: {line}"
    assert explained[-1] == codec.eos_token_id


# --- what may be written ---


@pytest.fixture(scope="module")
def word_pieces(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A student that writes in lower case, with a vocabulary of the task's."""
    from reasondistill.config import WarmStartStudent
    from reasondistill.students.vocabulary import trim
    from reasondistill.students.warm_start import make_warm_start

    encoder = tiny.tiny_bert(tmp_path_factory.mktemp("bert"), layers=1)
    config = WarmStartStudent(kind="warm_start", encoder=str(encoder), num_decoder_layers=1, dropout=0.0)
    torch.manual_seed(0)
    model, tokenizer = make_warm_start(config)
    if "|" not in tokenizer.get_vocab():
        tokenizer.add_tokens(["|"])
        model.resize_token_embeddings(len(tokenizer))
    return Checkpoint(*trim(model, tokenizer, [*tiny.scenes_texts(), "|"]), tiny.student("t5").settings)


def students(order: OutputOrder, word_pieces: Checkpoint) -> dict[str, Checkpoint]:
    known = {family: tiny.student(family, order) for family in ("t5", "bart", "byt5")}
    return known | {"word pieces": word_pieces}


def engine_of(student: Checkpoint) -> TorchEngine:
    student.model.eval()
    return TorchEngine(student.model, student.codec, max_rows=3)


def of_all_lines(grammar: LineGrammar, fields: dict[str, str], label: str) -> set[str]:
    """Every line that a rule allows, by following it."""
    rule = grammar.rule(fields, label)
    assert rule is not None
    codec, lines, paths = grammar._codec, set(), [[]]  # type: ignore[var-annotated]
    while paths:
        path = paths.pop()
        for token in rule(path):
            if token == codec.eos_token_id:
                lines.add(codec.decode(path))
            else:
                paths.append([*path, token])
    return lines


@pytest.mark.parametrize("name", ["t5", "bart", "byt5", "word pieces"])
def test_the_grammar_allows_the_lines_of_the_label_and_no_others(name: str, word_pieces: Checkpoint) -> None:
    codec = students("label_first", word_pieces)[name].codec
    fields = {"premise": "A man, in a park.", "hypothesis": "A boy is outdoors"}
    lines = of_all_lines(LineGrammar(codec, STRUCTURE, prefix="neutral explanation:", room=999), fields, "neutral")
    expected = {
        Claim("leaves open", first, second).line.casefold()
        for first in STRUCTURE.spans(fields["premise"])
        for second in STRUCTURE.spans(fields["hypothesis"])
    }
    assert {line.replace(" ,", ",").casefold() for line in lines} == expected


ORDERS: list[OutputOrder] = ["label_first", "explanation_first", "explanation_only", "separate"]


@pytest.mark.parametrize("order", ORDERS)
def test_a_student_that_has_learned_nothing_writes_valid_structures(
    order: OutputOrder, word_pieces: Checkpoint
) -> None:
    for name, student in students(order, word_pieces).items():
        room = ROOM if name != "byt5" else Generation(max_new_tokens=120)
        answers = answer(engine_of(student), STRUCTURED, order, EXAMPLES, room)
        for example, own in zip(EXAMPLES, answers, strict=True):
            assert own.structure is not None, name
            claim = STRUCTURE.claim(*own.structure.values(), fields=example.fields)
            assert claim is not None
            assert own.explanation == STRUCTURE.render(claim)
            assert not own.truncated
            if order in ("label_first", "separate"):
                assert STRUCTURE.relations[claim.relation].label == own.label
        assert len({own.explanation for own in answers}) > 1
        if order != "explanation_only":  # the label is scored after the line that was written
            scores = label_scores(engine_of(student), STRUCTURED, order, EXAMPLES, room)
            labels = [STRUCTURED.labels[row.index(max(row))] for row in scores if STRUCTURED.labels]
            assert labels == [own.label for own in answers]


def test_an_explanation_for_any_label_is_scored_as_the_line_it_was_learned_as() -> None:
    engine = engine_of(tiny.student("t5"))
    for label in ("entailment", "contradiction"):
        texts = [t.text for t in explain_for(engine, STRUCTURED, "label_first", EXAMPLES, [label] * 8, ROOM)]
        relation = STRUCTURE.relations_for(label)[0]
        claims = [STRUCTURE.read_text(text, e.fields) for text, e in zip(texts, EXAMPLES, strict=True)]
        assert {claim.relation for claim in claims if claim is not None} == {relation}
        lines = [claim.line for claim in claims if claim is not None]
        scores = explanation_scores(engine, STRUCTURED, "label_first", EXAMPLES, [label] * 8, texts)
        assert scores == explanation_scores(engine, NLI, "label_first", EXAMPLES, [label] * 8, lines)


def test_nothing_is_written_where_there_is_nothing_to_copy() -> None:
    optional = replace_task(optional=("hypothesis",))
    row = pair("A man sleeps.", "?!")
    [own] = answer(engine_of(tiny.student("t5")), optional, "label_first", [row], ROOM)
    assert (own.structure, own.explanation) == (None, "")


def replace_task(**changes: Any) -> Task:
    return Task.model_validate(STRUCTURED.model_dump() | changes)


def test_too_little_room_and_a_tokenizer_without_the_bar_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"generation.max_new_tokens: expected room for a relation and two spans"):
        answer(engine_of(tiny.student("t5")), STRUCTURED, "label_first", EXAMPLES, Generation(max_new_tokens=6))
    with pytest.raises(TaskError, match=r"relations, and \|, that the tokenizer can write"):
        answer(engine_of(tiny.student("flan-t5")), STRUCTURED, "label_first", EXAMPLES, ROOM)

    class Bare:
        score = None
        generate = None

    bare: Engine = Bare()  # type: ignore[assignment]
    with pytest.raises(TaskError, match="an engine that can be held to a grammar, found Bare"):
        explain_for(bare, STRUCTURED, "label_first", EXAMPLES, ["neutral"] * 8, ROOM)


@pytest.mark.parametrize("order", ["label_first", "explanation_first"])
def test_a_package_writes_the_same(order: OutputOrder, tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2")
    student = tiny.student("t5", order)
    student.model.eval()
    student = replace(student, settings=student.settings.model_copy(update={"task": STRUCTURED}))
    package = made.engine(student, tmp_path / "package")
    native = answer(engine_of(student), STRUCTURED, order, EXAMPLES, ROOM)
    packed = answer(package, STRUCTURED, order, EXAMPLES, ROOM)
    assert [own.structure for own in packed] == [own.structure for own in native]
    assert all(own.structure for own in packed)
