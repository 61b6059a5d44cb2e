"""Federated training: equal to training in one place where it must be, exact sums, a run that can be cut anywhere."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import tiny
from reasondistill.config import FedAdam, FederateConfig, Federation, FedProx, Privacy
from reasondistill.contracts.federation import FEDERATION_FILE, ROUNDS_FILE, FederationRecord
from reasondistill.contracts.records import Example
from reasondistill.data import Loaded
from reasondistill.data.scenes import generate
from reasondistill.errors import ConfigError, DataError
from reasondistill.runs import Run
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.students.checkpoint import Checkpoint
from reasondistill.students.codec import EXPLANATION, LABEL
from reasondistill.tasks.task import NLI
from reasondistill.training.features import build_features
from reasondistill.training.federated import federate as federating
from reasondistill.training.federated import rounds
from reasondistill.training.federated.aggregation import Server, aggregate, weighted_mean
from reasondistill.training.federated.clients import Client
from reasondistill.training.federated.federate import federate
from reasondistill.training.federated.federated_client import FederatedClient
from reasondistill.training.federated.local_training import ClientWork, Stretch
from reasondistill.training.federated.updates import Update, norm, weights_of
from reasondistill.training.train import train
from trainings import ON_THE_CPU, TINY, finished, wait_for, weights

SCENES = {"source": "scenes:90", "split": "train"}


def federated_config(tmp_path: Path, federation: dict[str, Any], **changes: Any) -> FederateConfig:
    """Of a tiny student with dropout and a schedule of both rates, on scenes."""
    value: dict[str, Any] = {
        "name": "fed",
        "runs_dir": str(tmp_path / "runs"),
        "seed": 5,
        "data": {"train": SCENES},
        "student": TINY | {"num_layers": 1, "num_decoder_layers": 1, "dropout_rate": 0.2},
        "max_source_length": 64,
        "max_target_length": 40,
        "loss": {"alpha": {"start": 0.8, "end": 0.2}},
        "training": {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 2, "learning_rate": 3e-3}
        | ON_THE_CPU,
        "generation": {"num_beams": 1, "max_new_tokens": 4},
        "federation": {"public": SCENES, "clients": 3, "rounds": 3, "local_steps": 3} | federation,
    }
    return validate_config(FederateConfig, value | changes, where="test")


def rows_of(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.folder / ROUNDS_FILE).read_text(encoding="utf-8").splitlines()]


def trained_in(run: Run) -> int:
    """Parameters that clients train."""
    student = run.info().student
    assert student is not None
    assert student.trained is not None
    return student.trained


# --- equal to training in one place ---


def test_a_single_client_is_training_in_one_place_bit_for_bit(tmp_path: Path) -> None:
    """Over rounds that end within epochs and across them: Adam, both schedules, order of rows and dropout go on."""
    config = federated_config(tmp_path, {"clients": 1, "held_out": 0.0})
    run = federate(config)
    central = train(config.train_config().model_copy(update={"name": "central"}))
    own, other = weights(run.student), weights(central.student)
    assert own.keys() == other.keys()
    assert all(torch.equal(own[name], other[name]) for name in own)
    assert run.info().status == "finished"
    assert run.info().steps == central.info().steps == 9


def test_one_full_step_of_each_client_is_the_step_of_all_rows(tmp_path: Path) -> None:
    """With plain SGD the mean of the clients' weights, by rows, is the central gradient step.

    The loss is a mean over tokens, so that rows weigh the same only where they have as many tokens.
    """
    config = federated_config(
        tmp_path,
        {"rounds": 1, "local_steps": 1, "held_out": 0.0},
        training=ON_THE_CPU
        | {"per_device_train_batch_size": 99, "optim": "sgd", "learning_rate": 0.5, "max_grad_norm": 0.0}
        | {"lr_scheduler_type": "constant"},
    )
    student = tiny.student("t5")
    before = weights_of(student.model)
    rows = alike(student)
    work = ClientWork(config, student)
    shares = [rows[:2], rows[2:5], rows[5:12]]
    step = Stretch(0, 0, 1)
    updates = [work.train(client(n, share), before, step) for n, share in enumerate(shares)]
    central = work.train(client(9, rows[:12]), before, step)
    mean = weighted_mean(before, updates)
    moved = max(float((central.tensors[name] - before[name]).abs().max()) for name in mean)
    assert moved > 1e-3
    assert {update.rows for update in updates} == {2, 3, 7}
    assert all(torch.allclose(mean[name].float(), central.tensors[name], rtol=0, atol=1e-6) for name in mean)
    # The check sees a mean that is not by rows.
    plain = weighted_mean(before, [replace(update, rows=1) for update in updates])
    assert max(float((plain[name] - central.tensors[name]).abs().max()) for name in mean) > 1e-5


def alike(student: Checkpoint) -> list[Example]:
    """Scenes whose labels and explanations have the same number of tokens each."""
    scenes = [
        example.model_copy(update={"explanations": example.explanations[:1]}) for example in generate(400, seed=3)
    ]
    of_length: dict[tuple[int, int], list[Example]] = {}
    features = build_features(scenes, task=NLI, order="label_first", codec=student.codec)
    for example, [roles] in zip(scenes, features["target_roles"], strict=True):
        of_length.setdefault((roles.count(LABEL), roles.count(EXPLANATION)), []).append(example)
    return max(of_length.values(), key=len)


def client(number: int, rows: Sequence[Example], held_out: Sequence[Example] = ()) -> Client:
    return Client(f"client-{number}", number, Loaded("rows", list(rows)), Loaded("rows", list(held_out)))


# --- cut at any moment ---

UNEVEN = {"participation": 0.6, "dropouts": 0.2, "stragglers": 0.4, "strategy": {"kind": "fedadam"}, "rounds": 4}
"""Clients that are asked in some rounds only, drop out or are slow; and a server with a state of its own."""


class Cut(BaseException):
    """In place of a process's end."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return federate(federated_config(tmp_path_factory.mktemp("whole"), UNEVEN))


