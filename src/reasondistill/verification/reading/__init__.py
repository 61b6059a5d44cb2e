"""A caption as text -> its form: words, noun phrases, clauses. No tagger: closed lists, and WordNet's own counts."""

from reasondistill.verification.reading.clauses import read
from reasondistill.verification.reading.drafts import OutsideError

__all__ = ["OutsideError", "read"]
