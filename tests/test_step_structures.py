"""Explanations of several steps: parsed strictly, written under a grammar, read from EntailmentBank, scored."""

from __future__ import annotations

import json
import random
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import packaging_helpers as made
import tiny
from reasondistill.config import EvaluationSettings, Generation
from reasondistill.contracts.records import Example, Explanation, Prediction
from reasondistill.data import load
from reasondistill.errors import ConfigError, DataError, TaskError
from reasondistill.evaluation.assembly import evaluate
from reasondistill.evaluation.step_explanations import chain, one_step
from reasondistill.metrics.step_trees import TREE_SCORES, tree_scores
from reasondistill.students.checkpoint import Checkpoint
from reasondistill.students.codec import Codec
from reasondistill.students.engines import answer
from reasondistill.students.engines.pytorch import TorchEngine
from reasondistill.students.step_grammar import StepGrammar
from reasondistill.tasks.step_structures import StepStructure, Tree
from reasondistill.tasks.task import Task, get_task

TASK = get_task("entailment_bank")
assert isinstance(TASK.structure, StepStructure)
STRUCTURE: StepStructure = TASK.structure
FIELDS = {
    "question": "What conducts?",
    "answer": "a copper wire",
    "hypothesis": "a copper wire conducts electricity",
    "context": "sent1: copper is a metal sent2: metals conduct electricity sent3: the wire is of copper",
}
LINE = "sent1 & sent2 -> int1: copper conducts electricity ; int1 & sent3 -> hypothesis"
SENTENCES = {"sent1": "copper is a metal", "sent2": "metals conduct electricity", "sent3": "the wire is of copper"}


def tree(line: str, **fields: str) -> Tree:
    parsed = STRUCTURE.parse(line, FIELDS | fields)
    assert parsed is not None, line
    return parsed


# --- the form ---


def test_a_tree_has_its_sentences_its_leaves_and_its_text() -> None:
    parsed = tree("sent1 & sent2 -> int1: copper conducts electricity; int1 & sent3 -> hypothesis; ")  # as in the file
    assert parsed.line == LINE
    assert parsed.row == {"steps": LINE}
    assert parsed.sentences == SENTENCES
    assert parsed.leaves == {"int1": {"sent1", "sent2"}, "hypothesis": {"sent1", "sent2", "sent3"}}
    assert STRUCTURE.render(parsed) == (
        "Copper is a metal, and metals conduct electricity; so copper conducts electricity. "
        "Copper conducts electricity, and the wire is of copper; so a copper wire conducts electricity."
    )
    assert TASK.own_words(LINE, FIELDS) == STRUCTURE.render(parsed)
    assert TASK.own_words("Copper conducts.", FIELDS) == "Copper conducts."
    spelt = tree("SENT1 &sent2 - > int1 : copper conducts electricity;int1&sent3->Hypothesis")  # as tokenizers do
    assert spelt == parsed


@pytest.mark.parametrize(
    "line",
    [
        "",
        "copper conducts electricity",
        "sent1 & sent2 -> int1: copper conducts",  # the goal is not reached
        "sent1 & sent4 -> hypothesis",  # no such sentence
        "int1 & sent1 -> int1: x ; int1 -> hypothesis",  # not concluded yet
        "sent1 & sent1 -> hypothesis",  # twice
        "sent1 -> int1: x ; sent2 -> hypothesis",  # int1 is not used
        "sent1 -> int2: x ; int2 -> hypothesis",  # out of turn
        "sent1 -> hypothesis ; sent2 -> hypothesis",
        "sent1 -> int1: ; int1 -> hypothesis",  # nothing is said
        "sent1 -> int1 ; int1 -> hypothesis",
        "sent1 -> goal",
        "sent1 sent2 -> hypothesis",
        "sent1 -> hypothesis: it conducts",
        "-> hypothesis",
        "sent1 -> hypothesis ;; ",
    ],
)
def test_what_is_no_tree_is_not_repaired(line: str) -> None:
    assert STRUCTURE.parse(line, FIELDS) is None


