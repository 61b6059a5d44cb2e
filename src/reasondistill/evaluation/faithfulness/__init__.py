"""Tests of what moves a student's label and explanation: interventions on its inputs, and judges of what it wrote."""

from reasondistill.evaluation.faithfulness.definition import FaithfulnessTest as FaithfulnessTest
from reasondistill.evaluation.faithfulness.definition import Outcome as Outcome
from reasondistill.evaluation.faithfulness.definition import Sample as Sample
from reasondistill.evaluation.faithfulness.model_under_test import Subject as Subject
from reasondistill.evaluation.faithfulness.registered_tests import faithfulness_tests as faithfulness_tests
from reasondistill.evaluation.faithfulness.registered_tests import register as register
from reasondistill.evaluation.faithfulness.suite import FaithfulnessSettings as FaithfulnessSettings
from reasondistill.evaluation.faithfulness.suite import SuiteOutcome as SuiteOutcome
from reasondistill.evaluation.faithfulness.suite import measure_faithfulness as measure_faithfulness
