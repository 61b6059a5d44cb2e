"""A sweep's YAML to its trials, which are checked before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from reasondistill.errors import ConfigError
from reasondistill.sweeps import load_sweep
from sweeping import BASE, EVALUATE, cells, written

ROOT = Path(__file__).resolve().parents[1]


# --- what is asked ---


def test_a_grid_is_a_trial_for_each_combination_and_seed(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        set={"training.max_steps": 7},
        grid={"order": ["label_first", "label_only"], "loss.alpha": [0.5, {"start": 0.7, "end": 0.3}]},
        cells=[{"name": "deep", "set": {"student.num_layers": 2}, "seeds": [9]}],
        seeds=[1, 2],
    )
    sweep = load_sweep(path)
    assert [trial.name for trial in sweep.trials] == [
        "order-label_first_alpha-0.5-s1",
        "order-label_first_alpha-0.5-s2",
        "order-label_first_alpha-end-0.3-start-0.7-s1",
        "order-label_first_alpha-end-0.3-start-0.7-s2",
        "order-label_only_alpha-0.5-s1",
        "order-label_only_alpha-0.5-s2",
        "order-label_only_alpha-end-0.3-start-0.7-s1",
        "order-label_only_alpha-end-0.3-start-0.7-s2",
        "deep-s9",
    ]
    assert [trial.number for trial in sweep.trials] == list(range(9))
    third, deep = sweep.trials[3].config, sweep.trials[8].config
    assert third.loss.weights(1.0) == (0.3, 0.5)
    assert (third.seed, third.name, third.training["max_steps"]) == (2, sweep.trials[3].name, 7)
    assert Path(third.runs_dir) == sweep.folder / "runs"
    assert (deep.seed, deep.student.num_layers, deep.order) == (9, 2, "label_first")  # type: ignore[union-attr]
    assert sweep.baseline == "order-label_first_alpha-0.5"
    assert sweep.trial("8") is sweep.trial("deep-s9") is sweep.trials[8]
    with pytest.raises(ConfigError, match="0 to 8"):
        sweep.trial("9")


def test_the_documented_sweep_is_read(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")
    example = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump(example | {"base": BASE, "evaluate": EVALUATE, "set": {}}), encoding="utf-8")
    sweep = load_sweep(path)
    assert [trial.name for trial in sweep.trials][::2] == [
        "alpha-0.2-s42",
        "alpha-0.5-s42",
        "alpha-0.8-s42",
        "label_only-s42",
    ]
    assert sweep.baseline == "alpha-0.5"


def test_a_long_value_leaves_a_name_that_a_file_can_have(tmp_path: Path) -> None:
    long = [f"{'why ' * 80}{end}" for end in ("a", "b")]
    names = [trial.name for trial in load_sweep(written(tmp_path, grid={"training.run_name": long})).trials]
    assert len(set(names)) == 2
    assert max(map(len, names)) < 80


def test_a_base_is_found_beside_the_file_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(BASE), encoding="utf-8")
    sweep = load_sweep(
        written(tmp_path, base="train.yaml", cells=[*cells("a"), {"name": "b", "set": {"seed_": 1}}][:1])
    )
    assert sweep.trials[0].config.student.kind == "scratch"
    again = load_sweep(
        written(tmp_path, base=BASE, cells=[{"name": "a", "set": {"training.max_steps": 5}}, *cells("b")])
    )
    assert [c.config.training["max_steps"] for c in again.trials] == [5, 2]  # a change stays in its trial


def test_all_mistakes_are_named_before_anything_runs(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        cells=[
            {"name": "typo", "set": {"student.num_layer": 2}},
            {"name": "value", "set": {"order": "label_last", "loss.alpha.start": 0.1}},
            {"name": "right"},
            {"name": "data", "set": {"data.train.source": "absent.csv"}},
        ],
        seeds=[1, 2],
        evaluate={"source": "nowhere.csv", "judge": "no/judge", "teachers": {"t": "none.jsonl"}},
    )
    with pytest.raises(ConfigError) as caught:
        load_sweep(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: 6 mistakes")
    for part in ("student.num_layer: unknown key", "order", "absent.csv", "nowhere.csv", "no/judge", "none.jsonl"):
        assert part in text
    assert text.count("num_layer") == 1  # once, not once a seed
    assert not (tmp_path / "sweeps").exists()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"cells": []}, "nothing to run"),
        ({"cells": cells("a", "a")}, "'a' names two of them"),
        ({"cells": cells("a"), "baseline": "b"}, "baseline: expected one of a, found 'b'"),
        ({"cells": [{"name": "b", "after": "a"}, {"name": "a"}]}, "expected an earlier variant"),
        ({"cells": [{"name": "a", "seeds": [1]}, {"name": "b", "after": "a", "seeds": [1, 2]}]}, r"seeds \[2\]"),
        ({"cells": [{"name": "a", "set": {"seed": 3}}]}, "seed is set by the sweep"),
        ({"cells": cells("a"), "seeds": [1, 1]}, "each seed once"),
        ({"cells": cells("a"), "evaluate": [EVALUATE, EVALUATE]}, "two are called 'test'"),
        ({"cells": cells("a"), "cels": []}, "cels: unknown key"),
        ({"cells": cells("a"), "metrics": ["label_accuracy", "rougel"]}, "rougel is no metric"),
        ({"cells": cells("a"), "metrics": ["aurc"]}, "aurc cannot be compared: it ranks all rows"),
        ({"grid": {"loss.alpha": [1, 1.0, 1]}}, "if grid values look alike"),
        ({"grid": {"loss.alpha": [1, 2], "loss": [{"alpha": 3}]}}, "loss holds loss.alpha: one would replace"),
    ],
)
def test_parts_that_do_not_fit_are_mistakes(tmp_path: Path, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_sweep(written(tmp_path, **keys))


def test_a_trial_after_another_begins_with_its_student(tmp_path: Path) -> None:
    sweep = load_sweep(
        written(
            tmp_path,
            set={"student.num_layers": 2, "loss.beta": 0.1},
            cells=[*cells("a"), {"name": "b", "after": "a", "set": {"loss.alpha": 0.9}}],
            seeds=[4, 5],
        )
    )
    b = sweep.trial("b-s5")
    assert b.after == "a-s5"
    assert b.config.student.model_dump()["checkpoint"] == str(sweep.folder / "runs" / "a-s5" / "student")
    assert b.config.loss.weights(0.0) == (0.9, 0.1)
    assert sweep.trial("a-s5").after is None


def test_a_trial_after_another_may_learn_from_what_that_writes(tmp_path: Path) -> None:
    after = {"name": "b", "after": "a", "set": {"data.train": {"source": "{after}/written.jsonl"}}}
    sweep = load_sweep(written(tmp_path, cells=[*cells("a"), after], seeds=[4]))
    assert sweep.trial("b-s4").config.data.train_sources[0].source == str(
        sweep.folder / "runs" / "a-s4" / "written.jsonl"
    )
    after["set"] = {"data.train": {"source": "elsewhere/written.jsonl"}}
    with pytest.raises(ConfigError, match="nothing at this path"):
        load_sweep(written(tmp_path, cells=[*cells("a"), after], seeds=[4]))


def test_the_small_version_replaces_what_it_says(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        base={**BASE, "order": "label_only"},
        set={"student.num_layers": 9},
        cells=[{"name": "a", "set": {"student.num_layers": 5}, "small": {"student.num_layers": 2}}, *cells("b")],
        seeds=[1, 2, 3],
        small={"base": BASE, "set": {"training.max_steps": 1}},
    )
    small = load_sweep(path, small=True)
    assert small.folder.name == "s-small"
    assert [c.name for c in small.trials] == ["a-s1", "b-s1"]
    assert [c.config.student.num_layers for c in small.trials] == [2, 1]  # type: ignore[union-attr]
    assert {c.config.order for c in small.trials} == {"label_first"}
    assert small.arguments == (str(path), "--small")


# --- the command ---


def test_a_dry_run_lists_trials_and_runs_nothing(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    path = written(tmp_path, cells=[*cells("a"), {"name": "b", "set": {"order": "label_only"}}])
    status, out, _ = run("sweep", path, "--dry-run")
    assert status == 0
    assert [line.split("│")[1:6] for line in out.splitlines() if "waiting" in line] == [
        [" 0     ", " a-s42 ", " 42   ", " the base           ", " waiting "],
        [" 1     ", " b-s42 ", " 42   ", " order = label_only ", " waiting "],
    ]
    assert not (tmp_path / "sweeps").exists()


def test_what_transformers_refuses_is_named_for_every_trial_before_the_first(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    wrong = [("betas", {"training.adam_beta1": 2}), ("epochs", {"training.num_train_epochs": 0})]
    path = written(tmp_path, cells=[*cells("a"), *({"name": name, "set": keys} for name, keys in wrong)], seeds=[1, 2])
    for options in (["--dry-run"], []):
        status, _, error = run("sweep", path, *options)
        assert status == 2
        assert "2 mistakes" in error
        assert "variant betas: training" in error
        assert "num_train_epochs: expected a number above 0, found 0" in error
    assert not (tmp_path / "sweeps").exists()


def test_options_that_exclude_each_other(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    path = written(tmp_path, cells=cells("a"))
    for options in (("--dry-run", "--summary"), ("--cell", "0", "--summary")):
        status, _, error = run("sweep", path, *options)
        assert status == 2
        assert options[0] in error
