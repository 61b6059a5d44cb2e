"""Stored values come back as they were, or not at all: damaged files, full stores, several processes, killed ones."""

from __future__ import annotations

import sqlite3
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasondistill.errors import OutputError
from reasondistill.storage import sqlite_store
from reasondistill.storage.sqlite_store import Store, content_key

LIMIT = 2**20
ENTRIES = {content_key(str(n)): bytes([n]) * n for n in range(40)}
SPAWN = get_context("spawn")


@pytest.fixture(params=[LIMIT, None], ids=["cache", "no limit"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Store:
    return Store(tmp_path / "folder" / "values.sqlite", request.param)


@pytest.fixture
def cache(tmp_path: Path) -> Store:
    return Store(tmp_path / "values.sqlite", LIMIT)


def test_what_was_put_is_there_by_its_key(store: Store) -> None:
    assert store.get_many(ENTRIES) == {}
    store.put_many({})
    assert not store.path.parent.exists()
    store.put_many(ENTRIES)
    assert store.get_many(ENTRIES) == ENTRIES
    assert Store(store.path).get_many(ENTRIES) == ENTRIES
    assert store.get_many([content_key("another")]) == store.get_many([]) == {}
    assert list(store.path.parent.iterdir()) == [store.path]


def test_a_value_that_is_put_again_replaces_the_other(store: Store) -> None:
    store.put_many({b"key": b"old", b"other": b"stays"})
    store.put_many({b"key": b"new"})
    assert store.get_many([b"key", b"other"]) == {b"key": b"new", b"other": b"stays"}


def test_more_keys_than_one_query_takes(cache: Store) -> None:
    many = {content_key(str(n)): str(n).encode() for n in range(3 * sqlite_store._KEYS_AT_ONCE + 1)}
    cache.put_many(many)
    assert cache.get_many([*many, *ENTRIES]) == many


def test_keys_tell_texts_and_their_borders_apart() -> None:
    texts = [("ab",), ("a", "b"), ("b", "a"), ("", "ab"), ("ab", ""), ("a\ud800",)]
    assert len({content_key(*text) for text in texts}) == len(texts)
    assert content_key("a", b"b") == content_key("a", "b")


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_damaged_file_costs_values_and_never_changes_them(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* damaged .*; set aside as values.sqlite.damaged, and begun anew")
        cache = Store(Path(folder) / "values.sqlite", LIMIT)
        cache.put_many(ENTRIES)
        whole = cache.path.read_bytes()
        broken = bytearray(whole)
        # The head of the file, the tables' description and the beginnings of pages matter most.
        head = st.one_of(st.integers(0, 120), st.integers(0, len(whole) - 1))
        for _ in range(data.draw(st.integers(1, 3))):
            broken[data.draw(head)] ^= data.draw(st.integers(1, 255))
        cache.path.write_bytes(bytes(broken[: data.draw(st.integers(0, len(whole)))]))
        assert cache.get_many(ENTRIES).items() <= ENTRIES.items()
        cache.put_many(ENTRIES)  # computed again
        assert cache.get_many(ENTRIES) == ENTRIES


def test_one_flipped_bit_costs_one_value(cache: Store) -> None:
    cache.put_many(ENTRIES)
    whole = cache.path.read_bytes()
    place = whole.index(bytes([39]) * 39)
    cache.path.write_bytes(whole[:place] + bytes([38]) + whole[place + 1 :])
    assert cache.get_many(ENTRIES) == {key: value for key, value in ENTRIES.items() if len(value) != 39}


def test_a_damaged_file_is_set_aside_with_a_warning(store: Store) -> None:
    for put in range(2):
        store.put_many(ENTRIES)
        store.path.write_bytes(b"no database" * 1000)
        with pytest.warns(UserWarning, match=r"damaged \(file is not a database\); set aside as .*, and begun anew"):
            assert store.get_many(ENTRIES) == {}
        aside = [path for path in store.path.parent.iterdir() if ".damaged" in path.name]
        assert len(aside) == (1 if store.limit is not None else put + 1)  # what cost only time is not kept twice
        assert all(path.read_bytes().startswith(b"no database") for path in aside)


def test_the_journal_of_a_damaged_file_does_not_meet_the_new_one(cache: Store) -> None:
    cache.put_many(ENTRIES)
    cache.path.write_bytes(b"no database" * 1000)
    journal = cache.path.with_name("values.sqlite-journal")
    journal.write_bytes(b"of the old file")
    with pytest.warns(UserWarning, match="begun anew"):
        cache.put_many(ENTRIES)
    assert cache.get_many(ENTRIES) == ENTRIES
    assert not journal.exists()


def test_a_file_that_another_process_set_aside_is_not_set_aside_again(cache: Store) -> None:
    cache.put_many(ENTRIES)
    before = cache._inode()
    cache.path.rename(cache.path.with_name("moved"))
    cache.put_many(ENTRIES)
    cache._set_aside(before, sqlite3.DatabaseError("malformed"))
    assert cache.get_many(ENTRIES) == ENTRIES


def test_a_cache_that_cannot_be_written_is_said_and_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("where the folder should be")
    cache = Store(tmp_path / "file" / "values.sqlite", LIMIT)
    with pytest.warns(UserWarning, match=r"cannot be used .*REASONDISTILL_CACHE names another folder"):
        cache.put_many(ENTRIES)
    assert cache.get_many(ENTRIES) == {}


def test_a_store_without_a_limit_refuses_what_a_cache_does_without(tmp_path: Path) -> None:
    (tmp_path / "values.sqlite").mkdir()
    with pytest.raises(OutputError, match="unable to open database file"):
        Store(tmp_path / "values.sqlite").put_many(ENTRIES)
    with pytest.raises(OutputError, match="unable to open database file"):
        Store(tmp_path / "values.sqlite").get_many(ENTRIES)


def test_the_longest_unused_goes_first(cache: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [content_key("big", str(n)) for n in range(4)]
    for hours, key in enumerate(keys[:3]):
        monkeypatch.setattr(time, "time", lambda hours=hours: 1e9 + 7200 * hours)
        cache.put_many({key: bytes(300_000)})
    monkeypatch.undo()
    assert set(cache.get_many([keys[0]])) == {keys[0]}  # used now
    cache.put_many({keys[3]: bytes(300_000)})
    assert set(cache.get_many(keys)) == {keys[0], keys[2], keys[3]}
    for n in range(20):
        cache.put_many({content_key(str(n)): bytes(100_000)})
    assert cache.path.stat().st_size <= LIMIT + 2**18  # the room of what went is used again


def test_a_value_larger_than_the_limit_is_not_kept(cache: Store) -> None:
    cache.put_many({b"large": bytes(2 * LIMIT)})
    assert cache.get_many([b"large"]) == {}


def test_without_a_limit_nothing_goes(tmp_path: Path) -> None:
    many = {content_key(str(n)): bytes(LIMIT // 5) for n in range(10)}
    store = Store(tmp_path / "values.sqlite")
    for key, value in many.items():
        store.put_many({key: value})
    assert store.get_many(many) == many


def put_some(path: Path, start: int) -> None:
    store = Store(path, LIMIT)
    for key, value in list(ENTRIES.items())[start : start + 20]:
        store.put_many({key: value})
        assert store.get_many([key]) == {key: value}


def test_processes_put_at_once(cache: Store) -> None:
    with ProcessPoolExecutor(2, mp_context=SPAWN) as pool:
        list(pool.map(put_some, [cache.path] * 3, (0, 10, 20)))
    assert cache.get_many(ENTRIES) == ENTRIES


def put_until_killed(path: Path, limit: int | None) -> None:
    for n in range(10_000):
        Store(path, limit).put_many({content_key(str(n), str(k)): bytes([k]) * 100_000 for k in range(10)})


def test_a_killed_writer_leaves_whole_batches(tmp_path: Path) -> None:
    for limit in (2**33, None):
        path = tmp_path / str(limit) / "values.sqlite"
        writer = SPAWN.Process(target=put_until_killed, args=(path, limit))
        writer.start()
        while not (path.exists() and path.stat().st_size > 2**22):
            assert writer.is_alive()
            time.sleep(0.001)
        writer.kill()
        writer.join()
        store, whole = Store(path, limit), 0
        for n in range(10_000):
            values = store.get_many(content_key(str(n), str(k)) for k in range(10))
            assert len(values) in (0, 10)
            assert all(value == value[:1] * 100_000 for value in values.values())
            if not values:
                break
            whole += 1
        assert whole >= 3
        store.put_many(ENTRIES)
        assert store.get_many(ENTRIES) == ENTRIES
