"""A run: one folder with all that a training depended on and all that came of it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from reasondistill.config import TrainConfig
from reasondistill.contracts.efficiency import Hardware
from reasondistill.contracts.notebook_tables import html_table
from reasondistill.contracts.results import Results
from reasondistill.contracts.run import RUN_FILE, RunInfo, RunSummary
from reasondistill.errors import DataError, OutputError, UserError
from reasondistill.storage.files import (
    parse_json_object,
    real_path,
    require_new_folder,
    write_jsonl,
)
from reasondistill.storage.hub import download, is_hub_id
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.storage.locks import held, is_held

DATA_FILE = "data.jsonl"
"""The examples of a run that learned from data in memory."""

_UNBORN = re.compile(r"\.run\.json\..*\.part|\.?data\.jsonl.*")
"""Files of a run whose ``run.json`` was not written to its end."""
_HEADLINE = ("label_accuracy", "rougeL", "bertscore_f1", "ece")
_NAMED_PACKAGES = (
    "reasondistill",
    "torch",
    "transformers",
    "accelerate",
    "datasets",
    "tokenizers",
    "ctranslate2",
    "numpy",
)


class Run:
    """Paths and facts of one run folder. A folder that exists is never deleted or overwritten."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.student = self.folder / "student"
        self.checkpoints = self.folder / "checkpoints"
        self.metrics = self.folder / "metrics.jsonl"
        self.package = self.folder / "package"
        self.costs = self.folder / "efficiency.json"

    def __fspath__(self) -> str:
        return str(self.folder)

    def _repr_html_(self) -> str:
        info = self.info()
        best = f"{info.best.metric} {info.best.value:.3f} at step {info.best.step}" if info.best else "–"
        size = f"{info.student.parameters:,}" if info.student else "–"
        rows = {"folder": str(self.folder), "status": info.status, "parameters": size, "best": best}
        return html_table(f"Run {info.name}", rows)

    def predictions(self, split: str) -> Path:
        return self.folder / "predictions" / f"{split}.jsonl"

    def results(self, split: str) -> Path:
        return self.folder / "results" / split

    @classmethod
    def create(cls, config: TrainConfig) -> Run:
        """Begin a run in a new folder, named after the configuration.

        Raises:
            OutputError: the folder exists and has files in it.
        """
        run = cls.require_new(config)
        run.tidy()
        info = RunInfo(
            schema_version=RunInfo.current(),
            name=config.name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            status="running",
            config=config.model_dump(mode="json"),
            seed=config.seed,
            versions=versions(),
            git_commit=git_commit(),
            hardware=hardware(),
            timings={},
        )
        info.save(run.folder / RUN_FILE)
        return run

    @classmethod
    def require_new(cls, config: TrainConfig) -> Run:
        """The run that ``config`` would begin; nothing is written.

        Raises:
            OutputError: its folder exists and has files in it.
        """
        run = cls(Path(config.runs_dir) / config.name)
        if run.folder.is_dir() and all(_UNBORN.fullmatch(path.name) for path in run.folder.iterdir()):
            return run  # nothing, or what a process left that was killed as it began
        try:
            require_new_folder(run.folder)
        except OutputError as error:
            if not run.folder.is_dir():
                raise
            found, fix = run._what_is_there()
            raise OutputError(run.folder, expected="a new run", found=found, fix=fix) from error
        return run

    def _what_is_there(self) -> tuple[str, str]:
        """In words: what stands in the way of a new run, and what works."""
        another = "give the new one another name (--set name=…)."
        if not (self.folder / RUN_FILE).is_file():
            return "something that is no run", f"Move it away, or {another}"
        if self.in_use:
            return "one that exists and that another process is training", f"Wait for it or stop it, or {another}"
        with suppress(UserError):
            if self.info().status == "finished":
                return "one that exists and is finished", f"Its student is {self.student}. To train again, {another}"
            if not self.has_work:
                return (
                    "one that exists and was stopped before its first step",
                    f"--resume begins it with the configuration that it has. Or delete it, or {another}",
                )
        return "one that exists", f"Go on with it (--resume), or {another}"

    @property
    def has_work(self) -> bool:
        """Whether anything of a training is there that cost a step: a log of one, a checkpoint or a student."""
        made = (self.folder / "denoised", self.student, self.folder / "predictions", self.folder / "results")
        if any(path.exists() for path in made) or (self.checkpoints.is_dir() and any(self.checkpoints.iterdir())):
            return True
        return self.info().stepped

    def remove(self) -> None:
        """Take away a run that came to nothing, so that its name is free. Only who holds the lock may."""
        shutil.rmtree(self.folder)

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """A run that exists.

        Raises:
            DataError: the folder holds none.
        """
        run = cls(folder)
        if not (run.folder / RUN_FILE).is_file():
            raise DataError(
                folder, expected=f"a run folder (with {RUN_FILE} in it)", found="none", fix="`train` makes one."
            )
        run.info()
        return run

    def info(self) -> RunInfo:
        """The content of run.json.

        Raises:
            DataError: it is of another schema version, or not such a file.
        """
        return RunInfo.load(self.folder / RUN_FILE)

    def config(self) -> TrainConfig:
        """The configuration that the run was begun with."""
        return validate_config(TrainConfig, self.info().config, where=self.folder / RUN_FILE)

    def evaluation_options(self) -> dict[str, object]:
        """How its configuration says that it is scored, as far as that differs from the defaults."""
        return self.config().evaluation.model_dump(exclude_unset=True)

    def write(self, *, timings: Mapping[str, float] | None = None, **facts: object) -> None:
        """Replace facts of run.json, by their names in `RunInfo`; ``timings`` are added to those that are there."""
        info = self.info()
        known = info.model_dump(exclude_unset=True) | {"timings": {**info.timings, **(timings or {})}}
        RunInfo.model_validate(known | facts).save(self.folder / RUN_FILE)

    def forget_after(self, step: int) -> None:
        """Drop the rows of metrics.jsonl that come after ``step`` of joint training: they will be written again."""
        if not self.metrics.exists() or self.metrics.stat().st_size == 0:
            return
        kept = []
        for line in self.metrics.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = parse_json_object(line, str(self.metrics))
            except DataError:  # a line that was cut off when the run was killed
                continue
            if row.get("phase") == "denoising" or (isinstance(row.get("step"), int) and row["step"] <= step):
                kept.append(row)
        write_jsonl(self.metrics, kept)

    def tidy(self) -> None:
        """Remove what was being written when the run was killed. Only who holds the lock may."""
        for part in self.folder.glob(".*.part"):
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
            else:
                part.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out of this run.

        Raises:
            OutputError: another process is at work on the run.
        """
        parents = (self.folder.parent, *self.folder.parent.parents)
        missing = [place for place in parents if not place.exists()]
        try:
            holder = self._lock_holder.read_text(encoding="utf-8").strip()
        except OSError:
            holder = "another process"
        with held(
            self._lock_file,
            of=self.folder,
            expected="a run that nobody else is at work on",
            found=f"one that {holder} is training",
            fix="Wait for it or stop it, or give this run another name (--set name=…).",
        ):
            try:
                with suppress(OSError):  # on a full disk the lock holds as well
                    self._lock_holder.write_text(f"process {os.getpid()} on {platform.node()}\n", encoding="utf-8")
                yield
            finally:
                self._lock_holder.unlink(missing_ok=True)
                if not self.folder.exists():  # a mistake was found before the run began: leave nothing
                    self._lock_file.unlink(missing_ok=True)
                    for place in missing:
                        with suppress(OSError):
                            place.rmdir()  # only where it is empty

    @property
    def in_use(self) -> bool:
        """Whether a process is at work on the run."""
        return is_held(self._lock_file, unsure=True)  # another user's may be going on

    # Beside the folder: a lock in it would make a new run's folder one that exists.

    @property
    def _lock_file(self) -> Path:
        return self.folder.parent / f".{self.folder.name}.lock"

    @property
    def _lock_holder(self) -> Path:
        return self.folder.parent / f".{self.folder.name}.holder"


def list_runs(folder: str | Path) -> list[RunSummary]:
    """What lies in a folder of runs, newest first.

    Returns:
        for each run: ``name``; ``folder``; ``problem`` (what is wrong with it, or None); and, where there is none,
        ``created``, ``status`` (``running``, ``stopped`` or ``finished``), ``parameters``, ``steps``, ``best`` (as in
        run.json), ``results`` (part → headline metric → value) and ``bytes`` on disk.

    Raises:
        DataError: there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(folder, expected="a folder of runs", found="none", fix="`train` makes one.")
    summaries = [_summary(Run(path)) for path in sorted(folder.iterdir()) if (path / RUN_FILE).is_file()]
    return sorted(summaries, key=lambda run: str(run.get("created", "")), reverse=True)


