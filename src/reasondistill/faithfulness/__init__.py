"""Tests of what moves a student's label and explanation: interventions on its inputs, and judges of what it wrote."""

from reasondistill.faithfulness.subject import Subject

__all__ = ["Subject"]
