"""Every command over every kind of bad input that one of its paths can meet: exit status 2, a sentence, nothing left.

Commands and their paths are read off the command line itself, so that a new one is held to the same.
"""

from __future__ import annotations

import inspect
import io
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import pytest
import yaml
from typer.main import get_command

from reasondistill.cli import app, main
from reasondistill.data.scenes import generate
from reasondistill.storage.sqlite_store import Store

ROW = {"id": "a", "premise": "A man sleeps.", "hypothesis": "A man rests.", "label": "entailment", "explanation": "x"}
BASE: dict[str, Any] = {
    "name": "tiny",
    "runs_dir": "runs",
    "max_source_length": 64,
    "max_target_length": 32,
    "data": {"train": {"source": "scenes:12"}},
    "student": {"kind": "scratch", "d_model": 16, "d_ff": 16, "d_kv": 8, "num_heads": 2, "num_layers": 1}
    | {"num_decoder_layers": 1, "vocab_size": 300},
    "training": {"max_steps": 1, "per_device_train_batch_size": 4, "report_to": "none"},
    "generation": {"num_beams": 1, "max_new_tokens": 4},
}
CONFIGS: dict[str, dict[str, Any]] = {
    "train": BASE,
    "sweep": {
        "name": "s",
        "sweeps_dir": "sweeps",
        "base": BASE,
        "cells": [{"name": "a"}],
        "evaluate": {"source": "scenes:12", "bertscore": False},
    },
    "federate": BASE
    | {"federation": {"clients": 2, "rounds": 1, "local_steps": 1, "held_out": 0.0, "public": {"source": "scenes:12"}}},
    "judge train": {"name": "j", "judges_dir": "judges", "data": {"explained": {"source": "scenes:60"}}},
    "teach run": {
        "name": "taught",
        "teaching_dir": "taught",
        "data": {"source": "scenes:12"},
        "teachers": [{"name": "t", "kind": "recorded", "file": "p.jsonl"}],
    },
    "predict": {"generation": {"num_beams": 1}},
    "evaluate": {"evaluation": {"bertscore": False}},
}
FEEDBACK = {"student": "s", "task": "nli", "fields": {"premise": "A man.", "hypothesis": "A hat."}} | {
    "label": "neutral",
    "explanation": "x",
    "verdict": "right",
    "received": "2026-01-01",
}
NOT_PATHS = {"source", "data", "task", "sample", "results", "teacher", "bertscore_encoder", "name", "overrides"}
"""Arguments that are words for Typer, and name a file, a folder or what a folder is for."""
QUICK = {  # what makes a command fast, and keeps it off the network
    "data pair": ["--across-fields"],
    "init": ["--student", "scratch"],
    "distil": ["--student", "scratch", "--set", "training.max_steps=1"],
    "evaluate": ["--no-bertscore", "--no-efficiency"],
    "compare": ["--resamples", "9", "--swaps", "9"],
    "calibrate": ["--as-validation"],
    "data download": ["--base-url", "http://127.0.0.1:1", "--timeout", "0.1"],
    "sweep": ["--jobs", "0"],
    "efficiency": ["--limit", "1"],
    "export": ["--limit", "1"],
}


class Command(NamedTuple):
    name: str
    parameters: dict[str, Any]
    paths: tuple[str, ...]


def commands() -> Iterator[Command]:
    """Every command that does something, with its parameters by name, and those of them that name a path."""

    def walk(group: Any, above: tuple[str, ...]) -> Iterator[Command]:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from walk(command, (*above, name))
                continue
            hints = get_type_hints(inspect.unwrap(command.callback), include_extras=True)
            parameters = {p.name: p for p in command.params if p.name in hints}
            paths = [name for name in parameters if name in NOT_PATHS or _is_path(hints[name])]
            yield Command(" ".join((*above, name)), parameters, tuple(paths))

    yield from walk(get_command(app), ())


