"""An update in two processes ends as one in one process does, and only the first of them tests and writes."""

from __future__ import annotations

import pytest

import reasondistill as rd
from launching import TORCHRUN, finished, launched
from reasondistill.contracts.update import UPDATE_FILE, UpdateRecord
from reasondistill.storage.files import file_fingerprint
from reasondistill.training.train import train
from reasondistill.updating import Updated
from trainings import ON_THE_CPU, ONE_LAYER, scenes_data, training_config, weights

NEW = "scenes:90@7"
STEPS = {"max_steps": 4, "eval_steps": 2, "save_steps": 2}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Updated:
    """Of a parent that learned without dropout, whose masks would differ between processes, and by plain SGD."""
    config = training_config(
        tmp_path_factory.mktemp("updates"), data=scenes_data(240, limit=20), student=ONE_LAYER | {"dropout_rate": 0.0}
    )
    config = config.model_copy(
        update={"training": config.training | ON_THE_CPU | {"optim": "sgd", "learning_rate": 0.05}}
    )
    return rd.update(train(config), NEW, name="alone", replay=0.5, training=STEPS)


@pytest.mark.slow
def test_two_processes_update_as_one_does(alone: Updated) -> None:
    runs = alone.run.folder.parent
    sets = [word for key, value in STEPS.items() for word in ("--set", f"training.{key}={value}")]
    command = ["update", runs / "run", NEW, "--name", "two", "--replay", "0.5", *sets]
    with launched("-m", "reasondistill", *command, "--processes", "2") as process:
        status, said = finished(process, seconds=600)
    assert status == 0, said
    assert said.count("8 rows x 2 processes a step") == 1
    assert said.count("published  ") == 1
    record = UpdateRecord.load(runs / "two" / UPDATE_FILE)
    learned, expected = weights(runs / "two" / "student"), weights(alone.run.student)
    assert max((learned[name] - expected[name]).abs().max().item() for name in learned) < 1e-6
    ours, theirs = ([f for tested in of.sets for f in tested.figures] for of in (record, alone.record))
    assert [(f.metric, f.label, f.n, f.verdict) for f in ours] == [(f.metric, f.label, f.n, f.verdict) for f in theirs]
    assert [f.difference for f in ours] == pytest.approx([f.difference for f in theirs], abs=1e-4)

    # The same command goes on from what is there: nothing is trained again, and somebody takes what is not decided.
    assert record.published is False
    assert record.undecided
    before = file_fingerprint(runs / "two" / "student" / "model.safetensors")
    with launched(*TORCHRUN, *command, "--publish-undecided") as process:
        status, said = finished(process, seconds=600)
    assert status == 0, said
    assert "yes, as was asked for" in said
    accepted = UpdateRecord.load(runs / "two" / "student" / UPDATE_FILE)
    assert accepted == record.model_copy(update={"published": True, "accepted": True})
    assert file_fingerprint(runs / "two" / "student" / "model.safetensors") == before


def test_a_step_has_as_many_rows_as_the_parents_in_any_number_of_processes(
    alone: Updated, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reasondistill.errors import ConfigError
    from reasondistill.updating import plan_update

    parent = alone.run.folder.parent / "run"
    one = plan_update(parent, NEW, changes={}).config.training
    monkeypatch.setenv("WORLD_SIZE", "4")
    four = plan_update(parent, NEW, changes={}).config.training
    assert (one["per_device_train_batch_size"], four["per_device_train_batch_size"]) == (16, 4)
    assert four["max_steps"] == one["max_steps"]
    own = {"training": {"per_device_train_batch_size": 16}}
    assert plan_update(parent, NEW, changes=own).config.training["max_steps"] == -(-one["max_steps"] // 4)
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ConfigError, match="divides the 16 rows of a step"):
        plan_update(parent, NEW, changes={})
    assert plan_update(parent, NEW, changes=own).config.training["per_device_train_batch_size"] == 16


def test_what_fell_is_not_published_whoever_asks(alone: Updated) -> None:
    from reasondistill.updating import carry_out

    run, record = alone
    file = run.folder / UPDATE_FILE
    kept, *others = record.sets
    fell = [figure.model_copy(update={"verdict": "fell"}) for figure in kept.figures]
    text = file.read_text(encoding="utf-8")
    try:
        bad = record.model_copy(update={"sets": [kept.model_copy(update={"figures": fell}), *others]})
        bad.save(file)
        assert not carry_out(run.config(), publish_undecided=True).record.published
        record.save(file)
        assert carry_out(run.config(), publish_undecided=True).record.accepted
    finally:
        file.write_text(text, encoding="utf-8")
