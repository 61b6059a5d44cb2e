"""What a teaching run is made of: data, prompts and shots of a configuration, its folder and its store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reasondistill.contracts.teaching import TEACHING_FILE, Teaching
from reasondistill.data import Loaded, load, load_source
from reasondistill.data.readers.own_tables import ColumnMapping
from reasondistill.storage.files import fingerprint, require_file
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.teachers.backends.open_backend import open_backend
from reasondistill.teachers.few_shots import FewShots, few_shots
from reasondistill.teachers.prompting import Templates, templates
from reasondistill.teachers.reply_store import STORE_FILE, ReplyStore
from reasondistill.teachers.teach_settings import TeachConfig, TeacherSettings
from reasondistill.teachers.teacher_questions import Asking

_FREE_TO_CHANGE = ("name", "teaching_dir", "store", "budget", "filters")
_FREE_OF_TEACHER = ("base_url", "key_env", "limits", "prices", "license", "threads", "concurrent")
"""Keys of a configuration that do not decide what is asked."""


@dataclass(frozen=True)
class Material:
    """What a configuration's teachers are asked about, and with which words."""

    config: TeachConfig
    rows: Loaded
    templates: Templates
    shots: FewShots

    @property
    def asked_as(self) -> str:
        """A fingerprint of everything that decides what is asked, but for how many rows."""
        kept = self.config.model_dump(mode="json")
        for free in _FREE_TO_CHANGE:
            del kept[free]
        del kept["data"]["limit"]
        for teacher in kept["teachers"]:
            for free in _FREE_OF_TEACHER:
                teacher.pop(free, None)
        return fingerprint(kept, self.templates.hash, [shot.id for shot in self.shots.candidates])

    def asking(self, teacher: TeacherSettings, *, opened: bool = True) -> Asking:
        """How a teacher is asked; ``opened`` reaches it, or loads it.

        Raises:
            UserError: it cannot be reached or loaded.
        """
        backend = open_backend(teacher, self.config.task, check=opened)
        mode = self.config.mode_of(teacher)
        return Asking(teacher, backend, self.config.task, mode, self.templates, self.config.samples, self.shots)


def material(config: TeachConfig, data: Loaded | None = None, limit: int | None = None) -> Material:
    """Read the data, the prompts and the shots of a configuration.

    Args:
        data: instead of what the configuration names.
        limit: at most this many rows, from the start.

    Raises:
        UserError: they cannot be read, or do not fit each other.
    """
    words = templates(config.prompts, config.task)
    rows = load_source(config.data, config.task, config.seed, need_label=False) if data is None else data
    shots = FewShots() if config.shots is None else _shots(config, data)
    return Material(config, rows if limit is None else rows.first(limit), words, shots)


def _shots(config: TeachConfig, data: Loaded | None) -> FewShots:
    assert config.shots is not None

    def all_of(source: str, columns: ColumnMapping | None, size: int | None) -> Loaded:
        return load(source, task=config.task, size=size, seed=config.seed, columns=columns, need_label=False)

    rows = all_of(config.data.source, config.data.columns, config.data.size) if data is None else data
    named = config.shots.source
    shown = rows if named is None else all_of(named.source, named.columns, named.size)
    explained = any(config.mode_of(teacher) != "label_only" for teacher in config.teachers)
    return few_shots(config.shots.count, shown, rows, config.task, config.seed, explained=explained)


def folder_of(config: TeachConfig) -> Path:
    """Where a configuration's run is."""
    return Path(config.teaching_dir) / config.name


def config_of(folder: Path) -> TeachConfig:
    """The configuration of a run, for going on with it where it lies now.

    Raises:
        DataError: the folder is none of a teaching run.
        ConfigError: it was written by a version with other keys.
    """
    path = require_file(folder / TEACHING_FILE, what="the folder of a teaching run, with its file")
    return in_folder(validate_config(TeachConfig, Teaching.load(path).config, where=path), folder)


def in_folder(config: TeachConfig, folder: Path) -> TeachConfig:
    """A configuration with its run in this folder, whatever that is called."""
    return config.model_copy(update={"name": folder.absolute().name, "teaching_dir": str(folder.parent)})


def store_of(config: TeachConfig) -> ReplyStore:
    """The store that a configuration's run shares with others."""
    return ReplyStore(Path(config.store) if config.store else Path(config.teaching_dir) / STORE_FILE)