def test_numbers_out_of_turn_are_text() -> None:
    context = "sent1: in sent3: there is air  sent2: sent1: is\ta line"
    assert STRUCTURE.sentences({"context": context}) == {"sent1": "in sent3: there is air", "sent2": "sent1: is a line"}
    assert STRUCTURE.sentences({"context": "no numbers"}) == {}


words = st.lists(st.sampled_from("a copper {premises} -> & : sent1 int1 wood 犬 É".split()), min_size=1, max_size=5)
conclusions = words.map(" ".join).filter(lambda text: text[0] != ":")


@settings(max_examples=200, deadline=None)
@given(st.lists(conclusions, min_size=1, max_size=6), st.data())
def test_any_tree_comes_back_from_its_line(texts: list[str], data: st.DataObject) -> None:
    fields = FIELDS | {"context": " ".join(f"sent{k}: {text}" for k, text in enumerate(texts, start=1))}
    left, steps = [f"sent{k}" for k in range(1, len(texts) + 1)], list[str]()
    while len(left) > 1 and data.draw(st.booleans()):
        premises = data.draw(st.lists(st.sampled_from(left), min_size=1, max_size=3, unique=True))
        name = f"int{len(steps) + 1}"
        steps.append(f"{' & '.join(premises)} -> {name}: {data.draw(conclusions)}")
        left = [*(other for other in left if other not in premises), name]
    line = " ; ".join([*steps, f"{' & '.join(left)} -> hypothesis"])
    parsed = STRUCTURE.parse(line, fields)
    assert parsed is not None
    assert parsed.line == line
    assert STRUCTURE.parse(parsed.line.replace(" ;", ";"), fields) == parsed
    assert tree_scores(parsed, parsed) == dict.fromkeys(TREE_SCORES, 1.0)


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("sent123 int->&:;hypothesis x"), max_size=60))
def test_any_text_is_a_tree_or_none(text: str) -> None:
    parsed = STRUCTURE.parse(text, FIELDS)
    assert parsed is None or STRUCTURE.parse(parsed.line, FIELDS) == parsed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sentences_field": "text"}, r"\['text'\] are not among the fields"),
        ({"text": "{premises}"}, r"needs \{premises\} and \{conclusion\}"),
        ({"goal_field": "int1"}, "could not tell 'int1'"),
        ({"relations": {}}, "Extra inputs"),
    ],
)
def test_mistakes_in_a_structure_of_steps_are_refused(change: dict[str, Any], message: str) -> None:
    value = TASK.model_dump(mode="json")
    value["structure"] |= change
    with pytest.raises(ValidationError, match=message):
        Task.model_validate(value)


def test_a_task_with_steps_comes_back_from_its_file() -> None:
    assert Task.model_validate(TASK.model_dump(mode="json")) == TASK


# --- what is learned, and what may be written ---


def example(*proofs: str, **more: Any) -> Example:
    return Example(
        id="1", fields=FIELDS, explanations=tuple(Explanation(text=text, source="proof") for text in proofs), **more
    )


def test_a_target_holds_the_line() -> None:
    ((prompt, [target]),) = TASK.render("explanation_only", example(), [LINE.replace(" ;", ";"), "It conducts."])
    assert target.text == LINE
    assert prompt.startswith("question: What conducts? answer: a copper wire hypothesis: ")
    assert TASK.render("explanation_only", example(), ["It conducts."]) == []