def _summary(run: Run) -> RunSummary:
    summary: RunSummary = {"name": run.folder.name, "folder": str(run.folder), "problem": None}
    in_use = run.in_use  # before its status is read: it may finish in between
    try:
        info = run.info()
        status = info.status
        if status == "running" and not in_use:
            status = "stopped"  # it was killed
        results = {}
        for path in sorted(run.folder.glob("results/*/results.json")):
            metrics = Results.load(path).metrics
            results[path.parent.name] = {n: metrics[n].value for n in _HEADLINE if n in metrics}
        return {
            **summary,
            "created": info.created,
            "status": status,
            "parameters": info.student.parameters if info.student else None,
            "steps": info.steps,
            "best": info.best.model_dump() if info.best else None,
            "results": results,
            "bytes": _size(run.folder),
        }
    except (UserError, OSError) as error:
        return {**summary, "problem": str(error)}


def _size(folder: Path) -> int:
    """Bytes in a folder, whose files may come and go: a training writes checkpoints and removes old ones."""
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                size += (Path(place) / name).lstat().st_size
    return size


def config_of_run(folder: str | Path) -> TrainConfig:
    """The configuration to go on with a run by its folder, wherever that has been moved to.

    Raises:
        DataError: the folder holds no run.
    """
    run = Run.open(real_path(folder))
    return run.config().model_copy(update={"name": run.folder.name, "runs_dir": str(run.folder.parent)})


