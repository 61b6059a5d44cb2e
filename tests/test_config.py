"""Configurations: what YAML may say, that every mistake is named at once, and that no text ends in another error."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from reasondistill.config import (
    EvalConfig,
    FederateConfig,
    Generation,
    HubStudent,
    JudgeConfig,
    Loss,
    Schedule,
    ScratchStudent,
    Source,
    TrainConfig,
    WarmStartStudent,
    load_config,
)
from reasondistill.errors import ConfigError, DataError
from reasondistill.storage.layered_yaml import read_yaml, validate_config
from reasondistill.sweeps import SweepSettings
from reasondistill.teachers.teach_settings import TeachConfig

ROOT = Path(__file__).resolve().parents[1]
MINIMAL = {"name": "x", "data": {"train": {"source": "scenes"}}, "student": {"kind": "scratch"}}


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "train.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def minimal(folder: Path, **more: Any) -> Path:
    return write(folder, yaml.safe_dump(MINIMAL | more))


def mistakes(error: ConfigError) -> list[str]:
    return str(error).split("\n  - ")[1:]


# --- what it gives ---


def test_a_minimal_file_has_the_documented_defaults(tmp_path: Path) -> None:
    config = load_config(TrainConfig, minimal(tmp_path))
    assert (config.task.name, config.order, config.seed) == ("nli", "label_first", 42)
    assert (config.loss.alpha, config.loss.beta) == (0.5, 0.5)
    assert config.generation == Generation(num_beams=4, repetition_penalty=1.2, length_penalty=0.8)
    assert config.training == {}


@pytest.mark.parametrize(
    ("student", "kind"),
    [({"kind": "hub"}, HubStudent), ({"kind": "scratch"}, ScratchStudent), ({"kind": "warm_start"}, WarmStartStudent)],
)
def test_each_kind_of_student(tmp_path: Path, student: dict[str, Any], kind: type) -> None:
    assert isinstance(load_config(TrainConfig, minimal(tmp_path, student=student)).student, kind)


def test_a_configuration_is_frozen_and_survives_its_own_record() -> None:
    config = validate_config(TrainConfig, MINIMAL | {"loss": {"alpha": {"start": 0.8, "end": 0.2}}}, where="x")
    assert validate_config(TrainConfig, config.model_dump(mode="json"), where="y") == config
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("written", "value"),
    [("1e-4", 1e-4), ("1E-4", 1e-4), ("-3e2", -300.0), ("+1e5", 1e5), ("1.e-3", 1e-3), ("2.5e-05", 2.5e-5), ("7", 7)],
)
def test_numbers_are_numbers(tmp_path: Path, written: str, value: float) -> None:
    found = read_yaml(write(tmp_path, f"rate: {written}"))["rate"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("written", ["e4", "1e", "e", "1e-4x", "'1e-4'", "v1e4"])
def test_words_that_look_like_numbers_stay_words(tmp_path: Path, written: str) -> None:
    assert read_yaml(write(tmp_path, f"rate: {written}"))["rate"] == written.strip("'")


def test_a_schedule_goes_from_start_to_end_and_stays_there() -> None:
    schedule = Schedule(start=0.7, end=0.3, over=0.5)
    assert [schedule.at(p) for p in (0.0, 0.25, 0.5, 0.75, 1.0)] == pytest.approx([0.7, 0.5, 0.3, 0.3, 0.3])
    assert Schedule(start=0.0, end=1.0).at(0.25) == 0.25
    assert Loss(alpha=schedule, beta=0.5).weights(0.25) == pytest.approx((0.5, 0.5))
    assert Loss().weights(1.0) == (0.5, 0.5)


INCLUDED = ("model_configs", "eval_configs")
"""Files that training_configs.yaml includes, and that are no training by themselves."""


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob("configs/**/*.yaml"), *ROOT.glob("src/reasondistill/builtin/*.yaml")])
)
def test_every_configuration_that_is_shipped_loads(path: Path) -> None:
    if "judge" in path.stem:
        assert load_config(JudgeConfig, path).data.explained_sources
        return
    if path.stem.startswith("sweep_"):
        assert load_config(SweepSettings, path).small, "a shipped sweep has a small version"
        return
    if path.stem.startswith("federated_"):
        assert load_config(FederateConfig, path).train_config().training
        return
    if path.stem.startswith("teach_"):
        assert load_config(TeachConfig, path).teachers
        return
    if path.stem in INCLUDED:
        assert load_config(EvalConfig, path) if path.stem == "eval_configs" else read_yaml(path)["student"]
        return
    config = load_config(TrainConfig, path)
    assert config.training, "a shipped configuration says how to train"


def test_there_are_configurations_that_are_shipped() -> None:
    assert list(ROOT.glob("configs/*.yaml"))
    assert (ROOT / "src/reasondistill/builtin/quickstart.yaml").is_file()


# --- mistakes ---


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "name: x\nsede: 1\norder: label_last\ndata: {train: {source: scenes, sise: 4}}\n"
        "student: {kind: scratch, num_layers: 0}\n",
    )
    with pytest.raises(ConfigError) as caught:
        load_config(TrainConfig, path)
    assert str(caught.value).startswith(f"{path}: 4 mistakes\n")
    found = mistakes(caught.value)
    assert [text.split(":")[0] for text in found] == ["order", "data.train.sise", "student.num_layers", "sede"]
    assert "'label_first'" in found[0]
    assert found[0].endswith("found 'label_last'")
    assert found[1] == "data.train.sise: unknown key"
    assert found[2].endswith("greater than or equal to 1, found 0")


LEVELS: list[tuple[str, dict[str, Any]]] = [
    ("typo", {"typo": 1}),
    ("data.typo", {"data": {"train": {"source": "scenes"}, "typo": 1}}),
    ("data.train.typo", {"data": {"train": {"source": "scenes", "typo": 1}}}),
    ("data.validation.typo", {"data": {"train": {"source": "scenes"}, "validation": {"source": "scenes", "typo": 1}}}),
    ("student.typo", {"student": {"kind": "hub", "typo": 1}}),
    ("student.typo", {"student": {"kind": "scratch", "typo": 1}}),
    ("student.typo", {"student": {"kind": "warm_start", "typo": 1}}),
    ("student.denoising.typo", {"student": {"kind": "warm_start", "denoising": {"typo": 1}}}),
    ("loss.typo", {"loss": {"typo": 1}}),
    ("generation.typo", {"generation": {"typo": 1}}),
]


@pytest.mark.parametrize(("key", "change"), LEVELS)
def test_an_unknown_key_is_a_mistake_at_every_level(tmp_path: Path, key: str, change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(TrainConfig, minimal(tmp_path, **change))
    assert mistakes(caught.value) == [f"{key}: unknown key"]


def test_an_unknown_key_of_a_schedule_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"loss\.alpha\.typo: unknown key"):
        load_config(TrainConfig, minimal(tmp_path, loss={"alpha": {"start": 1, "end": 0, "typo": 1}}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "a/b"}, "name: String should match pattern"),
        ({"name": "../x"}, "name: String should match pattern"),
        ({"name": ""}, "name: String should match pattern"),
        ({"seed": -1}, "seed: "),
        (
            {"task": "nil"},
            "task: expected one of ['comve', 'cose', 'entailment_bank', 'geoquery', 'instructions', 'nli', "
            "'nli_structured', 'scitldr', 'strategyqa', 'strategyqa_facts'], or the path of a .yaml file, found 'nil'",
        ),
        ({"student": {"kind": "bert"}}, "student.kind: expected one of hub, scratch, warm_start, found 'bert'"),
        ({"student": {}}, "student.kind: expected one of hub, scratch, warm_start, found None"),
        ({"student": None}, "student: "),
        ({"loss": {"alpha": -0.1}}, "loss.alpha: Input should be greater than or equal to 0, found -0.1"),
        ({"loss": {"alpha": {"start": 1}}}, "loss.alpha.end: required, but not there"),
        ({"loss": {"alpha": {"start": 1, "end": 0, "over": 0}}}, "loss.alpha.over: Input should be greater than 0"),
        ({"loss": {"alpha": 0, "beta": 0}}, "configuration: loss: alpha and beta are both 0"),
        ({"generation": {"num_beams": 0}}, "generation.num_beams: Input should be greater than or equal to 1, found 0"),
        ({"data": {"train": {}}}, "data.train.source: required, but not there"),
        ({"data": {}}, "data.train: required, but not there"),
        ({"data": {"train": 7}}, "data.train: "),
        ({"training": [1]}, "training: Input should be a valid dictionary, found [1]"),
        ({"early_stopping_patience": 0}, "early_stopping_patience: "),
    ],
)
def test_a_mistake_is_named_by_its_key(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"  - {message}")):
        load_config(TrainConfig, minimal(tmp_path, **change))


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(TrainConfig, write(tmp_path, "seed: 1\n"))
    assert mistakes(caught.value) == [f"{key}: required, but not there" for key in ("name", "data", "student")]


def test_unknown_training_arguments_are_named(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(ConfigError) as caught:
        load_config(TrainConfig, minimal(tmp_path, training={"learning_rat": 1, "epochs": 2, "max_steps": 3}))
    (mistake,) = mistakes(caught.value)
    assert mistake.startswith(
        "training: ['epochs', 'learning_rat'] are no keys of transformers.Seq2SeqTrainingArguments"
    )


@pytest.mark.parametrize("key", ["output_dir", "seed", "data_seed", "remove_unused_columns", "predict_with_generate"])
def test_arguments_that_the_library_sets_are_reserved(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"training: ['{key}'] are set by reasondistill")):
        load_config(TrainConfig, minimal(tmp_path, training={key: 1}))


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("name: x\nseed: 1\nname: y\n", 3, "name"),
        ("data:\n  train:\n    source: a\n    source: b\n", 4, "source"),
        ("loss: {alpha: 1, beta: 0, alpha: 1}\n", 1, "alpha"),
        ("a:\n- x: 1\n  'x': 2\n", 3, "x"),
    ],
)
def test_a_doubled_key_is_named_with_its_line(tmp_path: Path, text: str, line: int, key: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert str(caught.value) == f"{path}:{line}: expected each key once, found the key '{key}' twice. Keep one."


GROWING = "a0: &a0 [x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)  # 10 ** 11 values in twelve lines


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found an empty file"),
        ("# nothing but a remark\n", "expected keys and values (name: …), found NoneType"),
        ("- a\n", "expected keys and values (name: …), found list"),
        ("name: [1\n", "train.yaml:1: expected YAML, found "),
        ("a: b: c\n", "train.yaml:1: expected YAML, found mapping values are not allowed here"),
        ("a: *b\n", "train.yaml:1: expected YAML, found undefined alias"),
        ("1: x\n", "train.yaml:1: expected keys that are words, found 1"),
        ("yes: x\n", "expected keys that are words, found True"),
        ("a: !!python/object:os.system x\n", "train.yaml:1: expected YAML, found could not determine a constructor"),
        ("a: 1\n---\nb: 2\n", "expected YAML, found but found another document"),
        ("a: 2001-99-99\n", "expected YAML, found month must be in 1..12"),
        ("a: " + "[" * 3000, "train.yaml:1: expected at most 20,000 values, nested at most 50 deep"),
        (GROWING, "train.yaml:5: expected at most 20,000 values"),
        ("a: [" + "1, " * 30_000 + "]", "expected at most 20,000 values"),
        ("".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 90)).replace("*a0", "x"), "nested at most 50 deep"),
        ("a: &a [*a]\n", "train.yaml:1: expected aliases of something else, found an alias that stands for itself"),
        ("a: &a {b: [1, *a]}\n", "train.yaml:1: expected aliases of something else"),
        ("a: &a {b: 1}\nc: {<<: *a}\n", "train.yaml:2: expected keys and values, found a merge key (<<)"),
        (b"a: 1\nb: \xff\n", "train.yaml:2: expected text in UTF-8, found the byte 0xff at column 4"),
        ("a: 1\nb: \x0b\n", "train.yaml:2: expected YAML, found the character U+000B"),
        ("a: !!int ''\n", "expected YAML, found "),
        ("a: !!bool maybe\n", "expected YAML, found "),
        ("a: !!timestamp soon\n", "expected YAML, found "),
        ("a: !!map [1]\n", "train.yaml:1: expected "),
        ("a: !!set [1]\n", "train.yaml:1: expected "),
    ],
)
def test_what_is_no_configuration_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises((ConfigError, DataError), match=re.escape(message)):
        read_yaml(write(tmp_path, text))


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.yaml: .*found nothing at this path"):
        load_config(TrainConfig, tmp_path / "absent.yaml")


# --- overrides ---


def test_overrides_go_before_the_file(tmp_path: Path) -> None:
    config = load_config(
        TrainConfig,
        minimal(tmp_path, seed=1),
        [
            "seed=7",
            "name=y",
            "student.num_layers=3",
            "loss.alpha={start: 0.9, end: 0.1}",
            "training.learning_rate=1e-4",
            "data.train.source=a=b.csv",
            "data.validation.source=scenes",
        ],
    )
    assert (config.seed, config.name) == (7, "y")
    assert config.student == ScratchStudent(kind="scratch", num_layers=3)
    assert config.loss.alpha == Schedule(start=0.9, end=0.1)
    assert config.training == {"learning_rate": 1e-4}
    assert isinstance(config.data.train, Source)
    assert config.data.train.source == "a=b.csv"
    assert config.data.validation is not None


def test_a_later_override_wins(tmp_path: Path) -> None:
    assert load_config(TrainConfig, minimal(tmp_path), ["seed=1", "seed=2"]).seed == 2


def test_an_override_can_take_a_value_away(tmp_path: Path) -> None:
    path = minimal(tmp_path, early_stopping_patience=3)
    assert load_config(TrainConfig, path, ["early_stopping_patience="]).early_stopping_patience is None


def test_all_broken_overrides_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(
            TrainConfig, minimal(tmp_path), ["seed", "=1", "a..b=1", "name.x=1", "loss={a: 1, a: 2}", "seed=[1"]
        )
    assert str(caught.value).startswith("--set: 6 mistakes")
    found = mistakes(caught.value)
    assert found[:3] == [f"'{text}': expected key.path=value" for text in ("seed", "=1", "a..b=1")]
    assert found[3] == "'name.x=1': name holds 'x', which has no keys"
    assert "found the key 'a' twice" in found[4]
    assert found[5].startswith("'seed=[1': seed:1: expected YAML")


def test_an_override_of_an_unknown_key_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"- loss\.gamma: unknown key"):
        load_config(TrainConfig, minimal(tmp_path), ["loss.gamma=1"])


# --- nothing but a configuration or its error ---

KEYS = st.sampled_from(
    [
        "name",
        "seed",
        "data",
        "train",
        "source",
        "split",
        "student",
        "kind",
        "loss",
        "alpha",
        "start",
        "training",
        "<<",
        "=",
    ]
)
SCALARS = st.sampled_from(
    [
        *[
            "x",
            "scratch",
            "scenes",
            "1",
            "-1",
            "1e-4",
            "0.5",
            "yes",
            "null",
            "''",
            "[]",
            "{}",
            ".nan",
            ".inf",
            "2001-02-30",
        ],
        *[
            "*a",
            "&a x",
            "&a {b: *a}",
            "!!int ''",
            "!!bool no",
            "!!map [1]",
            "!!binary é",
            "!!x y",
            "\x0b",
            "\t",
            "👩‍🍳",
            "[1",
            "'",
            ": ",
        ],
    ]
)
LINES = st.tuples(st.sampled_from(["", "", "  ", "    ", "- "]), KEYS, SCALARS | st.just("")).map(
    lambda parts: f"{parts[0]}{parts[1]}: {parts[2]}"
)
YAML_TEXTS = st.lists(LINES | st.text(max_size=12), max_size=10).map("\n".join)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
in_scratch = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@in_scratch
@given(text=YAML_TEXTS | st.binary(max_size=30))
def test_any_text_is_a_configuration_or_a_mistake(tmp_path: Path, text: str | bytes) -> None:
    path = write(tmp_path, text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    try:
        load_config(TrainConfig, path)
    except (ConfigError, DataError) as error:
        message = str(error)
    else:
        message = str(path)
    assert str(path) in message


@in_scratch
@given(data=st.fixed_dictionaries({}, optional={key: VALUES for key in TrainConfig.model_fields if key != "training"}))
def test_any_values_are_a_configuration_or_a_mistake(data: dict[str, Any]) -> None:
    with contextlib.suppress(ConfigError):
        config = validate_config(TrainConfig, MINIMAL | data, where="here")
        assert validate_config(TrainConfig, config.model_dump(mode="json"), where="again") == config


@in_scratch
@given(override=st.text(max_size=12) | st.tuples(KEYS, SCALARS).map("=".join))
def test_any_override_is_taken_or_a_mistake(tmp_path: Path, override: str) -> None:
    with contextlib.suppress(ConfigError):
        load_config(TrainConfig, minimal(tmp_path), [override])


def test_files_that_include_each_other_again_and_again_are_refused(tmp_path: Path) -> None:
    for i in range(30):  # 2 ** 30 files to read
        (tmp_path / f"{i}.yaml").write_text(f"include: [{i + 1}.yaml, {i + 1}.yaml]\n", encoding="utf-8")
    (tmp_path / "30.yaml").write_text("name: x\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="at most 200 files that include each other"):
        load_config(TrainConfig, tmp_path / "0.yaml")


def test_a_truth_value_is_no_number() -> None:
    value: dict[str, Any] = {"name": "a", "task": "nli", "data": {"train": "scenes"}, "student": {"kind": "scratch"}}
    for changes in ({"seed": True}, {"generation": {"num_beams": True}}, {"loss": {"alpha": True}}):
        with pytest.raises(ConfigError, match=r"\w+: expected a number, found true"):
            validate_config(TrainConfig, value | changes, where="train.yaml")
    with pytest.raises(ConfigError, match="limit: expected a number"):
        validate_config(
            TrainConfig, value | {"data": {"train": {"source": "scenes", "limit": True}}}, where="train.yaml"
        )
    assert validate_config(TrainConfig, value, where="train.yaml").data.train_sources[0].source == "scenes"


def test_whole_numbers_are_decimal(tmp_path: Path) -> None:
    text = "a: 010\nb: 12:30\nc: 1_000\nd: 0x1F\ne: -7\nf: 0\ng: +3\nh: 1e3\ni: 08\n"
    want = {"a": 10, "b": "12:30", "c": 1000, "d": 31, "e": -7, "f": 0, "g": 3, "h": 1000.0, "i": 8}
    assert read_yaml(write(tmp_path, text)) == want


def test_aliases_that_do_not_grow_are_read(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(
        "name: x\nstudent: {kind: scratch}\ndata: {train: &part {source: scenes}, validation: *part}\n",
        encoding="utf-8",
    )
    assert load_config(TrainConfig, path).data.validation == Source(source="scenes")


@pytest.mark.parametrize("key", ["max_source_length", "max_target_length"])
def test_lengths_that_no_student_can_keep_are_refused_in_the_configuration(key: str) -> None:
    data = {"train": {"source": "scenes"}}
    good = {"name": "run", "data": data, "student": {"kind": "scratch"}, key: 16_384}
    assert validate_config(TrainConfig, good, where="here").model_dump()[key] == 16_384
    with pytest.raises(ConfigError, match=f"{key}.* 16384"):
        validate_config(TrainConfig, good | {key: 16_385}, where="here")


def test_the_language_of_the_data_is_that_of_what_is_measured() -> None:
    value: dict[str, Any] = MINIMAL | {"data": {"train": {"source": "scenes"}, "language": "de"}}
    config = TrainConfig.model_validate(value)
    assert config.evaluation.language == "German"
    assert TrainConfig.model_validate(config.model_dump(mode="json")) == config
    other = TrainConfig.model_validate(value | {"evaluation": {"language": "fr", "stemmer": False}})
    assert (other.evaluation.language, other.evaluation.stemmer) == ("French", False)
    plain = TrainConfig.model_validate(value | {"data": {"train": {"source": "scenes"}}})
    assert plain.evaluation.language is None
    assert "language" not in plain.model_dump()["evaluation"] | plain.model_dump()["data"]  # as in older runs


def test_samples_are_for_answers_that_are_texts() -> None:
    value: dict[str, Any] = {**MINIMAL}
    with pytest.raises(ValidationError, match=r"generation\.samples: for tasks whose answers are texts"):
        TrainConfig.model_validate(value | {"generation": {"samples": 4}})
    asked = TrainConfig.model_validate(value | {"generation": {"samples": 4}, "task": "geoquery"})
    assert asked.model_dump()["generation"]["samples"] == 4
    assert "samples" not in TrainConfig.model_validate(value).model_dump()["generation"]
