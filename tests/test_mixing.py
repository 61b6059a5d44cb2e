"""Several sources: which rows an epoch goes through, and a training on all of them."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasondistill.config import Mixing, TrainConfig
from reasondistill.data.transforms.mixing import Mixture
from reasondistill.errors import DataError
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.training.learned_data import load_parts
from reasondistill.training.train import train
from reasondistill.training.trainer import DistillationTrainer

SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=4)


@given(
    SIZES,
    st.data(),
    st.sampled_from(["proportional", "balanced", "temperature"]),
    st.integers(0, 5),
)
def test_an_epoch_has_as_many_rows_as_all_sources_and_none_comes_again_too_soon(
    sizes: list[int], data: st.DataObject, strategy: Any, seed: int
) -> None:
    weights = data.draw(st.lists(st.floats(0.1, 10), min_size=len(sizes), max_size=len(sizes)))
    mixture = Mixture(sizes, weights, Mixing(strategy=strategy), seed=seed)
    begins = np.cumsum([0, *sizes])
    seen: Counter[int] = Counter()
    for number in range(4):
        epoch = mixture.epoch(number)
        assert len(epoch) == len(mixture) == sum(sizes)
        assert np.array_equal(epoch, mixture.epoch(number))  # a resumed run draws the same
        seen.update(epoch.tolist())
        for source, (begin, end) in enumerate(pairwise(begins)):
            assert int(((epoch >= begin) & (epoch < end)).sum()) == mixture.counts[source]
            times = [seen[row] for row in range(begin, end)]
            assert max(times) - min(times) <= 1


def test_shares_follow_the_strategy() -> None:
    def shares(strategy: Any, weights: tuple[float, float] = (1, 1), **options: Any) -> list[float]:
        return Mixture([900, 100], weights, Mixing(strategy=strategy, **options), seed=0).shares

    assert shares("proportional") == pytest.approx([0.9, 0.1])
    assert shares("balanced") == pytest.approx([0.5, 0.5])
    assert shares("temperature", temperature=2) == pytest.approx([0.75, 0.25])  # 30 to 10
    assert shares("balanced", (3, 1)) == pytest.approx([0.75, 0.25])
    assert shares("proportional", (1, 3)) == pytest.approx([0.75, 0.25])
    assert Mixture([900, 100], (2, 2), Mixing(), seed=0).plain


def test_a_student_learns_from_two_files_one_of_them_without_explanations(tmp_path: Path) -> None:
    labels_only = tmp_path / "pairs.tsv"
    rows = [f"A man {verb}s.\tA man is {verb}ing.\tentailment" for verb in ("jump", "sing", "read", "walk")]
    labels_only.write_text("\n".join(["a\tb\tgold", *rows]), encoding="utf-8")
    config = validate_config(
        TrainConfig,
        {
            "name": "joined",
            "runs_dir": str(tmp_path),
            "data": {
                "train": [
                    {"source": "scenes:60", "split": "train"},
                    {
                        "source": str(labels_only),
                        "columns": {"premise": "a", "hypothesis": "b", "label": "gold"},
                        "weight": 2.0,
                    },
                ],
                "mixing": {"strategy": "balanced"},
            },
            "student": {"kind": "scratch", "d_model": 16, "d_ff": 16, "d_kv": 8, "num_heads": 2, "vocab_size": 400},
            "training": {"num_train_epochs": 2, "per_device_train_batch_size": 8, "save_strategy": "no"},
        },
        where="test",
    )
    run = train(config)
    facts = run.info().data
    assert [facts[f"train {i}"].source for i in (1, 2)] == ["scenes:60@42", "pairs"]
    assert facts["train 2"].n == 4
    assert "train 2 data | pairs, 4 examples" in (run.student / "README.md").read_text(encoding="utf-8")
    assert run.info().status == "finished"


def test_rows_that_the_validation_part_has_are_set_aside(tmp_path: Path) -> None:
    held_out = tmp_path / "held_out.csv"
    held_out.write_text("premise,hypothesis,label\nA cat sits.,A dog.,neutral\n", encoding="utf-8")
    own = tmp_path / "own.csv"
    own.write_text("premise,hypothesis,label\nA bird flies.,A bird.,entailment\n", encoding="utf-8")
    revised = tmp_path / "revised.csv"
    revised.write_text(
        "premise,hypothesis,label\nA cat sits.,A cat.,entailment\nA cow eats.,A cow.,entailment\n", encoding="utf-8"
    )

    def parts(train_sources: Any) -> Any:
        value = {
            "name": "x",
            "data": {"train": train_sources, "validation": {"source": str(held_out)}},
            "student": {"kind": "scratch"},
        }
        return load_parts(validate_config(TrainConfig, value, where="test"))

    found = parts([{"source": str(own)}, {"source": str(revised)}])
    assert [len(part.examples) for part in found.train] == [1, 1]
    assert found.facts()["train 2"].dropped == {"row with a text of the validation part": 1}
    with pytest.raises(DataError, match="groups that the training part does not have"):
        parts({"source": str(revised)})


def test_a_stopped_run_goes_on_with_the_rows_that_would_have_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[list[str]]] = {}
    stopped: list[int] = []
    original = DistillationTrainer.compute_loss

    def config(name: str) -> TrainConfig:
        value = {
            "name": name,
            "runs_dir": str(tmp_path),
            "data": {
                "train": [{"source": "scenes:40"}, {"source": "scenes:8@5", "weight": 1.5}],
                "mixing": {"strategy": "temperature"},
            },
            "student": {"kind": "scratch", "d_model": 16, "d_ff": 16, "d_kv": 8, "num_heads": 2, "vocab_size": 400},
            "training": {"max_steps": 18, "per_device_train_batch_size": 8, "save_steps": 7, "use_cpu": True},
        }
        return validate_config(TrainConfig, value, where="test")

    def watched(self: DistillationTrainer, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        name = Path(self.args.output_dir).parent.name
        if name == "cut" and self.state.global_step == 15 and not stopped:
            stopped.append(15)
            seen["cut"] = seen["cut"][:14]  # what came after the last checkpoint comes again
            raise KeyboardInterrupt
        seen.setdefault(name, []).append([str(row.tolist()) for row in inputs["input_ids"]])
        return original(self, model, inputs, *args, **kwargs)

    monkeypatch.setattr(DistillationTrainer, "compute_loss", watched)
    train(config("whole"))
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        train(config("cut"))
    train(config("cut"), resume=True)
    assert len(seen["whole"]) == 18  # three epochs of six batches; the stop is in the third
    assert seen["cut"] == seen["whole"]
