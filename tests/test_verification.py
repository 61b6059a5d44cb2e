"""Reading captions, the lexicon, verdicts beside answers, and the commands that use them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reasondistill as rd
from make import answer, mistake, pair, write_jsonl
from reasondistill.contracts.records import Example, Prediction
from reasondistill.contracts.results import Results
from reasondistill.contracts.row_files import read_rows
from reasondistill.contracts.verification import VerifiedRow
from reasondistill.data.scenes import generate
from reasondistill.errors import ConfigError
from reasondistill.evaluation.proved_answers import verify
from reasondistill.run_data import RunData
from reasondistill.tasks.task import NLI, Task
from reasondistill.teachers.filters.filter_definition import Candidate, Pool
from reasondistill.teachers.filters.verified import Verified
from reasondistill.training.train import train
from reasondistill.verification import PairProver
from reasondistill.verification.answer_verdicts import OnConflict, ProvedAnswers
from reasondistill.verification.lexicon import Lexicon, lexicon_parts, read_relations, shipped_relations
from reasondistill.verification.pair_labels import PairLabels
from reasondistill.verification.reading import OutsideError, read
from reasondistill.verification.scenes_fragment import ScenesProver
from reasondistill.verification.wordnet_files import TABLE, build_table
from trainings import training_config

LEXICON = Lexicon(*lexicon_parts())
PROVER = PairProver()

PAIRS = [
    ("A man plays the violin in a park.", "A man plays an instrument outdoors.", "entailment"),
    ("A man is sleeping on a couch.", "A man is running.", "contradiction"),
    ("A woman is reading a book.", "A woman is reading a long novel.", "neutral"),
]


def conditions(text: str, *, whole: bool = True) -> set[str]:
    return {f"{c.predicate} {' '.join(map(str, c.of))}" for c in read(text, LEXICON, whole=whole).conditions}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A young boy kicks a ball.", {"noun boy 0", "adjective young 0", "verb kick 0", "noun ball 1",
                                         "verb kick 0 1"}),
        ("There are two dogs outside.", {"noun dog 0", "number 2 0", "number exactly 2 0", "adjective outdoors 0"}),
        ("A man in a hat is sitting.", {"noun man 0", "noun hat 1", "verb wear 0", "verb wear 0 1", "verb sit 0"}),
        ("There are two dogs in this picture.", {"noun dog 0", "number 2 0", "number exactly 2 0"}),
        ("A ball is thrown by a girl.", {"noun ball 0", "noun girl 1", "verb throw 1", "verb throw 1 0"}),
        ("A smiling woman stands near a tree", {"noun woman 0", "verb smile 0", "verb stand 0", "noun tree 1",
                                                "preposition near 0 1"}),
        ("A group of people wait in line.", {"noun person 0", "number 3 0", "verb wait 0", "noun line 1",
                                             "preposition in 0 1"}),
    ],
)  # fmt: skip
def test_a_caption_is_read_into_conditions(text: str, expected: set[str]) -> None:
    assert conditions(text) == expected


def test_whoever_is_with_clothes_wears_them() -> None:
    assert conditions("A girl with a hat runs.", whole=False) >= {"verb wear 0 1", "preposition with 0 1"}
    assert "verb wear 0 1" not in conditions("A girl with a hat runs.")  # what has to be shown
    assert "verb wear 0 1" not in conditions("A box with a hat.", whole=False)
    for hypothesis in ("A girl wears a hat.", "A girl with a hat is running."):
        proof = PROVER.outcome("A girl with a hat runs.", hypothesis).proof
        assert proof is not None
        assert proof.conclusion == "entailment"


@pytest.mark.parametrize(
    "text",
    ["A man is not sleeping.", "A man can swim.", "A man or a woman runs.", "Is a man there?", "", "A toy dog runs.",
     "A man sleeps. A dog runs.", "A man is taller than a boy."],
)  # fmt: skip
def test_what_is_outside_the_fragment_is_not_read(text: str) -> None:
    with pytest.raises(OutsideError):
        read(text, LEXICON, whole=True)


def test_a_premise_is_read_up_to_a_negation_and_not_past_an_alternative() -> None:
    form = read("A man is sitting but not reading.", LEXICON, whole=False)
    assert [c.predicate for c in form.conditions] == ["noun man", "verb sit"]
    assert form.skipped
    with pytest.raises(OutsideError):
        read("A man or a woman runs.", LEXICON, whole=False)


WORDS = (
    "a an the two no every man men dogs dog red running runs is are in on with and of to while who , her not quickly"
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS.split()), max_size=14).map(" ".join)))
def test_any_text_is_read_or_outside(text: str) -> None:
    for whole in (True, False):
        try:
            form = read(text, LEXICON, whole=whole)
        except OutsideError:
            continue
        assert form.conditions
        assert not (whole and form.skipped)
        assert all(of < len(form.participants) for c in form.conditions for of in c.of)


@settings(max_examples=150, deadline=None)
@given(*[st.lists(st.sampled_from(WORDS.split()), max_size=10).map(" ".join)] * 2)
def test_whatever_is_proved_of_any_words_the_checker_accepts(premise: str, hypothesis: str) -> None:
    outcome = PROVER.outcome(premise, hypothesis)  # raises where the checker refuses
    assert outcome.outside or outcome.proof or outcome.proof is None


def test_no_predicate_is_in_two_members_of_an_exclusive_set() -> None:
    for name, members in shipped_relations().exclusive.items():
        for k, member in enumerate(members):
            for predicate in member:
                others = [p for other in (*members[:k], *members[k + 1 :]) for p in other]
                assert not any(LEXICON.path(predicate, other) for other in others), (name, predicate)


def test_a_users_relations_win(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        "isa: {noun frobnicator: noun instrument}\nnever: {noun violin: [noun instrument]}\n"
        "exclusive: {colours: []}\nplaces: {adjective outdoors: [noun veranda]}\n",
        encoding="utf-8",
    )
    prover = PairProver(own)

    def proved(premise: str, hypothesis: str) -> str | None:
        proof = prover.outcome(premise, hypothesis).proof
        return proof.conclusion if proof else None

    assert proved("A man plays a frobnicator.", "A man plays an instrument.") == "entailment"
    assert proved("A man plays a violin.", "A man plays an instrument.") is None
    assert proved("A red car is parked.", "The car is blue.") is None
    assert PROVER.outcome("A red car is parked.", "The car is blue.").proof is not None
    assert proved("A man sits on a veranda.", "A man is outdoors.") == "entailment"


def test_mistakes_in_relations_are_named_at_once(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("isa: {poodle: [noun dog], noun cat: [animal]}\nmore: 1\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_relations(own)
    assert all(text in str(caught.value) for text in ("poodle", "animal", "more", "a kind of word"))


@pytest.mark.parametrize(
    ("premise", "hypothesis", "text"),
    [
        (*PAIRS[0][:2], "A violin is an instrument and whoever is in a park is outdoors, so it follows that a man "
                        "plays an instrument outdoors."),
        (*PAIRS[1][:2], "The man cannot be sleeping and running at the same time."),
        (*PAIRS[2][:2], "There may be a scene with a woman and a book, just as the premise says, in which nothing is a "
                        "novel and the long novel is not long."),
        ("A man is here.", "A woman is here.", "A man is not a woman."),
        ("A black dog runs fast.", "A dog runs.", "The premise says so, among other things: a dog runs."),
    ],
)  # fmt: skip
def test_proofs_and_counter_models_read_as_sentences(premise: str, hypothesis: str, text: str) -> None:
    assert PROVER.outcome(premise, hypothesis).explanation == text


def test_a_counter_model_is_a_scene_of_the_premise_without_what_is_missing() -> None:
    model = PROVER.outcome(*PAIRS[2][:2]).counter_model
    assert model is not None
    given, wanted = (read(text, LEXICON, whole=True) for text in PAIRS[2][:2])
    assert set(given.conditions) <= set(model.facts)
    assert {wanted.conditions[k].word for k in model.missing} == {"novel", "long"}


def rows() -> list[Example]:
    return [pair(premise, hypothesis, id=str(k), label=label) for k, (premise, hypothesis, label) in enumerate(PAIRS)]


def test_verdicts_beside_answers() -> None:
    answers = [Prediction(id=str(k), label=label) for k, label in enumerate(("entailment", "neutral", "neutral"))]
    verified = verify(answers, rows(), task=NLI, name="three")
    assert [(row.verdict, row.proved) for row in verified.rows] == [
        ("verified", "entailment"), ("conflict", "contradiction"), ("unknown", None),
    ]  # fmt: skip
    summary = verified.summary
    assert [round(f.value, 3) for f in (summary.verified, summary.conflict, summary.unknown)] == [0.333, 0.333, 0.333]
    assert summary.conflict_right is not None
    assert summary.hybrid is not None
    assert (summary.conflict_right.value, summary.hybrid.student.value, summary.hybrid.hybrid.value) == (1, 2 / 3, 1)
    assert summary.assumptions["same_scene"] == 1


def test_another_task_names_its_fields_and_labels() -> None:
    task = Task(name="claims", fields=("text", "claim"), labels=("yes", "no", "open"), prompt="{text} {claim}")
    examples = [
        Example(id=str(k), fields={"text": premise, "claim": hypothesis}, label=label)
        for k, (premise, hypothesis, label) in enumerate((*p[:2], {"entailment": "yes"}.get(p[2], "no")) for p in PAIRS)
    ]
    answers = [{"id": str(k), "label": "yes", "explanation": ""} for k in range(3)]
    mistake(lambda: rd.verify(answers, examples, task=task), "claims", "premise and hypothesis", "--pair")
    fields = {"premise": "text", "hypothesis": "claim"}
    mistake(lambda: rd.verify(answers, examples, task=task, pair=fields), "entailment", "yes, no, open", "--proves")
    labels = {"entailment": "yes", "contradiction": "no"}
    verified = rd.verify(answers, examples, task=task, pair=fields, proves=labels)
    assert [row.verdict for row in verified.rows] == ["verified", "conflict", "unknown"]
    mistake(lambda: rd.verify(answers, examples, task=task, pair=fields, proves={"neutral": "open"}), "neutral")


def test_the_command_writes_verdicts_and_a_report_shows_them(
    command: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    data = write_jsonl(tmp_path / "data.jsonl", *(row.model_dump(mode="json", exclude_none=True) for row in rows()))
    answers = write_jsonl(tmp_path / "p.jsonl", *({"id": str(k), "label": "entailment"} for k in range(3)))
    out = tmp_path / "out"
    status, text = command("verify", answers, data, "--out", out)
    assert (status, "verified" in text) == (0, True), text
    assert [row.verdict for row in read_rows(VerifiedRow, out / "verify.jsonl")] == ["verified", "conflict", "unknown"]
    assert Results.load(out / "results.json").verification is not None
    assert command("report", out)[0] == 0
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Verified answers" in page
    assert "cannot be sleeping and running" in page
    assert command("verify", answers, data, "--out", out)[0] == 2  # nothing is overwritten
    status, text = command("verify", answers, data, "--out", tmp_path / "o", "--fragment", "prose")
    assert (status, "captions" in text, (tmp_path / "o").exists()) == (2, True, False)


def test_predictions_get_their_explanations_from_proofs(
    command: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    data = write_jsonl(tmp_path / "data.jsonl", *(row.model_dump(mode="json", exclude_none=True) for row in rows()))
    out = tmp_path / "p.jsonl"
    words = ("predict", "builtin:scenes", data, "--num-beams", 1)
    status, text = command(*words, "--out", out, "--prover", "--require-verified")
    assert status == 0, text
    answers = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    for given_answer, (premise, hypothesis, _) in zip(answers, PAIRS, strict=True):
        outcome = PROVER.outcome(premise, hypothesis)
        verified = outcome.proof is not None and outcome.proof.conclusion == given_answer["label"]
        assert (given_answer["verdict"] == "verified") is verified
        assert given_answer["abstained"] is not verified
        assert (given_answer["explanation"] == outcome.explanation) is verified
        assert ("student_explanation" in given_answer) is verified
    assert command(*words, "--out", out)[0] == 2  # without the prover these are other predictions
    status, text = command(*words, "--out", tmp_path / "q.jsonl", "--require-verified")
    assert (status, "--prover" in text) == (2, True)


@pytest.mark.parametrize(
    ("choice", "label", "verdict"), [("keep", "neutral", "conflict"), ("proved", None, "verified")]
)
def test_a_conflict_is_marked_or_answered_with_the_proved_label(choice: OnConflict, label: str, verdict: str) -> None:
    answers = ProvedAnswers(PROVER, PairLabels.of(NLI), choice)
    example = Example(id="1", fields={"premise": "A man is sleeping on a couch.", "hypothesis": "A man is running."})
    given = answers(example, Prediction(id="1", label="neutral", explanation="x", probabilities={}))
    extra = given.model_extra or {}
    assert (given.label, extra["verdict"], extra["proved"]) == (label or "contradiction", verdict, "contradiction")
    assert ("running" in given.explanation) is (choice == "proved")
    assert extra.get("student_label") == (None if choice == "keep" else "neutral")


def test_every_pair_of_scenes_is_decided_and_every_right_label_verified() -> None:
    prover = ScenesProver()
    examples = generate(900, seed=5)
    outcomes = [prover.outcome(e.fields["premise"], e.fields["hypothesis"]) for e in examples]
    assert [o.proof.conclusion if o.proof else None for o in outcomes] == [e.label for e in examples]
    answers = [{"id": e.id, "label": e.label, "explanation": ""} for e in examples[:60]]
    verified = rd.verify(answers, [e.model_dump() for e in examples[:60]], fragment="scenes")
    assert verified.summary.verified.value == 1
    assert set(verified.summary.labels) == {"entailment", "neutral", "contradiction"}


def test_an_audit_names_labels_that_a_proof_contradicts(
    command: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    wrong = [row.model_copy(update={"label": "entailment"}) for row in rows()]
    found = rd.audit([row.model_dump(mode="json", exclude_none=True) for row in wrong], prove=True)
    assert found.proofs is not None
    assert [(doubt.id, doubt.label, doubt.proved) for doubt in found.proofs.doubted] == [
        ("1", "entailment", "contradiction")
    ]
    assert any("contradict a proof" in finding.what for finding in found.findings)
    data = write_jsonl(tmp_path / "d.jsonl", *(row.model_dump(mode="json", exclude_none=True) for row in wrong))
    status, _ = command("data", "audit", data, "--prove", "--out", tmp_path / "audit")
    assert status == 0
    assert "The man cannot be sleeping" in (tmp_path / "audit" / "audit.html").read_text(encoding="utf-8")


def test_the_filter_rejects_what_a_proof_contradicts() -> None:
    from reasondistill.contracts.teaching import TeacherAnswer

    candidates = [
        Candidate(
            row,
            TeacherAnswer(
                id=row.id,
                teacher="t",
                mode="given_label",
                sample=0,
                label="entailment",
                explanation="Because it is so.",
            ),
        )
        for row in rows()
    ]
    pool = Pool(candidates, candidates, NLI)
    assert [verdict.reason for verdict in Verified().verdicts(pool)] == [
        "", "a proof of contradiction contradicts its label", "",
    ]  # fmt: skip
    assert Verified(require=True).verdicts(pool)[2].reason == "no proof bears out its label"


def test_the_lexicon_says_why(command: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    status, text = command("lexicon", "path", "noun poodle", "noun animal")
    assert (status, "poodle.n.1" in text) == (0, True)
    assert "exclude" in command("lexicon", "path", "verb sit", "verb run")[1]
    assert "nothing says" in command("lexicon", "path", "noun car", "noun animal")[1]
    status, text = command("lexicon", "path", "poodle", "noun animal")
    assert (status, "noun dog" in text) == (2, True)
    assert command("lexicon", "build", tmp_path, "--out", tmp_path / "x")[0] == 2


@pytest.mark.slow
def test_the_shipped_table_is_what_the_command_builds(tmp_path: Path) -> None:
    wordnet = Path("/usr/share/wordnet")
    if not wordnet.is_dir():
        pytest.skip("no WordNet here: apt-get install wordnet-base")
    from reasondistill.verification.lexicon import SHIPPED

    build_table(wordnet, tmp_path / "lexicon")
    assert (tmp_path / "lexicon" / TABLE).read_bytes() == (SHIPPED / TABLE).read_bytes()


@pytest.mark.real
def test_what_is_proved_of_esnli_is_nearly_always_its_label(data_folder: Path) -> None:
    """Figures of docs/verification.md, on the test part, with room."""
    from reasondistill.data import load

    loaded = load(str(data_folder / "e-snli" / "esnli_dev.csv"), split="test", task=NLI)
    answers = [Prediction(id=example.id, label=example.label) for example in loaded.examples]
    labels = verify(answers, loaded.examples, task=NLI, name="dev", split="test").summary.labels
    for label, least in (("entailment", 0.09), ("contradiction", 0.055)):
        right = labels[label].right
        assert labels[label].proved.value > least
        assert right is not None
        assert right.value > 0.95


def test_answers_without_labels_are_unknown() -> None:
    assert verify([answer(1, None)], [pair("A dog runs.", "A dog runs.", id="pair-1", label="entailment")], task=NLI,
                  name="one").rows[0].verdict == "unknown"  # fmt: skip


def test_the_answers_of_a_run_are_proved_by_its_own_rows_or_by_others(tmp_path: Path) -> None:
    run = train(training_config(tmp_path))
    own, others = rd.verify(run), rd.verify(run, "scenes:9@7")
    assert (len(own.rows), len(others.rows)) == (len(RunData(run).held_out().loaded), 9)
    assert own.summary.fragment.startswith("scenes"), "told by the name of its data"
    mistake(lambda: rd.verify([{"id": "a", "label": "neutral"}]), "data", "the examples that were answered")
