"""The rounds of a federation, whose state is on disk: a run that is killed at any moment goes on to the same bits.

``server/round-NNNN`` holds the global weights that round NNNN begins with, and ``clients/NAME/round-NNNN`` a client's
state and update after it. Each of these folders appears whole or not at all, and each follows from those before it and
the configuration; what a later one has made superfluous is removed.
"""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.torch import load_file, save_file

from reasondistill.config import Federation
from reasondistill.contracts.federation import ROUNDS_FILE, ClientScores, RoundRow
from reasondistill.storage.files import atomic_folder, read_json, read_jsonl, write_json, write_jsonl
from reasondistill.training.checkpoints import room_for
from reasondistill.training.federated.aggregation import Server, aggregate
from reasondistill.training.federated.client_processes import ClientTask, Workers
from reasondistill.training.federated.clients import Client
from reasondistill.training.federated.privacy import spent
from reasondistill.training.federated.screening import screen
from reasondistill.training.federated.updates import Update, norm
from reasondistill.training.progress import Progress, Watcher

_LOG = logging.getLogger(__name__)

_WEIGHTS, _ROW = "model.safetensors", "row.json"
_MOMENTS = ("first_moment", "second_moment")


class Drawn(NamedTuple):
    """Who is asked in a round, and what becomes of them."""

    asked: list[Client]
    dropped_out: list[Client]
    stragglers: list[Client]


def drawn(clients: Sequence[Client], federation: Federation, seed: int, number: int) -> Drawn:
    """The draws of one round, which follow from seed and round alone.

    With privacy each client is asked independently, as the accountant supposes; otherwise a fixed number is.
    """
    rng = np.random.default_rng([seed, number, 0])
    if federation.privacy is not None:
        chosen = rng.random(len(clients)) < federation.participation
    else:
        chosen = np.zeros(len(clients), dtype=bool)
        count = math.ceil(federation.participation * len(clients))
        chosen[rng.choice(len(clients), size=count, replace=False)] = True
    drops, slow = rng.random((2, len(clients)))
    called = [client for client, is_chosen in zip(clients, chosen, strict=True) if is_chosen]
    dropped = {c.number for c, value in zip(clients, drops, strict=True) if value < federation.dropouts}
    late = {c.number for c, value in zip(clients, slow, strict=True) if value < federation.stragglers}
    return Drawn(
        called,
        [client for client in called if client.number in dropped],
        [client for client in called if client.number in late - dropped],
    )


