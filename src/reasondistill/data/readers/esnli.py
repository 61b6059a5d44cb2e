"""e-SNLI (Camburu et al. 2018) from its official CSVs: SNLI pairs with human explanations and highlighted words.

``esnli_dev.csv`` and ``esnli_test.csv`` hold three explanations a pair, ``esnli_train_1.csv`` and ``_2.csv`` one.
Each explanation has both sentences again with the words that its annotator highlighted between stars
(``Sentence1_marked_1``), and those words' numbers (``Sentence1_Highlighted_1``). Highlights give the label away, so
they are kept beside an example's fields, never in them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from reasondistill.contracts.records import Example, parse_record
from reasondistill.data.loaded import Loaded, gather
from reasondistill.data.own_columns import own_columns, own_values
from reasondistill.data.readers.csv_files import read_table
from reasondistill.errors import DataError
from reasondistill.storage.packed import plain_stem
from reasondistill.tasks.task import NLI, Task

SENTENCES = {"premise": "Sentence1", "hypothesis": "Sentence2"}
REQUIRED = ("pairID", "gold_label", "Sentence1", "Sentence2", "Explanation_1")

_EXPLANATION = re.compile(r"Explanation_(\d+)")
_OTHER_COLUMNS = re.compile(r"WorkerI[dD](_\d+)?|Sentence[12]_(marked|Highlighted)_\d+")


def is_esnli(header: Iterable[str]) -> bool:
    """Whether a table is meant as e-SNLI's: it has at least three of the columns that all its files share.

    One with both sentences and a label, but without pairID and what annotators marked, is somebody's own.
    """
    names = set(header)
    marked = any(_OTHER_COLUMNS.fullmatch(name) for name in names)
    own = "pairID" not in names and not marked and {*REQUIRED[1:4]} <= names
    return len(set(REQUIRED) & names) >= 3 and not own


def gives(task: Task) -> bool:
    """Whether e-SNLI has what a task asks for: its sentences, and its three labels if the task has any."""
    return set(task.fields) <= set(SENTENCES) and (task.labels == () or set(NLI.labels or ()) <= set(task.labels or ()))


def read_esnli(path: str | Path, *, task: Task = NLI, notes: list[str] | None = None, key: str | None = None) -> Loaded:
    """Read one of e-SNLI's CSVs.

    ``id`` is the pairID and ``group`` the image before its ``#``, or the premise where there is none: rows of one
    image share their caption and must not be split apart. Columns ``id``, ``group`` and ``split`` go before these.
    Set aside and counted, by reason: rows with no gold label (empty or ``-``) or an empty sentence, rows that repeat an
    earlier one in everything that is read, explanations that are empty, and highlights that do not fit their sentence
    (they become ``{}``).

    ``notes`` and ``key`` are as in `data.loaded.gather`.

    Raises:
        DataError: a column is missing, a label is unknown, or a pairID occurs twice with different content.
    """
    path = Path(path)
    header, _ = read_table(path, notes)
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise DataError(
            path,
            expected=f"e-SNLI's columns {', '.join(REQUIRED)}",
            found=f"{', '.join(header)}, without {', '.join(missing)}",
            fix="Fetch the official file again, or map its columns (--columns).",
        )
    numbers = sorted(int(match[1]) for name in header if (match := _EXPLANATION.fullmatch(name)))
    own = own_columns(header)
    used = {*REQUIRED, *(f"Explanation_{number}" for number in numbers), *own.values()}
    ignored = tuple(name for name in header if name not in used and not _OTHER_COLUMNS.fullmatch(name))

    def read(set_aside: Counter[str]) -> Iterator[tuple[str, Example]]:
        return _examples(path, read_table(path, notes)[1], numbers, own, set_aside)

    # Joining the two train files by hand easily doubles rows. The same content twice does no harm once; another
    # content under the same id is a mistake that `gather` refuses, naming both lines.
    return gather(plain_stem(path), path, read, task, ignored_columns=ignored, notes=notes, drop_repeats=True, key=key)


def highlighted_words(sentence: str, marked: str, highlighted: str = "") -> list[int] | None:
    """The positions, from 0, of the words of ``sentence.split()`` that stand between stars in ``marked``.

    ``highlighted`` is the file's own list of them ("1,3", or "{}" for none). It counts the pieces between single
    spaces, so two spaces in a row make an empty piece that has a number of its own.

    Returns:
        None where ``marked`` is not ``sentence`` with stars, or where ``highlighted`` names other words.
    """
    words, marks = sentence.split(), marked.split()
    if len(words) != len(marks):
        return None
    positions = []
    for position, (word, mark) in enumerate(zip(words, marks, strict=True)):
        if mark == f"*{word}*":
            positions.append(position)
        elif mark != word:
            return None
    if not highlighted or ("  " not in sentence and highlighted == ",".join(map(str, positions))):
        return positions  # nearly always: the list in order, no empty pieces
    return positions if _listed_words(sentence, highlighted) == positions else None


def _listed_words(sentence: str, highlighted: str) -> list[int] | None:
    if highlighted.strip() == "{}":
        return []
    position_of: dict[str, int] = {}
    for number, piece in enumerate(sentence.strip().split(" ")):
        if piece:
            position_of[str(number)] = len(position_of)
    listed = {position_of.get(number.strip()) for number in highlighted.split(",")}
    positions = sorted(position for position in listed if position is not None)
    return positions if len(positions) == len(listed) else None


def _examples(
    path: Path,
    rows: Iterable[tuple[int, dict[str, str]]],
    numbers: list[int],
    own: Mapping[str, str],
    set_aside: Counter[str],
) -> Iterator[tuple[str, Example]]:
    for line, row in rows:
        if row["gold_label"].strip() in ("", "-"):
            set_aside["no gold label"] += 1
            continue
        image, mark, _ = row["pairID"].partition("#")
        explanations: list[dict[str, object]] = []
        highlights: list[dict[str, list[int]]] = []
        for number in numbers:
            text = row[f"Explanation_{number}"]
            if not text.strip():
                set_aside["empty explanation"] += 1
                continue
            explanations.append({"text": text, "source": "human"})
            if f"Sentence1_marked_{number}" in row:
                highlights.append(word_positions := _highlights(row, number))
                set_aside.update(["highlights that do not fit their sentence"] * (not word_positions))
        yield (
            f"{path}:{line}",
            parse_record(
                Example,
                {
                    "id": row["pairID"] or f"{path.name}:{line}",
                    "fields": {field: row[column] for field, column in SENTENCES.items()},
                    "label": row["gold_label"],
                    "explanations": explanations,
                    "group": image if image and mark else row["Sentence1"],
                    "highlights": highlights or None,
                    **own_values(row, own, f"{path}:{line}"),
                },
                f"{path}:{line}",
            ),
        )


def _highlights(row: Mapping[str, str], number: int) -> dict[str, list[int]]:
    positions = {}
    for field, column in SENTENCES.items():
        marked = row.get(f"{column}_marked_{number}", "")
        word_positions = highlighted_words(row[column], marked, row.get(f"{column}_Highlighted_{number}", ""))
        if word_positions is None:
            return {}
        positions[field] = word_positions
    return positions
