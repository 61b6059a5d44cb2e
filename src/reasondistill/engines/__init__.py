"""Engines: one interface to run a student. `TorchEngine` is in `reasondistill.engines.pytorch`: it needs torch."""

from reasondistill.engines.answering import Answer, answer, explain_for, explanation_scores
from reasondistill.engines.base import Engine, Generated

__all__ = ["Answer", "Engine", "Generated", "answer", "explain_for", "explanation_scores"]
