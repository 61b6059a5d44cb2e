"""`include`, and the reference configurations that are made with it: what they say, and that they train a student."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from reasondistill.cli import main
from reasondistill.config import EvalConfig, HubStudent, Loss, TrainConfig, load_config
from reasondistill.errors import ConfigError, DataError
from reasondistill.storage.layered_yaml import Layer, merge, read_layered, read_yaml
from reasondistill.sweeps import load_sweep

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
REFERENCE = CONFIGS / "training_configs.yaml"
EVALUATION = CONFIGS / "eval_configs.yaml"
MINIMAL = {"name": "x", "data": {"train": {"source": "scenes"}}, "student": {"kind": "scratch"}}


def write(folder: Path, **files: Any) -> Path:
    """Write files by their stems; the last one's path."""
    for stem, value in files.items():
        folder.joinpath(f"{stem}.yaml").write_text(yaml.safe_dump(value), encoding="utf-8")
    return folder / f"{stem}.yaml"


# --- include ---


def test_the_file_goes_before_what_it_includes_and_the_later_before_the_earlier(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        first={"a": 1, "b": {"x": 1, "y": 1, "z": 1}, "c": [1, 2]},
        second={"a": 2, "b": {"y": 2, "z": 2}, "d": {"x": 2}},
        top={"include": ["first.yaml", "second.yaml"], "b": {"z": 3}, "c": [3], "d": 3},
    )
    assert merge(read_layered(path)) == {"a": 2, "b": {"x": 1, "y": 2, "z": 3}, "c": [3], "d": 3}


