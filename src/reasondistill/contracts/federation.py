"""A federated run's files: ``federation.json`` and the rows of ``rounds.jsonl``. See docs/federated.md."""

from __future__ import annotations

from reasondistill.contracts.base import Block, Count, Versioned

FEDERATION_FILE = "federation.json"
ROUNDS_FILE = "rounds.jsonl"


class ClientFacts(Block):
    """A client: its training rows, the rows that it tests on, and how many training rows each label has."""

    name: str
    folder: str
    rows: Count
    held_out: Count
    labels: dict[str, Count]


class ClientScores(Block):
    """How a student does on one client's held-out rows; losses in nats a token, accuracies in [0, 1].

    What cannot be measured there is None: a client without labels has no accuracy.
    """

    n: Count
    label_accuracy: float | None = None
    label_loss: float | None = None
    explanation_loss: float | None = None


class RoundRow(Block):
    """One round: who took part, what came back and went into the mean, and how the student then did."""

    round: Count
    asked: list[str]
    dropped_out: list[str] = []
    stragglers: list[str] = []
    set_aside: dict[str, str] = {}
    """Client → why its update did not go into the mean."""
    skipped: str | None = None
    """Why the weights stayed as they were, if they did."""
    losses: dict[str, float] = {}
    """Client → its mean training loss in this round."""
    change: float = 0.0
    """L2 norm of the change of the global weights."""
    bytes_down: Count = 0
    bytes_up: Count = 0
    epsilon: float | None = None
    """Spent up to and with this round, at the configured delta."""
    scores: dict[str, ClientScores] = {}


class System(Block):
    """A student that is compared: each client's scores, their mean weighted by rows, and the worst client's."""

    scores: dict[str, ClientScores]
    mean: float | None
    worst: float | None
    worst_client: str | None


class Reached(Block):
    """The first round whose mean is at least ``share`` of the pooled student's, and the bytes up to then."""

    share: float
    round: int | None
    bytes: int | None


class FederationRecord(Versioned):
    """What ``federation.json`` says: how it was set up, and, once it is finished, what came of it."""

    what = "a federated run"
    again = "reasondistill federate"

    name: str
    config: dict[str, object]
    clients: list[ClientFacts]
    measure: str = "label_accuracy"
    """What ``mean`` and ``worst`` are of: the metric, or ``explanation_loss`` where no row has a label."""
    systems: dict[str, System] = {}
    """``global``, and the references ``pooled`` and ``local``."""
    reached: Reached | None = None
    bytes_down: Count = 0
    bytes_up: Count = 0
    epsilon: float | None = None
    delta: float | None = None
