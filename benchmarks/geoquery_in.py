"""GeoQuery's questions in another language beside the queries of their English originals, as a table to learn from.

    python benchmarks/geoquery_in.py de geography.json geography-multilingual.xml geoquery_de.csv

Both files are text2sql-data's. The second has the questions in en, de, el, th and zh, and 250 of them in es, ja and tr,
with logical forms but no SQL; an English question that both have joins the two. Splits and groups are those of the
first file, so that no query is in two splits.
"""

from __future__ import annotations

import argparse
import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree import ElementTree

from reasondistill.contracts.records import Example
from reasondistill.data import load

COLUMNS = ("id", "split", "group", "question", "label", "explanation")


def translated(examples: Iterable[Example], multilingual: Path, language: str) -> Iterator[tuple[str | None, ...]]:
    """A row of `COLUMNS` for each question that the English file has, too."""
    known = {_words(example.fields["question"]): example for example in examples}
    for entry in ElementTree.parse(multilingual).getroot().iter("example"):
        questions = {nl.get("lang"): " ".join((nl.text or "").split()) for nl in entry.iter("nl")}
        example = known.get(_words(questions.get("en", "")))
        if example is not None and language in questions:
            reading = example.explanations[0].text
            yield entry.get("id"), example.split, example.group, questions[language], example.label, reading


def _words(question: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", question.lower()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("language")
    parser.add_argument("english", type=Path)
    parser.add_argument("multilingual", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    rows = [*translated(load(options.english).examples, options.multilingual, options.language)]
    if not rows:
        parser.error(f"no question in the language {options.language}: name one of en, de, el, th, zh, es, ja, tr")
    with options.out.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([COLUMNS, *rows])
    print(f"{len(rows)} questions: {options.out}")


if __name__ == "__main__":
    main()
