"""Converting and splitting: what is written loads as the same examples, or is refused."""

from __future__ import annotations

import csv
import itertools
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reasondistill.contracts.records import Example, Explanation, Votes
from reasondistill.data import load, split_of
from reasondistill.data.loaded import Loaded
from reasondistill.data.stored import StoredExamples
from reasondistill.data.writing import WRITABLE, convert, write_splits
from reasondistill.errors import DataError, OutputError
from reasondistill.storage.files import atomic_write
from reasondistill.tasks.task import NLI, Task

in_scratch = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PARTS = ("train", "validation", "test")
folders = itertools.count()

# Every character that a file in UTF-8 can hold, and those that break formats more often than chance has it.
TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from('\n\r",\t;\\\u2028\u0085\ufeff\0é🙂'), max_size=12)
WORDS = TEXTS.filter(lambda text: text.strip() != "")
EXPLANATIONS = st.builds(
    Explanation,
    text=WORDS,
    source=TEXTS,
    label=st.none() | TEXTS,
    votes=st.none()
    | st.integers(1, 9).flatmap(lambda of: st.builds(Votes, acceptable=st.integers(0, of), of=st.just(of))),
)
HIGHLIGHTS = st.dictionaries(st.sampled_from(["premise", "hypothesis"]), st.lists(st.integers(0, 99), max_size=3))
EXAMPLES = st.lists(
    st.builds(
        Example,
        id=TEXTS.filter(bool),
        fields=st.fixed_dictionaries({"premise": WORDS, "hypothesis": WORDS}, optional={"note": TEXTS}),
        label=st.none() | st.sampled_from(NLI.labels or ()),
        choices=st.none() | st.lists(TEXTS, max_size=3).map(tuple),
        explanations=st.lists(EXPLANATIONS, max_size=3).map(tuple),
        group=st.none() | TEXTS,
        highlights=st.none() | st.lists(HIGHLIGHTS, max_size=2).map(tuple),
        split=st.none() | st.sampled_from(PARTS),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda example: example.id,
)
TABLE_ROWS = st.lists(
    st.builds(
        lambda texts, **kwargs: Example(
            **kwargs, explanations=tuple(Explanation(text=t, source=f"explanation_{n}") for n, t in texts)
        ),
        texts=st.dictionaries(st.integers(1, 12), WORDS, max_size=3).map(lambda found: sorted(found.items())),
        id=TEXTS.filter(bool),
        fields=st.fixed_dictionaries({"premise": WORDS, "hypothesis": WORDS}),
        label=st.none() | st.sampled_from(NLI.labels or ()),
        group=TEXTS,
        split=st.none() | st.sampled_from(PARTS),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda example: example.id,
)


def fresh(folder: Path, suffix: str) -> Path:
    return folder / f"{next(folders)}{suffix}"


def of(examples: Iterable[Example]) -> Loaded:
    return Loaded("given", StoredExamples.of(list(examples)))


def reread(path: Path) -> list[Example]:
    return list(load(path, need_label=False).examples)


def reread_parquet(path: Path) -> list[Example]:
    return reread(path)


def pair(number: int, **changes: Any) -> Example:
    value: dict[str, Any] = {
        "id": str(number),
        "fields": {"premise": f"p{number}", "hypothesis": f"h{number}"},
        "label": "neutral",
        "explanations": (Explanation(text="Because.", source="explanation_1"),),
        "group": f"g{number}",
    }
    return Example(**(value | changes))


# --- convert ---


@in_scratch
@given(EXAMPLES)
def test_json_lines_hold_everything(tmp_path: Path, examples: list[Example]) -> None:
    path = fresh(tmp_path, ".jsonl")
    assert convert(of(examples), path) == len(examples)
    assert reread(path) == examples


@in_scratch
@given(EXAMPLES)
def test_parquet_holds_everything(tmp_path: Path, examples: list[Example]) -> None:
    path = fresh(tmp_path, ".parquet")
    assert convert(of(examples), path) == len(examples)
    assert reread_parquet(path) == examples


@in_scratch
@given(TABLE_ROWS, st.sampled_from([".csv", ".tsv"]))
def test_a_table_loads_as_the_same_examples_or_is_refused(tmp_path: Path, examples: list[Example], suffix: str) -> None:
    path = fresh(tmp_path, suffix)
    texts = [t for e in examples for t in (e.id, e.group or "", *e.fields.values(), *(x.text for x in e.explanations))]
    cannot = any("\0" in text or "\r\n" in text for text in texts) or any(e.group == "" for e in examples)
    if cannot:
        with pytest.raises(DataError, match="a table would lose"):
            convert(of(examples), path)
        assert not path.exists()
    else:
        assert convert(of(examples), path) == len(examples)
        assert reread(path) == examples


@in_scratch
@given(EXAMPLES)
def test_no_table_loses_anything_in_silence(tmp_path: Path, examples: list[Example]) -> None:
    """Under a task that has all fields: others are columns that nothing is read from, and said to be ignored."""
    path = fresh(tmp_path, ".csv")
    fields = tuple(examples[0].fields)
    task = Task(name="own", fields=fields, labels=NLI.labels, optional=tuple({*fields} & {"note"}))
    try:
        convert(of(examples), path)
    except DataError:
        assert not path.exists()
    else:
        assert list(load(path, task=task, need_label=False).examples) == examples
        assert set(load(path, need_label=False).ignored_columns) == {*fields} & {"note"}


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_scenes_keep_their_fingerprint(tmp_path: Path, suffix: str) -> None:
    scenes = load("scenes:600")
    assert convert(scenes, tmp_path / f"x{suffix}") == 600
    again = load(tmp_path / f"x{suffix}")
    assert again.fingerprint == scenes.fingerprint
    assert again.examples == scenes.examples
    assert again.set_aside == {}


def test_parquet_has_columns_that_other_tools_read(tmp_path: Path) -> None:
    votes = Votes(acceptable=2, of=3)
    rich = pair(1, explanations=(Explanation(text="Why.", source="gpt", label="neutral", votes=votes),), choices=("a",))
    convert(of([rich, pair(2, highlights=({"premise": [0]}, {}))]), tmp_path / "x.parquet")
    first, second = pq.read_table(tmp_path / "x.parquet").to_pylist()
    assert first == {
        "id": "1",
        "fields": {"premise": "p1", "hypothesis": "h1"},
        "label": "neutral",
        "choices": ["a"],
        "explanations": [
            {"text": "Why.", "source": "gpt", "label": "neutral", "votes": {"acceptable": 2, "of": 3}},
        ],
        "group": "g1",
        "highlights": None,
        "split": None,
    }
    assert second["highlights"] == [{"premise": [0]}, None]


def test_more_rows_than_a_batch(tmp_path: Path) -> None:
    examples = [pair(number) for number in range(2500)]
    for suffix in WRITABLE:
        assert convert(of(examples), tmp_path / f"x{suffix}") == 2500
        assert reread(tmp_path / f"x{suffix}") == examples


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_a_file_never_takes_the_place_of_a_device_or_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OutputError, match="a device or a pipe"), atomic_write(pipe):
        raise AssertionError("it was opened")
    assert pipe.is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_choices_come_back(tmp_path: Path) -> None:
    task = Task(name="odd", fields=("premise", "hypothesis"), labels=None)
    examples = [pair(1, choices=("red", "blue"), label="red"), pair(2, choices=("up", "down"), label=None)]
    for suffix in (".jsonl", ".parquet"):
        convert(of(examples), tmp_path / f"x{suffix}")
        assert list(load(tmp_path / f"x{suffix}", task=task).examples) == examples


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"explanations": (Explanation(text="x", source="human"),)}, "an explanation's source, 'human'"),
        ({"explanations": (Explanation(text="x", source="explanation_01"),)}, "an explanation's source"),
        (
            {"explanations": tuple(Explanation(text="x", source=f"explanation_{n}") for n in (2, 1))},
            "the order of its explanations",
        ),
        ({"explanations": (Explanation(text="x", source="explanation", label=""),)}, "own label or votes"),
        ({"explanations": (Explanation(text=" ", source="explanation"),)}, "a blank explanation"),
        ({"highlights": ()}, "its highlights"),
        ({"choices": ("a",)}, "its choices"),
        ({"group": None}, "that it has no group"),
        ({"label": ""}, "that its label is an empty text"),
        ({"fields": {"premise": "a", "hypothesis": "b", "label": "c"}}, "its field 'label'"),
        ({"fields": {"premise": "a", "hypothesis": "b", "explanation_3": "c"}}, "its field 'explanation_3'"),
        ({"fields": {"premise": "a\r\nb", "hypothesis": "b"}}, "a character of its premise"),
    ],
)
def test_a_table_that_would_lose_something_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as raised:
        convert(of([pair(1, **change)]), tmp_path / "x.csv")
    assert raised.value.where == "example '1'"
    assert "Write .jsonl or .parquet" in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_rows_of_other_fields_make_no_table(tmp_path: Path) -> None:
    other = pair(2, fields={"premise": "a", "hypothesis": "b", "note": "c"})
    with pytest.raises(DataError, match=r"example '2': a table would lose that its fields are \['hypothesis', 'note'"):
        convert(of([pair(1), other]), tmp_path / "x.tsv")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="nothing is overwritten"):
        convert(of([pair(1)]), path)
    assert path.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("name", ["x.json", "x.xlsx", "x"])
