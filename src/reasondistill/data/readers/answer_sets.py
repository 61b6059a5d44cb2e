"""Published sets of questions and summaries: StrategyQA, SciTLDR and GeoQuery, each in its authors' JSON.

StrategyQA (Geva et al. 2021): yes/no questions; two explanations, the facts and the decomposition into steps.
SciTLDR (Cachola et al. 2020): abstracts with one-sentence summaries; the explanation is the source sentence that has
most in common with a summary, by the file's own ROUGE. GeoQuery as SQL (Finegan-Dollak et al. 2018): questions with
queries, which are read out in plain English for an explanation; its query split, as rows of one query stay together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from reasondistill.contracts.records import Example, parse_record
from reasondistill.data.loaded import Loaded, gather
from reasondistill.data.readers.flat_rows import Cells, Row
from reasondistill.data.splits import usual_split
from reasondistill.errors import DataError
from reasondistill.storage.packed import plain_stem
from reasondistill.tasks.task import Task

_KEYS = {
    "strategyqa": {"question", "answer", "facts", "decomposition"},
    "scitldr": {"source", "target", "rouge_scores"},
    "geoquery": {"sql", "sentences", "query-split"},
}
_FIELDS = {"strategyqa": {"question", "facts"}, "scitldr": {"abstract"}, "geoquery": {"question"}}


def answer_set_of(row: Cells) -> str:
    """The set that a file's first row is of; "" for another file."""
    return next((name for name, keys in _KEYS.items() if keys <= row.keys()), "")


def gives(name: str, task: Task) -> bool:
    """Whether a set has what a task asks for."""
    answers = {*(task.labels or ())} >= {"yes", "no"} if name == "strategyqa" else task.writes_answers
    return set(task.fields) <= _FIELDS[name] and (answers or not task.has_answers)


def read_answer_set(
    path: Path,
    rows: Callable[[], Iterator[Row]],
    *,
    name: str,
    task: Task,
    notes: list[str] | None = None,
    key: str | None = None,
) -> Loaded:
    """Read a file of one of the sets.

    Raises:
        DataError: a row lacks something, or holds it in another form.
    """
    examples_of = {"strategyqa": _strategyqa, "scitldr": _scitldr, "geoquery": _geoquery}[name]

    def read(set_aside: Counter[str]) -> Iterator[tuple[str, Example]]:
        for line, row in rows():
            where = f"{path}:{line}"
            try:
                values = list(examples_of(row, f"{path.name}:{line}", task))
            except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
                raise DataError(
                    where,
                    expected=f"a row of {name}",
                    found=f"{type(error).__name__}: {error}",
                    fix="Complete the row.",
                ) from error
            for value in values:
                yield where, parse_record(Example, {k: v for k, v in value.items() if v is not None}, where)

    return gather(plain_stem(path), path, read, task, notes=notes, key=key)


def _strategyqa(row: Cells, identity: str, task: Task) -> Iterator[dict[str, object]]:
    facts, steps = " ".join(map(str.strip, row["facts"])), " ".join(map(str.strip, row["decomposition"]))
    fields = {"question": row["question"], "facts": facts}
    texts = {"decomposition": steps} if "facts" in task.fields else {"facts": facts, "decomposition": steps}
    yield {
        "id": row.get("qid", identity),
        "fields": {name: fields[name] for name in task.fields},
        "label": None if row["answer"] is None else "yes" if row["answer"] else "no",
        "explanations": [{"text": text, "source": source} for source, text in texts.items() if text],
        "group": row.get("term"),
    }


def _scitldr(row: Cells, identity: str, task: Task) -> Iterator[dict[str, object]]:
    sentences, scores = row["source"], row["rouge_scores"]
    best = max(range(len(scores)), key=scores.__getitem__)
    targets = [row["target"]] if isinstance(row["target"], str) else list(dict.fromkeys(map(str.strip, row["target"])))
    yield {
        "id": row.get("paper_id", identity),
        "fields": {"abstract": " ".join(sentences)},
        "label": targets[0],
        "accepted": targets[1:] or None,
        "explanations": [{"text": sentences[best], "source": "source sentence"}],
        "group": row.get("paper_id"),
    }


def _geoquery(row: Cells, identity: str, task: Task) -> Iterator[dict[str, object]]:
    for number, sentence in enumerate(row["sentences"], start=1):
        values = {v["name"]: v["example"] for v in row["variables"]} | sentence["variables"]
        queries = list(dict.fromkeys(_canonical(_filled(query, values)) for query in row["sql"]))
        yield {
            "id": f"{identity}.{number}",
            "fields": {"question": _filled(sentence["text"], values)},
            "label": queries[0],
            "accepted": queries[1:] or None,
            "explanations": _readings(queries[0]),
            "group": identity,
            "split": usual_split(row["query-split"]),
        }


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def _canonical(query: str) -> str:
    from reasondistill.queries.parsing import NotASelectError, canonical

    try:
        return canonical(query)
    except NotASelectError:  # one of the file's is no SQL of SQLite's
        return query


def _readings(query: str) -> list[dict[str, str]]:
    from reasondistill.queries.parsing import NotASelectError
    from reasondistill.queries.plain_english import reading

    try:
        return [{"text": reading(query), "source": "reading of the query"}]
    except NotASelectError:
        return []
