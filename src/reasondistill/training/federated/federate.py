"""A whole federated training: data -> clients -> rounds -> a student's folder, resumable."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from reasondistill.config import FedAvg, FederateConfig, Federation
from reasondistill.contracts.federation import (
    FEDERATION_FILE,
    ClientScores,
    FederationRecord,
    Reached,
    RoundRow,
    System,
)
from reasondistill.contracts.run import RUN_FILE
from reasondistill.errors import DataError, UserError
from reasondistill.quiet import quietly
from reasondistill.runs import Run
from reasondistill.storage.files import atomic_folder
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.students.checkpoint import Checkpoint, load_checkpoint
from reasondistill.training.federated.aggregation import Server
from reasondistill.training.federated.client_processes import Workers, workers
from reasondistill.training.federated.clients import Client, clients_of, pooled
from reasondistill.training.federated.federated_client import prepared
from reasondistill.training.federated.privacy import require_accountant
from reasondistill.training.federated.rounds import Rounds, clear
from reasondistill.training.federated.updates import put_into, weights_of
from reasondistill.training.finishing import keep_student
from reasondistill.training.learned_data import Parts, left_out
from reasondistill.training.progress import Progress, Watcher, unwatched
from reasondistill.training.signals import terminating_like_ctrl_c
from reasondistill.training.train import check, described, write_beginning

_LOG = logging.getLogger(__name__)

_SHARE = 0.95
"""Of the pooled student's mean, up to which rounds and bytes are counted."""


def federate(config: FederateConfig, *, resume: bool = False, watcher: Watcher = unwatched) -> Run:
    """Distil a student from clients whose rows stay apart. Nothing is printed but warnings.

    Args:
        config: what to do.
        resume: go on with the run of this name where it stopped; its own configuration is used.
        watcher: is called after each round.

    Returns:
        The run, with the finished student in ``run.student``.

    Raises:
        UserError: data, configuration or checkpoint are not usable, or the run exists already; nothing is written.
    """
    import datasets  # noqa: F401  # so that its bars are kept out too

    run = Run(Path(config.runs_dir) / config.name)
    with ExitStack() as held:
        if resume:
            config = _begun(config, run)
        else:
            Run.require_new(config)  # before minutes of reading data
        held.enter_context(run.locked())
        held.enter_context(terminating_like_ctrl_c())
        held.enter_context(quietly())
        if not (resume and run.info().status == "finished"):
            _federate(config, run, resume=resume, watcher=watcher)
    return run


def _begun(config: FederateConfig, run: Run) -> FederateConfig:
    """The configuration to go on with: the run's own, or the given one where it was killed before that was written."""
    if not (run.folder / FEDERATION_FILE).is_file() and (run.folder / RUN_FILE).is_file():
        own = config.train_config().model_dump(mode="json")
        if run.info().config == own and not run.has_work:
            return config
    return config_of_federation(run.folder)


def config_of_federation(folder: Path) -> FederateConfig:
    """The configuration that a federated run was begun with, wherever its folder has been moved to.

    Raises:
        DataError: the folder holds none.
    """
    file = folder / FEDERATION_FILE
    if not file.is_file():
        raise DataError(
            folder,
            expected=f"a federated run to go on with (with {FEDERATION_FILE} in it)",
            found="none",
            fix="Begin it: `federate` with its YAML file, without --resume.",
        )
    config = validate_config(FederateConfig, FederationRecord.load(file).config, where=file)
    return config.model_copy(update={"name": folder.name, "runs_dir": str(folder.parent)})


def _federate(config: FederateConfig, run: Run, *, resume: bool, watcher: Watcher) -> None:
    own = config.train_config()
    check(own)
    if config.federation.privacy is not None:
        require_accountant()
    watcher(Progress(f"loading {described(config.student)}"))
    initial = run.folder / "initial"
    student, parts = prepared(config, load_checkpoint(initial) if initial.is_dir() else None)
    for sentence in left_out(parts, own):
        _LOG.warning(sentence)
    clients = clients_of(parts.train, config.federation, config.seed)
    write_beginning(own, run, None, parts.facts(), resume=resume)
    run.tidy()
    record = FederationRecord(
        name=config.name, config=config.model_dump(mode="json"), clients=[client.facts() for client in clients]
    )
    record.save(run.folder / FEDERATION_FILE)
    if not initial.is_dir():
        with atomic_folder(initial) as folder:
            student.save(folder)
    run.write(stepped=True)  # from here on there is something to go on with
    try:
        _make_rounds(config, run, student, clients, parts, record, watcher)
    except BaseException:
        with suppress(OSError, UserError):  # on a full disk
            run.write(status="stopped")
        raise