def test_another_suffix_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"ends in \.jsonl, \.parquet, \.csv, \.tsv"):
        convert(of([pair(1)]), tmp_path / name)


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(OutputError):
        convert(of([pair(1)]), tmp_path / "file" / "x.jsonl")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, *args: Any, **kwargs: Any) -> Any:
        os.close(descriptor)
        return Path("/dev/full").open(*args, **kwargs)

    monkeypatch.setattr(os, "fdopen", full)
    for suffix in (".jsonl", ".parquet", ".csv"):
        with pytest.raises(OutputError, match="No space left"):
            convert(of([pair(1)]), tmp_path / f"x{suffix}")
        assert list(tmp_path.iterdir()) == []


def test_half_a_surrogate_pair_never_gets_that_far(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(
        '{"id": "1", "fields": {"premise": "\\ud800", "hypothesis": "b"}, "label": "neutral"}\n', encoding="utf-8"
    )
    with pytest.raises(DataError, match="half of a surrogate pair"):
        load(tmp_path / "x.jsonl")


def test_memory_does_not_grow_with_the_set(tmp_path: Path) -> None:
    """Rows are asked for one after the other: none is kept."""
    import weakref

    alive: list[weakref.ref[Example]] = []
    most = 0

    class Rows(list[Example]):
        def __iter__(self) -> Any:
            nonlocal most
            for number in range(9000):
                example = pair(number)
                alive.append(weakref.ref(example))
                yield example
                if number % 500 == 0:
                    alive[:] = [r for r in alive if r() is not None]
                    most = max(most, len(alive))

    for suffix in WRITABLE:
        assert convert(Loaded("rows", Rows()), tmp_path / f"x{suffix}") == 9000
    assert 0 < most < 2600


# --- split ---


@in_scratch
@given(EXAMPLES, st.sampled_from([".jsonl", ".parquet"]))
def test_parts_are_those_of_the_rule_or_the_rows_own(tmp_path: Path, examples: list[Example], suffix: str) -> None:
    out = fresh(tmp_path, "")
    named = [e.split for e in examples if e.split is not None]
    own = {e.group: {other.split for other in examples if other.group == e.group} for e in examples}
    torn = bool(named) and any(len(parts) > 1 for group, parts in own.items() if group is not None)
    if torn or 0 < len(named) < len(examples):
        with pytest.raises(DataError, match=r"expected (a split in every row|the split)"):
            write_splits(of(examples), out, suffix)
        assert not out.exists()
        return
    written = write_splits(of(examples), out, suffix)
    reader = reread if suffix == ".jsonl" else reread_parquet
    found = {part: reader(file.path) for part, file in written.items()}
    for part, rows in found.items():
        assert written[part].examples == len(rows) > 0
        assert rows == [
            e.model_copy(update={"split": part})
            for e in examples
            if (e.split or split_of(e.id if e.group is None else e.group)) == part
        ]
    assert sum(map(len, found.values())) == len(examples)
    groups = [{e.group for e in rows} - {None} for rows in found.values()]
    assert all(a.isdisjoint(b) for a, b in itertools.combinations(groups, 2))


def test_scenes_split_into_files_that_load_as_their_parts(tmp_path: Path) -> None:
    scenes = load("scenes:600")
    written = write_splits(scenes, tmp_path / "parts", ".parquet")
    assert list(written) == list(PARTS)
    for part in PARTS:
        assert written[part].path == tmp_path / "parts" / f"{part}.parquet"
        assert written[part].examples == len(scenes.part(part).examples)
        assert load(written[part].path).fingerprint == scenes.part(part).fingerprint
        assert load(written[part].path, split=part).examples == scenes.part(part).examples
    assert sorted(p.name for p in tmp_path.iterdir()) == ["parts"]


def test_a_users_table_is_split_and_stays_a_table(tmp_path: Path) -> None:
    with (tmp_path / "own.csv").open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["premise", "hypothesis", "label", "explanation_1", "explanation_2"])
        rows.writerows(
            [f"premise {n // 3}", f'say "{n}"', "neutral", "why,\nso", "" if n % 2 else "also"] for n in range(90)
        )
    loaded = load(tmp_path / "own.csv")
    written = write_splits(loaded, tmp_path / "parts", ".csv")
    assert set(written) == set(PARTS)
    assert {part: reread(file.path) for part, file in written.items()} == {
        part: list(loaded.part(part).examples) for part in PARTS
    }


