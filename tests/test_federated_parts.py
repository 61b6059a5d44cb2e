"""The parts of federated training on their own: clients, sums, masks, noise, screening, configurations."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from make import pair
from reasondistill.config import FedAdam, FederateConfig, Federation, Privacy
from reasondistill.contracts.records import Example, Explanation
from reasondistill.data import Loaded, load_dataset
from reasondistill.errors import ConfigError, DataError, MissingExtraError
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.training.federated import privacy as privacies
from reasondistill.training.federated.aggregation import Server, aggregate, weighted_mean
from reasondistill.training.federated.clients import Client, clients_of, is_held_out
from reasondistill.training.federated.privacy import clipped, noise, spent
from reasondistill.training.federated.rounds import drawn
from reasondistill.training.federated.screening import screen
from reasondistill.training.federated.secure_sum import SCALE, masked, quantised, summed
from reasondistill.training.federated.updates import Update

# --- clients ---


def federation(**values: Any) -> Federation:
    return Federation.model_validate({"clients": 4} | values)


@pytest.fixture(scope="module")
def scenes() -> Loaded:
    return load_dataset("scenes:400")


def ids(clients: Sequence[Client]) -> list[str]:
    return [example.id for client in clients for example in (*client.train.examples, *client.held_out.examples)]


@pytest.mark.parametrize("split_by", ["iid", "group", "label"])
def test_each_row_is_at_one_client_and_no_group_is_trained_on_and_held_out(scenes: Loaded, split_by: str) -> None:
    clients = clients_of([scenes], federation(split_by=split_by), seed=3)
    assert sorted(ids(clients)) == sorted(example.id for example in scenes.examples)
    trained = {example.group for client in clients for example in client.train.examples}
    tested = {example.group for client in clients for example in client.held_out.examples}
    assert trained
    assert tested
    assert not trained & tested
    again = clients_of([scenes], federation(split_by=split_by), seed=3)
    assert ids(clients) == ids(again) != ids(clients_of([scenes], federation(split_by=split_by), seed=4))


def test_groups_are_dealt_whole_where_that_is_asked_for(scenes: Loaded) -> None:
    def places(split_by: str) -> list[set[str]]:
        places: dict[str, set[str]] = {}
        for client in clients_of([scenes], federation(split_by=split_by), seed=3):
            for example in (*client.train.examples, *client.held_out.examples):
                places.setdefault(example.group or "", set()).add(client.name)
        return list(places.values())

    assert all(len(clients) == 1 for clients in places("group"))
    assert any(len(clients) > 1 for clients in places("iid"))


def test_label_shares_differ_the_more_the_smaller_alpha_is(scenes: Loaded) -> None:
    def skew(alpha: float) -> float:
        """The mean total variation distance of a client's label shares from all rows', over draws."""
        distances = []
        for seed in range(5):
            clients = clients_of([scenes], federation(split_by="label", alpha=alpha), seed=seed)
            labels = [Counter(example.label for example in client.train.examples) for client in clients]
            whole = sum(labels, Counter[str | None]())
            for own in labels:
                distances.append(sum(abs(own[x] / own.total() - whole[x] / whole.total()) for x in whole) / 2)
        return float(np.mean(distances))

    assert skew(0.1) > skew(1.0) + 0.1 > skew(100.0) + 0.2
    assert skew(100.0) < 0.1


def test_the_share_that_is_held_out_is_the_one_asked_for() -> None:
    held = [is_held_out(f"group {number}", 0.2) for number in range(10_000)]
    assert abs(sum(held) / len(held) - 0.2) < 4 * math.sqrt(0.2 * 0.8 / len(held))
    assert not any(is_held_out(f"group {number}", 0.0) for number in range(100))


def test_each_teacher_is_a_client_with_its_own_explanations() -> None:
    def row(number: int, *sources: str) -> Example:
        explanations = [Explanation(text=f"{name} says so.", source=name) for name in sources]
        return pair(id=str(number), label="neutral", explanations=explanations)

    data = Loaded("rows", [row(1, "ann", "bob"), row(2, "bob"), row(3), row(4, "bob", "bob")])
    clients = clients_of([data], Federation(split_by="teacher", held_out=0.0), seed=0)
    assert [client.name for client in clients] == ["ann", "bob"]
    assert [[example.id for example in client.train.examples] for client in clients] == [["1"], ["1", "2", "4"]]
    for client in clients:
        assert {e.source for example in client.train.examples for e in example.explanations} == {client.name}


def test_each_source_is_a_client(scenes: Loaded) -> None:
    parts = [scenes.first(30), scenes.first(20)]
    clients = clients_of(parts, Federation(split_by="source", held_out=0.0), seed=0)
    assert [client.rows for client in clients] == [30, 20]
    assert len({client.name for client in clients}) == len({client.folder for client in clients}) == 2


def test_a_client_without_rows_is_refused(scenes: Loaded) -> None:
    with pytest.raises(DataError, match=r"none at client-"):
        clients_of([scenes.first(3)], federation(clients=8), seed=0)
    with pytest.raises(DataError, match="fewer at some client"):
        clients_of([scenes.first(40)], federation(split_by="label", clients=9, alpha=0.01, least_rows=4), seed=0)


def test_draws_of_a_round_follow_the_probabilities(scenes: Loaded) -> None:
    clients = clients_of([scenes], federation(clients=10), seed=0)
    settings = federation(clients=10, participation=0.25, dropouts=0.3, stragglers=0.4)
    draws = [drawn(clients, settings, 7, number) for number in range(300)]
    assert {len(draw.asked) for draw in draws} == {3}
    assert draws == [drawn(clients, settings, 7, number) for number in range(300)]
    asked = sum(len(draw.asked) for draw in draws)
    assert abs(sum(len(draw.dropped_out) for draw in draws) / asked - 0.3) < 0.06
    assert abs(sum(len(draw.stragglers) for draw in draws) / asked - 0.4 * 0.7) < 0.06
    private = settings.model_copy(update={"privacy": Privacy(clip=1.0, noise_multiplier=1.0)})
    sizes = {len(drawn(clients, private, 7, number).asked) for number in range(300)}
    assert len(sizes) > 3  # each client by itself, as the accountant supposes


# --- updates and their mean ---


def update(client: str, *values: float, rows: int = 1) -> Update:
    return Update(client, rows, 0.0, {"w": torch.tensor(values)})


ZERO = Server({"w": torch.zeros(2)})
SHAPES = {"w": torch.Size([2])}


def test_a_mean_is_by_rows() -> None:
    mean = weighted_mean(ZERO.weights, [update("a", 1.0, 0.0, rows=1), update("b", 4.0, 8.0, rows=3)])
    assert mean["w"].tolist() == [3.25, 6.0]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # on a busy machine
@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20), st.integers(1, 2**28)
)
def test_the_mean_of_one_client_is_that_client_bit_for_bit(values: list[float], rows: int) -> None:
    tensor = torch.tensor(values)
    server = Server({"w": torch.ones(len(values))})
    updates = [Update("a", rows, 0.0, {"w": tensor})]
    after = aggregate(server, updates, Federation(clients=1), {"w": tensor.shape}, clients=1, shared=())
    assert torch.equal(after.weights["w"], tensor)


def test_of_lora_the_products_are_averaged_and_not_the_factors() -> None:
    left, right = torch.tensor([[1.0], [0.0]]), torch.tensor([[0.0, 1.0]])
    base = {"w": torch.eye(2)}
    updates = [
        Update("a", 1, 0.0, {"w.left": left, "w.right": right}, factors=True),
        Update("b", 1, 0.0, {"w.left": -left, "w.right": -right}, factors=True),
    ]
    # Both products are the same; the mean of the factors is zero.
    assert weighted_mean(base, updates)["w"].tolist() == [[1.0, 1.0], [0.0, 1.0]]


def test_an_update_is_the_same_after_a_file(tmp_path: Path) -> None:
    before = Update("a client/with: a name", 7, 1.25, {"w": torch.tensor([1.0, -0.0])}, factors=True)
    before.save(tmp_path / "x.safetensors")
    after = Update.load(tmp_path / "x.safetensors")
    assert (after.client, after.rows, after.loss, after.factors) == (before.client, 7, 1.25, True)
    assert torch.equal(after.tensors["w"], before.tensors["w"])
    assert before.bytes == 8


def test_adam_on_the_server_is_that_of_the_paper() -> None:
    strategy = FedAdam(kind="fedadam", learning_rate=0.1, beta_1=0.9, beta_2=0.99, tau=0.001)
    settings = federation(strategy=strategy)
    once = aggregate(ZERO, [update("a", 2.0, 0.0)], settings, SHAPES, clients=1, shared=())
    # m = 0.1 * 2, v = 0.01 * 4
    assert once.weights["w"].tolist() == pytest.approx([0.1 * 0.2 / (0.2 + 0.001), 0.0])
    at = float(once.weights["w"][0])
    twice = aggregate(once, [update("a", 2.0 + at, 0.0)], settings, SHAPES, clients=1, shared=())
    m, v = 0.9 * 0.2 + 0.1 * 2, 0.99 * 0.04 + 0.01 * 4
    assert float(twice.weights["w"][0]) == pytest.approx(at + 0.1 * m / (math.sqrt(v) + 0.001), rel=1e-6)


# --- masks ---


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.lists(st.lists(st.floats(-1e4, 1e4), min_size=3, max_size=3), min_size=2, max_size=6),
    st.text(max_size=3),
)
def test_masked_sums_are_the_plain_ones_exactly(rows: list[list[float]], shared: str) -> None:
    names = [f"client {number}" for number in range(len(rows))]
    plain = {name: quantised(np.array(row), len(rows)) for name, row in zip(names, rows, strict=True)}
    sent = {name: masked(values, name, names, shared) for name, values in plain.items()}
    assert np.array_equal(summed(sent), summed(plain))
    assert np.abs(summed(sent) - np.sum(rows, axis=0)).max() <= len(rows) / SCALE + 1e-9


def test_what_a_client_sends_is_not_what_it_has() -> None:
    own = quantised(np.zeros(4096), 3)
    sent = masked(own, "a", ["a", "b", "c"], "5/0")
    bits = np.unpackbits(sent.view(np.uint8)).mean()
    assert abs(bits - 0.5) < 4 * 0.5 / math.sqrt(4096 * 64)
    assert not np.array_equal(sent, masked(own, "a", ["a", "b", "c"], "5/1"))  # other masks in each round


def test_a_number_too_large_for_the_sum_is_refused() -> None:
    with pytest.raises(OverflowError, match="too large"):
        quantised(np.array([2.0**30]), 4)


def test_a_secure_round_is_the_plain_one_up_to_rounding() -> None:
    updates = [update("a", 1.0, -0.3, rows=2), update("b", 0.25, 7.0, rows=5)]
    plain = aggregate(ZERO, updates, federation(), SHAPES, clients=2, shared=(5, 0))
    secure = aggregate(ZERO, updates, federation(secure_aggregation=True), SHAPES, clients=2, shared=(5, 0))
    assert torch.allclose(plain.weights["w"], secure.weights["w"], rtol=0, atol=2 / SCALE + 1e-6)


# --- noise and what it buys ---


def test_an_update_is_clipped_to_its_norm() -> None:
    assert clipped(np.array([3.0, 4.0]), 1.0).tolist() == pytest.approx([0.6, 0.8])
    assert clipped(np.array([0.3, 0.4]), 1.0).tolist() == [0.3, 0.4]


def test_noise_has_the_deviation_that_is_accounted_for() -> None:
    drawn_noise = noise(40_000, Privacy(clip=0.5, noise_multiplier=3.0), np.random.default_rng(0))
    assert np.std(drawn_noise) == pytest.approx(1.5, rel=4 / math.sqrt(2 * 40_000))


def test_a_private_mean_divides_by_the_expected_number_and_clips() -> None:
    settings = federation(participation=0.5, privacy=Privacy(clip=1.0, noise_multiplier=1e-9))
    after = aggregate(ZERO, [update("a", 30.0, 40.0, rows=9)], settings, SHAPES, clients=4, shared=(5, 0))
    assert after.weights["w"].tolist() == pytest.approx([0.3, 0.4], abs=1e-6)
    nobody = aggregate(ZERO, [], settings, SHAPES, clients=4, shared=(5, 0))
    assert float(nobody.weights["w"].abs().max()) < 1e-6


@pytest.mark.parametrize(
    ("share", "multiplier", "rounds", "published"),
    [
        (0.01, 4.0, 10_000, 1.26),  # Abadi et al. 2016, section 3.2
        # The table in TensorFlow Privacy's tutorials: 60,000 rows, batches of 256, for 60, 30 and 10 epochs.
        (256 / 60_000, 1.12, 60 * 60_000 // 256, 2.92),
        (256 / 60_000, 0.6, 30 * 60_000 // 256, 9.74),
        (256 / 60_000, 1.2, 10 * 60_000 // 256, 1.20),
    ],
)
def test_the_accountant_agrees_with_published_values(
    share: float, multiplier: float, rounds: int, published: float
) -> None:
    """They are of the conversion of Mironov 2017, which its Rényi divergences give to a figure; its own is tighter."""
    analysis = pytest.importorskip("opacus.accountants.analysis.rdp")
    orders = [1 + x / 10.0 for x in range(1, 100)] + list(range(12, 64))
    divergences = analysis.compute_rdp(q=share, noise_multiplier=multiplier, steps=rounds, orders=orders)
    by_mironov = min(rdp + math.log(1e5) / (a - 1) for a, rdp in zip(orders, divergences, strict=True))
    assert by_mironov == pytest.approx(published, rel=0.005)
    epsilon = spent(Privacy(clip=1.0, noise_multiplier=multiplier, delta=1e-5), share, rounds)
    assert 0.75 * published < epsilon < published


def test_without_rounds_nothing_is_spent_and_more_rounds_spend_more() -> None:
    pytest.importorskip("opacus")
    settings = Privacy(clip=1.0, noise_multiplier=1.0)
    values = [spent(settings, 0.2, rounds) for rounds in (0, 1, 10, 100)]
    assert values[0] == 0.0
    assert values == sorted(values)
    assert spent(settings, 1.0, 1) > values[1]


def test_a_missing_accountant_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "opacus", None)
    with pytest.raises(MissingExtraError, match=r"reasondistill\[privacy\]"):
        privacies.require_accountant()


# --- screening ---


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (update("bad", float("nan"), 1.0), "NaN or infinity in w"),
        (update("bad", float("inf"), 1.0), "NaN or infinity in w"),
        (update("bad", 1.0, 2.0, 3.0), "(3,)"),
        (Update("bad", 1, 0.0, {"v": torch.ones(2)}), "other weights than those that are trained"),
        (Update("bad", 0, 0.0, {"w": torch.ones(2)}), "trained on 0 rows"),
        (update("bad", 200.0, 200.0), "times the median of the others'"),
        (Update("bad", 1, 0.0, {"w.left": torch.ones(2, 1), "w.right": torch.ones(3, 1)}, factors=True), "factors"),
    ],
)
def test_a_bad_update_is_set_aside_and_named(bad: Update, reason: str) -> None:
    good = [update("a", 1.0, 1.0), update("b", 1.0, -1.0)]
    sound, wrong = screen([good[0], bad, good[1]], ZERO.weights, SHAPES, 100.0)
    assert sound == good
    assert list(wrong) == ["bad"]
    assert reason in wrong["bad"]


def test_an_update_within_the_limit_stays() -> None:
    updates = [update("a", 1.0, 1.0), update("b", 99.0, 99.0), update("c", 1.0, -1.0)]
    assert screen(updates, ZERO.weights, SHAPES, 100.0) == (updates, {})
    assert screen(updates[:1], ZERO.weights, SHAPES, 100.0)[1] == {}
    assert screen([*updates, update("d", 1e6, 0.0)], ZERO.weights, SHAPES, None)[1] == {}


# --- configurations ---

SCENES = {"source": "scenes:90", "split": "train"}
WHOLE: dict[str, Any] = {
    "name": "fed",
    "data": {"train": SCENES},
    "student": {"kind": "scratch"},
    "federation": {"clients": 3, "public": SCENES},
}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"federation": {"public": SCENES}}, "clients: how many"),
        ({"federation": {"public": SCENES, "split_by": "teacher", "clients": 2}}, "leave it out"),
        ({"federation": {"public": SCENES, "split_by": "source"}}, "several sources"),
        ({"federation": {"clients": 3}}, "no client's text may leave it"),
        ({"data": {"train": [SCENES | {"weight": 2}, SCENES]}}, "weights and mixing"),
        ({"student": {"kind": "warm_start", "denoising": {}}}, "student.denoising"),
        ({"lora": {"use_dora": True}}, "two factors"),
        ({"federation": {"clients": 3, "public": SCENES, "privacy": {"clip": 0}}}, "clip"),
        ({"federation": {"clients": 3, "public": SCENES, "strategy": {"kind": "fedsgd"}}}, "strategy"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        validate_config(FederateConfig, WHOLE | changes, where="test")


def test_a_trainings_own_configuration_can_be_included() -> None:
    own = {"num_train_epochs": 3, "eval_strategy": "steps", "eval_steps": 5, "load_best_model_at_end": True}
    config = validate_config(
        FederateConfig, WHOLE | {"training": own, "early_stopping_patience": 2}, where="test"
    ).train_config()
    assert config.training["max_steps"] == 100
    assert "num_train_epochs" not in config.training
    assert config.training["eval_strategy"] == "no"
    assert config.early_stopping_patience is None
