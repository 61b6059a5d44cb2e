"""Predictions file + data file -> results.json + per_example.jsonl."""

from reasondistill.config import EvaluationSettings as EvaluationSettings
from reasondistill.evaluation.assembly import Evaluation as Evaluation
from reasondistill.evaluation.assembly import evaluate as evaluate
from reasondistill.evaluation.assembly import save as save
from reasondistill.evaluation.named_teachers import Teacher as Teacher