def test_a_groups_rows_that_name_different_parts_are_refused(tmp_path: Path) -> None:
    torn = [pair(1, group="g", split="train"), pair(2, split="test"), pair(3, group="g", split="test")]
    with pytest.raises(
        DataError, match=r"given: example '3': expected the split 'train', .* group 'g' has, found 'test'"
    ):
        write_splits(of(torn), tmp_path / "parts")
    assert list(tmp_path.iterdir()) == []


def test_parts_of_other_names_come_last_and_names_that_are_paths_are_refused(tmp_path: Path) -> None:
    written = write_splits(of([pair(1, split="dev"), pair(2, split="test")]), tmp_path / "parts")
    assert list(written) == ["test", "dev"]
    with pytest.raises(DataError, match="names can be file names"):
        write_splits(of([pair(1, split="../dev")]), tmp_path / "others")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["parts"]


def test_one_part_of_a_set_is_written_as_itself(tmp_path: Path) -> None:
    scenes = load("scenes:60", split="train")
    written = write_splits(scenes, tmp_path / "parts")
    assert list(written) == ["train"]
    assert written["train"].examples == len(scenes.examples)


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x", encoding="utf-8")
    with pytest.raises(OutputError, match="nothing is overwritten"):
        write_splits(of([pair(1)]), tmp_path)
    with pytest.raises(OutputError, match="suffix"):
        write_splits(of([pair(1)]), tmp_path / "new", "jsonl")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_part_that_cannot_be_written_leaves_no_part(tmp_path: Path) -> None:
    bad = pair(2, split="test", choices=("a",))
    with pytest.raises(DataError, match="its choices"):
        write_splits(of([pair(1, split="train"), bad]), tmp_path / "parts", ".csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.real
def test_e_snli_is_converted_and_split(tmp_path: Path, data_folder: Path) -> None:
    loaded = load(data_folder / "e-snli" / "esnli_dev.csv")
    for suffix in (".jsonl", ".parquet"):
        convert(loaded, tmp_path / f"dev{suffix}")
    assert reread(tmp_path / "dev.jsonl") == list(loaded.examples) == reread_parquet(tmp_path / "dev.parquet")
    written = write_splits(loaded, tmp_path / "parts")
    assert sum(file.examples for file in written.values()) == len(loaded.examples)
    first = json.loads(written["train"].path.read_text(encoding="utf-8").splitlines()[0])
    assert first["split"] == "train"
