"""`update`: a run and new data, in whatever form a caller has them, to a run that went on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from reasondistill.config import TrainConfig, lay_over
from reasondistill.data import Loaded
from reasondistill.data.dataset_loading import Source
from reasondistill.data.readers.own_tables import ColumnMapping
from reasondistill.errors import DataError
from reasondistill.run_data import LEARNED, RunData, load_beside, rows_for, source_beside
from reasondistill.runs import DATA_FILE, Run
from reasondistill.storage.layered_yaml import merge, read_layered
from reasondistill.tasks.task import Task
from reasondistill.training.planning import DataFile, laid_over
from reasondistill.training.progress import Watcher, unwatched
from reasondistill.updating.planning import planned, task_with
from reasondistill.updating.verdicts import Updated, carry_out

if TYPE_CHECKING:
    from reasondistill.judges import Judge


_LOG = logging.getLogger(__name__)

Named = str | PathLike[str]
"""A data set by its name: a file, a registered one, or an id of the hub."""


class Plan(NamedTuple):
    """An update before it begins: its configuration, and the new data where they are in memory."""

    config: TrainConfig
    data: Loaded | None


def update(
    parent: Run | str | PathLike[str],
    data: Source,
    *,
    keep: Named | Sequence[Named] = (),
    replay: float | None = None,
    self_replay: Named | None = None,
    distillation: float | None = None,
    ewc: float | None = None,
    lora: Mapping[str, object] | None = None,
    new_labels: str | Sequence[str] = (),
    grow_vocabulary: bool = False,
    margin: float | None = None,
    columns: ColumnMapping | None = None,
    overrides: Sequence[str] = (),
    name: str | None = None,
    judge: Judge | str | PathLike[str] | None = None,
    publish_undecided: bool = False,
    watcher: Watcher = unwatched,
    progress: Callable[[str], None] = lambda stage: None,
    **changes: object,
) -> Updated:
    """Go on from a finished run with new data, and publish the student only where it holds what its parent knew.

    >>> updated = update("experiments/runs/tickets", [{"text": …, "category": …, "why": …}, …], replay=0.05)
    >>> updated.record.published

    Args:
        parent: a finished run; it is not changed.
        data: what is new, as `load_dataset` takes it, with the parent's task; or a YAML file of keys of a training's
            configuration, which names its own data.
        keep: files or registered names of data sets that have to be held; by default what the parent, and its own
            parents, held out.
        replay: share of the groups that the parent learned from, which are learned again.
        self_replay: a data set of texts to which the parent's own answers are learned again.
        distillation: weight of the divergence from the parent's probabilities.
        ewc: weight of elastic weight consolidation.
        lora: train low-rank adapters only, which are merged at the end: options of `config.Lora`, ``{}`` for the
            defaults.
        new_labels: labels that join the task.
        grow_vocabulary: give a small vocabulary the words of the new data that it lacks.
        margin: the most that a kept figure may lose; 0.02 by default.
        columns: where a file's columns, those of ``keep`` and ``self_replay`` too, have other names than those of the
            parent's data.
        overrides: ``key.path=value`` over all of it.
        name: of the run's folder, beside the parent's.
        judge: gives explanations their support, which then has to be held too: a judge, or its folder.
        publish_undecided: publish the student where the kept rows are too few to show that all figures hold, if none
            fell. The same call with it publishes one that was tested before.
        watcher: is called as the training begins and after each of its steps.
        progress: called with a sentence as each set is tested.
        **changes: other keys of the configuration, such as ``training={"max_steps": 200}``.

    Returns:
        the run and its record. A student that is not published stays in it, and is marked.

    Raises:
        UserError: the parent is not finished, data or changes are not usable, or there is nothing to hold.
    """
    from reasondistill.judges import Judge as Loading

    run = parent if isinstance(parent, Run) else Run.open(Path(parent))
    own: dict[str, object] = {
        "replay": replay,
        "distillation": distillation,
        "ewc": ewc,
        "self_replay": None if self_replay is None else _source(run, "self_replay", self_replay, columns),
        "keep": [_source(run, "keep", one, columns) for one in _listed(keep)],
        "grow_vocabulary": grow_vocabulary,
        "margin": margin,
    }
    # What is not given, a YAML file may say; 0 is given.
    own = {key: value for key, value in own.items() if value is not None and value is not False and value != []}
    named = {**({"name": name} if name is not None else {}), **({"lora": dict(lora)} if lora is not None else {})}
    keys = laid_over({"update": own, **named}, changes)
    lay_over(keys, overrides)
    plan = plan_update(run, data, columns=columns, new_labels=_listed(new_labels), changes=keys)
    if judge is not None and not isinstance(judge, Loading):
        judge = Loading.load(judge)
    return carry_out(
        plan.config,
        data=plan.data,
        judge=judge,
        publish_undecided=publish_undecided,
        watcher=watcher,
        progress=progress,
    )


def plan_update(
    parent: Run | str | PathLike[str],
    data: Source,
    *,
    columns: ColumnMapping | None = None,
    new_labels: Sequence[str] = (),
    changes: Mapping[str, object],
) -> Plan:
    """What `update` is going to do.

    Args:
        columns: where a file's columns have other names than those of the parent's data.
        changes: keys of the configuration, over those of a YAML file.

    Raises:
        UserError: as `update`.
    """
    run = parent if isinstance(parent, Run) else Run.open(Path(parent))
    task = task_with(run.config().task, new_labels)
    if isinstance(data, str | Path) and Path(data).suffix.lower() in (".yaml", ".yml"):
        own: dict[str, object] = merge(read_layered(data))
        grown = {"task": task.model_dump(mode="json", exclude_defaults=True)} if new_labels else {}
        return Plan(planned(run, None, laid_over(laid_over(own, grown), changes)), None)
    try:
        if isinstance(data, str | Path):
            rows = rows_for(run.folder, task, str(data), columns=columns)
            _say_what_is_known(run, rows.loaded)
            return Plan(planned(run, DataFile(rows.loaded, str(data), rows.source.columns), changes), None)
        loaded = load_beside(run, data, task, columns=columns)
        _say_what_is_known(run, loaded)
    except DataError as error:
        raise _advised(error, task) from error
    return Plan(planned(run, DataFile(loaded, DATA_FILE), changes), loaded)


def _say_what_is_known(run: Run, loaded: Loaded) -> None:
    if met := RunData(run).learned_among(loaded.examples):
        _LOG.warning("%s: %s of %s rows are %s", loaded.name, f"{met:,}", f"{len(loaded):,}", LEARNED)


def _advised(error: DataError, task: Task) -> DataError:
    """The same mistake, and of a label that the task does not have, how it can join."""
    if not task.labels or not error.expected.startswith("one of the labels"):
        return error
    return DataError(
        error.where,
        expected=error.expected,
        found=error.found,
        fix="Correct the label; or, if it is a new one, let it join the task: --new-label LABEL.",
    )


def _listed(names: object) -> list[Any]:
    return list(names) if isinstance(names, Sequence) and not isinstance(names, str) else [names]


def _source(run: Run, what: str, data: Named, columns: ColumnMapping | None) -> dict[str, object]:
    if not isinstance(data, str | PathLike):
        raise DataError(
            what,
            expected="the names of data sets: files, registered names or ids of the hub",
            found=f"a {type(data).__name__}",
            fix="Write it to a file, and name that.",
        )
    return source_beside(run, data, columns).model_dump(exclude_defaults=True)
