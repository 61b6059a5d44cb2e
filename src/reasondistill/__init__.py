"""Distil labels and written explanations into small encoder-decoder students that answer and explain.

>>> from reasondistill import Student
>>> Student.load("builtin:scenes").explain(premise="A man is asleep.", hypothesis="A man is swimming.").label
'contradiction'
"""

from reasondistill.contracts.records import Example, Explanation, Prediction
from reasondistill.students.student import Student

__all__ = ["Example", "Explanation", "Prediction", "Student"]
