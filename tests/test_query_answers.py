"""Answers that are SQL: what is run and what is refused, results and trees compared, the plain reading, the metrics."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reasondistill.config import EvaluationSettings
from reasondistill.contracts.records import Example, Prediction
from reasondistill.data.dataset_loading import load_dataset
from reasondistill.errors import DataError
from reasondistill.evaluation import evaluate
from reasondistill.metrics.answer_overlap import is_accepted
from reasondistill.queries.parsing import NotASelectError, canonical, parse_select, same_tree
from reasondistill.queries.plain_english import reading, says_the_same
from reasondistill.queries.read_only_database import Database, same_result, same_rows
from reasondistill.reporting.sections.errors_and_slices import errors_section
from reasondistill.tasks.task import Task, get_task

pytest.importorskip("sqlglot")

CITIES = [("austin", "texas", 345496), ("houston", "texas", 1595138), ("boston", "massachusetts", 562994)]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("queries") / "towns and#more?.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE city (city_name TEXT, state_name TEXT, population INT)")
        connection.executemany("INSERT INTO city VALUES (?, ?, ?)", CITIES)
    connection.close()
    return path


@pytest.fixture(scope="module")
def database(file: Path) -> Iterator[Database]:
    with Database(file, seconds=0.5, most_rows=50) as opened:
        yield opened


def test_a_select_returns_its_rows(database: Database) -> None:
    # Double quotes around what names nothing are a text to SQLite.
    outcome = database.ask('SELECT city_name FROM city WHERE state_name = "texas" ORDER BY population DESC')
    assert outcome.rows == (("houston",), ("austin",))
    assert "no such column" in database.ask("SELECT absent FROM city").problem


@pytest.mark.parametrize(
    "query",
    [
        "DROP TABLE city",
        "DELETE FROM city",
        "UPDATE city SET population = 0",
        "INSERT INTO city VALUES ('a', 'b', 1)",
        "SELECT 1; DROP TABLE city",
        "ATTACH DATABASE '/tmp/x.db' AS x",
        "PRAGMA writable_schema = 1",
        "VACUUM INTO '/tmp/x.db'",
        "SELECT load_extension('/tmp/x.so')",
        "SELECT writefile('/tmp/x', 'y')",
        "SELECT * FROM pragma_table_info('city')",
        "SELECT * FROM other.city",
        "CREATE TABLE x AS SELECT 1",
        "WITH x AS (SELECT 1) DELETE FROM city",
        "",
        "austin",
        "(" * 5000,
    ],
)
def test_anything_but_a_select_of_its_tables_is_refused_before_it_runs(database: Database, query: str) -> None:
    with pytest.raises(NotASelectError):
        parse_select(query)
    assert database.ask(query).problem.startswith("not run: ")


def test_the_process_itself_refuses_what_the_tree_would_have_stopped(database: Database, file: Path) -> None:
    """The second lock: queries that are sent past the parser."""
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    for query in (
        "DELETE FROM city",
        "ATTACH '/etc/passwd' AS x",
        "PRAGMA query_only = OFF",
        "CREATE TEMP TABLE t (a)",
    ):
        outcome = database._ask(query)
        assert outcome.rows is None
        assert "authoriz" in outcome.problem, outcome
    assert hashlib.sha256(file.read_bytes()).hexdigest() == before


def test_time_rows_and_memory_have_limits(database: Database) -> None:
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT "
    assert "stopped after" in database.ask(f"{endless} count(*) FROM c").problem
    assert "more than 50 rows" in database.ask(f"{endless} x FROM c").problem
    assert "too big" in database.ask("SELECT zeroblob(1000000000)").problem
    assert database.ask("SELECT 1").rows == ((1,),)


NAMES = st.sampled_from(
    ["city", "city_name", "x", "sqlite_master", "pragma_database_list", "temp.t", '"', "'a'", "*", "?"]
)
WORDS = st.sampled_from(
    "SELECT FROM WHERE UNION ALL ATTACH DATABASE PRAGMA DROP TABLE INSERT INTO DELETE UPDATE SET CREATE TEMP VIEW "
    "TRIGGER WITH RECURSIVE AS ( ) , ; = * 1 -- /* */ load_extension( writefile( readfile( randomblob( zeroblob( "
    "printf( char(0) "
    "VACUUM REINDEX BEGIN COMMIT SAVEPOINT ORDER BY LIMIT -1 GROUP_CONCAT( LIKE GLOB JOIN ON CASE WHEN END".split()
)
HOSTILE = st.one_of(
    st.text(max_size=60),
    st.lists(st.one_of(WORDS, NAMES), max_size=14).map(" ".join),
    st.lists(st.one_of(WORDS, NAMES), max_size=8).map(lambda words: "SELECT " + " ".join(words)),
    st.lists(st.one_of(WORDS, NAMES), max_size=8).map(lambda words: f"SELECT 1 FROM city WHERE {' '.join(words)}"),
)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=HOSTILE, past_the_parser=st.booleans())
def test_a_thousand_hostile_queries_change_read_and_block_nothing(
    query: str, past_the_parser: bool, database: Database, file: Path
) -> None:
    before, beside = file.read_bytes(), sorted(file.parent.iterdir())
    begun = time.monotonic()
    outcome = database._ask(query) if past_the_parser else database.ask(query)
    assert time.monotonic() - begun < 60  # a killed process counts: a hanging one would never end
    assert file.read_bytes() == before
    assert sorted(file.parent.iterdir()) == beside
    assert "root:" not in str(outcome.rows)
    assert database.ask("SELECT count(*) FROM city").rows == ((3,),)


def test_results_are_multisets_unless_an_order_is_asked_for(database: Database) -> None:
    assert same_rows([(1, "a"), (2, "b")], [(2.0, "b"), (1, "a")], ordered=False)
    assert not same_rows([(1,), (1,)], [(1,)], ordered=False)
    assert not same_rows([(1,), (2,)], [(2,), (1,)], ordered=True)
    gold = "SELECT city_name FROM city ORDER BY population"
    assert same_result(database, gold.removesuffix(" ORDER BY population"), gold) is False
    assert same_result(database, gold, gold.removesuffix(" ORDER BY population")) is True
    assert same_result(database, "SELECT 1", "SELECT absent FROM city") is None


def test_trees_are_compared_but_for_writing() -> None:
    query = 'SELECT CITYalias0.CITY_NAME FROM CITY AS CITYalias0 WHERE CITYalias0.STATE_NAME = "texas" ;'
    assert canonical(query) == 'SELECT t0.city_name FROM city AS t0 WHERE t0.state_name = "texas"'
    assert same_tree(query, canonical(query))
    assert not same_tree(query, query.replace("texas", "Texas"))
    assert not same_tree("austin", "austin")
    more, less = (f"SELECT a FROM city WHERE b {sign} 3" for sign in "><")
    assert not is_accepted(Task(name="sql", fields=("q",), answer="query", labels=()), more, [less])


def test_a_query_is_read_out_in_plain_words() -> None:
    texts = {
        "SELECT COUNT(*) FROM city WHERE population > 1000": "the number of rows of city where the population is more "
        "than 1000",
        "SELECT c.city_name FROM city AS c ORDER BY c.population DESC LIMIT 1": "the city name of city, sorted by the "
        "population from the largest, only the first 1",
        "SELECT a.x FROM t AS a, u AS b WHERE a.x = b.y": "the x of t of t with u where the x of t is the y of u",
        "SELECT DISTINCT s FROM city GROUP BY s HAVING COUNT(1) > 2": "each different one of the s of city, for each "
        "s, if the number of rows is more than 2",
    }
    assert {query: reading(query) for query in texts} == texts
    assert says_the_same("The  number of rows of city", "select count(1) from city")
    assert not says_the_same("the number of rows", "no query")


def test_queries_are_scored_by_what_they_return(file: Path) -> None:
    task = Task(name="sql", fields=("question",), answer="query", labels=())
    gold = "SELECT city_name FROM city WHERE population > 500000"
    nothing = "SELECT city_name FROM city WHERE population > 5000000"
    answers = {
        "same tree": (gold, gold.upper().replace("CITY", "city").replace("POPULATION", "population"), True),
        "same rows": (gold, "SELECT city_name FROM city WHERE NOT population <= 500000", True),
        "other rows": (gold, "SELECT city_name FROM city", False),
        "broken": (gold, "SELECT FROM", False),
        "empty": (nothing, "SELECT 1 FROM city WHERE 0", False),  # by its tree: an empty result is easily hit
    }
    examples = [Example(id=k, fields={"question": k}, label=wanted) for k, (wanted, _, _) in answers.items()]
    given = [
        Prediction(id=k, label=answer, probability=0.5, explanation=reading(answer) if k == "same rows" else "x")
        for k, (_, answer, _) in answers.items()
    ]
    scoring = EvaluationSettings(database=str(file), bertscore=False)
    scored = evaluate(given, examples, task=task, name="sql", settings=scoring)
    figures = {name: (metric.value, metric.n) for name, metric in scored.metrics.items()}
    assert figures["execution_accuracy"] == (0.5, 4)
    assert figures["execution_empty"] == (1.0, 1)
    assert figures["query_match"] == (0.2, 5)
    assert figures["query_runs"] == (0.8, 5)
    assert figures["explanation_matches_answer"] == (0.2, 5)
    assert "exact_match" not in figures
    commonest = scored.results.baselines["commonest_answer"]  # right where it is asked for, in four of five rows
    assert (commonest["execution_accuracy"], commonest["query_match"]) == (1.0, 0.8)
    assert [row.correct for row in scored.rows] == [right for _, _, right in answers.values()]
    said = str(errors_section(scored.results))
    assert ("A query is wrong" in said, "Query only" in said, "label" in said) == (True, True, False)
    assert scored.results.settings["queries"]["gold_returns_nothing"] == 1
    alone = evaluate(given, examples, task=task, name="sql", settings=EvaluationSettings(bertscore=False))
    assert "execution_accuracy" not in alone.metrics
    assert "--database" in alone.results.settings["queries"]["left_out"]


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("no")
    for path in (tmp_path / "x.db", tmp_path / "absent.db"):
        with pytest.raises(DataError, match="expected a SQLite database"):
            Database(path)


STRATEGY = {
    "qid": "q1", "term": "Dog", "question": "Do dogs fly?", "answer": False, "facts": ["Dogs walk.", "Birds fly."],
    "decomposition": ["What do dogs do?", "Is #1 flying?"],
}  # fmt: skip
SUMMARY = {
    "source": ["A first.", "It wins."],
    "rouge_scores": [0.1, 0.5],
    "target": ["Wins.", "We win."],
    "paper_id": "p",
}
GEO = {
    "query-split": "dev", "sql": ['SELECT C.X FROM CITY AS C WHERE C.S = "s0" ;'],
    "variables": [{"name": "s0", "example": "texas"}],
    "sentences": [{"text": "cities in s0", "variables": {"s0": "ohio"}, "question-split": "train"}],
}  # fmt: skip


def test_published_sets_of_answers_are_read_in_their_own_form(tmp_path: Path) -> None:
    for name, row in {"strategyqa": STRATEGY, "scitldr": SUMMARY, "geoquery": GEO}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps([row]), encoding="utf-8")
    [strategy] = load_dataset(tmp_path / "strategyqa.json").examples
    assert (strategy.label, strategy.group) == ("no", "Dog")
    assert [e.source for e in strategy.explanations] == ["facts", "decomposition"]
    [given_facts] = load_dataset(tmp_path / "strategyqa.json", task=get_task("strategyqa_facts")).examples
    assert given_facts.fields["facts"] == "Dogs walk. Birds fly."
    assert [e.source for e in given_facts.explanations] == ["decomposition"]
    [summary] = load_dataset(tmp_path / "scitldr.json").examples
    assert summary.answers == ("Wins.", "We win.")
    assert summary.references[0].text == "It wins."
    [question] = load_dataset(tmp_path / "geoquery.json").examples
    assert question.fields == {"question": "cities in ohio"}
    assert question.label == 'SELECT t0.x FROM city AS t0 WHERE t0.s = "ohio"'
    assert question.references[0].text == "the x of city where the s is 'ohio'"
    assert question.split == "validation"


@pytest.mark.real
def test_geoquerys_queries_run_and_no_two_of_them_are_read_out_alike(data_folder: Path) -> None:
    folder = data_folder / "geoquery"
    loaded = load_dataset(folder / "geography.json")
    assert (len(loaded), loaded.splits) == (877, {"train": 536, "validation": 159, "test": 182})
    queries = {query for example in loaded.examples for query in example.answers}
    readable = {query: reading(query) for query in queries if says_the_same("", query) is False and "ALL" not in query}
    assert len(set(readable.values())) == len(readable)
    with Database(folder / "geography.sqlite") as database:
        assert sum(database.ask(query).rows is None for query in queries) <= 5


@pytest.mark.parametrize(
    "query",
    [
        "SELECT a FROM t UNION ALL SELECT a FROM u",
        "SELECT a FROM t UNION SELECT a FROM u ORDER BY a",
        "SELECT a FROM t LIMIT 2 OFFSET 3",
        "SELECT a FROM t LEFT JOIN u ON t.b = u.b",
        "WITH u AS (SELECT a FROM t) SELECT a FROM u",
    ],
)
def test_what_words_would_leave_out_is_quoted(query: str) -> None:
    assert reading(query) == f"the query {query}"


def test_a_long_chain_of_terms_is_no_traceback() -> None:
    assert not says_the_same("x", "SELECT a FROM t WHERE " + " AND ".join(["a = 1"] * 3000))


def test_a_database_with_writes_beside_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "my cities.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE t (a)")
    connection.commit()
    with pytest.raises(DataError, match="-wal beside it, which is not written into it yet"):
        Database(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    with Database(path) as database:
        assert database.ask("SELECT a FROM t").rows == ()