def _make_rounds(
    config: FederateConfig,
    run: Run,
    student: Checkpoint,
    clients: Sequence[Client],
    parts: Parts,
    record: FederationRecord,
    watcher: Watcher,
) -> None:
    started = time.monotonic()
    begin = Server(weights_of(student.model))
    with workers(config, clients, run.folder / "initial") as working:
        rounds = Rounds(run.folder, clients, clients, config.federation, config.seed, working)
        last = rounds.run(begin, watcher, "rounds")
        trained = sum(shape.numel() for shape in working.trained.values())
        references = _references(config, run, clients, begin, working.alone(), watcher)
    run.write(timings={"training": round(time.monotonic() - started, 1)}, steps=_steps(config))
    put_into(student.model, last.weights)
    watcher(Progress("saving and calibrating"))
    _finished(record, config, rounds.rows(), references).save(run.folder / FEDERATION_FILE)
    keep_student(config.train_config(), student, run, trained, parts.validation)
    for place in (run.folder, *(run.folder / "references").glob("*")):
        clear(place)
    shutil.rmtree(run.folder / "initial", ignore_errors=True)


def _steps(config: FederateConfig) -> int:
    return config.federation.rounds * config.federation.local_steps


# --- what it is compared with ---


def _references(
    config: FederateConfig, run: Run, clients: Sequence[Client], begin: Server, working: Workers, watcher: Watcher
) -> dict[str, dict[str, ClientScores]]:
    """Students of the same steps that learned from all rows in one place, and from each client's own.

    Each is a federation of one client: the steps of a training in one place, bit for bit.
    """
    alone = config.federation.model_copy(
        update={"participation": 1.0, "dropouts": 0.0, "stragglers": 0.0, "strategy": FedAvg()}
        | {"secure_aggregation": False, "privacy": None}
    )
    scores: dict[str, dict[str, ClientScores]] = {}
    if "pooled" in config.federation.references:
        rounds = _alone(run, pooled(clients), clients, alone, config.seed, working)
        rounds.run(begin, watcher, "pooled reference")
        scores["pooled"] = rounds.rows()[-1].scores
    if "local" in config.federation.references:
        scores["local"] = {}
        for client in clients:
            rounds = _alone(run, client, [client], alone, config.seed, working)
            rounds.run(begin, watcher, f"local reference {client.name}")
            scores["local"] |= rounds.rows()[-1].scores
    return scores


def _alone(
    run: Run, client: Client, tested: Sequence[Client], federation: Federation, seed: int, working: Workers
) -> Rounds:
    place = run.folder / "references" / client.folder
    return Rounds(place, [client], tested, federation, seed, working, each_round=False)


# --- the record ---


def _finished(
    record: FederationRecord,
    config: FederateConfig,
    rows: Sequence[RoundRow],
    references: Mapping[str, dict[str, ClientScores]],
) -> FederationRecord:
    last = rows[-1].scores
    measure = "label_accuracy"
    if all(scores.label_accuracy is None for scores in last.values()):
        measure = "explanation_loss"
    systems = {name: _system(scores, measure) for name, scores in {"global": last, **references}.items()}
    privacy = config.federation.privacy
    return record.model_copy(
        update={
            "measure": measure,
            "systems": systems,
            "reached": _reached(rows, systems.get("pooled"), measure),
            "bytes_down": sum(row.bytes_down for row in rows),
            "bytes_up": sum(row.bytes_up for row in rows),
            "epsilon": rows[-1].epsilon,
            "delta": None if privacy is None else privacy.delta,
        }
    )


def _system(scores: Mapping[str, ClientScores], measure: str) -> System:
    values = {name: value for name, s in scores.items() if (value := getattr(s, measure)) is not None}
    worst = (max if measure.endswith("loss") else min)(values, key=values.__getitem__, default=None)
    return System(
        scores=dict(scores),
        mean=_mean(scores, measure),
        worst=None if worst is None else values[worst],
        worst_client=worst,
    )


def _mean(scores: Mapping[str, ClientScores], measure: str) -> float | None:
    """Over clients that have a value, by their held-out rows."""
    pairs = [(value, s.n) for s in scores.values() if (value := getattr(s, measure)) is not None]
    return sum(value * n for value, n in pairs) / sum(n for _, n in pairs) if pairs else None


def _reached(rows: Sequence[RoundRow], reference: System | None, measure: str) -> Reached | None:
    """When the mean was first that good; None without a pooled reference, or where the measure is a loss."""
    if reference is None or reference.mean is None or measure.endswith("loss"):
        return None
    total = 0
    for row in rows:
        total += row.bytes_down + row.bytes_up
        mean = _mean(row.scores, measure)
        if mean is not None and mean >= _SHARE * reference.mean:
            return Reached(share=_SHARE, round=row.round + 1, bytes=total)
    return Reached(share=_SHARE, round=None, bytes=None)
