"""What is right of written answers. Functions: `metrics.answer_overlap`."""

from __future__ import annotations

from functools import partial

from reasondistill.metrics.metric import Metric

_answers = partial(
    Metric, family="answers", about="labels", needs=("gold labels",), depends_on=("answers",), weighed=True
)

_queries = partial(_answers, depends_on=("queries",))

ANSWER_METRICS = (
    _answers(
        "exact_match", "Exact match", "share of written answers that equal an accepted one, as SQuAD's script compares",
        headline=True,
    ),
    _answers(
        "answer_f1", "Answer F1", "F1 of the words shared with an accepted answer, as SQuAD's script counts",
        headline=True,
    ),
    _answers(
        "numeric_match", "Numeric match", "share of answers within 0.1% of an accepted number, where there is one",
        headline=True,
    ),
    _answers("answer_rouge1", "Answer ROUGE-1", "F-score of the words shared with an accepted answer"),
    _answers("answer_rouge2", "Answer ROUGE-2", "F-score of the word pairs shared with an accepted answer"),
    _answers(
        "answer_rougeL", "Answer ROUGE-L",
        "F-score of the longest common subsequence of words with an accepted answer", headline=True,
    ),
    _queries(
        "execution_accuracy", "Execution accuracy",
        "share of queries that return what the gold query returns, where that returns any rows", headline=True,
    ),
    _queries(
        "execution_empty", "Execution, empty results",
        "of the rows whose gold query returns nothing, the share whose query runs and returns nothing",
    ),
    _queries("query_match", "Query match", "share of queries with the gold query's tree", headline=True),
    _queries("query_runs", "Queries that run", "share of answers that are one SELECT and run without an error"),
    _answers(
        "explanation_matches_answer", "Explanation reads the query",
        "share of explanations that are the plain reading of the query they explain", about="explanations",
        needs=(), headline=True, depends_on=("queries",),
    ),
)  # fmt: skip
