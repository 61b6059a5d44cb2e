"""Files: lines, JSON and atomic writing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reasondistill.errors import DataError, OutputError
from reasondistill.storage.files import (
    atomic_folder,
    atomic_write,
    file_fingerprint,
    fingerprint,
    parse_json_object,
    read_json,
    read_jsonl,
    read_lines,
    require_file,
    require_new_folder,
    write_json,
    write_jsonl,
)

in_scratch = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(st.characters(codec="utf-8")), JSON, max_size=4)


def test_lines_end_at_newlines_only(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes("\ufeffone\r\ntwo\u2028still two\x0bstill\n\nfour".encode())
    assert list(read_lines(path)) == [(1, "one"), (2, "two\u2028still two\x0bstill"), (3, ""), (4, "four")]


def test_a_byte_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "latin1.txt"
    path.write_bytes(b"good\nna\xefve\n")
    with pytest.raises(DataError) as caught:
        list(read_lines(path))
    assert str(caught.value).startswith(f"{path}:2: ")
    assert "0xef at column 3" in str(caught.value)


def test_require_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found a folder"):
        require_file(tmp_path)
    with pytest.raises(DataError, match="nothing at this path"):
        require_file(tmp_path / "absent")
    (tmp_path / "empty").touch()
    with pytest.raises(DataError, match="an empty file"):
        require_file(tmp_path / "empty")
    (tmp_path / "full").write_text("x")
    assert require_file(str(tmp_path / "full")) == tmp_path / "full"


@in_scratch
@given(st.lists(OBJECTS, min_size=1, max_size=4))
def test_jsonl_round_trip(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, rows)
    assert list(read_jsonl(path)) == list(enumerate(rows, start=1))


@in_scratch
@given(OBJECTS)
def test_json_round_trip(tmp_path: Path, value: dict[str, Any]) -> None:
    write_json(tmp_path / "value.json", value)
    assert read_json(tmp_path / "value.json") == value


@given(st.text())
def test_any_text_is_an_object_or_a_data_error(text: str) -> None:
    try:
        assert isinstance(parse_json_object(text, "here"), dict)
    except DataError as error:
        message = str(error)
        assert message.startswith("here: ")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "''"),
        ("[1]", "'[1]'"),
        ('{"a": 1', "delimiter"),
        ('{"a": 1, "a": 2}', "the key 'a' twice"),
        ('{"x": {"a": 1, "a": 2}}', "the key 'a' twice"),
        ("[" * 100_000, "recursion"),
        ('{"a": ' + "9" * 5000 + "}", "digits"),
    ],
)
def test_json_mistakes(text: str, found: str) -> None:
    with pytest.raises(DataError, match="expected") as caught:
        parse_json_object(text, "f:1")
    assert found in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n\n{"a": \n')
    with pytest.raises(DataError) as caught:
        list(read_jsonl(path))
    assert str(caught.value).startswith(f"{path}:3: ")


def test_writing_is_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.jsonl"
    write_jsonl(path, [{"kept": True}])

    def rows() -> Any:
        yield {"lost": True}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_jsonl(path, rows())
    assert path.read_text() == '{"kept": true}\n'
    with pytest.raises(TypeError):
        write_json(tmp_path / "new" / "other.json", {"no": object()})
    assert [entry.name for entry in path.parent.iterdir()] == ["out.jsonl"]


def test_nothing_is_seen_before_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    with atomic_write(path) as stream:
        stream.write("text")
        stream.flush()
        assert not path.exists()
    assert path.read_text() == "text"
    other = tmp_path / "plain.txt"
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode


def test_no_place_to_write_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="a place to write to"):
        write_json(tmp_path / "file" / "out.json", {})


def test_folders_appear_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "run"

    def fill(fail: bool) -> None:
        with atomic_folder(path) as folder:
            (folder / "part").write_text("x")
            assert not path.exists()
            if fail:
                raise RuntimeError

    with pytest.raises(RuntimeError):
        fill(True)
    assert list(tmp_path.iterdir()) == []
    fill(False)
    assert [entry.name for entry in path.iterdir()] == ["part"]
    with pytest.raises(OutputError, match="nothing is overwritten"):
        fill(False)
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]


def test_require_new_folder(tmp_path: Path) -> None:
    assert require_new_folder(tmp_path) == tmp_path
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="found a file"):
        require_new_folder(tmp_path / "file")
    with pytest.raises(OutputError, match="files in it"):
        require_new_folder(tmp_path)


def test_fingerprints(tmp_path: Path) -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint("a", "b") != fingerprint("ab")
    assert fingerprint("a", "b") != fingerprint("b", "a")
    (tmp_path / "file").write_bytes(b"abc")
    # FIPS 180-2's example: SHA-256("abc") = ba7816bf 8f01cfea …
    assert file_fingerprint(tmp_path / "file") == "ba7816bf8f01cfea"


def test_json_keeps_text_readable(tmp_path: Path) -> None:
    write_json(tmp_path / "v.json", {"text": "naïve"})
    assert "naïve" in (tmp_path / "v.json").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "v.json").read_bytes()) == {"text": "naïve"}
