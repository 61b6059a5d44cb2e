"""Silver structures, their command, the metrics of structures, and a student that learned to write them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import reasondistill as rd
import tiny
from make import mistake, pair, write_jsonl
from reasondistill.config import EvaluationSettings, Generation
from reasondistill.contracts.records import Example, Explanation, Prediction
from reasondistill.contracts.results import MetricValue
from reasondistill.data.scenes import generate
from reasondistill.errors import TaskError
from reasondistill.evaluation.assembly import evaluate
from reasondistill.tasks.structures import Claim, Structure
from reasondistill.tasks.task import NLI, explanation_prefix, get_task
from reasondistill.training.train import train
from reasondistill.verification import PairProver
from reasondistill.verification.answer_verdicts import ProvedAnswers
from reasondistill.verification.pair_labels import PairLabels
from reasondistill.verification.scenes_fragment import ScenesProver
from reasondistill.verification.silver_structures import SilverCounts, shares, with_structures
from trainings import training_config

STRUCTURED = get_task("nli_structured")
assert isinstance(STRUCTURED.structure, Structure)
STRUCTURE: Structure = STRUCTURED.structure
PROVER = PairProver()
QUICK = EvaluationSettings(bertscore=False, resamples=9)
PAGE = (Path(__file__).parents[1] / "docs" / "verification.md").read_text(encoding="utf-8")


def row(premise: str, hypothesis: str, label: str | None, *texts: str) -> Example:
    explanations = tuple(Explanation(text=text, source="people") for text in texts)
    return pair(premise, hypothesis, label=label, explanations=explanations)


def silver(*rows: Example) -> tuple[list[list[str]], SilverCounts]:
    """The structures of each row, a line each, and the counts."""
    made, counts = with_structures(rows, STRUCTURED, PROVER)
    claims = [[STRUCTURE.parse(e.text, own.fields) for e in own.explanations] for own in made]
    return [[claim.line for claim in of_row if claim is not None] for of_row in claims], counts


@pytest.mark.parametrize(
    ("example", "lines"),
    [
        (row("A man plays the violin in a park.", "A man plays an instrument outdoors.", "entailment"),
         ["implies | violin | instrument"]),
        (row("A man sits in a park.", "A man is outdoors.", "entailment"), ["implies | in a park | outdoors"]),
        (row("A man is sleeping on a couch.", "A man is running.", "contradiction"), ["excludes | sleeping | running"]),
        (row("A man sleeps.", "A man sleeps.", "entailment", "To sleep is to sleep."),
         ["implies | sleeps | sleeps"]),
        (row("A boy is on a beach.", "A boy is happy.", "neutral", "Not everyone who is on a beach is happy."),
         ["leaves open | on a beach | happy"]),
        # The label is another one: what is proved and what is stated are of no use.
        (row("A man is sleeping on a couch.", "A man is running.", "neutral", "He cannot sleep and run."), []),
        (row("A man is sleeping on a couch.", "A man is running.", None), []),
        # Nobody says "awake" in the premise.
        (row("A dog runs.", "A dog is old.", "neutral", "Not all dogs that are awake are old."), []),
        # Neither comes first where both cannot be.
        (row("A boy hums.", "A boy shouts at a wall.", "contradiction", "One cannot shout at a wall and hum."), []),
        (row("A boy is by a lake.", "A boy is on a sofa.", "contradiction", "He cannot be on a sofa and by a lake."),
         ["excludes | by a lake | on a sofa"]),
    ],
)  # fmt: skip
def test_structures_are_made_of_proofs_and_statements(example: Example, lines: list[str]) -> None:
    made, _ = silver(example)
    assert made[0][: len(lines)] == lines
    assert bool(made[0]) is bool(lines)


def test_a_structure_that_is_there_is_kept_and_a_persons_words_stay_behind_one() -> None:
    given = "excludes | couch | bed ; A couch is no bed."
    said = "He cannot be on a couch and in a bed."
    example = row("A man is on a couch.", "A man is in a bed.", "contradiction", given, said, "It is so.")
    (made,), counts = with_structures([example], STRUCTURED, PROVER)
    texts = [e.text for e in made.explanations if e.source == "people"]
    assert texts == [given, f"excludes | on a couch | in a bed ; {said}", "It is so."]
    assert [STRUCTURED.own_words(text, made.fields) for text in texts] == ["A couch is no bed.", said, "It is so."]
    assert (counts.read, counts.explanations) == (2, 3)


def test_counts_say_what_could_be_had() -> None:
    proved = row("A man is asleep.", "A man is awake.", "contradiction", "Asleep is not awake.", "x")
    said = row("A boy is on a beach.", "A boy is happy.", "neutral", "Not everyone who is on a beach is happy.")
    nothing = row("A boy is on a beach.", "A boy is happy.", "neutral", "Who knows?")
    _, counts = silver(proved, said, nothing)
    assert shares(counts) == {
        "rows with a structure": (2, 3),
        "rows of contradiction": (1, 1),
        "rows of neutral": (1, 2),
        "rows with one of a proof": (1, 3),
        "explanations read": (2, 4),
        "of those beside a proof, the same words": (1, 1),
    }


def test_every_row_of_scenes_gets_one() -> None:
    _, counts = with_structures(generate(300, seed=4), STRUCTURED, ScenesProver())
    assert shares(counts)["rows with a structure"] == (300, 300)
    assert counts.agreed == counts.compared > 200
    with pytest.raises(TaskError, match="a task with a structure"):
        with_structures([], NLI, PROVER)


# --- metrics ---


def prediction(number: int, label: str | None, explanation: str, **more: Any) -> Prediction:
    return Prediction(id=str(number), label=label, explanation=explanation, **more)


def figures(examples: list[Example], predictions: list[Prediction]) -> dict[str, MetricValue]:
    rows = [example.model_copy(update={"id": str(k)}) for k, example in enumerate(examples)]
    return evaluate(predictions, rows, task=STRUCTURED, name="own", settings=QUICK).metrics


SLEEPS = row(
    "A man is sleeping on a couch.", "A man is running.", "contradiction", "excludes | sleeping | running ; He sleeps."
)


def test_figures_of_structures_by_hand() -> None:
    claim = Claim("excludes", "sleeping", "running")
    text = STRUCTURE.render(claim)
    other = {"relation": "excludes", "from": "a couch", "to": "running"}
    metrics = figures(
        [SLEEPS] * 5,
        [
            prediction(0, "contradiction", text, structure=claim.row),
            prediction(1, "contradiction", "excludes | sleeping | running ; He is not awake."),
            prediction(2, "neutral", STRUCTURE.render(claim), structure=claim.row),
            prediction(3, "contradiction", "A couch is no place to run.", structure=other),
            prediction(4, "contradiction", "He sleeps.", structure=other | {"to": "swimming"}),
        ],
    )
    shown = {name: (m.value, m.n) for name, m in metrics.items() if name.startswith("structure_")}
    assert shown == {
        "structure_validity": (0.8, 5),
        "structure_agrees_with_text": (0.5, 4),
        "structure_agrees_with_label": (0.75, 4),
        "structure_agrees_with_proof": (pytest.approx(2 / 3), 3),  # no proof bears out neutral
        "structure_matches_gold": (0.6, 5),
    }
    assert not any(name.startswith("structure_") for name in evaluate(
        [prediction(0, "neutral", "x")], [SLEEPS.model_copy(update={"id": "0"})], task=NLI, name="own", settings=QUICK
    ).metrics)  # fmt: skip


def test_structures_of_other_rows_score_worse() -> None:
    """The negative control: everything is right but that the structures are shuffled among rows of their label."""
    rows, _ = with_structures(generate(90, seed=6), STRUCTURED, ScenesProver())
    claims = [STRUCTURE.parse(own.explanations[0].text, own.fields) for own in rows]
    by_label = {label: [k for k, own in enumerate(rows) if own.label == label] for label in STRUCTURED.labels or ()}
    next_of = {k: places[(n + 1) % len(places)] for places in by_label.values() for n, k in enumerate(places)}

    def system(place: Callable[[int], int]) -> dict[str, float]:
        chosen = [claims[place(k)] for k in range(len(rows))]
        answers = [
            prediction(k, own.label, STRUCTURE.render(claim), structure=claim.row)
            for k, (own, claim) in enumerate(zip(rows, chosen, strict=True))
            if claim is not None
        ]
        return {name: m.value for name, m in figures(rows, answers).items()}

    right, shuffled = system(lambda k: k), system(lambda k: next_of[k])
    for name in ("structure_validity", "structure_agrees_with_proof", "structure_matches_gold"):
        assert right[name] == 1
    assert shuffled["structure_validity"] < 0.2
    assert shuffled["structure_matches_gold"] < 0.1


def test_a_proofs_structure_takes_the_place_of_the_students() -> None:
    claim = Claim("excludes", "a couch", "running").row
    answers = ProvedAnswers(PROVER, PairLabels.of(STRUCTURED), structure=STRUCTURE)
    own = answers(SLEEPS, prediction(1, "contradiction", "x", structure=claim))
    assert own.structure == {"relation": "excludes", "from": "sleeping", "to": "running"}
    assert own.explanation == "“sleeping” excludes “running”."
    assert own.model_extra is not None
    assert (own.model_extra["student_structure"], own.model_extra["student_explanation"]) == (claim, "x")
    same = row("A man sleeps.", "A man sleeps.", "entailment")  # a proof that replaces no word makes none
    kept = answers(same, prediction(1, "entailment", "x", structure=claim))
    assert (kept.structure, kept.explanation) == (claim, "x")


# --- commands ---


def test_a_file_gets_its_structures(command: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    out = tmp_path / "structured.jsonl"
    status, text = command("data", "structures", "scenes:60", "--out", out)
    assert status == 0, text
    assert re.search(r"rows with a structure +│ 60 +│ 60 +│ 100.0%", text), text
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert all(STRUCTURE.parse(own["explanations"][0]["text"], own["fields"]) for own in rows)
    assert command("data", "structures", "scenes:60", "--out", out)[0] == 2  # nothing is overwritten
    status, text = command("data", "structures", "scenes:9", "--out", tmp_path / "o.jsonl", "--task", "nli")
    assert (status, "a task with a structure" in text) == (2, True), text
    bare = tmp_path / "bare.csv"
    bare.write_text("premise,hypothesis,label,explanation\nA dog.,It is old.,neutral,Who knows?\n", encoding="utf-8")
    status, text = command("data", "structures", bare, "--out", tmp_path / "o.jsonl")
    assert (status, "explanations that a structure can be had of" in text) == (2, True), text
    assert not (tmp_path / "o.jsonl").exists()
    assert command("data", "structures", bare, "--out", tmp_path / "o.jsonl", "--keep-all")[0] == 0


def test_a_structure_is_printed_as_json(command: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    student = tiny.student("t5", generation=Generation(num_beams=1, max_new_tokens=60))
    settings = student.settings.model_copy(update={"task": STRUCTURED})
    type(student)(student.model, student.tokenizer, settings).save(tmp_path / "student")
    words = ("premise=A man sleeps.", "hypothesis=A man is awake.")
    status, text = command("explain", tmp_path / "student", *words, "--structured")
    assert status == 0, text
    shown = json.loads(text)
    assert set(shown) == {"label", "relation", "from", "to", "text"}
    fields = {"premise": "A man sleeps.", "hypothesis": "A man is awake."}
    claim = STRUCTURE.claim(shown["relation"], shown["from"], shown["to"], fields=fields)
    assert claim is not None
    assert shown["text"] == STRUCTURE.render(claim)
    status, text = command("explain", "builtin:scenes", *words, "--structured")
    assert (status, "a student that writes structures" in text) == (2, True), text


def test_training_without_any_structure_is_refused(tmp_path: Path) -> None:
    config = training_config(tmp_path, task="nli_structured")
    mistake(lambda: train(config), "explanations with a structure", "reasondistill data structures")


# --- the page ---


def test_the_pages_example_is_what_comes_out() -> None:
    ((premise, hypothesis, label, said, line, text),) = re.findall(
        r"\*(A [^*]+)\* / \*(A [^*]+)\*, `(\w+)`, explained by *\n? *“([^”]+)”.*?```text\n([^\n]+)\n([^\n]+)\n```",
        PAGE, re.S,
    )  # fmt: skip
    (made,), _ = with_structures([row(premise, hypothesis, label, said)], STRUCTURED, PROVER)
    assert [e.text for e in made.explanations] == [line, text]


# --- a student ---


@pytest.mark.slow
def test_a_student_that_learned_structures_writes_valid_ones_that_hold(tmp_path: Path) -> None:
    rows, _ = with_structures(generate(2400, seed=0), STRUCTURED, ScenesProver())
    file = write_jsonl(tmp_path / "structured.jsonl", *(own.model_dump(mode="json", exclude_none=True) for own in rows))
    config = training_config(
        tmp_path,
        task="nli_structured",
        data={"train": {"source": str(file), "split": "train"}},
        max_target_length=48,
        student={"kind": "scratch", "d_model": 64, "d_ff": 128, "d_kv": 16, "num_heads": 4, "num_layers": 2}
        | {"num_decoder_layers": 1, "vocab_size": 700},
        training={"max_steps": 400, "per_device_train_batch_size": 16, "learning_rate": 3e-3, "save_strategy": "no"}
        | {"use_cpu": True, "disable_tqdm": True},
        generation={"num_beams": 1, "max_new_tokens": 48},
    )
    student = rd.Student.load(train(config).folder)
    held_out = [own for own in rows if own.split == "test"][:200]
    answers = student.predict(held_out)
    metrics = evaluate(answers, held_out, task=STRUCTURED, name="scenes", settings=QUICK).metrics
    assert metrics["structure_validity"].value == 1.0
    assert metrics["structure_agrees_with_text"].value == 1.0
    assert metrics["structure_agrees_with_label"].value == 1.0
    assert metrics["structure_agrees_with_proof"].value > 0.8
    # Only a right label can have the gold structure: of those, most have it.
    assert metrics["structure_matches_gold"].value > 0.7 * metrics["label_accuracy"].value > 0.7 / 3
    prompts = [STRUCTURED.render_prompts("label_first", own)["explanation"] for own in held_out]
    prefixes = [explanation_prefix("label_first", own.label) for own in answers]
    free = student.engine.generate(prompts, prefixes, student.generation)
    valid = sum(STRUCTURE.parse(w.text, own.fields) is not None for w, own in zip(free, held_out, strict=True))
    assert valid < len(held_out)  # the grammar is what makes them so
