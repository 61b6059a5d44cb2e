"""The rows that a student learned from and that read most like a question: TF-IDF of their words, by cosine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from reasondistill.contracts.records import Example
from reasondistill.contracts.service import NearExample
from reasondistill.errors import DataError
from reasondistill.run_data import RunData, run_at
from reasondistill.tasks.task import Task

SHOWN: Final = 3


class NearRows:
    """Finds the nearest of a run's rows. Many threads may ask at once.

    Args:
        rows: of which the nearest are found; of those with the same texts the first.
        task: whose fields are compared.
    """

    def __init__(self, rows: Sequence[Example], task: Task) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._task = task
        self._rows = list({self._text(row): row for row in reversed(rows)}.values())
        # Single letters and punctuation are words, too: some tasks have nothing else.
        self._words = TfidfVectorizer(token_pattern=r"\w+|[^\w\s]", sublinear_tf=True)
        self._matrix = self._words.fit_transform(map(self._text, self._rows))

    @classmethod
    def of_run(cls, student: Path, task: Task) -> NearRows:
        """The rows that the run of a student, or of a package that lies in it, learned from.

        Raises:
            DataError: it lies in no run, its rows have no words, or are not where they were.
        """
        if (run := run_at(student)) is None:
            raise DataError(
                student,
                expected="a run, or a student that lies in one, as near examples are of the rows that it learned from",
                found="no run",
                fix="Name a run, or leave out --near.",
            )
        rows = list(RunData(run).training())
        try:
            return cls(rows, task)
        except ValueError as error:  # scikit-learn's word for texts without any word
            raise DataError(student, expected="training rows with words", found=str(error)) from error

    def nearest(self, example: Example) -> list[NearExample]:
        """At most three rows, the nearest first; none that shares no word."""
        similarities = (self._matrix @ self._words.transform([self._text(example)]).T).toarray()[:, 0]
        places = similarities.argsort(kind="stable")[::-1][:SHOWN]
        return [self._shown(self._rows[place], float(similarities[place])) for place in places if similarities[place]]

    def _text(self, row: Example) -> str:
        return "\n".join(row.fields.get(name, "") for name in self._task.fields)

    def _shown(self, row: Example, similarity: float) -> NearExample:
        return NearExample(
            fields={name: row.fields.get(name, "") for name in self._task.fields},
            label=row.label,
            explanation=row.explanations[0].text if row.explanations else "",
            similarity=min(1.0, similarity),
        )
