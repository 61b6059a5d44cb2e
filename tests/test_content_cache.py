"""What is kept by content comes back as it was, or not at all: broken files, full folders, several processes."""

from __future__ import annotations

import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasondistill.storage import content_cache
from reasondistill.storage.content_cache import ContentCache, content_key

LIMIT = 2**20
ENTRIES = {content_key(str(n)): bytes([n]) * n for n in range(40)}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ContentCache:
    monkeypatch.setenv("REASONDISTILL_CACHE", str(tmp_path))
    return ContentCache("kind", LIMIT)


def found(cache: ContentCache) -> dict[bytes, bytes]:
    return {key: bytes(value) for key, value in cache.find(ENTRIES).items()}


def segments(cache: ContentCache) -> list[Path]:
    return sorted(cache.folder.glob("*.arrow"))


def test_what_was_added_is_found_by_its_key(cache: ContentCache) -> None:
    assert found(cache) == {}
    cache.add({})
    assert not cache.folder.exists()
    cache.add(ENTRIES)
    assert found(cache) == ENTRIES
    assert cache.find([content_key("another")]) == {}
    assert ContentCache("another kind", LIMIT).find(ENTRIES) == {}


def test_keys_tell_texts_and_their_borders_apart() -> None:
    texts = [("ab",), ("a", "b"), ("b", "a"), ("", "ab"), ("ab", ""), ("a\ud800",)]
    assert len({content_key(*text) for text in texts}) == len(texts)
    assert content_key("a", b"b") == content_key("a", "b")


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_broken_file_costs_entries_and_never_changes_them(data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setenv("REASONDISTILL_CACHE", folder)
        cache = ContentCache("kind", LIMIT)
        cache.add(ENTRIES)
        (path,) = segments(cache)
        whole = path.read_bytes()
        broken = bytearray(whole)
        for _ in range(data.draw(st.integers(1, 3))):
            broken[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
        path.write_bytes(bytes(broken[: data.draw(st.integers(0, len(whole)))]))
        left = found(cache)
        assert left.items() <= ENTRIES.items()
        cache.add(ENTRIES)  # computed again
        assert found(cache) == ENTRIES


def test_one_flipped_bit_costs_one_entry(cache: ContentCache) -> None:
    cache.add(ENTRIES)
    (path,) = segments(cache)
    data = path.read_bytes()
    place = data.index(bytes([39]) * 39)
    path.write_bytes(data[:place] + bytes([38]) + data[place + 1 :])
    assert found(cache) == {key: value for key, value in ENTRIES.items() if len(value) != 39}


def test_a_folder_that_cannot_be_written_to_is_said(cache: ContentCache) -> None:
    cache.folder.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match=r"cannot be written to .*REASONDISTILL_CACHE names another folder"):
        cache.add(ENTRIES)
    assert found(cache) == {}


def test_the_longest_unused_goes_first(cache: ContentCache) -> None:
    keys = [content_key("big", str(n)) for n in range(4)]
    for age, key in enumerate(keys[:3]):
        cache.add({key: bytes(300_000)})
        for path in segments(cache):
            if path.stat().st_mtime > time.time() - 5:
                os.utime(path, (1_000_000 + age, 1_000_000 + age))
    assert set(cache.find([keys[0]])) == {keys[0]}  # used now
    cache.add({keys[3]: bytes(300_000)})
    assert set(cache.find(keys)) == {keys[0], keys[2], keys[3]}
    assert sum(path.stat().st_size for path in segments(cache)) <= LIMIT


def test_many_small_segments_become_one(cache: ContentCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_cache, "_MANY", 5)
    for key, value in ENTRIES.items():
        cache.add({key: value})
        assert len(segments(cache)) <= 6
    assert found(cache) == ENTRIES


def test_what_a_killed_process_left_is_cleared_away(cache: ContentCache) -> None:
    cache.folder.mkdir(parents=True)
    old, new = cache.folder / ".x.arrow.1.part", cache.folder / ".x.arrow.2.part"
    old.touch()
    new.touch()
    os.utime(old, (1_000_000, 1_000_000))
    cache.add(ENTRIES)
    assert not old.exists()
    assert new.exists()  # another process may be at it


def add_some(start: int) -> None:
    cache = ContentCache("kind", LIMIT)
    for key, value in list(ENTRIES.items())[start : start + 20]:
        cache.add({key: value})
        assert cache.find([key])[key] == value


def test_processes_add_at_once(cache: ContentCache) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(add_some, (0, 10, 20)))
    assert found(cache) == ENTRIES
