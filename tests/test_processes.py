"""Several processes of one training end as one process does, whatever happens to them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from launching import TORCHRUN, finished, launched, workers
from reasondistill.config import TrainConfig
from reasondistill.runs import Run
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.training.train import train
from trainings import ON_THE_CPU, ONE_LAYER, lines, logged, scenes_data, wait_for, weights

STEPS = 44


def values(folder: Path, name: str, **training: Any) -> dict[str, Any]:
    """A run of four epochs over a mixture, with as few validation rows as make a last batch that is not full."""
    data = scenes_data(150, limit=13)
    data["train"] = [data["train"] | {"weight": 2}, {"source": "scenes:90@8", "split": "train"}]
    return {
        "name": name,
        "runs_dir": str(folder / "runs"),
        "seed": 5,
        "data": data | {"mixing": {"strategy": "balanced"}},
        "student": ONE_LAYER | {"dropout_rate": 0.0},
        "freeze": ["embeddings"],
        "max_source_length": 64,
        "max_target_length": 40,
        "training": {
            "max_steps": STEPS,
            "per_device_train_batch_size": 16,
            "per_device_eval_batch_size": 4,
            "optim": "sgd",
            "learning_rate": 0.05,
            "logging_steps": 1,
            "eval_on_start": True,
            "eval_strategy": "steps",
            "eval_steps": 11,
            "save_steps": 11,
            "load_best_model_at_end": True,
            "metric_for_best_model": "both",
            **ON_THE_CPU,
        }
        | training,
    }


def config(folder: Path, name: str, **training: Any) -> TrainConfig:
    return validate_config(TrainConfig, values(folder, name, **training), where="test")


def written(folder: Path, name: str, **training: Any) -> Path:
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(values(folder, name, **training)), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("processes")


@pytest.fixture(scope="module")
def alone(folder: Path) -> Run:
    """The run of one process, in batches of sixteen."""
    return train(config(folder, "alone"))


@pytest.fixture(scope="module")
def shared(folder: Path) -> Iterator[Run]:
    """The same in two processes, in batches of eight; twice accumulated, as the epochs' last batches differ then."""
    options = {"per_device_train_batch_size": 8}
    with launched("-m", "reasondistill", "train", written(folder, "two", **options), "--processes", "2") as process:
        status, said = finished(process)
        assert status == 0, said
        assert said.count("8 rows x 2 processes a step") == 1
        assert said.count("next ") == 1
        yield Run(folder / "runs" / "two")


def assert_same(run: Run, other: Run, tolerance: float = 1e-6) -> None:
    rows, others = logged(run), logged(other)
    assert [row["step"] for row in rows] == [row["step"] for row in others]
    for row, expected in zip(rows, others, strict=True):
        close = 1e-9 if row["step"] == 0 else tolerance
        assert row.pop("phase") == expected.pop("phase")
        for name in [name for name in row if name.endswith("perplexity")]:  # exp of the loss, which is compared
            del row[name], expected[name]
        assert row == pytest.approx(expected, rel=close, abs=close)
    learned, expected_weights = weights(run.student), weights(other.student)
    assert max((learned[name] - expected_weights[name]).abs().max().item() for name in learned) < tolerance
    best, expected_best = run.info().best, other.info().best
    assert best is not None
    assert expected_best is not None
    assert best.step == expected_best.step
    assert run.info().status == "finished"


def test_two_processes_end_as_one_does(alone: Run, shared: Run) -> None:
    assert len({row["step"] for row in logged(alone)}) == STEPS + 1
    assert_same(shared, alone)
    assert shared.info().processes == 2


def test_one_goes_on_as_two_which_are_stopped_and_go_on_as_one(folder: Path, alone: Run) -> None:
    """The signal goes to the launcher, as a scheduler sends it."""
    file = written(folder, "stopped")
    begun = Run(folder / "runs" / "stopped")

    def stop_after_ten(event: Any) -> None:
        if getattr(event, "done", 0) == 12:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Exception, match="stopped after step 1"):
        train(config(folder, "stopped"), watcher=stop_after_ten)
    with launched(*TORCHRUN, "train", file, "--resume") as process:
        wait_for(lambda: len(lines(begun)) > 20, process)
        process.send_signal(signal.SIGTERM)
        status, said = finished(process)
    assert status != 0
    assert "which is saved" in said
    assert begun.info().status == "stopped"
    reached = max(row["step"] for row in logged(begun))
    assert 16 < reached < STEPS
    assert (begun.checkpoints / f"checkpoint-{reached}" / "manifest.json").is_file()
    assert_same(train(config(folder, "stopped"), resume=True), alone)


