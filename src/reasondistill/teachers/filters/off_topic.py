"""Explanations that are not about the inputs."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from reasondistill.languages.detection import language
from reasondistill.languages.english import content_words
from reasondistill.languages.word_splitting import tokens
from reasondistill.teachers.filters.filter_definition import NO_OPINION, Candidate, Filter, Pool, Verdict, at_least


class OffTopic(Filter):
    """Explanations that have hardly a word of the inputs.

    Attributes:
        min_shared: least share of an explanation's content words that some field, or some choice, has.
    """

    name = "off_topic"
    title = "Is it about the inputs?"
    meaning = (
        "Rejects explanations with too few of the inputs' words. Where explanations bring in what the inputs leave out "
        "(common sense, answers to questions), it rejects many good ones: off by default."
    )
    on = False
    turn = 90

    min_shared: Annotated[float, Field(ge=0, le=1)] = 0.2

    def verdict(self, candidate: Candidate, pool: Pool) -> Verdict:
        text, fields = candidate.answer.explanation, candidate.example.fields
        text_words = tokens(text)
        content = content_words(text_words) if language(text) == "English" else text_words
        if not content:
            return NO_OPINION
        inputs = (*(fields[name] for name in pool.task.fields), *(candidate.example.choices or ()))
        given = {word for text in inputs for word in tokens(text)}
        shared = sum(word in given for word in content) / len(content)
        return at_least(shared, self.min_shared, "hardly a word of the inputs")
