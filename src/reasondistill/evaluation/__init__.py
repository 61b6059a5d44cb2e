"""What a student's predictions are worth: labels, explanations, slices, errors, agreement with teachers.

In come predictions and the examples that they answer; out go results.json and per_example.jsonl. ``faithfulness/`` and
``efficiency/`` ask the student itself, and add to the results.
"""

from reasondistill.config import EvaluationSettings as EvaluationSettings
from reasondistill.evaluation.assembly import Evaluation as Evaluation
from reasondistill.evaluation.assembly import are_results as are_results
from reasondistill.evaluation.assembly import evaluate as evaluate
from reasondistill.evaluation.assembly import require_place_for_results as require_place_for_results
from reasondistill.evaluation.assembly import save as save
from reasondistill.evaluation.reference_teachers import ReferenceTeacher as ReferenceTeacher
from reasondistill.evaluation.whole import evaluate_whole as evaluate_whole
