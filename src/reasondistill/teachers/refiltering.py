"""`teach filter`: other filters over the answers of a teaching run; nothing is asked again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reasondistill.contracts.filtering import Filtering
from reasondistill.contracts.teaching import ANSWERS_FILE, TEACHING_FILE, Teaching
from reasondistill.errors import DataError
from reasondistill.storage.files import atomic_folder, require_file
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.teachers.filters.filters_config import FiltersConfig
from reasondistill.teachers.outputs import counts_of, write_card, write_filtered
from reasondistill.teachers.teach_settings import TeachConfig
from reasondistill.teachers.teaching_material import material


def filters_of(folder: Path) -> FiltersConfig:
    """The filters that a teaching run was filtered with last.

    Raises:
        DataError: it is not the folder of a teaching run.
    """
    return _config_of(folder, _teaching(folder)).filters


def _teaching(folder: Path) -> Teaching:
    return Teaching.load(require_file(folder / TEACHING_FILE, what="the folder of a teaching run, with its file"))


def _config_of(folder: Path, teaching: Teaching) -> TeachConfig:
    return validate_config(TeachConfig, dict(teaching.config), where=folder / TEACHING_FILE)


def refilter(
    folder: str | Path,
    filters: FiltersConfig,
    *,
    out: str | Path,
    progress: Callable[[str], None] = lambda stage: None,
) -> Filtering:
    """Filter the answers of a teaching run anew, into a new folder with accepted and rejected rows and a data card.

    Raises:
        DataError: it is not the folder of a teaching run, or its data are not what teachers were asked about.
        OutputError: ``out`` is there already, or cannot be written to.
        UserError: as the filters raise.
    """
    folder = Path(folder)
    teaching = _teaching(folder)
    answers = require_file(folder / ANSWERS_FILE, what="the answers of a teaching run that has ended, in a file")
    config = _config_of(folder, teaching)
    for rule in filters.chosen():
        rule.prepare(config.task)
    examples = material(config, limit=teaching.data.n).rows
    if examples.fingerprint != teaching.data.fingerprint:
        raise DataError(
            config.data.source,
            expected=f"the rows that teachers were asked about (fingerprint {teaching.data.fingerprint})",
            found=f"others (fingerprint {examples.fingerprint})",
            fix="Restore the file; teachers' answers belong to its rows by their ids.",
        )
    with atomic_folder(out) as new:
        filtering = write_filtered(answers, new, examples.examples, config.task, filters, progress)
        changed = {**teaching.config, "filters": filters.model_dump(mode="json")}
        teaching = teaching.model_copy(update={"config": changed, **counts_of(filtering)})
        write_card(new, teaching, examples.examples, filtering)
    return filtering
