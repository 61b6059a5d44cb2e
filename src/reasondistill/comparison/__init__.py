"""Several results against each other: paired tests on the same rows, seeds, quality against cost.

In come results folders; out goes a `Comparison`. Nothing is evaluated anew: all figures come from the rows' scores.
"""

from reasondistill.comparison.gaps import generalisation as generalisation
from reasondistill.comparison.gaps import shift as shift
from reasondistill.comparison.paired_comparison import compare as compare
from reasondistill.comparison.systems import System as System
from reasondistill.comparison.systems import as_systems as as_systems
from reasondistill.comparison.systems import load_systems as load_systems
from reasondistill.contracts.comparison import Comparison as Comparison
from reasondistill.contracts.comparison import ComparisonSettings as ComparisonSettings
from reasondistill.contracts.comparison import Generalisation as Generalisation
from reasondistill.contracts.comparison import Shift as Shift