@dataclass(frozen=True)
class Rounds:
    """A federation's rounds in one folder.

    Attributes:
        place: the folder.
        clients: who trains.
        tested: on whose held-out rows the student is tested after each round; with ``each_round`` false, after the
            last only.
        federation: how; its clients are those above.
    """

    place: Path
    clients: Sequence[Client]
    tested: Sequence[Client]
    federation: Federation
    seed: int
    workers: Workers
    each_round: bool = True

    @property
    def rows_file(self) -> Path:
        return self.place / ROUNDS_FILE

    def rows(self) -> list[RoundRow]:
        """The rounds that are done."""
        return [RoundRow.model_validate(row) for _, row in read_jsonl(self.rows_file)] if self._began else []

    @property
    def _began(self) -> bool:
        return self.rows_file.is_file() and self.rows_file.stat().st_size > 0

    def run(self, initial: Server, watcher: Watcher, phase: str) -> Server:
        """Make the rounds that are left; the server after the last one."""
        if not _kept(self.place / "server"):
            self._keep(0, initial, None)
        started, done, steps = time.monotonic(), self._tidied(), self.federation.local_steps
        for number in range(done, self.federation.rounds):
            watcher(Progress(phase, done=number * steps, total=self.federation.rounds * steps))
            self._keep(number + 1, *self._round(number, self._server(number)))
            self._tidied()
        rows = self.rows()
        loss = float(np.mean([*rows[-1].losses.values()])) if rows[-1].losses else None
        made, seconds = len(rows) * steps, time.monotonic() - started
        watcher(Progress(phase, done=made, total=made, loss=loss, seconds=seconds, ended=True))
        return self._server(self.federation.rounds)

    def _round(self, number: int, server: Server) -> tuple[Server, RoundRow]:
        draw = drawn(self.clients, self.federation, self.seed, number)
        updates, wrong = self._updates(number, draw)
        private = self.federation.privacy is not None
        secure = self.federation.secure_aggregation
        trained = self.workers.trained
        largest = None if private or secure else self.federation.largest_norm
        sound, unsound = screen(updates, server.weights, trained, largest)
        for client, reason in unsound.items():
            _LOG.warning("%s is set aside in round %d: %s", client, number + 1, reason)
        skipped = self._skipped(sound)
        after = server
        if skipped is None:
            after = aggregate(
                server, sound, self.federation, trained, clients=len(self.clients), shared=(self.seed, number)
            )
        values = sum(shape.numel() for shape in trained.values())
        down = sum(server.weights[name].nbytes for name in trained)
        row = RoundRow(
            round=number,
            asked=[client.name for client in draw.asked],
            dropped_out=[client.name for client in draw.dropped_out],
            stragglers=[client.name for client in draw.stragglers],
            set_aside=wrong | unsound,
            skipped=skipped,
            losses={update.client: update.loss for update in updates},
            change=norm({name: after.weights[name].double() - server.weights[name].double() for name in trained}),
            bytes_down=down * len(draw.asked),
            bytes_up=sum(values * 8 if secure else update.bytes for update in updates),
            epsilon=self._epsilon(number + 1),
            scores=self._scores(number, after),
        )
        return after, row

    def _updates(self, number: int, draw: Drawn) -> tuple[list[Update], dict[str, str]]:
        """What comes back from those who were asked; and client → why nothing did, where its training broke."""
        steps = self.federation.local_steps
        late = {client.name for client in draw.stragglers}
        lost = {client.name for client in draw.dropped_out}
        weights = self._server_folder(number) / _WEIGHTS
        tasks = []
        for client in draw.asked:
            if client.name in lost:
                continue
            made = max(1, round(steps * self.federation.straggler_work)) if client.name in late else steps
            keep = self._client_folder(client, number)
            last = self._last(client, number)
            tasks.append(ClientTask(client, weights, number, number * steps, number * steps + made, last, keep))
        return self.workers.train(tasks)

    def _skipped(self, sound: Sequence[Update]) -> str | None:
        """Why the weights stay as they are. With privacy they never do: that nobody answered would show."""
        if self.federation.privacy is not None:
            return None
        if not sound:
            return "no update came that can be used"
        if self.federation.secure_aggregation and len(sound) < 2:
            return "a sum of one update would show it"
        return None

    def _epsilon(self, rounds: int) -> float | None:
        privacy = self.federation.privacy
        return None if privacy is None else spent(privacy, self.federation.participation, rounds)

    def _scores(self, number: int, server: Server) -> dict[str, ClientScores]:
        if not (self.each_round or number + 1 == self.federation.rounds):
            return {}
        return self.workers.work.evaluate(server.weights, self.tested)

    # --- the disk ---

    def _server_folder(self, number: int) -> Path:
        return self.place / "server" / _numbered(number)

    def _client_folder(self, client: Client, number: int) -> Path:
        return self.place / "clients" / client.folder / _numbered(number)

    def _last(self, client: Client, number: int) -> Path | None:
        """The state of the client's last round before this one."""
        earlier = [path for path in _kept(self._client_folder(client, number).parent) if path.name < _numbered(number)]
        return max(earlier, default=None)

    def _server(self, number: int) -> Server:
        folder = self._server_folder(number)
        moments = (load_file(path) if (path := folder / f"{name}.safetensors").is_file() else {} for name in _MOMENTS)
        return Server(load_file(folder / _WEIGHTS), *moments)

    def _keep(self, number: int, server: Server, row: RoundRow | None) -> None:
        folder = self._server_folder(number)
        with room_for("the global weights", folder), atomic_folder(folder) as part:
            save_file(server.weights, part / _WEIGHTS)
            for name in _MOMENTS:
                if moments := getattr(server, name):
                    save_file(moments, part / f"{name}.safetensors")
            if row is not None:
                write_json(part / _ROW, row.model_dump(mode="json"))

    def _tidied(self) -> int:
        """Write the row of the newest round, remove what nothing goes on from, and say how many rounds are done."""
        newest = max(_kept(self.place / "server"))
        done = int(newest.name.rpartition("-")[2])
        rows = self.rows()
        if done > len(rows):
            rows.append(RoundRow.model_validate(read_json(newest / _ROW)))
            write_jsonl(self.rows_file, [row.model_dump(mode="json") for row in rows])
        for folder in _kept(self.place / "server"):
            if folder != newest:
                shutil.rmtree(folder)
        for part in [*self.place.glob("server/.*.part"), *self.place.glob("clients/*/.*.part")]:
            shutil.rmtree(part)
        for client in self.clients:
            self._tidy_client(client, done, rows)
        return done

    def _tidy_client(self, client: Client, done: int, rows: Sequence[RoundRow]) -> None:
        finished = [path for path in _kept(self._client_folder(client, 0).parent) if path.name < _numbered(done)]
        for path in sorted(finished)[:-1]:
            shutil.rmtree(path)
        # Whatever led to an update that was set aside does not go on.
        if finished and rows and client.name in rows[-1].set_aside and max(finished).name == _numbered(done - 1):
            shutil.rmtree(max(finished))


def clear(place: Path) -> None:
    """Remove what rounds go on from; what is known of them stays in their rows."""
    for name in ("server", "clients"):
        shutil.rmtree(place / name, ignore_errors=True)


def _numbered(number: int) -> str:
    return f"round-{number:06d}"


def _kept(folder: Path) -> list[Path]:
    return [path for path in folder.glob("round-*") if path.is_dir()]
