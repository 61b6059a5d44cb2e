"""How fast are values kept on disk? BERTScore-sized vectors and scores, by one process and by two at once.

    python benchmarks/stores.py [--repeats 5] [--folder FOLDER]

Writes and reads values in batches, as evaluations do: 10,000 of 25 KB (a sentence's word vectors) in batches of 500,
and 100,000 of 8 bytes (a score) in batches of 1,000. Read in another order than written, from the page cache, by a new
`Store`. Prints medians in seconds, then kills writers at random moments and looks at what is left: whole batches only.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from reasondistill.storage.sqlite_store import Store, content_key

ROOM = 2**33  # bytes: nothing is removed here
SIZES = {"vectors": (10_000, 25_000, 500), "scores": (100_000, 8, 1000)}  # values, bytes each, values in a batch
SPAWN = multiprocessing.get_context("spawn")
LIMITS = {"cache": ROOM, "no limit": None}


def opened(store: str, folder: Path) -> Store:
    return Store(folder / "values.sqlite", LIMITS[store])


def batches(kind: str, part: int) -> Iterator[dict[bytes, bytes]]:
    """The values of one process, batch by batch."""
    count, size, at_once = SIZES[kind]
    noise = random.Random(part).randbytes(size + count)
    for start in range(0, count, at_once):
        yield {content_key(str(part), str(n)): noise[n : n + size] for n in range(start, min(start + at_once, count))}


def write(store: str, folder: Path, kind: str, part: int) -> float:
    kept, values = opened(store, folder), list(batches(kind, part))
    start = time.perf_counter()
    for batch in values:
        kept.put_many(batch)
    return time.perf_counter() - start


def read(store: str, folder: Path, kind: str, part: int) -> float:
    keys = [key for batch in batches(kind, part) for key in batch]
    random.Random(0).shuffle(keys)
    at_once = SIZES[kind][2]
    start = time.perf_counter()
    for k in range(0, len(keys), at_once):
        values = opened(store, folder).get_many(keys[k : k + at_once])
        if len(values) != len(keys[k : k + at_once]):
            raise SystemExit(f"{store}: {len(values)} of {at_once} {kind} are there")
        sum(value[0] for value in values.values())
    return time.perf_counter() - start


def measured(store: str, kind: str, processes: int, parent: Path) -> tuple[float, float]:
    """Seconds of writing and of reading, of the slowest process."""
    with tempfile.TemporaryDirectory(dir=parent) as name:
        calls = [(store, Path(name), kind, part) for part in range(processes)]
        if processes == 1:
            return write(*calls[0]), read(*calls[0])
        with SPAWN.Pool(processes) as pool:
            return max(pool.starmap(write, calls)), max(pool.starmap(read, calls))


def killed(store: str, parent: Path, times: int) -> str:
    """Kill a writer of vectors again and again in one folder, and see what is there."""
    with tempfile.TemporaryDirectory(dir=parent) as name:
        chance, folder = random.Random(0), Path(name)
        complete = partial = 0
        for part in range(times):
            writer = SPAWN.Process(target=write, args=(store, folder, "vectors", part))
            writer.start()
            writer.join(chance.uniform(0.5, 1.2))
            writer.kill()
            writer.join()
            for batch in batches("vectors", part):
                values = opened(store, folder).get_many(list(batch))
                if any(values[key] != batch[key] for key in values):
                    raise SystemExit(f"{store}: a value has changed")
                complete += len(values) == len(batch)
                partial += 0 < len(values) < len(batch)
    return f"{times} writers killed: {complete} whole batches are there, {partial} in part, and no value has changed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="on the disk to measure")
    args = parser.parse_args()
    for kind, processes in ((kind, processes) for kind in SIZES for processes in (1, 2)):
        # In turns, so that what else the machine does meets all of them.
        seconds: dict[str, list[tuple[float, float]]] = {store: [] for store in LIMITS}
        for _ in range(args.repeats):
            for store in LIMITS:
                seconds[store].append(measured(store, kind, processes, args.folder))
        for store, pairs in seconds.items():
            written, got = (statistics.median(column) for column in zip(*pairs, strict=True))
            print(f"{kind:8} {processes} process(es)  {store:8}  write {written:.2f} s  read {got:.2f} s", flush=True)
    for store in LIMITS:
        print(f"{store}: {killed(store, args.folder, args.kills)}", flush=True)


if __name__ == "__main__":
    main()