def test_a_run_that_is_cut_anywhere_goes_on_to_the_same_bits(
    undisturbed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt is cut at one of its next writes, before it or after it; the run ends all the same."""
    config = federated_config(tmp_path, UNEVEN)
    left = 0

    def cutting(call: Callable[..., Any]) -> Callable[..., Any]:
        def do(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise Cut
            result = call(*arguments, **options)
            left -= 1
            if left == 0:
                raise Cut
            return result

        return do

    writes = [(rounds, "write_jsonl"), (rounds.Rounds, "_keep"), (rounds.Rounds, "_tidy_client")]
    for place, name in [*writes, (ClientWork, "train"), (federating, "keep_student"), (federating, "clear")]:
        monkeypatch.setattr(place, name, cutting(getattr(place, name)))
    run = Run(Path(config.runs_dir) / config.name)
    cuts = 0
    while True:
        left = 9 + cuts
        try:
            federate(config, resume=cuts > 0)
            break
        except Cut:
            cuts += 1
    assert cuts >= 3
    assert same_bits(run, undisturbed)


def same_bits(run: Run, other: Run) -> bool:
    own, others = weights(run.student), weights(other.student)
    return rows_of(run) == rows_of(other) and all(torch.equal(own[name], others[name]) for name in own | others)


def test_rounds_say_who_took_part(undisturbed: Run) -> None:
    rows = rows_of(undisturbed)
    assert [row["round"] for row in rows] == [0, 1, 2, 3]
    for row in rows:
        assert len(row["asked"]) == 2
        assert set(row["dropped_out"]) | set(row["stragglers"]) <= set(row["asked"])
        assert set(row["losses"]) == set(row["asked"]) - set(row["dropped_out"])
        assert row["bytes_down"] == 2 * 4 * trained_in(undisturbed)
        assert row["bytes_up"] == len(row["losses"]) * 4 * trained_in(undisturbed)
    assert any(row["stragglers"] for row in rows)
    assert any(row["dropped_out"] for row in rows)


# --- what else a round can be ---


def test_lora_clients_send_factors_and_the_student_is_a_plain_one(tmp_path: Path) -> None:
    """One client's first round of LoRA is LoRA in one place; the server never averages factors."""
    pytest.importorskip("peft")
    lora = {"r": 2, "target_modules": ["q", "v"]}
    config = federated_config(tmp_path, {"clients": 1, "held_out": 0.0, "rounds": 1}, lora=lora)
    run = federate(config)
    central = train(config.train_config().model_copy(update={"name": "central"}))
    own, other = weights(run.student), weights(central.student)
    assert own.keys() == other.keys()
    assert all(torch.allclose(own[name], other[name], rtol=0, atol=1e-6) for name in own)
    [row] = rows_of(run)
    assert 0 < row["bytes_up"] < row["bytes_down"]


def test_lora_goes_on_over_rounds_with_several_clients(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    config = federated_config(tmp_path, {"clients": 2}, lora={"r": 2})
    work = ClientWork(config, tiny.student("t5"))
    before = weights_of(work.student.model)
    rows = generate(40, seed=3)
    clients = [client(0, rows[:20]), client(1, rows[20:])]
    trained = work.trained()
    server = Server(before)
    for number in range(2):
        stretch = Stretch(number, number * 3, number * 3 + 3)
        updates = [work.train(c, server.weights, stretch) for c in clients]
        server = aggregate(server, updates, config.federation, trained, clients=2, shared=(5, number))
    moved = {name for name, tensor in server.weights.items() if not torch.equal(tensor, before[name])}
    assert moved == set(trained)
    assert all(name.endswith((".q.weight", ".v.weight")) for name in moved)


def test_fedprox_draws_clients_to_the_global_weights(tmp_path: Path) -> None:
    rows = generate(40, seed=3)

    def change(strategy: dict[str, Any]) -> float:
        config = federated_config(tmp_path, {"strategy": strategy, "local_steps": 6})
        student = tiny.student("t5")
        before = weights_of(student.model)
        update = ClientWork(config, student).train(client(0, rows), before, Stretch(0, 0, 6))
        return norm(update.change(before))

    free = change({"kind": "fedavg"})
    assert change({"kind": "fedprox", "mu": 1e-12}) == pytest.approx(free, rel=1e-3)
    assert change({"kind": "fedprox", "mu": 100.0}) < 0.9 * free


def test_a_client_that_sends_nan_is_named_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    save = Update.save

    def poisoned(self: Update, file: Path) -> None:
        if self.client == "client-2":
            self = replace(self, tensors={n: t * float("nan") for n, t in self.tensors.items()})
        save(self, file)

    monkeypatch.setattr(Update, "save", poisoned)
    run = federate(federated_config(tmp_path, {"rounds": 2, "local_steps": 1}))
    for row in rows_of(run):
        assert list(row["set_aside"]) == ["client-2"]
        assert "NaN" in row["set_aside"]["client-2"]
        assert row["change"] > 0
    assert "client-2 is set aside" in caplog.text
    assert all(bool(torch.isfinite(tensor).all()) for tensor in weights(run.student).values())


def test_masks_noise_and_references_in_one_run(tmp_path: Path) -> None:
    """A run with everything: its record says what each system reached, what it took, and what was spent."""
    pytest.importorskip("opacus")
    settings = {
        "secure_aggregation": True,
        "privacy": {"clip": 1.0, "noise_multiplier": 0.5},
        "rounds": 2,
        "local_steps": 1,
    }
    run = federate(federated_config(tmp_path, settings | {"references": ["pooled", "local"]}))
    record = FederationRecord.load(run.folder / FEDERATION_FILE)
    assert record.systems.keys() == {"global", "pooled", "local"}
    for system in record.systems.values():
        assert system.scores.keys() == {facts.name for facts in record.clients}
        assert system.worst == min(s.label_accuracy for s in system.scores.values() if s.label_accuracy is not None)
        assert system.worst is not None
        assert system.mean is not None
        assert system.worst <= system.mean
    rows = rows_of(run)
    assert record.epsilon == rows[-1]["epsilon"] > rows[0]["epsilon"] > 0
    assert record.bytes_up == sum(row["bytes_up"] for row in rows) == 2 * 3 * 8 * trained_in(run)
    assert not (run.folder / "clients").exists()


# --- the command, and what comes after it ---


def test_a_federated_run_is_a_run_like_any_other(
    undisturbed: Run, command: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is resumed, evaluated and reported on; `train` does not take it for one of its own."""
    code, text = command("federate", undisturbed.folder, "--resume")
    assert code == 0
    assert "client-1" in text
    assert "worst" in text
    assert "MB from them" in text
    assert f"next reasondistill predict {undisturbed.folder}" in " ".join(text.split())
    options = ("--no-bertscore", "--no-efficiency", "--no-faithfulness")
    assert command("evaluate", undisturbed.folder, *options)[0] == 0
    assert command("report", undisturbed.folder)[0] == 0
    page = (undisturbed.folder / "report.md").read_text(encoding="utf-8")
    assert "Federated training" in page
    assert "Worst client" in page
    code, text = command("train", undisturbed.folder, "--resume")
    assert code == 2
    assert f"reasondistill federate {undisturbed.folder} --resume" in text


def test_what_is_no_federated_run_is_not_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a federated run to go on with"):
        federate(federated_config(tmp_path, {}), resume=True)


def test_other_data_are_refused_when_a_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.csv"
    rows = [f"{e.fields['premise']},{e.fields['hypothesis']},{e.label},why" for e in generate(40, seed=3)]
    path.write_text("\n".join(["premise,hypothesis,label,explanation", *rows]), encoding="utf-8")
    config = federated_config(tmp_path, {"rounds": 1, "held_out": 0.0}, data={"train": {"source": str(path)}})
    monkeypatch.setattr(rounds.Rounds, "run", lambda *arguments: (_ for _ in ()).throw(Cut))
    with pytest.raises(Cut):
        federate(config)
    path.write_text(path.read_text(encoding="utf-8").replace("why", "because"), encoding="utf-8")
    with pytest.raises(DataError, match="data of another fingerprint"):
        federate(config, resume=True)


def test_a_run_that_was_killed_before_its_configuration_was_written_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = federated_config(tmp_path, {"rounds": 1, "local_steps": 1})
    with monkeypatch.context() as patch:
        patch.setattr(FederationRecord, "save", lambda *arguments: (_ for _ in ()).throw(Cut))
        with pytest.raises(Cut):
            federate(config)
    with pytest.raises(DataError, match="federated run to go on with"):
        federate(config.model_copy(update={"seed": 6}), resume=True)
    assert federate(config, resume=True).info().status == "finished"


# --- processes ---


@pytest.mark.slow  # each process imports torch
def test_clients_in_processes_of_their_own_give_the_same_bits(undisturbed: Run, tmp_path: Path) -> None:
    """A wider machine changes when a client trains, not what comes of it."""
    assert same_bits(federate(federated_config(tmp_path, UNEVEN | {"processes": 2})), undisturbed)


@pytest.mark.slow
def test_a_killed_process_goes_on_to_the_same_bits(undisturbed: Run, tmp_path: Path) -> None:
    """SIGKILL at other moments in each attempt, until one of them is quick enough."""
    config = federated_config(tmp_path, UNEVEN)
    file = tmp_path / "fed.yaml"
    file.write_text(yaml.safe_dump(config.model_dump(mode="json")), encoding="utf-8")
    run = Run(Path(config.runs_dir) / config.name)
    words = [sys.executable, "-m", "reasondistill.cli", "federate", str(file)]
    kills = 0
    for seen in (1, 2, 3, 2, None):
        options = ["--resume"] if (run.folder / FEDERATION_FILE).is_file() else []
        process = subprocess.Popen([*words, *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if seen is None:
            finished(process)
            break
        wait_for_updates(run, seen, process)
        process.kill()
        process.wait()
        kills += process.returncode == -9
    assert kills >= 2
    assert same_bits(run, undisturbed)


def wait_for_updates(run: Run, count: int, process: Any) -> None:
    """Until a process has written so many updates."""
    updates: set[str] = set()

    def came_so_far() -> bool:
        updates.update(map(str, run.folder.glob("clients/*/*")))
        return len(updates) >= count

    wait_for(came_so_far, process)


# --- clients for whoever else runs the rounds ---


def test_clients_on_their_own_and_a_mean_of_ones_own_make_the_same_student(tmp_path: Path) -> None:
    """What Flower's recipe does, without Flower: objects that know their rows, arrays in and arrays out."""
    config = federated_config(tmp_path, {"clients": 2, "rounds": 2, "local_steps": 2})
    sites = [FederatedClient(config, number, folder=tmp_path / str(number)) for number in range(2)]
    arrays = sites[0].weights()
    for number in range(2):
        trained = [site.train(arrays, number) for site in sites]
        total = sum(update.rows for update in trained)
        sums = {name: np.sum([t.weights[name].astype(np.float64) * t.rows for t in trained], axis=0) for name in arrays}
        arrays = {name: (values / total).astype(np.float32) for name, values in sums.items()}
    run = federate(config)
    sites[0].save(arrays, tmp_path / "student")
    own, other = weights(tmp_path / "student"), weights(run.student)
    assert all(torch.equal(own[name], other[name]) for name in own | other)
    first, *others = arrays
    fewer = {name: arrays[name] for name in others}
    broken: list[Any] = [{}, fewer, {**arrays, "foo": arrays[first]}, {**arrays, first: np.zeros(3)}]
    for given in broken:
        for use in (sites[0].evaluate, lambda these: sites[0].train(these, 0)):
            with pytest.raises(DataError, match=r"weights: expected the \d+ arrays of weights\(\)"):
                use(given)
    for number in (-1, 2):
        with pytest.raises(ConfigError, match="a round, 0 to 1"):
            sites[0].train(arrays, number)
    scores = sites[1].evaluate(arrays)
    assert scores.model_dump(mode="json") == rows_of(run)[-1]["scores"]["client-2"]


def test_a_client_of_another_server_refuses_adapters(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not that of their products"):
        FederatedClient(federated_config(tmp_path, {}, lora={"r": 2}))


# --- the page ---

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "federated.md").read_text(encoding="utf-8")


def test_the_page_names_every_key() -> None:
    keys = {*Federation.model_fields, *Privacy.model_fields, *FedProx.model_fields, *FedAdam.model_fields} - {"kind"}
    assert [key for key in sorted(keys) if f"`{key}`" not in PAGE] == []


@pytest.mark.slow
def test_the_pages_commands_and_examples_run(
    command: Callable[..., tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("configs", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    lines = [line for block in re.findall(r"^```bash\n(.*?)^```", PAGE, re.M | re.S) for line in block.splitlines()]
    assert len(lines) >= 5
    for line in lines:
        fewer = ["--set", "federation.rounds=2"] if "--set name=" in line else []  # variants of the first, in short
        code, text = command(*shlex.split(line)[1:], *fewer)
        assert code == 0, (line, text)
    scope: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S):
        exec(block, scope)
    assert scope["scores"].n > 0