def find_student(path: str | os.PathLike[str]) -> Path:
    """The student's folder: of a path to it, of the run that made it, of ``builtin:scenes``, which is shipped, or of an
    id on the Hugging Face hub, from where it is downloaded.

    Raises:
        CheckpointError: it is an id on the hub, and cannot be had from there.
    """
    if os.fspath(path) == "builtin:scenes":
        return Path(__file__).parent / "builtin" / "scenes"
    if is_hub_id(path):
        return download(os.fspath(path))
    inside = Path(path) / "student"
    return inside if (Path(path) / RUN_FILE).is_file() and inside.is_dir() else Path(path)


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that results depend on."""
    installed = {"python": platform.python_version()}
    for package in _NAMED_PACKAGES:
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return installed


def git_commit() -> str | None:
    """The commit of the working directory, with a + if files differ from it; None outside a checkout."""
    try:
        commit = _git("rev-parse", "HEAD")
        return commit + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    return subprocess.run(("git", *arguments), capture_output=True, text=True, check=True, timeout=10).stdout.strip()


def hardware() -> Hardware:
    """Processor, usable cores, memory in GiB, and accelerator if torch sees one."""
    return Hardware(
        cpu=_cpu_name(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        accelerator=_accelerator(),
        **_memory(),
    )


def _accelerator() -> str | None:
    try:
        import torch
    except ImportError:
        return None
    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def _memory() -> dict[str, float]:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return {}
    return {"memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)}


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
