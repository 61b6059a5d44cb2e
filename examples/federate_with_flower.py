"""Federated training over Flower: its server and its transport, and the clients of `reasondistill federate`.

    python -m venv flower
    flower/bin/pip install "reasondistill[train]" "flwr[simulation]==1.42.0"
    flower/bin/python examples/federate_with_flower.py configs/federated_tickets.yaml --out student

Flower has an environment of its own: its pins do not go together with the extra `serve`. Its simulation runs clients in
processes of Ray; the same apps run on machines of their own with Flower's SuperLink. Flower reports its use to its
authors; this file sets FLWR_TELEMETRY_ENABLED=0, so that it does not. See docs/federated.md.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np

import reasondistill as rd

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")


def client_app(config: str, state: str) -> Any:
    """Trains and tests on the rows of the node's own partition."""
    from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp

    app = ClientApp()
    sites: dict[int, rd.FederatedClient] = {}  # of a process

    def own(message: Any, context: Any) -> tuple[rd.FederatedClient, dict[str, Any]]:
        number = int(context.node_config["partition-id"])
        if number not in sites:
            sites[number] = rd.FederatedClient(config, number, folder=Path(state) / str(number))
        return sites[number], {name: array.numpy() for name, array in message.content["arrays"].items()}

    @app.train()  # type: ignore[untyped-decorator]
    def train(message: Any, context: Any) -> Any:
        site, arrays = own(message, context)
        trained = site.train(arrays, int(message.content["config"]["server-round"]) - 1)
        figures = MetricRecord({"num-examples": trained.rows, "loss": trained.loss})
        content = RecordDict({"arrays": record(ArrayRecord, trained.weights), "metrics": figures})
        return Message(content=content, reply_to=message)

    @app.evaluate()  # type: ignore[untyped-decorator]
    def evaluate(message: Any, context: Any) -> Any:
        site, arrays = own(message, context)
        scores = site.evaluate(arrays)
        figures = MetricRecord({"num-examples": scores.n, "label-accuracy": scores.label_accuracy or 0.0})
        return Message(content=RecordDict({"metrics": figures}), reply_to=message)

    return app


def server_app(config: str, rounds: int, out: str) -> Any:
    """Flower's FedAvg over the clients' weights, by their rows; the student is written into ``out``."""
    from flwr.app import ArrayRecord
    from flwr.serverapp import ServerApp
    from flwr.serverapp.strategy import FedAvg

    app = ServerApp()

    @app.main()  # type: ignore[untyped-decorator]
    def main(grid: Any, context: Any) -> None:
        site = rd.FederatedClient(config)
        strategy = FedAvg(min_available_nodes=1, min_train_nodes=1, min_evaluate_nodes=1)
        result = strategy.start(grid=grid, initial_arrays=record(ArrayRecord, site.weights()), num_rounds=rounds)
        site.save({name: array.numpy() for name, array in result.arrays.items()}, out)
        for number, figures in result.evaluate_metrics_clientapp.items():
            print(f"round {number}: label accuracy {figures['label-accuracy']:.3f} on the clients' held-out rows")

    return app


def record(kind: Any, weights: dict[str, np.ndarray[Any, Any]]) -> Any:
    """Weights as Flower sends them."""
    from flwr.app import Array

    return kind({name: Array(np.ascontiguousarray(values)) for name, values in weights.items()})


def main() -> None:
    """Run all rounds in Flower's simulation on this machine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="as `reasondistill federate` takes it")
    parser.add_argument("--out", required=True, help="a new folder for the student")
    parser.add_argument("--state", default="flower-state", help="a new folder for what clients go on from")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=10)
    given = parser.parse_args()
    from flwr.simulation import run_simulation

    config, state, out = (str(Path(path).resolve()) for path in (given.config, given.state, given.out))
    run_simulation(
        server_app=server_app(config, given.rounds, out),
        client_app=client_app(config, state),
        num_supernodes=given.clients,
        backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}},
    )


if __name__ == "__main__":
    main()
