"""Distil labels and written explanations into small encoder-decoder students that answer and explain.

>>> from reasondistill import Student
>>> Student.load("builtin:scenes").explain(premise="A man is asleep.", hypothesis="A man is swimming.").label
'contradiction'
"""

from reasondistill.prediction import Student
from reasondistill.records import Example, Explanation, Prediction

__all__ = ["Example", "Explanation", "Prediction", "Student"]
