"""Federated training in a report: each client and the worst one, beside the references; rounds and bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from reasondistill.contracts.federation import FederationRecord, RoundRow
from reasondistill.reporting.document import Block, Cell, Facts, Gallery, Table
from reasondistill.reporting.figures import SERIES, drawing
from reasondistill.reporting.formatting import metric_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_MEANINGS: Final = {
    "global": "global: the student of this run.",
    "pooled": "pooled: trained on all rows in one place.",
    "local": "local: each client by itself.",
}


def federation_section(record: FederationRecord, rows: Sequence[RoundRow], prefix: str) -> list[Block]:
    """What came of it for each client; nothing where the run is not finished."""
    if not record.systems:
        return []
    blocks: list[Block] = [_clients(record)]
    if points := [(row.round + 1, values) for row in rows if (values := _values(row, record.measure))]:
        title = metric_title(record.measure)
        caption = f"{title} on held-out rows of the clients: the mean of the clients, and the worst of them."
        figure = rounds_figure(f"{prefix}rounds", "Round by round", caption, points, record.measure)
        blocks.append(Gallery((figure,)))
    return [*blocks, Facts("Rounds", tuple(_facts(record, rows)))]


def _clients(record: FederationRecord) -> Table:
    systems = record.systems
    rows = [
        (
            Cell(client.name),
            Cell(f"{client.rows:,}"),
            Cell(f"{client.held_out:,}"),
            *(Cell(_figure(getattr(system.scores[client.name], record.measure))) for system in systems.values()),
        )
        for client in record.clients
    ]
    blank = (Cell(""), Cell(""))
    means = (Cell("Mean, by held-out rows"), *blank, *(Cell(_figure(s.mean)) for s in systems.values()))
    worst = (
        Cell("Worst client"),
        *blank,
        *(Cell(_figure(system.worst), system.worst_client or "") for system in systems.values()),
    )
    note = " ".join(meaning for name, meaning in _MEANINGS.items() if name in systems)
    title = f"{metric_title(record.measure)}, client by client"
    head = ("Client", "Training rows", "Held out", *systems)
    return Table(title, head, (*rows, means, worst), note=note, groups=frozenset({len(rows)}))


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _values(row: RoundRow, measure: str) -> list[float]:
    return [value for scores in row.scores.values() if (value := getattr(scores, measure)) is not None]


@drawing()
def rounds_figure(figure: Figure, points: Sequence[tuple[int, list[float]]], measure: str) -> None:
    """The clients' mean and worst score after each round."""
    from matplotlib.ticker import MaxNLocator

    axes = figure.subplots()
    worst = max if measure.endswith("loss") else min
    at = [number for number, _ in points]
    axes.plot(at, [sum(values) / len(values) for _, values in points], color=SERIES[0], label="mean of the clients")
    axes.plot(at, [worst(values) for _, values in points], color=SERIES[1], label="worst client")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="round", ylabel=metric_title(measure).lower())
    axes.legend()


def _facts(record: FederationRecord, rows: Sequence[RoundRow]) -> list[tuple[str, str]]:
    set_aside = {f"{name} in round {row.round + 1}: {why}" for row in rows for name, why in row.set_aside.items()}
    facts = [
        ("rounds", f"{len(rows):,}"),
        ("sent to clients", f"{record.bytes_down / 1e6:,.1f} MB"),
        ("sent by clients", f"{record.bytes_up / 1e6:,.1f} MB"),
        ("dropped out", f"{sum(len(row.dropped_out) for row in rows):,} of {sum(len(row.asked) for row in rows):,}"),
        ("set aside", "; ".join(sorted(set_aside)) or "none"),
    ]
    if (reached := record.reached) is not None:
        when = (
            "not" if reached.round is None else f"in round {reached.round}, after {(reached.bytes or 0) / 1e6:,.1f} MB"
        )
        facts.append((f"{reached.share:.0%} of the pooled mean reached", when))
    if record.epsilon is not None:
        facts.append(("privacy of a client, simulated", f"ε = {record.epsilon:.2f} at δ = {record.delta:g}"))
    return facts