def unigram() -> Any:
    """A tokenizer as T5's, with pieces that hold a mark and the end of a word."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    characters = sorted({*LINE, *FIELDS["context"], "4", "5", "6", "7", "8", "9", "0"} - {" "})
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -5.0), ("▁sent", -2.0), ("▁int", -2.0)]
    pieces += [("r;", -1.0), ("▁;", -2.0), ("▁->", -2.0), *((character, -6.0) for character in characters)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


def codecs() -> dict[str, Codec]:
    known = {family: tiny.student(family).codec for family in ("t5", "bart", "byt5")}
    own = Codec(unigram(), decoder_start_token_id=0, max_source_length=64, max_target_length=64)
    return known | {"unigram": own}


def written_at_random(rule: Any, codec: Codec, room: int, generator: random.Random) -> list[int]:
    ids: list[int] = []
    while codec.eos_token_id not in ids:
        assert len(ids) < room
        allowed = rule(ids)
        assert allowed == sorted(allowed)
        ids.append(generator.choice(allowed))
    return ids


@pytest.mark.parametrize("name", ["t5", "bart", "byt5", "unigram"])
def test_whatever_the_grammar_allows_is_a_tree(name: str) -> None:
    codec = codecs()[name]
    generator, lengths = random.Random(name), set()
    for sentences in (1, 2, 11):
        fields = FIELDS | {"context": " ".join(f"sent{k}: it is so" for k in range(1, sentences + 1))}
        least = 0
        for _ in range(25):
            room = generator.randint(max(least, 60), 400)
            try:
                rule = StepGrammar(codec, STRUCTURE, room=room).rule(fields, None)
            except ConfigError as error:
                least = int(str(error.expected).rsplit(" ", 1)[-1])
                assert least > room
                continue
            ids = written_at_random(rule, codec, room, generator)
            assert rule is not None
            assert rule(ids) == [codec.eos_token_id]
            assert rule(ids[:1]) == rule([*ids[:1]])  # and from the start again
            parsed = STRUCTURE.parse(codec.decode(ids), fields)
            assert parsed is not None, codec.decode(ids)
            lengths.add(len(parsed.steps))
    assert len(lengths) > 1


@pytest.mark.parametrize("name", ["t5", "bart", "byt5", "unigram"])
def test_the_grammar_allows_what_is_learned(name: str) -> None:
    codec = codecs()[name]
    rule = StepGrammar(codec, STRUCTURE, room=300).rule(FIELDS, None)
    assert rule is not None
    start = codec.encode_prefix("")
    ids = [*codec.encode_prefix(LINE)[len(start) :], codec.eos_token_id]
    for place, token in enumerate(ids):
        assert token in rule(ids[:place]), codec.decode(ids[: place + 1])


def engine_of(student: Checkpoint) -> TorchEngine:
    student.model.eval()
    return TorchEngine(student.model, student.codec, max_rows=3)


ROWS = [example(), example().model_copy(update={"fields": FIELDS | {"context": "sent1: it is so"}, "id": "2"})]


def test_a_student_that_has_learned_nothing_writes_trees() -> None:
    room = Generation(max_new_tokens=90)
    for own, row in zip(answer(engine_of(tiny.student("t5")), TASK, "explanation_only", ROWS, room), ROWS, strict=True):
        assert own.structure is not None
        parsed = STRUCTURE.parse(own.structure["steps"], row.fields)
        assert parsed is not None
        assert (own.explanation, own.truncated) == (STRUCTURE.render(parsed), False)
    nothing = example().model_copy(update={"fields": FIELDS | {"context": "nothing"}})
    [own] = answer(engine_of(tiny.student("t5")), TASK, "explanation_only", [nothing], room)
    assert (own.structure, own.explanation) == (None, "")
    with pytest.raises(ConfigError, match="room for a step, at least"):
        answer(engine_of(tiny.student("t5")), TASK, "explanation_only", ROWS, Generation(max_new_tokens=4))
    with pytest.raises(TaskError, match="a tokenizer that can write"):
        answer(engine_of(tiny.student("flan-t5")), TASK, "explanation_only", ROWS, room)


def test_a_package_writes_the_same_trees(tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2")
    student = tiny.student("t5", "explanation_only")
    student = replace(student, settings=student.settings.model_copy(update={"task": TASK}))
    room = Generation(max_new_tokens=60)
    native = answer(engine_of(student), TASK, "explanation_only", ROWS, room)
    package = made.engine(student, tmp_path / "package")
    assert answer(package, TASK, "explanation_only", ROWS, room) == native


# --- EntailmentBank's files ---

ROW = {"id": "q1", "proof": LINE.replace(" ;", ";") + "; ", "depth_of_proof": 2, **FIELDS}
SLOTS = "$proof$ ; " + " ; ".join(f"${name}$ = {FIELDS[name]}" for name in FIELDS) + f"\t$proof$ = {ROW['proof']}"


def test_both_forms_of_entailment_bank_are_read(tmp_path: Path) -> None:
    (tmp_path / "dev.jsonl").write_text(json.dumps(ROW) + "\n", encoding="utf-8")
    no_tree = SLOTS.replace("int1 & sent3 -> hyp", "sent3 -> hyp")
    (tmp_path / "train.tsv").write_text(f"{SLOTS}\n{no_tree}\n", encoding="utf-8")
    task = load_task(tmp_path / "dev.jsonl")
    assert task == TASK == load_task(tmp_path / "train.tsv")
    [row] = load(tmp_path / "dev.jsonl").examples
    assert (row.id, row.label, row.fields, row.group) == ("q1", None, FIELDS, FIELDS["question"])
    assert [e.text for e in row.references] == [LINE]
    loaded = load(tmp_path / "train.tsv", task=task)
    first, second = loaded.examples
    assert (first.fields, first.references) == (FIELDS, row.references)
    assert (first.id, second.references) == ("train.tsv:1", [])
    assert loaded.set_aside == {"proof whose steps are no tree": 1}


def load_task(path: Path) -> Task:
    from reasondistill.data.recognising import recognise

    return recognise(path).task


def test_its_steps_can_be_read_for_an_answer_that_is_a_text(tmp_path: Path) -> None:
    (tmp_path / "dev.jsonl").write_text(json.dumps(ROW) + "\n", encoding="utf-8")
    task = Task.model_validate({"name": "qa", "fields": ["question", "context"], "answer": "text"})
    [row] = load(tmp_path / "dev.jsonl", task=task).examples
    assert (row.label, row.references[0].text) == ("a copper wire", STRUCTURE.render(tree(LINE)))
    (tmp_path / "broken.jsonl").write_text(json.dumps({**ROW, "context": 3}) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="found none under context"):
        load(tmp_path / "broken.jsonl", task=TASK)


@pytest.mark.real
def test_entailment_banks_proofs_are_trees(data_folder: Path) -> None:
    folder = data_folder / "entailment_bank"
    for name, rows, trees in (("task_1_train.tsv", 1313, 1311), ("task_1_dev.jsonl", 187, 187)):
        loaded = load(folder / name, task=TASK)
        gold = [STRUCTURE.parse(row.references[0].text, row.fields) for row in loaded.examples if row.references]
        assert (len(loaded), len(gold)) == (rows, trees)
        assert all(own is not None and tree_scores(own, own)["tree_all_correct_rougeL"] == 1 for own in gold)


# --- figures ---


def test_scores_of_a_tree_by_hand() -> None:
    gold = tree(LINE)
    # int1 rests on {1, 3}: it shares 1 of 3 with the gold int1, and 2 of 3 with the hypothesis.
    other = tree("sent1 & sent3 -> int1: copper conducts electricity ; int1 & sent2 -> hypothesis")
    assert tree_scores(other, gold) == {
        "tree_leaves_f1": 1, "tree_leaves_all_correct": 1, "tree_steps_f1": 0, "tree_steps_all_correct": 0,
        # Beside the hypothesis's text: 2 words of 3 and 5 in order are 2·2/8 < 0.8. The hypothesis itself is right.
        "tree_intermediates_f1_rougeL": 0.5, "tree_intermediates_all_correct_rougeL": 0, "tree_all_correct_rougeL": 0,
    }  # fmt: skip
    # The hypothesis rests on what int1 does, and is taken for it: the step is right, its text is not.
    short = tree_scores(tree("sent1 & sent2 -> hypothesis"), gold)
    assert short["tree_leaves_f1"] == pytest.approx(4 / 5)
    assert short["tree_steps_f1"] == pytest.approx(2 / 3)
    assert short["tree_intermediates_f1_rougeL"] == short["tree_leaves_all_correct"] == 0
    # One step instead of two: all leaves; no step; its conclusion is right, one of two gold ones is.
    flat = tree_scores(tree("sent1 & sent2 & sent3 -> hypothesis"), gold)
    assert (flat["tree_leaves_f1"], flat["tree_steps_f1"]) == (1, 0)
    assert flat["tree_intermediates_f1_rougeL"] == pytest.approx(2 / 3)
    assert (flat["tree_intermediates_all_correct_rougeL"], flat["tree_all_correct_rougeL"]) == (1, 0)
    assert tree_scores(None, gold) == dict.fromkeys(TREE_SCORES, 0.0)


def test_a_conclusions_text_is_right_from_a_rouge_l_of_four_fifths() -> None:
    gold = tree("sent1 & sent2 -> int1: all of it is so ; int1 & sent3 -> hypothesis")
    for text, f1 in (("all of it was so", 1.0), ("all of it was not", 0.5)):  # 4 and 3 of 5 words
        scores = tree_scores(tree(f"sent2 & sent1 -> int1: {text} ; sent3 & int1 -> hypothesis"), gold)
        assert (scores["tree_intermediates_f1_rougeL"], scores["tree_steps_all_correct"]) == (f1, 1)


def test_conclusions_with_the_same_leaves_align_in_turn() -> None:
    twice = tree("sent1 & sent2 -> int1: x ; int1 -> int2: y ; int2 & sent3 -> int3: z ; int3 -> hypothesis")
    assert tree_scores(twice, twice) == dict.fromkeys(TREE_SCORES, 1.0)


def test_evaluation_gives_the_figures_of_trees_beside_their_baselines() -> None:
    rows = [example(LINE), example(LINE).model_copy(update={"id": "2"}), example().model_copy(update={"id": "3"})]
    predictions = [
        Prediction(id="1", label=None, explanation="Read out.", structure={"steps": LINE}),
        Prediction(id="2", label=None, explanation="sent1 -> int1"),
        Prediction(id="3", label=None, explanation=LINE),
    ]
    evaluation = evaluate(
        predictions, rows, task=TASK, name="bank", settings=EvaluationSettings(bertscore=False, resamples=20)
    )
    metrics, baselines = evaluation.metrics, evaluation.results.baselines
    assert metrics["structure_validity"].value == pytest.approx(2 / 3)
    assert metrics["structure_validity"].n == 3
    assert (metrics["tree_all_correct_rougeL"].value, metrics["tree_all_correct_rougeL"].n) == (0.5, 2)
    assert [row.score("tree_steps_f1") for row in evaluation.rows] == [1, 0, None]
    assert baselines["one_step"]["tree_steps_f1"] == 0
    # The chain is the gold tree but for the text "copper is a metal and metals conduct electricity".
    assert (baselines["chain"]["tree_steps_f1"], baselines["chain"]["tree_all_correct_rougeL"]) == (1, 0)
    assert evaluation.results.settings["trees"]["text"] == "rougeL_intl >= 0.8"


def test_baselines_of_one_sentence_and_of_several() -> None:
    one = FIELDS | {"context": "sent1: it is so; or not"}
    assert [made and made.line for made in (one_step(STRUCTURE, one), chain(STRUCTURE, one))] == [
        "sent1 -> hypothesis"
    ] * 2
    chained = chain(STRUCTURE, FIELDS)
    assert chained is not None
    assert chained.line == (
        "sent1 & sent2 -> int1: copper is a metal and metals conduct electricity ; int1 & sent3 -> hypothesis"
    )


def test_the_benchmark_of_the_baselines_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "dev.jsonl"
    path.write_text(json.dumps(ROW) + "\n", encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["tree_baselines.py", str(path), str(path)])
    script = Path(__file__).resolve().parents[1] / "benchmarks" / "tree_baselines.py"
    runpy.run_path(str(script), run_name="__main__")
    printed = capsys.readouterr().out
    assert "'tree_steps_f1': 1.0" in printed.split("chain")[1]
    # The likelier premise, “metals conduct electricity”, shares one of three words with the conclusion.
    assert "a copied premise, of 1: {0.5: '0.0%'" in printed
