"""``seal.json``: size and SHA-256 of the files of a student or a judge, by which a changed one is known.

A seal finds damage and mix-ups. It is no signature: whoever can change a file can seal the folder anew, and a folder
without a seal, such as one that an earlier version wrote, is taken as it is.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from reasondistill.contracts.records import read_model
from reasondistill.errors import CheckpointError
from reasondistill.storage.files import atomic_write, broken_seal, json_text, seal_of, seal_of_bytes, write_json

SEAL_FILE = "seal.json"
SCHEMA_VERSION: Literal[1] = 1
WEIGHTS = "*.safetensors"

_NAMED = (
    r"(adapter_config|added_tokens|calibration|config|generation_config|judge|merges|special_tokens_map|task"
    r"|tokenizer.*|vocab.*)\.(json|txt)|model\.safetensors\.index\.json"
)
_SEALED = re.compile(rf"{_NAMED}|.*\.(model|safetensors|spm)")
"""The files that move what a student or a judge answers; a card, a licence or an ONNX model beside them does not."""
_ADDED = re.compile(rf"{_NAMED}|(model|adapter_model|judge)\.safetensors|.*\.(model|spm)")
"""Those that would be read if they appeared later; weights of another name are not."""


class FileSeal(BaseModel):
    """Size and SHA-256 of a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Seal(BaseModel):
    """The content of ``seal.json``: the folder's files that move its answers, by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = SCHEMA_VERSION
    files: dict[Annotated[str, Field(pattern=r"^[^/\\\x00]+$")], FileSeal] = Field(min_length=1)

    @classmethod
    def of(cls, folder: str | Path) -> Self:
        """The seal of a folder as it is now."""
        files = sorted(path for path in Path(folder).iterdir() if path.is_file() and _SEALED.fullmatch(path.name))
        return cls(files={path.name: FileSeal.model_validate(seal_of(path)) for path in files})

    @classmethod
    def load(cls, folder: str | Path) -> Self | None:
        """The seal that lies in a folder; None where there is none.

        Raises:
            CheckpointError: it cannot be read.
        """
        path = Path(folder) / SEAL_FILE
        if not path.is_file():
            return None
        mend = f"Copy the folder anew, or, if all of it is as you want it: {command(folder)}"
        return read_model(cls, path, SCHEMA_VERSION, expected="the seal of a student or a judge", fix=mend)

    def save(self, folder: str | Path) -> None:
        write_json(Path(folder) / SEAL_FILE, self.model_dump(mode="json"))

    def changes(self, folder: str | Path, *, besides: Collection[str] = ()) -> list[str]:
        """What became of a folder's files since it was sealed, in words, one for each file.

        Args:
            folder: the sealed one.
            besides: patterns of names (``*.safetensors``) of files that are passed over.
        """
        folder = Path(folder)
        listed = {name: seal for name, seal in self.files.items() if not any(fnmatch(name, p) for p in besides)}
        changes = [broken_seal(folder / name, seal.model_dump()) for name, seal in listed.items()]
        present = sorted(path.name for path in folder.iterdir() if path.is_file() and _ADDED.fullmatch(path.name))
        added = [n for n in present if n not in self.files and not any(fnmatch(n, p) for p in besides)]
        return [change for change in changes if change is not None] + [f"{name} was added" for name in added]


def seal_folder(folder: str | Path) -> None:
    """Write ``seal.json`` for a folder as it is now."""
    Seal.of(folder).save(folder)


def require_unchanged(folder: str | Path, *, besides: Collection[str] = ()) -> None:
    """Hold a folder to its seal, where it has one.

    Args:
        folder: a student's or a judge's.
        besides: as for `Seal.changes`.

    Raises:
        CheckpointError: a file was changed, removed or added since, or the seal cannot be read.
    """
    seal = Seal.load(folder)
    if seal is not None and (changes := seal.changes(folder, besides=besides)):
        raise CheckpointError(
            folder,
            expected=f"the files that {SEAL_FILE} was made of",
            found="; ".join(changes),
            fix=f"Copy the folder anew. If you changed it on purpose: {command(folder)}",
        )


def write_sealed(path: Path, value: object) -> None:
    """Write one JSON file into a folder, and its seal anew where the folder has one: both or neither.

    Raises:
        CheckpointError: the seal that is there cannot be read.
        OutputError: the folder cannot be written to, or the disk is full.
    """
    seal = Seal.load(path.parent)
    if seal is None:
        write_json(path, value)
        return
    text = json_text(value)
    files = {**seal.files, path.name: FileSeal.model_validate(seal_of_bytes(text.encode()))}
    # Both are on the disk before the first of them takes its name.
    with atomic_write(path.parent / SEAL_FILE) as sealed:
        sealed.write(json_text(Seal(files=files).model_dump(mode="json")))
        sealed.flush()
        with atomic_write(path) as stream:
            stream.write(text)


def command(folder: str | Path) -> str:
    """The command that seals a folder anew."""
    return f"reasondistill seal {shlex.quote(str(folder))}"
