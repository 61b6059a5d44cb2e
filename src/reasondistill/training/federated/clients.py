"""Rows to clients: by source, by group, by label skew, by who explained, or at random."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from reasondistill.config import Federation
from reasondistill.contracts.federation import ClientFacts
from reasondistill.contracts.records import Example
from reasondistill.data import Loaded
from reasondistill.data.transforms.selection import groups_of
from reasondistill.errors import DataError

_DRAWS = 1_000
"""Of label shares, until each client has enough rows."""

Assignment = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Client:
    """One client's rows: those that it trains on, and those that it tests on."""

    name: str
    number: int
    train: Loaded
    held_out: Loaded

    @property
    def folder(self) -> str:
        """Its folder's name: any name can stand in the data."""
        return f"{self.number:03d}-{re.sub(r'[^A-Za-z0-9._-]+', '_', self.name)[:40]}"

    @property
    def rows(self) -> int:
        return len(self.train)

    def facts(self) -> ClientFacts:
        labels = Counter(label or "" for label in self.train.stored.column("label"))
        return ClientFacts(
            name=self.name,
            folder=self.folder,
            rows=self.rows,
            held_out=len(self.held_out),
            labels=dict(sorted(labels.items())),
        )


def clients_of(parts: Sequence[Loaded], federation: Federation, seed: int) -> list[Client]:
    """The clients that the training parts are dealt out to.

    Which groups are held out follows from their names alone, so that no client trains on a group that another client
    tests on. Rows stay in the order of their source.

    Raises:
        DataError: a client would have no row to train on.
    """
    rng = np.random.default_rng(seed)
    if federation.split_by == "source":
        dealt = _by_source(parts)
    elif federation.split_by == "teacher":
        dealt = _by_teacher(_joined(parts))
    else:
        assert federation.clients is not None  # the configuration asks for it
        data = _joined(parts)
        assign = _ASSIGN[federation.split_by](data, federation, rng)
        width = len(str(federation.clients))
        dealt = [(f"client-{k + 1:0{width}d}", _only(data, assign == k)) for k in range(federation.clients)]
    clients = [_client(name, number, rows, federation.held_out) for number, (name, rows) in enumerate(dealt)]
    if empty := [client.name for client in clients if client.rows == 0]:
        raise DataError(
            "federation",
            expected="a row to train on at each client",
            found=f"none at {', '.join(empty[:5])}{' …' if len(empty) > 5 else ''}",
            fix="Take fewer clients, more rows, or a smaller held_out.",
        )
    return clients


def pooled(clients: Sequence[Client]) -> Client:
    """All clients' rows in one place, without those that are held out."""
    first, *others = clients
    train, held_out = first.train, first.held_out
    for other in others:
        train, held_out = train.joined_with(other.train), held_out.joined_with(other.held_out)
    return Client("pooled", 0, train, held_out)


def is_held_out(group: str, share: float) -> bool:
    """Whether no client trains on a group: SHA-256 of its name, as a number in [0, 1), is below ``share``."""
    digest = hashlib.sha256(f"held out by clients/{group}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64 < share


def _client(name: str, number: int, rows: Loaded, share: float) -> Client:
    groups = groups_of(rows)
    held_out = np.array([is_held_out(group, share) for group in groups], dtype=bool)
    return Client(name, number, _only(rows, ~held_out), _only(rows, held_out))


def _only(data: Loaded, kept: npt.NDArray[np.bool_]) -> Loaded:
    return replace(data, examples=data.stored.take(data.stored.rows[kept]))


def _joined(parts: Sequence[Loaded]) -> Loaded:
    first, *others = parts
    for other in others:
        first = first.joined_with(other)
    return first


# --- the ways of dealing rows out ---


def _by_source(parts: Sequence[Loaded]) -> list[tuple[str, Loaded]]:
    names = Counter(part.name for part in parts)
    return [
        (part.name if names[part.name] == 1 else f"{part.name}-{number}", part)
        for number, part in enumerate(parts, start=1)
    ]


def _by_teacher(data: Loaded) -> list[tuple[str, Loaded]]:
    """Each explanation source's rows, with its own explanations only; a row can be at several clients."""
    rows: dict[str, list[Example]] = {}
    for example in data.examples:
        for name in dict.fromkeys(explanation.source for explanation in example.explanations):
            own = tuple(e for e in example.explanations if e.source == name)
            rows.setdefault(name, []).append(example.model_copy(update={"explanations": own}))
    if not rows:
        raise DataError(
            "federation.split_by", expected="rows with explanations, whose sources are the clients", found="none"
        )
    return [(name, replace(data, examples=rows[name])) for name in sorted(rows)]


def _at_random(data: Loaded, federation: Federation, rng: np.random.Generator) -> Assignment:
    return _dealt(len(data), federation, rng)


def _by_group(data: Loaded, federation: Federation, rng: np.random.Generator) -> Assignment:
    groups = groups_of(data)
    names = sorted(set(groups))
    client_of = dict(zip(names, _dealt(len(names), federation, rng).tolist(), strict=True))
    return np.array([client_of[group] for group in groups], dtype=np.int64)


def _by_label(data: Loaded, federation: Federation, rng: np.random.Generator) -> Assignment:
    """Each label's rows in shares from Dirichlet(alpha) over the clients (Hsu et al. 2019, Li et al. 2022).

    Raises:
        DataError: no draw gives each client enough rows.
    """
    labels = np.array([label or "" for label in data.stored.column("label")])
    trained = ~np.array([is_held_out(group, federation.held_out) for group in groups_of(data)], dtype=bool)
    clients = federation.clients or 1
    for _ in range(_DRAWS):
        assignment = _drawn(labels, clients, federation.alpha, rng)
        counts = np.bincount(assignment[trained], minlength=clients)
        if int(counts.min()) >= federation.least_rows:
            return assignment
    raise DataError(
        "federation",
        expected=f"{federation.least_rows} training rows at each of {clients} clients",
        found=f"fewer at some client in each of {_DRAWS:,} draws with alpha {federation.alpha:g}",
        fix="Take fewer clients, more rows, or a larger alpha.",
    )


def _drawn(labels: npt.NDArray[np.str_], clients: int, alpha: float, rng: np.random.Generator) -> Assignment:
    assignment = np.zeros(len(labels), dtype=np.int64)
    for label in sorted(set(labels.tolist())):
        rows = rng.permutation(np.flatnonzero(labels == label))
        shares = rng.dirichlet(np.full(clients, alpha))
        ends = np.round(np.cumsum(shares)[:-1] * len(rows)).astype(np.int64)
        for client, own in enumerate(np.split(rows, ends)):
            assignment[own] = client
    return assignment


def _dealt(n: int, federation: Federation, rng: np.random.Generator) -> Assignment:
    """``n`` things to clients at random, as many to each as can be."""
    clients = federation.clients or 1
    return np.asarray(rng.permutation(np.arange(n) % clients), dtype=np.int64)


_ASSIGN: dict[str, Callable[[Loaded, Federation, np.random.Generator], Assignment]] = {
    "iid": _at_random,
    "group": _by_group,
    "label": _by_label,
}