def test_one_file_and_files_of_included_files(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    write(tmp_path / "below", deep={"a": 1, "b": 1}, middle={"include": "deep.yaml", "b": 2})
    path = write(tmp_path, top={"include": "below/middle.yaml", "c": 3})
    assert [Path(layer.name).stem for layer in read_layered(path)] == ["deep", "middle", "top"]
    assert merge(read_layered(path)) == {"a": 1, "b": 2, "c": 3}


def test_keys_of_another_kind_are_not_mixed(tmp_path: Path) -> None:
    hub = Layer("hub", {"student": {"kind": "hub", "checkpoint": "a"}})
    assert merge([hub, Layer("top", {"student": {"kind": "scratch"}})]) == {"student": {"kind": "scratch"}}
    same = {"student": {"kind": "hub", "checkpoint": "a", "revision": "b"}}
    assert merge([hub, Layer("top", {"student": {"revision": "b"}})]) == same
    assert merge([hub, Layer("top", {"student": {"kind": "hub", "revision": "b"}})]) == same


def test_merging_changes_no_layer() -> None:
    below, above = Layer("below", {"a": {"x": 1}}), Layer("above", {"a": {"x": 2}})
    merge([below, above])["a"]["x"] = 3
    assert (below.value, above.value) == ({"a": {"x": 1}}, {"a": {"x": 2}})


def test_set_goes_before_every_file(tmp_path: Path) -> None:
    path = write(tmp_path, base=MINIMAL | {"seed": 1}, top={"include": "base.yaml", "seed": 2})
    assert load_config(TrainConfig, path).seed == 2
    assert load_config(TrainConfig, path, ["seed=3"]).seed == 3


def test_a_mistake_is_named_with_the_file_that_it_stands_in(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        base=MINIMAL | {"sede": 1, "loss": {"gamma": 1}, "seed": -1},
        more={"training": {"learning_rat": 1}, "max_source_length": 1, "order": "odd"},
        top={"include": ["base.yaml", "more.yaml"], "typo": 1, "max_source_length": 2, "training": {"max_steps": 2}},
    )
    with pytest.raises(ConfigError) as caught:
        load_config(TrainConfig, path, ["order=odder"])
    first, *mistakes = str(caught.value).split("\n  - ")
    places = {text.split(":")[0]: re.findall(r"\(in (.*)\)$", text) for text in mistakes}
    base, more = str(tmp_path / "base.yaml"), str(tmp_path / "more.yaml")
    assert first == f"{path}: 7 mistakes"
    assert places == {
        "sede": [base],
        "loss.gamma": [base],
        "seed": [base],
        "training": [f"{more}, {path}"],
        "max_source_length": [],
        "order": [],
        "typo": [],
    }


def test_a_missing_key_is_no_files(tmp_path: Path) -> None:
    path = write(tmp_path, base={"seed": 1}, top={"include": "base.yaml", "name": "x"})
    with pytest.raises(ConfigError) as caught:
        load_config(TrainConfig, path)
    assert str(caught.value).split("\n  - ")[1:] == [f"{k}: required, but not there" for k in ("data", "student")]


def test_a_doubled_key_of_an_included_file_is_named_with_that_file(tmp_path: Path) -> None:
    path = write(tmp_path, top={"include": "base.yaml"})
    (tmp_path / "base.yaml").write_text("seed: 1\nseed: 2\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(f"{tmp_path / 'base.yaml'}:2: expected each key once")):
        read_layered(path)


@pytest.mark.parametrize("names", [["top.yaml"], ["round.yaml"]])
def test_a_file_that_includes_itself_is_refused(tmp_path: Path, names: list[str]) -> None:
    path = write(tmp_path, round={"include": "top.yaml"}, top={"include": names})
    with pytest.raises(ConfigError, match=r"files that do not include themselves, found include: top\.yaml"):
        read_layered(path)


@pytest.mark.parametrize("given", [1, {"a": "b.yaml"}, [1], None])
def test_an_include_that_names_no_files_is_refused(tmp_path: Path, given: Any) -> None:
    path = write(tmp_path, top={"include": given})
    with pytest.raises(ConfigError, match=re.escape(f"{path}: expected include: [file, …]")):
        read_layered(path)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, top={"include": "nowhere.yaml"})
    with pytest.raises(DataError, match=r"nowhere\.yaml"):
        read_layered(path)


def test_a_sweeps_base_may_include(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        low={"data": {"train": {"source": "scenes:60@1"}}, "student": {"kind": "scratch"}, "seed": 7},
        base={"include": "low.yaml", "name": "base"},
        sweep={
            "name": "s",
            "base": "base.yaml",
            "sweeps_dir": str(tmp_path),
            "grid": {"loss.alpha": [0.2]},
            "evaluate": {"source": "scenes:20@2"},
        },
    )
    (cell,) = load_sweep(path).trials
    assert cell.config.data.train_sources[0].source == "scenes:60@1"
    assert cell.config.loss.alpha == 0.2


# --- the reference ---


def test_the_reference_hyperparameters() -> None:
    """As the project's first description has them."""
    config = load_config(TrainConfig, REFERENCE)
    assert config.student == HubStudent(checkpoint="google/flan-t5-base", dropout=0.1)
    assert (config.max_source_length, config.max_target_length, config.order) == (256, 128, "label_first")
    assert config.loss == Loss(alpha=0.5, beta=0.5)
    assert config.generation.num_beams == 4
    wanted = {
        "num_train_epochs": 10,
        "per_device_train_batch_size": 16,
        "gradient_accumulation_steps": 2,
        "learning_rate": 1e-4,
        "warmup_steps": 500,
        "weight_decay": 0.01,
    }
    assert {key: config.training[key] for key in wanted} == wanted


def test_the_small_one_differs_in_name_size_and_validation_rows() -> None:
    small = load_config(TrainConfig, CONFIGS / "esnli_flan_t5_small.yaml").model_dump()
    reference = load_config(TrainConfig, REFERENCE).model_dump()
    assert {key for key in small if small[key] != reference[key]} == {"name", "student", "data"}
    assert small["student"]["checkpoint"] == "google/flan-t5-small"


def test_the_other_sizes_that_are_named_can_be_asked_for() -> None:
    text = (CONFIGS / "model_configs.yaml").read_text(encoding="utf-8")
    named = re.findall(r"--set (student\.checkpoint=(\S+))", text)
    assert {"google/flan-t5-small", "google/flan-t5-large", "facebook/bart-base"} <= {name for _, name in named}
    for change, name in named:
        student = load_config(TrainConfig, REFERENCE, [change]).student
        assert isinstance(student, HubStudent)
        assert student.checkpoint == name


def contradictions(model: BaseModel, given: dict[str, Any], path: str = "") -> list[str]:
    """Keys that a file gives another value than the code's default."""
    found = []
    for key, value in given.items():
        field, taken = type(model).model_fields[key], getattr(model, key)
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        if isinstance(taken, BaseModel) and isinstance(value, dict) and (field.is_required() or default is not None):
            found += contradictions(taken, value, f"{path}{key}.")
        elif not field.is_required() and default != taken:
            found.append(f"{path}{key}")
    return found


def test_the_reference_differs_from_the_codes_defaults_where_the_documentation_says_so() -> None:
    given = merge(read_layered(REFERENCE))
    differing = set(contradictions(load_config(TrainConfig, REFERENCE), given))
    assert differing == {"early_stopping_patience", "student.dropout", "training", "data.validation"}
    page = (CONFIGS.parent / "docs" / "configuration.md").read_text(encoding="utf-8")
    section = page.partition("## The reference configurations")[2].partition("\n## ")[0]
    assert all(f"`{key}`" in section for key in differing)
    assert contradictions(load_config(EvalConfig, EVALUATION), read_yaml(EVALUATION)) == []


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["reasondistill", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code, ended.value.code


def test_dropout_reaches_the_model_whatever_its_family_calls_it(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    import tiny
    from reasondistill.students.checkpoint import load_seq2seq

    for family, key in (("flan-t5", "dropout_rate"), ("bart", "dropout")):
        tiny.student(family).save(tmp_path / family)
        assert getattr(load_seq2seq(str(tmp_path / family))[0].config, key) == 0.0
        model, _ = load_seq2seq(str(tmp_path / family), dropout=0.25)
        assert getattr(model.config, key) == 0.25
        rates = {m.p for m in model.modules() if type(m).__name__ == "Dropout"} | {
            m.dropout for m in model.modules() if isinstance(getattr(m, "dropout", None), float)
        }
        assert rates - {0.0} == {0.25}, family


def test_the_reference_training_runs_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a FLAN-T5 of some thousand parameters in place of the hub's, and few steps."""
    pytest.importorskip("torch")
    import tiny

    tiny.student("flan-t5").save(tmp_path / "flan")
    changes = {
        "runs_dir": tmp_path / "runs",
        "student.checkpoint": tmp_path / "flan",
        "data.train.source": "scenes:240@1",
        "data.train.split": "train",
        "data.train.limit": 32,
        "data.validation.source": "scenes:240@1",
        "data.validation.split": "validation",
        "data.validation.limit": 8,
        "training.num_train_epochs": 1,
        "generation.max_new_tokens": 4,
    }
    call(monkeypatch, "train", REFERENCE, *(x for k, v in changes.items() for x in ("--set", f"{k}={v}")))
    run = tmp_path / "runs" / "reference"
    info = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert info["status"] == "finished"
    assert json.loads((run / "student" / "config.json").read_text(encoding="utf-8"))["dropout_rate"] == 0.1

    evaluation = write(
        tmp_path, evaluation={"generation": {"num_beams": 2}, "evaluation": {"bertscore": False, "resamples": 20}}
    )
    rows = ("scenes:240@1", "--split", "test", "--limit", 12)
    call(monkeypatch, "predict", run, *rows, "--config", evaluation)
    told = json.loads((run / "predictions" / "test.meta.json").read_text(encoding="utf-8"))
    assert told["generation"] == read_yaml(EVALUATION)["generation"] | {"num_beams": 2, "max_new_tokens": 4}

    asked = (run / "predictions" / "test.jsonl", *rows, "--config", evaluation)
    call(monkeypatch, "evaluate", *asked, "--out", tmp_path / "results")
    call(monkeypatch, "evaluate", *asked, "--teacher", "scenes", "--out", tmp_path / "with_teacher")
    found = {
        name: json.loads((tmp_path / name / "results.json").read_text(encoding="utf-8"))
        for name in ("results", "with_teacher")
    }
    for results in found.values():
        assert results["settings"]["bootstrap"]["resamples"] == 20
        assert "bertscore_f1" not in results["metrics"]
    assert "student_teacher_label_agreement" in found["with_teacher"]["metrics"]
    assert "student_teacher_label_agreement" not in found["results"]["metrics"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"bertscore": False, "judge": "a", "resamples": 20, "faithfulness_limit": 5, "efficiency": False}),
        ({"bertscore": True, "judge": "b"}, {"bertscore": True, "judge": "b", "resamples": 20}),
        ({"efficiency": True, "teachers": {"human": None}}, {"efficiency": True, "teachers": {"human": None}}),
    ],
)
def test_an_option_goes_before_the_file_and_an_absent_one_changes_nothing(
    tmp_path: Path, options: dict[str, Any], expected: dict[str, Any]
) -> None:
    from reasondistill.cli.evaluate import _settings

    evaluation = {"bertscore": False, "judge": "a", "resamples": 20, "faithfulness_limit": 5, "efficiency": False}
    path = write(tmp_path, evaluation={"evaluation": evaluation})
    absent = dict.fromkeys(("bertscore", "judge", "teachers", "faithfulness_limit", "efficiency"))
    settings = _settings(path, None, **(absent | options))
    assert {key: getattr(settings, key) for key in expected} == expected
