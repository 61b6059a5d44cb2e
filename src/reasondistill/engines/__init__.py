"""Engines: one interface to run a student. `TorchEngine` is in `reasondistill.engines.pytorch`: it needs torch."""

from reasondistill.engines.answering import Answer, answer
from reasondistill.engines.base import Engine, Generated

__all__ = ["Answer", "Engine", "Generated", "answer"]