def test_a_killed_process_ends_all_and_they_begin_again_as_often_as_allowed(folder: Path, alone: Run) -> None:
    file = written(folder, "killed", per_device_train_batch_size=8)
    run = Run(folder / "runs" / "killed")
    command = ["-m", "reasondistill", "train", file, "--processes", "2", "--max-restarts", "1"]
    with launched(*command) as process:
        wait_for(lambda: len(lines(run)) > 14, process)
        os.kill(workers(process.pid)[1], signal.SIGKILL)
        wait_for(lambda: len(lines(run)) > 28, process)
        os.kill(workers(process.pid)[0], signal.SIGKILL)
        status, said = finished(process, seconds=60)
    assert status == 2
    # What a survivor says itself depends on who is quicker to see the other gone: itself or the launcher.
    assert said.count("(restart 1, as a process had ended; from step 11)") == 1
    assert "process 0 of 2: expected all processes to the end, found one that was ended by SIGKILL" in said
    assert_same(train(config(folder, "killed"), resume=True), alone)


def test_a_mistake_is_said_once_and_nothing_begins_again(folder: Path) -> None:
    file = written(folder, "mistaken", per_device_train_batch_size=8)
    text = file.read_text(encoding="utf-8").replace("scenes:", "no_such_file.csv#")
    file.write_text(text, encoding="utf-8")
    with launched("-m", "reasondistill", "train", file, "--processes", "2", "--max-restarts", "2") as process:
        status, said = finished(process)
    assert status == 2
    assert said.count("no_such_file.csv") == 1


def test_a_number_that_does_not_divide_a_step_is_refused(folder: Path, alone: Run, monkeypatch: Any) -> None:
    from reasondistill.errors import ConfigError
    from reasondistill.training.shared_batches import with_batch_of

    begun = alone.config()
    assert with_batch_of(begun, 1, 4).training["per_device_train_batch_size"] == 4
    more = with_batch_of(begun, 3, 2)  # 48 rows
    assert (more.training["per_device_train_batch_size"], more.training["gradient_accumulation_steps"]) == (12, 2)
    with pytest.raises(ConfigError, match=r"divides the 16 rows of a step.*Go on with 1, 2, 4, 8 of them"):
        with_batch_of(begun, 1, 3)


@pytest.mark.slow
def test_four_processes_end_as_one_does(folder: Path, alone: Run) -> None:
    """More processes than validation has batches, and than the last batches of an epoch have rows."""
    file = written(folder, "four", per_device_train_batch_size=4)
    words = [word if word != "2" else "4" for word in TORCHRUN]
    with launched(*words, "train", file) as process:
        status, said = finished(process, seconds=400)
    assert status == 0, said
    assert_same(Run(folder / "runs" / "four"), alone)


@pytest.mark.slow
def test_low_rank_matrices_and_labels_alone_are_learned_in_two_processes(folder: Path) -> None:
    changes = {"order": "label_only", "freeze": [], "lora": {}}
    measure = {"metric_for_best_model": "label_accuracy", "activation_checkpointing": True}
    runs = []
    for name, rows in (("lora-alone", 16), ("lora-two", 8)):
        file = folder / f"{name}.yaml"
        settings = values(folder, name, per_device_train_batch_size=rows, **measure) | changes
        file.write_text(yaml.safe_dump(settings), encoding="utf-8")
        more = ["--processes", "2"] if rows == 8 else []
        with launched("-m", "reasondistill", "train", file, *more) as process:
            status, said = finished(process)
        assert status == 0, said
        runs.append(Run(folder / "runs" / name))
    assert_same(runs[1], runs[0])


def test_restarts_of_one_process_are_refused(command: Callable[..., tuple[int, str]]) -> None:
    code, said = command("train", "scenes:60", "--student", "scratch", "--max-restarts", "2")
    assert code == 2
    assert "--max-restarts: expected several processes" in said
