"""Tests of what moves a student's label and explanation: interventions on its inputs, and judges of what it wrote."""

from reasondistill.evaluation.faithfulness.model_under_test import Subject as Subject
from reasondistill.evaluation.faithfulness.outcome import Outcome as Outcome
from reasondistill.evaluation.faithfulness.suite import FaithfulnessSettings as FaithfulnessSettings
from reasondistill.evaluation.faithfulness.suite import measure_faithfulness as measure_faithfulness