def _is_path(hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    return hint is Path or any(map(_is_path, get_args(hint)))


COMMANDS = {command.name: command for command in commands()}

# --- what is bad, and where ---

CONTENTS: dict[str, bytes] = {
    "empty": b"",
    "blank": b"\n \n",
    "binary": bytes(range(256)) * 4,
    "not UTF-8": b'{"id": "caf\xe9", "schema_version": 1}\n',
    "UTF-16": "label,stars\na,3\n".encode("utf-16"),  # read, and without a text
    "truncated JSON": b'{"schema_version": 1, "id": "a", "label": "neu',
    "NUL": b'{"id": "a\0b", "schema_version": 1}\n\0\n',
    "NUL that is escaped": b'{"id": "a\\u0000b", "name": "a\\u0000b", "schema_version": 1}\n',
    "lone surrogate": b'{"id": "\\ud800", "name": "\\ud800", "schema_version": 1}\n',
    "another version": b'{"schema_version": 999, "id": "a", "name": "x"}\n',
    "version in words": b'{"schema_version": [1], "id": "a"}\n',
    "a list": b"[1, 2, 3]\n",
    "a list of lists": b"[[[]], [[]]]\n",
    "a number": b"3\n",
    "null": b"null\n",
    "NaN": b'{"id": NaN, "seed": NaN, "schema_version": 1}\n',
    "a huge number": b'{"schema_version": 1, "seed": 1' + b"0" * 5000 + b"}\n",
    "deep": b'{"a":' * 20_000,
    "deep list": b"[" * 20_000,
    "a key twice": b'{"id": "a", "id": "b", "schema_version": 1, "schema_version": 1}\n',
    "unknown keys": b'{"[/x]": ":smile:", "$x_1$": "\\u001b[31m"}\n',
    "aliases that grow": b"a0: &a0 [x]\n"
    + b"".join(b"a%d: &a%d [%s]\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 10)) for i in range(1, 12)),
    "an alias of itself": b"name: &a [*a]\n",
    "a tag": b"name: !!python/object/apply:os.system [exit]\n",
    "broken YAML": b"name: [x\n",
    "a table of one cell": b"x\n",
    "a ragged table": b"premise,hypothesis,label,explanation\na,b\nc,d,e,f,g,h\n",
    "an open quote": b'premise,hypothesis,label\n"a,b,c\n',
}
SUFFIXES = {
    "config": (".yaml",),
    "overrides": (".jsonl", ".csv"),
    "data": (".jsonl", ".csv", ".json", ".parquet", ".tsv"),
}
"""What a file of a role is called; a name without a suffix is enough for the others."""
PARTS_OF_FOLDERS = (
    *("run.json", "task.json", "config.json", "package.json", "judge.json", "results.json", "calibration.json"),
    *("per_example.jsonl", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "model.safetensors"),
    *("vocabulary.json", "model.bin", "metrics.jsonl", "judge.safetensors", "efficiency.json"),
    *("comparison.json", "esnli_train_1.csv", "esnli_dev.csv", "checksums.json"),
)
PLACES: dict[str, Callable[[Path], str]] = {
    "absent": lambda here: str(here / "absent"),
    "a folder": lambda here: str(_made(here / "folder")),
    "below a file": lambda here: str(_file(here / "file") / "x"),
    "a link to nowhere": lambda here: str(_link(here / "link", "nowhere")),
    "a link to itself": lambda here: str(_link(here / "loop", "loop")),
    "a name too long": lambda here: str(here / ("n" * 300)),
    "a path too long": lambda here: str(here / "/".join(["n" * 200] * 30)),
    "a NUL in the name": lambda here: str(here / "a\0b"),
    "a lone surrogate": lambda here: str(here / "\ud800"),
    "an empty name": lambda here: "",
    "markup": lambda here: str(here / "[/x] [red]no :smile: $x_1$"),
    "escape sequences": lambda here: str(here / "\x1b[31m\r\x07\u202e"),
    "bytes that are not UTF-8": lambda here: os.fsdecode(bytes(here) + b"/\xff\xfe"),
    "a device": lambda here: "/dev/null",
    "a full device": lambda here: "/dev/full",
    "below a device": lambda here: "/dev/null/x",
    "the system's folder": lambda here: "/proc/self/fdinfo",
    "the system's memory": lambda here: "/proc/self/mem",
    "nothing of the system's": lambda here: "/proc/nothing/x",
    "a pipe": lambda here: str(_pipe(here / "pipe")),
}


def _made(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    (path / "notes.txt").write_text("not to be lost", encoding="utf-8")
    return path


def _file(path: Path) -> Path:
    path.write_text("not to be lost", encoding="utf-8")
    return path


def _link(path: Path, target: str) -> Path:
    if not os.path.lexists(path):
        path.symlink_to(target)
    return path


def _pipe(path: Path) -> Path:
    if not path.exists():
        os.mkfifo(path)
    return path


def role(command: str, parameter: str) -> str:
    if parameter == "out":
        return "output"
    if parameter in ("config", "task", "source"):
        return "config"
    if (command, parameter) in (("serve", "feedback"), ("explain", "html")):
        return "output"
    return {"sample": "data", "overrides": "overrides"}.get(parameter, parameter)


def kinds(command: str, parameter: str) -> Iterator[str]:
    """What is tried: places for every path, contents for one that is read, as a file and as all files of a folder."""
    yield from (kind for kind in PLACES if role(command, parameter) != "output" or kind not in GOOD_OUTPUTS)
    if role(command, parameter) != "output":
        for suffix in SUFFIXES.get(role(command, parameter), ("",)):
            yield from (f"{content} file{suffix}" for content in CONTENTS)
        if role(command, parameter) in ("student", "results", "runs", "judge", "folder", "data", "bertscore_encoder"):
            yield from (f"{content} files in a folder" for content in CONTENTS)


FINE = {  # nothing is wrong with these, or it is listed as what it is
    ("quickstart", "out", "a folder"),
    ("data audit", "out", "a folder"),
    *(("runs", "folder", place) for place in ("a folder", "an empty name", "the system's folder")),
    *(("runs", "folder", f"{content} files in a folder") for content in CONTENTS),
}
GOOD_OUTPUTS = ("absent", "an empty name", "markup", "escape sequences", "bytes that are not UTF-8")

COMBINATIONS = [
    (command.name, parameter, kind)
    for command in COMMANDS.values()
    for parameter in command.paths
    for kind in kinds(command.name, parameter)
    if (command.name, parameter, kind) not in FINE
]


# --- what is good ---


@pytest.fixture(scope="module", autouse=True)
def built_once() -> Iterator[None]:
    """Typer builds its commands anew at each call, which takes longer than most of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reasondistill.cli.commands.app", get_command(app))
        yield


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A good value for every parameter that has to be given, and for what is read beside it."""
    here = tmp_path_factory.mktemp("good")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        rows = [{"id": e.id, "label": e.label, "explanation": e.explanations[0].text} for e in generate(12)]
        (here / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        for name, value in CONFIGS.items():
            (here / f"{name}.yaml").write_text(yaml.safe_dump(value), encoding="utf-8")
        teaching: dict[str, Any] = json.loads(json.dumps(CONFIGS["teach run"]))
        teaching["teachers"][0]["file"] = str(here / "p.jsonl")
        (here / "teach run.yaml").write_text(yaml.safe_dump(teaching), encoding="utf-8")
        patch.setattr("sys.argv", ["r", "train", "train.yaml", "--set", "data.train.split=train"])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        patch.setattr("sys.argv", ["r", "teach", "teach run.yaml"])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        for name in ("one", "two"):
            patch.setattr("sys.argv", ["r", "evaluate", "p.jsonl", "scenes:12", "--out", name, "--no-bertscore"])
            with pytest.raises(SystemExit) as ended:
                main()
            assert ended.value.code == 0
    (here / "wordnet").mkdir()
    for part in ("noun", "verb", "adj", "adv"):
        for file in (f"data.{part}", f"index.{part}", f"{part}.exc"):
            (here / "wordnet" / file).write_text("  1 A licence  \n", encoding="utf-8")
    (here / "wordnet" / "cntlist.rev").write_text("", encoding="utf-8")
    Store(here / "feedback.sqlite").put_many({b"key": json.dumps(FEEDBACK).encode()})
    shutil.copytree(Path(inspect.getfile(main)).parents[1] / "builtin" / "scenes", here / "student")
    return {
        "student": str(here / "student"),
        "data": "scenes:12",
        "predictions": str(here / "p.jsonl"),
        "runs": str(here / "one"),
        "results": str(here / "one"),
        "others": str(here / "two"),
        "folder": str(here),
        "run": str(here / "runs" / "tiny"),
        "judge": "builtin:scenes",
        "calibrate data": "scenes:60",
        "name": "e-snli",
        "wordnet": str(here / "wordnet"),
        "fields": "premise=A man.",
        "store": str(here / "feedback.sqlite"),
        "more fields": "hypothesis=A hat.",
        **{f"{name} config": str(here / f"{name}.yaml") for name in CONFIGS},
        "teach run source": str(here / "teach run.yaml"),
        "teach show folder": str(here / "taught" / "taught"),
        "teach collect folder": str(here / "taught" / "taught"),
        "teach filter folder": str(here / "taught" / "taught"),
    }


def arguments(command: Command, parameter: str, value: str, good: dict[str, str], out: Path) -> list[str]:
    """A command line that is right but for ``parameter``."""
    words = [*command.name.split(), *QUICK.get(command.name, ())]
    if parameter == "bertscore_encoder":
        words.remove("--no-bertscore")
    for name, asked in command.parameters.items():
        given = value if name == parameter else good.get(f"{command.name} {name}", good.get(name, ""))
        if name == "out":
            given = value if name == parameter else str(out)
        elif name != parameter and not asked.required and name not in ("data", "fields"):
            continue  # what only a run can do without is given
        if name == "teacher":
            given = f"human={given}"
        if name == "overrides":
            given = f"{OVERRIDDEN[command.name]}={json.dumps(given)}"
        if asked.opts[0].startswith("-"):
            words += [asked.opts[0], given]
        else:
            words += [given] + ([good["others"]] if name == "results" else [])
            words += [good["more fields"]] if name == "fields" else []
    return words


OVERRIDDEN = {
    "train": "data.train.source",
    "federate": "data.train.source",
    "teach run": "data.source",
    "teach filter": "use.judge_support.judge",
    "distil": "data.train.source",
    "update": "data.train.source",
    "init": "task",
    "judge train": "data.explained.source",
    "sweep": "base",
}


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The path of each kind; what is read is written once."""
    here = tmp_path_factory.mktemp("bad")

    def path(kind: str) -> str:
        if kind in PLACES:
            return PLACES[kind](here)
        content, _, form = kind.partition(" file")
        if not form.startswith("s"):
            file = here / f"{content.replace(' ', '_')}{form}"
            file.write_bytes(CONTENTS[content])
            return str(file)
        folder = here / f"{content.replace(' ', '_')}_folder"
        for place in (folder, folder / "student", folder / "checkpoints", folder / "results" / "test"):
            place.mkdir(parents=True, exist_ok=True)
            for name in PARTS_OF_FOLDERS:
                (place / name).write_bytes(CONTENTS[content])
        return str(folder)

    return path


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


SENTENCE = re.compile(r"^(error: \S.*|Usage: .*^Error: \S.*)\Z", re.DOTALL | re.MULTILINE)
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]")


QUICK_SHARE = COMBINATIONS[::14]
REST = [combination for place, combination in enumerate(COMBINATIONS) if place % 14]


@pytest.fixture
def refused(
    run: Callable[..., tuple[int, str, str]],
    bad: Callable[[str], str],
    good: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[tuple[str, str, str]], None]:
    """Holds a combination to what this file is about."""

    def check(combination: tuple[str, str, str]) -> None:
        name, parameter, kind = combination
        monkeypatch.chdir(tmp_path)
        words = arguments(COMMANDS[name], parameter, bad(kind), good, tmp_path / "out")
        before = tree(tmp_path)
        code, out, err = run(*words)
        assert code == 2, (words, code, out, err)
        message = err[max(err.rfind("error: "), err.find("Usage: ")) :].rstrip("\n")
        assert SENTENCE.match(message), (words, err)
        assert not UNSEEN.search(out + message), (words, err)
        assert "Traceback" not in out + err
        assert tree(tmp_path) == before, words

    return check


def name_of(combination: tuple[str, str, str]) -> str:
    return "-".join(combination).replace(" ", "_")


@pytest.mark.parametrize("combination", QUICK_SHARE, ids=name_of)
def test_bad_input_is_a_sentence(
    combination: tuple[str, str, str], refused: Callable[[tuple[str, str, str]], None]
) -> None:
    refused(combination)


@pytest.mark.slow  # more than three thousand commands take minutes
@pytest.mark.parametrize("combination", REST, ids=name_of)
def test_other_bad_input_is_a_sentence(
    combination: tuple[str, str, str], refused: Callable[[tuple[str, str, str]], None]
) -> None:
    refused(combination)


def test_the_quick_share_has_every_path_and_every_kind() -> None:
    def paths(combinations: list[tuple[str, str, str]]) -> set[tuple[str, str]]:
        return {(name, parameter) for name, parameter, _ in combinations}

    def kinds_of(combinations: list[tuple[str, str, str]]) -> set[str]:
        return {kind if kind in PLACES else kind.split(" file")[0] for *_, kind in combinations}

    assert paths(QUICK_SHARE) == paths(COMBINATIONS)
    assert kinds_of(QUICK_SHARE) == kinds_of(COMBINATIONS) == {*PLACES, *CONTENTS}
    assert {name for name, _ in paths(COMBINATIONS)} == set(COMMANDS)
    assert len(COMBINATIONS) > 3000


# --- a full disk ---

WRITERS = [command.name for command in COMMANDS.values() if "out" in command.paths and command.name != "data download"]
"""Commands that write where they are told. A download needs a server, and has this test among its own."""
SLOW_WRITERS = {"efficiency", "export", "quickstart", "judge train"}  # they work for seconds before they write


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in SLOW_WRITERS else name
        for name in [*WRITERS, "train", "judge train", "calibrate"]
    ],
)
def test_a_full_disk_is_a_sentence_and_leaves_nothing(
    name: str,
    run: Callable[..., tuple[int, str, str]],
    good: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    student = shutil.copytree(good["student"], tmp_path / "student")
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    words = arguments(COMMANDS[name], "out", str(here / "out"), good | {"student": str(student)}, here / "out")
    if name in ("data convert", "data pair", "data structures"):
        words[-1] += ".jsonl"
    before = tree(tmp_path)
    opened = io.open

    def full(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        stream = opened(file, mode, *args, **kwargs)
        if set(mode) & set("wax+") and tmp_path in Path(f"/proc/self/fd/{stream.fileno()}").readlink().parents:
            stream.close()
            return opened("/dev/full", mode, *args, **kwargs)
        return stream

    monkeypatch.setattr("io.open", full)
    monkeypatch.setattr("builtins.open", full)
    code, _, err = run(*words)
    monkeypatch.undo()
    assert code == 2, (words, err)
    assert "No space left on device" in err.splitlines()[-1]
    assert "Make room" in err.splitlines()[-1]
    left = [
        path
        for path in tree(tmp_path)
        if path not in before and (tmp_path / path).is_file() and not path.endswith(".lock")
    ]
    assert left == []
