"""Predictions file + data file -> results.json + per_example.jsonl."""

from reasondistill.evaluation.assembly import Evaluation as Evaluation
from reasondistill.evaluation.assembly import evaluate as evaluate
from reasondistill.evaluation.assembly import save as save
from reasondistill.evaluation.scored import EvaluationSettings as EvaluationSettings
from reasondistill.evaluation.teachers import Teacher as Teacher
