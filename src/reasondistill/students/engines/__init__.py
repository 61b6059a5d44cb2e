"""Engines: one interface to run a student. `TorchEngine` is in `students.engines.pytorch`: it needs PyTorch."""

from reasondistill.students.engines.answering import Answer, answer, explain_for, explanation_scores
from reasondistill.students.engines.engine import Engine, Generated

__all__ = ["Answer", "Engine", "Generated", "answer", "explain_for", "explanation_scores"]
