"""Tests of what moves a student's label and explanation: interventions on its inputs, and judges of what it wrote."""

from reasondistill.faithfulness.outcome import Outcome as Outcome
from reasondistill.faithfulness.running import FaithfulnessSettings as FaithfulnessSettings
from reasondistill.faithfulness.running import measure_faithfulness as measure_faithfulness
from reasondistill.faithfulness.subject import Subject as Subject
