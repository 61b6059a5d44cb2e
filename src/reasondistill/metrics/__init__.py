"""Metrics: functions on texts, labels and numbers, with intervals and paired tests.

In come plain sequences and arrays; out go numbers. No files and no models but BERTScore's encoder. One `Metric` object
knows all facts of a metric; `known/` has those that are shipped, `register` adds a user's. docs/metrics.md says what
each proves and what it does not.
"""

from reasondistill.metrics.bertscore import BertScore as BertScore
from reasondistill.metrics.calibration_error import brier as brier
from reasondistill.metrics.calibration_error import calibration_statistics as calibration_statistics
from reasondistill.metrics.calibration_error import ece as ece
from reasondistill.metrics.label import accuracy as accuracy
from reasondistill.metrics.label import confusion as confusion
from reasondistill.metrics.label import label_statistics as label_statistics
from reasondistill.metrics.label import macro_f1 as macro_f1
from reasondistill.metrics.metric import Metric as Metric
from reasondistill.metrics.registry import forget as forget
from reasondistill.metrics.registry import known_metrics as known_metrics
from reasondistill.metrics.registry import register as register
from reasondistill.metrics.statistics import GroupBootstrap as GroupBootstrap
from reasondistill.metrics.style import connective_shares as connective_shares
from reasondistill.metrics.text import CorpusMetric as CorpusMetric
from reasondistill.metrics.text import Rouge as Rouge
from reasondistill.metrics.text import copied_share as copied_share
from reasondistill.metrics.text import distinct_2 as distinct_2
from reasondistill.metrics.text import is_copy as is_copy
